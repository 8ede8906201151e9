"""Any bytes in, a code out: truncation, random options and mutations never leave [off, end).

A read outside is caught by parsing the same bytes twice between different neighbours: the code
and the record must be the same. A write outside is caught by canaries.
"""

from array import array

import wire_frames as frames
from slow import rounds

from smolmp.wire import arp, ethernet, icmpv4, ipv4, tcp, udp

_FAMILY, _DATA, _END, _PAYLOAD, _LENGTH = 0, 18, 19, 23, 24
_CONTROL, _OPTIONS, _SCALE, _SACKS = 27, 29, 31, 34
_REC_WORDS = 56
_CANARY = 0x5A5A5A
CODES = (0, -1, -2, -3, -4, -5)


def parse_ethernet(frame, off, end, rec):
    return ethernet.parse(frame, off, end, rec, frames.MAC_B)


def parse_ipv4(frame, off, end, rec):
    return ipv4.parse(frame, off, end, rec, 1)


def parse_ipv4_unverified(frame, off, end, rec):
    return ipv4.parse(frame, off, end, rec, 0)


def parse_udp(frame, off, end, rec):
    return udp.parse(frame, off, end, rec, 1)


def parse_udp_unverified(frame, off, end, rec):
    return udp.parse(frame, off, end, rec, 0)


def parse_icmp(frame, off, end, rec):
    return icmpv4.parse(frame, off, end, rec, 1)


def parse_icmp_unverified(frame, off, end, rec):
    return icmpv4.parse(frame, off, end, rec, 0)


def parse_tcp(frame, off, end, rec):
    return tcp.parse(frame, off, end, rec, 1)


def parse_tcp_unverified(frame, off, end, rec):
    return tcp.parse(frame, off, end, rec, 0)


def new_record():
    rec = array("i", bytes(4 * (_REC_WORDS + 8)))
    for i in range(_REC_WORDS, _REC_WORDS + 8):
        rec[i] = _CANARY
    for i in range(12):  # the addresses of a flow, for the transport parsers
        rec[i] = i * 0x10203
    rec[_FAMILY] = 4
    return rec


def checked(parse, packet, off):
    """Parse `packet` at `off`, twice, at the very end of one buffer and inside another."""
    n = len(packet)
    tight = bytearray(b"\x00" * off + packet)
    roomy = bytearray(b"\xff" * off + packet + b"\x45\x08\x02\x0a" * 20)
    before = bytes(roomy)
    rec = new_record()
    other = new_record()
    code = parse(tight, off, off + n, rec)
    assert parse(roomy, off, off + n, other) == code
    assert rec == other, "read outside"
    assert roomy == before and tight[off:] == packet
    for i in range(_REC_WORDS, _REC_WORDS + 8):
        assert rec[i] == _CANARY
    assert code in CODES
    return code, rec


PAIRS = (
    (parse_ethernet, frames.PING, 0),
    (arp.parse, frames.ARP_REQUEST, 14),
    (parse_ipv4, frames.PING, 14),
    (parse_ipv4, frames.RECORD_ROUTE, 14),
    (parse_ipv4_unverified, frames.RECORD_ROUTE, 14),
    (parse_udp, frames.UDP_HELLO, 34),
    (parse_udp_unverified, frames.UDP_ODD, 34),
    (parse_icmp, frames.PING, 34),
    (parse_icmp_unverified, frames.PING, 34),
    (icmpv4.parse_quote, frames.TCP_SYN, 14),
    (icmpv4.parse_quote, frames.RECORD_ROUTE, 14),
    (parse_tcp, frames.TCP_SYN, 34),
    (parse_tcp_unverified, frames.TCP_SYN, 34),
    (parse_tcp_unverified, frames.TCP_DATA, 34),
)


def test_every_truncation():
    for parse, frame, start in PAIRS:
        whole = frame[start:]
        for n in range(len(whole) + 1):
            for off in (0, 1, 2, 3):
                code, rec = checked(parse, whole[:n], off)
                if n < 8:
                    assert code == -1


# not on a board: minutes of frames
def test_every_byte_changed():
    for parse, frame, start in PAIRS:
        for at in range(start, min(start + 60, len(frame))):
            for value in (0x00, 0x01, 0x0F, 0x45, 0x4F, 0x7F, 0xF0, 0xFF):
                packet = bytearray(frame[start:])
                packet[at - start] = value
                checked(parse, packet, at & 3)


