"""tcp: deconstruct and construct against Linux's segments, options, illegal headers (RFC 9293)."""

from array import array

import wire_frames as frames

from smolmp.wire import constants, ipv4, tcp
from smolmp.wire.address import parse_address, to_words

_FAMILY, _PROTO, _LPORT, _RPORT, _LOCAL, _REMOTE = 0, 1, 2, 3, 4, 8
_DATA, _END, _PAYLOAD, _LENGTH = 18, 19, 23, 24
_SEQ, _ACK, _CONTROL, _WINDOW, _OPTIONS = 25, 26, 27, 28, 29
_MSS, _SCALE, _TSVAL, _TSECR, _SACKS, _SACK = 30, 31, 32, 33, 34, 35
_USER_TIMEOUT = 53


def parse(frame, verify=1, shift=0):
    frame = bytes(shift) + frame
    rec = frames.record()
    assert ipv4.parse(frame, shift + 14, len(frame), rec, 1) == 0
    return tcp.parse(frame, rec[_DATA], rec[_END], rec, verify), rec


def segment(options, flags=constants.ACK, data=b""):
    """A segment with these bytes as options, padded to a multiple of 4 with zeros."""
    options += bytes(-len(options) & 3)
    header = b"\x12\x34\x43\x21\xff\xff\xff\xff\x80\0\0\0" + bytes([len(options) + 20 << 2, flags])
    return header + b"\x80\0\0\0\0\0" + options + data


def options_of(options, flags=constants.ACK):
    data = segment(options, flags)
    rec = frames.record()
    return tcp.parse(data, 0, len(data), rec, 0), rec


def test_deconstruct():
    for shift in range(4):
        code, rec = parse(frames.TCP_SYN, 1, shift)
        assert code == 0 and (rec[_RPORT], rec[_LPORT]) == (51902, 6970)
        assert frames.u32(rec, _SEQ) == 3232293679 and rec[_ACK] == 0
        assert rec[_CONTROL] == constants.SYN and rec[_WINDOW] == 64240
        assert (rec[_PAYLOAD], rec[_LENGTH]) == (shift + 74, 0)
        assert (
            rec[_OPTIONS]
            == constants.MSS | constants.SCALE | constants.SACK_PERMITTED | constants.TIMESTAMPS
        )
        assert (rec[_MSS], rec[_SCALE], rec[_SACKS]) == (1460, 10, 0)
        assert frames.u32(rec, _TSVAL) == 1414172877 and rec[_TSECR] == 0


def test_parse():
    code, rec = parse(frames.TCP_DATA)
    assert code == 0 and rec[_CONTROL] == constants.PSH | constants.ACK and rec[_WINDOW] == 63
    assert (rec[_PAYLOAD], rec[_LENGTH], rec[_OPTIONS]) == (66, 5, constants.TIMESTAMPS)
    assert frames.u32(rec, _SEQ) == 3232293680 and frames.u32(rec, _ACK) == 2121637856
    assert frames.u32(rec, _TSVAL) == 1414172877 and frames.u32(rec, _TSECR) == 113417885
    for frame, control in (
        (frames.TCP_SYN_ACK, constants.SYN | constants.ACK),
        (frames.TCP_FIN, constants.FIN | constants.ACK),
        (frames.TCP_RST, constants.RST | constants.ACK),
    ):
        code, rec = parse(frame)
        assert code == 0 and rec[_CONTROL] == control
    assert rec[_OPTIONS] == 0 and rec[_WINDOW] == 0


def mirrored(rec):
    rec[_LPORT], rec[_RPORT] = rec[_RPORT], rec[_LPORT]
    for k in range(4):
        rec[_LOCAL + k], rec[_REMOTE + k] = rec[_REMOTE + k], rec[_LOCAL + k]
    return rec


def test_construct():
    # Linux wrote the option list in another order; without options it must be the same bytes.
    rec = mirrored(parse(frames.TCP_RST)[1])
    for off in (0, 1, 2, 3):
        out = bytearray(b"\xee" * (off + 20 + 2))
        assert tcp.emit(out, off, rec, 0, off + 20) == 20
        assert out == b"\xee" * off + frames.TCP_RST[34:] + b"\xee\xee"


def test_emit():
    for frame in (frames.TCP_SYN, frames.TCP_SYN_ACK, frames.TCP_DATA, frames.TCP_FIN):
        code, rec = parse(frame)
        options = rec[_OPTIONS]
        payload = frame[rec[_PAYLOAD] :]
        header = tcp.header_len(options, 0)
        out = bytearray(header) + payload
        sender = mirrored(array("i", rec))
        assert tcp.emit(out, 0, sender, options, len(out)) == header
        again = array("i", rec)
        assert tcp.parse(out, 0, len(out), again, 1) == 0
        for word in list(range(12)) + list(range(_LENGTH, _SACKS + 1)):
            assert again[word] == rec[word], word
        assert out[again[_PAYLOAD] :] == payload
        # The fixed part, data offset and checksum aside, is what Linux wrote.
        assert out[:12] == frame[34:46] and out[13:16] == frame[47:50]


