"""ESTABLISHED: what is accepted, answered and sent (RFC 9293 3.10.7.4, RFC 5961)."""

from tcp_support import Peer, raises

ECONNABORTED = 103
ECONNRESET = 104
EPIPE = 32


# Receiving


def test_recv():
    p = Peer()
    s = p.established()
    p.send("PA", 1, 1, b"abcdef")
    assert s in p.changed and s.recv_queue() == 6
    assert s.recv(4) == b"abcd" and s.recv(4) == b"ef" and s.recv(4) is None
    p.pass_time(10)
    p.expect("A", 1, 7, window=4090)  # six octets more would be a silly update


def test_peek_leaves_the_octets():
    p = Peer()
    s = p.established()
    buf = bytearray(6)
    assert s.peek_into(buf) is None
    p.send("A", 1, 1, b"abcdef")
    assert s.peek_into(buf, 3) == 3 and buf == b"abc\0\0\0"
    assert s.peek_into(buf) == 6 and buf == b"abcdef"
    assert s.recv_into(buf, 2) == 2 and s.peek_into(buf) == 4 and buf[:4] == b"cdef"


def test_discard():
    p = Peer()
    s = p.established(rx=6)
    assert s.discard() is None
    p.send("A", 1, 1, b"abcdef")
    assert s.discard(2) == 2 and s.recv(1) == b"c" and s.discard(0) == 0
    p.poll()
    p.expect("A", 1, 7, window=3)  # half the buffer: worth telling, as after a recv()
    assert s.discard(9) == 3 and s.discard(9) is None
    p.send("A", 7, 1, b"gh")  # the ring is empty: at its front again
    assert bytes(s.rx_buffer[:2]) == b"gh" and s.discard() == 2
    p.send("FA", 9, 1)
    assert s.discard() == 0


def test_peek_over_the_end_of_the_buffer():
    p = Peer()
    s = p.established(rx=6)
    buf = bytearray(6)
    p.send("A", 1, 1, b"abcd")
    assert s.recv_into(buf, 3) == 3
    p.poll()
    p.expect("A", 1, 5, window=5)
    p.send("A", 5, 1, b"efg")
    assert s.peek_into(buf) == 4 and buf[:4] == b"defg"
    assert s.recv_into(buf) == 4 and buf[:4] == b"defg"


def test_sliding_window():
    """The window that is announced ends where it ended, until the program reads."""
    p = Peer()
    s = p.established(rx=10)
    p.send("A", 1, 1, b"abcdef")
    p.pass_time(10)
    p.expect("A", 1, 7, window=4)
    p.send("A", 7, 1, b"ghij")
    p.pass_time(10)
    p.expect("A", 1, 11, window=0)
    assert s.recv(5) == b"abcde"
    p.poll()
    p.expect("A", 1, 11, window=5)
    p.send("A", 11, 1, b"klmno")
    assert s.recv(20) == b"fghijklmno"


def test_text_beyond_the_window_is_cut():
    p = Peer()
    s = p.established(rx=6)
    p.send("PA", 1, 1, b"abcdefgh")
    p.expect("A", 1, 7, window=0)
    assert s.recv(10) == b"abcdef"
    p.poll()
    p.expect("A", 1, 7, window=6)
    p.send("PA", 1, 1, b"abcdefgh")  # the part that is old is cut off too
    p.expect("A", 1, 9)
    assert s.recv(10) == b"gh"


def test_fin_beyond_the_window_is_cut():
    """A FIN that stands behind text which was cut off is not there: it would end the stream."""
    p = Peer()
    s = p.established(rx=6)
    p.send("FA", 1, 1, b"abcdefgh")
    p.expect("A", 1, 7, window=0)
    assert s.state == "ESTABLISHED" and s.recv(10) == b"abcdef" and s.recv(10) is None
    p.poll()
    p.expect("A", 1, 7, window=6)
    p.send("FA", 7, 1, b"gh")
    p.expect("A", 1, 10)
    assert s.state == "CLOSE-WAIT" and s.recv(10) == b"gh" and s.recv(10) == b""


