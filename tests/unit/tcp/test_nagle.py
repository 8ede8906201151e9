"""Nagle's algorithm (RFC 9293 3.7.4)."""

from tcp_support import Peer, raises

from smolmp.socket import tcp


def test_minshall_by_default_and_settable():
    s = tcp.Socket()
    assert s.nagle == "minshall"
    for way in (False, True, "minshall", True, False):
        s.nagle = way
        assert s.nagle == way
    raises(22, setattr, s, "nagle", "sometimes")
    assert s.nagle is False


def test_small_writes_wait_for_the_ack():
    p = Peer()
    s = p.established(mss=100)
    s.send(b"a")
    p.poll()
    p.expect("PA", 1, 1, b"a")  # nothing in flight: at once
    for text in (b"b", b"c", b"d"):
        s.send(text)
        p.poll()
        p.nothing()
    p.send("A", 1, 2)
    p.expect("PA", 2, 1, b"bcd")


def test_full_segments_do_not_wait():
    p = Peer()
    s = p.established(mss=100)
    s.send(b"a")
    p.poll()
    p.drain()
    s.send(bytes(99))
    p.poll()
    p.nothing()
    s.send(bytes(1))
    p.poll()
    p.expect("PA", 2, 1, bytes(100))


def test_rest_of_a_stream_waits():
    p = Peer()
    s = p.established(mss=100)
    s.send(bytes(250))
    p.poll()
    assert [(g.seq, g.flags) for g in p.drain()] == [(1, "A"), (101, "A")]
    p.send("A", 1, 101)
    p.nothing()
    p.send("A", 1, 201)
    p.expect("PA", 201, 1, bytes(50))


def test_full_segment_is_counted_less_its_options():
    """smoltcp's lesson: with timestamps the largest payload is 12 less, and still full."""
    p = Peer()
    s = p.established(mss=100, timestamps=True, tsval=1)
    s.send(bytes(3 * 88))
    p.poll()
    assert [len(g.payload) for g in p.drain()] == [88, 88, 88]


def test_last_segment_before_the_fin_does_not_wait():
    p = Peer()
    s = p.established(mss=100)
    s.send(b"a")
    p.poll()
    p.drain()
    s.send(b"b")
    p.poll()
    p.nothing()
    s.close()
    p.poll()
    p.expect("FPA", 2, 1, b"b")


def test_fin_alone_does_not_wait():
    p = Peer()
    s = p.established()
    s.send(b"a")
    p.poll()
    p.drain()
    s.close()
    p.poll()
    p.expect("FA", 2, 1)


def test_off():
    p = Peer()
    s = p.established(mss=100)
    s.nagle = False
    for i in range(4):
        s.send(b"abcd", i, 1)
        p.poll()
    assert [(g.seq, g.payload) for g in p.drain()] == [(1, b"a"), (2, b"b"), (3, b"c"), (4, b"d")]


def test_switched_off_while_text_waits():
    p = Peer()
    s = p.established(mss=100)
    for text in (b"a", b"b"):
        s.send(text)
        p.poll()
    p.expect("PA", 1, 1, b"a")
    s.nagle = False
    p.poll()
    p.expect("PA", 2, 1, b"b")


def test_text_that_is_sent_again_does_not_wait():
    p = Peer()
    s = p.established(mss=100)
    s.send(b"abc")
    p.poll()
    p.drain()
    s.send(b"d")
    p.poll()
    p.nothing()
    p.pass_time(1000)
    p.expect("PA", 1, 1, b"abcd")


# Minshall's way


def minshall(**options):
    p = Peer()
    s = p.established(mss=100, **options)
    s.nagle = "minshall"
    return p, s


def test_the_rest_of_a_long_write_does_not_wait():
    """draft-minshall-nagle-01: only a small segment in flight holds another one back."""
    p, s = minshall()
    s.send(bytes(250))
    p.poll()
    assert [(g.seq, g.flags) for g in p.drain()] == [(1, "A"), (101, "A"), (201, "PA")]
    s.send(b"abc")
    p.poll()
    p.nothing()  # 201 is small and in flight
    p.send("A", 1, 201)
    p.nothing()
    p.send("A", 1, 230)  # not all of it
    p.nothing()
    p.send("A", 1, 251)
    p.expect("PA", 251, 1, b"abc")


def test_small_writes_wait_for_each_other():
    p, s = minshall()
    for text in (b"a", b"b", b"c"):
        s.send(text)
        p.poll()
    p.expect("PA", 1, 1, b"a")
    p.send("A", 1, 2)
    p.expect("PA", 2, 1, b"bc")


def test_full_segments_behind_a_small_one_do_not_wait():
    p, s = minshall()
    s.send(b"a")
    p.poll()
    p.drain()
    s.send(bytes(130))
    p.poll()
    assert [(g.seq, len(g.payload)) for g in p.drain()] == [(2, 100)]
    p.send("A", 1, 2)  # the small one is there: the next may go, whatever else flies
    p.expect("PA", 102, 1, bytes(30))


def test_small_segments_are_forgotten_however_much_follows():
    """Where the last small one ended is counted from SND.UNA: it must not run below for ever."""
    p, s = minshall()
    s.send(b"a")
    p.poll()
    p.drain()
    p.send("A", 1, 2)
    at = 2
    for _ in range(100):
        s.send(bytes(1000))
        p.poll()
        p.drain()
        at += 1000
        p.send("A", 1, at)
    assert s.w[84] == 0
    s.send(bytes(110))
    p.poll()
    assert len(p.drain()) == 2


def test_a_small_segment_sent_again_is_none_the_more():
    p, s = minshall()
    s.send(bytes(150))
    p.poll()
    assert len(p.drain()) == 2
    p.pass_time(1000)
    p.drain()
    p.send("A", 1, 151)
    s.send(bytes(150))
    p.poll()
    assert [len(g.payload) for g in p.drain()] == [100, 50]


def test_it_lasts_through_a_second_life():
    p = Peer()
    s = p.listen(80)
    s.nagle = False
    p.send("S", 0)
    p.drain()
    p.send("A", 1, 1)
    p.send("R", 1)
    s.listen(80)
    p.send("S", 0)
    p.drain()
    p.send("A", 1, 1)
    for text in (b"a", b"b"):
        s.send(text)
        p.poll()
    assert len(p.drain()) == 2
