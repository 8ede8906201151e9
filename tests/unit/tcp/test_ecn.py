"""Explicit congestion notification (RFC 3168)."""

from slow import BOARD
from support import locked
from tcp_support import MSS, PEER, PEER_PORT, Peer, raises

EINVAL = 22
ECT_1 = 1
ECT_0 = 2
CE = 3
CWND = 60
SSTHRESH = 61


def on(s):
    return s.w[88] & 256 != 0


def accepted(rx=8192, tx=16384, congestion="reno", **options):
    """A connection with ECN that the peer opened, segments of MSS octets."""
    p = Peer()
    s = p.listen(80, rx, tx)
    s.congestion = congestion
    for name in options:
        setattr(s, name, options[name])
    p.send("SEC", 0, mss=MSS, window=30000, sack=True)
    p.expect("SAE", 0, 1, tos=0)
    p.send("A", 1, 1, window=30000)
    assert s.state == "ESTABLISHED" and on(s)
    s.nagle = False
    return p, s


def queue(p, s, n):
    s.send(bytes(n * MSS))
    p.poll()
    p.poll()  # one has a budget
    return p.drain()


# The handshake


def test_modes():
    p = Peer()
    s = p.socket()
    assert s.ecn == "accept"
    for mode in ("off", "request", "accept"):
        s.ecn = mode
        assert s.ecn == mode
    raises(EINVAL, setattr, s, "ecn", "on")


# not from .mpy files: the frames it keeps do not fit beside them
def test_accepted_only_when_asked_rightly():
    """6.1.1: both flags of the SYN, one of the SYN+ACK; nothing else means ECN."""
    for mode, flags, tos, answer in (
        ("accept", "SEC", 0, "SAE"),
        ("request", "SEC", 0, "SAE"),
        ("off", "SEC", 0, "SA"),
        ("accept", "S", 0, "SA"),
        ("accept", "SE", 0, "SA"),
        ("accept", "SC", 0, "SA"),
        ("accept", "SEC", ECT_0, "SA"),
        ("accept", "SEC", ECT_1, "SA"),
        ("accept", "SEC", CE, "SA"),
        ("accept", "SEC", 0xB8, "SAE"),
    ):
        p = Peer()
        s = p.listen()
        s.ecn = mode
        p.send(flags, 0, tos=tos)
        p.expect(answer, 0, 1, tos=0)
        p.send("A", 1, 1)
        assert on(s) == (answer == "SAE"), (mode, flags, tos)
        s.send(b"abc")
        p.poll()
        p.expect("PA", 1, 1, b"abc", tos=ECT_0 if on(s) else 0)


def requested(**options):
    p = Peer()
    s = p.socket(**options)
    s.ecn = "request"
    s.connect(p.iface, (PEER, PEER_PORT), 49200)
    p.port = 49200
    p.poll()
    p.expect("SEC", 0, tos=0)
    return p, s


def test_requested():
    for flags, agreed in (("SAE", True), ("SA", False), ("SAEC", False), ("SAC", False)):
        p, s = requested()
        p.send(flags, 0, 1)
        p.expect("A", 1, 1, tos=0)
        assert s.state == "ESTABLISHED" and on(s) == agreed, flags
        s.send(b"abc")
        p.poll()
        p.expect("PA", 1, 1, b"abc", tos=ECT_0 if agreed else 0)


def test_not_requested_is_not_agreed():
    p = Peer()
    s = p.connect()
    p.expect("S", 0)
    p.send("SAE", 0, 1)
    assert s.state == "ESTABLISHED" and not on(s)


def test_lost_syn_goes_again_without():
    """6.1.1.1; whoever has sent such a SYN must not use ECN, whatever the answer."""
    p, s = requested()
    p.pass_time(1000)
    p.expect("S", 0)
    p.pass_time(2000)
    p.expect("S", 0)
    p.send("SAE", 0, 1)
    p.expect("A", 1, 1)
    assert not on(s)


