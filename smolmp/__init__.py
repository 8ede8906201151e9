"""smolmp: a TCP/IP stack in MicroPython. What is not imported costs nothing."""

__version__ = "0.1.0"
