"""The timestamps option (RFC 7323 3 to 5)."""

from tcp_support import Peer

from smolmp.socket.tcp import timers


def test_off_by_default():
    p = Peer()
    s = p.established(tsval=1000)
    s.send(b"x")
    p.poll()
    p.expect("PA", 1, 1, b"x", tsval=None)


def test_passive_open_with_both():
    p = Peer()
    s = p.listen(80, timestamps=True)
    p.send("S", 0, tsval=500)
    first = p.expect("SA", 0, 1, tsecr=500)
    assert first.tsval is not None
    p.pass_time(7)
    p.send("A", 1, 1, b"abc", tsval=600, tsecr=first.tsval)
    p.pass_time(10)
    p.expect("A", 1, 4, tsecr=600, tsval=(first.tsval + 17) & 0xFFFFFFFF)
    s.send(b"x")
    p.poll()
    p.expect("PA", 1, 4, b"x", tsecr=600)
    s.close()
    p.poll()
    p.expect("FA", 2, 4, tsecr=600)


def test_passive_open_without_the_peer():
    p = Peer()
    p.listen(80, timestamps=True)
    p.send("S", 0)
    p.expect("SA", 0, 1, tsval=None)
    p.send("A", 1, 1)
    p.send("FA", 1, 1)
    p.expect("A", 1, 2, tsval=None)


def test_passive_open_without_us():
    p = Peer()
    p.listen(80)
    p.send("S", 0, tsval=500)
    p.expect("SA", 0, 1, tsval=None)


def test_active_open_with_both():
    p = Peer()
    s = p.connect(timestamps=True)
    syn = p.expect("S", 0, None, tsecr=0)
    p.send("SA", 0, 1, tsval=77, tsecr=syn.tsval)
    p.expect("A", 1, 1, tsecr=77)
    assert s.state == "ESTABLISHED"


def test_active_open_without_the_peer():
    p = Peer()
    s = p.connect(timestamps=True)
    assert p.expect("S", 0).tsval is not None
    p.send("SA", 0, 1)
    p.expect("A", 1, 1, tsval=None)
    s.send(b"x")
    p.poll()
    p.expect("PA", 1, 1, b"x", tsval=None)


def test_active_open_without_us():
    p = Peer()
    p.connect()
    p.expect("S", 0, None, tsval=None)
    p.send("SA", 0, 1, tsval=5)
    p.expect("A", 1, 1, tsval=None)


def test_what_is_echoed():
    """RFC 7323 4.3: the earliest segment that an ACK answers, in order, never an older stamp."""
    p = Peer()
    p.established(timestamps=True, tsval=100, mss=1000)
    p.send("A", 1, 1, b"a", tsval=200)
    p.send("A", 2, 1, b"b", tsval=300)
    p.pass_time(10)
    p.expect("A", 1, 3, tsecr=200)  # (A) delayed ACKs: the first of those it answers
    p.send("A", 4, 1, b"d", tsval=400)
    p.expect("A", 1, 3, tsecr=200)  # (B) a hole: not what arrived behind it
    p.send("A", 3, 1, b"c", tsval=350)
    p.expect("A", 1, 5, tsecr=350)  # (C) the segment that fills it
    p.send("A", 5, 1, b"e", tsval=340)  # an old duplicate
    p.expect("A", 1, 5, tsecr=350)


def test_what_is_echoed_when_we_have_closed():
    """The same by the long way: header prediction is for open connections."""
    p = Peer()
    s = p.established(timestamps=True, tsval=100, mss=1000)
    s.close()
    p.poll()
    p.drain()
    p.send("A", 1, 2, b"a", tsval=200)
    p.send("A", 2, 2, b"b", tsval=300)
    p.pass_time(10)
    p.expect("A", 2, 3, tsecr=200)
    p.send("A", 3, 2, b"c", tsval=400)
    p.pass_time(10)
    p.expect("A", 2, 4, tsecr=400)


def test_stamps_wrap():
    p = Peer()
    p.established(timestamps=True, tsval=0xFFFFFFF0, mss=1000)
    p.send("A", 1, 1, b"a", tsval=5)
    p.pass_time(10)
    p.expect("A", 1, 2, tsecr=5)
    p.send("A", 2, 1, b"b", tsval=0xFFFFFFFF)
    p.expect("A", 1, 2, tsecr=5)
    p.send("A", 2, 1, b"b", tsval=6)
    p.pass_time(10)
    p.expect("A", 1, 3, tsecr=6)


def test_our_clock_goes_on_when_ticks_wrap():
    """Peers take a stamp that falls for an old duplicate (PAWS); ticks fall every 12 days."""
    p = Peer()
    s = p.established(timestamps=True, tsval=1, mss=1000)
    last = None
    for i in range(4):
        s.send(b"x")
        p.poll()
        g = p.take()
        if last is not None:
            assert (g.tsval - last) & 0xFFFFFFFF == 400
        last = g.tsval
        p.send("A", 1, 2 + i, tsval=2, tsecr=last)
        p.pass_time(400)  # the second begins behind the wrap


