"""Oracles and canaries for the tests of storage/."""

import random
from array import array

CANARY = 0xA5


def guarded(size, skew):
    """(whole, view): `size` octets inside, at address `skew` mod 4, canaries on both sides."""
    whole = bytearray(size + 16)
    for i in range(len(whole)):
        whole[i] = CANARY
    view = memoryview(whole)[4 + skew : 4 + skew + size]
    return whole, view


def canaries_alive(whole, size, skew):
    for i in range(len(whole)):
        if not 4 + skew <= i < 4 + skew + size and whole[i] != CANARY:
            return False
    return True


def noise(n):
    return bytes([random.getrandbits(8) for _ in range(n)])


def slow_sum(data, acc=0):
    """The RFC 1071 sum as its section 4.1 writes it: big-endian, folded, not inverted."""
    total = acc
    for i in range(0, len(data), 2):
        total += data[i] << 8
        if i + 1 < len(data):
            total += data[i + 1]
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def ring_state(capacity, read_at, length):
    """(words, at) of a ring, between words that must not change."""
    return array("i", [-7, -7, capacity, read_at, length, -7, -7]), 2


def guards_alive(words):
    return words[0] == words[1] == words[5] == words[6] == -7
