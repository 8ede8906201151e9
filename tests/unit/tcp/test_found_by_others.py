"""What users of other stacks ran into (smoltcp's issues by number): each a short packet script."""

from tcp_support import MSS, Peer, seqs, short_segments
from test_transfer import Link, carry

TEXT = bytes(range(251)) * 4


def test_octets_out_of_order():
    """#261: single octets, every second one first, far more holes than can be remembered."""
    p = Peer()
    s = p.established(rx=500, holes=4, sack=True)
    for i in range(1, 300, 2):
        p.send("A", 1 + i, 1, TEXT[i : i + 1])
        assert s.w[99] <= 4 and p.drain()[-1].ack == 1
    for i in range(0, 300):
        p.send("A", 1 + i, 1, TEXT[i : i + 1])
    p.pass_time(10)
    assert p.drain()[-1].ack == 301 and s.w[99] == 0
    assert s.recv(1000) == TEXT[:300]


def test_window_below_what_is_in_flight():
    """#489: the peer takes back what it had offered, after its FIN."""
    p, s = short_segments(tx=1000)
    p.send("FA", 1, 1)
    p.expect("A", 1, 2)
    s.nagle = False
    s.send(bytes(518))
    p.poll()
    assert seqs(p) == [1, 101, 201, 301, 401, 501]
    p.send("A", 2, 1, window=64)
    s.send(b"more")
    p.poll()
    p.nothing()  # the right edge is left of SND.NXT
    p.pass_time(1000)
    p.expect("A", 1, 2, bytes(100))  # old data may go beyond it (RFC 9293 3.8.6, MAY-7)
    p.send("A", 2, 65, window=64)
    assert s.send_queue() == 458 and seqs(p) == [101]  # what is lost begins within the window
    p.send("A", 2, 519, window=64)
    p.expect("PA", 519, 2, b"more")
    s.close()
    p.poll()
    p.expect("FA", 523, 2)
    p.send("A", 2, 524, window=64)
    assert s.state == "CLOSED" and s.error == 0


def test_fin_and_text_at_a_shut_window():
    """#1048, #1051: RCV.NXT may stand one right of the edge, which is not a window of -1."""
    p = Peer()
    s = p.established(rx=6)
    p.send("A", 1, 1, b"abcdef")
    p.pass_time(10)
    p.expect("A", 1, 7, window=0)
    p.send("A", 7, 1, b"ghi")
    p.expect("A", 1, 7, window=0)
    p.send("FA", 7, 1)
    p.expect("A", 1, 8, window=0)
    assert s.w[22] == 0
    assert s.recv(3) == b"abc"
    p.poll()
    p.nothing()
    p.send("FA", 7, 1)
    g = p.expect("A", 1, 8)
    assert g.window <= 3
    assert s.recv(9) == b"def" and s.recv(9) == b""


# not from .mpy files: two hosts do not fit beside them
def test_both_windows_shut():
    """#836: nobody reads; then the two ends have nothing to say but probes, and say few of them.

    When both read again, both streams go on where they were.
    """
    for timestamps in (False, True):
        link = Link(rx=1000, tx=3000, timestamps=timestamps)
        ends = (link.client, link.server)
        while not link.server.may_send():
            link.step()
        sent = [0, 0]
        got = [b"", b""]
        for _ in range(20):
            for i in (0, 1):
                if ends[i].can_send():
                    sent[i] += ends[i].send(TEXT, sent[i] % 251, 200)
            link.step()
        for _ in range(20):
            link.step()
        assert ends[0].recv_queue() == ends[1].recv_queue() == 1000
        frames = 0
        before = link.now
        while link.now < before + 600000:
            link.step()
            frames += 1
        assert frames < 200, frames  # a probe a minute each way, and its answer
        assert ends[0].state == ends[1].state == "ESTABLISHED"
        for _ in range(2000):
            for i in (0, 1):
                if ends[i].can_recv():
                    got[i] += ends[i].recv(700)
            if len(got[0]) == sent[1] and len(got[1]) == sent[0]:
                break
            link.step()
        for i in (0, 1):
            assert got[i] == (TEXT * 8)[: sent[1 - i]], (i, len(got[i]), sent)


# not from .mpy files: two hosts do not fit beside them
def test_a_peer_that_answers_every_ack_makes_no_storm():
    """Two ends that take each other's ACK for a keep-alive would never be silent again."""
    link = Link()
    while not link.server.may_send():
        link.step()
    a, b = link.a, link.b
    link.server.w[19] = link.client.w[19] = 0  # both believe the other's window shut
    for _ in range(50):
        a.iface.poll(link.now & 0x3FFFFFFF, a.sockets)
        b.iface.poll(link.now & 0x3FFFFFFF, b.sockets)
        carry(a.device, b.device, link.buf)
        carry(b.device, a.device, link.buf)
    assert not len(a.device.to_stack) and not len(b.device.to_stack)


def test_a_peer_that_acknowledges_small_pieces():
    """Partial ACKs everywhere, none at the end of a segment that was sent."""
    p, s = short_segments(tx=2000)
    s.nagle = False
    s.send(TEXT[:400])
    p.poll()
    assert seqs(p) == [1, 101, 201, 301]
    for ack in range(31, 401, 30):
        p.send("A", 1, ack)
    p.nothing()
    p.pass_time(1000)
    p.expect("PA", 391, 1, TEXT[390:400])
    p.send("A", 1, 401)
    assert s.send_queue() == 0 and MSS == 100
