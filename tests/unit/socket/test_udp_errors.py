"""UDP sockets on a real interface: damage, ICMP errors, and the layers below."""

from errno import ECONNREFUSED, EHOSTUNREACH

from datagram_support import (
    BROADCAST,
    ETHERNET,
    GROUP,
    OTHER,
    THEM,
    US,
    Host,
    arp_reply,
    frame,
    icmp_packet,
    inet_sum,
    octets,
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


# ---------------------------------------------------------------- what is wrong


def test_checksums():
    host = Host()
    socket = bound(host)
    good = udp_packet(b"abcdefg")
    for i in range(20, len(good)):
        bad = bytearray(good)
        bad[i] ^= 0x10
        host.receive(bytes(bad))
        assert not socket.can_recv(), i
    assert host.sent() == []  # a damaged one is nobody's, not even by ICMP
    host.receive(udp_packet(b"none", checksum=0))  # RFC 768: the sender computed none
    assert socket.recv()[0] == b"none"
    host.receive(good)
    assert socket.recv()[0] == b"abcdefg"


def test_damaged_datagram_to_nobody_is_not_reported():
    host = Host()
    host.receive(udp_packet(b"abc", checksum=1))
    assert host.sent() == []


def test_lengths():
    host = Host()
    socket = bound(host)
    good = bytearray(udp_packet(b"abcdef", checksum=0))
    for length, ok in ((0, False), (7, False), (8, True), (13, True), (14, True), (15, False)):
        good[25] = length
        host.receive(bytes(good))
        taken = socket.recv()
        assert (taken is not None) == ok, length
        if ok:
            assert taken[0] == b"abcdef"[: length - 8]


def test_port_unreachable():
    host = Host()
    request = udp_packet(b"anybody?", dport=9)
    host.receive(request)
    packet = host.sent_one()
    assert (packet.type, packet.code) == (3, 3) and packet.dst == THEM
    assert packet.payload == request
    for dst in (BROADCAST, "255.255.255.255", GROUP):  # RFC 1122 3.2.2
        host.receive(udp_packet(b"anybody?", dport=9, dst=dst))
        assert host.sent() == []


def test_errors_reach_a_connected_socket():
    host = Host()
    socket = bound(host)
    socket.connect((THEM, 4000))
    socket.send(b"knock")
    quote = host.sent_one().data
    host.receive(udp_packet(b"before"))
    host.receive(icmp_packet(3, 3, bytes(4), quote[:28]))
    assert socket in host.changed
    assert socket.recv()[0] == b"before"
    raises(ECONNREFUSED, socket.recv)
    assert socket.recv() is None  # told once
    host.receive(icmp_packet(3, 3, bytes(4), quote[:28]))
    raises(ECONNREFUSED, socket.recv_into, bytearray(9))
    for kind, code, errno in (
        (3, 0, EHOSTUNREACH),
        (3, 1, EHOSTUNREACH),
        (3, 2, ECONNREFUSED),
        (3, 13, EHOSTUNREACH),
    ):
        host.receive(icmp_packet(kind, code, bytes(4), quote[:28]))
        raises(errno, socket.recv)
    # A packet too large (here it can't have been) and one that was too long on its way say nothing
    # about the host.
    for kind, code in ((3, 4), (11, 0), (12, 0)):
        host.receive(icmp_packet(kind, code, bytes(4), quote[:28]))
        assert socket.recv() is None, (kind, code)
    socket.connect(None)  # RFC 1122 4.1.3.3: as others do it, nobody else learns
    host.receive(icmp_packet(3, 3, bytes(4), quote[:28]))
    assert socket.recv() is None


def test_errors_about_others_are_ignored():
    host = Host()
    socket = bound(host)
    socket.connect((THEM, 4000))
    socket.send(b"knock")
    quote = host.sent_one().data
    for at in (0, 9, 12, 19, 21, 23):
        damaged = bytearray(quote[:28])
        damaged[at] ^= 0x80
        host.receive(icmp_packet(3, 3, bytes(4), bytes(damaged)))
    for n in range(24):
        host.receive(icmp_packet(3, 3, bytes(4), quote[:n]))
    assert socket.recv() is None


# ---------------------------------------------------------------- the layers below


def test_waits_for_the_neighbour():
    """The first datagram waits in the interface, the others in the socket; none is lost."""
    host = Host(medium=ETHERNET)
    socket = bound(host)
    for text in (b"1", b"2", b"3"):
        socket.send_to(text, (THEM, 4000))
    assert host.sent() == [] and host.arp_requests == 1
    assert socket.send_queue == 2 and socket.tx_dropped == 0
    host.receive(arp_reply())
    packets = host.sent()
    assert [p.payload for p in packets] == [b"1", b"2", b"3"]
    host.receive(frame(udp_packet(b"answer")))
    assert socket.recv()[0] == b"answer"


def test_a_silent_neighbour_holds_up_nobody():
    host = Host(medium=ETHERNET)
    silent = bound(host)
    lively = bound(host, 6970)
    for _ in range(2):
        silent.send_to(b"anybody?", (THEM, 4000))
        lively.send_to(b"hello", (OTHER, 4000))
    host.poll()
    host.receive(arp_reply(OTHER))
    packets = host.sent()
    assert [p.dst for p in packets] == [OTHER, OTHER]


def test_busy_device():
    """What the device does not take stays at the head of the queue."""
    host = Host()
    socket = bound(host, tx=4096, tx_slots=20)
    socket.connect((THEM, 4000))
    for i in range(20):
        socket.send(bytes([i]))
    host.poll()  # the device has places for 8
    assert len(host.device.from_stack) == 8 and socket.send_queue == 12
    seen = host.sent() + host.sent() + host.sent() + host.sent()
    assert [p.payload[0] for p in seen] == list(range(20)) and socket.tx_dropped == 0


def test_device_checksums():
    """What the device does is left to it: bits RX_UDP (2) and TX_UDP (32)."""
    host = Host(checksums=2)
    socket = bound(host)
    host.receive(udp_packet(b"abc", checksum=0x1234))
    assert socket.recv()[0] == b"abc"
    host.receive(udp_packet(b"abc", dport=9, checksum=0x1234))
    assert host.sent_one().type == 3
    host = Host(checksums=32)
    socket = bound(host)
    socket.send_to(b"abc", (THEM, 4000))
    host.poll()
    assert host.device.take()[26:28] == b"\0\0"


def test_no_checksum_on_ipv6():
    """RFC 8200 8.1: there a zero checksum is an error."""
    host = Host()
    socket = bound(host)
    for family, taken in ((4, True), (6, False)):
        host.iface.rx[16 : 16 + 31] = udp_packet(b"abc", checksum=0)
        rec = host.iface.rec
        rec[0] = family
        rec[1] = 17
        rec[17], rec[18], rec[19], rec[22] = 16, 36, 47, 0
        udp.ingress(host.iface, host.sockets)
        assert (socket.recv() is not None) == taken


# not on a board: a minute
def test_sums_that_come_to_nothing():
    """RFC 768: a checksum that computes to 0 is sent as 0xffff."""
    host = Host()
    socket = bound(host, tx=4096)
    found = 0
    for i in range(65536):
        data = bytes([i >> 8, i & 255])
        total = inet_sum(octets(US) + octets(THEM) + b"\0\x11\0\x0a\x1b\x39\x0f\xa0\0\x0a" + data)
        if total == 0xFFFF:
            socket.send_to(data, (THEM, 4000))
            assert host.sent_one().transport[6:8] == b"\xff\xff"
            host.receive(udp_packet(data))
            assert socket.recv()[0] == data
            found += 1
            break
    assert found


def test_counters():
    host = Host()
    socket = bound(host, rx_slots=1)
    for packet in (
        udp_packet(b"in"),
        udp_packet(b"full"),
        udp_packet(b"nobody", dport=9),
        udp_packet(b"damaged", checksum=1),
        udp_packet(b"damaged too", dport=9, checksum=1),
    ):
        host.receive(packet)
    socket.recv()
    host.receive(udp_packet(b"damaged", checksum=1))
    socket.send_to(b"out", (THEM, 4000))
    host.poll()
    stats = host.iface.stats()
    assert stats["udp_in"] == 6 and stats["udp_out"] == 1 and stats["udp_no_port"] == 1
    assert stats["udp_full"] >= 1 and stats["rx_bad_checksum"] == 2


def test_mutated_datagrams():
    """Any octets in: no exception, no overrun, and what is taken is what was summed."""
    host = Host()
    socket = bound(host, rx=1000, rx_slots=3)
    host.sockets.add(udp.Socket()).bind((US, 6970))
    buf = bytearray(1000)
    good = udp_packet(bytes(range(100)))
    seed = 12345
    for _ in range(3000):
        bad = bytearray(good)
        for _ in range(3):
            seed = (seed * 1103 + 12347) & 0xFFFFFF
            bad[20 + (seed >> 8) % 108] = seed >> 3 & 255
        cut = 20 + (seed >> 4) % 109
        if seed & 1:
            bad = bad[:cut]
            bad[2:4] = bytes([cut >> 8, cut & 255])
            bad[10:12] = b"\0\0"
            total = inet_sum(bad[:20]) ^ 0xFFFF
            bad[10:12] = bytes([total >> 8, total & 255])
        host.device.inject(bad)
        host.cycle()
        host.device.from_stack.clear()
        n = socket.recv_into(buf)
        assert n is None or n <= 100
    host.receive(good)
    while socket.can_recv():
        data = socket.recv()[0]
    assert data == bytes(range(100))


def test_bad_metadata():
    for endpoint in (5, ("x", 5), ("1.2.3.4", 65536), ("1.2.3.4", "80"), (b"12345", 80)):
        try:
            udp.UdpMetadata(endpoint)
        except (OSError, ValueError):
            continue
        raise AssertionError(endpoint)
    meta = udp.UdpMetadata()
    assert meta.endpoint is None and meta.address == ""
    meta.set("10.0.0.1:80", "10.0.0.2")
    assert meta.endpoint == ("10.0.0.1", 80) and meta.local_address == "10.0.0.2"
    meta.set(("fe80::1", 7))
    assert meta.endpoint == ("fe80::1", 7) and meta.local_address == "::"
