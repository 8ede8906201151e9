"""ipv4: deconstruct and construct against Linux's headers, every rule of the parser (RFC 791)."""

from array import array

import wire_frames as frames

from smolmp.wire import constants, ipv4
from smolmp.wire.address import from_words, parse_address, to_words

_FAMILY, _PROTO, _LPORT, _RPORT, _LOCAL, _REMOTE, _HOPS, _TOS = 0, 1, 2, 3, 4, 8, 12, 13
_DATA, _END, _FRAGMENT, _IDENT = 18, 19, 20, 21


def parse(packet, off=0, verify=1):
    rec = frames.record()
    return ipv4.parse(packet, off, len(packet), rec, verify), rec


def changed(at, new, packet=frames.PING[14:]):
    """The packet with other bytes at `at`, and the header checksum right again."""
    packet = bytearray(packet)
    packet[at : at + len(new)] = new
    header = min(max((packet[0] & 15) * 4, 20), len(packet))
    packet[10:12] = b"\0\0"
    total = frames.oracle_sum(packet[:header]) ^ 0xFFFF
    packet[10] = total >> 8
    packet[11] = total & 0xFF
    return bytes(packet)


def test_deconstruct():
    for off in range(14, 22):  # any alignment
        frame = bytes(off - 14) + frames.PING
        code, rec = parse(frame, off)
        assert code == 0
        assert list(rec)[:4] == [4, constants.ICMP, 0, 0]
        assert from_words(4, rec, _REMOTE) == parse_address("192.168.69.100")
        assert from_words(4, rec, _LOCAL) == parse_address("192.168.69.1")
        assert list(rec)[5:8] == [0, 0, 0] and list(rec)[9:12] == [0, 0, 0]
        assert (rec[_HOPS], rec[_TOS], rec[_IDENT], rec[_FRAGMENT]) == (64, 0, 0xBCB1, 0)
        assert (rec[_DATA], rec[_END]) == (off + 20, off + 44)


def test_parse():
    for frame in frames.IP_FRAMES:
        code, rec = parse(frame, 14)
        assert code == 0 and rec[_END] == len(frame), frame
        assert rec[_PROTO] == frame[23] and rec[_TOS] == frame[15]


def test_options_are_skipped():
    code, rec = parse(frames.RECORD_ROUTE, 14)
    assert code == 0 and rec[_DATA] == 14 + 60 and rec[_END] == len(frames.RECORD_ROUTE)


def test_construct():
    for frame in frames.IP_FRAMES:
        if frame[14] != 0x45:
            continue
        code, rec = parse(frame, 14)
        flow = array("i", rec[:14])
        for k in range(4):  # the sender's view is the receiver's, mirrored
            flow[_LOCAL + k] = rec[_REMOTE + k]
            flow[_REMOTE + k] = rec[_LOCAL + k]
        word = frame[20] << 8 | frame[21]
        for off in (0, 1, 2, 3):
            out = bytearray(b"\xee" * 28)
            ipv4.emit(out, off, flow, len(frame) - 34, rec[_IDENT], word)
            assert out == b"\xee" * off + frame[14:34] + b"\xee" * (8 - off)


def test_emit():
    flow = array("i", bytes(56))
    to_words(b"\xff\xff\xff\xff", flow, _LOCAL)
    to_words(b"\x80\0\0\x01", flow, _REMOTE)
    flow[_PROTO] = 255
    flow[_HOPS] = 255
    flow[_TOS] = 255
    out = bytearray(20)
    ipv4.emit(out, 0, flow, 65515, 0xFFFF, 0xFFFF)
    assert frames.oracle_sum(out) == 0xFFFF
    assert out[:10] == b"\x45\xff\xff\xff\xff\xff\xff\xff\xff\xff"
    ipv4.emit(out, 0, flow, 0, 0, constants.DONT_FRAGMENT)
    assert frames.oracle_sum(out) == 0xFFFF and out[6:8] == b"\x40\0" and out[2:4] == b"\0\x14"


def test_overlong():
    # Ethernet pads short frames: what lies behind the total length is not the packet.
    code, rec = parse(frames.PING + b"\xaa" * 46, 14)
    assert code == 0 and rec[_END] == len(frames.PING)


