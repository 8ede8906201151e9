"""What an Interface counts: one array('I') of 32-bit words that wrap; viper adds to them.

A file that counts repeats the numbers it needs as `_COUNT_NAME = const(n)`; iface/report.py says
what they are, and Interface.stats() gives people names.
"""

import micropython

NUMBER = 63


@micropython.viper
def count(counters: ptr32, i: int):
    """counters[i] += 1; `i` is a number from iface/report.py."""
    counters[i] = counters[i] + 1


@micropython.viper
def count_two(counters: ptr32, i: int, j: int):
    """One more of each of two."""
    counters[i] = counters[i] + 1
    counters[j] = counters[j] + 1


@micropython.viper
def count_many(counters: ptr32, i: int, n: int):
    """counters[i] += n"""
    counters[i] = counters[i] + n