def test_fin_right_behind_a_full_window():
    p = Peer()
    s = p.established(rx=6)
    p.send("FA", 1, 1, b"abcdef")
    p.expect("A", 1, 8, window=0)
    assert s.state == "CLOSE-WAIT" and s.recv(10) == b"abcdef"


def test_segment_that_overlaps_what_is_there():
    p = Peer()
    s = p.established()
    p.send("A", 1, 1, b"abcd")
    p.send("A", 3, 1, b"cdef")
    p.expect("A", 1, 7)
    assert s.recv(10) == b"abcdef"
    p.send("FA", 1, 1, b"abcdefgh")
    p.expect("A", 1, 10)
    assert s.recv(10) == b"gh" and s.recv(10) == b""


def test_segment_without_ack_is_dropped():
    p = Peer()
    s = p.established()
    p.send("P", 1, payload=b"abc")
    p.nothing()
    assert not s.can_recv()


def test_urgent_data_is_data():
    p = Peer()
    s = p.established()
    p.send("AU", 1, 1, b"abc")
    assert s.recv(10) == b"abc"


# Unacceptable segments


def test_old_text_is_always_acknowledged():
    """A peer that sends again has missed our ACK: no limit (RFC 9293 3.10.7.4, first)."""
    p = Peer()
    p.established()
    p.send("A", 1, 1, b"abcdef")
    p.pass_time(10)
    p.expect("A", 1, 7)
    for _ in range(4):
        p.send("A", 1, 1, b"abcdef")
        p.expect("A", 1, 7)


def test_text_behind_the_window_is_always_acknowledged():
    p = Peer()
    s = p.established(rx=100)
    for _ in range(3):
        p.send("A", 101, 1, b"abc")
        p.expect("A", 1, 1)
    p.send("FA", 101, 1)
    p.expect("A", 1, 1)
    p.send("A", 100, 1, b"x")  # the last octet of the window
    p.expect("A", 1, 1)
    assert s.w[99] == 1


def test_challenge_acks_are_limited():
    """RFC 5961 7: one a second; the ACK tells where we stand now."""
    p = Peer()
    s = p.established()
    p.send("A", -20, 1)
    p.expect("A", 1, 1)
    p.send("A", -20, 1)
    p.nothing()
    p.send("A", 90000, 1)
    p.nothing()
    p.pass_time(999)
    p.send("A", -20, 1)
    p.nothing()
    p.pass_time(1)
    s.send(b"abc")
    p.poll()
    p.expect("PA", 1, 1, b"abc")
    p.send("A", 1, 1, b"ghi")
    p.send("A", -20, 1)
    p.expect("A", 4, 4)
    assert s.state == "ESTABLISHED"


def test_challenge_ack_after_a_week():
    """The time of the last one stands on a clock that wraps."""
    p = Peer()
    p.established()
    p.send("A", -20, 1)
    p.expect("A", 1, 1)
    for _ in range(4):
        p.pass_time((1 << 27) + (1 << 25))
    p.send("A", -20, 1)
    p.expect("A", 1, 1)


def test_ack_of_what_was_never_sent():
    p = Peer()
    s = p.established()
    p.send("A", 1, 2, b"abc")
    p.expect("A", 1, 1)
    assert not s.can_recv()
    p.pass_time(1000)
    s.send(b"queued")  # queued is not sent
    p.send("A", 1, 5, b"abc", poll=False)
    p.poll()
    first, second = p.drain()
    assert (first.flags, first.seq, first.payload) == ("A", 1, b"")
    assert second.payload == b"queued"
    assert s.send_queue() == 6 and not s.can_recv()
    p.pass_time(1000 - 200)
    p.drain()
    p.send("A", 1, 8)
    p.pass_time(1000)
    p.drain()
    assert s.send_queue() == 6


def test_old_ack_is_ignored_but_not_its_text():
    """SEG.ACK =< SND.UNA: 'it can be ignored' is said of the ACK (RFC 9293 3.10.7.4, fifth)."""
    p = Peer()
    s = p.established()
    s.send(b"abcdef")
    p.poll()
    p.drain()
    p.send("A", 1, 7)
    p.send("A", 1, 4, b"late", window=1)
    p.pass_time(10)
    p.expect("A", 7, 5)
    assert s.recv(10) == b"late"
    s.send(b"x" * 500)  # the old segment's window counts for nothing either
    p.poll()
    p.expect("PA", 7, 5, b"x" * 500)


