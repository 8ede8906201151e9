"""Devices: what carries frames, and what stands between a device and the stack."""
