"""The express lane (tcp/express.py) and bursts (tcp/burst.py): the same results, by a shorter way.

Two peers get the same packets; one has its lane, the other takes every segment the long way.
"""

# heap: 16m

import test_transfer
from slow import rounds
from tcp_support import DEEP, Peer

from smolmp.phy.device import ETHERNET
from smolmp.phy.queue import PacketQueue
from smolmp.prng import Random
from smolmp.wire import checksum

RAMP = bytes([i & 255 for i in range(256 + 1460)])


def as_linux(packet):
    """The timestamps behind two NOPs, where RFC 7323's appendix A and everybody puts them."""
    if packet[32] == 0x80 and packet[40] == 8:
        packet[40:52] = b"\1\1" + packet[40:50]
        field = checksum.update(packet[36] << 8 | packet[37], 0, 0x0101)
        packet[36:38] = bytes((field >> 8, field & 255))
    return packet


def no_lane(sockets):
    """From now on every segment goes the long way."""
    sockets.express.forget(sockets.express.kit[0])
    sockets.express.arm = lambda iface, socket: None


def taken(peer):
    """Let the lane tell how many segments it took."""
    counts = []
    lane = peer.sockets.express
    drain = lane.drain

    def counting(iface, budget):
        n = drain(iface, budget)
        if lane.taken:
            counts.append(lane.taken)
        return n

    lane.drain = counting
    return counts


def twins(**options):
    pair = []
    for lane in (True, False):
        p = Peer(seed=3, iss=5000)
        s = p.established(**options)
        if not lane:
            no_lane(p.sockets)
        pair.append((p, s))
    return pair


def test_in_order_text_takes_it():
    p = Peer()
    s = p.established()
    counts = taken(p)
    for i in range(5):  # the ACK of our SYN armed it
        p.send("PA", 1 + 5 * i, 1, b"12345", poll=False)
    p.poll()
    assert counts == [5]
    assert p.changed == [s]
    assert s.recv(100) == b"12345" * 5
    assert p.iface.stats()["tcp_in"] == 7 and p.iface.stats()["rx_frames"] == 7


def test_a_batch_is_answered_once():
    p = Peer(queue=DEEP)
    p.established(rx=16384)
    for i in range(8):
        p.send("A", 1 + 1000 * i, 1, bytes(1000), poll=False)
    p.poll()
    p.expect("A", 1, 8001)


def test_acks_move_the_window_once():
    p = Peer()
    s = p.established(tx=8192, mss=1000)
    p.send("A", 1, 1, b"x")
    counts = taken(p)
    s.nagle = False
    assert s.send(bytes(5000)) == 5000
    p.poll()
    assert len(p.drain()) == 5
    for i in range(1, 6):
        p.send("A", 2, 1 + 1000 * i, poll=False)
    p.poll()
    assert counts == [5]
    assert s.send_queue() == 0 and s.w[17] == 0 and s.w[18] == 0
    assert s.round_trip() >= 0 and s.w[36] == -1


def test_a_window_that_was_overtaken():
    """RFC 9293 3.10.7.4: SND.WL1. Text in order, but sent before the ACK that came first."""
    for p, s in twins():
        p.send("A", 1, 1, b"arm", window=3000)
        p.send("A", 7, 1, window=2000)
        p.send("A", 4, 1, b"abc", window=8000)
        assert s.recv(10) == b"armabc" and s.w[19] == 2000, s.w[19]
        p.send("A", 7, 1, b"d", window=1000)
        assert s.recv(10) == b"d" and s.w[19] == 1000, s.w[19]


def refused(change, **options):
    """`change(packet)` makes the lane leave the packet to the long way."""
    for alone in (False, True):
        p = Peer()
        s = p.established(**options)
        stamps = {"tsval": 10, "tsecr": 0} if "tsval" in options else {}
        p.send("A", 1, 1, b"arm", **stamps)
        counts = taken(p)
        p.drain()
        packet = as_linux(p.packet("A", 4, 1, b"text", **stamps))
        if not alone:
            assert p.device.inject(packet)
            packet = as_linux(p.packet("A", 8, 1, b"text", **stamps))
        change(packet)
        assert p.device.inject(packet)
        p.poll()
        assert counts == ([] if alone else [1]), counts
        assert s.recv_queue() >= 3 + 4 * (not alone)


