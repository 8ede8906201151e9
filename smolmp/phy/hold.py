"""Hold: a few frames kept back, each until its time has come. Part of the fault injector.

A place is four words and room for one frame. Times are milliseconds modulo 2**30.
"""

from array import array

import micropython
from micropython import const

from smolmp.storage.kernels import ring_read, ring_write

_TICKS_MASK = const(0x3FFFFFFF)
_TICKS_SIGN = const(0x20000000)

_HELD_WORDS = const(4)
_HELD_LENGTH = const(0)  # octets, 0: the place is free
_HELD_DUE = const(1)  # when it goes
_HELD_AFTER = const(2)  # it goes when that many later frames have passed; 0: only when due
_HELD_NUMBER = const(3)  # the frame's number, counted as frames come in


@micropython.viper
def _find_free(table: ptr32, places: int) -> int:
    i = 0
    while i < places:
        if table[i << 2] == 0:
            return i
        i += 1
    return -1


@micropython.viper
def _find_due(table: ptr32, places: int, now: int) -> int:
    """The place whose frame is due the longest, and came first among equals. -1: none."""
    best = -1
    longest = 0
    first = 0
    i = 0
    while i < places:
        p = ptr32(int(table) + (i << 4))
        late = (now - p[_HELD_DUE]) & _TICKS_MASK
        if p[_HELD_LENGTH] and late < _TICKS_SIGN:
            earlier = ((p[_HELD_NUMBER] - first) & _TICKS_MASK) >= _TICKS_SIGN
            if best < 0 or late > longest or (late == longest and earlier):
                best = i
                longest = late
                first = p[_HELD_NUMBER]
        i += 1
    return best


@micropython.viper
def _next_due(table: ptr32, places: int, now: int) -> int:
    """Milliseconds until the first held frame is due, 0 when one is. -1: none is held."""
    best = -1
    i = 0
    while i < places:
        p = ptr32(int(table) + (i << 4))
        if p[_HELD_LENGTH]:
            wait = (p[_HELD_DUE] - now) & _TICKS_MASK
            if wait >= _TICKS_SIGN:
                wait = 0
            if best < 0 or wait < best:
                best = wait
        i += 1
    return best


@micropython.viper
def _passed(table: ptr32, places: int, number: int, now: int):
    """Frame `number` has passed: earlier ones that wait for later frames come nearer."""
    i = 0
    while i < places:
        p = ptr32(int(table) + (i << 4))
        if p[_HELD_LENGTH] and p[_HELD_AFTER]:
            if ((p[_HELD_NUMBER] - number) & _TICKS_MASK) >= _TICKS_SIGN:
                p[_HELD_AFTER] = p[_HELD_AFTER] - 1
                if p[_HELD_AFTER] == 0:
                    p[_HELD_DUE] = now
        i += 1


class Hold:
    """places: frames that fit; size: octets of the largest; pad: octets left free before each,
    so that its headers lie as they do in the stack's frames."""

    def __init__(self, places: int, size: int, pad: int):
        self.places = places
        self.size = size
        self.pad = pad
        self.stride = (pad + size + 3) & ~3
        # one more: for a frame that is changed and sent at once
        octets = self.stride * (places + 1)
        self.store = bytearray(octets)
        # To the copying kernels the store is a ring that never turns: empty for writing, where
        # the offset from the end is the index, and full for reading.
        self._empty = array("i", [octets, 0, 0])
        self._full = array("i", [octets, 0, octets])
        self.table = array("i", bytes(4 * _HELD_WORDS * places))
        self.count = 0

    def put(self, buf, start: int, n: int, due: int, after: int, number: int) -> bool:
        """Keep a copy of buf[start:start + n], 0 < n <= size. False: no place.

        It goes at time `due`, or when `after` (if not 0) frames with a later number have passed.
        """
        i = _find_free(self.table, self.places)
        if i < 0:
            return False
        ring_write(self.store, self._empty, 0, i * self.stride + self.pad, buf, start, n)
        table = self.table
        at = i * _HELD_WORDS
        table[at + _HELD_LENGTH] = n
        table[at + _HELD_DUE] = due
        table[at + _HELD_AFTER] = after
        table[at + _HELD_NUMBER] = number
        self.count += 1
        return True

    def copy_aside(self, buf, start: int, n: int) -> int:
        """Copy a frame to where it may be changed: an index in store, good until the next."""
        at = self.places * self.stride + self.pad
        ring_write(self.store, self._empty, 0, at, buf, start, n)
        return at

    def passed(self, number: int, now: int):
        """Frame `number` has passed."""
        if self.count:
            _passed(self.table, self.places, number, now)

    def due(self, now: int) -> int:
        """The place of the frame that is to go now, or -1."""
        return _find_due(self.table, self.places, now) if self.count else -1

    def next_due(self, now: int) -> int:
        """Milliseconds until a frame is due, -1: none is held."""
        return _next_due(self.table, self.places, now) if self.count else -1

    def length(self, i: int) -> int:
        """Octets of the frame in place i."""
        return self.table[i * _HELD_WORDS + _HELD_LENGTH]

    def index(self, i: int) -> int:
        """Where the frame in place i lies in store."""
        return i * self.stride + self.pad

    def read(self, i: int, buf, n: int):
        """Copy the frame in place i, of n octets, to buf[0:n]; n <= len(buf)."""
        ring_read(self.store, self._full, 0, i * self.stride + self.pad, buf, 0, n)

    def release(self, i: int) -> int:
        """The place is free again. Returns the number of its frame."""
        self.count -= 1
        self.table[i * _HELD_WORDS + _HELD_LENGTH] = 0
        return self.table[i * _HELD_WORDS + _HELD_NUMBER]