def test_lost_syn_ack():
    p = Peer()
    s = p.listen()
    p.send("SEC", 0)
    p.expect("SAE", 0, 1)
    p.send("SEC", 0)
    p.expect("SAE", 0, 1)
    p.pass_time(1000)
    p.expect("SAE", 0, 1)
    p.send("S", 0)  # the peer gave it up
    p.expect("SA", 0, 1)
    p.send("A", 1, 1)
    assert s.state == "ESTABLISHED" and not on(s)


def test_simultaneous_open():
    for theirs, answer, last, agreed in (
        ("SEC", "SAE", "SAE", True),
        ("S", "SA", "SA", False),
        ("SE", "SA", "SA", False),
        ("SEC", "SAE", "SA", False),
        ("SEC", "SAE", "SAEC", False),
    ):
        p, s = requested()
        p.send(theirs, 0)
        p.expect(answer, 0, 1)
        p.send(last, 0, 1)
        p.drain()
        p.send("A", 1, 1)
        assert s.state == "ESTABLISHED" and on(s) == agreed, (theirs, last)
    p = Peer()
    s = p.connect()  # did not ask
    p.expect("S", 0)
    p.send("SEC", 0)
    p.expect("SA", 0, 1)
    p.send("A", 1, 1)
    assert s.state == "ESTABLISHED" and not on(s)


def test_next_connection_negotiates_anew():
    p, s = accepted()
    s.abort()
    p.poll()
    p.expect("RA", 1, 1, tos=0)
    s.listen(80)
    p.isn += 1000
    p.send("S", 0)
    p.expect("SA", 0, 1)
    p.send("A", 1, 1)
    assert not on(s)


# What is sent as capable


def test_only_new_data_is_capable():
    """6.1.4 to 6.1.6."""
    p, s = accepted(rto_min=1000)
    s.w[44] = 1000
    s.keep_alive = 60000
    assert [g.tos for g in queue(p, s, 4)] == [ECT_0] * 4
    s.ack_delay = 0
    p.send("PA", 1, 1, b"abc", window=30000)
    p.expect("A", 401, 4, tos=0)  # a pure ACK
    p.send("A", 4, 1, window=30000, blocks=((101, 401),))
    p.expect("A", 1, 4, bytes(MSS), tos=0)  # a retransmission
    p.send("A", 4, 401, window=0)
    s.send(b"xyz")
    p.poll()
    p.pass_time(2000)
    p.expect("A", 401, 4, b"x", tos=0)  # a window probe
    p.send("A", 4, 402, window=30000)
    p.expect("PAC", 402, 4, b"yz", tos=ECT_0)  # the loss reduced cwnd
    p.send("A", 4, 404, window=30000)
    p.pass_time(120000)
    p.expect("A", 403, 4, tos=0)  # a keep-alive
    p.send("A", 4, 404, window=30000)
    s.close()
    p.poll()
    p.expect("FA", 404, 4, tos=0)  # a FIN alone


def test_an_rst_is_not_capable():
    p = Peer()
    p.send("A", 1, 1, tos=CE)
    p.expect("R", 1, tos=0)


# The receiver


def test_a_mark_is_told_until_cwr():
    """6.1.3."""
    p, s = accepted(ack_delay=0)
    seq = 1
    for flags, tos, answer in (
        ("A", ECT_0, "A"),
        ("A", CE, "AE"),
        ("A", ECT_0, "AE"),
        ("PA", ECT_0, "AE"),
        ("AC", ECT_0, "A"),
        ("A", ECT_1, "A"),
        ("AC", CE, "AE"),  # marked again
        ("AC", ECT_0, "A"),
    ):
        p.send(flags, seq, 1, bytes(10), tos=tos, window=30000)
        seq += 10
        p.expect(answer, 1, seq, tos=0)
    s.send(b"abc")
    p.send("A", seq, 1, bytes(10), tos=CE, window=30000)
    p.expect("PAE", 1, seq + 10, b"abc", tos=ECT_0)  # with data as well
    assert p.iface.stats()["tcp_ce_in"] == 3


