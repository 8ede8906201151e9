"""The control block is small because some of its words serve two ends, and each finds its own."""

from errno import EADDRINUSE, ECONNABORTED, EINVAL

import micropython
from tcp_support import MSS, Peer, raises, sacking, seqs, short_segments

from smolmp.socket import tcp

REORDERING = 48  # bits 0-3 the reordering window, 4-8 for how many recoveries
EPOCH, CWND, SSTHRESH = 68, 60, 61
CONTROLLER = 28


def test_its_size():
    """Four holes, and four ranges of the scoreboard for the smallest transmit rings."""
    words = [len(tcp.Socket(rx=512, tx=tx).w) for tx in (1, 2559, 2560, 4096, 20000)]
    assert words == [120, 120, 123, 132, 165]
    assert len(tcp.Socket(rx=512, tx=512, holes=9).w) == 130


def test_what_the_program_sets():
    """In one word, each within what it is for; and it stays for the next connection."""
    p = Peer()
    s = p.sockets.add(tcp.Socket(rx=512, tx=512))
    assert (s.ack_delay, s.rto_min, s.timeout, s.error) == (10, 200, 0, 0)
    for ack_delay in (0, 40, 0x3FFF):
        for rto_min in (0, 1000, 0xFFFF):
            s.ack_delay, s.rto_min, s.timeout = ack_delay, rto_min, 5000
            s.listen(80)
            assert (s.ack_delay, s.rto_min, s.timeout) == (ack_delay, rto_min, 5000)
            s.close()
    for name, values in (("ack_delay", (-1, 0x4000)), ("rto_min", (-1, 0x10000))):
        for value in values:
            raises(EINVAL, setattr, s, name, value)
    for value in (-1, 1 << 29):
        raises(EINVAL, setattr, s, "timeout", value)


def test_a_listener_finds_back():
    """A handshake that fails leaves the endpoint as listen() was told it: any address of any
    family, of one, or that address."""
    for local, name in (
        (80, ("", 80)),
        ("0.0.0.0:80", ("0.0.0.0", 80)),
        (("192.168.69.1", 80), ("192.168.69.1", 80)),
    ):
        p = Peer()
        s = p.sockets.add(tcp.Socket(rx=512, tx=512))
        s.listen(local)
        assert s.local == name
        p.send("S", 0)
        assert s.state == "SYN-RECEIVED" and s.local == ("192.168.69.1", 80)
        p.drain()
        p.send("R", 1)
        assert s.state == "LISTEN" and s.local == name and s.remote is None
        s.listen(local)  # as before: nothing to do
        raises(EADDRINUSE, s.listen, 81)
        raises(EADDRINUSE, s.listen, ("192.168.69.2", 80))
        p.send("S", 7)
        assert s.state == "SYN-RECEIVED"


def test_reordering_is_forgotten_after_16_recoveries():
    """RFC 8985 6.2 step 4: a DSACK widens the window, each for a quarter; 16 recoveries later it
    is as it was."""
    p, s = sacking()
    w = s.w
    s.congestion = "none"
    p.send("A", 1, 101, blocks=((201, 601),))
    assert seqs(p) == [101]
    p.send("A", 1, 1101, blocks=((101, 201),))
    assert w[REORDERING] & 15 == 1 and (w[REORDERING] >> 4) & 31 == 16 - 1
    una = 1101
    for left in range(14, -1, -1):
        assert s.send(bytes(10 * MSS)) == 10 * MSS
        p.poll()
        p.drain()
        p.send("A", 1, una, blocks=((una + 100, una + 600),))
        p.pass_time(200)
        p.drain()
        assert w[49] > 0, w[49]  # recovers
        una += 10 * MSS
        p.send("A", 1, una)
        assert w[49] == 0
        assert (w[REORDERING] >> 4) & 31 == left
        assert w[REORDERING] & 15 == (1 if left else 0)


def test_duplicate_acks_are_counted_without_sack():
    """In the same word: three of them are a loss, and what comes between them begins anew."""
    p, s = short_segments(tx=4096)
    s.nagle = False
    assert s.send(bytes(8 * MSS)) == 8 * MSS
    p.poll()
    p.drain()
    for _ in range(2):
        p.send("A", 1, 1)
    assert s.w[REORDERING] == 2 and seqs(p) == []
    p.send("A", 1, 101)
    assert s.w[REORDERING] == 0
    for _ in range(3):
        p.send("A", 1, 101)
    assert s.retransmissions() == 1


def test_cubic_begins_anew_after_it_was_chosen_again():
    """Its words may have been a recovery's meanwhile."""
    p, s = sacking()
    s.congestion = "cubic"
    s.w[EPOCH] = 5
    s.congestion = "reno"
    assert s.w[32] >> CONTROLLER & 3 == 1
    p.send("A", 1, 101, blocks=((201, 601),))
    assert seqs(p) == [101] and s.w[49] > 0
    s.congestion = "cubic"
    assert s.w[32] >> CONTROLLER & 3 == 2 and s.w[EPOCH] == -1
    p.send("A", 1, 1101)
    assert s.w[CWND] == s.w[SSTHRESH]


def test_a_timeout_ends_the_epoch():
    """The time of it stands in one of CUBIC's words."""
    p, s = sacking()
    s.congestion = "cubic"
    s.w[EPOCH] = 5
    p.pass_time(s.w[44] + 1000)
    p.pass_time(s.w[44] + 1000)
    assert s.w[49] < 0 and s.w[EPOCH] == -1


def test_quick_acks_beside_the_mss():
    p = Peer()
    s = p.sockets.add(tcp.Socket(rx=8192, tx=512))
    s.quick_acks = 1 << 20  # more than there is room for
    s.listen(80)
    p.send("S", 0, mss=1000)
    p.drain()
    p.send("A", 1, 1)
    p.send("A", 1, 1, bytes(1000))
    assert s.mss == 1000 and s.w[90] & 0xFFFF == 1000 and s.w[90] >> 16 == 0x1FFF - 1
    assert [g.ack for g in p.drain()] == [1001]


def test_an_error_is_told_apart_from_a_soft_one():
    p = Peer()
    s = p.established()
    s.w[31] = 113 << 8  # as icmp_errors.py notes EHOSTUNREACH
    assert s.error == 0 and s.soft_error == 113 and s.recv(10) is None
    s.abort()
    assert s.error != 0 and s.soft_error == 0
    raises(ECONNABORTED, s.recv, 10)


def test_setting_allocates_nothing_that_the_set_needs():
    """ack_delay and rto_min are words: a listener's handshake may hand them down anywhere."""
    s = tcp.Socket(rx=512, tx=512)
    micropython.heap_lock()
    try:
        s.ack_delay = 7
        s.rto_min = 300
    finally:
        micropython.heap_unlock()
    assert s.ack_delay == 7 and s.rto_min == 300
