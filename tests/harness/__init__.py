"""The test harness: pytest in front, MicroPython behind. See plugin.py."""