# not from .mpy files: two hosts and their buffers do not fit beside them
def test_damaged_text_is_refused():
    def change(packet):
        packet[-1] ^= 1

    refused(change)
    refused(change, tsval=5, timestamps=True)


# not from .mpy files: two hosts and their buffers do not fit beside them
def test_damaged_headers_are_refused():
    for at in (8, 10, 24, 28, 32, 34, 36):  # TTL, IP checksum, SEQ, ACK, offset, window, checksum

        def change(packet, at=at):
            packet[at] ^= 0x10

        refused(change)


# not from .mpy files: two hosts and their buffers do not fit beside them
def test_other_lengths_are_refused():
    def longer(packet):
        packet[2:4] = (len(packet) + 1).to_bytes(2, "big")

    def shorter(packet):
        packet[2:4] = (39).to_bytes(2, "big")

    refused(longer)
    refused(shorter)


# not from .mpy files: two hosts and their buffers do not fit beside them
def test_flags_are_refused():
    for flags in (0x11, 0x12, 0x14, 0x30, 0x50, 0x90, 0x00):

        def change(packet, flags=flags):
            packet[33] = flags

        refused(change)


def test_fragments_are_refused():
    def change(packet):
        packet[6] |= 0x20

    refused(change)


def test_timestamps_must_stand_where_they_do():
    def change(packet):
        packet[40:44] = b"\x08\x0a\x01\x01"

    refused(change, tsval=5, timestamps=True)


def test_another_connection_is_refused():
    p = Peer()
    s = p.established()
    other = p.listen()
    p.send("S", 0, remote_port=40000)
    answer = p.take()
    assert "S" in answer.flags
    p.send("A", 1, 1, remote_port=40000)
    assert other.state == "ESTABLISHED"
    p.iss = None
    p.send("A", 1, 1, b"to the second", remote_port=40000)
    assert s.recv_queue() == 0


def test_what_it_does_not_own_it_forgets():
    p = Peer()
    s = p.established()
    p.send("A", 1, 1, b"arm")
    lane = p.sockets.express
    assert lane.kit[0] is s
    p.sockets.remove(s)
    assert lane.kit[0] is None
    p.drain()
    p.send("A", 4, 1, b"nobody's")
    assert p.take().flags == "R"


def test_the_template_lasts_a_second():
    p = Peer()
    p.established()
    p.send("A", 1, 1, b"arm")
    p.pass_time(1500)
    counts = taken(p)
    p.send("A", 4, 1, b"the long way")
    assert counts == []
    p.send("A", 16, 1, b"the short one")
    assert counts == [1]


def compare(a, b, sa, sb, what):
    for i in range(96):
        # T_SET, when the set will look: the long way looks more often. RTT_MARK while RTT_AT is
        # stopped says nothing.
        # The timestamp clock is read when it is needed (34, and when: 35). The most that was in
        # flight within a window (92, 93) is looked at once per ACK, and the lane's come together.
        idle = i == 41 or i == 47 and sa.w[46] < 0 or i in (34, 35, 92, 93)
        assert idle or sa.w[i] == sb.w[i], "%s: word %d: %d, %d" % (what, i, sa.w[i], sb.w[i])
    held = [bytearray(s.recv_queue()) for s in (sa, sb)]  # what lies behind it may differ
    assert not held[0] or sa.peek_into(held[0]) == sb.peek_into(held[1])
    assert held[0] == held[1], what
    mine = [repr(x) + repr(x.payload) for x in a.drain()]
    assert mine == [repr(x) + repr(x.payload) for x in b.drain()], what
    assert [x.slot for x in a.changed] == [x.slot for x in b.changed], what
    sums = a.iface.stats(), b.iface.stats()
    assert sums[0] == sums[1], "%s: %r %r" % (what, sums[0], sums[1])


