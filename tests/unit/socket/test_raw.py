"""Raw IP sockets on a real interface: smoltcp's names first, then what goes beyond."""

from errno import EINVAL

from datagram_support import (
    BROADCAST,
    THEM,
    US,
    Host,
    ip_packet,
    raises,
    udp_packet,
)

from smolmp.socket import raw, udp
from smolmp.socket.datagram import Metadata

EMSGSIZE = 90

PROTO = 63  # "any local network": nobody else's


def packet_out(payload=b"payload", protocol=PROTO, **options):
    return ip_packet(protocol, payload, src=US, dst=THEM, **options)


def packet_in(payload=b"payload", protocol=PROTO, **options):
    return ip_packet(protocol, payload, **options)


def ipv6_packet(protocol, payload):
    header = bytearray(40)
    header[0] = 0x60
    header[4] = len(payload) >> 8
    header[5] = len(payload) & 255
    header[6] = protocol
    header[7] = 64
    header[8] = header[24] = 0xFE
    header[9] = header[25] = 0x80
    header[23] = 1
    header[39] = 2
    return bytes(header) + payload


def opened(host, version=4, protocol=PROTO, **sizes):
    return host.add(raw.Socket(version, protocol, **sizes))


# ---------------------------------------------------------------- smoltcp's tests


def test_send_truncated():
    socket = raw.Socket(4, PROTO, tx=32)
    raises(EMSGSIZE, socket.send, packet_out(bytes(33)))
    assert socket.send(packet_out(bytes(32))) == 52
    assert socket.send(packet_out(b"")) == 20  # its header waits elsewhere
    assert socket.send(packet_out(b"x")) is None


def test_send_dispatch():
    host = Host()
    socket = opened(host)
    assert socket.can_send() and host.sent() == []
    packet = bytearray(packet_out(b"abcdef", hops=7, tos=0x28))
    packet[10] = packet[11] = 0  # the checksum is filled in
    assert socket.send(packet) == 26
    sent = host.sent_one()
    assert (sent.src, sent.dst, sent.protocol) == (US, THEM, PROTO)
    assert (sent.hops, sent.tos, sent.transport) == (7, 0x28, b"abcdef")
    assert host.sent() == []


def test_recv_truncated_slice():
    host = Host()
    socket = opened(host)
    host.receive(packet_in())
    host.receive(packet_in(b"next"))
    raises(EMSGSIZE, socket.recv_into, bytearray(26))  # lost
    buf = bytearray(24)
    assert socket.recv_into(buf) == 24 and buf == packet_in(b"next")


def test_recv_truncated_packet():
    host = Host()
    socket = opened(host, rx=26)
    host.receive(packet_in())  # 27 octets: all or nothing
    assert not socket.can_recv() and socket.rx_dropped == 1
    host.receive(packet_in(b"abcdef"))
    assert socket.recv()[0] == packet_in(b"abcdef")


def test_peek_truncated_slice():
    host = Host()
    socket = opened(host)
    host.receive(packet_in())
    raises(EMSGSIZE, socket.peek_into, bytearray(26))
    assert socket.peek_into(bytearray(27)) == 27
    assert socket.recv()[0] == packet_in()


def test_send_illegal():
    """smoltcp takes these and drops them silently at dispatch."""
    host = Host()
    socket = opened(host)
    good = packet_out()

    def with_octet(at, value):
        packet = bytearray(good)
        packet[at] = value
        return packet

    assert socket.send(good) == 27
    for n in range(27):
        raises(EINVAL, socket.send, good[:n])
        raises(EINVAL, socket.send, good, n)
    raises(EINVAL, socket.send, good, 28)
    raises(EINVAL, socket.send, good, -1)
    raises(EINVAL, socket.send, with_octet(0, 0x35))  # version
    raises(EINVAL, socket.send, with_octet(0, 0x65))
    raises(EINVAL, socket.send, with_octet(0, 0x44))  # header length
    raises(EINVAL, socket.send, with_octet(0, 0x4F))
    raises(EINVAL, socket.send, with_octet(3, 19))  # total length
    raises(EINVAL, socket.send, with_octet(3, 28))
    raises(EINVAL, socket.send, with_octet(6, 0x20))  # a fragment
    raises(EINVAL, socket.send, with_octet(7, 1))
    raises(EINVAL, socket.send, with_octet(9, PROTO + 1))  # protocol
    raises(EINVAL, socket.send, good[:16] + bytes(4) + good[20:])  # no destination
    raises(EINVAL, socket.send, ipv6_packet(PROTO, b""))
    assert len(host.sent()) == 1


def test_recv_process():
    host = Host()
    socket = opened(host)
    assert not socket.can_recv() and socket.recv() is None
    host.receive(packet_in(hops=9))
    assert host.changed == [socket] and socket.can_recv()
    packet, meta = socket.recv()
    assert packet == packet_in(hops=9)
    assert meta.address == THEM and meta.local_address == US and meta.hop_limit == 9
    assert not socket.can_recv()
    host.receive(packet_in(options=b"\x01\x01\x01\x00"))  # with its options
    assert socket.recv()[0] == packet_in(options=b"\x01\x01\x01\x00")
    host.receive(packet_in() + bytes(19))  # without Ethernet's padding
    assert socket.recv()[0] == packet_in()
    assert host.sent() == []  # taken: no ICMP protocol unreachable