def test_ack_from_an_age_ago_is_challenged():
    """RFC 5961 5.2: below SND.UNA - MAX.SND.WND it is a blind guess."""
    p = Peer()
    s = p.established(window=8192)
    p.send("A", 1, 1 - 8192, b"abc")
    assert s.recv(10) == b"abc"
    p.pass_time(10)
    p.expect("A", 1, 4)
    p.send("A", 4, -8192, b"def")
    p.expect("A", 1, 4)
    assert not s.can_recv()
    p.pass_time(1000)
    p.send("A", 4, 1 << 31, b"def")
    p.expect("A", 1, 4)
    assert not s.can_recv()


def test_syn_in_an_open_connection_is_challenged():
    """RFC 5961 4.2, wherever it stands, data or not."""
    for flags, seq, payload in (
        ("S", 0, b""),
        ("S", 1, b""),
        ("S", 100, b"abc"),
        ("S", 500000, b""),
        ("S", -90, b"old"),
        ("SA", 1, b""),
        ("SA", 0, b""),
    ):
        p = Peer()
        s = p.established()
        p.send(flags, seq, 1, payload)
        p.expect("A", 1, 1)
        p.send(flags, seq, 1, payload)
        p.nothing()
        assert s.state == "ESTABLISHED" and not s.can_recv()


# RST


def test_rst_at_the_exact_octet_resets():
    p = Peer()
    s = p.established()
    p.send("A", 1, 1, b"abc")
    p.send("R", 4)
    p.nothing()
    assert s.state == "CLOSED" and s in p.changed and not s.may_send()
    assert s.recv(10) == b"abc"
    raises(ECONNRESET, s.recv, 1)
    raises(ECONNRESET, s.send, b"x")


def test_rst_with_ack_resets_whatever_it_acknowledges():
    """The second check comes before the fifth."""
    p = Peer()
    s = p.established()
    p.send("RA", 1, 12345)
    p.nothing()
    assert s.state == "CLOSED"


def test_rst_elsewhere_in_the_window_is_challenged():
    p = Peer()
    s = p.established(rx=1000)
    for seq in (2, 500, 1000, 1001):
        p.send("R", seq)
        p.expect("A", 1, 1)
        p.send("R", seq)
        p.nothing()
        p.pass_time(1000)
        assert s.state == "ESTABLISHED"
    p.send("R", 1)  # what an honest peer answers
    assert s.state == "CLOSED"


def test_rst_outside_the_window_is_dropped_in_silence():
    p = Peer()
    s = p.established(rx=1000)
    for seq in (0, -1, -1000, 1002, 1 << 30, 1 << 31):
        p.send("R", seq)
        p.nothing()
        p.send("RA", seq, 1)
        p.nothing()
    assert s.state == "ESTABLISHED"


def test_rst_at_the_edge_of_a_shut_window():
    p = Peer()
    s = p.established(rx=3)
    p.send("A", 1, 1, b"abc")
    p.pass_time(10)
    p.expect("A", 1, 4, window=0)
    p.send("R", 5)
    p.nothing()
    p.send("R", 4)
    assert s.state == "CLOSED"


def test_rst_in_every_state():
    expected = (
        ("LISTEN", "LISTEN", 0),
        ("SYN-SENT", "SYN-SENT", 0),
        ("SYN-RECEIVED", "LISTEN", 0),
        ("ESTABLISHED", "CLOSED", ECONNRESET),
        ("FIN-WAIT-1", "CLOSED", ECONNRESET),
        ("FIN-WAIT-2", "CLOSED", ECONNRESET),
        ("CLOSE-WAIT", "CLOSED", ECONNRESET),
        ("CLOSING", "CLOSED", 0),
        ("LAST-ACK", "CLOSED", 0),
        ("TIME-WAIT", "TIME-WAIT", 0),
    )
    for before, after, error in expected:
        p = Peer()
        s = p.reach(before)
        p.send("R", 2 if before in ("CLOSE-WAIT", "CLOSING", "LAST-ACK", "TIME-WAIT") else 1)
        p.nothing()
        assert s.state == after and s.error == error, (before, s.state, s.error)


