"""pretty: a readable line for real frames, and some line for any bytes."""

import wire_frames as frames

from smolmp.wire import icmpv4
from smolmp.wire.pretty import format_frame

LINK = "02:00:00:00:00:0a > 02:00:00:00:00:0b "
BACK = "02:00:00:00:00:0b > 02:00:00:00:00:0a "


def line(frame, medium=1):
    return format_frame(frame, 0, len(frame), medium)


def test_arp():
    assert line(frames.ARP_REQUEST) == (
        "02:00:00:00:00:0a > ff:ff:ff:ff:ff:ff ARP who has 192.168.69.1? tell 192.168.69.100"
    )
    assert line(frames.ARP_REPLY) == BACK + "ARP 192.168.69.1 is at 02:00:00:00:00:0b"
    assert line(frames.ARP_REPLY[:41]) == BACK + "ARP (truncated)"


def test_icmp():
    assert line(frames.PING) == LINK + (
        "IP 192.168.69.100 > 192.168.69.1 ICMP echo request, id 9344, seq 1, length 24"
    )
    assert line(frames.PORT_UNREACHABLE[14:], 2) == (
        "IP 192.168.69.1 > 192.168.69.100 ICMP unreachable port, length 37, "
        "quoting 192.168.69.100:38237 > 192.168.69.1:7777 UDP"
    )


def icmp_line(kind, code, high=0, low=0, data=b""):
    frame = bytearray(frames.PONG[14:34] + bytes(8) + data)
    icmpv4.emit(frame, 20, kind, code, high, low, len(frame))
    frame[2] = len(frame) >> 8
    frame[3] = len(frame) & 0xFF
    frame[10:12] = b"\0\0"
    total = frames.oracle_sum(frame[:20]) ^ 0xFFFF
    frame[10] = total >> 8
    frame[11] = total & 0xFF
    text = line(frame, 2)
    head = "IP 192.168.69.1 > 192.168.69.100 ICMP "
    assert text.startswith(head)
    return text[len(head) :]


def test_icmp_messages():
    ping = frames.PING[14:42]
    quoting = (
        ", length 36, quoting 192.168.69.100 > 192.168.69.1 ICMP echo request, id 9344, seq 1"
    )
    assert icmp_line(3, 4, 0, 1400, ping) == "unreachable need to fragment, mtu 1400" + quoting
    assert icmp_line(3, 99, 0, 0, ping) == "unreachable code 99" + quoting
    assert icmp_line(11, 0, 0, 0, ping) == "time exceeded in transit" + quoting
    assert icmp_line(12, 0, 0x1400, 0, ping) == "parameter problem at pointer 20" + quoting
    assert icmp_line(5, 1, 0x0A00, 0x0001, ping) == "redirect host to 10.0.0.1" + quoting
    assert icmp_line(3, 1, 0, 0, ping[:19]) == "unreachable host, length 27, quoting (truncated)"
    assert icmp_line(9, 0) == "router advertisement, length 8"
    assert icmp_line(10, 0) == "router solicitation, length 8"
    assert icmp_line(13, 0, 1, 2, bytes(12)) == "timestamp request, id 1, seq 2, length 20"
    assert icmp_line(14, 0) == "(truncated)"
    assert icmp_line(77, 5) == "type 77 code 5, length 8 (unknown)"


def test_udp():
    assert line(frames.UDP_HELLO) == LINK + (
        "IP 192.168.69.100:41409 > 192.168.69.1:6969 UDP, length 6"
    )


def test_tcp():
    assert line(frames.TCP_SYN) == LINK + (
        "IP 192.168.69.100:51902 > 192.168.69.1:6970 TCP [S], seq 3232293679, win 64240, options "
        "[mss 1460,wscale 10,sackOK,TS val 1414172877 ecr 0], length 0"
    )
    assert line(frames.TCP_DATA) == LINK + (
        "IP 192.168.69.100:51902 > 192.168.69.1:6970 TCP [P.], seq 3232293680:3232293685, "
        "ack 2121637856, win 63, options [TS val 1414172877 ecr 113417885], length 5"
    )
    assert line(frames.TCP_RST) == BACK + (
        "IP 192.168.69.1:7777 > 192.168.69.100:59336 TCP [R.], seq 0, ack 3795837824, win 0, "
        "length 0"
    )


def test_bad_checksums_are_named():
    for frame, at, text in (
        (frames.TCP_DATA, 70, "(bad checksum)"),
        (frames.UDP_HELLO, 47, "(bad checksum)"),
        (frames.PING, 50, "(bad checksum)"),
        (frames.PING, 22, "(bad header checksum)"),
    ):
        frame = bytearray(frame)
        frame[at] ^= 1
        assert line(frame).endswith(text)


def test_fragment():
    frame = bytearray(frames.UDP_HELLO[14:])
    frame[6] = 0
    frame[7] = 3
    assert line(frame, 2).startswith("IP 192.168.69.100 > 192.168.69.1 UDP, length 14 (bad header")
    assert line(frame, 2).endswith("(fragment of 22687 at 24)")


def test_ipv6():
    head = (
        b"\x60\0\0\0\0\x0c\x11\x40" + b"\xfe\x80" + bytes(13) + b"\x01" + b"\xff\x02" + bytes(13)
    )
    frame = head + b"\xfb\x14\xe9\xe9\x14\0\x0c\x12\x34\0\0\0\0"
    text = "IP6 [fe80::1]:5353 > [ff02::fb]:59668 UDP, length 4 (bad checksum)"
    assert line(frame, 2) == text
    assert line(frame[:39], 2) == "IP6 (truncated)"
    assert line(frame[:51], 2) == "IP6 (truncated)"
    ndp = head[:4] + b"\0\x04\x3a" + head[7:] + b"\xfb\x87\0\0\0"
    assert line(ndp, 2) == "IP6 fe80::1 > ff02::fb ICMPv6 type 135 code 0, length 4"


def test_other_types():
    assert line(frames.PING[:12] + b"\x88\xcc" + bytes(4)) == LINK + "type 0x88cc, length 4"
    assert line(frames.PING[:12] + b"\0\x26" + bytes(38)) == LINK + "802.3 length 38"
    assert line(bytes(13)) == "Ethernet (truncated)"
    assert line(b"", 2) == "IP (truncated)"
    assert line(bytes(20), 2) == "IP (malformed)"
    assert line(bytes(20), 3) == "20 bytes"


def test_offsets_are_clamped():
    assert format_frame(frames.PING, -5, 10000, 1) == line(frames.PING)
    assert format_frame(frames.PING, 100, 10, 1) == "Ethernet (truncated)"


# not on a board: minutes of frames
def test_any_bytes():
    rng = frames.Random(4242)
    every = frames.IP_FRAMES + (frames.ARP_REQUEST, frames.ARP_REPLY)
    for turn in range(1500):
        frame = bytearray(every[turn % len(every)])
        for _ in range(rng.below(6)):
            frame[12 + rng.below(len(frame) - 12)] = rng.bits16() & 0xFF
        frame = frame[: len(frame) - rng.below(20)] if turn & 1 else frame
        assert line(frame, 1) and line(frame[14:], 2)
    for n in range(300):
        frame = bytearray(n % 100)
        rng.fill(frame, 0, len(frame))
        assert line(frame, n & 3)
