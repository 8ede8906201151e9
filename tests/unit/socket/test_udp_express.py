"""UDP's express lane (socket/udp_express.py) and the short way out: the same results, sooner.

Twins get the same packets; one has its lane, the other takes every datagram the long way.
"""

from datagram_support import (
    ETHERNET,
    GROUP,
    IP,
    OTHER,
    THEIR_MAC,
    THEM,
    US,
    Host,
    arp_reply,
    frame,
    ip_packet,
    locked,
    udp_packet,
)
from slow import rounds

from smolmp.prng import Random
from smolmp.socket import raw, udp, udp_express

RAMP = bytes([i & 255 for i in range(1800)])


def bound(host, endpoint=6969, **sizes):
    socket = host.add(udp.Socket(**sizes))
    socket.bind(endpoint)
    return socket


def watched(host):
    """A list of how many datagrams each use of the lane took."""
    counts = []
    lane = host.sockets.datagrams
    drain = lane.drain

    def counting(iface, budget):
        n = drain(iface, budget)
        counts.append(lane.taken)
        return n

    lane.drain = counting
    return counts


def armed(medium=IP, **options):
    """A host whose socket got a datagram from THEM, port 4000."""
    host = Host(medium=medium, **options)
    socket = bound(host)
    packet = udp_packet(b"arm")
    host.receive(frame(packet) if medium == ETHERNET else packet)
    assert socket.recv()[0] == b"arm"
    assert host.sockets.lane is host.sockets.datagrams
    return host, socket, watched(host)


def test_the_next_ones_take_it():
    host, socket, counts = armed()
    for i in range(5):
        assert host.device.inject(udp_packet(RAMP[i : i + 60 * i]))
    host.poll()
    assert counts == [5] and host.changed == [socket]
    meta = udp.UdpMetadata()
    buf = bytearray(300)
    for i in range(5):
        assert socket.recv_into(buf, meta) == 60 * i and buf[: 60 * i] == RAMP[i : i + 60 * i]
        assert meta.endpoint == (THEM, 4000) and meta.local_address == US
        assert meta.hop_limit == 64 and meta.traffic_class == 0
    assert socket.recv_into(buf, meta) is None
    stats = host.iface.stats()
    assert stats["udp_in"] == 6 and stats["rx_frames"] == 6


def refused(packet, got=None, **options):
    """The lane leaves the packet to the long way, after which `got` was received."""
    host, socket, counts = armed(**options)
    host.receive(packet)
    assert counts and not any(counts), counts
    received = socket.recv()
    assert (received and received[0]) == got, received
    return host


def test_what_is_not_alike_is_refused():
    text = b"other"
    refused(udp_packet(text, sport=4001), text)
    refused(udp_packet(text, src=OTHER), text)
    refused(udp_packet(text, hops=63), text)
    refused(udp_packet(text, dport=6970))
    refused(udp_packet(text, checksum=0), text)  # the sender computed none
    whole = udp_packet(text)
    refused(ip_packet(17, whole[20:], tos=4), text)
    refused(ip_packet(17, whole[20:], options=b"\x01\x01\x01\0"), text)
    refused(ip_packet(6, whole[20:]))
    longer = udp_packet(text + b"padding behind it")
    refused(longer[:24] + b"\0\x0d" + longer[26:])  # another length in UDP: the sum is wrong


def test_damage_is_refused_and_counted():
    for at in range(40):
        packet = bytearray(udp_packet(b"fragile text"))
        packet[at] ^= 0x10
        host, socket, counts = armed()
        host.receive(bytes(packet))
        assert counts and not any(counts), counts
        received = socket.recv()
        # A damaged source of a packet that is whole otherwise does not exist: the sums tell.
        assert received is None, (at, received)


def test_truncated_and_tiny_frames_are_refused():
    packet = udp_packet(b"0123456789")
    for n in range(1, len(packet)):
        refused(packet[:n])


def test_a_full_queue_goes_the_long_way_and_is_counted():
    for sizes in ({"rx_slots": 2}, {"rx": 12}):
        host = Host()
        socket = bound(host, **sizes)
        host.receive(udp_packet(b"first"))
        for _ in range(3):
            assert host.device.inject(udp_packet(b"second"))
        host.poll()
        assert socket.rx_dropped == 2 and host.iface.stats()["udp_full"] == 2
        assert socket.recv()[0] == b"first" and socket.recv()[0] == b"second"
        assert socket.recv() is None


def test_it_lasts_a_second():
    host, socket, counts = armed()
    host.now = (host.now + 1500) & 0x3FFFFFFF
    host.receive(udp_packet(b"the long way"))
    assert host.sockets.lane is host.sockets.datagrams  # armed again
    host.receive(udp_packet(b"the short one"))
    assert sum(counts) == 1, counts
    assert [socket.recv()[0] for _ in range(2)] == [b"the long way", b"the short one"]


def test_a_better_match_gets_the_next_one():
    host, general, counts = armed()
    special = bound(host, (US, 6969))
    host.receive(udp_packet(b"for the address"))
    assert special.recv()[0] == b"for the address" and general.recv() is None
    connected = bound(host, (US, 6969))
    connected.connect((THEM, 4000))
    host.receive(udp_packet(b"for the connected one"))
    assert connected.recv()[0] == b"for the connected one"
    connected.close()
    host.receive(udp_packet(b"again"))
    assert special.recv()[0] == b"again"
    host.sockets.remove(special)
    host.receive(udp_packet(b"and again"))
    assert general.recv()[0] == b"and again"
    assert connected.recv() is None


