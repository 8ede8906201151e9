"""The unix port: devices on a file descriptor, and the programs."""