def test_marks_out_of_order_and_out_of_window():
    p, s = accepted(ack_delay=0)
    p.send("A", 101, 1, bytes(100), tos=CE, window=30000)
    p.expect("AE", 1, 1)
    p.send("AC", 1, 1, bytes(100), window=30000)
    p.expect("A", 1, 201)
    p.send("A", 1, 1, bytes(100), tos=CE)  # long since there
    p.expect("A", 1, 201)
    p.send("A", 50000, 1, bytes(100), tos=CE)
    p.expect("A", 1, 201)
    p.send("A", 201, 1, tos=CE, window=30000)  # a pure ACK can't be marked
    p.send("A", 201, 1, bytes(1), window=30000)
    p.expect("A", 1, 202)


def test_without_ecn_marks_and_flags_mean_nothing():
    p = Peer()
    s = p.established()
    s.ack_delay = 0
    p.send("AEC", 1, 1, bytes(10), tos=CE)
    p.expect("A", 1, 11, tos=0)
    cwnd = s.w[CWND]
    s.send(bytes(100))
    p.poll()
    p.expect("PA", 1, 11, bytes(100), tos=0)
    p.send("AE", 11, 101)
    assert s.w[CWND] >= cwnd and p.iface.stats()["tcp_ecn_reduced"] == 0


def test_the_express_lane_sees_marks():
    """Marks among many equal segments, each in its own poll and all in one."""
    p, s = accepted(ack_delay=0)
    seq = 1
    for batch in range(3):
        for i in range(6):
            tos = CE if i == 3 else ECT_0
            p.send("A", seq, 1, bytes(10), tos=tos, window=30000, poll=batch == 0)
            seq += 10
        p.poll()
        assert "E" in p.drain()[-1].flags, batch
        p.send("AC", seq, 1, bytes(10), tos=ECT_0, window=30000)
        seq += 10
        p.expect("A", 1, seq)
    assert p.iface.stats()["tcp_ce_in"] == 3
    for _ in range(5):  # marked all of them
        p.send("A", seq, 1, bytes(10), tos=CE, window=30000, poll=False)
        seq += 10
    p.poll()
    p.drain()
    assert p.iface.stats()["tcp_ce_in"] == 8


# The sender


def test_reduced_once_per_window():
    """6.1.2."""
    p, s = accepted()
    out = queue(p, s, 40)
    n = len(out)
    cwnd = s.w[CWND]
    p.send("AE", 1, 101, window=30000)
    half = s.w[CWND]
    assert half == s.w[SSTHRESH] == cwnd >> 1
    p.nothing()
    for i in range(2, n):
        p.send("AE", 1, 1 + i * MSS, window=30000)
    more = p.drain()
    assert s.w[CWND] == half  # and it did not grow
    assert "C" in more[0].flags and more[0].tos == ECT_0
    assert not [g for g in more[1:] if "C" in g.flags]
    assert p.iface.stats()["tcp_ecn_reduced"] == 1
    assert p.iface.stats()["tcp_ece_in"] == n - 1
    # The window that was reduced is through, but CWR stands behind it.
    p.send("AE", 1, 1 + n * MSS, window=30000)
    assert s.w[CWND] == half and p.iface.stats()["tcp_ecn_reduced"] == 1
    p.send("AE", 1, 1 + (n + 1) * MSS, window=30000)
    assert s.w[CWND] == half >> 1 and p.iface.stats()["tcp_ecn_reduced"] == 2


def test_ack_without_ece_does_not_reduce():
    p, s = accepted()
    n = len(queue(p, s, 40))
    cwnd = s.w[CWND]
    for i in range(1, n + 1):
        p.send("A", 1, 1 + i * MSS, window=30000)
    assert s.w[CWND] > cwnd
    assert not [g for g in p.drain() if "C" in g.flags]


def test_old_acks_do_not_reduce():
    p, s = accepted()
    n = len(queue(p, s, 40))
    p.send("A", 1, 1 + n * MSS, window=30000)
    p.drain()
    cwnd = s.w[CWND]
    p.send("AE", 1, 101, window=30000)
    assert s.w[CWND] == cwnd


