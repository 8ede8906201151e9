"""The retransmission timer, round trips, Karn (RFC 6298)."""

from tcp_support import MSS, Peer, duplicates, flight, raises, seqs, short_segments

from smolmp.socket.tcp import timers

ETIMEDOUT = 110


# Timeout


def test_data_is_sent_again_after_rto():
    p, s = short_segments()
    s.send(b"abcdef")
    p.poll()
    p.expect("PA", 1, 1, b"abcdef")
    p.pass_time(999)
    p.nothing()
    p.pass_time(1)
    p.expect("PA", 1, 1, b"abcdef")
    assert s.retransmissions() == 1
    p.send("A", 1, 7)
    p.pass_time(5000)
    p.nothing()


def test_exponential_back_off():
    """RFC 6298 5.5: doubled each time, up to 60 s; given up after R2."""
    p, s = short_segments()
    s.send(b"abc")
    p.poll()
    p.drain()
    for wait in (1000, 2000, 4000, 8000, 16000, 32000) + 9 * (60000,):
        p.pass_time(wait - 1)
        p.nothing()
        p.pass_time(1)
        p.expect("PA", 1, 1, b"abc")
    p.pass_time(60000)
    p.expect("RA", 4, 1)
    assert s.state == "CLOSED"
    raises(ETIMEDOUT, s.send, b"x")
    raises(ETIMEDOUT, s.recv, 1)


def test_back_off_ends_with_new_data_acknowledged():
    p, s = short_segments()
    flight(p, s, 2)
    p.pass_time(1000)
    assert seqs(p) == [1, 101]
    p.pass_time(2000)
    assert seqs(p) == [1, 101]
    p.send("A", 1, 101)
    p.pass_time(999)
    p.nothing()
    p.pass_time(1)
    assert seqs(p) == [101]


def test_bursts():
    """After a timeout everything from SND.UNA on goes again, and what was queued since."""
    p, s = short_segments()
    flight(p, s, 3)
    p.pass_time(500)
    s.send(bytes(MSS))
    p.poll()
    assert seqs(p) == [301]
    p.pass_time(500)
    assert seqs(p) == [1, 101, 201, 301]
    p.send("A", 1, 401)
    p.pass_time(60000)
    p.nothing()


def test_bursts_half_acknowledged():
    p, s = short_segments()
    flight(p, s, 4)
    p.send("A", 1, 201)
    p.pass_time(1000)
    assert seqs(p) == [201, 301]
    p.send("A", 1, 301)
    p.nothing()
    s.close()
    p.poll()
    p.expect("FA", 401, 1)
    p.pass_time(1000)
    p.expect("FPA", 301, 1, bytes(MSS))


def test_timer_starts_again_with_a_partial_ack():
    """RFC 6298 5.3."""
    p, s = short_segments()
    flight(p, s, 2)
    p.pass_time(800)
    p.send("A", 1, 101)
    p.pass_time(999)
    p.nothing()
    p.pass_time(1)
    assert seqs(p) == [101]


def test_timer_starts_again_in_every_state_that_sends():
    for state, ack in (("FIN-WAIT-1", 1), ("CLOSE-WAIT", 2), ("LAST-ACK", 2)):
        p = Peer()
        s = p.reach("ESTABLISHED" if ack == 1 else "CLOSE-WAIT", mss=MSS)
        s.rto_min = 1000
        timers.compute_rto(s)
        s.nagle = False
        s.congestion = "none"
        for i in range(3):
            s.send(bytes(MSS))
            p.poll()
            p.expect("PA", 1 + i * MSS, ack, bytes(MSS))
            p.pass_time(5)
        fin = [301] if state != "CLOSE-WAIT" else []
        if fin:
            s.close()
            p.poll()
            assert seqs(p) == fin
        assert s.state == state
        p.pass_time(700)
        p.send("A", ack, 101)
        p.nothing()
        p.pass_time(999)
        p.nothing()
        p.pass_time(1)
        assert seqs(p) == [101, 201]
        p.send("A", ack, 302 if fin else 301)
        p.pass_time(9000)
        p.nothing()


