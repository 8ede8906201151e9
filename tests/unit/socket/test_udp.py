"""UDP sockets on a real interface: smoltcp's names first, then what goes beyond."""

from errno import EINVAL

from datagram_support import (
    BROADCAST,
    ETHERNET,
    GROUP,
    OTHER,
    THEM,
    US,
    Host,
    raises,
    udp_packet,
)

from smolmp.socket import udp

EADDRNOTAVAIL = 99
EMSGSIZE = 90


def bound(host, endpoint=6969, **sizes):
    socket = host.add(udp.Socket(**sizes))
    socket.bind(endpoint)
    return socket


# ---------------------------------------------------------------- smoltcp's tests


def test_bind_unaddressable():
    socket = udp.Socket()
    raises(EADDRNOTAVAIL, socket.bind, 0)
    raises(EADDRNOTAVAIL, socket.bind, (US, 0))
    raises(EINVAL, socket.bind, 65536)
    assert not socket.is_open and socket.local is None


def test_bind_twice():
    socket = udp.Socket()
    socket.bind(1)
    raises(EINVAL, socket.bind, 2)
    assert socket.local == ("", 1)


def test_set_hop_limit_zero():
    socket = udp.Socket()
    for hops in (0, 256):
        try:
            socket.hop_limit = hops
            raise AssertionError
        except ValueError:
            pass
    assert socket.hop_limit == 64


def test_send_unaddressable():
    socket = udp.Socket()
    there = udp.UdpMetadata((THEM, 4000))
    raises(EADDRNOTAVAIL, socket.send, b"abcdef", None, there)  # not bound
    socket.bind((US, 6969))
    raises(EADDRNOTAVAIL, socket.send, b"abcdef")  # to whom?
    raises(EADDRNOTAVAIL, socket.send, b"abcdef", None, udp.UdpMetadata(("0.0.0.0", 4000)))
    raises(EADDRNOTAVAIL, socket.send, b"abcdef", None, udp.UdpMetadata((THEM, 0)))
    raises(EADDRNOTAVAIL, socket.send, b"abcdef", None, udp.UdpMetadata(("fe80::1", 4000)))
    assert socket.send(b"abcdef", None, there) == 6


def test_send_with_source():
    host = Host(ip_addrs=(US + "/24", "192.168.69.2/24"))
    socket = bound(host)
    socket.send(b"any", None, udp.UdpMetadata((THEM, 4000)))
    socket.send(b"chosen", None, udp.UdpMetadata((THEM, 4000), "192.168.69.2"))
    chosen_by_us, chosen_by_program = host.sent()
    assert chosen_by_us.src == US
    assert chosen_by_program.src == "192.168.69.2" and chosen_by_program.payload == b"chosen"


def test_send_dispatch():
    host = Host()
    socket = bound(host)
    assert socket.can_send() and host.sent() == []
    assert socket.send_to(b"abcdef", (THEM, 4000)) == 6
    assert socket.send_queue == 6
    packet = host.sent_one()
    assert (packet.src, packet.sport) == (US, 6969)
    assert (packet.dst, packet.dport) == (THEM, 4000)
    assert packet.payload == b"abcdef" and packet.hops == 64 and packet.tos == 0
    assert socket.send_queue == 0 and host.sent() == []


def test_recv_process():
    host = Host()
    socket = bound(host)
    assert not socket.can_recv() and socket.recv() is None
    host.receive(udp_packet(b"abcdef", hops=17))
    assert host.changed == [socket] and socket.can_recv() and socket.recv_queue == 6
    data, meta = socket.recv()
    assert data == b"abcdef"
    assert meta.endpoint == (THEM, 4000) and meta.address == THEM and meta.port == 4000
    assert meta.local_address == US and meta.hop_limit == 17 and meta.traffic_class == 0
    assert not meta.is_broadcast and not meta.is_multicast
    assert not socket.can_recv() and socket.recv() is None


def test_peek_process():
    host = Host()
    socket = bound(host)
    assert socket.peek() is None and socket.peek_into(bytearray(4)) is None
    host.receive(udp_packet(b"abcdef"))
    buf = bytearray(10)
    meta = udp.UdpMetadata()
    for _ in range(2):
        assert socket.peek()[0] == b"abcdef" and socket.peek()[1].endpoint == (THEM, 4000)
        assert socket.peek_into(buf, meta) == 6 and buf[:6] == b"abcdef"
        assert meta.endpoint == (THEM, 4000)
    assert socket.recv()[0] == b"abcdef" and socket.peek() is None


def test_recv_truncated_slice():
    host = Host()
    socket = bound(host)
    host.receive(udp_packet(b"abcdef"))
    host.receive(udp_packet(b"next"))
    buf = bytearray(4)
    raises(EMSGSIZE, socket.recv_into, buf)  # the datagram is lost, all of it
    assert buf == bytes(4)
    assert socket.recv_into(buf) == 4 and buf == b"next"


