"""Out of order: holes, SACK blocks (RFC 2018), FIN and RST behind holes, rings that wrap."""

from tcp_support import Peer, raises

ECONNRESET = 104
TEXT = bytes(range(256))


def test_two_segments_swapped():
    p = Peer()
    s = p.established()
    p.send("A", 4, 1, b"def")
    p.expect("A", 1, 1, window=4096)
    assert not s.can_recv() and s not in p.changed
    p.send("A", 1, 1, b"abc")
    p.expect("A", 1, 7)
    assert s.recv(10) == b"abcdef" and s in p.changed


# not from .mpy files: its buffers take too much memory
def test_every_order_of_four():
    for a in range(4):
        for b in range(4):
            for c in range(4):
                order = [a, b, c, 6 - a - b - c]
                if sorted(order) != [0, 1, 2, 3]:
                    continue
                p = Peer()
                s = p.established(rx=37)
                for i in order:
                    p.send("A", 1 + 9 * i, 1, TEXT[9 * i : 9 * i + 9])
                p.pass_time(10)
                assert p.drain()[-1].ack == 37
                assert s.recv(100) == TEXT[:36]


def test_receive_ring_wraps():
    p = Peer()
    s = p.established(rx=6)
    seq = 1
    for _ in range(20):
        at = seq - 1
        p.send("A", seq + 2, 1, TEXT[at + 2 : at + 4])
        p.send("A", seq, 1, TEXT[at : at + 2])
        assert s.recv(10) == TEXT[at : at + 4]
        p.poll()
        assert p.drain()[-1].window >= 4
        seq += 4


def test_held_text_stays_when_the_ring_is_emptied():
    """The read position may not go home while something waits behind a hole."""
    p = Peer()
    s = p.established(rx=64)
    p.send("A", 1, 1, TEXT[:10])
    p.send("A", 21, 1, TEXT[20:30])
    assert s.recv(64) == TEXT[:10]
    p.send("A", 11, 1, TEXT[10:20])
    assert s.recv(64) == TEXT[10:30]


def test_transmit_ring_wraps():
    p = Peer()
    s = p.established(tx=7, mss=100)
    s.nagle = False
    sent = acked = 0
    while acked < 200:
        n = s.send(TEXT, sent, min(5, 256 - sent)) or 0
        sent += n
        p.poll()
        for g in p.drain():
            assert g.payload == TEXT[g.seq - 1 : g.seq - 1 + len(g.payload)]
        acked = min(sent, acked + 4)
        p.send("A", 1, 1 + acked)
        p.drain()


def test_overlaps():
    p = Peer()
    s = p.established()
    p.send("A", 11, 1, TEXT[10:20])
    p.send("A", 16, 1, TEXT[15:30])
    p.send("A", 6, 1, TEXT[5:12])
    p.send("A", 1, 1, TEXT[0:8])
    assert p.drain()[-1].ack == 31 and s.recv(100) == TEXT[:30]
    assert s.w[99] == 0


def test_too_many_holes():
    """What cannot be remembered is not there; a segment in order always is."""
    p = Peer()
    s = p.established(holes=2, sack=True)
    p.send("A", 11, 1, TEXT[10:15])
    p.send("A", 21, 1, TEXT[20:25])
    p.drain()
    p.send("A", 31, 1, TEXT[30:35])
    p.expect("A", 1, 1, blocks=((21, 26), (11, 16)))
    p.send("A", 1, 1, TEXT[:5])
    p.expect("A", 1, 6)
    p.send("A", 6, 1, TEXT[5:10])
    p.expect("A", 1, 16)
    p.send("A", 16, 1, TEXT[15:30])
    p.expect("A", 1, 31, blocks=())
    p.send("A", 31, 1, TEXT[30:35])
    assert s.recv(100) == TEXT[:35]


def test_text_behind_a_hole_is_cut_at_the_window():
    p = Peer()
    s = p.established(rx=20, sack=True)
    p.send("A", 11, 1, TEXT[10:30])
    p.expect("A", 1, 1, blocks=((11, 21),))
    p.send("A", 1, 1, TEXT[:10])
    p.expect("A", 1, 21, window=0)
    assert s.recv(100) == TEXT[:20]


# SACK


def sack_peer():
    """RFC 2018 section 4's connection: segments of 500 octets, the first one is 5000."""
    p = Peer(isn=0xFFFFFFFF - 6000)  # and the sequence numbers wrap at 6002
    s = p.established(rx=8192, sack=True, mss=500)
    for seq in range(1, 5000, 1000):
        p.send("A", seq, 1, bytes(min(1000, 5000 - seq)))
        s.recv(1000)
    p.pass_time(100)
    p.drain()
    return p


def segment(p, seq):
    p.send("A", seq, 1, bytes(500))


def test_rfc_2018_case_1():
    """The first four arrive, the last four are lost."""
    p = sack_peer()
    for seq in (5000, 5500, 6000, 6500):
        segment(p, seq)
    p.pass_time(10)
    out = p.drain()
    assert out[-1].ack == 7000 and all(g.blocks == () for g in out)


def test_rfc_2018_case_2():
    """The first is lost, the other seven arrive: every ACK tells all that is held."""
    p = sack_peer()
    for seq in (5500, 6000, 6500, 7000, 7500, 8000, 8500):
        segment(p, seq)
        p.expect("A", 1, 5000, blocks=((5500, seq + 500),))


