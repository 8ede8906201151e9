"""HalfSipHash-2-4 (Aumasson, Bernstein): a keyed hash of words, for numbers that a stranger
shall not guess. 32-bit words only, so it runs on a board as it is.

The four words of its state stand in memory, where a store cuts them to 32 bits whatever the word.
"""

import micropython


@micropython.viper
def halfsiphash(secret, words: ptr32, start: int, end: int):
    """secret[6] = the hash of words[start:end] under the key secret[0:2]; secret[2:6]: its state.

    As of the octets of the words in little-endian order. The caller proves the bounds; secret has
    7 words or more.
    """
    key = ptr32(secret)
    v = ptr32(int(key) + 8)
    v[0] = key[0]
    v[1] = key[1]
    m = 0x6C79  # a literal of 31 bits would be an object on a board
    v[2] = key[0] ^ ((m << 16) | 0x6765)
    m = 0x7465
    v[3] = key[1] ^ ((m << 16) | 0x6462)
    i = start
    while i <= end + 1:
        rounds = 2
        m = 0
        if i < end:
            m = words[i]
        elif i == end:
            m = (end - start) << 26  # the length in octets, modulo 256, on top
        else:
            v[2] = v[2] ^ 0xFF
            rounds = 4
        v[3] = v[3] ^ m
        while rounds:
            a = v[0] + v[1]
            v[0] = a
            b = v[1]
            v[1] = ((b << 5) | ((b >> 27) & 0x1F)) ^ a
            a = v[0]
            v[0] = (a << 16) | ((a >> 16) & 0xFFFF)
            c = v[2] + v[3]
            v[2] = c
            d = v[3]
            v[3] = ((d << 8) | ((d >> 24) & 0xFF)) ^ c
            a = v[0] + v[3]
            v[0] = a
            d = v[3]
            v[3] = ((d << 7) | ((d >> 25) & 0x7F)) ^ a
            c = v[2] + v[1]
            v[2] = c
            b = v[1]
            v[1] = ((b << 13) | ((b >> 19) & 0x1FFF)) ^ c
            c = v[2]
            v[2] = (c << 16) | ((c >> 16) & 0xFFFF)
            rounds -= 1
        v[0] = v[0] ^ m
        i += 1
    key[6] = v[1] ^ v[3]
