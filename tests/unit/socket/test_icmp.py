"""ICMP sockets on a real interface: smoltcp's names first, then what goes beyond."""

from errno import EINVAL

from datagram_support import (
    BROADCAST,
    ETHERNET,
    OTHER,
    THEM,
    US,
    Host,
    icmp_message,
    icmp_packet,
    ip_packet,
    raises,
    udp_packet,
)

from smolmp.socket import icmp, udp
from smolmp.socket.datagram import Metadata
from smolmp.socket.icmp import Endpoint

EADDRNOTAVAIL = 99
EMSGSIZE = 90

IDENT = 0x1234
ECHO = b"\x12\x34\xab\xcd"  # the identifier and a sequence number


def bound(host, endpoint, **sizes):
    socket = host.add(icmp.Socket(**sizes))
    socket.bind(endpoint)
    return socket


def echoes(packets):
    """The packets that are no echo replies of the interface."""
    return [p for p in packets if not (p.protocol == 1 and p.type == 0)]


# ---------------------------------------------------------------- smoltcp's tests


def test_send_unaddressable():
    socket = icmp.Socket()
    message = icmp_message(8, 0, ECHO, b"data")
    raises(EADDRNOTAVAIL, socket.send, message)
    raises(EADDRNOTAVAIL, socket.send_to, message, "0.0.0.0")
    raises(EADDRNOTAVAIL, socket.send_to, message, "fe80::1")
    assert socket.send_to(message, THEM) == 12


def test_send_dispatch():
    host = Host()
    socket = bound(host, Endpoint.ident(IDENT))
    assert socket.can_send() and host.sent() == []
    # The checksum is filled in, whatever stands there.
    assert socket.send_to(b"\x08\x00\xff\xff" + ECHO + b"data", THEM) == 12
    packet = host.sent_one()
    assert (packet.src, packet.dst, packet.protocol, packet.hops) == (US, THEM, 1, 64)
    assert packet.transport == icmp_message(8, 0, ECHO, b"data")
    assert host.sent() == []


def test_set_hop_limit_v4():
    host = Host()
    socket = bound(host, Endpoint.ident(IDENT))
    socket.hop_limit = 0x2A
    socket.send_echo(THEM, 1)
    assert host.sent_one().hops == 0x2A
    try:
        socket.hop_limit = 0
        raise AssertionError
    except ValueError:
        pass


def test_recv_process():
    host = Host()
    socket = bound(host, Endpoint.ident(IDENT))
    assert not socket.can_recv() and socket.recv() is None
    host.receive(icmp_packet(0, 0, ECHO, b"data", hops=50))
    assert host.changed == [socket] and socket.can_recv()
    message, meta = socket.recv()
    assert message == icmp_message(0, 0, ECHO, b"data")
    assert meta.address == THEM and meta.local_address == US and meta.hop_limit == 50
    assert not socket.can_recv() and socket.recv() is None
    host.receive(icmp_packet(8, 0, ECHO, b"data"))  # a request: ours as well, and answered
    assert socket.recv()[0] == icmp_message(8, 0, ECHO, b"data")


def test_accept_bad_id():
    host = Host()
    socket = bound(host, Endpoint.ident(0x4321))
    host.receive(icmp_packet(0, 0, ECHO, b"data"))
    host.receive(icmp_packet(8, 0, ECHO, b"data"))
    assert not socket.can_recv()


def test_accepts_udp():
    host = Host()
    socket = bound(host, Endpoint.udp((US, 9090)))
    quote = udp_packet(bytes(10), 9090, 9091, US, THEM)
    host.receive(icmp_packet(3, 3, bytes(4), quote))
    message, meta = socket.recv()
    assert message == icmp_message(3, 3, bytes(4), quote) and meta.address == THEM
    # From another port, another address, another protocol.
    host.receive(icmp_packet(3, 3, bytes(4), udp_packet(b"", 9092, 9091, US, THEM)))
    host.receive(icmp_packet(3, 3, bytes(4), udp_packet(b"", 9090, 9091, OTHER, THEM)))
    host.receive(icmp_packet(3, 3, bytes(4), ip_packet(6, quote[20:28] + bytes(12), US, THEM)))
    assert not socket.can_recv()


