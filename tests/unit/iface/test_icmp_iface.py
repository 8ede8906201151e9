"""Echo replies and ICMP errors: RFC 792, RFC 1122 3.2.2, RFC 1812 4.3.2.

After smoltcp's iface/interface/tests/ipv4.rs.
"""

from support import (
    BROADCAST,
    BROADCAST_MAC,
    IP,
    OTHER_IP,
    OUR_IP,
    PEER_IP,
    SUBNET_BROADCAST,
    Net,
    echo,
    frame,
    icmp,
    inet_checksum,
    ipv4,
    payload,
    u16,
)
from support import udp as udp_packet

from smolmp.socket import raw, udp  # noqa: F401  udp registers its handler
from smolmp.socket.protocols import HANDLERS, ICMP_ERRORS, ICMP_LISTENERS

UNKNOWN = 0x0C  # the protocol of smoltcp's tests


def net_ip(**options):
    return Net(medium=IP, **options)


def error(out):
    """The one ICMP error in `out`: (type, code, rest of header, quote)."""
    assert len(out) == 1, out
    protocol, src, dst, message = payload(out[0])
    assert protocol == 1 and src == OUR_IP and dst == PEER_IP
    assert inet_checksum(message) == 0
    return message[0], message[1], message[4:8], message[8:]


# Echo.


def test_echo():
    net = net_ip()
    for n in (0, 1, 2, 3, 56, 57, 1472):
        data = bytes([i * 7 & 255 for i in range(n)])
        out = net.rx(icmp(8, 0, echo(0x1234, n, data)))
        assert out == [icmp(0, 0, echo(0x1234, n, data), OUR_IP, PEER_IP)], n
    assert net.count("icmp_echos") == 7


def test_echo_with_every_checksum():
    """The reply's checksum is the request's, updated: mind both zeros."""
    net = net_ip()
    for i in range(0, 65536, 251):
        out = net.rx(icmp(8, 0, u16(i) + b"\0\0"))
        assert out == [icmp(0, 0, u16(i) + b"\0\0", OUR_IP, PEER_IP)], i
    for word in (0xF7FF, 0xF7FE, 0xF800, 0x07FF, 0xFFFF):
        out = net.rx(icmp(8, 0, u16(word) + b"\0\0"))
        assert inet_checksum(payload(out[0])[3]) == 0


def test_echo_keeps_the_type_of_service():
    net = net_ip()
    request = icmp(8, 0, echo(1, 1))
    out = net.rx(ipv4(1, request[20:], tos=0xB8))
    assert out[0][1] == 0xB8 and out[0][8] == 64


def test_echo_from_a_packet_with_options():
    net = net_ip()
    packet = icmp(8, 0, echo(1, 1))
    header = b"\x46" + packet[1:2] + u16(len(packet) + 4) + packet[4:10] + b"\0\0"
    header += packet[12:20] + b"\x01\x01\x01\0"
    header = header[:10] + u16(inet_checksum(header)) + header[12:]
    assert net.rx(header + packet[20:]) == [icmp(0, 0, echo(1, 1), OUR_IP, PEER_IP)]


def test_damaged_echo():
    net = net_ip()
    good = icmp(8, 0, echo(1, 1))
    assert net.rx(good[:-1] + b"\x55") == []
    assert net.rx(ipv4(1, b"\x08\0")) == []
    assert (net.count("rx_bad_checksum"), net.count("rx_truncated")) == (1, 1)


def test_echo_reply_and_strange_types_are_not_answered():
    net = net_ip()
    for kind in (0, 1, 4, 5, 9, 10, 13, 17, 200):
        assert net.rx(icmp(kind, 0, bytes(20))) == [], kind


def test_broadcast_echo_is_a_choice():
    """smoltcp answers from its first address; we do only when told to."""
    for dst in (BROADCAST, SUBNET_BROADCAST, "224.0.0.1"):
        net = net_ip()
        assert net.rx(icmp(8, 0, echo(1, 1), dst=dst)) == []
        net = net_ip(echo_broadcast=True)
        assert net.rx(icmp(8, 0, echo(1, 1), dst=dst)) == [icmp(0, 0, echo(1, 1), OUR_IP, PEER_IP)]


# Errors.


def test_protocol_unreachable():
    net = net_ip()
    packet = ipv4(UNKNOWN, b"abcdefghijklmnop")
    assert error(net.rx(packet)) == (3, 2, bytes(4), packet)
    assert net.count("ip_no_protocol") == 1 and net.count("icmp_errors") == 1


