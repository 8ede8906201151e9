"""Congestion control: RFC 5681, 6928, 7661, 9438; SACK-less recovery under it (RFC 6582, 3042)."""

from tcp_support import DEEP, MSS, Peer, duplicates, raises, seqs, short_segments

from smolmp.socket.tcp import congestion

EINVAL = 22
CWND = 60
SSTHRESH = 61


def limited(name="reno", **options):
    p, s = short_segments(congestion=name, tx=8192, rx=8192, **options)
    s.nagle = False
    return p, s


def fill(p, s):
    while s.can_send():
        s.send(bytes(4096))
    for _ in range(4):  # a poll sends so many and no more
        p.poll()
    return seqs(p)


def test_set_get_congestion_control():
    s = Peer().socket()
    assert s.congestion == "cubic"
    for name in ("none", "reno", "cubic"):
        s.congestion = name
        assert s.congestion == name
    raises(EINVAL, setattr, s, "congestion", "vegas")


# not from .mpy files: more frames at a time than its queue holds
def test_congestion_window_limits_data_in_flight():
    """Ten segments to begin with (RFC 6928)."""
    for name in ("reno", "cubic"):
        p, s = limited(name)
        assert len(fill(p, s)) == 10
        p.nothing()
    p, s = limited("none", queue=DEEP)
    assert len(fill(p, s)) == 82  # the peer's window


def test_initial_window():
    _, s = limited()
    for mss, window in ((536, 5360), (1460, 14600), (2200, 14600), (8960, 17920)):
        s.w[29] = mss
        assert congestion.initial_window(s.w) == window


def test_slow_start_doubles():
    p, s = limited()
    fill(p, s)
    p.pass_time(20)
    for ack in range(201, 1002, 200):
        p.send("A", 1, ack)
    assert s.w[CWND] == 20 * MSS and len(seqs(p)) == 20


def test_unused_window_does_not_grow():
    """RFC 7661: a program that sends little learns nothing about the path."""
    p, s = limited()
    for i in range(20):
        s.send(bytes(MSS))
        p.poll()
        p.drain()
        p.pass_time(10)
        p.send("A", 1, 1 + (i + 1) * MSS)
    assert s.w[CWND] == 10 * MSS


def test_reno_adds_a_segment_per_round_trip():
    p, s = limited()
    s.w[SSTHRESH] = 10 * MSS
    fill(p, s)
    p.pass_time(20)
    p.send("A", 1, 501)
    p.send("A", 1, 1001)
    assert s.w[CWND] == 11 * MSS


def test_congestion_window_doesnt_limit_fast_retransmit():
    """Limited transmit for the first two duplicates, then the lost segment, cwnd or not."""
    p, s = limited()
    fill(p, s)
    duplicates(p, 1)
    assert seqs(p) == [1001]
    duplicates(p, 1)
    assert seqs(p) == [1101]
    duplicates(p, 1)
    assert seqs(p)[0] == 1
    assert s.w[SSTHRESH] == 5 * MSS
    p.send("A", 1, 1201)
    assert s.w[CWND] == 5 * MSS


def test_cubic_gives_way_by_three_tenths():
    p, s = limited("cubic")
    fill(p, s)
    duplicates(p, 3)
    assert 0.65 * 10 * MSS <= s.w[SSTHRESH] <= 7 * MSS


def test_timeout_leaves_one_segment():
    p, s = limited()
    fill(p, s)
    p.pass_time(1000)
    assert seqs(p) == [1]
    assert s.w[CWND] == MSS and s.w[SSTHRESH] == 5 * MSS
    p.send("A", 1, 101)
    assert seqs(p) == [101, 201]


def test_zero_window_probe_not_capped_by_cwnd():
    p, s = limited()
    s.send(bytes(MSS))
    p.poll()
    p.drain()
    p.send("A", 1, 101, window=0)
    s.w[CWND] = 0
    s.w[62] = 0
    s.send(b"abc")
    p.poll()
    p.nothing()
    p.pass_time(2000)
    p.expect("A", 101, 1, b"a")


def test_idle_connection_starts_again():
    """RFC 5681 4.1: after an RTO of silence no more than the initial window."""
    p, s = limited()
    s.w[CWND] = 40 * MSS
    s.congestion = "reno"
    p.pass_time(5000)
    s.send(bytes(MSS))
    p.poll()
    p.drain()
    assert s.w[CWND] == 10 * MSS