def test_truncated_recv_slice():
    host = Host()
    socket = bound(host, Endpoint.ident(IDENT))
    for _ in range(2):
        host.receive(icmp_packet(0, 0, ECHO, b"data"))
    buf = bytearray(16)
    raises(EMSGSIZE, socket.recv_into, bytearray(11))
    assert socket.recv_into(buf) == 12 and buf[:12] == icmp_message(0, 0, ECHO, b"data")
    assert socket.recv_into(buf) is None


# ---------------------------------------------------------------- beyond


def test_bind():
    socket = icmp.Socket()
    raises(EADDRNOTAVAIL, socket.bind, Endpoint.udp(0))
    raises(EADDRNOTAVAIL, socket.bind, Endpoint.tcp((US, 0)))
    raises(EADDRNOTAVAIL, socket.bind, Endpoint.udp(("fe80::1", 1)))
    raises(EINVAL, Endpoint.ident, 65536)
    assert not socket.is_open and socket.ident is None
    socket.bind(Endpoint.ident(0))
    assert socket.is_open and socket.ident == 0 and socket.local is None
    raises(EINVAL, socket.bind, Endpoint.ident(1))
    socket.close()
    socket.bind(Endpoint.tcp((US, 80)))
    assert socket.local == (US, 80) and socket.ident is None


def test_accepts_tcp_truncated():
    """RFC 792 promises no more than 8 octets of the transport header."""
    host = Host()
    here = bound(host, Endpoint.tcp(80))
    segment = b"\x00\x50\x10\x00" + bytes(16)
    quote = ip_packet(6, segment + bytes(500), US, THEM)[:28]
    for kind, code in ((3, 1), (3, 4), (11, 0), (12, 0)):
        host.receive(icmp_packet(kind, code, bytes(4), quote))
        message = here.recv()[0]
        assert message[:2] == bytes([kind, code]) and message[8:] == quote
    for n in range(24):  # cut before the ports
        host.receive(icmp_packet(3, 1, bytes(4), quote[:n]))
        assert here.recv() is None, n
    host.receive(icmp_packet(5, 1, bytes(4), quote))  # a redirect is no error
    assert here.recv() is None


def test_error_about_an_echo_request():
    host = Host()
    socket = bound(host, Endpoint.ident(IDENT))
    socket.hop_limit = 1
    socket.send_echo(THEM, 7, b"trace")
    request = host.sent_one().data
    host.receive(icmp_packet(11, 0, bytes(4), request[:28], src=OTHER))
    message, meta = socket.recv()
    assert message[0] == 11 and message[8:] == request[:28] and meta.address == OTHER
    reply = bytearray(request[:28])
    reply[20] = 0  # we were the one to answer: not the ping's business
    host.receive(icmp_packet(11, 0, bytes(4), bytes(reply), src=OTHER))
    assert socket.recv() is None


def test_copies():
    host = Host()
    pings = [bound(host, Endpoint.ident(IDENT)) for _ in range(2)]
    other = bound(host, Endpoint.ident(1))
    errors = [bound(host, Endpoint.udp(9090)) for _ in range(2)]
    host.receive(icmp_packet(0, 0, ECHO, b"data"))
    assert set(host.changed) == set(pings)
    for socket in pings:
        assert socket.recv()[0] == icmp_message(0, 0, ECHO, b"data")
    host.receive(icmp_packet(3, 3, bytes(4), udp_packet(b"", 9090, 1, US, THEM)))
    assert [s.can_recv() for s in pings + [other] + errors] == [False] * 3 + [True] * 2


def test_send_echo():
    host = Host()
    socket = bound(host, Endpoint.ident(IDENT))
    assert socket.send_echo(THEM, 0xABCD, b"payload") == 15
    packet = host.sent_one()
    assert packet.transport == icmp_message(8, 0, ECHO, b"payload")
    errors = bound(host, Endpoint.udp(1))
    raises(EINVAL, errors.send_echo, THEM, 1)