# not on a board: minutes of frames
def test_random_bytes():
    rng = frames.Random(31)
    parsers = []
    for pair in PAIRS:
        if pair[0] not in parsers:
            parsers.append(pair[0])
    for turn in range(rounds(1200)):
        packet = bytearray(turn % 97)
        rng.fill(packet, 0, len(packet))
        if packet and turn & 1:
            packet[0] = 0x45 + (turn >> 1) % 11  # often a plausible IPv4 header
        if len(packet) > 12 and turn & 2:
            packet[12] = 0x50 + (turn << 2) & 0xF0
        checked(parsers[turn % len(parsers)], packet, turn & 3)


def plain_options(options):
    """The option list in plain Python: (code, bits, SACK blocks, scale)."""
    bits = sacks = 0
    scale = None
    i = 0
    sizes = {2: (4,), 3: (3,), 4: (2,), 5: (10, 18, 26, 34), 8: (10,)}
    marks = {2: 1, 3: 2, 4: 4, 5: 8, 8: 16}
    while i < len(options):
        kind = options[i]
        if kind == 0:
            break
        if kind == 1:
            i += 1
            continue
        if i + 1 >= len(options):
            return -2, 0, 0, None
        size = options[i + 1]
        if size < 2 or i + size > len(options):
            return -2, 0, 0, None
        if kind in sizes:
            if size not in sizes[kind]:
                return -2, 0, 0, None
            bits |= marks[kind]
            if kind == 5:
                sacks = size >> 3
            if kind == 3:
                scale = min(options[i + 2], 14)
        i += size
    return 0, bits, sacks, scale


def test_random_options():
    rng = frames.Random(2018)
    legal = 0
    for turn in range(rounds(2000)):
        n = 4 * rng.below(11)
        options = bytearray(n)
        rng.fill(options, 0, n)
        # Random bytes alone are almost never an option list: write some that are nearly one.
        i = 0
        while i < n and turn % 4:
            kind = (1, 2, 3, 4, 5, 8, 1, 12)[rng.below(8)]
            size = (1, 4, 3, 2, 10 + 8 * rng.below(4), 10, 1, 2 + rng.below(5))[
                (1, 2, 3, 4, 5, 8, 1, 12).index(kind)
            ]
            if rng.below(40) == 0:
                size = rng.below(12)
            if rng.below(12) == 0:
                kind = 0
            options[i] = kind
            if kind > 1 and i + 1 < n:
                options[i + 1] = size
            i += max(size, 1)
        segment = bytearray(frames.TCP_DATA[34:54] + options + frames.TCP_DATA[66:])
        segment[12] = 5 + n // 4 << 4
        code, rec = checked(parse_tcp_unverified, segment, turn & 3)
        expected, bits, sacks, scale = plain_options(options)
        assert code == expected, options
        if code == 0:
            legal += bits > 0
            assert rec[_OPTIONS] == bits and rec[_LENGTH] == 5, options
            assert rec[_SACKS] == sacks and rec[_PAYLOAD] == (turn & 3) + 20 + n
            assert scale is None or rec[_SCALE] == scale
    assert legal > rounds(300)  # the generator is worth its time


def test_mutated_frames_through_all_layers():
    rng = frames.Random(4711)
    rec = new_record()
    passed = 0
    for turn in range(rounds(3000)):
        frame = bytearray(b"\xaa\xaa" + frames.IP_FRAMES[turn % len(frames.IP_FRAMES)])
        for _ in range(rng.below(4)):
            frame[16 + rng.below(len(frame) - 16)] = rng.bits16() & 0xFF
        end = len(frame) - (rng.below(30) if turn % 5 == 0 else 0)
        if ipv4.parse(frame, 16, end, rec, 0) != 0:
            continue
        data = rec[_DATA]
        stop = rec[_END]
        assert 36 <= data <= stop <= end
        for module in (tcp, udp, icmpv4):
            code = module.parse(frame, data, stop, rec, turn & 1)
            assert code in CODES
            if code == 0:
                passed += 1
                assert data < rec[_PAYLOAD] <= rec[_PAYLOAD] + rec[_LENGTH] <= stop
                if module is icmpv4:
                    quoted = new_record()
                    if icmpv4.parse_quote(frame, rec[_PAYLOAD], stop, quoted) == 0:
                        assert rec[_PAYLOAD] < quoted[_DATA] <= quoted[_END] <= stop
    assert passed > rounds(500)