def test_peek_truncated_slice():
    host = Host()
    socket = bound(host)
    host.receive(udp_packet(b"abcdef"))
    raises(EMSGSIZE, socket.peek_into, bytearray(5))
    raises(EMSGSIZE, socket.peek_into, bytearray(0))
    assert socket.peek_into(bytearray(6)) == 6
    assert socket.recv()[0] == b"abcdef"


def test_set_hop_limit():
    host = Host()
    socket = bound(host)
    socket.hop_limit = 0x2A
    socket.traffic_class = 46 << 2
    socket.send_to(b"abcdef", (THEM, 4000))
    packet = host.sent_one()
    assert packet.hops == 0x2A and packet.tos == 46 << 2
    socket.hop_limit = None
    socket.send_to(b"abcdef", (THEM, 4000))
    assert host.sent_one().hops == 64


def test_doesnt_accept_wrong_port():
    host = Host()
    socket = bound(host)
    host.receive(udp_packet(b"abcdef", dport=6970))
    assert host.changed == [] and not socket.can_recv()


def test_doesnt_accept_wrong_ip():
    host = Host(ip_addrs=(US + "/24", "192.168.69.2/24"))
    one = bound(host, (US, 6969))
    host.receive(udp_packet(b"abcdef", dst="192.168.69.2"))
    assert not one.can_recv()
    host.receive(udp_packet(b"abcdef"))
    assert one.can_recv() and one.local == (US, 6969)


# not from .mpy files: 64 KB datagrams
def test_send_large_packet():
    host = Host()
    socket = bound(host, tx=2048)
    raises(EMSGSIZE, socket.send_to, bytes(2049), (THEM, 4000))  # never fits the queue
    big = bound(host, 6970, tx=70000)
    raises(EMSGSIZE, big.send_to, bytes(65508), (THEM, 4000))  # never fits an IPv4 packet
    # Fits the queue but no frame: dropped and counted when its turn comes.
    assert socket.send_to(bytes(1473), (THEM, 4000)) == 1473
    assert socket.send_to(b"after", (THEM, 4000)) == 5
    packets = host.sent()
    assert [p.payload for p in packets] == [b"after"] and socket.tx_dropped == 1
    raises(EMSGSIZE, socket.send_to, bytes(1473), (THEM, 4000))  # now we know
    whole = bytes([i & 255 for i in range(1472)])
    assert socket.send_to(whole, (THEM, 4000)) == 1472
    assert host.sent_one().payload == whole


def test_process_empty_payload():
    host = Host()
    socket = bound(host)
    host.receive(udp_packet(b""))
    assert socket.can_recv() and socket.recv_queue == 0
    data, meta = socket.recv()
    assert data == b"" and meta.endpoint == (THEM, 4000)
    assert socket.send(b"", None, meta) == 0
    assert host.sent_one().payload == b""


def test_closing():
    host = Host()
    socket = bound(host)
    socket.connect((THEM, 4000))
    host.receive(udp_packet(b"abcdef"))
    socket.send(b"never")
    socket.close()
    assert not socket.is_open and not socket.can_recv() and socket.recv() is None
    assert socket.local is None and socket.remote is None
    host.receive(udp_packet(b"abcdef"))
    assert not socket.can_recv()
    assert [p.protocol for p in host.sent()] == [1]  # nobody listens there any more
    raises(EADDRNOTAVAIL, socket.send_to, b"x", (THEM, 4000))
    socket.bind(6970)  # and again
    host.receive(udp_packet(b"again", dport=6970, src=OTHER))
    assert socket.recv()[0] == b"again"


# ---------------------------------------------------------------- answers and addresses


def test_answer_with_what_was_received():
    host = Host(ip_addrs=(US + "/24", "192.168.69.2/24"))
    socket = bound(host)
    buf = bytearray(64)
    meta = udp.UdpMetadata()
    host.receive(udp_packet(b"ping", dst="192.168.69.2", hops=3, sport=1234))
    n = socket.recv_into(buf, meta)
    assert socket.send(buf, n, meta) == 4
    packet = host.sent_one()
    # From where it was sent to, and not with its hop limit.
    assert (packet.src, packet.sport, packet.dst, packet.dport) == (
        "192.168.69.2",
        6969,
        THEM,
        1234,
    )
    assert packet.hops == 64 and packet.payload == b"ping"


def test_answer_to_broadcast_and_multicast():
    """RFC 1122 3.2.1.3: such an address is never a source."""
    host = Host()
    socket = bound(host)
    for dst in (BROADCAST, "255.255.255.255", GROUP):
        host.receive(udp_packet(b"who", dst=dst))
        data, meta = socket.recv()
        assert meta.local_address == dst
        assert meta.is_multicast == (dst == GROUP) and meta.is_broadcast == (dst != GROUP)
        socket.send(data, None, meta)
        assert host.sent_one().src == US


