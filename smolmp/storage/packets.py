"""Packet ring: datagrams in a byte ring, each with its length and some words of metadata.

A datagram may wrap around the end of the buffer, since it is copied into a frame (or to the
user) anyway. So there is no padding, and every datagram that the free octets allow fits: a
buffer of N octets holds any one datagram of up to N, at any time that it is empty.

State, one array('i'):

    words[0:3]  the ring of the payload (see kernels.py)
    words[3]    slots: how many datagrams fit
    words[4]    slot of the oldest
    words[5]    datagrams held
    words[6]    metadata words per datagram
    words[7]    slots, 1 + metadata words each: length of the datagram, metadata
"""

from array import array

import micropython
from micropython import const

from smolmp.storage.kernels import ring_read, ring_write

_RING_CAPACITY = const(0)
_RING_READ_AT = const(1)
_RING_LENGTH = const(2)
_PACKET_SLOTS = const(3)
_PACKET_FIRST = const(4)
_PACKET_COUNT = const(5)
_PACKET_META = const(6)
_PACKET_TABLE = const(7)

_FEW = const(64)  # octets that are copied one by one: to call the kernel for it takes as long

# The board looks for a builtin in a long list, for a global of this module in a hash table.
_len = len


@micropython.viper
def packet_enter(words: ptr32, n: int, meta: ptr32):
    """The n octets behind the end of the ring become a datagram. A slot must be free."""
    size = words[_PACKET_META]
    i = words[_PACKET_FIRST] + words[_PACKET_COUNT]
    if i >= words[_PACKET_SLOTS]:
        i -= words[_PACKET_SLOTS]
    i = _PACKET_TABLE + i * (size + 1)
    words[i] = n
    while size > 0:
        words[i + size] = meta[size - 1]
        size -= 1
    words[_PACKET_COUNT] = words[_PACKET_COUNT] + 1
    words[_RING_LENGTH] = words[_RING_LENGTH] + n


@micropython.viper
def packet_first(words: ptr32, meta: ptr32) -> int:
    """Length of the oldest datagram, or -1; its metadata is copied to meta, unless that is the
    words themselves: then nobody wants it."""
    if words[_PACKET_COUNT] == 0:
        return -1
    size = words[_PACKET_META]
    i = _PACKET_TABLE + words[_PACKET_FIRST] * (size + 1)
    n = words[i]
    if int(meta) == int(words):
        return n
    while size > 0:
        meta[size - 1] = words[i + size]
        size -= 1
    return n


@micropython.viper
def packet_drop(words: ptr32) -> int:
    """The oldest datagram leaves. Returns its length, -1 when there is none."""
    if words[_PACKET_COUNT] == 0:
        return -1
    first = words[_PACKET_FIRST]
    n = words[_PACKET_TABLE + first * (words[_PACKET_META] + 1)]
    first += 1
    if first == words[_PACKET_SLOTS]:
        first = 0
    words[_PACKET_FIRST] = first
    words[_PACKET_COUNT] = words[_PACKET_COUNT] - 1
    read_at = words[_RING_READ_AT] + n
    if read_at >= words[_RING_CAPACITY]:
        read_at -= words[_RING_CAPACITY]
    words[_RING_READ_AT] = read_at
    words[_RING_LENGTH] = words[_RING_LENGTH] - n
    return n


@micropython.viper
def packet_put(queue, meta: ptr32, buffer, src, soff: int, n: int) -> int:
    """src[soff:soff + n], which the caller proves, becomes a datagram behind the others, with the
    metadata meta (the words themselves: zeros). How many were before it; -1: there is no slot or
    not enough room, nothing changed. queue: the words."""
    words = ptr32(queue)
    held = words[_PACKET_COUNT]
    if held >= words[_PACKET_SLOTS] or n > words[_RING_CAPACITY] - words[_RING_LENGTH]:
        return -1
    if held == 0:
        words[_RING_READ_AT] = 0  # aligned, and in one piece
    at = words[_RING_READ_AT] + words[_RING_LENGTH]
    if at >= words[_RING_CAPACITY]:
        at -= words[_RING_CAPACITY]
    if n <= _FEW and at + n <= words[_RING_CAPACITY]:
        s = ptr8(int(ptr8(src)) + soff)
        d = ptr8(int(ptr8(buffer)) + at)
        i = 0
        while i < n:
            d[i] = s[i]
            i += 1
    else:
        ring_write(buffer, queue, 0, 0, src, soff, n)
    size = words[_PACKET_META]
    i = words[_PACKET_FIRST] + held
    if i >= words[_PACKET_SLOTS]:
        i -= words[_PACKET_SLOTS]
    i = _PACKET_TABLE + i * (size + 1)
    words[i] = n
    none = int(meta) == int(words)
    while size > 0:
        words[i + size] = 0 if none else meta[size - 1]
        size -= 1
    words[_PACKET_COUNT] = held + 1
    words[_RING_LENGTH] = words[_RING_LENGTH] + n
    return held


