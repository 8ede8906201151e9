"""What answers segments that are wrong has limits (RFC 5961 7, RFC 9293 3.10.7.4)."""

from slow import BOARD
from tcp_support import Peer

MANY = 20 if BOARD else 40


def budget(p, challenges=None, resets=None):
    """This second's limits, known to the test."""
    p.poll()
    if challenges is not None:
        p.iface.challenge_limit = challenges
    if resets is not None:
        p.iface.reset_limit = resets
    p.iface.budgets[0] = -1


def connections(p, n):
    """n connections to port 80, from ports 1 to n."""
    for i in range(1, n + 1):
        s = p.socket(64, 64)
        s.listen(80)
        p.send("S", 0, remote_port=i)
        p.drain()
        p.send("A", 1, 1, remote_port=i)
        assert s.state == "ESTABLISHED"


def challenges(p, n):
    """A wrong segment for each of n connections: how many were answered."""
    for i in range(1, n + 1):
        p.send("A", 90000, 1, remote_port=i)
    return len(p.drain())


# not from .mpy files: 40 connections do not fit beside them
def test_challenge_acks_of_all_connections_together():
    p = Peer(iss=1000)
    connections(p, MANY)
    budget(p, 10)
    n = challenges(p, MANY)
    assert 5 <= n <= 15
    stats = p.iface.stats()
    assert stats["tcp_challenges"] == n and stats["tcp_challenges_limited"] == MANY - n
    assert challenges(p, MANY) == 0
    p.pass_time(1000)
    assert 5 <= challenges(p, MANY) <= 15


# not from .mpy files: 40 connections do not fit beside them
def test_nobody_knows_how_many_there_will_be():
    """CVE-2016-5696: a known number of answers a second tells of other connections."""
    p = Peer(iss=1000)
    connections(p, MANY)
    budget(p, 10)
    seen = set()
    for _ in range(60):
        seen.add(challenges(p, MANY))
        p.pass_time(1000)
    assert len(seen) >= 6 and min(seen) >= 5 and max(seen) <= 14, seen


def test_one_connection_cannot_use_it_up():
    """It may have one answer a second."""
    p = Peer(iss=1000)
    connections(p, 2)
    budget(p, 10)
    for _ in range(100):
        p.send("A", 90000, 1, remote_port=1)
    assert len(p.drain()) == 1
    p.send("A", 90000, 1, remote_port=2)
    p.expect("A", 1, 1)


def test_no_challenge_was_sent_none_is_remembered():
    """A connection whose answer the shared limit refused has its own still to come."""
    p = Peer(iss=1000)
    connections(p, 1)
    budget(p, 0)
    p.send("A", 90000, 1, remote_port=1)
    p.nothing()
    budget(p, 10)
    p.send("A", 90000, 1, remote_port=1)
    p.expect("A", 1, 1)


def test_resets_to_strangers():
    p = Peer()
    budget(p, None, 20)
    for i in range(1, 101):
        p.send("S", 0, port=9, remote_port=i)
    n = len(p.drain())
    assert 10 <= n <= 30 and p.iface.stats()["tcp_resets_limited"] == 100 - n
    budget(p, None, 0)
    p.send("S", 0, port=9)
    p.nothing()
    s = p.listen(80)
    p.send("S", 0)  # what is wanted is not limited
    p.expect("SA", 0, 1)
    assert s.state == "SYN-RECEIVED"


def test_empty_segments_out_of_place_are_answered_twice_a_second():
    """Two peers who both believe the other is wrong would answer each other for ever."""
    p = Peer()
    s = p.established()
    sent = 0
    for _ in range(100):
        p.send("A", 0, 1)
        sent += len(p.drain())
        p.pass_time(10)
    assert sent == 2 and p.iface.stats()["tcp_invalid_limited"] == 98
    p.send("A", 0, 1)
    p.expect("A", 1, 1)
    assert s.state == "ESTABLISHED"


def test_old_text_is_answered_each_time():
    """Its sender needs to know; and it answers no ACK with text."""
    p = Peer()
    p.established()
    p.send("A", 1, 1, b"abc")
    p.pass_time(10)
    p.drain()
    for _ in range(10):
        p.send("A", 1, 1, b"abc")
        p.expect("A", 1, 4)


def test_two_confused_peers_fall_silent():
    """An ACK storm: each takes the other's ACKs for wrong, and says so."""
    a, b = Peer(), Peer(seed=2, isn=77)
    a.established()
    b.established()
    frames = 0
    a.device.inject(a.packet("A", 50000, 1))
    for _ in range(200):
        for p, other in ((a, b), (b, a)):
            p.poll()
            for g in p.drain():
                frames += 1
                other.send(g.flags, 50000, 1, poll=False)
        a.now += 5
        b.now += 5
    assert frames <= 3, frames