def test_peek_process():
    host = Host()
    socket = opened(host)
    assert socket.peek() is None
    host.receive(packet_in())
    meta = Metadata()
    buf = bytearray(40)
    for _ in range(2):
        assert socket.peek()[0] == packet_in()
        assert socket.peek_into(buf, meta) == 27 and meta.address == THEM
    assert socket.recv()[0] == packet_in() and socket.peek() is None


def test_doesnt_accept_wrong_proto():
    host = Host()
    socket = opened(host)
    other_version = opened(host, 6)
    host.receive(packet_in(protocol=PROTO + 1))
    assert not socket.can_recv()
    host.receive(packet_in())
    assert socket.can_recv() and not other_version.can_recv()


def test_unfiltered_sends_all():
    host = Host()
    socket = opened(host, None, None)
    for protocol in (PROTO, 0, 2, 255):
        assert socket.send(packet_out(protocol=protocol)) == 27
    assert [p.protocol for p in host.sent()] == [PROTO, 0, 2, 255]
    assert socket.send(ipv6_packet(PROTO, b"payload")) == 47
    raises(EINVAL, socket.send, b"\x50" + bytes(40))


def test_unfiltered_accepts_all():
    host = Host()
    socket = opened(host, None, None, rx_slots=8)
    packets = [packet_in(protocol=p) for p in (PROTO, 2, 255)] + [udp_packet(b"x", dport=9)]
    for packet in packets:
        host.receive(packet)
    for packet in packets:
        assert socket.recv()[0] == packet
    assert socket.accepts(6, 58) and socket.accepts(4, 1)


# ---------------------------------------------------------------- beyond


def test_filters():
    for version in (None, 4, 6):
        for protocol in (None, 0, 17):
            socket = raw.Socket(version, protocol)
            assert socket.version == version and socket.ip_protocol == protocol
            for v in (4, 6):
                for p in (0, 1, 17):
                    expected = version in (None, v) and protocol in (None, p)
                    assert socket.accepts(v, p) == expected


def test_options_are_not_carried():
    host = Host()
    socket = opened(host)
    packet = packet_out(options=b"\x94\x04\x00\x00")
    assert socket.send(packet) == 31
    assert host.sent_one().transport == b"payload"


def test_octets_behind_the_packet_are_ignored():
    host = Host()
    socket = opened(host)
    assert socket.send(packet_out() + b"rest") == 31
    assert host.sent_one().transport == b"payload"


def test_source_as_given():
    host = Host()
    socket = opened(host)
    socket.send(ip_packet(PROTO, b"x", src="192.168.69.77", dst=THEM))
    assert host.sent_one().src == "192.168.69.77"
    socket.send(ip_packet(PROTO, b"x", src="0.0.0.0", dst="255.255.255.255"))
    assert host.sent_one().src == "0.0.0.0"


def test_copies_and_the_rest_of_the_stack():
    host = Host()
    raws = [opened(host, 4, 17), opened(host, None, None)]
    socket = host.add(udp.Socket())
    socket.bind(6969)
    packet = udp_packet(b"hello")
    host.receive(packet)
    assert [s.recv()[0] for s in raws] == [packet] * 2
    assert socket.recv()[0] == b"hello"


def test_taken_by_a_raw_socket_is_not_unreachable():
    host = Host()
    opened(host, 4, 17)
    host.receive(udp_packet(b"anybody?", dport=9))
    host.receive(packet_in())
    assert [(p.type, p.code) for p in host.sent()] == [(3, 2)]  # the one nobody took


def test_broadcast():
    host = Host()
    socket = opened(host)
    host.receive(packet_in(dst=BROADCAST))
    assert socket.recv()[1].local_address == BROADCAST


def test_ipv6_header():
    socket = raw.Socket(6, PROTO)
    good = ipv6_packet(PROTO, b"payload")
    assert socket.send(good) == 47
    for n in range(47):
        raises(EINVAL, socket.send, good[:n])
    meta = Metadata()
    socket._tx.peek_into(bytearray(64), 0, 64, meta.flow)
    assert meta.local_address == "fe80::1" and meta.address == "fe80::2"
    assert meta.flow[0] == 6 and meta.flow[1] == PROTO and meta.hop_limit == 64


def test_the_largest():
    host = Host()
    socket = opened(host, rx=1500, tx=3000)
    payload = bytes([i & 255 for i in range(1480)])
    socket.send(packet_out(payload))
    assert host.sent_one().transport == payload
    socket.send(packet_out(payload + b"x"))
    socket.send(packet_out(b"after"))
    assert host.sent_one().transport == b"after" and socket.tx_dropped == 1
    host.receive(packet_in(payload))
    assert socket.recv()[0] == packet_in(payload)


def test_queues_full():
    host = Host()
    socket = opened(host, rx=100, rx_slots=2, tx=100, tx_slots=2)
    for i in range(3):
        host.receive(packet_in(bytes([i])))
    assert socket.rx_dropped == 1
    assert [socket.recv()[0][20] for _ in range(2)] == [0, 1]
    assert socket.send(packet_out()) and socket.send(packet_out())
    assert not socket.can_send() and socket.send(packet_out()) is None
    assert len(host.sent()) == 2 and socket.can_send()


def test_close():
    host = Host()
    socket = opened(host)
    host.receive(packet_in())
    socket.send(packet_out())
    socket.close()
    assert socket.recv() is None and host.sent() == []
    host.receive(packet_in())
    assert socket.recv() is None  # closed sockets take nothing
