"""Assembler: which ranges of a stream (or a datagram) have arrived out of order.

It holds no data, only sorted ranges of offsets; ranges.py says how, and what bounds they have.
"""

from array import array

from micropython import const

from smolmp.storage.ranges import (
    assembler_add,
    assembler_advance,
    assembler_find,
    assembler_remove_front,
)

_ASM_COUNT = const(1)
_ASM_RANGES = const(2)


class Assembler:
    """Up to `holes` ranges that are not contiguous. No method allocates."""

    def __init__(self, holes: int = 4, words=None, at: int = 0):
        if holes < 1:
            raise ValueError("holes")
        if words is None:
            words = array("i", bytes(4 * (_ASM_RANGES + 2 * holes)))
            at = 0
        elif not 0 <= at <= len(words) - _ASM_RANGES - 2 * holes:
            raise ValueError("words")
        self.words = words
        self.at = at
        words[at] = holes
        words[at + _ASM_COUNT] = 0

    def clear(self):
        """Forget all ranges."""
        self.words[self.at + _ASM_COUNT] = 0

    def count(self) -> int:
        """Ranges held."""
        return self.words[self.at + _ASM_COUNT]

    def is_empty(self) -> bool:
        return self.words[self.at + _ASM_COUNT] == 0

    def range_start(self, i: int) -> int:
        """Offset of the first octet of range i, 0 <= i < count(); sorted upwards."""
        if not 0 <= i < self.count():
            raise IndexError
        return self.words[self.at + _ASM_RANGES + 2 * i]

    def range_end(self, i: int) -> int:
        """Offset behind the last octet of range i."""
        if not 0 <= i < self.count():
            raise IndexError
        return self.words[self.at + _ASM_RANGES + 1 + 2 * i]

    def find(self, offset: int) -> int:
        """Index of the range that contains the octet at `offset`, or -1."""
        return assembler_find(self.words, self.at, offset)

    def add(self, offset: int, size: int) -> bool:
        """offset..offset + size has arrived, new or again, overlapping or not.

        False, and nothing changed, when that would make too many ranges.
        """
        return assembler_add(self.words, self.at, offset, size) != 0

    def peek_front(self) -> int:
        """Size of the range at offset 0, or 0."""
        at = self.at + _ASM_RANGES
        if self.words[at - 1] == 0 or self.words[at] != 0:
            return 0
        return self.words[at + 1]

    def remove_front(self) -> int:
        """Remove the range at offset 0: all offsets move down by its size, the result."""
        return assembler_remove_front(self.words, self.at)

    def add_then_remove_front(self, offset: int, size: int) -> int:
        """add, then remove_front: how far the reader may go now. -1: too many ranges.

        At offset 0 it cannot fail.
        """
        if offset == 0 and size > 0:
            return assembler_advance(self.words, self.at, size)
        if not assembler_add(self.words, self.at, offset, size):
            return -1
        return assembler_remove_front(self.words, self.at)