def test_icmp_error_no_payload():
    net = net_ip()
    packet = ipv4(UNKNOWN, b"")
    assert error(net.rx(packet)) == (3, 2, bytes(4), packet)


def test_no_icmp_no_unicast():
    net = net_ip()
    for dst in (BROADCAST, SUBNET_BROADCAST, "224.0.0.1"):
        assert net.rx(ipv4(UNKNOWN, b"abcdefgh", dst=dst)) == []
        assert net.rx(udp_packet(b"hello", dst=dst)) == []


def test_icmp_error_port_unreachable():
    net = net_ip()
    packet = udp_packet(b"Hello, world!", 67, 68)
    assert error(net.rx(packet)) == (3, 3, bytes(4), packet)


def test_icmp_reply_size():
    """RFC 1812 4.3.2.3: as much as fits 576 bytes."""
    net = net_ip()
    packet = udp_packet(bytes(600), 67, 68)
    out = net.rx(packet)
    assert len(out[0]) == 576
    assert error(out)[3] == packet[:548]
    packet = udp_packet(bytes(548 - 28), 67, 68)
    assert error(net.rx(packet))[3] == packet


def test_errors_fit_a_small_mtu():
    net = net_ip(mtu=296)
    packet = udp_packet(bytes(268), 67, 68)
    assert len(packet) == 296
    out = net.rx(packet)
    assert len(out[0]) == 296 and error(out)[3] == packet[:268]


def test_no_errors_about_errors():
    from smolmp.iface import icmp as module

    net = net_ip()
    assert HANDLERS.pop(1) is module.ingress  # as if ICMP were unknown
    for kind in range(20):
        out = net.rx(icmp(kind, 0, bytes(20)))
        expected = kind in (0, 8, 9, 10, 13, 14, 15, 16, 17, 18)
        assert len(out) == expected, kind
    HANDLERS[1] = module.ingress


def test_no_errors_about_later_fragments():
    net = net_ip()
    fragments = []

    def deliver(iface, sockets):
        fragments.append(iface.icmp_error(11, 1))

    net.iface.reassemble = deliver
    for fragment in (0x2000, 0x2001, 0x0001):
        net.rx(ipv4(17, b"12345678", fragment=fragment))
    assert fragments == [True, False, False]


def test_no_errors_to_strange_sources():
    net = net_ip()
    for src in ("240.0.0.1", "0.0.0.0", "127.0.0.1", SUBNET_BROADCAST, OUR_IP):
        assert net.rx(ipv4(UNKNOWN, b"abcdefgh", src)) == [], src


def test_no_errors_about_link_broadcasts():
    net = Net()
    net.meet()
    assert net.rx(frame(ipv4(UNKNOWN, b"abcdefgh"), dst=BROADCAST_MAC)) == []
    assert len(net.rx(frame(ipv4(UNKNOWN, b"abcdefgh")))) == 1


def test_errors_are_rate_limited():
    net = net_ip(icmp_rate=10, icmp_burst=3, frames=20)
    packet = ipv4(UNKNOWN, b"abcdefgh")
    assert len(net.rx(*[packet] * 8)) == 3
    assert net.count("icmp_limited") == 5
    net.advance(99)
    assert net.rx(packet) == []
    net.advance(1)
    assert len(net.rx(packet, packet)) == 1
    for _ in range(10):  # shorter steps than a token takes
        net.advance(33)
    assert len(net.rx(packet, packet, packet, packet)) == 3
    net.advance(20000)
    assert len(net.rx(*[packet] * 8)) == 3
    # echo replies are no errors
    assert len(net.rx(*[icmp(8, 0, echo(1, 1))] * 8)) == 8


# not from .mpy files: 180 KB of frames
def test_a_low_rate_is_kept_over_long_pauses():
    packet = ipv4(UNKNOWN, b"abcdefgh")
    net = net_ip(icmp_rate=1, icmp_burst=50, mtu=576, frames=60)
    assert len(net.rx(*[packet] * 60)) == 50
    net.advance(15000)
    assert len(net.rx(*[packet] * 60)) == 15
    net.advance(60000)
    assert len(net.rx(*[packet] * 60)) == 50
    net = net_ip(icmp_rate=0, icmp_burst=3, frames=20)  # three, and never again
    assert len(net.rx(*[packet] * 8)) == 3
    net.advance(100000)
    assert net.rx(packet) == [] and net.count("icmp_limited") == 6


