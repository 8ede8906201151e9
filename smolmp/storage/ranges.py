"""Which ranges of a stream (or a datagram) have arrived out of order: the kernels.

Sorted ranges of offsets that neither overlap nor touch. Offset 0 is the next octet that the reader
waits for. The state is 2 + 2 * holes words of an array('i'), the owner's, say a TCP control block:

    words[at]      how many ranges fit
    words[at + 1]  ranges held
    words[at + 2]  start of the first, words[at + 3] its end (exclusive), and so on upwards

Offsets and sizes are at least 0 and below 2**29. The kernels stay inside the ranges that
words[at] allows, whatever the arguments are. assembler.py is an object around them.
"""

import micropython
from micropython import const

_ASM_COUNT = const(1)
_ASM_RANGES = const(2)


@micropython.viper
def assembler_add(words: ptr32, at: int, offset: int, size: int) -> int:
    """offset..offset + size has arrived. 1: noted; 0: no place for one more range, unchanged."""
    if offset < 0 or size < 0:
        return 0
    if size == 0:
        return 1
    start = offset
    end = offset + size
    p = ptr32(int(words) + (at << 2))
    first = _ASM_RANGES
    last = _ASM_RANGES + (p[_ASM_COUNT] << 1)
    # the first range that ends where this one starts, or later
    i = first
    while i < last and p[i + 1] < start:
        i += 2
    if i == last or p[i] > end:
        # it touches none: a new range before i
        if p[_ASM_COUNT] >= p[0]:
            return 0
        j = last
        while j > i:
            p[j] = p[j - 2]
            p[j + 1] = p[j - 1]
            j -= 2
        p[i] = start
        p[i + 1] = end
        p[_ASM_COUNT] = p[_ASM_COUNT] + 1
        return 1
    # it joins range i, and all that follow which it reaches
    if start < p[i]:
        p[i] = start
    j = i
    while j + 2 < last and p[j + 2] <= end:
        j += 2
    if end < p[j + 1]:
        end = p[j + 1]
    p[i + 1] = end
    j += 2
    if j > i + 2:
        i += 2
        p[_ASM_COUNT] = p[_ASM_COUNT] - ((j - i) >> 1)
        while j < last:
            p[i] = p[j]
            p[i + 1] = p[j + 1]
            i += 2
            j += 2
    return 1


@micropython.viper
def assembler_remove_front(words: ptr32, at: int) -> int:
    """The range that starts at 0 goes, and all offsets move down by its size, the result.

    0 and unchanged when a hole is in front, or nothing is held.
    """
    p = ptr32(int(words) + (at << 2))
    count = p[_ASM_COUNT]
    if count == 0 or p[_ASM_RANGES] != 0:
        return 0
    size = p[_ASM_RANGES + 1]
    count -= 1
    p[_ASM_COUNT] = count
    i = _ASM_RANGES
    last = _ASM_RANGES + (count << 1)
    while i < last:
        p[i] = p[i + 2] - size
        p[i + 1] = p[i + 3] - size
        i += 2
    return size


@micropython.viper
def assembler_advance(words: ptr32, at: int, size: int) -> int:
    """0..size has arrived: take it, and what it reaches, away from the front.

    Returns by how much the front moves, at least size; all offsets move down by as much. Unlike
    adding and removing it needs no place for a range: it cannot fail. For size <= 0: returns 0.
    """
    if size <= 0:
        return 0
    p = ptr32(int(words) + (at << 2))
    last = _ASM_RANGES + (p[_ASM_COUNT] << 1)
    # ranges that begin before the new front are swallowed by it, and may push it on
    j = _ASM_RANGES
    while j < last and p[j] <= size:
        if p[j + 1] > size:
            size = p[j + 1]
        j += 2
    i = _ASM_RANGES
    while j < last:
        p[i] = p[j] - size
        p[i + 1] = p[j + 1] - size
        i += 2
        j += 2
    p[_ASM_COUNT] = (i - _ASM_RANGES) >> 1
    return size


@micropython.viper
def assembler_find(words: ptr32, at: int, offset: int) -> int:
    """Index of the range that contains the octet at `offset`, or -1."""
    p = ptr32(int(words) + (at << 2))
    count = p[_ASM_COUNT]
    i = 0
    while i < count:
        if p[_ASM_RANGES + (i << 1)] > offset:
            return -1
        if p[_ASM_RANGES + 1 + (i << 1)] > offset:
            return i
        i += 1
    return -1
