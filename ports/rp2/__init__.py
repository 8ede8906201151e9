"""The RP2040 and RP2350: wiring of common boards, and what their hardware does faster."""
