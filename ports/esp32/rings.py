"""Kernels of the descriptor rings of the DesignWare GMAC's DMA: 8 words each, chained.

    RDES0   31 OWN  29:16 length, FCS included  15 error  9 first  8 last of a frame
    RDES1   14 chained  12:0 octets of the buffer
    TDES0   31 OWN  29 last  28 first  20 chained  15 error
    TDES1   12:0 octets of the frame
    2       address of the buffer
    3       address of the next descriptor

The memory is one buffer, `pool`; a descriptor is named by the index of its first word in it. OWN
is written last: from then on the descriptor is the DMA's.
"""

import micropython
from micropython import const

_DESCRIPTOR_WORDS = const(8)
_RX_CHAINED = const(1 << 14)
_TX_CHAINED = const(1 << 20)
_TX_FRAME = const(0xB010)  # the high half of OWN, last, first, chained
_FCS = const(4)
_LEAST = const(14)  # octets of a frame that can be one


@micropython.viper
def build(pool: ptr32, first: int, count: int, buffers: int, size: int, base: int, receive: int):
    """build(pool, first, count, buffers, size, base, receive)

    A ring of `count` descriptors at word `first`, each with `size` octets at octet `buffers` and
    behind. base: the bus address of the pool. receive: 1: all are the DMA's; 0: to send, ours.
    """
    own = 1
    own = own << 31
    i = 0
    while i < count:
        at = first + (i << 3)
        following = i + 1
        if following == count:
            following = 0
        pool[at + 2] = base + buffers + i * size
        pool[at + 3] = base + ((first + (following << 3)) << 2)
        pool[at + 4] = 0
        pool[at + 5] = 0
        pool[at + 6] = 0
        pool[at + 7] = 0
        if receive:
            pool[at + 1] = _RX_CHAINED | size
            pool[at] = own
        else:
            pool[at + 1] = 0
            pool[at] = _TX_CHAINED
        i += 1


@micropython.viper
def received(pool: ptr32, at: int) -> int:
    """What is in a receive descriptor: 0: it is the DMA's; > 0: a frame of so many octets, FCS not
    counted; -1: one with an error; -2: a part of one that is longer than a buffer."""
    word = pool[at]
    if (word >> 31) & 1:
        return 0
    if (word >> 8) & 3 != 3:
        return -2
    n = ((word >> 16) & 0x3FFF) - _FCS
    if (word >> 15) & 1 or n < _LEAST:
        return -1
    return n


@micropython.viper
def release(pool: ptr32, at: int):
    """The receive descriptor is the DMA's again."""
    own = 1
    pool[at] = own << 31


@micropython.viper
def sent(pool: ptr32, at: int) -> int:
    """What became of a transmit descriptor: 1: it is the DMA's; 0: ours; -1: ours, and its frame
    did not go (carrier lost, too many collisions, underflow)."""
    word = pool[at]
    if (word >> 31) & 1:
        return 1
    if (word >> 15) & 1:
        return -1
    return 0


@micropython.viper
def transmit(pool: ptr32, at: int, n: int):
    """The n octets in the buffer of the transmit descriptor are to go."""
    flags = _TX_FRAME
    pool[at + 1] = n
    pool[at] = flags << 16


@micropython.viper
def first_ours(pool: ptr32, first: int, count: int, index: int) -> int:
    """The first descriptor from `index` on, around the ring, that is not the DMA's; -1: none."""
    i = 0
    while i < count:
        if not (pool[first + (index << 3)] >> 31) & 1:
            return index
        index += 1
        if index == count:
            index = 0
        i += 1
    return -1
