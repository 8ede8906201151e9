"""Ring buffer of octets: a TCP window, or any stream between two parties.

The kernels do the work and say how the state lies in words (kernels.py); an owner of many
rings may call them directly and needs no RingBuffer.
"""

from array import array

from micropython import const

from smolmp.storage.kernels import (
    ring_commit,
    ring_discard,
    ring_read,
    ring_read_sum,  # noqa: F401  (for those who look for all ring kernels here)
    ring_rewind,  # noqa: F401
    ring_write,
    ring_write_sum,  # noqa: F401
)

_RING_CAPACITY = const(0)
_RING_READ_AT = const(1)
_RING_LENGTH = const(2)
_RING_WORDS = const(3)


class RingBuffer:
    """A ring of octets over `buffer` (bytearray or memoryview, any size including 0).

    Its state is three words at words[at:at + 3] of the owner's array('i'), or of its own.
    No method allocates. An emptied ring starts at 0 again with the next write().
    """

    def __init__(self, buffer: bytearray, words=None, at: int = 0):
        if words is None:
            words = array("i", bytes(4 * _RING_WORDS))
            at = 0
        elif not 0 <= at <= len(words) - _RING_WORDS:
            raise ValueError("three words needed")
        self.buffer = buffer
        self.words = words
        self.at = at
        words[at + _RING_CAPACITY] = len(buffer)
        self.clear()

    def clear(self):
        """Forget the content."""
        self.words[self.at + _RING_READ_AT] = 0
        self.words[self.at + _RING_LENGTH] = 0

    def capacity(self) -> int:
        """Size of the buffer in octets."""
        return self.words[self.at + _RING_CAPACITY]

    def length(self) -> int:
        """Octets held."""
        return self.words[self.at + _RING_LENGTH]

    def __len__(self):
        return self.words[self.at + _RING_LENGTH]

    def __bool__(self):
        return self.words[self.at + _RING_LENGTH] != 0

    def free(self) -> int:
        """Octets that can be written."""
        return self.words[self.at + _RING_CAPACITY] - self.words[self.at + _RING_LENGTH]

    def is_empty(self) -> bool:
        return self.words[self.at + _RING_LENGTH] == 0

    def is_full(self) -> bool:
        return self.words[self.at + _RING_LENGTH] == self.words[self.at + _RING_CAPACITY]

    # Copying in and out: n octets from or to an offset in the other buffer. The slice must lie
    # inside that buffer (ValueError). The result is the number copied, fewer when there is no
    # more room or data.

    def write(self, src, soff: int, n: int) -> int:
        """Append src[soff:soff + n], as much as fits. Returns octets written."""
        if soff < 0 or n < 0 or soff + n > len(src):
            raise ValueError("src")
        words = self.words
        at = self.at
        if words[at + _RING_LENGTH] == 0:
            words[at + _RING_READ_AT] = 0
        return ring_commit(words, at, ring_write(self.buffer, words, at, 0, src, soff, n))

    def write_unallocated(self, offset: int, src, soff: int, n: int) -> int:
        """Write src[soff:soff + n] `offset` octets behind the end, without making it data.

        As much as fits. commit() makes it data. Until then do not call write() on an empty
        ring, since that restarts it.
        """
        if soff < 0 or n < 0 or soff + n > len(src):
            raise ValueError("src")
        return ring_write(self.buffer, self.words, self.at, offset, src, soff, n)

    def commit(self, n: int) -> int:
        """n octets behind the end become data. Returns how many (clamped to the free space)."""
        return ring_commit(self.words, self.at, n)

    def read_into(self, dst, doff: int, n: int) -> int:
        """Move up to n octets to dst[doff:]. Returns octets read."""
        if doff < 0 or n < 0 or doff + n > len(dst):
            raise ValueError("dst")
        words = self.words
        at = self.at
        return ring_discard(words, at, ring_read(self.buffer, words, at, 0, dst, doff, n))

    def peek_into(self, dst, doff: int, offset: int, n: int) -> int:
        """Copy up to n octets that begin `offset` behind the read position to dst[doff:]."""
        if doff < 0 or n < 0 or doff + n > len(dst):
            raise ValueError("dst")
        return ring_read(self.buffer, self.words, self.at, offset, dst, doff, n)

    def discard(self, n: int) -> int:
        """Drop the first n octets. Returns how many (clamped to the length)."""
        return ring_discard(self.words, self.at, n)

    # In place: buffer[read_at():][:contiguous()] is the data up to the wrap, and
    # buffer[write_at():][:contiguous_free()] the free space up to the wrap.

    def read_at(self) -> int:
        """Index in buffer of the first octet held."""
        return self.words[self.at + _RING_READ_AT]

    def contiguous(self) -> int:
        """Octets held from read_at() on before the wrap."""
        words = self.words
        at = self.at
        run = words[at + _RING_CAPACITY] - words[at + _RING_READ_AT]
        length = words[at + _RING_LENGTH]
        return length if length < run else run

    def write_at(self) -> int:
        """Index in buffer of the first free octet."""
        words = self.words
        at = self.at
        end = words[at + _RING_READ_AT] + words[at + _RING_LENGTH]
        if end >= words[at + _RING_CAPACITY]:
            end -= words[at + _RING_CAPACITY]
        return end

    def contiguous_free(self) -> int:
        """Free octets from write_at() on before the wrap."""
        run = self.words[self.at + _RING_CAPACITY] - self.write_at()
        free = self.free()
        return free if free < run else run