def test_sack_beside_timestamps_has_three_blocks():
    p = Peer()
    p.established(timestamps=True, tsval=1, sack=True, mss=1000)
    for i in range(1, 5):
        p.send("A", 10 * i, 1, b"x", tsval=1 + i)
    out = p.drain()
    assert out[-1].blocks == ((40, 41), (30, 31), (20, 21)) and out[-1].tsval is not None


def test_rst_carries_one():
    """RFC 7323 3.2."""
    p = Peer()
    s = p.established(timestamps=True, tsval=9, mss=1000)
    s.abort()
    p.poll()
    p.expect("RA", 1, 1, tsecr=9)
    s.listen(80)
    p.send("S", 5, tsval=None)
    p.expect("SA", 0, 6, tsval=None)


# PAWS


def test_segments_without_the_stamp_are_dropped_in_silence():
    """RFC 7323 3.2: whatever else is right with them. An RST is heard."""
    p = Peer()
    s = p.established(timestamps=True, tsval=9, mss=1000)
    for flags, payload in (("A", b"abc"), ("A", b""), ("FA", b""), ("S", b"")):
        p.send(flags, 1, 1, payload, tsval=None)
        p.pass_time(1000)
        p.nothing()
    assert s.state == "ESTABLISHED" and s.recv_queue() == 0
    assert p.iface.stats()["tcp_paws"] == 4
    p.send("R", 1, tsval=None)
    assert s.error == 104


def test_old_duplicates_are_rejected():
    """RFC 7323 5.3 R1: not acceptable, an ACK in reply, nothing of it is taken."""
    p = Peer()
    s = p.established(timestamps=True, tsval=100, mss=1000)
    p.send("A", 1, 1, b"abc", tsval=200)
    p.pass_time(10)
    p.expect("A", 1, 4, tsecr=200)
    s.send(b"xyz")
    p.poll()
    p.expect("PA", 1, 4, b"xyz")
    p.send("A", 4, 4, b"old", tsval=199)
    p.expect("A", 4, 4, tsecr=200)
    p.send("FA", 4, 4, tsval=150)
    p.expect("A", 4, 4, tsecr=200)
    assert s.state == "ESTABLISHED" and s.recv_queue() == 3 and s.send_queue() == 3
    p.send("A", 4, 4, b"new", tsval=200)  # the same stamp is no older one
    assert s.recv_queue() == 6 and s.send_queue() == 0
    assert p.iface.stats()["tcp_paws"] == 2


def test_old_empty_segments_are_answered_twice_a_second():
    p = Peer()
    p.established(timestamps=True, tsval=100, mss=1000)
    for _ in range(3):
        p.send("A", 1, 1, tsval=99)
    p.expect("A", 1, 1, tsecr=100)
    p.pass_time(500)
    p.send("A", 1, 1, tsval=99)
    p.expect("A", 1, 1, tsecr=100)


def test_an_rst_is_heard_whatever_its_stamp():
    """RFC 7323 5.2."""
    p = Peer()
    s = p.established(timestamps=True, tsval=100, mss=1000)
    p.send("R", 1, tsval=7)
    assert s.state == "CLOSED" and s.error == 104


def test_reordered_segments_are_no_old_duplicates():
    """What fills a hole is older than what lies behind it, whose stamp TS.Recent is not."""
    p = Peer()
    s = p.established(timestamps=True, tsval=100, mss=1000)
    p.send("A", 4, 1, b"def", tsval=201)
    p.expect("A", 1, 1, tsecr=100)
    p.send("A", 1, 1, b"abc", tsval=200)
    p.expect("A", 1, 7, tsecr=200)
    assert s.recv(10) == b"abcdef"


def test_paws_in_every_state():
    for state, seq, ack in (
        ("SYN-RECEIVED", 1, 1),
        ("FIN-WAIT-1", 1, 2),
        ("FIN-WAIT-2", 1, 2),
        ("CLOSE-WAIT", 2, 1),
        ("CLOSING", 2, 2),
        ("LAST-ACK", 2, 2),
        ("TIME-WAIT", 2, 2),
    ):
        p = Peer()
        s = p.listen(80, timestamps=True)
        p.send("S", 0, tsval=1000)
        p.expect("SA", 0, 1)
        if state != "SYN-RECEIVED":
            p.send("A", 1, 1)
        if state in ("CLOSE-WAIT", "LAST-ACK"):
            p.send("FA", 1, 1)
        if state not in ("SYN-RECEIVED", "CLOSE-WAIT"):
            s.close()
            p.poll()
        if state in ("FIN-WAIT-2", "TIME-WAIT"):
            p.send("A", 1, 2)
        if state in ("CLOSING", "TIME-WAIT"):
            p.send("FA", 1, 1 if state == "CLOSING" else 2)
        assert s.state == state, (s.state, state)
        p.drain()
        p.send("A", seq, ack, tsval=999)
        assert s.state == state, (s.state, state)
        p.expect("A", 2 if seq + ack > 2 and state != "CLOSE-WAIT" else 1, seq, tsecr=1000)