def stories(seed, rounds, **options):
    """Random batches, mostly what a busy connection gets, sometimes what it should not."""
    (a, sa), (b, sb) = twins(**options)
    counts = taken(a)
    random = Random(seed)
    stamped = "tsval" in options
    tsval = options.get("tsval", 0)
    at = 1
    buf = bytearray(4096)
    for turn in range(rounds):
        if turn % 3 == 0:
            n = random.bits(10)
            assert sa.send(RAMP, 0, n) == sb.send(RAMP, 0, n)
        both = ((a, sa), (b, sb))
        for _ in range(1 + random.bits(3)):
            kind = random.bits(6)
            n = random.bits(9) if kind & 3 else 0
            room = sa.w[22]
            seq = at
            acked = (sa.w[15] & 0xFFFFFFFF) - 5000 + (random.bits(12) % (sa.w[18] + 1))
            window = 8192
            extra = {}
            if stamped:
                tsval += random.bits(2)
                extra = {"tsval": tsval, "tsecr": 1}
            if kind == 1:
                seq += 10
            elif kind == 2:
                seq -= 5
            elif kind == 3:
                window = random.bits(4)
            elif kind == 4 and stamped:
                extra["tsval"] = tsval - 100
            packet = a.packet("A", seq, acked, RAMP[seq & 255 : (seq & 255) + n], window, **extra)
            packet = as_linux(packet)
            if kind == 5:
                packet[20 + random.bits(4)] ^= 1 + random.bits(7)
            elif kind > 5 and n <= room:
                at += n
            for p, _ in both:
                p.device.inject(packet)
            if not random.bits(2):
                for p, _ in both:
                    p.poll()
                compare(a, b, sa, sb, "seed %d, turn %d" % (seed, turn))
                at = 1 + (((sa.w[16] & 0xFFFFFFFF) - a.isn - 1) & 0xFFFFFFFF)
        ms = random.bits(5)
        for p, s in both:
            p.now += ms
            p.poll()
            s.recv_into(buf)
            p.poll()
        compare(a, b, sa, sb, "seed %d, end of turn %d" % (seed, turn))
        at = 1 + (((sa.w[16] & 0xFFFFFFFF) - a.isn - 1) & 0xFFFFFFFF)
        if sa.state != "ESTABLISHED":
            break
    return sum(counts)


# not on a board: the other stories take half a minute
def test_stories():
    lane = 0
    for seed in range(rounds(12)):
        lane += stories(seed, 40, rx=4096, tx=4096)
    assert lane > rounds(100), lane


# not from .mpy files: two worlds at a time
def test_stories_with_timestamps():
    lane = 0
    for seed in range(rounds(12)):
        lane += stories(seed, 40, rx=4096, tx=4096, tsval=77, timestamps=True)
    assert lane > rounds(100), lane


# not on a board: the other stories take half a minute
def test_stories_with_a_small_ring():
    lane = 0
    for seed in range(rounds(12)):
        lane += stories(seed, 40, rx=701, tx=701)
    assert lane > rounds(50), lane


class EthernetHost(test_transfer.Host):
    def __init__(self, address, seed, faults=None):
        super().__init__(address, seed, faults)
        self.device = PacketQueue(medium=ETHERNET, mtu=1500, frames=64)
        mac = "02:00:00:00:00:%02x" % seed
        self.iface = test_transfer.Interface(
            self.device, hardware_addr=mac, ip_addrs=(address + "/24",), seed=seed
        )


# not on a board: 400 KB of buffers and frames
def test_ethernet_takes_it_too():
    plain = test_transfer.Host
    test_transfer.Host = EthernetHost
    try:
        link = test_transfer.Link(rx=65536, tx=65536)
    finally:
        test_transfer.Host = plain
    counts = taken(link.a)
    test_transfer.transfer(link, 300000, both=False)
    segments = link.a.iface.stats()["tcp_in"]
    assert sum(counts) > segments * 8 // 10, (sum(counts), segments)


def burst_of(n, mss, window=8192, **options):
    p = Peer(iss=0xFFFFFFFF - 2500)
    s = p.established(mss=mss, window=window, tx=8192, **options)
    s.nagle = False
    s.congestion = "none"
    assert s.send(RAMP, 0, n) == n
    p.poll()
    return p, s, p.drain()