# Sending


def test_send():
    p = Peer()
    s = p.established()
    assert s.send(b"abcdef") == 6 and s.send_queue() == 6
    p.poll()
    p.expect("PA", 1, 1, b"abcdef")
    p.send("A", 1, 7)
    assert s.send_queue() == 0 and s in p.changed
    p.nothing()
    assert s.send(b"foobar") == 6
    p.poll()
    p.expect("PA", 7, 1, b"foobar")
    p.send("A", 1, 13)
    assert s.send_queue() == 0
    p.nothing()


def test_send_part_of_a_buffer():
    p = Peer()
    s = p.established(tx=8)
    data = b"0123456789"
    assert s.send(data, 2, 3) == 3 and s.send(data, 5) == 5
    assert s.send(data) is None and s.send(b"") == 0
    for bad in ((-1,), (0, 11), (11,), (5, 6)):
        try:
            s.send(data, *bad)
            raise AssertionError("no error")
        except ValueError:
            pass
    p.poll()
    p.expect("PA", 1, 1, b"23456789")


def test_next_segment_does_not_wait_for_an_ack():
    p = Peer()
    s = p.established(mss=6)
    s.nagle = False
    for text in (b"abcdef", b"ghijkl"):
        s.send(text)
        p.poll()
    first, second = p.drain()
    assert (first.seq, second.seq) == (1, 7) and second.payload == b"ghijkl"


def test_more_than_the_window():
    p = Peer()
    s = p.established(window=100, mss=60)
    s.send(b"x" * 150)
    p.poll()
    p.expect("A", 1, 1, b"x" * 60, alone=False)
    p.nothing()  # 40 of 90 octets: less than half the largest window
    p.send("A", 1, 61, window=100)
    p.expect("A", 61, 1, b"x" * 60, alone=False)
    p.nothing()
    p.send("A", 1, 121, window=100)
    p.expect("PA", 121, 1, b"x" * 30)


def test_window_that_shrinks():
    """RFC 9293 3.8.6: nothing new beyond the edge; what was sent is sent again within it."""
    p = Peer()
    s = p.established(window=1072)
    s.send(b"x" * 1072)
    p.poll()
    assert len(p.drain()) == 2
    p.send("A", 1, 537, window=0)
    p.nothing()
    s.send(b"y" * 100)
    p.poll()
    p.nothing()
    p.send("A", 1, 1073, window=0)
    p.nothing()
    p.send("A", 1, 1073, window=1072)
    p.expect("PA", 1073, 1, b"y" * 100)


def test_ring_of_the_sender_wraps():
    p = Peer()
    s = p.established(tx=10)
    s.send(b"abcdef")
    p.poll()
    p.expect("PA", 1, 1, b"abcdef")
    p.send("A", 1, 4)
    assert s.send(b"0123456789") == 7
    p.send("A", 1, 7)
    p.expect("PA", 7, 1, b"0123456")


def test_timestamps_lower_the_payload():
    for mss, expected in ((1460, 1448), (1000, 988), (9000, 1448), (48, 36), (1, 36)):
        p = Peer()
        s = p.established(tx=3000, timestamps=True, tsval=1, mss=mss)
        s.send(bytes(3000))
        p.poll()
        out = p.drain()
        assert len(out[0].payload) == expected and out[0].tsval is not None
        p.send("A", 1, 1 + sum(len(g.payload) for g in out), tsval=2)
        assert p.drain() or s.send_queue() == 0


def test_smallest_mtu_makes_progress():
    """RFC 791: 68 octets. 28 remain for text, 16 beside timestamps."""
    for options, expected in (({}, 28), ({"timestamps": True, "tsval": 1}, 16)):
        p = Peer(mtu=68)
        s = p.established(mss=1460, **options)
        s.send(bytes(100))
        p.poll()
        assert len(p.drain()[0].payload) == expected


def test_abort():
    p = Peer()
    s = p.established()
    s.send(b"lost")
    p.poll()
    p.drain()
    s.abort()
    assert s.state == "CLOSED" and s.send_queue() == 0
    p.poll()
    p.expect("RA", 5, 1)
    raises(ECONNABORTED, s.send, b"x")
    p.pass_time(5000)
    p.nothing()
