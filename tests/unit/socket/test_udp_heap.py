"""Datagrams move with the heap locked: UDP echo, ICMP and raw sockets, whole polls."""

from datagram_support import (
    BROADCAST,
    ETHERNET,
    GROUP,
    THEM,
    Host,
    Packet,
    arp_reply,
    frame,
    icmp_packet,
    ip_packet,
    locked,
    udp_packet,
)

from smolmp.socket import icmp, raw, udp
from smolmp.socket.datagram import Metadata

WARM = 3
TIMES = 40
ECHO = b"\x12\x34\x00\x01"


class Loop:
    """A packet in, a poll, what `turn` does, a poll, a packet out; nothing is allocated."""

    def __init__(self, packet, turn, host=None):
        self.host = host or Host()
        self.packet = packet
        self.out = bytearray(1600)
        self.length = 0
        self.turn = turn
        self.turns = 0

    def step(self):
        host = self.host
        assert host.device.inject(self.packet)
        for socket in host.cycle():
            self.turn(socket)
            self.turns += 1
        host.cycle()
        while True:
            n = host.device.take_into(self.out)
            if n == 0:
                break
            self.length = n

    def run(self):
        step = self.step
        for _ in range(WARM):
            step()
        locked(TIMES, step)
        if self.host.device.medium == ETHERNET:
            if self.out[12:14] != b"\x08\0":
                return None
            return Packet(bytes(self.out[14 : self.length]))
        return Packet(bytes(self.out[: self.length])) if self.length else None


def udp_loop(packet, sockets=1, host=None, **sizes):
    buf = bytearray(1600)
    meta = udp.UdpMetadata()

    def echo(socket):
        n = socket.recv_into(buf, meta)
        if n is not None:
            socket.send(buf, n, meta)

    loop = Loop(packet, echo, host)
    for _ in range(sockets):
        loop.host.add(udp.Socket(**sizes)).bind(6969)
    return loop


def test_udp_echo():
    for n in (0, 1, 18, 1000, 1472):
        payload = bytes([i * 7 & 255 for i in range(n)])
        loop = udp_loop(udp_packet(payload))
        answer = loop.run()
        assert answer.payload == payload and answer.dport == 4000 and answer.dst == THEM
        assert loop.turns == WARM + TIMES


def test_udp_echo_high_address():
    """Addresses and ports beyond 2**30 and 2**15: words, never Python ints."""
    packet = udp_packet(b"x" * 33, 65535, 6969, "223.255.255.254")
    assert udp_loop(packet).run().dst == "223.255.255.254"


def test_udp_echo_wrapping():
    packet = udp_packet(b"abc" * 11)
    loop = udp_loop(packet, rx=70, tx=70)
    # Something always stays in the queues, so positions move on and wrap.
    socket = next(iter(loop.host.sockets))
    loop.host.receive(udp_packet(b"first"))
    assert loop.run().payload and socket.rx_dropped == 0


def test_udp_echo_on_ethernet():
    loop = udp_loop(frame(udp_packet(b"ping")), host=Host(medium=ETHERNET))
    loop.step()
    loop.host.receive(arp_reply())
    assert loop.run().payload == b"ping"


def test_udp_to_a_silent_neighbour():
    """Blocked and dropped datagrams cost no memory either."""
    host = Host(medium=ETHERNET)
    loop = udp_loop(frame(udp_packet(b"ping")), host=host, tx_slots=2)
    loop.run()
    assert loop.turns >= TIMES


def test_udp_port_unreachable():
    loop = udp_loop(udp_packet(b"nobody", dport=9))
    assert loop.run().type == 3


def test_udp_connected():
    buf = bytearray(64)

    def answer(socket):
        socket.send(buf, socket.recv_into(buf))

    loop = Loop(udp_packet(b"to the peer"), answer)
    socket = loop.host.add(udp.Socket())
    socket.bind(6969)
    socket.connect((THEM, 4000))
    assert loop.run().payload == b"to the peer"


def test_udp_multicast_copies():
    for dst in (GROUP, BROADCAST):
        loop = udp_loop(udp_packet(b"all", dst=dst), sockets=3)
        loop.run()
        assert loop.turns == 3 * (WARM + TIMES)


def test_udp_peek():
    buf = bytearray(64)
    meta = udp.UdpMetadata()

    def look(socket):
        assert socket.peek_into(buf, meta) == 5 and socket.recv_into(buf) == 5
        assert socket.recv_into(buf) is None and socket.peek_into(buf) is None

    loop = Loop(udp_packet(b"hello"), look)
    loop.host.add(udp.Socket()).bind(6969)
    loop.run()


def test_udp_full_queues():
    meta = udp.UdpMetadata((THEM, 4000))

    def flood(socket):
        for _ in range(4):
            socket.send(b"flood", 5, meta)

    loop = Loop(udp_packet(b"flood"), flood)
    socket = loop.host.add(udp.Socket(rx=20, tx=20, rx_slots=2, tx_slots=2))
    socket.bind(6969)
    loop.run()
    assert socket.rx_dropped > TIMES - 10


def test_udp_damaged():
    loop = udp_loop(udp_packet(b"damaged", checksum=0x1234))
    loop.run()
    assert loop.turns == 0


def test_icmp_echo_socket():
    buf = bytearray(1600)
    meta = Metadata()

    def answer(socket):
        n = socket.recv_into(buf, meta)
        buf[0] = 8
        socket.send(buf, n, meta)

    for n in (0, 56, 1472):
        loop = Loop(icmp_packet(0, 0, ECHO, bytes(n)), answer)
        for _ in range(2):
            loop.host.add(icmp.Socket(rx=3000, tx=3000)).bind(icmp.Endpoint.ident(0x1234))
        loop.run()
        assert loop.turns == 2 * (WARM + TIMES)


def test_icmp_errors():
    buf = bytearray(600)

    def drain(socket):
        assert socket.recv_into(buf) > 8

    quote = udp_packet(bytes(8), 6969, 4000, "192.168.69.1", THEM)
    loop = Loop(icmp_packet(3, 1, bytes(4), quote), drain)
    loop.host.add(icmp.Socket()).bind(icmp.Endpoint.udp(6969))
    loop.run()
    assert loop.turns == WARM + TIMES


def test_raw():
    buf = bytearray(1600)

    def echo(socket):
        n = socket.recv_into(buf)
        for i in range(8):  # MicroPython 1.25 allocates for buf[a:b] = ...
            buf[12 + i] = addresses[i]
        socket.send(buf, n)

    packet = ip_packet(63, b"payload" * 30)
    addresses = packet[16:20] + packet[12:16]
    loop = Loop(packet, echo)
    loop.host.add(raw.Socket(4, 63))
    answer = loop.run()
    assert answer.dst == THEM and answer.transport == b"payload" * 30