def test_source_that_wants_no_answer():
    """RFC 768: source port 0 means none. And 0.0.0.0 may only broadcast (RFC 1122 3.2.1.3)."""
    host = Host()
    socket = bound(host)
    for packet in (udp_packet(b"x", sport=0), udp_packet(b"x", src="0.0.0.0", dst=BROADCAST)):
        host.receive(packet)
        data, meta = socket.recv()
        assert data == b"x" and (meta.port == 0 or meta.address == "0.0.0.0")
        raises(EADDRNOTAVAIL, socket.send, data, None, meta)


def test_send_part_of_a_buffer():
    host = Host()
    socket = bound(host)
    socket.connect((THEM, 4000))
    assert socket.send(b"abcdef", 3) == 3
    assert host.sent_one().payload == b"abc"
    raises(EINVAL, socket.send, b"abcdef", 7)
    raises(EINVAL, socket.send, b"abcdef", -1)


def test_send_without_route():
    host = Host(gateway=None, medium=ETHERNET)
    socket = bound(host)
    socket.send_to(b"lost", ("10.0.0.1", 4000))
    socket.send_to(b"found", (BROADCAST, 4000))
    assert host.sent_one().payload == b"found" and socket.tx_dropped == 1


def test_send_before_attached():
    socket = udp.Socket()
    socket.bind(6969)
    socket.send_to(b"early", (THEM, 4000))
    host = Host()
    host.add(socket)
    assert host.sent_one().payload == b"early"
    host.receive(udp_packet(b"hello"))
    assert socket.recv()[0] == b"hello"


def test_remove_and_add_again():
    host = Host()
    socket = bound(host)
    host.receive(udp_packet(b"kept"))
    host.sockets.remove(socket)
    socket.send_to(b"later", (THEM, 4000))
    assert host.sent() == [] and socket.recv()[0] == b"kept"
    host.receive(udp_packet(b"missed"))
    assert socket.recv() is None
    host.sent()
    host.add(socket)
    assert host.sent_one().payload == b"later"
    host.receive(udp_packet(b"hello"))
    assert socket.recv()[0] == b"hello"


# ---------------------------------------------------------------- who gets it


def test_connect_filters():
    host = Host()
    socket = bound(host)
    socket.connect((THEM, 4000))
    assert socket.remote == (THEM, 4000)
    host.receive(udp_packet(b"other port", sport=4001))
    host.receive(udp_packet(b"other host", src=OTHER))
    host.receive(udp_packet(b"peer"))
    assert socket.recv()[0] == b"peer" and socket.recv() is None
    assert socket.send(b"to the peer") == 11
    packets = [p for p in host.sent() if p.protocol == 17]
    assert len(packets) == 1 and (packets[0].dst, packets[0].dport) == (THEM, 4000)
    socket.connect((OTHER, 5))  # another peer
    host.receive(udp_packet(b"peer", src=OTHER, sport=5))
    host.receive(udp_packet(b"former peer"))
    assert socket.recv()[0] == b"peer" and socket.recv() is None
    socket.connect(None)  # anybody
    assert socket.remote is None
    host.receive(udp_packet(b"anybody", src=OTHER))
    assert socket.recv()[0] == b"anybody"
    raises(EADDRNOTAVAIL, socket.send, b"to whom?")


def test_connect_unaddressable():
    socket = udp.Socket()
    raises(EADDRNOTAVAIL, socket.connect, (THEM, 4000))  # not bound
    socket.bind((US, 6969))
    raises(EADDRNOTAVAIL, socket.connect, (THEM, 0))
    raises(EADDRNOTAVAIL, socket.connect, ("0.0.0.0", 4000))
    raises(EINVAL, socket.connect, ("fe80::1", 4000))  # the other family
    raises(EINVAL, socket.connect, 4000)
    assert socket.remote is None
    socket.connect(THEM + ":4000")
    assert socket.remote == (THEM, 4000) and socket.local == (US, 6969)


def test_connect_then_disconnect_keeps_the_family_open():
    socket = udp.Socket()
    socket.bind(6969)
    socket.connect((THEM, 4000))
    socket.connect(None)
    assert socket.local == ("", 6969)
    socket.connect(("fe80::1", 4000))
    assert socket.remote == ("fe80::1", 4000)


