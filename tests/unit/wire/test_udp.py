"""udp: deconstruct and construct against Linux's datagrams, lengths, checksums (RFC 768)."""

from array import array

import wire_frames as frames

from smolmp.wire import ipv4, udp
from smolmp.wire.address import parse_address, to_words

_FAMILY, _PROTO, _LPORT, _RPORT, _LOCAL, _REMOTE = 0, 1, 2, 3, 4, 8
_DATA, _END, _PAYLOAD, _LENGTH = 18, 19, 23, 24


def parse(frame, verify=1, shift=0):
    """Both parsers over an Ethernet frame whose IP header may be anywhere."""
    frame = bytes(shift) + frame
    rec = frames.record()
    assert ipv4.parse(frame, shift + 14, len(frame), rec, 1) == 0
    return udp.parse(frame, rec[_DATA], rec[_END], rec, verify), rec


def changed(at, new, frame=frames.UDP_HELLO):
    return frame[: 34 + at] + new + frame[34 + at + len(new) :]


def flow_of(rec):
    """The sender's flow for a packet as the receiver sees it."""
    flow = array("i", rec[:14])
    flow[_LPORT] = rec[_RPORT]
    flow[_RPORT] = rec[_LPORT]
    for k in range(4):
        flow[_LOCAL + k] = rec[_REMOTE + k]
        flow[_REMOTE + k] = rec[_LOCAL + k]
    return flow


def sum_with_pseudo(flow_addresses, data, proto=17):
    head = flow_addresses + bytes([0, proto]) + len(data).to_bytes(2, "big")
    return frames.oracle_sum(head + bytes(data))


def test_deconstruct():
    for shift in range(4):
        code, rec = parse(frames.UDP_HELLO, 1, shift)
        assert code == 0 and (rec[_RPORT], rec[_LPORT]) == (41409, 6969)
        assert (rec[_PAYLOAD], rec[_LENGTH]) == (shift + 42, 6)


def test_parse():
    code, rec = parse(frames.UDP_ODD)
    assert code == 0 and (rec[_RPORT], rec[_LPORT], rec[_LENGTH]) == (38237, 7777, 1)


def test_construct():
    for frame in (frames.UDP_HELLO, frames.UDP_ODD):
        code, rec = parse(frame)
        flow = flow_of(rec)
        for off in (8, 9, 10, 11):  # any alignment
            n = len(frame) - 34
            out = bytearray(b"\xee" * off + bytes(8) + frame[42:] + b"\xee" * 4)
            udp.emit(out, off, flow, off + n, 1)
            assert out == b"\xee" * off + frame[34:] + b"\xee" * 4


def test_emit():
    flow = array("i", bytes(56))
    flow[_FAMILY] = 4
    flow[_PROTO] = 17
    flow[_LPORT] = 0xFFFE
    flow[_RPORT] = 0xFFFD
    addresses = b"\xc0\xa8\x45\x01\xff\xff\xff\xff"
    to_words(addresses[:4], flow, _LOCAL)
    to_words(addresses[4:], flow, _REMOTE)
    rng = frames.Random(77)
    for n in list(range(0, 70)) + [511, 512, 1471, 1472]:
        off = n % 5
        out = bytearray(off + 8 + n + 4)
        rng.fill(out, 0, len(out))
        before = bytes(out)
        udp.emit(out, off, flow, off + 8 + n, 1)
        assert out[off : off + 6] == b"\xff\xfe\xff\xfd" + (n + 8).to_bytes(2, "big")
        assert sum_with_pseudo(addresses, out[off : off + 8 + n]) == 0xFFFF, n
        assert out[:off] == before[:off] and out[off + 8 :] == before[off + 8 :]


