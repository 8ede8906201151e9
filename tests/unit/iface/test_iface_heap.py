"""Nothing is allocated in the steady state, and nothing that arrives can do harm."""

import gc

from slow import rounds
from support import (
    BROADCAST_MAC,
    ETHERNET,
    IP,
    OTHER_IP,
    OTHER_MAC,
    OUR_IP,
    OUR_MAC,
    PEER_IP,
    PEER_MAC,
    Net,
    arp,
    echo,
    frame,
    icmp,
    ipv4,
    locked,
)
from support import tcp as tcp_packet
from support import udp as udp_packet

from smolmp.prng import Random
from smolmp.socket import raw, tcp, udp

WRAP = 0x3FFFFFFF


class Loop:
    """Frames into an interface with the heap locked; what comes out is only counted."""

    def __init__(self, frames, **options):
        self.net = Net(**options)
        if self.net.iface.medium == ETHERNET:
            self.net.meet()
        self.frames = frames
        self.out = 0
        self.buf = bytearray(1600)
        self.rounds = 50

    def run(self):
        net = self.net
        left = self.rounds
        while left:
            left -= 1
            net.now = net.now + 200 if net.now < WRAP - 200 else net.now - (WRAP - 199)
            for item in self.frames:
                net.device.inject(item)
                net.iface.poll(net.now, net.sockets)
                net.iface.poll_delay(net.now, net.sockets)
                net.iface.poll_at(net.now, net.sockets)
                while net.device.take_into(self.buf):
                    self.out += 1

    def locked(self):
        self.rounds = 2
        self.run()  # warm up
        self.rounds = 50  # 10 s: ticks wrap in the middle
        self.out = 0
        locked(self.run)
        return self.out


def test_ping_allocates_nothing():
    for n in (0, 1, 56, 1472):
        packet = icmp(8, 0, echo(0xFFFF, 0xFFFF, bytes(n)))
        assert Loop([packet], medium=IP).locked() == 50
        assert Loop([frame(packet)]).locked() == 50


def test_first_ping_of_an_unknown_neighbor_allocates_nothing():
    request = frame(icmp(8, 0, echo(1, 1), src=OTHER_IP), src=OTHER_MAC)
    answer = arp(2, OTHER_IP, OTHER_MAC, OUR_IP, OUR_MAC, OUR_MAC)
    loop = Loop([request, answer])
    loop.run()
    loop.net.iface.neighbors.flush()
    loop.rounds = 30
    loop.out = 0
    locked(loop.run)
    assert loop.out == 31  # one request


def test_arp_allocates_nothing():
    frames = [
        arp(1, PEER_IP, PEER_MAC, OUR_IP),
        arp(1, "0.0.0.0", PEER_MAC, OUR_IP),
        arp(1, PEER_IP, PEER_MAC, PEER_IP),
        arp(1, OUR_IP, OTHER_MAC, OUR_IP),
        arp(1, OTHER_IP, OTHER_MAC, "10.1.1.1"),
    ]
    assert Loop(frames).locked() == 100


def test_neighbors_that_do_not_answer_allocate_nothing():
    frames = [
        frame(icmp(8, 0, echo(1, 1), src="192.168.69.%d" % (10 + i)), src=OTHER_MAC)
        for i in range(12)
    ]
    loop = Loop(frames, neighbors=4, waiting=2)
    assert loop.locked() > 0
    assert loop.net.count("neighbor_failed") > 0


def test_errors_allocate_nothing():
    frames = [
        ipv4(0x0C, b"abcdefgh"),
        udp_packet(b"x" * 600, 67, 68),
        tcp_packet(2, 0xFFFFFFFF),
        icmp(3, 3, bytes(4) + udp_packet(b"hello", 5000, 53, OUR_IP, OTHER_IP)[:28]),
        icmp(8, 0, echo(1, 1))[:-1],
        ipv4(17, b"12345678", fragment=0x2000),
        ipv4(17, b"12345678", "127.0.0.1"),
        ipv4(17, b"12345678", dst=OTHER_IP),
        b"\x60" + bytes(60),
    ]
    assert Loop(frames, medium=IP).locked() == 150
    assert Loop([frame(f) for f in frames]).locked() == 150


def test_sockets_are_reported_without_allocation():
    loop = Loop([udp_packet(b"hello", 67, 68)], medium=IP)
    sockets = [loop.net.sockets.add(udp.Socket()) for _ in range(9)]
    for u in sockets:
        u.bind(68)
    loop.locked()


def heap_used():
    gc.collect()
    return gc.mem_alloc() if hasattr(gc, "mem_alloc") else 0  # not under CPython


def mutated(random, seeds):
    """A seed with some bytes changed, cut short or prolonged."""
    packet = bytearray(seeds[random.below(len(seeds))])
    for _ in range(random.below(4)):
        packet[random.below(len(packet))] = random.bits(8)
    how = random.below(4)
    if how == 0:
        packet = packet[: 1 + random.below(len(packet))]
    elif how == 1:
        packet += bytes(1 + random.below(40))
    return packet


def test_hostile_frames():
    """Random and mutated frames: no exception, no growth, and a ping is answered afterwards."""
    for medium in (ETHERNET, IP):
        net = Net(medium=medium)
        random = Random(7 + medium)
        net.sockets.add(udp.Socket()).bind(6969)
        net.sockets.add(tcp.Socket()).listen(80)
        net.sockets.add(raw.Socket(4, 2))
        packets = [
            icmp(8, 0, echo(1, 1)),
            icmp(3, 3, bytes(4) + udp_packet(b"hello", 6969, 53, OUR_IP, OTHER_IP)[:28]),
            udp_packet(b"hello"),
            tcp_packet(2, 1000),
            tcp_packet(16, 1000, 2000, b"data"),
            ipv4(2, bytes(8), dst="224.0.0.1"),
            ipv4(99, b"x" * 30),
        ]
        ping = packets[0]
        if medium == ETHERNET:
            packets = [frame(p) for p in packets] + [frame(p, dst=BROADCAST_MAC) for p in packets]
            packets += [arp(i, PEER_IP, PEER_MAC, OUR_IP) for i in (1, 2)]
            ping = frame(ping)
        buf = bytearray(1600)
        noise = bytearray(200)
        used = 0
        for i in range(rounds(6000)):
            if i & 7:
                packet = mutated(random, packets)
            else:
                n = 1 + random.below(200)
                for j in range(n):
                    noise[j] = random.bits(8)
                packet = noise[:n]
            net.device.inject(packet)
            net.now = (net.now + random.below(30)) & WRAP
            net.iface.poll(net.now, net.sockets)
            net.iface.poll_delay(net.now, net.sockets)
            while net.device.take_into(buf):
                pass
            if i == rounds(1000):
                packet = None
                used = heap_used()
        packet = None
        assert heap_used() - used < 2000
        if medium == ETHERNET:
            net.meet()
        assert len(net.rx(ping)) >= 1
        assert net.count("rx_frames") > rounds(6000)