def test_a_burst_is_a_row_of_segments():
    p, s, out = burst_of(1700, 100)
    assert [x.seq for x in out] == [1 + 100 * i for i in range(17)]
    assert b"".join([x.payload for x in out]) == RAMP[:1700]
    # Peer.take() checked every sum; the last of the queue alone is pushed (RFC 9293 3.9.1.2).
    assert [x.flags for x in out] == ["A"] * 16 + ["PA"] or out[-1].flags == "PA"
    assert p.iface.stats()["tcp_out"] == 18
    assert s.w[17] == 1700 and s.w[18] == 1700


def test_a_lone_socket_has_the_whole_budget():
    p, s, out = burst_of(0, 100)
    s.send(RAMP, 0, 1700)
    s.send(RAMP, 0, 1700)
    p.iface.poll(p.now & 0x3FFFFFFF, p.sockets, 30)
    assert [len(x.payload) for x in p.drain()] == [100] * 30
    p.poll()
    assert [len(x.payload) for x in p.drain()] == [100] * 4


# not from .mpy files: two worlds at a time
def test_two_sockets_take_turns():
    """Neither starves, whoever was marked first: sixteen segments each, then it is the other's."""
    for first in (0, 1):
        p = Peer(queue=DEEP)
        pair = []
        for port in (80, 81):
            p.port, p.iss = port, None
            s = p.listen(port, tx=8192)
            p.send("S", 0, mss=100)
            p.take()
            p.send("A", 1, 1)
            s.nagle = False
            s.congestion = "none"
            pair.append(s)
        assert [s.state for s in pair] == ["ESTABLISHED"] * 2
        p.drain()
        for s in (pair[first], pair[1 - first]):
            s.send(RAMP, 0, 1700)
            s.send(RAMP, 0, 1700)
        p.iface.poll(p.now & 0x3FFFFFFF, p.sockets, 32)
        assert [s.w[17] for s in pair] == [1600, 1600]
        p.iface.poll(p.now & 0x3FFFFFFF, p.sockets, 40)
        assert [s.w[17] for s in pair] == [3400, 3400]


def test_a_burst_with_timestamps():
    _, _, out = burst_of(1700, 112, tsval=9, timestamps=True)
    assert b"".join([x.payload for x in out]) == RAMP[:1700]
    assert len({x.tsval for x in out}) == 1


def test_a_burst_ends_with_the_window():
    p, s, out = burst_of(1700, 100, window=450)
    assert [len(x.payload) for x in out] == [100] * 4
    p.send("A", 1, 401, window=1000)
    assert [len(x.payload) for x in p.drain()] == [100] * 10


def test_a_burst_stays_within_cwnd():
    p = Peer()
    s = p.established(mss=100, tx=8192)
    s.nagle = False
    s.send(RAMP, 0, 1700)
    p.poll()
    assert [x.seq for x in p.drain()] == [1 + 100 * i for i in range(10)]  # RFC 6928


def test_a_burst_meets_a_busy_device():
    p = Peer()
    s = p.established(mss=100, tx=8192)
    s.nagle = False
    send = p.iface.transmit
    room = [3]

    def few(buf, start, end):
        room[0] -= 1
        return room[0] >= 0 and send(buf, start, end)

    p.iface.device = Few(p.iface.device, few)
    p.iface.bind()
    s.send(RAMP, 0, 900)
    p.poll()
    assert [x.seq for x in p.drain()] == [1, 101, 201]
    assert p.iface.stats()["tx_busy"] == 1
    room[0] = 100
    p.poll()
    assert [x.seq for x in p.drain()] == [301 + 100 * i for i in range(6)]
    assert s.retransmissions() == 0


class Few:
    """A device whose send is `send`."""

    def __init__(self, device, send):
        self.medium = device.medium
        self.recv = device.recv
        self.link = device.link
        self.send = send


def test_single_visits_send_single_segments():
    p = Peer()
    s = p.established(mss=100, tx=8192)
    s.nagle = False
    s.send(RAMP, 0, 900)
    assert p.iface.poll_egress(p.now & 0x3FFFFFFF, p.sockets) == 1
    assert len(p.drain()) == 1