def test_send_malformed():
    socket = icmp.Socket(tx=64)
    for n in range(8):
        raises(EINVAL, socket.send_to, bytes(n), THEM)
    raises(EINVAL, socket.send, bytes(8), 9, Metadata(THEM))
    raises(EMSGSIZE, socket.send_to, bytes(65), THEM)
    assert socket.send_to(bytes(8), THEM) == 8


def test_the_largest():
    host = Host()
    socket = bound(host, Endpoint.ident(IDENT), rx=4096, tx=4096)
    payload = bytes([i & 255 for i in range(1472)])
    socket.send_echo(THEM, 1, payload)
    packet = host.sent_one()
    assert packet.payload == payload
    socket.send_echo(THEM, 2, payload + b"x")
    assert host.sent() == [] and socket.tx_dropped == 1
    host.receive(icmp_packet(0, 0, ECHO, payload))
    assert socket.recv()[0][8:] == payload


def test_source_addresses():
    host = Host(ip_addrs=(US + "/24", "192.168.69.2/24"))
    socket = bound(host, Endpoint.ident(IDENT))
    message = icmp_message(8, 0, ECHO)
    socket.send(message, None, Metadata(THEM, "192.168.69.2"))
    assert host.sent_one().src == "192.168.69.2"
    here = bound(host, Endpoint.udp(("192.168.69.2", 9)))
    here.send_to(message, THEM)
    assert host.sent_one().src == "192.168.69.2"


def test_send_without_route():
    host = Host(gateway=None, medium=ETHERNET)
    socket = bound(host, Endpoint.ident(IDENT))
    socket.send_echo("10.0.0.1", 1)
    socket.send_echo(BROADCAST, 2)
    assert host.sent_one().dst == BROADCAST and socket.tx_dropped == 1


def test_peek():
    host = Host()
    socket = bound(host, Endpoint.ident(IDENT))
    assert socket.peek() is None
    host.receive(icmp_packet(0, 0, ECHO, b"data"))
    buf = bytearray(20)
    meta = Metadata()
    for _ in range(2):
        assert socket.peek()[0] == icmp_message(0, 0, ECHO, b"data")
        assert socket.peek_into(buf, meta) == 12 and meta.address == THEM
    raises(EMSGSIZE, socket.peek_into, bytearray(11))
    assert socket.recv()[0] == buf[:12] and socket.peek() is None


def test_close():
    host = Host()
    socket = bound(host, Endpoint.ident(IDENT))
    host.receive(icmp_packet(0, 0, ECHO, b"data"))
    socket.send_echo(THEM, 1)
    socket.close()
    assert not socket.is_open and socket.recv() is None
    assert host.sent() == []
    host.receive(icmp_packet(0, 0, ECHO, b"data"))
    assert socket.recv() is None
    socket.bind(Endpoint.ident(5))
    host.receive(icmp_packet(0, 0, b"\0\5\0\1"))
    assert socket.can_recv()


def test_receive_queue_full():
    host = Host()
    socket = bound(host, Endpoint.ident(IDENT), rx=100, rx_slots=2)
    for i in range(3):
        host.receive(icmp_packet(0, 0, ECHO, bytes([i]) * 20))
    assert socket.rx_dropped == 1
    assert [socket.recv()[0][8] for _ in range(2)] == [0, 1]


def test_damaged_messages_are_nobodys():
    host = Host()
    socket = bound(host, Endpoint.ident(IDENT))
    good = icmp_packet(0, 0, ECHO, b"data")
    for i in range(20, len(good)):
        bad = bytearray(good)
        bad[i] ^= 4
        host.receive(bytes(bad))
        assert not socket.can_recv(), i
    host.receive(ip_packet(1, b"\0\0\0\0"))
    assert not socket.can_recv()


def test_beside_a_udp_socket():
    """Both learn: the ICMP socket gets the message, the connected UDP socket the errno."""
    host = Host()
    watch = bound(host, Endpoint.udp(6969))
    socket = host.add(udp.Socket())
    socket.bind(6969)
    socket.connect((THEM, 4000))
    socket.send(b"knock")
    quote = host.sent_one().data
    host.receive(icmp_packet(3, 3, bytes(4), quote))
    assert watch.recv()[0][8:] == quote
    assert socket in host.changed and watch in host.changed
