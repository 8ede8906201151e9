"""ESP32, S2, S3, C3: wiring of common boards; the original ESP32's own Ethernet MAC."""