def test_emit_every_option():
    rec = frames.record()
    rec[_FAMILY] = 6
    rec[_LPORT] = 0xFFFF
    rec[_RPORT] = 0x8000
    to_words(parse_address("fe80::1"), rec, _LOCAL)
    to_words(parse_address("fe80::ffff:ffff:ffff:2"), rec, _REMOTE)
    rec[_CONTROL] = 0xFF & ~(constants.SYN | constants.RST)
    rec[_WINDOW] = 0xFFFF
    rec[_MSS] = 0xFFEE
    rec[_SCALE] = 14
    rec[_USER_TIMEOUT] = 0xFF01
    rec[_PROTO] = 6
    for at in range(_SACK, _SACK + 8):
        rec[at] = -at  # top bit set
    for options in range(64):
        for sacks in range(6):
            rec[_SACKS] = sacks
            header = tcp.header_len(options, sacks)
            out = bytearray(b"\xee" * 100)
            got = tcp.emit(out, 1, rec, options, 1 + 77)
            if header > 60 or options & constants.SACK and not 1 <= sacks <= 4:
                assert got == -2 and out == b"\xee" * 100
                continue
            assert got == header
            assert out[0] == 0xEE and out[1 + header :] == b"\xee" * (99 - header)
            back = frames.record()
            mirror = mirrored(array("i", rec))
            for word in range(12):
                back[word] = mirror[word]
            assert tcp.parse(out, 1, 78, back, 1) == 0, options
            assert back[_OPTIONS] == options
            assert (back[_LPORT], back[_RPORT], back[_WINDOW]) == (0x8000, 0xFFFF, 0xFFFF)
            assert back[_SEQ] == rec[_SEQ] and back[_ACK] == rec[_ACK]
            assert back[_CONTROL] == rec[_CONTROL]
            if options & constants.MSS:
                assert back[_MSS] == 0xFFEE
            if options & constants.SCALE:
                assert back[_SCALE] == 14
            if options & constants.TIMESTAMPS:
                assert back[_TSVAL] == rec[_TSVAL] and back[_TSECR] == rec[_TSECR]
            if options & constants.USER_TIMEOUT:
                assert back[_USER_TIMEOUT] == 0xFF01
            assert back[_SACKS] == (sacks if options & constants.SACK else 0)
            for at in range(_SACK, _SACK + 2 * back[_SACKS]):
                assert back[at] == rec[at]


def test_emit_without_room():
    rec = parse(frames.TCP_SYN)[1]
    out = bytearray(b"\xee" * 40)
    for off, end in ((0, 39), (1, 40), (-1, 39), (0, 41), (41, 81)):
        assert tcp.emit(out, off, rec, rec[_OPTIONS], end) == -1
    assert out == b"\xee" * 40


def test_header_len_multiple_of_4():
    assert tcp.header_len(0, 0) == 20
    for options in range(64):
        for sacks in range(5):
            assert tcp.header_len(options, sacks) % 4 == 0
    assert (
        tcp.header_len(
            constants.MSS | constants.SCALE | constants.SACK_PERMITTED | constants.TIMESTAMPS, 0
        )
        == 40
    )
    assert tcp.header_len(constants.TIMESTAMPS | constants.SACK, 3) == 56
    assert tcp.header_len(constants.SACK, 4) == 56


def test_truncated():
    rec = parse(frames.TCP_SYN)[1]
    for n in range(40):
        assert tcp.parse(frames.TCP_SYN, 34, 34 + n, rec, 1) == -1


def test_impossible_len():
    for words in range(16):
        data = bytearray(segment(b"", constants.ACK, bytes(12)))  # 32 bytes
        data[12] = words << 4
        expected = -2 if words < 5 else -1 if words > 8 else 0
        assert tcp.parse(data, 0, 32, frames.record(), 0) == expected, words


def test_control():
    names = constants.FIN, constants.SYN, constants.RST
    for flags in range(256):
        code = options_of(b"", flags)[0]
        illegal = sum(1 for name in names if flags & name) > 1
        illegal = illegal or flags & constants.FIN and not flags & constants.ACK
        assert code == (-2 if illegal else 0), flags


def test_ports():
    data = segment(b"")
    for at in (0, 2):
        zero = data[:at] + b"\0\0" + data[at + 2 :]
        assert tcp.parse(zero, 0, 20, frames.record(), 0) == -2
        for half in (b"\x01\0", b"\0\x01"):
            assert tcp.parse(data[:at] + half + data[at + 2 :], 0, 20, frames.record(), 0) == 0