def test_stamps_of_an_idle_month_are_believed():
    """RFC 7323 5.5: after 24 days TS.Recent tells nothing, though ticks wrap every 12."""
    for days, believed in ((23, False), (25, True)):
        p = Peer()
        s = p.established(timestamps=True, tsval=0x60000000, mss=1000)
        left = days * 24 * 3600
        while left:  # poll_delay() sees to it that the interface does not oversleep
            delay = p.iface.poll_delay(p.now & 0x3FFFFFFF, p.sockets)
            assert 0 < delay <= 0xFFFFFF
            delay = min(delay // 1000, left)
            left -= delay
            p.pass_time(delay * 1000 + 999)
            p.nothing()
        p.send("A", 1, 1, b"abc", tsval=5)  # "older" than 0x60000000
        assert s.recv_queue() == (3 if believed else 0), days
        p.pass_time(10)
        p.expect("A", 1, 4 if believed else 1, tsecr=5 if believed else 0x60000000)


def test_a_connection_that_ended_wakes_nobody():
    p = Peer()
    s = p.established(timestamps=True, tsval=1)
    p.pass_time(5000)
    assert p.iface.poll_delay(p.now & 0x3FFFFFFF, p.sockets) == 0xFFFFFF - 5000
    s.abort()
    p.poll()
    assert p.iface.poll_delay(p.now & 0x3FFFFFFF, p.sockets) is None


# Round trips


def timed(p, s):
    """Send a segment; the stamp on it."""
    s.send(bytes(1000))
    p.poll()
    return p.take().tsval


# not from .mpy files: its buffers take too much memory
def test_the_round_trip_of_a_segment_sent_twice():
    """Without stamps nothing could be learned (Karn)."""
    for timestamps in (False, True):
        p = Peer()
        s = p.established(timestamps=timestamps, tsval=9, mss=1012, tx=20000)
        for i in range(30):
            stamp = timed(p, s)
            p.pass_time(40)
            p.send("A", 1, 1001 + 1000 * i, tsecr=stamp or 0)
        assert 35 <= s.round_trip() <= 40
        timed(p, s)
        p.pass_time(s.w[44])
        again = p.take()
        assert again.seq == 30001
        p.pass_time(300)
        before = s.round_trip()
        p.send("A", 1, 31001, tsecr=again.tsval or 0)
        if timestamps:
            assert before + 25 < s.round_trip() < before + 45  # 1/8 of the 260 more
        else:
            assert s.round_trip() == before


def test_an_echo_of_the_first_copy_counts_from_the_first():
    p = Peer()
    s = p.established(timestamps=True, tsval=9, mss=1012, tx=20000)
    first = timed(p, s)
    rto = s.w[44]
    p.pass_time(rto)
    p.drain()
    s.w[42] = 0
    p.pass_time(50)
    p.send("A", 1, 1001, tsecr=first)
    assert s.round_trip() == rto + 50


def test_an_impossible_echo_is_ignored():
    p = Peer()
    s = p.established(timestamps=True, tsval=9, mss=1012, tx=20000)
    before = s.round_trip()
    stamp = timed(p, s)
    p.pass_time(s.w[44])
    p.drain()
    p.send("A", 1, 1001, tsecr=stamp + 100000)  # from the future
    assert s.round_trip() == before
    timed(p, s)
    p.pass_time(s.w[44])
    p.drain()
    p.send("A", 1, 2001, tsecr=0)
    assert s.round_trip() == before


# not from .mpy files: its buffers take too much memory
def test_many_samples_weigh_as_one():
    """RFC 7323 appendix G: 50 samples within a round trip move SRTT as much as one does."""
    p = Peer()
    s = p.established(timestamps=True, tsval=9, mss=1012, tx=60000)
    w = s.w
    w[42], w[43] = 100 << 3, 10 << 2
    for _ in range(50):
        timers.measured(s, 180, 50)
    assert abs((w[42] >> 3) - 110) <= 1
    assert abs((w[43] >> 2) - (10 + (75 - 10) // 4)) <= 2
    w[42], w[43], w[87] = 100 << 3, 10 << 2, 0
    for _ in range(50):
        timers.measured(s, 20, 50)
    assert abs((w[42] >> 3) - 90) <= 1
    # Small errors are not lost in the divisions.
    w[42], w[43], w[87] = 100 << 3, 0, 0
    for _ in range(3000):
        timers.measured(s, 101, 300)
    assert w[42] >> 3 == 101