def test_timer_is_not_moved_by_sending_or_duplicates():
    """RFC 6298 5.1: only when it is not running."""
    p, s = short_segments()
    flight(p, s, 1)
    p.pass_time(600)
    s.send(bytes(MSS))
    p.poll()
    assert seqs(p) == [101]
    p.send("A", 1, 1)
    p.pass_time(399)
    p.nothing()
    p.pass_time(1)
    assert seqs(p) == [1, 101]


def test_acknowledged_data_is_not_sent_again():
    p, s = short_segments()
    flight(p, s, 3)
    p.send("A", 1, 301)
    p.pass_time(100000)
    p.nothing()
    assert s.retransmissions() == 0 and p.iface.poll_delay(p.now, p.sockets) is None


def test_ack_that_arrives_after_the_timeout():
    """The ACK of the first copy ends the repetition; what was queued goes on from there."""
    p, s = short_segments()
    flight(p, s, 2)
    p.pass_time(1000)
    assert seqs(p) == [1, 101]
    s.send(bytes(MSS))
    p.send("A", 1, 201)
    assert seqs(p) == [201]


def test_ack_of_more_than_was_sent_since_the_timeout():
    """SND.NXT went back, SND.MAX did not: what was sent once may be acknowledged."""
    p, s = short_segments(window=300)
    flight(p, s, 3)
    p.pass_time(1000, poll=False)
    p.send("A", 1, 301, window=300)
    p.nothing()
    assert s.send_queue() == 0
    p.send("A", 1, 302, window=300)
    p.expect("A", 301, 1)


def test_text_with_the_lost_text_in_it():
    """A retransmission may gather what small writes sent apart (RFC 9293 3.8.1)."""
    p, s = short_segments()
    s.nagle = False
    for text in (b"abc", b"def", b"ghi"):
        s.send(text)
        p.poll()
    assert seqs(p) == [1, 4, 7]
    p.pass_time(1000)
    p.expect("PA", 1, 1, b"abcdefghi")


def test_data_while_the_synack_is_lost():
    p = Peer()
    s = p.reach("SYN-RECEIVED")
    p.pass_time(1000)
    p.expect("SA", 0, 1)
    p.send("A", 1, 1)
    assert s.state == "ESTABLISHED" and s.round_trip() == 0
    s.send(b"abc")
    p.poll()
    p.expect("PA", 1, 1, b"abc")


def test_device_that_is_busy_costs_no_retransmission():
    p, s = short_segments()
    taken = p.device.send
    p.device.send = lambda buf, start, end: False
    p.iface.bind()
    s.send(b"abc")
    p.poll()
    p.pass_time(5000)
    p.device.send = taken
    p.iface.bind()
    p.poll()
    p.expect("PA", 1, 1, b"abc")
    assert s.retransmissions() == 0


# FIN


def test_fin_is_sent_again():
    p = Peer()
    s = p.reach("FIN-WAIT-1")
    s.rto_min = 1000
    p.pass_time(1000)
    p.expect("FA", 1, 1)
    p.pass_time(2000)
    p.expect("FA", 1, 1)
    p.send("A", 1, 2)
    assert s.state == "FIN-WAIT-2"
    p.pass_time(100000)
    p.nothing()


def test_fin_and_text_are_sent_again():
    for last_ack in (False, True):
        p = Peer()
        s = p.reach("CLOSE-WAIT" if last_ack else "ESTABLISHED", mss=MSS)
        ack = 2 if last_ack else 1
        s.rto_min = 1000
        timers.compute_rto(s)
        s.send(bytes(150))
        s.close()
        p.poll()
        assert [(g.seq, g.flags) for g in p.drain()] == [(1, "A"), (101, "FPA")]
        p.send("A", ack, 101)
        p.pass_time(1000)
        p.expect("FPA", 101, ack, bytes(50))
        p.send("A", ack, 151)  # all but the FIN
        p.pass_time(1000)
        p.expect("FA", 151, ack)
        p.send("A", ack, 152)
        assert s.state == ("CLOSED" if last_ack else "FIN-WAIT-2")
        p.pass_time(100000)
        p.nothing()


def test_close_during_retransmission():
    """The FIN follows the text that is sent again."""
    p, s = short_segments()
    s.send(b"abc")
    p.poll()
    p.drain()
    p.pass_time(900)
    s.close()
    p.poll()
    p.expect("FA", 4, 1)
    p.pass_time(100)
    p.expect("FPA", 1, 1, b"abc")
    p.send("A", 1, 5)
    assert s.state == "FIN-WAIT-2"


# Round trips


def test_round_trip_estimator():
    """RFC 6298 2.2, 2.3: SRTT, RTTVAR and RTO of a series, computed by hand in exact fractions."""
    p, s = short_segments()
    s.rto_min = 1
    timers.reset(s)
    srtt = rttvar = 0.0
    for rtt in (751, 766, 755, 769, 697, 845, 1200, 30, 30, 30, 30, 2000, 500, 500, 500, 1):
        s.w[46] = p.now & 0x3FFFFFFF
        p.now += rtt
        timers.sample(s, p.now & 0x3FFFFFFF)
        if srtt == 0:
            srtt, rttvar = rtt, rtt / 2
        else:
            rttvar = rttvar * 0.75 + abs(srtt - rtt) * 0.25
            srtt = srtt * 0.875 + rtt * 0.125
        assert abs(s.round_trip() - srtt) <= 4, (rtt, s.round_trip(), srtt)
        rto = srtt + 4 * rttvar
        assert abs(s.w[44] - rto) <= 12, (rtt, s.w[44], rto)


def test_rto_has_bounds():
    p, s = short_segments()
    timers.reset(s)
    for _ in range(50):
        s.w[46] = p.now & 0x3FFFFFFF
        p.now += 1
        timers.sample(s, p.now & 0x3FFFFFFF)
    assert s.w[44] == 1000
    for _ in range(50):
        s.w[46] = p.now & 0x3FFFFFFF
        p.now += 100000
        timers.sample(s, p.now & 0x3FFFFFFF)
    assert s.w[44] == 60000


def test_floor_of_the_rto_can_be_set():
    """RFC 6298 2.4's second is long on a wire of a millisecond: 200 ms here, or as set."""
    for floor in (None, 20, 3000):
        p = Peer()
        s = p.established()
        s.congestion = "none"
        if floor is None:
            floor = s.rto_min
        s.rto_min = floor
        for i in range(20):
            s.send(b"x")
            p.poll()
            p.pass_time(1)
            p.send("A", 1, 2 + i)
        p.drain()
        s.send(b"y")
        p.poll()
        p.expect("PA", 21, 1, b"y")
        p.pass_time(floor - 1)
        p.nothing()
        p.pass_time(1)
        p.expect("PA", 21, 1, b"y")


def measure(p, s, rtt):
    """One segment is acknowledged after rtt ms."""
    position = 1 + s.measured
    s.send(b"x")
    p.poll()
    p.expect("PA", position, 1, b"x")
    p.pass_time(rtt)
    p.send("A", 1, position + 1)
    s.measured += 1


def test_round_trip_is_measured_on_the_wire():
    p = Peer()
    s = p.established()
    s.measured = 0
    measure(p, s, 100)
    assert 12 <= s.round_trip() <= 14  # after the handshake's 1 ms
    for _ in range(60):
        measure(p, s, 100)
    assert 98 <= s.round_trip() <= 100


def test_karn():
    """RFC 6298 3: no sample from what was sent twice."""
    p, s = short_segments()
    before = s.round_trip()
    flight(p, s, 2)
    p.pass_time(1000)
    assert seqs(p) == [1, 101]
    p.pass_time(700)
    p.send("A", 1, 201)
    assert s.round_trip() == before
    flight(p, s, 4)
    p.pass_time(300)
    duplicates(p, 3, 201)
    assert seqs(p) == [201]
    p.pass_time(300)
    p.send("A", 1, 601)
    assert s.round_trip() == before


def test_one_round_trip_at_a_time():
    """The clock runs for one segment until that one is acknowledged."""
    p = Peer()
    s = p.established(mss=MSS)
    s.nagle = False
    s.rto_min = 5000
    timers.reset(s)
    s.send(bytes(MSS))
    p.poll()
    p.pass_time(100)
    s.send(bytes(MSS))
    p.poll()
    p.pass_time(100)
    p.send("A", 1, 51)
    assert s.round_trip() == 0
    p.send("A", 1, 201)
    assert s.round_trip() == 200