def test_bad_checksum():
    for off in range(4):
        for at in range(37):
            frame = bytearray(frames.TCP_DATA)
            frame[34 + at] ^= 0x40
            code = parse(frame, 1, off)[0]
            assert code < 0, at
            if not 12 <= at <= 13 and not 20 <= at <= 23:
                assert code == -3 and parse(frame, 0, off)[0] == 0, at
    rec = parse(frames.TCP_DATA)[1]
    to_words(b"\xc0\xa8\x45\x02", rec, _REMOTE)
    assert tcp.parse(frames.TCP_DATA, 34, 71, rec, 1) == -3


def test_tcp_options():
    for options, bits, words in (
        (b"", 0, {}),
        (b"\x00", 0, {}),
        (b"\x01", 0, {}),
        (b"\x02\x04\x05\xdc", 1, {_MSS: 1500}),
        (b"\x03\x03\x0c", 2, {_SCALE: 12}),
        (b"\x04\x02", 4, {}),
        (b"\x05\x0a\0\0\x01\xf4\0\0\x02\x0a", 8, {_SACKS: 1, _SACK: 500, _SACK + 1: 522}),
        (
            b"\x05\x12\xff\xff\xff\xff\0\0\0\0\0\0\x01\0\0\0\x02\0",
            8,
            {_SACKS: 2, _SACK: -1, _SACK + 2: 256, _SACK + 3: 512},
        ),
        (b"\x05\x1a" + bytes(23) + b"\x07", 8, {_SACKS: 3, _SACK + 5: 7}),
        (b"\x05\x22" + bytes(31) + b"\x07", 8, {_SACKS: 4, _SACK + 7: 7}),
        (b"\x08\x0a\x80\0\0\0\0\0\0\x01", 16, {_TSVAL: -(1 << 31), _TSECR: 1}),
        (b"\x1c\x04\x80\x01", 32, {_USER_TIMEOUT: 0x8001}),
        (b"\x1c\x03\x80", 0, {}),  # of a length that RFC 5482 does not know: ignored
        (b"\x1c\x06\x80\x01\0\0", 0, {}),
        (b"\x0c\x05\x01\x02\x03", 0, {}),  # unknown, skipped
        (b"\x0c\x02\x01\xfd\x06abcd\x02\x04\x01\0", 1, {_MSS: 256}),
        (b"\x01\x01\x08\x0a" + bytes(8) + b"\x01\x01\x05\x0a" + bytes(8), 24, {_SACKS: 1}),
        (b"\x00\x02\x04\x05\xdc", 0, {}),  # nothing counts behind the end of the list
        (b"\x00\xff\xff\xff", 0, {}),
        (b"\x02\x04\x05\xdc\x02\x04\x01\0", 1, {_MSS: 256}),  # the last one counts
    ):
        code, rec = options_of(options)
        assert code == 0 and rec[_OPTIONS] == bits, options
        if not bits & 8:
            assert rec[_SACKS] == 0
        for word in words:
            assert rec[word] == words[word], (options, word)


def test_scale_is_clamped():
    for scale in (0, 13, 14, 15, 255):
        code, rec = options_of(b"\x03\x03" + bytes([scale]), constants.SYN)
        assert code == 0 and rec[_SCALE] == min(scale, 14)


def test_malformed_tcp_options():
    for options in (
        b"\x01\x01\x01\x02",  # no length
        b"\x01\x01\x01\x0c",
        b"\x0c\x00",  # lengths that do not count themselves
        b"\x0c\x01",
        b"\x02\x00\x05\xdc",
        b"\x0c\x05\x01\x02",  # beyond the header
        b"\x0c\xff",
        b"\x02\x04\x05\xdc\x02\x06\0\0",
        b"\x02\x03\x05",  # of a wrong length for their kind
        b"\x02\x05\x05\xdc\x01",
        b"\x03\x02",
        b"\x03\x04\x01\x01",
        b"\x04\x03\x00",
        b"\x05\x02",
        b"\x05\x06\0\0\0\0",
        b"\x05\x0b" + bytes(9),
        b"\x05\x0e" + bytes(12),
        b"\x08\x09" + bytes(7),
        b"\x08\x0b" + bytes(9),
        b"\x01\x01\x01\x01\x08\x0a\0\0",  # cut
        b"\x05\x12" + bytes(8),
        b"\x01\x1c\x04\x80",
    ):
        code, rec = options_of(options)
        assert code == -2, options


def test_tcp_options_summary():
    # The order and the padding are the sender's choice.
    parts = (
        (b"\x02\x04\x05\xb4", 1),
        (b"\x01\x03\x03\x07", 2),
        (b"\x04\x02\x01\x01", 4),
        (b"\x08\x0a\0\0\0\x05\0\0\0\x06\x01\x01", 16),
    )
    for first in range(4):
        for step in (1, 3):
            order = [parts[(first + step * k) % 4] for k in range(4)]
            code, rec = options_of(b"".join(p[0] for p in order), constants.SYN)
            assert code == 0 and rec[_OPTIONS] == 23
            assert (rec[_MSS], rec[_SCALE], rec[_TSVAL], rec[_TSECR]) == (1460, 7, 5, 6)
