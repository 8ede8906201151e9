"""What the soak (tools/sim/soak.py) and thinking about it found, each as a packet script."""

from errno import ETIMEDOUT

from tcp_support import MSS, Peer, flight, raises, short_segments


def shut():
    """A connection that wants to send into a window that is shut."""
    p = Peer()
    s = p.established(window=100)
    s.send(bytes(300))
    p.poll()
    p.drain()
    p.send("A", 1, 101, window=0)
    p.nothing()
    return p, s


def test_a_peer_that_died_with_its_window_shut():
    """Unanswered window probes end as unanswered segments do: nothing else would end them."""
    p, s = shut()
    probes = 0
    for _ in range(890):
        p.pass_time(1000)
        probes += len(p.drain())
    assert s.state == "ESTABLISHED" and probes > 15, probes
    for _ in range(80):
        p.pass_time(1000)
    assert s.state == "CLOSED"
    assert p.drain()[-1].flags == "RA"
    raises(ETIMEDOUT, s.recv, 1)
    assert p.iface.poll_delay(p.now & 0x3FFFFFFF, p.sockets) is None


def test_a_peer_that_keeps_its_window_shut():
    """As long as probes are answered they go on (RFC 9293 3.8.6.1): here for five hours."""
    p, s = shut()
    for _ in range(300):
        p.pass_time(60000)
        assert p.drain()
        p.send("A", 1, 101, window=0)
    assert s.state == "ESTABLISHED"
    p.send("A", 1, 101, window=1000)
    assert sum([len(g.payload) for g in p.drain()]) == 200


def holes(lost, segments, congestion):
    """Every segment in `lost` is missing, the others of so many are SACKed, one ACK a ms. What an
    ACK brings out comes once: it was sent this very moment."""
    p, s = short_segments(sack=True, tx=8192)
    s.congestion = congestion
    p.send("A", 1, 1)
    s.w[60] = s.w[62] = segments * MSS  # cwnd, and the edge that it allows
    assert s.w[97] == 8  # ranges that fit
    flight(p, s, segments)
    edges = [(1 + i * MSS, 1 + (i + 1) * MSS) for i in range(segments) if i not in lost]
    again = 0
    for i in range(len(edges)):
        p.pass_time(1)
        p.send("A", 1, 1, blocks=tuple(reversed(edges[max(0, i - 2) : i + 1])))
        p.poll()
        p.poll()
        sent = [g.seq for g in p.drain()]
        assert len(sent) == len(set(sent)), sent
        again += len(sent)
    return p, s, again


# not from .mpy files: its buffers take too much memory
def test_a_full_scoreboard_does_not_send_for_ever():
    """Neighbours become one when the scoreboard is full. What was just sent again and what is
    still to be sent must not become LOST together: it would go again, and again, at once."""
    for lost in (range(0, 24, 2), range(1, 30, 3), (0, 1, 3, 5, 6, 9, 10, 12, 15, 16, 20)):
        for segments in (20, 24, 30):
            for congestion in ("none", "cubic"):
                p, s, again = holes(lost, segments, congestion)
                assert again >= len(lost) // 3, (again, lost)
                p.send("A", 1, 1 + segments * MSS)
                p.drain()
                assert s.send_queue() == 0
