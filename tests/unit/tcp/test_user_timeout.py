"""The user timeout option (RFC 5482): seconds in 15 bits, or minutes with the top bit."""

from tcp_support import Peer, raises

EINVAL = 22
ETIMEDOUT = 110
MINUTES = 0x8000


def test_off_by_default():
    p = Peer()
    s = p.listen(80)
    assert s.advertised_timeout == 0
    p.send("S", 0, user_timeout=30)
    p.expect("SA", 0, 1, user_timeout=None)
    p.send("A", 1, 1, user_timeout=40)
    p.nothing()
    assert s.w[59] == 0
    p.send("A", 1, 1, b"abc", user_timeout=50)  # and does not disturb
    assert s.recv(10) == b"abc" and s.w[59] == 0


def test_told_with_the_syn_and_again():
    """RFC 5482 3: SYN cookies keep no options, so an open connection is told once more."""
    p = Peer()
    s = p.socket()
    s.advertised_timeout = 300000
    s.connect(p.iface, ("192.168.69.100", 49500), 49200)
    p.port = 49200
    p.poll()
    p.expect("S", 0, user_timeout=300)
    p.send("SA", 0, 1)
    p.expect("A", 1, 1, user_timeout=300)
    s.send(b"abc")
    p.poll()
    p.expect("PA", 1, 1, b"abc", user_timeout=None)
    p.send("FA", 1, 4)
    p.expect("A", 4, 2, user_timeout=None)


def test_told_with_the_syn_ack():
    p = Peer()
    s = p.listen(80)
    s.advertised_timeout = 300000
    p.send("S", 0, mss=1000, scale=3, sack=True)
    p.expect("SA", 0, 1, user_timeout=300, scale=0, sack_permitted=True)
    p.send("A", 1, 1)
    p.expect("A", 1, 1, user_timeout=300)


def test_seconds_and_minutes():
    for ms, value in (
        (1, 1),
        (1000, 1),
        (1001, 2),
        (32767000, 32767),
        (32767001, MINUTES | 547),
        (86400000, MINUTES | 1440),
        ((1 << 29) - 1, MINUTES | 8948),
    ):
        p = Peer()
        s = p.listen(80)
        s.advertised_timeout = ms
        p.send("S", 0)
        p.expect("SA", 0, 1, user_timeout=value)
    for ms in (-1, 1 << 29):
        raises(EINVAL, setattr, s, "advertised_timeout", ms)


def test_what_is_agreed_on():
    """min(U_LIMIT, max(ADV_UTO, REMOTE_UTO, L_LIMIT)), RFC 5482 3.1."""
    for advertised, remote, agreed in (
        (300000, 200, 300000),
        (300000, 400, 400000),
        (1000, 1, 100000),
        (300000, MINUTES | 10, 600000),
        (300000, 32767, 32767000),
        (300000, MINUTES | 32767, 86400000),
        (300000, 0, 0),  # reserved
        (300000, MINUTES, 0),
    ):
        for how in ("syn", "ack", "text"):
            p = Peer()
            s = p.listen(80)
            s.advertised_timeout = advertised
            p.send("S", 0, **({"user_timeout": remote} if how == "syn" else {}))
            p.drain()
            p.send("A", 1, 1, **({"user_timeout": remote} if how == "ack" else {}))
            if how == "text":
                p.send("A", 1, 1, b"abc", user_timeout=remote)
                assert s.recv_queue() == 3
            assert s.w[59] == agreed, (advertised, remote, how)


def test_limits_can_be_set():
    p = Peer()
    s = p.established()
    s.timeout_limits = (5000, 20000)
    s.advertised_timeout = 1000
    p.poll()
    p.expect("A", 1, 1, user_timeout=1)
    p.send("A", 1, 1, user_timeout=2)
    assert s.w[59] == 5000
    p.send("A", 1, 1, user_timeout=30)
    assert s.w[59] == 20000


def test_it_stands_for_the_timeout():
    p = Peer()
    s = p.established()
    s.timeout = 20000
    s.advertised_timeout = 20000
    p.poll()
    p.drain()
    p.send("A", 1, 1, user_timeout=150)
    s.send(b"abc")
    p.poll()
    for _ in range(149):
        p.pass_time(1000)
    assert s.state == "ESTABLISHED"
    p.drain()
    p.pass_time(1000)
    p.expect("RA", 4, 1)
    assert s.state == "CLOSED" and s.error == ETIMEDOUT


def test_forged_ones_are_not_heard():
    """An option counts only with a segment that is acceptable."""
    p = Peer()
    s = p.established()
    s.advertised_timeout = 300000
    p.poll()
    p.drain()
    p.send("A", 90000, 1, user_timeout=1000)
    p.send("A", 1, 90000, user_timeout=1000)
    p.send("R", 5, user_timeout=1000)
    assert s.w[59] == 0
    p.send("A", 1, 1, user_timeout=1000)
    assert s.w[59] == 1000000


def test_a_new_connection_agrees_anew():
    p = Peer()
    s = p.established()
    s.advertised_timeout = 300000
    p.send("A", 1, 1, user_timeout=1000)
    p.send("R", 1)
    assert s.w[59] == 1000000
    p.drain()
    s.listen(80)
    p.send("S", 7)
    p.expect("SA", 0, 8, user_timeout=300)
    assert s.w[59] == 0


def test_beside_sack_blocks_and_timestamps():
    p = Peer()
    s = p.established(timestamps=True, tsval=1, sack=True, mss=1000)
    s.advertised_timeout = 300000
    for i in range(1, 5):
        p.send("A", 10 * i, 1, b"x", poll=i == 4)
    out = p.drain()
    assert out[0].user_timeout == 300 and len(out[0].blocks) == 1 and out[0].tsval is not None
    assert out[-1].user_timeout is None and len(out[-1].blocks) == 3
    s.advertised_timeout = 200000
    p.send("A", 50, 1, b"x")
    out = p.drain()
    assert out[0].user_timeout == 200 and len(out[0].blocks) == 2
