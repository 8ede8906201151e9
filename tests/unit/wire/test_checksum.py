"""checksum: the kernels against a plain Python sum (RFC 1071), update against RFC 1624's text."""

from array import array

from smolmp.wire.checksum import checksum, copy_checksum, pseudo, update


def oracle(data, acc=0):
    total = acc
    for i, byte in enumerate(data):
        total += byte if i & 1 else byte << 8
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def pattern(n, seed=1):
    data = bytearray(n)
    x = seed
    for i in range(n):
        x = (x * 1103 + 12345) & 0xFFFFF
        data[i] = x >> 7 & 0xFF
    return data


def test_rfc1071_example():
    assert checksum(b"\x00\x01\xf2\x03\xf4\xf5\xf6\xf7", 0, 8, 0) == 0xDDF2


def test_every_length_and_offset():
    data = pattern(140)
    for off in range(8):
        for n in range(101):
            expected = oracle(data[off : off + n])
            assert checksum(data, off, off + n, 0) == expected, (off, n)


def test_large():
    data = pattern(1600, 7)
    for off in range(8):
        for n in (536, 1220, 1447, 1448, 1460, 1472, 1473, 1500):
            assert checksum(data, off, off + n, 0) == oracle(data[off : off + n]), (
                off,
                n,
            )


def test_all_ones_64k():
    data = bytearray(65536)
    for i in range(len(data)):
        data[i] = 0xFF
    for off, end in ((0, 65535), (1, 65536), (2, 65536), (3, 65535), (0, 65534)):
        # Enough carries to reach the sign bit of a 32-bit total.
        assert checksum(data, off, end, 0) == (0xFF00 if (end - off) & 1 else 0xFFFF)
        assert checksum(data, off, end, 0xFFFF) == (0xFF00 if (end - off) & 1 else 0xFFFF)


def test_zero_is_zero():
    data = bytearray(100)
    for n in range(100):
        assert checksum(data, 0, n, 0) == 0


def test_continues_from_acc():
    data = pattern(64)
    for cut in range(0, 64, 2):
        first = checksum(data, 0, cut, 0)
        assert checksum(data, cut, 64, first) == oracle(data)
    for acc in (0, 1, 0xFFFF, 0x1FFFE, 0xFFFFFF):
        assert checksum(data, 3, 50, acc) == oracle(data[3:50], acc), acc


def test_memoryview_and_bytes():
    data = pattern(64)
    view = memoryview(data)[3:40]
    assert checksum(view, 0, 37, 0) == oracle(data[3:40])
    assert checksum(bytes(data), 5, 60, 0) == oracle(data[5:60])


def test_copy_every_alignment():
    src = pattern(120, 3)
    dst = bytearray(128)
    blank = b"\xa5" * 128
    for doff in range(4, 8):
        for soff in range(8):
            for n in list(range(20)) + list(range(28, 72, 3)) + [95, 96, 97, 100]:
                dst[:] = blank
                got = copy_checksum(dst, doff, src, soff, n, 0)
                assert got == oracle(src[soff : soff + n]), (doff, soff, n)
                assert dst[:doff] == blank[:doff], (doff, soff, n)
                assert dst[doff : doff + n] == src[soff : soff + n], (doff, soff, n)
                assert dst[doff + n :] == blank[doff + n :], (doff, soff, n)


def test_copy_large():
    src = pattern(1600, 9)
    for doff in range(4):
        for soff in range(4):
            dst = bytearray(1600)
            got = copy_checksum(dst, doff, src, soff, 1460, 0x1234)
            assert got == oracle(src[soff : soff + 1460], 0x1234)
            assert dst[doff : doff + 1460] == src[soff : soff + 1460]


def test_copy_all_ones_64k():
    src = bytearray(65536)
    for i in range(len(src)):
        src[i] = 0xFF
    dst = bytearray(65536)
    for doff, soff in ((0, 0), (1, 1), (2, 0), (1, 0)):
        n = 65535 - max(doff, soff)
        assert copy_checksum(dst, doff, src, soff, n, 0) == (0xFF00 if n & 1 else 0xFFFF)
        assert dst[doff] == 0xFF and dst[doff + n - 1] == 0xFF


def test_pseudo():
    flow = array("i", bytes(56))
    flow[1] = 17
    # 10.0.0.1 and 10.0.0.2, set from halves so that no bignum is needed on 32 bits.
    flow[4] = 10 << 24 | 1
    flow[8] = 10 << 24 | 2
    assert pseudo(flow, 8) == oracle(b"\x0a\0\0\x01\x0a\0\0\x02\0\x11\0\x08")
    for i in range(4, 12):
        flow[i] = -1  # 0xffffffff: signed or not, the halves are the same
    flow[1] = 58
    assert pseudo(flow, 65535) == oracle(b"\xff" * 32 + b"\0\0\xff\xff\0\0\0\x3a")


def test_update():
    # RFC 1624 4: HC 0xdd2f, m 0x5555 -> m' 0x3285 gives 0x0000, where RFC 1141 gave 0xffff.
    assert update(0xDD2F, 0x5555, 0x3285) == 0x0000
    data = bytearray(pattern(20, 5))
    for step in range(200):
        at = 2 * (step * 7 % 10)
        field = checksum(data, 0, 20, 0) ^ 0xFFFF
        old = data[at] << 8 | data[at + 1]
        new = step * 4099 & 0xFFFF
        data[at] = new >> 8
        data[at + 1] = new & 0xFF
        assert update(field, old, new) == checksum(data, 0, 20, 0) ^ 0xFFFF
    assert update(0, 0, 0) in (0, 0xFFFF) and update(0xFFFF, 0, 1) == 0xFFFE