def test_cubic_follows_its_curve():
    """cwnd of a full pipe without loss, against RFC 9438's formula in floats."""
    p, s = limited("cubic")
    w = s.w
    top, rtt, mss = 100 * MSS, 50, MSS
    w[66] = top
    w[CWND] = w[SSTHRESH] = 70 * MSS
    w[42] = rtt << 3
    w[68] = -1
    k = (30 / 0.4) ** (1 / 3)
    now = 1000
    while now < 1000 + 8000:
        segments = w[CWND] // mss
        for i in range(segments):
            congestion.cubic(w, mss, now + i * rtt // segments)
        now += rtt
        t = (now - 1000) / 1000
        want = 0.4 * (t - k) ** 3 + 100
        # Reno-friendly: 9/17 segment a round trip, 1 from W_max on
        if want > 70 + 9 / 17 * t * 1000 / rtt:
            assert abs(w[CWND] / mss - want) < 0.06 * want + 2, (t, w[CWND], want)
    assert w[CWND] > top


def acknowledge(p, s, ack):
    """Everything up to `ack`, a segment at a time, and a round trip later."""
    p.pass_time(20)
    una = s.acked
    for at in range(una + MSS, ack + 1, MSS):
        p.send("A", 1, at)
    s.acked = ack
    p.drain()


def test_from_a_timeout_to_congestion_avoidance():
    """RFC 5681 3.1: slow start up to half of what was in flight, then a segment a round trip."""
    for name, ssthresh in (("reno", 500), ("cubic", 687)):
        p, s = limited(name)
        s.acked = 1
        fill(p, s)
        p.pass_time(1000)
        p.drain()
        assert s.w[CWND] == MSS and s.w[SSTHRESH] == ssthresh, s.w[SSTHRESH]
        p.send("A", 1, 101)
        assert s.w[CWND] == 2 * MSS
        s.acked = 101
        acknowledge(p, s, 1001)
        assert ssthresh <= s.w[CWND] < ssthresh + 2 * MSS and s.w[49] == 0
        for _ in range(3):
            before = s.w[CWND]
            fill(p, s)
            acknowledge(p, s, s.acked + s.w[18])
            assert before <= s.w[CWND] <= before + MSS, (before, s.w[CWND])


def test_from_a_loss_to_congestion_avoidance():
    p, s = limited()
    s.acked = 1
    fill(p, s)
    duplicates(p, 3)
    p.drain()
    s.acked = 1201
    p.send("A", 1, 1201)  # with what limited transmit sent
    assert s.w[CWND] == 5 * MSS and s.w[49] == 0
    p.drain()
    before = s.w[CWND]
    for i in range(3):
        fill(p, s)
        acknowledge(p, s, s.acked + s.w[18])
        assert before + i * MSS <= s.w[CWND] <= before + (i + 1) * MSS, s.w[CWND]


def test_acks_of_nothing_change_nothing():
    """Neither does a window update let cwnd grow, nor does it end fast recovery."""
    for name in ("reno", "cubic"):
        p, s = limited(name)
        fill(p, s)
        before = s.w[CWND]
        for i in range(20):
            p.send("A", 1, 1, window=8000 + i)
            p.send("A", 1 + i, 1, b"x", window=8000 + i)
        assert s.w[CWND] == before and s.w[49] == 0
        p.drain()
        for _ in range(3):
            p.send("A", 21, 1, window=8019)
        recover = s.w[49]
        assert recover > 0
        p.send("A", 21, 1, window=7000)
        assert s.w[49] == recover and s.w[CWND] <= before


def test_repeated_timeouts_hold_ssthresh():
    """RFC 5681 3.1: what is lost again was not sent by the window that is to blame."""
    for name in ("reno", "cubic"):
        p, s = limited(name)
        fill(p, s)
        p.pass_time(1000)
        ssthresh = s.w[SSTHRESH]
        for wait in (2000, 4000, 8000):
            p.pass_time(wait)
            assert s.w[SSTHRESH] == ssthresh and s.w[CWND] == MSS


def test_least_threshold():
    for name in ("reno", "cubic"):
        p, s = limited(name)
        s.send(bytes(MSS))
        p.poll()
        p.pass_time(1000)
        assert s.w[SSTHRESH] == 2 * MSS and s.w[CWND] == MSS


def test_cubic_leaves_room_to_others():
    """RFC 9438 4.7: who loses again before he is back where he was aims lower."""
    p, s = limited("cubic")
    s.acked = 1
    w_max = []
    for _ in range(3):
        una = s.acked
        fill(p, s)
        cwnd = s.w[CWND]
        duplicates(p, 3, una)
        p.drain()
        w_max.append(s.w[66])
        assert s.w[66] <= cwnd
        s.acked = una + s.w[18]
        p.pass_time(20)
        p.send("A", 1, s.acked)
        p.drain()
    assert w_max[0] == 10 * MSS and w_max[1] <= 7 * MSS * 27 // 32 + 1 and w_max[2] < w_max[1]
