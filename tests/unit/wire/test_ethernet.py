"""ethernet: deconstruct and construct, link destinations, illegal frames (RFC 894)."""

import wire_frames as frames

from smolmp.wire import ethernet

_ETHERTYPE, _CAST, _LINK, _NET, _END = 14, 15, 16, 17, 19


def parse(frame, mac, off=0):
    rec = frames.record()
    return ethernet.parse(frame, off, len(frame), rec, mac), rec


def test_broadcast():
    code, rec = parse(frames.ARP_REQUEST, frames.MAC_B)
    assert code == 0 and rec[_CAST] == 1


def test_multicast():
    for mac in (b"\x01\0\x5e\0\0\x01", b"\x33\x33\0\0\0\x01", b"\xff\xff\xff\xff\xff\xfe"):
        code, rec = parse(mac + frames.PING[6:], frames.MAC_B)
        assert code == 0 and rec[_CAST] == 2


def test_deconstruct():
    code, rec = parse(b"\xee\xee" + frames.PING, frames.MAC_B, 2)
    assert code == 0
    assert rec[_ETHERTYPE] == ethernet.IPV4 and rec[_CAST] == 0
    assert (rec[_LINK], rec[_NET], rec[_END]) == (2, 16, 2 + len(frames.PING))


def test_deconstruct_other_types():
    for ethertype in (0x0600, 0x0806, 0x86DD, 0xFFFF):
        code, rec = parse(frames.PING[:12] + ethertype.to_bytes(2, "big"), frames.MAC_B)
        assert code == 0 and rec[_ETHERTYPE] == ethertype and rec[_NET] == rec[_END] == 14


def test_construct():
    for captured, dst, src, ethertype in (
        (frames.PING, frames.MAC_B, frames.MAC_A, ethernet.IPV4),
        (frames.ARP_REQUEST, ethernet.BROADCAST, frames.MAC_A, ethernet.ARP),
    ):
        out = bytearray(b"\xee" * 20)
        ethernet.emit(out, 3, b"..." + dst, 3, src, ethertype)
        assert out == b"\xee" * 3 + captured[:14] + b"\xee" * 3


def test_not_us():
    assert parse(frames.PING, frames.MAC_A)[0] == -5
    for i in range(6):
        mac = bytearray(frames.MAC_B)
        mac[i] ^= 0x40
        assert parse(frames.PING, mac)[0] == -5


def test_length_field_is_not_a_type():
    for length in (0, 46, 0x5FF):
        assert parse(frames.PING[:12] + length.to_bytes(2, "big"), frames.MAC_B)[0] == -4


def test_group_source():
    for source in (b"\xff" * 6, b"\x01\0\x5e\0\0\x01"):
        assert parse(frames.PING[:6] + source + frames.PING[12:], frames.MAC_B)[0] == -2


def test_truncated():
    for n in range(14):
        assert parse(frames.PING[:n], frames.MAC_B)[0] == -1