def test_rfc_2018_case_3():
    """The 2nd, 4th, 6th and 8th are lost, then the 4th and the 2nd come."""
    p = sack_peer()
    segment(p, 5000)
    p.pass_time(10)
    p.expect("A", 1, 5500, blocks=())
    segment(p, 6000)
    p.expect("A", 1, 5500, blocks=((6000, 6500),))
    segment(p, 7000)
    p.expect("A", 1, 5500, blocks=((7000, 7500), (6000, 6500)))
    segment(p, 8000)
    p.expect("A", 1, 5500, blocks=((8000, 8500), (7000, 7500), (6000, 6500)))
    segment(p, 6500)
    p.expect("A", 1, 5500, blocks=((6000, 7500), (8000, 8500)))
    segment(p, 5500)
    p.expect("A", 1, 7500, blocks=((8000, 8500),))


def test_first_block_is_the_newest():
    """RFC 2018 4 (2a), also when it lies left of the others or comes twice."""
    p = sack_peer()
    segment(p, 8000)
    p.drain()
    segment(p, 6000)
    p.expect("A", 1, 5000, blocks=((6000, 6500), (8000, 8500)))
    segment(p, 8000)
    p.expect("A", 1, 5000, blocks=((8000, 8500), (6000, 6500)))
    segment(p, 7000)
    p.expect("A", 1, 5000, blocks=((7000, 7500), (8000, 8500), (6000, 6500)))


def test_four_blocks_fit():
    p = Peer()
    p.established(sack=True, holes=6)
    for i in range(1, 7):
        p.send("A", 10 * i, 1, b"x")
    out = p.drain()
    assert out[-1].blocks == ((60, 61), (50, 51), (40, 41), (30, 31))


# not from .mpy files: its buffers take too much memory
def test_blocks_over_every_edge_of_the_number_space():
    for isn in (0x7FFFFFF8, 0x7FFFFFFF, 0xFFFFFFF8, 0xFFFFFFFF, 0):
        p = Peer(isn=isn)
        p.established(sack=True)
        p.send("A", 5, 1, b"x" * 10)
        p.expect("A", 1, 1, blocks=((5, 15),))


def test_no_block_without_permission():
    p = Peer()
    p.established()
    p.send("A", 5, 1, b"x")
    p.expect("A", 1, 1, blocks=())


def test_blocks_that_arrive_are_harmless():
    p = Peer()
    s = p.established(sack=True, mss=100)
    s.send(bytes(300))
    p.poll()
    p.drain()
    for blocks in (((101, 201),), ((201, 101),), ((1 << 31, 5), (0, 0), (-5, 9999))):
        p.send("A", 1, 1, blocks=blocks, window=8192 - len(blocks))
    p.send("A", 1, 301)
    assert s.send_queue() == 0


# FIN and RST behind a hole


def test_fin_behind_a_hole():
    """It is remembered like the text before it: the peer fills the hole and is done."""
    p = Peer()
    s = p.established()
    p.send("A", 1, 1, b"abc")
    p.drain()
    p.send("FA", 7, 1, b"ghi")
    p.expect("A", 1, 4)
    assert s.state == "ESTABLISHED" and s.recv(10) == b"abc" and s.recv(10) is None
    p.send("A", 4, 1, b"def")
    p.expect("A", 1, 11)
    assert s.state == "CLOSE-WAIT" and s.recv(10) == b"defghi" and s.recv(10) == b""


def test_fin_alone_behind_a_hole():
    p = Peer()
    s = p.established()
    p.send("FA", 4, 1)
    p.expect("A", 1, 1)
    assert s.state == "ESTABLISHED"
    p.send("A", 1, 1, b"a")
    p.pass_time(10)
    p.expect("A", 1, 2)
    p.send("A", 2, 1, b"bc")
    p.expect("A", 1, 5)
    assert s.state == "CLOSE-WAIT" and s.recv(10) == b"abc" and s.recv(10) == b""


def test_fin_behind_a_hole_in_the_closing_states():
    for state, after in (("FIN-WAIT-1", "CLOSING"), ("FIN-WAIT-2", "TIME-WAIT")):
        p = Peer()
        s = p.reach(state)
        ack = 2 if state == "FIN-WAIT-2" else 1
        p.send("FA", 4, ack, b"def")
        assert s.state == state
        p.send("A", 1, ack, b"abc")
        assert s.state == after and s.recv(10) == b"abcdef" and s.recv(10) == b""
        assert p.drain()[-1].ack == 8


def test_rst_with_a_hole():
    """What stands before the hole can be read, what stands behind it never."""
    p = Peer()
    s = p.established()
    p.send("A", 1, 1, b"abc")
    p.send("A", 7, 1, b"ghi")
    p.send("R", 4)
    assert s.state == "CLOSED" and s.recv(10) == b"abc"
    raises(ECONNRESET, s.recv, 10)


def test_holes_do_not_survive():
    p = Peer()
    s = p.established(sack=True)
    p.send("A", 7, 1, b"ghi")
    p.send("FA", 20, 1)
    p.send("R", 1)
    p.drain()
    s.listen(80)
    p.send("S", 0, sack=True)
    p.expect("SA", 0, 1)
    p.send("A", 1, 1)
    p.send("A", 12, 1, b"x")
    p.expect("A", 1, 1, blocks=((12, 13),))
    p.send("A", 1, 1, b"abcdef")
    p.expect("A", 1, 7)
    assert s.recv(20) == b"abcdef"
    p.send("A", 7, 1, bytes(5))
    p.send("A", 13, 1, bytes(20))
    assert s.state == "ESTABLISHED"
