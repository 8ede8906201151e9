"""Kernels of the ring buffer: copy in and out, with or without the RFC 1071 sum.

The state is three 32-bit words, so that an owner (a TCP control block) can keep it among its
own words and hand it to a kernel as one pointer:

    words[at]      capacity, always len(buffer)
    words[at + 1]  read position, 0 <= read position < capacity (0 when the capacity is 0)
    words[at + 2]  length: octets held, 0 <= length <= capacity

The free space beyond the length may be written before it is committed: that is where
out-of-order data waits for the hole in front of it to be filled.

The kernels prove every access to the ring from these words; the side that is not the ring
(src, dst) is proven by the caller: 0 <= soff and soff + n <= len(src). RingBuffer does so.
A negative offset, soff or n copies nothing.

Copying goes by words where both sides agree modulo 4, by halfwords where they agree modulo 2,
else by octets, since a Cortex-M0+ faults on an unaligned access. With a sum it is
wire/checksum.copy_checksum that copies. Either is called once per piece, and a ring has two at
most: the loop stands once, for one boxed call more.

In viper the first three locals live in registers, and the arguments come first: so the first
three arguments of copy() give their places to the loop's pointers and counter.
"""

import micropython
from micropython import const

from smolmp.wire.checksum import copy_checksum

_RING_READ_AT = const(1)
_RING_LENGTH = const(2)


@micropython.viper
def copy(d: ptr32, k: int, s: ptr32, soff: int, n: int):
    """copy(dst, doff, src, soff, n): src[soff:soff + n] to dst[doff:]; the caller proves both."""
    d = ptr32(int(d) + k)
    s = ptr32(int(s) + soff)
    k = n
    apart = (int(d) ^ int(s)) & 3
    if apart == 0:
        while k > 0 and int(d) & 3:
            ptr8(d)[0] = ptr8(s)[0]
            d = ptr32(int(d) + 1)
            s = ptr32(int(s) + 1)
            k -= 1
        while k >= 32:
            d[0] = s[0]
            d[1] = s[1]
            d[2] = s[2]
            d[3] = s[3]
            d[4] = s[4]
            d[5] = s[5]
            d[6] = s[6]
            d[7] = s[7]
            d = ptr32(int(d) + 32)
            s = ptr32(int(s) + 32)
            k -= 32
        while k >= 4:
            d[0] = s[0]
            d = ptr32(int(d) + 4)
            s = ptr32(int(s) + 4)
            k -= 4
    elif apart == 2:
        if k > 0 and int(d) & 1:
            ptr8(d)[0] = ptr8(s)[0]
            d = ptr32(int(d) + 1)
            s = ptr32(int(s) + 1)
            k -= 1
        while k >= 8:
            ptr16(d)[0] = ptr16(s)[0]
            ptr16(d)[1] = ptr16(s)[1]
            ptr16(d)[2] = ptr16(s)[2]
            ptr16(d)[3] = ptr16(s)[3]
            d = ptr32(int(d) + 8)
            s = ptr32(int(s) + 8)
            k -= 8
    else:
        while k >= 8:
            ptr8(d)[0] = ptr8(s)[0]
            ptr8(d)[1] = ptr8(s)[1]
            ptr8(d)[2] = ptr8(s)[2]
            ptr8(d)[3] = ptr8(s)[3]
            ptr8(d)[4] = ptr8(s)[4]
            ptr8(d)[5] = ptr8(s)[5]
            ptr8(d)[6] = ptr8(s)[6]
            ptr8(d)[7] = ptr8(s)[7]
            d = ptr32(int(d) + 8)
            s = ptr32(int(s) + 8)
            k -= 8
    while k > 0:
        ptr8(d)[0] = ptr8(s)[0]
        d = ptr32(int(d) + 1)
        s = ptr32(int(s) + 1)
        k -= 1


@micropython.viper
def ring_write(buffer, words: ptr32, at: int, offset: int, src, soff: int, n: int) -> int:
    """ring_write(buffer, words, at, offset, src, soff, n) -> octets written

    Copies src[soff:soff + n] into the free space, beginning `offset` octets behind the end of
    the data. Writes less when it does not fit, 0 when offset is outside. Does not commit.
    """
    capacity = words[at]
    start = words[at + _RING_READ_AT] + words[at + _RING_LENGTH] + offset
    room = capacity - words[at + _RING_LENGTH] - offset
    if n > room:
        n = room
    if n <= 0 or offset < 0 or soff < 0:
        return 0
    if start >= capacity:
        start -= capacity
    run = capacity - start
    if run >= n:
        copy(buffer, start, src, soff, n)
    else:
        copy(buffer, start, src, soff, run)
        copy(buffer, 0, src, soff + run, n - run)
    return n


