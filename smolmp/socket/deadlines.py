"""Deadlines of many sockets: a binary heap in words, so that the earliest is at hand and a change
costs the logarithm of how many there are, whatever the number of sockets.

A deadline is in ms modulo 2**30. All that run lie within half of that from one another, so "a is
before b" is asked of their difference.

    deadlines[slot]   its deadline, -1 when it has none
    heap[0]           how many slots stand in the heap; heap[1] is the one whose turn comes first,
                      and heap[i] is never after heap[2 * i] and heap[2 * i + 1]
    places[slot]      where in the heap it stands, 0: nowhere
"""

from array import array

import micropython
from micropython import const

_TICKS_MASK = const(0x3FFFFFFF)
_TICKS_HALF = const(0x20000000)


@micropython.viper
def place(deadlines: ptr32, heap: ptr32, places: ptr32, slot: int, t: int) -> int:
    """deadlines[slot] = t, and the heap is one again. Returns the earliest deadline, -1: none.

    The caller proves 0 <= slot < the number of slots, and that heap has one word more than those.
    """
    n = heap[0]
    i = places[slot]
    deadlines[slot] = t
    if t < 0:
        if i:
            # The last one takes its place.
            last = heap[n]
            n -= 1
            heap[0] = n
            places[slot] = 0
            if last == slot:
                i = 0
            else:
                slot = last
                t = deadlines[slot]
    elif i == 0:
        n += 1
        heap[0] = n
        i = n
    if i:
        while i > 1:
            other = heap[i >> 1]
            if (t - deadlines[other]) & _TICKS_MASK < _TICKS_HALF:
                break
            heap[i] = other
            places[other] = i
            i >>= 1
        c = i << 1
        while c <= n:
            other = heap[c]
            if c < n:
                if (deadlines[heap[c + 1]] - deadlines[other]) & _TICKS_MASK >= _TICKS_HALF:
                    c += 1
                    other = heap[c]
            if (deadlines[other] - t) & _TICKS_MASK < _TICKS_HALF:
                break
            heap[i] = other
            places[other] = i
            i = c
            c = i << 1
        heap[i] = slot
        places[slot] = i
    if n == 0:
        return -1
    return deadlines[heap[1]]


class Deadlines:
    """The deadlines of `slots` slots. grow() alone allocates."""

    def __init__(self):
        self.times = array("i")
        self.heap = array("i", (0,))
        self.places = array("i")

    def grow(self, slots: int):
        extra = slots - len(self.times)
        self.times.extend(array("i", b"\xff" * (4 * extra)))
        self.heap.extend(array("i", bytes(4 * extra)))
        self.places.extend(array("i", bytes(4 * extra)))

    def set(self, slot: int, t: int) -> int:
        """`slot` is due at t (-1: never). Returns the earliest of all, -1: there is none."""
        return place(self.times, self.heap, self.places, slot, t)

    def running(self) -> int:
        """How many slots have a deadline."""
        return self.heap[0]

    def take_due(self, now: int) -> int:
        """A slot whose deadline has come, which it loses, or -1."""
        if not self.heap[0]:
            return -1
        slot = self.heap[1]
        if (now - self.times[slot]) & _TICKS_MASK >= _TICKS_HALF:
            return -1
        self.set(slot, -1)
        return slot

    def earliest(self) -> int:
        """The deadline that comes first, -1: there is none."""
        return self.times[self.heap[1]] if self.heap[0] else -1
