"""The Internet checksum: RFC 1071 (sum), RFC 1624 (incremental update).

All sums here are the folded one's complement sum as a big-endian 16-bit number, NOT inverted:
0..0xffff. The field in a header is its inverse, `sum ^ 0xffff`; over data that contain a right
checksum the sum is 0xffff. `acc` is a sum to continue from (0 to begin), up to 2**24.

A sum may be taken in any byte order and swapped at the end (RFC 1071 2 (B)), so the kernels add
little-endian words as the processor loads them. Where `int` is 64 bits wide whole 32-bit words
are added and the carries gather above them; on 32 bits half-words are, room for 128 KB.
"""

import micropython


@micropython.viper
def checksum(data: ptr16, total: int, n: int, acc: int) -> int:
    """checksum(buf, off, end, acc): the sum of buf[off:end] continued from `acc`.

    An odd last byte is the high half of a word. The caller proves 0 <= off <= end <= len(buf)
    and end - off <= 65535. Parameters are named for what they become: viper keeps the first
    three locals in registers.
    """
    data = ptr16(int(data) + total)
    n -= total
    total = 0
    odd = int(data) & 1
    if odd and n > 0:
        total = ptr8(data)[0] << 8
        data = ptr16(int(data) + 1)
        n -= 1
    one = 1
    if one << 31 > 0 and n >= 32:
        if int(data) & 2:
            total += data[0]
            data = ptr16(int(data) + 2)
            n -= 2
        while n >= 32:
            w = ptr32(data)
            total += w[0] + w[1] + w[2] + w[3] + w[4] + w[5] + w[6] + w[7]
            data = ptr16(int(data) + 32)
            n -= 32
        while total >> 16:
            total = (total & 0xFFFF) + (total >> 16)
    while n >= 16:
        total += data[0] + data[1] + data[2] + data[3] + data[4] + data[5] + data[6] + data[7]
        data = ptr16(int(data) + 16)
        n -= 16
    while n >= 2:
        total += data[0]
        data = ptr16(int(data) + 2)
        n -= 2
    if n > 0:
        total += ptr8(data)[0]
    # On 32 bits the total may have reached the sign bit: mask after shifting.
    total = (total & 0xFFFF) + ((total >> 16) & 0xFFFF)
    total = (total & 0xFFFF) + (total >> 16)
    if not odd:
        total = (total & 0xFF) << 8 | total >> 8
    total += acc
    total = (total & 0xFFFF) + (total >> 16)
    return (total & 0xFFFF) + (total >> 16)


@micropython.viper
def copy_checksum(dst: ptr32, total: int, src: ptr32, soff: int, n: int, acc: int) -> int:
    """copy_checksum(dst, doff, src, soff, n, acc): copy n bytes src[soff:] -> dst[doff:].

    Returns checksum(src, soff, soff + n, acc) of what it copied. The regions must not overlap;
    the caller proves both. Fast when source and destination are congruent modulo 4.
    """
    dst = ptr32(int(dst) + total)
    src = ptr32(int(src) + soff)
    total = 0
    odd = int(src) & 1
    if odd and n > 0:
        b = ptr8(src)[0]
        ptr8(dst)[0] = b
        total = b << 8
        src = ptr32(int(src) + 1)
        dst = ptr32(int(dst) + 1)
        n -= 1
    apart = int(src) ^ int(dst)
    if not apart & 3 and n >= 32:
        if int(src) & 2:
            half = ptr16(src)[0]
            ptr16(dst)[0] = half
            total += half
            src = ptr32(int(src) + 2)
            dst = ptr32(int(dst) + 2)
            n -= 2
        one = 1
        wide = int(one << 31 > 0)
        while n >= 32:
            dst[0] = src[0]
            dst[1] = src[1]
            dst[2] = src[2]
            dst[3] = src[3]
            dst[4] = src[4]
            dst[5] = src[5]
            dst[6] = src[6]
            dst[7] = src[7]
            if wide:
                total += src[0] + src[1] + src[2] + src[3] + src[4] + src[5] + src[6] + src[7]
            else:
                h = ptr16(src)
                total += h[0] + h[1] + h[2] + h[3] + h[4] + h[5] + h[6] + h[7]
                total += h[8] + h[9] + h[10] + h[11] + h[12] + h[13] + h[14] + h[15]
            src = ptr32(int(src) + 32)
            dst = ptr32(int(dst) + 32)
            n -= 32
        if wide:
            while total >> 16:
                total = (total & 0xFFFF) + (total >> 16)
    if not apart & 1:
        while n >= 8:
            h = ptr16(src)
            x = ptr16(dst)
            x[0] = h[0]
            x[1] = h[1]
            x[2] = h[2]
            x[3] = h[3]
            total += h[0] + h[1] + h[2] + h[3]
            src = ptr32(int(src) + 8)
            dst = ptr32(int(dst) + 8)
            n -= 8
        while n >= 2:
            half = ptr16(src)[0]
            ptr16(dst)[0] = half
            total += half
            src = ptr32(int(src) + 2)
            dst = ptr32(int(dst) + 2)
            n -= 2
    else:
        while n >= 8:
            h = ptr16(src)
            y = ptr8(dst)
            total += h[0] + h[1] + h[2] + h[3]
            half = h[0]
            y[0] = half
            y[1] = half >> 8
            half = h[1]
            y[2] = half
            y[3] = half >> 8
            half = h[2]
            y[4] = half
            y[5] = half >> 8
            half = h[3]
            y[6] = half
            y[7] = half >> 8
            src = ptr32(int(src) + 8)
            dst = ptr32(int(dst) + 8)
            n -= 8
        while n >= 2:
            half = ptr16(src)[0]
            ptr8(dst)[0] = half
            ptr8(dst)[1] = half >> 8
            total += half
            src = ptr32(int(src) + 2)
            dst = ptr32(int(dst) + 2)
            n -= 2
    if n > 0:
        b = ptr8(src)[0]
        ptr8(dst)[0] = b
        total += b
    total = (total & 0xFFFF) + ((total >> 16) & 0xFFFF)
    total = (total & 0xFFFF) + (total >> 16)
    if not odd:
        total = (total & 0xFF) << 8 | total >> 8
    total += acc
    total = (total & 0xFFFF) + (total >> 16)
    return (total & 0xFFFF) + (total >> 16)


@micropython.viper
def pseudo(flow: ptr32, length: int) -> int:
    """The sum of the pseudo header (RFC 9293 3.1, RFC 8200 8.1) of `length` transport bytes.

    One for both families: an IPv4 address leaves its other words 0, and the sum is the same.
    """
    total = flow[1] + length  # _PROTO
    i = 4  # _LOCAL, then _REMOTE
    while i < 12:
        w = flow[i]
        total += (w & 0xFFFF) + ((w >> 16) & 0xFFFF)
        i += 1
    total = (total & 0xFFFF) + (total >> 16)
    return (total & 0xFFFF) + (total >> 16)


@micropython.viper
def update(field: int, old: int, new: int) -> int:
    """A header's checksum field after one of its 16-bit words changed from old to new.

    RFC 1624 eqn. 3: HC' = ~(~HC + ~m + m'); unlike RFC 1141 never 0xffff from 0.
    """
    total = (field ^ 0xFFFF) + (old ^ 0xFFFF) + new
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF
