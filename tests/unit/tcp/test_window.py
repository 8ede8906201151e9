"""Flow control: windows, probes, silly windows (RFC 9293 3.8.6, RFC 7323 2)."""

from tcp_support import Peer

MSS = 100


# The receiver's side


def test_largest_segment():
    p = Peer()
    s = p.established(tx=32767, mss=1000, window=32767)
    s.send(bytes(2000))
    p.poll()
    assert [len(g.payload) for g in p.drain()] == [1000, 1000]


def test_psh_marks_the_end_of_what_was_written():
    p = Peer()
    s = p.established(mss=6, window=1000)
    s.send(bytes(48 * 3))
    p.poll()
    assert [g.flags for g in p.drain()] == ["A", "A", "PA"]


def test_psh_is_delivered_like_any_text():
    p = Peer()
    s = p.established()
    p.send("PA", 1, 1, b"abc")
    p.send("A", 4, 1, b"def")
    assert s.recv(10) == b"abcdef"


def fill(p, s, size, seq=1):
    """The peer fills the receive buffer."""
    p.send("A", seq, 1, bytes(size))
    p.pass_time(10)
    p.expect("A", 1, seq + size, window=0)


def test_zero_window_is_acknowledged_without_limit():
    p = Peer()
    s = p.established(rx=6)
    fill(p, s, 6)
    for _ in range(4):
        p.send("A", 7, 1, b"123456")
        p.expect("A", 1, 7, window=0)
    assert s.recv_queue() == 6


def test_ack_counts_though_the_window_is_shut():
    """RFC 9293 3.10.7.4: valid ACKs, URGs and RSTs get through."""
    p = Peer()
    s = p.established(rx=6)
    s.send(b"abc")
    p.poll()
    p.drain()
    p.send("A", 1, 1, b"123456")
    p.send("A", 7, 4, b"7")
    assert s.send_queue() == 0 and s.recv(10) == b"123456"


def test_fin_needs_no_room():
    p = Peer()
    s = p.established(rx=6)
    fill(p, s, 6)
    p.send("FA", 7, 1)
    p.expect("A", 1, 8, window=0)
    assert s.state == "CLOSE-WAIT" and s.recv(10) == bytes(6) and s.recv(10) == b""


def test_window_is_announced_after_reading():
    p = Peer()
    s = p.established(rx=6)
    fill(p, s, 6)
    assert s.recv(3) == bytes(3)
    p.poll()
    p.expect("A", 1, 7, window=3)
    p.poll()
    p.nothing()
    assert s.recv(3) == bytes(3)
    p.poll()
    p.expect("A", 1, 7, window=6)


def test_no_silly_window():
    """RFC 9293 3.8.6.2.2: the edge stays until it can move by a segment or half the buffer."""
    p = Peer()
    s = p.established(rx=1000, mss=MSS)
    fill(p, s, 1000)
    assert s.recv(MSS - 1) is not None
    p.poll()
    p.nothing()
    p.send("A", 1001, 1, b"x")  # a probe
    p.expect("A", 1, 1001, window=0)
    s.recv(1)
    p.send("A", 1001, 1, b"x")
    p.expect("A", 1, 1001, window=MSS)
    s.recv(2 * MSS)
    p.poll()
    p.expect("A", 1, 1001, window=3 * MSS)


def test_no_silly_window_of_a_small_buffer():
    p = Peer()
    s = p.established(rx=10)
    fill(p, s, 10)
    s.recv(4)
    p.poll()
    p.nothing()
    s.recv(1)
    p.poll()
    p.expect("A", 1, 11, window=5)


def test_window_never_shrinks():
    p = Peer()
    s = p.established(rx=100)
    p.send("A", 1, 1, bytes(30))
    p.pass_time(10)
    p.expect("A", 1, 31, window=70)
    p.send("A", 51, 1, bytes(10))
    p.expect("A", 1, 31, window=70)  # out of order takes no room
    s.recv(100)
    p.poll()
    p.send("A", 31, 1, bytes(20))
    p.drain()
    p.send("A", 61, 1, b"")
    assert all(61 + g.window >= 101 for g in p.drain())


def test_growth_rides_on_the_delayed_ack():
    p = Peer()
    s = p.established(rx=1000, mss=MSS)
    p.send("A", 1, 1, bytes(MSS))
    s.recv(MSS)
    p.poll()
    p.nothing()
    p.pass_time(10)
    p.expect("A", 1, MSS + 1, window=1000)


def test_reading_much_is_told_at_once():
    p = Peer()
    s = p.established(rx=1000, mss=500)
    p.send("A", 1, 1, bytes(500))
    s.recv(500)
    p.poll()
    p.expect("A", 1, 501, window=1000)
    p.pass_time(10)
    p.nothing()


# not from .mpy files: its buffers take too much memory
def test_big_buffer_without_scaling():
    """More room than the field can tell is no reason to tell it again and again."""
    p = Peer()
    s = p.established(rx=86000, mss=1000)
    seq = 1
    for _ in range(10):
        p.send("A", seq, 1, bytes(1000))
        seq += 1000
        p.send("A", seq, 1, bytes(1000))
        seq += 1000
        p.expect("A", 1, seq, window=65535)
    assert s.recv_queue() == 20000
    while s.recv(5000):
        pass
    p.poll()
    p.nothing()


# not on a board: a window of 512 KB is what it is about
def test_scaled_window():
    p = Peer()
    s = p.listen(80, rx=1 << 19)
    p.send("S", 0, scale=3, mss=1460)
    p.expect("SA", 0, 1, scale=4, window=65535)
    p.send("A", 1, 1)
    p.expect("A", 1, 1, window=1 << 15)  # more than the SYN could tell
    p.send("A", 1, 1, b"x")
    p.pass_time(10)
    p.expect("A", 1, 2, window=((1 << 19) - 1) >> 4)
    assert s.recv(1) == b"x"
    p.send("A", 2, 1, b"x" * 17)
    p.pass_time(10)
    g = p.take()
    assert g.ack == 19 and g.ack + (g.window << 4) <= 2 + (1 << 19)


# not from .mpy files: its buffers take too much memory
def test_far_edge_of_a_scaled_window():
    """Only what was announced is acceptable, rounded down to the field's grain."""
    p = Peer()
    s = p.established(rx=131072 + 3, scale=0)
    p.send("A", 1, 1, b"x")
    p.pass_time(10)
    g = p.take()
    edge = g.ack + (g.window << 2)
    p.send("A", edge - 1, 1, b"y")
    assert s.w[99] == 1
    p.drain()
    p.send("A", edge + 3, 1, b"y")
    p.expect("A", 1, 2)
    assert s.w[99] == 1


# The sender's side


def test_peer_window_is_filled_and_no_more():
    p = Peer()
    s = p.established(mss=6, window=48 * 4)
    s.send(bytes(480))
    p.poll()
    assert sum(len(g.payload) for g in p.drain()) == 48 * 4
    p.send("A", 1, 49, window=48 * 3)
    p.nothing()
    p.send("A", 1, 49, window=48 * 4)
    assert [g.seq for g in p.drain()] == [193]


def test_window_update_needs_a_newer_segment():
    """RFC 9293 3.10.7.4: SND.WL1 and SND.WL2; a late segment must not shrink the window."""
    p = Peer()
    s = p.established(window=1000)
    p.send("A", 1, 1, b"abc", window=2000)
    p.send("A", 4, 1, b"def", window=500)
    p.send("A", 1, 1, b"abc", window=4000)  # sent before
    p.drain()
    s.nagle = False
    s.send(bytes(1000))
    p.poll()
    assert sum(len(g.payload) for g in p.drain()) <= 500


def zero_window(p, s, text=b"abcdef"):
    """The window shuts while `text` waits; nothing is in flight."""
    p.send("A", 1, 1, window=0)
    s.send(text)
    p.poll()
    p.nothing()


def established(**options):
    p = Peer()
    s = p.established(**options)
    s.rto_min = 1000
    s.w[44] = 1000
    return p, s


def test_probe_after_a_window_update_to_zero():
    p, s = established()
    s.send(b"abc")
    p.poll()
    p.expect("PA", 1, 1, b"abc")
    s.send(b"defgh")
    p.send("A", 1, 4, window=0)
    p.nothing()
    p.pass_time(999)
    p.nothing()
    p.pass_time(1)
    p.expect("A", 4, 1, b"d")


def test_probe_after_send_into_a_shut_window():
    p, s = established()
    zero_window(p, s)
    p.pass_time(999)
    p.nothing()
    p.pass_time(1)
    p.expect("A", 1, 1, b"a")


def test_probes_back_off():
    """RFC 9293 3.8.6.1: exponentially, for ever while the peer answers; R2 long while it does not
    (test_found_by_soak.py)."""
    for answered, minutes in ((True, 60), (False, 13)):
        p, s = established()
        zero_window(p, s)
        for wait in (1000, 2000, 4000, 8000, 16000, 32000) + minutes * (60000,):
            p.pass_time(wait - 1)
            p.nothing()
            p.pass_time(1)
            p.expect("A", 1, 1, b"a")
            if answered:
                p.send("A", 1, 1, window=0)
                p.nothing()
        assert s.state == "ESTABLISHED"
        p.send("A", 1, 1, window=100)
        p.expect("PA", 1, 1, b"abcdef")


