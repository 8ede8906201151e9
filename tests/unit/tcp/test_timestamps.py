"""The timestamps option (RFC 7323 3 to 5)."""

from tcp_support import Peer


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
    p.send("A", 5, 1, b"e", tsval=340)
    p.pass_time(10)
    p.expect("A", 1, 6, tsecr=350)


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
    p.pass_time(10)
    p.expect("A", 1, 3, tsecr=5)


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


def test_rst_carries_none_or_a_right_one():
    p = Peer()
    s = p.established(timestamps=True, tsval=9, mss=1000)
    s.abort()
    p.poll()
    r = p.expect("RA", 1, 1)
    assert r.tsecr in (None, 9)
