"""icmpv4: echo against Linux's messages, the table of types, quotes whole and cut (RFC 792)."""

import wire_frames as frames

from smolmp.wire import constants, icmpv4
from smolmp.wire.address import from_words, parse_address

_FAMILY, _PROTO, _LPORT, _RPORT, _LOCAL, _REMOTE, _HOPS = 0, 1, 2, 3, 4, 8, 12
_DATA, _END, _FRAGMENT, _PAYLOAD, _LENGTH, _SEQ = 18, 19, 20, 23, 24, 25
_TYPE, _CODE, _ICMP_ID, _ICMP_SEQ = 43, 44, 45, 46


def parse(message, off=0, verify=1):
    rec = frames.record()
    return icmpv4.parse(message, off, len(message), rec, verify), rec


def message(kind, code, high, low, data=b""):
    out = bytearray(8) + data
    icmpv4.emit(out, 0, kind, code, high, low, len(out))
    return out


def test_echo_deconstruct():
    for shift in range(4):
        code, rec = parse(bytes(shift) + frames.PING, 34 + shift)
        assert code == 0
        assert (rec[_TYPE], rec[_CODE]) == (constants.ECHO_REQUEST, 0)
        assert (rec[_ICMP_ID], rec[_ICMP_SEQ]) == (0x2480, 1)
        assert (rec[_PAYLOAD], rec[_LENGTH]) == (shift + 42, 16)


def test_echo_parse():
    code, rec = parse(frames.PONG, 34)
    assert code == 0 and rec[_TYPE] == constants.ECHO_REPLY and rec[_ICMP_ID] == 0x2480
    code, rec = parse(frames.RECORD_ROUTE, 74)
    assert code == 0 and rec[_LENGTH] == 0


def test_echo_construct():
    for frame in (frames.PING, frames.PONG):
        for off in (0, 1, 2, 3):
            out = bytearray(b"\xee" * (off + 8) + frame[42:] + b"\xee" * 3)
            icmpv4.emit(out, off, frame[34], 0, 0x2480, 1, len(out) - 3)
            assert out == b"\xee" * off + frame[34:] + b"\xee" * 3


def test_echo_emit():
    rng = frames.Random(5)
    for n in list(range(0, 70)) + [1471, 1472]:
        off = n % 4
        out = bytearray(off + 8 + n)
        rng.fill(out, 0, len(out))
        icmpv4.emit(out, off, 0, 0, rng.bits16(), rng.bits16(), len(out))
        assert frames.oracle_sum(out[off:]) == 0xFFFF
        assert parse(out, off)[0] == 0


def test_check_len():
    for n in range(8):
        assert parse(frames.PING[34 : 34 + n])[0] == -1
    for kind in (constants.TIMESTAMP, constants.TIMESTAMP_REPLY):
        assert parse(message(kind, 0, 1, 2, bytes(11)))[0] == -1
        assert parse(message(kind, 0, 1, 2, bytes(12)))[0] == 0


def test_types():
    known = (0, 3, 5, 8, 9, 10, 11, 12, 13, 14)
    for kind in range(256):
        code, rec = parse(message(kind, 7, 0xFFFF, 0x8001, bytes(20)))
        assert code == (0 if kind in known else -4), kind
        assert (rec[_TYPE], rec[_CODE]) == (kind, 7)
        assert (rec[_ICMP_ID], rec[_ICMP_SEQ]) == (0xFFFF, 0x8001)
    assert known == (
        constants.ECHO_REPLY,
        constants.UNREACHABLE,
        constants.REDIRECT,
        constants.ECHO_REQUEST,
        constants.ROUTER_ADVERT,
        constants.ROUTER_SOLICIT,
        constants.TIME_EXCEEDED,
        constants.PARAM_PROBLEM,
        constants.TIMESTAMP,
        constants.TIMESTAMP_REPLY,
    )


def test_bad_checksum():
    for at in range(24):
        for off in (0, 1, 2, 3):
            data = bytearray(off) + frames.PING[34:]
            data[off + at] ^= 0x10
            assert parse(data, off)[0] == -3
            assert parse(data, off, 0)[0] in (0, -4)