@micropython.viper
def packet_take(queue, meta: ptr32, buffer, dst, room: int) -> int:
    """The oldest datagram goes to dst[:room], which the caller proves, its metadata to meta,
    unless that is the words themselves: then nobody wants it.

    Its length; -1: there is none; -2: it was larger than room, and is lost. queue: the words.
    """
    words = ptr32(queue)
    if words[_PACKET_COUNT] == 0:
        return -1
    size = words[_PACKET_META]
    first = words[_PACKET_FIRST]
    i = _PACKET_TABLE + first * (size + 1)
    n = words[i]
    if int(meta) == int(words):
        size = 0
    while size > 0:
        meta[size - 1] = words[i + size]
        size -= 1
    first += 1
    if first == words[_PACKET_SLOTS]:
        first = 0
    at = words[_RING_READ_AT]
    if n > room:
        room = -2
    else:
        room = n
        if n <= _FEW and at + n <= words[_RING_CAPACITY]:
            s = ptr8(int(ptr8(buffer)) + at)
            d = ptr8(dst)
            i = 0
            while i < n:
                d[i] = s[i]
                i += 1
        else:
            ring_read(buffer, queue, 0, 0, dst, 0, n)
    at += n
    if at >= words[_RING_CAPACITY]:
        at -= words[_RING_CAPACITY]
    words[_RING_READ_AT] = at
    words[_RING_LENGTH] = words[_RING_LENGTH] - n
    words[_PACKET_FIRST] = first
    words[_PACKET_COUNT] = words[_PACKET_COUNT] - 1
    return room


class PacketRing:
    """Datagrams over `buffer` (bytearray, the payload) in `slots` slots.

    `meta_words`: 32-bit words of metadata per datagram; 0: meta arguments are not looked at and
    may be None. No method allocates.
    """

    def __init__(self, buffer: bytearray, slots: int, meta_words: int = 14):
        if slots < 0 or meta_words < 0:
            raise ValueError("slots")
        self.buffer = buffer
        self.words = array("i", bytes(4 * (_PACKET_TABLE + slots * (1 + meta_words))))
        self.words[_RING_CAPACITY] = len(buffer)
        self.words[_PACKET_SLOTS] = slots
        self.words[_PACKET_META] = meta_words

    def clear(self):
        """Forget all datagrams."""
        words = self.words
        words[_RING_READ_AT] = 0
        words[_RING_LENGTH] = 0
        words[_PACKET_FIRST] = 0
        words[_PACKET_COUNT] = 0

    def __len__(self):
        """Datagrams held."""
        return self.words[_PACKET_COUNT]

    def __bool__(self):
        return self.words[_PACKET_COUNT] != 0

    def is_empty(self) -> bool:
        return self.words[_PACKET_COUNT] == 0

    def is_full(self) -> bool:
        """Not even a datagram of 0 octets fits."""
        return self.words[_PACKET_COUNT] == self.words[_PACKET_SLOTS]

    def packet_capacity(self) -> int:
        """Slots."""
        return self.words[_PACKET_SLOTS]

    def payload_capacity(self) -> int:
        """Size of the buffer in octets."""
        return self.words[_RING_CAPACITY]

    def bytes_used(self) -> int:
        """Octets of payload held."""
        return self.words[_RING_LENGTH]

    def has_room(self, n: int) -> bool:
        """Would push() take a datagram of n octets now?"""
        words = self.words
        return (
            words[_PACKET_COUNT] < words[_PACKET_SLOTS]
            and n <= words[_RING_CAPACITY] - words[_RING_LENGTH]
        )

    @micropython.native
    def push(self, src, soff: int, n: int, meta=None) -> bool:
        """Append src[soff:soff + n] (inside src, else ValueError) with its metadata.

        meta: array('i') of at least meta_words words; None: zeros. False, and nothing changed,
        when there is no slot or not enough room.
        """
        words = self.words
        if soff < 0 or n < 0 or soff + n > _len(src):
            raise ValueError("src")
        if meta is None or words[_PACKET_META] == 0:
            meta = words
        elif _len(meta) < words[_PACKET_META]:
            raise ValueError("meta")
        return packet_put(words, meta, self.buffer, src, soff, n) >= 0

    def peek_length(self) -> int:
        """Length of the oldest datagram, -1 when there is none."""
        words = self.words
        return packet_first(words, words)

    def peek_into(self, dst, doff: int, room: int, meta=None) -> int:
        """Copy the oldest datagram to dst[doff:doff + room], its metadata to meta.

        Returns its full length: when that is more than room, only room octets were copied. -1
        when there is none. room = 0 shows the metadata only. meta None: not wanted.
        """
        words = self.words
        if doff < 0 or room < 0 or doff + room > _len(dst):
            raise ValueError("dst")
        if meta is None or words[_PACKET_META] == 0:
            meta = words
        elif _len(meta) < words[_PACKET_META]:
            raise ValueError("meta")
        n = packet_first(words, meta)
        if n > 0:
            ring_read(self.buffer, words, 0, 0, dst, doff, n if n < room else room)
        return n

    @micropython.native
    def pop_into(self, dst, doff: int, room: int, meta=None) -> int:
        """peek_into and discard in one: what did not fit into room is lost."""
        n = self.peek_into(dst, doff, room, meta)
        if n >= 0:
            self.discard()
        return n

    def discard(self) -> int:
        """Drop the oldest datagram. Returns its length, -1 when there is none."""
        return packet_drop(self.words)