def test_probing_ends_when_the_window_opens():
    p, s = established()
    zero_window(p, s)
    p.pass_time(1000)
    p.expect("A", 1, 1, b"a")
    p.send("A", 1, 1, window=6)
    p.expect("PA", 1, 1, b"abcdef")
    p.send("A", 1, 7, window=6)
    p.pass_time(100000)
    p.nothing()


def test_probing_ends_before_the_first_probe():
    p, s = established()
    zero_window(p, s)
    p.pass_time(500)
    p.send("A", 1, 1, window=6)
    p.expect("PA", 1, 1, b"abcdef")
    p.send("A", 1, 7, window=6)
    p.pass_time(100000)
    p.nothing()


def test_probe_that_is_accepted():
    """The octet may be acknowledged: the next one probes on."""
    p, s = established()
    zero_window(p, s)
    p.pass_time(1000)
    p.expect("A", 1, 1, b"a")
    p.send("A", 1, 2, window=0)
    p.nothing()
    assert s.send_queue() == 5
    p.pass_time(2000)
    p.expect("A", 2, 1, b"b")
    p.send("A", 1, 3, window=100)
    p.expect("PA", 3, 1, b"cdef")


def test_probe_with_the_fin():
    p, s = established()
    p.send("A", 1, 1, window=0)
    s.close()
    p.poll()
    p.nothing()
    p.pass_time(1000)
    p.expect("FA", 1, 1)
    p.send("A", 1, 1, window=0)
    p.pass_time(2000)
    p.expect("FA", 1, 1)
    p.send("A", 1, 2, window=0)
    assert s.state == "FIN-WAIT-2"
    p.pass_time(100000)
    p.nothing()


def test_window_shut_with_data_in_flight():
    """The retransmission timer is the persist timer then; nothing goes beyond the edge."""
    p, s = established(mss=MSS)
    s.send(bytes(3 * MSS))
    p.poll()
    assert len(p.drain()) == 3
    p.send("A", 1, 1 + MSS, window=0)
    p.pass_time(1000)
    p.nothing()
    p.pass_time(2000)
    p.expect("A", 1 + MSS, 1, b"\0")
    p.send("A", 1, 1 + 3 * MSS, window=1000)
    p.nothing()
    assert s.send_queue() == 0


def test_acks_while_the_window_is_shut_stay_in_it():
    """An ACK whose SEQ is right of the window would be dropped unread."""
    p, s = established()
    s.send(bytes(100))
    p.poll()
    p.drain()
    p.send("A", 1, 51, window=0)
    p.send("A", 1, 51, b"abc", window=0)
    p.pass_time(10)
    p.expect("A", 51, 4)


def test_crumbs_are_not_sent():
    """RFC 9293 3.8.6.2.1: a segment, half the largest window, or all there is."""
    p, s = established(mss=MSS, window=1000)
    p.send("A", 1, 1, window=60)
    s.send(bytes(300))
    p.poll()
    p.nothing()
    p.send("A", 1, 1, window=99)
    p.nothing()
    p.send("A", 1, 1, window=100)
    p.expect("A", 1, 1, bytes(100))


def test_override_of_a_small_window():
    """RFC 9293 3.8.6.2.1 (4): when waiting does not help, what fits goes, as ordinary data."""
    p, s = established(mss=MSS, window=1000)
    p.send("A", 1, 1, window=60)
    s.send(bytes(300))
    p.poll()
    p.nothing()
    p.pass_time(1000)
    p.expect("A", 1, 1, bytes(60))
    p.pass_time(1000)
    p.expect("A", 1, 1, bytes(60))  # it is in the window: the retransmission timer's
    p.send("A", 1, 61, window=60)
    p.nothing()
    p.pass_time(1000)
    p.expect("A", 61, 1, bytes(60))
    p.send("A", 1, 121, window=1000)
    p.expect("A", 121, 1, bytes(MSS))  # and the last 80 by Nagle's rule


def test_peer_with_a_tiny_buffer():
    """Half the largest window ever offered is not a crumb."""
    p, s = established(mss=1460, window=10)
    s.send(bytes(30))
    p.poll()
    p.expect("A", 1, 1, bytes(10))
    p.send("A", 1, 11, window=4)
    p.nothing()
    p.send("A", 1, 11, window=5)
    p.expect("A", 11, 1, bytes(5))