def test_quote():
    # Linux answered our datagram 192.168.69.100:38237 -> 192.168.69.1:7777.
    code, rec = parse(frames.PORT_UNREACHABLE, 34)
    assert code == 0 and (rec[_TYPE], rec[_CODE]) == (
        constants.UNREACHABLE,
        constants.PORT_UNREACHABLE,
    )
    quoted = frames.record()
    assert icmpv4.parse_quote(frames.PORT_UNREACHABLE, rec[_PAYLOAD], 71, quoted) == 0
    assert (quoted[_FAMILY], quoted[_PROTO]) == (4, 17)
    assert (quoted[_LPORT], quoted[_RPORT]) == (38237, 7777)
    assert from_words(4, quoted, _LOCAL) == parse_address("192.168.69.100")
    assert from_words(4, quoted, _REMOTE) == parse_address("192.168.69.1")
    assert list(quoted)[5:8] == [0, 0, 0] and list(quoted)[9:12] == [0, 0, 0]
    assert (quoted[_DATA], quoted[_END], quoted[_LENGTH]) == (62, 71, 9)
    assert quoted[_HOPS] == 64 and quoted[_FRAGMENT] == 0


def test_quote_of_tcp():
    quoted = frames.record()
    assert icmpv4.parse_quote(frames.TCP_DATA, 14, 14 + 28, quoted) == 0
    assert (quoted[_PROTO], quoted[_LPORT], quoted[_RPORT]) == (6, 51902, 6970)
    assert frames.u32(quoted, _SEQ) == 0xC0A8E330
    assert quoted[_LENGTH] == 8


def test_quote_of_echo():
    quoted = frames.record()
    assert icmpv4.parse_quote(frames.PING, 14, 14 + 28, quoted) == 0
    assert (quoted[_PROTO], quoted[_LPORT], quoted[_RPORT]) == (1, 0, 0)
    assert (quoted[_TYPE], quoted[_ICMP_ID], quoted[_ICMP_SEQ]) == (8, 0x2480, 1)
    # behind options
    assert icmpv4.parse_quote(frames.RECORD_ROUTE, 14, 82, quoted) == 0
    assert (quoted[_TYPE], quoted[_ICMP_ID], quoted[_DATA]) == (8, 0x2493, 74)


def test_quote_cut():
    packet = frames.TCP_SYN[14:]
    for off in (0, 1, 2, 3):
        buf = bytes(off) + packet
        for n in range(61):
            quoted = frames.record()
            code = icmpv4.parse_quote(buf, off, off + n, quoted)
            assert code == (0 if n >= 20 else -1)
            if code == 0:
                assert quoted[_LENGTH] == n - 20 and quoted[_END] == off + n
                assert quoted[_LPORT] == (51902 if n >= 24 else 0)
                assert quoted[_RPORT] == (6970 if n >= 24 else 0)
    for n in range(20, 60):
        assert icmpv4.parse_quote(frames.RECORD_ROUTE, 14, 14 + n, frames.record()) == -1


def test_quote_behind_its_end():
    # What follows the quoted packet (RFC 4884 extensions, padding) is not it.
    buf = frames.UDP_ODD[14:] + b"\xee" * 40
    quoted = frames.record()
    assert icmpv4.parse_quote(buf, 0, len(buf), quoted) == 0
    assert (quoted[_END], quoted[_LENGTH]) == (29, 9)


def test_quote_of_fragment():
    packet = bytearray(frames.UDP_HELLO[14:])
    packet[6] = 0x00
    packet[7] = 0x03  # offset 24: no ports in there
    quoted = frames.record()
    assert icmpv4.parse_quote(packet, 0, len(packet), quoted) == 0
    assert (quoted[_LPORT], quoted[_RPORT], quoted[_FRAGMENT]) == (0, 0, 1 | 24 << 2)
    packet[6] = 0x20
    packet[7] = 0x00  # the first of several
    assert icmpv4.parse_quote(packet, 0, len(packet), quoted) == 0
    assert (quoted[_LPORT], quoted[_RPORT], quoted[_FRAGMENT]) == (41409, 6969, 3)


def test_quote_malformed():
    for first, expected in ((0x65, -2), (0x05, -2), (0x44, -2), (0x40, -2), (0x46, 0)):
        packet = bytes([first]) + frames.UDP_HELLO[15:]
        assert icmpv4.parse_quote(packet, 0, len(packet), frames.record()) == expected