def test_best_match():
    host = Host()
    sockets = [bound(host, 6969), bound(host, (US, 6969)), bound(host, 6969), bound(host)]
    wildcard, specific, connected, exact = sockets
    connected.connect((THEM, 4000))
    exact.close()
    exact.bind((US, 6969))
    exact.connect((THEM, 4001))

    def takes(packet):
        host.receive(packet)
        return [socket for socket in sockets if socket.recv() is not None]

    assert takes(udp_packet(b"x", sport=4001)) == [exact]
    assert takes(udp_packet(b"x", sport=4000)) == [connected]
    assert takes(udp_packet(b"x", sport=4002)) == [specific]
    specific.close()
    assert takes(udp_packet(b"x", sport=4002)) == [wildcard]
    wildcard.close()
    assert takes(udp_packet(b"x", sport=4002)) == []
    exact.connect(None)
    assert takes(udp_packet(b"x", sport=4002)) == [exact]


def test_multicast_and_broadcast_copies():
    host = Host()
    sockets = [bound(host) for _ in range(3)]
    other_port = bound(host, 6970)
    group = bound(host, (GROUP, 6969))
    connected = bound(host)
    connected.connect((OTHER, 1))
    for dst in (GROUP, BROADCAST, "255.255.255.255"):
        host.receive(udp_packet(b"all", dst=dst))
        for socket in sockets:
            assert socket in host.changed and socket.recv()[0] == b"all"
            assert socket.recv() is None
        assert not other_port.can_recv() and not connected.can_recv()
        assert (group.recv() is not None) == (dst == GROUP)
    host.receive(udp_packet(b"one"))  # unicast: one of them, the first bound
    assert [socket.recv() is not None for socket in sockets] == [True, False, False]


def test_multicast_copy_of_a_full_queue():
    host = Host()
    full = bound(host, rx_slots=1)
    roomy = bound(host)
    for _ in range(3):
        host.receive(udp_packet(b"all", dst=GROUP))
    assert full.rx_dropped == 2 and roomy.rx_dropped == 0
    assert [roomy.recv()[0] for _ in range(3)] == [b"all"] * 3


def test_send_to_a_group():
    host = Host()
    socket = bound(host, (GROUP, 6969))
    assert socket.send_to(b"hello", (GROUP, 6969)) == 5
    packet = host.sent_one()
    assert packet.src == US and packet.dst == GROUP  # a group is no source


# ---------------------------------------------------------------- full queues, wrap


def test_receive_queue_full():
    host = Host()
    socket = bound(host, rx=100, rx_slots=3)
    for i in range(5):
        host.receive(udp_packet(bytes([i]) * 10))
    assert socket.rx_dropped == 2  # no slot
    assert [socket.recv()[0][0] for _ in range(3)] == [0, 1, 2]
    host.receive(udp_packet(bytes(60)))
    host.receive(udp_packet(bytes(41)))
    assert socket.rx_dropped == 3  # no room: all or nothing
    host.receive(udp_packet(bytes(40)))
    assert len(socket.recv()[0]) == 60 and len(socket.recv()[0]) == 40
    host.receive(udp_packet(bytes(101)))  # larger than the queue
    assert socket.rx_dropped == 4 and socket.recv() is None


def test_send_queue_full():
    host = Host()
    socket = bound(host, tx=100, tx_slots=2)
    socket.connect((THEM, 4000))
    assert socket.send(bytes(60)) == 60
    assert socket.send(bytes(41)) is None  # no room
    assert socket.send(bytes(40)) == 40
    assert not socket.can_send() and socket.send(b"") is None  # no slot
    assert [len(p.payload) for p in host.sent()] == [60, 40]
    assert socket in host.changed or socket.can_send()
    assert socket.send(bytes(100)) == 100


def test_writable_again_is_a_change():
    host = Host()
    socket = bound(host, tx_slots=1)
    socket.connect((THEM, 4000))
    socket.send(b"1")
    host.poll()
    assert host.changed == []  # nobody waited for room
    socket.send(b"2")
    assert socket.send(b"3") is None
    host.poll()
    assert host.changed == [socket] and socket.send(b"3") == 1


def test_payload_wraps():
    host = Host()
    socket = bound(host, rx=100, tx=100)
    socket.connect((THEM, 4000))
    for i in range(50):
        data = bytes([(i + j) & 255 for j in range(31 + i % 30)])
        # Two at a time in each queue, so that they never become empty and begin anew.
        host.receive(udp_packet(data))
        host.receive(udp_packet(b"second"))
        assert socket.recv()[0] == data
        host.receive(udp_packet(b"3"))
        assert socket.recv()[0] == b"second" and socket.recv()[0] == b"3"
        socket.send(data)
        socket.send(b"second")
        assert [p.payload for p in host.sent()] == [data, b"second"]


def test_both_queues_wrap_while_filled():
    host = Host()
    socket = bound(host, rx=64, tx=64)
    host.receive(udp_packet(bytes(40)))
    for i in range(30):
        data = bytes([(i * 7 + j) & 255 for j in range(23)])
        host.receive(udp_packet(data))
        socket.recv()
        assert socket.peek()[0] == data
    assert socket.rx_dropped == 0