def test_a_raw_socket_sees_everything():
    host, socket, counts = armed()
    every = host.add(raw.Socket(4, 17))
    host.receive(udp_packet(b"twice"))
    host.receive(udp_packet(b"twice more"))
    assert every.recv() is not None and every.recv() is not None
    assert socket.recv()[0] == b"twice"


def test_an_address_that_is_given_up():
    host, socket, counts = armed(ip_addrs=(US + "/24", "192.168.69.2/24"))
    host.iface.remove_ip_addr(US)
    host.receive(udp_packet(b"nobody's"))
    assert socket.recv() is None and host.iface.stats()["ip_not_ours"] == 1
    host, socket, counts = armed(ip_addrs=(), any_ip=True)
    host.iface.any_ip = False
    host.receive(udp_packet(b"nobody's"))
    assert socket.recv() is None


def test_groups_and_broadcasts_never_take_it():
    host = Host()
    socket = bound(host)
    other = bound(host)
    for _ in range(2):
        host.receive(udp_packet(b"to all", dst=GROUP))
        assert host.sockets.lane is None
        assert socket.recv()[0] == b"to all" and other.recv()[0] == b"to all"


def test_ethernet_echo_takes_both_ways_without_allocation():
    host, socket, counts = armed(ETHERNET)
    host.iface.neighbors.add(THEM, "02:00:00:00:00:64")
    host.device.inject(frame(udp_packet(b"x")))
    host.poll()
    packets = [frame(udp_packet(RAMP[:n])) for n in (0, 1, 63, 64, 65, 200, 1472)]
    buf = bytearray(1500)
    out = bytearray(1600)
    meta = udp.UdpMetadata()
    while socket.recv_into(buf, meta) is not None:
        pass

    def trip():
        for packet in packets:
            host.device.inject(packet)
            for one in host.cycle():
                n = one.recv_into(buf, meta)
                one.send(buf, n, meta)
            host.iface.poll_egress(host.now, host.sockets)
            n = host.device.take_into(out)
            if n != len(packet) or out[17] != packet[17]:
                raise AssertionError

    trip()
    host.sockets.datagrams.drain = udp_express._drain_of(host.sockets.datagrams)
    locked(20, trip)
    host.device.inject(packets[3])
    for one in host.cycle():
        n = one.recv_into(buf, meta)
        one.send(buf, n, meta)
    answer = host.sent_one()
    assert answer.payload == RAMP[:64] and (answer.dst, answer.dport) == (THEM, 4000)


def test_the_way_out_hears_of_a_neighbour_that_moved():
    host, socket, counts = armed(ETHERNET)
    socket.send_to(b"asks", (THEM, 4000))
    host.poll()
    host.receive(arp_reply())
    host.sent()
    for mac in (THEIR_MAC, b"\x02\0\0\0\0\x77", THEIR_MAC):
        host.receive(arp_reply(mac=mac))
        socket.send_to(b"hello", (THEM, 4000))
        host.poll()
        data = host.device.take()
        assert data[:6] == mac and data[42:] == b"hello", data


def compare(a, b, sa, sb, what):
    assert (a.changed == [sa]) == (b.changed == [sb]), what
    assert a.iface.stats() == b.iface.stats(), what
    assert sa.rx_dropped == sb.rx_dropped and sa.recv_queue == sb.recv_queue, what


def stories(seed, rounds, **sizes):
    random = Random(seed)
    hosts = (Host(), Host())
    sockets = [bound(host, **sizes) for host in hosts]
    hosts[1].sockets.datagrams.arm = lambda iface, socket: None
    counts = watched(hosts[0])
    taken = 0
    meta = (udp.UdpMetadata(), udp.UdpMetadata())
    bufs = (bytearray(1500), bytearray(1500))
    for turn in range(rounds):
        what = "seed %d, turn %d" % (seed, turn)
        for _ in range(1 + random.bits(2)):
            kind = random.bits(5)
            n = random.bits(4) if random.bits(1) else random.bits(10)
            sport = 4000 + (kind == 1)
            packet = bytearray(udp_packet(RAMP[:n], sport=sport, hops=64 - (kind == 2)))
            if kind == 3:
                packet[random.bits(10) % len(packet)] ^= 1 + random.bits(7)
            for host in hosts:
                assert host.device.inject(bytes(packet))
        for host in hosts:
            host.poll()
        compare(hosts[0], hosts[1], sockets[0], sockets[1], what)
        for _ in range(random.bits(3)):
            got = [s.recv_into(bufs[i], meta[i]) for i, s in enumerate(sockets)]
            assert got[0] == got[1] and meta[0].flow == meta[1].flow, what
            if got[0] is None:
                break
            assert bufs[0][: got[0]] == bufs[1][: got[1]], what
            for i, s in enumerate(sockets):
                s.send(bufs[i], got[i], meta[i])
        assert [p.data for p in hosts[0].sent()] == [p.data for p in hosts[1].sent()], what
    for n in counts:
        taken += n
    return taken


def test_stories():
    taken = 0
    for seed in range(rounds(10)):
        taken += stories(seed, 60)
        taken += stories(seed, 40, rx=301, tx=301, rx_slots=3, tx_slots=3)
    assert taken > rounds(300), taken