def test_a_loss_and_a_mark_count_once():
    p, s = accepted()
    out = queue(p, s, 40)
    n = len(out)
    cwnd = s.w[CWND]
    for i in range(2, 6):
        p.send("A", 1, 1, window=30000, blocks=((101, 1 + i * MSS),))
    assert s.w[49] and s.w[SSTHRESH] == cwnd >> 1
    ssthresh = s.w[SSTHRESH]
    p.send("AE", 1, 501, window=30000)
    assert s.w[SSTHRESH] == ssthresh and p.iface.stats()["tcp_ecn_reduced"] == 0
    p.drain()
    p.send("AE", 1, 1 + n * MSS - MSS, window=30000)  # recovery may be over, its window is not
    assert s.w[SSTHRESH] == ssthresh
    p.send("A", 1, 1 + n * MSS, window=30000)
    sent = p.drain()
    assert len([g for g in sent if "C" in g.flags]) <= 1


def test_reduction_after_a_loss_is_told_by_cwr():
    p, s = accepted(rto_min=1000)
    s.w[44] = 1000
    queue(p, s, 2)
    p.pass_time(1000)  # the tail is probed
    p.pass_time(10000)  # the timeout
    again = p.drain()
    assert again and not [g for g in again if g.tos or "C" in g.flags]
    p.send("A", 1, 201, window=30000)
    s.send(bytes(3 * MSS))
    p.poll()
    new = p.drain()
    assert "C" in new[0].flags and new[0].tos == ECT_0
    assert not [g for g in new[1:] if "C" in g.flags]


# not from .mpy files: its buffers take too much memory
def test_cubic_and_abe():
    """0.69 by CUBIC; RFC 8511: 0.84, and 0.81 by Reno."""
    for name, abe, least, most in (
        ("reno", False, 49, 50),
        ("reno", True, 79, 82),
        ("cubic", False, 66, 70),
        ("cubic", True, 82, 86),
        ("none", False, 100, 100),
    ):
        p, s = accepted(congestion=name, abe=abe)
        many = 50 if BOARD else 100
        s.w[CWND] = s.w[62] = many * MSS
        n = len(queue(p, s, many))
        assert n == many
        p.send("AE", 1, 101, window=30000)
        percent = s.w[CWND] / (many * MSS) * 100
        assert least <= percent <= most, (name, abe, percent)
        p.send("A", 1, 1 + n * MSS, window=30000)
        s.send(bytes(MSS))
        p.poll()
        assert "C" in p.drain()[-1].flags, name
        p = s = None  # a board has no room for the next ones beside them


# not from .mpy files: its buffers take too much memory
def test_numbers_wrap():
    for iss in (0x7FFFFFF0, 0xFFFFFFF0, 0x3FFFFFF0):
        p = Peer(iss=iss)
        s = p.listen(80, 8192, 16384)
        s.congestion = "reno"
        s.nagle = False
        p.send("SEC", 0, mss=MSS, window=30000)
        p.expect("SAE", 0, 1)
        p.send("A", 1, 1, window=30000)
        n = len(queue(p, s, 10))
        p.send("AE", 1, 101, window=30000)
        half = s.w[CWND]
        p.send("AE", 1, 1 + (n - 1) * MSS, window=30000)
        assert s.w[CWND] == half
        p.send("AE", 1, 1 + n * MSS, window=30000)
        queue(p, s, 1)
        assert s.w[CWND] == half
        p.send("AE", 1, 1 + n * MSS + 1, window=30000)
        assert s.w[CWND] < half


def test_ecn_allocates_nothing():
    p, s = accepted(ack_delay=0, rx=4096)
    s.congestion = "cubic"
    seq = ack = 1
    packets = []
    for i in range(40):
        flags = ("A", "AE", "AC", "AEC")[i & 3]
        packets.append(p.packet(flags, seq, ack, bytes(10), 30000, tos=i % 5 & 3))
        seq += 10
        ack += MSS
    data = bytes(MSS)
    buf = bytearray(1600)
    s.congestion = "reno"

    def run():
        for packet in packets:
            s.send(data)
            p.device.inject(packet)
            p.iface.poll(p.now & 0x3FFFFFFF, p.sockets)
            while p.device.take_into(buf):
                pass

    s.send(data)
    p.poll()
    p.drain()
    locked(run)
    stats = p.iface.stats()
    assert stats["tcp_ce_in"] and stats["tcp_ece_in"] and stats["tcp_ecn_reduced"]
    assert s.state == "ESTABLISHED" and s.recv_queue() == 400