@micropython.viper
def ring_read(buffer, words: ptr32, at: int, offset: int, dst, doff: int, n: int) -> int:
    """ring_read(buffer, words, at, offset, dst, doff, n) -> octets read

    Copies the n octets that begin `offset` behind the read position to dst[doff:]. Reads less
    when there are less, 0 when offset is outside. Does not discard.
    """
    capacity = words[at]
    start = words[at + _RING_READ_AT] + offset
    held = words[at + _RING_LENGTH] - offset
    if n > held:
        n = held
    if n <= 0 or offset < 0 or doff < 0:
        return 0
    if start >= capacity:
        start -= capacity
    run = capacity - start
    if run >= n:
        copy(dst, doff, buffer, start, n)
    else:
        copy(dst, doff, buffer, start, run)
        copy(dst, doff + run, buffer, 0, n - run)
    return n


@micropython.viper
def ring_write_sum(
    buffer, words: ptr32, at: int, offset: int, src, soff: int, n: int, acc: int
) -> int:
    """ring_write_sum(buffer, words, at, offset, src, soff, n, acc) -> sum, or -1

    ring_write and RFC 1071 sum in one pass: the folded 16-bit one's complement sum of the n
    octets, big-endian, a last odd octet in the high half, plus acc (0 <= acc < 2**29). All or
    nothing: -1 and nothing written when the n octets (at most 65535) do not fit there.
    """
    capacity = words[at]
    start = words[at + _RING_READ_AT] + words[at + _RING_LENGTH] + offset
    if offset < 0 or soff < 0 or n < 0 or n > 0xFFFF:
        return -1
    if offset + n > capacity - words[at + _RING_LENGTH]:
        return -1
    if start >= capacity:
        start -= capacity
    run = capacity - start
    if run >= n:
        acc += int(copy_checksum(buffer, start, src, soff, n, 0))
    else:
        acc += int(copy_checksum(buffer, start, src, soff, run, 0))
        rest = int(copy_checksum(buffer, 0, src, soff + run, n - run, 0))
        if run & 1:  # an odd run puts the rest's octets into the other halves
            rest = (rest & 0xFF) << 8 | rest >> 8
        acc += rest
    acc = (acc & 0xFFFF) + (acc >> 16)
    return (acc & 0xFFFF) + (acc >> 16)


@micropython.viper
def ring_read_sum(
    buffer, words: ptr32, at: int, offset: int, dst, doff: int, n: int, acc: int
) -> int:
    """ring_read_sum(buffer, words, at, offset, dst, doff, n, acc) -> sum, or -1

    ring_read and RFC 1071 sum in one pass, as ring_write_sum. All or nothing: -1 and nothing
    copied when there are no n octets (at most 65535) at this offset. Does not discard.
    """
    capacity = words[at]
    start = words[at + _RING_READ_AT] + offset
    if offset < 0 or doff < 0 or n < 0 or n > 0xFFFF:
        return -1
    if offset + n > words[at + _RING_LENGTH]:
        return -1
    if start >= capacity:
        start -= capacity
    run = capacity - start
    if run >= n:
        acc += int(copy_checksum(dst, doff, buffer, start, n, 0))
    else:
        acc += int(copy_checksum(dst, doff, buffer, start, run, 0))
        rest = int(copy_checksum(dst, doff + run, buffer, 0, n - run, 0))
        if run & 1:
            rest = (rest & 0xFF) << 8 | rest >> 8
        acc += rest
    acc = (acc & 0xFFFF) + (acc >> 16)
    return (acc & 0xFFFF) + (acc >> 16)


@micropython.viper
def ring_commit(words: ptr32, at: int, n: int) -> int:
    """The n octets behind the end, written before, become data. Returns how many (clamped)."""
    free = words[at] - words[at + _RING_LENGTH]
    if n > free:
        n = free
    if n <= 0:
        return 0
    words[at + _RING_LENGTH] = words[at + _RING_LENGTH] + n
    return n


@micropython.viper
def ring_discard(words: ptr32, at: int, n: int) -> int:
    """The first n octets leave the ring. Returns how many (clamped).

    The read position stays where it is even when the ring is now empty, since uncommitted
    data may stand behind it. An owner that knows of none calls ring_rewind.
    """
    length = words[at + _RING_LENGTH]
    if n > length:
        n = length
    if n <= 0:
        return 0
    length -= n
    read_at = words[at + _RING_READ_AT] + n
    if read_at >= words[at]:
        read_at -= words[at]
    words[at + _RING_READ_AT] = read_at
    words[at + _RING_LENGTH] = length
    return n


@micropython.viper
def ring_rewind(words: ptr32, at: int):
    """An empty ring starts again at 0: the longest contiguous run, and word-aligned.

    Only when no uncommitted data waits behind the end.
    """
    if words[at + _RING_LENGTH] == 0:
        words[at + _RING_READ_AT] = 0