def test_total_len_overflow():
    assert parse(changed(2, b"\0\x2d"))[0] == -1
    assert parse(changed(2, b"\xff\xff"))[0] == -1


def test_parse_total_len_less_than_header_len():
    for total in (0, 10, 19):
        assert parse(changed(2, bytes([0, total])))[0] == -2
    assert parse(changed(2, b"\0\x3b", frames.RECORD_ROUTE[14:]))[0] == -2
    code, rec = parse(changed(2, b"\0\x14"))
    assert code == 0 and rec[_DATA] == rec[_END] == 20


def test_parse_bad_version():
    for version in range(16):
        code = parse(changed(0, bytes([version << 4 | 5])))[0]
        assert code == (0 if version == 4 else -2), version


def test_parse_small_ihl():
    for words in range(5):
        assert parse(changed(0, bytes([0x40 | words])))[0] == -2


def test_parse_ihl_beyond_the_packet():
    # 60 bytes of header announced, 44 there
    assert parse(changed(0, b"\x4f"))[0] == -2
    assert parse(frames.RECORD_ROUTE[14:70])[0] == -1


def test_packet_too_short():
    for n in range(20):
        assert parse(frames.PING[14 : 14 + n])[0] == -1
    for n in range(20, 44):
        assert parse(frames.PING[14 : 14 + n])[0] == -1


def test_checksum():
    for off in (0, 1, 2, 3):
        for at in range(20):
            for bit in range(8):
                packet = bytearray(off) + frames.PING[14:]
                packet[off + at] ^= 1 << bit
                code, rec = parse(packet, off)
                assert code < 0, (off, at, bit)
                if at in (1, 4, 5, 8, 9, 10, 11, 16, 17, 18, 19):
                    assert code == -3
                    assert parse(packet, off, 0)[0] == 0
    for at in range(20, 60):
        packet = bytearray(frames.RECORD_ROUTE[14:])
        packet[at] ^= 0x10
        assert parse(packet)[0] == -3


def test_impossible_sources():
    for source in ("224.0.0.1", "239.255.255.255", "255.255.255.255"):
        assert parse(changed(12, parse_address(source)))[0] == -2
    for source in ("0.0.0.0", "127.0.0.1", "223.255.255.255", "240.0.0.1", "255.255.255.254"):
        assert parse(changed(12, parse_address(source)))[0] == 0


def test_any_hop_count_is_accepted():
    for hops in (0, 1, 255):  # RFC 1122 3.2.1.7: a host must not discard for it
        code, rec = parse(changed(8, bytes([hops])))
        assert code == 0 and rec[_HOPS] == hops


def test_fragments():
    for word, expected in (
        (0x0000, 0),
        (0x4000, 0),  # don't fragment
        (0x8000, 0),  # the reserved bit
        (0x2000, 1 | 1 << 1),
        (0x0001, 1 | 8 << 2),
        (0x20B9, 1 | 1 << 1 | 1480 << 2),
        (0x6001, 1 | 1 << 1 | 8 << 2),
        (0x1FFC, 1 | 65504 << 2),  # 24 bytes there: ends at 65528, with a header above 64 KB
    ):
        code, rec = parse(changed(6, word.to_bytes(2, "big")))
        if word == 0x1FFC:
            assert code == -2
        else:
            assert code == 0 and rec[_FRAGMENT] == expected, word


def test_illegal_fragments():
    packet = frames.PING[14:]
    # The last place where 24 bytes and a header of 20 fit in 65535: 65488
    assert parse(changed(6, (65488 >> 3).to_bytes(2, "big")))[0] == 0
    for first in (65496, 65528):
        assert parse(changed(6, (first >> 3).to_bytes(2, "big")))[0] == -2
    # More fragments follow, but it is not a multiple of 8 long
    odd = changed(2, b"\0\x2b", packet[:43])
    assert parse(changed(6, b"\x20\0", odd))[0] == -2
    assert parse(changed(6, b"\0\x01", odd))[0] == 0  # the last may be
    # Nothing in it
    empty = changed(2, b"\0\x14", packet)
    assert parse(changed(6, b"\x20\0", empty))[0] == -2
    assert parse(changed(6, b"\0\x01", empty))[0] == -2