def test_error_with_a_parameter():
    net = net_ip()
    HANDLERS[UNKNOWN] = lambda iface, sockets: iface.icmp_error(3, 4, 1400)
    assert error(net.rx(ipv4(UNKNOWN, b"abcdefgh")))[:3] == (3, 4, b"\0\0\x05\x78")
    HANDLERS[UNKNOWN] = lambda iface, sockets: iface.icmp_error(12, 0, 20 << 24)
    assert error(net.rx(ipv4(UNKNOWN, b"abcdefgh")))[:3] == (12, 0, b"\x14\0\0\0")
    del HANDLERS[UNKNOWN]


def test_any_ip_error_comes_from_the_address_asked():
    net = net_ip(any_ip=True)
    out = net.rx(ipv4(UNKNOWN, b"abcdefgh", dst="8.8.8.8"))
    assert payload(out[0])[1:3] == ("8.8.8.8", PEER_IP)


# Errors and messages that arrive.


def test_errors_reach_the_protocol_they_quote():
    net = net_ip()
    got = []

    def note(iface, sockets):
        rec, quoted = iface.rec, iface.quoted
        got.append((rec[43], rec[44], quoted[2], quoted[3]))

    kept = ICMP_ERRORS.get(17)
    ICMP_ERRORS[17] = note
    ours = udp_packet(b"hello", 5000, 53, OUR_IP, OTHER_IP)
    for kind, code in ((3, 3), (11, 0), (12, 0)):
        assert net.rx(icmp(kind, code, bytes(4) + ours[:28])) == []
    assert got == [(3, 3, 5000, 53), (11, 0, 5000, 53), (12, 0, 5000, 53)]
    # not about a packet that somebody else sent, not to a broadcast, not cut short
    theirs = udp_packet(b"hello", 5000, 53, OTHER_IP, PEER_IP)
    net.rx(icmp(3, 3, bytes(4) + theirs[:28]))
    net.rx(icmp(3, 3, bytes(4) + ours[:28], dst=BROADCAST))
    net.rx(icmp(3, 3, bytes(4) + ours[:19]))
    net.rx(icmp(4, 0, bytes(4) + ours[:28]))
    assert len(got) == 3
    # a quote without ports is a quote all the same
    net.rx(icmp(3, 1, bytes(4) + ours[:20]))
    assert got[3] == (3, 1, 0, 0)
    del ICMP_ERRORS[17]
    if kept is not None:
        ICMP_ERRORS[17] = kept


def test_listeners_see_every_message():
    net = net_ip()
    got = []
    listener = lambda iface, sockets: got.append(iface.rec[43])  # noqa: E731
    ICMP_LISTENERS.append(listener)
    net.rx(icmp(8, 0, echo(1, 1)))
    net.rx(icmp(0, 0, echo(1, 1)))
    net.rx(icmp(3, 1, bytes(30)))
    ICMP_LISTENERS.remove(listener)
    assert got == [8, 0, 3]


# Raw sockets take a packet away from the errors.


def test_raw_socket_no_reply_udp():
    net = net_ip()
    socket = net.sockets.add(raw.Socket(4, 17))
    packet = udp_packet(b"\x2a" * 10, 67, 68)
    assert net.rx(packet) == []
    assert net.changed == [socket] and socket.recv()[0] == packet
    net.sockets.remove(socket)
    assert len(net.rx(packet)) == 1  # and gives it back


def test_raw_socket_with_udp_socket():
    net = net_ip()
    u = net.sockets.add(udp.Socket())
    u.bind(68)
    r = net.sockets.add(raw.Socket(4, 17))
    packet = udp_packet(b"\x2a" * 10, 67, 68)
    assert net.rx(packet) == [] and net.changed == [u, r]
    assert u.recv()[0] == b"\x2a" * 10 and r.recv()[0] == packet


def test_raw_socket_for_an_unknown_protocol():
    net = net_ip()
    net.sockets.add(raw.Socket(4, UNKNOWN))
    assert net.rx(ipv4(UNKNOWN, b"abcdefgh")) == []
    assert len(net.rx(ipv4(UNKNOWN + 1, b"abcdefgh"))) == 1
    assert net.iface.raw_handled is False


def test_handle_igmp():
    """A protocol of somebody else's plugs in."""
    net = Net()
    got = []
    HANDLERS[2] = lambda iface, sockets: got.append(iface.rec[22])
    query = b"\x11\x64\xee\x9b\0\0\0\0"
    packet = ipv4(2, query, "0.0.0.0", "224.0.0.1", hops=1)
    assert net.rx(frame(packet, dst=b"\x01\0\x5e\0\0\x01")) == []
    del HANDLERS[2]
    assert got == [2]