def test_emit_ipv6():
    flow = array("i", bytes(56))
    flow[_FAMILY] = 6
    flow[_PROTO] = 17
    flow[_LPORT] = 1
    flow[_RPORT] = 2
    local = parse_address("fe80::ffff:8000:1")
    remote = parse_address("2001:db8:8000:ffff:1:2:3:4")
    to_words(local, flow, _LOCAL)
    to_words(remote, flow, _REMOTE)
    out = bytearray(b"........odd")
    udp.emit(out, 0, flow, 11, 1)
    assert sum_with_pseudo(local + remote, out) == 0xFFFF
    rec = array("i", list(flow) + [0] * 42)
    flow[_LPORT] = 2
    assert udp.parse(out, 0, 11, rec, 1) == 0 and (rec[_LPORT], rec[_RPORT]) == (2, 1)
    out[9] ^= 1
    assert udp.parse(out, 0, 11, rec, 1) == -3
    out[6] = out[7] = 0
    assert udp.parse(out, 0, 11, rec, 1) == -3  # RFC 8200 8.1: not without a checksum
    assert udp.parse(out, 0, 11, rec, 0) == 0


def test_impossible_len():
    assert parse(changed(4, b"\0\x0f"))[0] == -1  # one more than there is
    assert parse(changed(4, b"\xff\xff"))[0] == -1
    for length in range(8):
        assert parse(changed(4, bytes([0, length])))[0] == -2


def test_length_field_cuts_padding():
    flow = flow_of(parse(frames.UDP_HELLO)[1])
    out = bytearray(frames.UDP_HELLO)
    udp.emit(out, 34, flow, 34 + 8 + 2, 1)  # "he", then 4 bytes that do not count
    code, rec = parse(out)
    assert code == 0 and rec[_LENGTH] == 2
    udp.emit(out, 34, flow, 34 + 8, 1)
    code, rec = parse(out)
    assert code == 0 and rec[_LENGTH] == 0


def test_zero_checksum():
    # A sum that comes out as 0 is sent as 0xffff, for 0 means none.
    flow = flow_of(parse(frames.UDP_HELLO)[1])
    out = bytearray(10)
    udp.emit(out, 0, flow, 10, 1)
    out[8:10] = out[6:8]  # now the sum is right without the field
    udp.emit(out, 0, flow, 10, 1)
    assert out[6:8] == b"\xff\xff"
    rec = parse(frames.UDP_HELLO)[1]
    assert udp.parse(out, 0, 10, rec, 1) == 0


def test_no_checksum():
    code, rec = parse(changed(6, b"\0\0"))
    assert code == 0 and rec[_LENGTH] == 6


def test_checksum_omitted():
    out = bytearray(b"\xee" * 12)
    udp.emit(out, 0, flow_of(parse(frames.UDP_HELLO)[1]), 12, 0)
    assert out == b"\xa1\xc1\x1b\x39\0\x0c\0\0\xee\xee\xee\xee"


def test_bad_checksum():
    for at in list(range(4)) + list(range(6, 14)):
        for bit in (0, 7):
            frame = bytearray(frames.UDP_HELLO)
            frame[34 + at] ^= 1 << bit
            for shift in (0, 1, 2, 3):
                assert parse(frame, 1, shift)[0] == -3, (at, bit)
                assert parse(frame, 0, shift)[0] == 0
    # The addresses count too.
    rec = parse(frames.UDP_HELLO)[1]
    to_words(b"\xc0\xa8\x45\x02", rec, _LOCAL)
    assert udp.parse(frames.UDP_HELLO, 34, 48, rec, 1) == -3


def test_ports():
    assert parse(changed(2, b"\0\0"), 0)[0] == -2
    code, rec = parse(changed(0, b"\0\0"), 0)  # the sender wants no answer
    assert code == 0 and rec[_RPORT] == 0


def test_truncated():
    rec = parse(frames.UDP_HELLO)[1]
    for n in range(14):
        assert udp.parse(frames.UDP_HELLO, 34, 34 + n, rec, 1) == -1


def test_large():
    flow = flow_of(parse(frames.UDP_HELLO)[1])
    rec = parse(frames.UDP_HELLO)[1]
    out = bytearray(65515)
    for fill in (0xFF, 0x7F):  # the greatest sums there can be
        for i in range(8, len(out)):
            out[i] = fill
        udp.emit(out, 0, flow, len(out), 1)
        assert udp.parse(out, 0, len(out), rec, 1) == 0
        out[40000] ^= 1
        assert udp.parse(out, 0, len(out), rec, 1) == -3
