"""arp: deconstruct and construct against Linux's packets, what is refused (RFC 826)."""

import wire_frames as frames

from smolmp.wire import arp
from smolmp.wire.address import from_words, parse_address

_LOCAL, _REMOTE, _OPERATION = 4, 8, 47


def parse(packet, off=0):
    rec = frames.record()
    return arp.parse(packet, off, len(packet), rec), rec


def changed(at, new, packet=frames.ARP_REQUEST[14:]):
    return packet[:at] + new + packet[at + len(new) :]


def test_deconstruct():
    code, rec = parse(frames.ARP_REQUEST, 14)
    assert code == 0 and rec[_OPERATION] == arp.REQUEST
    assert list(rec)[:4] == [4, 0, 0, 0]
    assert from_words(4, rec, _REMOTE) == parse_address("192.168.69.100")
    assert from_words(4, rec, _LOCAL) == parse_address("192.168.69.1")
    assert list(rec)[5:8] == [0, 0, 0] and list(rec)[9:12] == [0, 0, 0]


def test_parse():
    code, rec = parse(frames.ARP_REPLY, 14)
    assert code == 0 and rec[_OPERATION] == arp.REPLY
    assert from_words(4, rec, _REMOTE) == parse_address("192.168.69.1")
    assert from_words(4, rec, _LOCAL) == parse_address("192.168.69.100")


def test_construct():
    # The reply is made from the record of the request: LOCAL is who answers.
    code, rec = parse(frames.ARP_REQUEST, 14)
    out = bytearray(b"\xee" * 32)
    arp.emit(out, 2, arp.REPLY, frames.MAC_B, rec, frames.MAC_A)
    assert out == b"\xee\xee" + frames.ARP_REPLY[14:] + b"\xee\xee"


def test_emit():
    code, rec = parse(frames.ARP_REPLY, 14)
    out = bytearray(arp.LENGTH)
    arp.emit(out, 0, arp.REQUEST, frames.MAC_A, rec, bytes(6))
    assert out == frames.ARP_REQUEST[14:]


def test_padding_is_ignored():
    assert parse(frames.ARP_REQUEST + b"\xaa" * 18, 14)[0] == 0


def test_truncated():
    for n in range(28):
        assert parse(frames.ARP_REQUEST[14 : 14 + n])[0] == -1


def test_unsupported():
    for at, new in (
        (0, b"\0\x06"),
        (0, b"\x01\x01"),
        (2, b"\x86\xdd"),
        (2, b"\x08\x06"),
        (4, b"\x08"),
        (5, b"\x10"),
        (6, b"\0\0"),
        (6, b"\0\x03"),
        (6, b"\x01\x01"),
    ):
        assert parse(changed(at, new))[0] == -4, (at, new)


def test_impossible_senders():
    assert parse(changed(8, b"\xff" * 6))[0] == -2
    assert parse(changed(8, b"\x01\0\x5e\0\0\x01"))[0] == -2
    for sender in ("224.0.0.1", "239.1.2.3", "255.255.255.255"):
        assert parse(changed(14, parse_address(sender)))[0] == -2
    for sender in ("0.0.0.0", "223.0.0.1", "255.255.255.254"):  # the first is an RFC 5227 probe
        assert parse(changed(14, parse_address(sender)))[0] == 0
