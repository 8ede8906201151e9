"""The sender's use of SACK: RFC 6675's loss detection, RACK and tail loss probes (RFC 8985)."""

import micropython
from tcp_support import MSS, flight, sacking, seqs, short_segments

REORDERING, SEEN = 48, 512


def test_only_the_holes_are_sent_again():
    """Two holes in one round trip, and nothing that was SACKed (RFC 6675 5)."""
    p, s = sacking()
    p.send("A", 1, 101, blocks=((201, 401),))
    p.nothing()
    p.send("A", 1, 101, blocks=((501, 801), (201, 401)))
    assert seqs(p) == [101, 401]
    p.send("A", 1, 101, blocks=((501, 1101), (201, 401)))
    p.nothing()
    p.send("A", 1, 1101)
    assert s.retransmissions() == 2, s.retransmissions()
    assert s.send_queue() == 0
    p.pass_time(60000)
    p.nothing()


def test_duplicate_acks_without_blocks_are_no_sign():
    p, s = sacking()
    for _ in range(5):
        p.send("A", 1, 101)
    p.nothing()


def test_blocks_on_text_count():
    p, s = sacking()
    p.send("A", 1, 101, b"x", blocks=((201, 601),))
    assert [g.seq for g in p.drain() if g.payload] == [101]


def test_nonsense_in_blocks_is_ignored():
    """Beyond SND.NXT, backwards, empty, absurdly long: as if it were not there."""
    p, s = sacking()
    for block in ((201, 5000), (601, 201), (301, 301), (201, 201 + (1 << 30)), (-900, 601)):
        p.send("A", 1, 101, blocks=(block,))
        p.nothing()
    p.send("A", 1, 1101)
    assert s.send_queue() == 0


def test_reordering_timer():
    """Too little SACKed to be sure: RACK waits a quarter of a round trip (RFC 8985 6.2)."""
    p, s = sacking()
    p.send("A", 1, 101, blocks=((201, 301),))
    p.nothing()
    p.pass_time(40)
    assert seqs(p) == [101]


def test_lost_retransmission_is_found_by_time():
    """What was sent again and overtaken by something sent later is lost again, without RTO."""
    p, s = sacking()
    p.send("A", 1, 101, blocks=((201, 601),))
    assert seqs(p) == [101]
    p.pass_time(1)
    s.send(bytes(MSS))
    p.poll()
    assert seqs(p) == [1101]
    p.pass_time(100)
    p.send("A", 1, 101, blocks=((201, 1201),))
    assert seqs(p) == [101]


def test_sacked_is_not_sent_again_after_a_timeout():
    p, s = sacking(segments=4)
    p.send("A", 1, 101, blocks=((301, 401),))
    p.drain()
    p.pass_time(30)
    p.drain()
    p.pass_time(1000)
    assert 301 not in seqs(p)
    p.send("A", 1, 501)
    assert s.send_queue() == 0


def test_reneging_is_survived():
    """A SACKed head that is not acknowledged: the timeout believes no SACK (RFC 2018 8)."""
    p, s = sacking(segments=4)
    p.send("A", 1, 201, blocks=((301, 501),))
    p.drain()
    p.send("A", 1, 301)  # and not 501
    p.drain()
    p.pass_time(1000)
    assert seqs(p)[0] == 301
    p.pass_time(2000)
    p.send("A", 1, 501)
    assert s.send_queue() == 0


def test_tail_loss_probe():
    """The last segments are lost: a probe goes after two round trips, before the timeout."""
    p, s = short_segments(sack=True)
    flight(p, s, 1)
    p.pass_time(100)
    p.send("A", 1, 101)
    s.w[42] = 100 << 3
    assert s.send(bytes(3 * MSS)) == 3 * MSS
    p.poll()
    assert seqs(p) == [101, 201, 301]
    waited = 0
    out = []
    while not out:
        p.pass_time(1)
        waited += 1
        out = seqs(p)
        assert waited < 250
    assert out == [301] and waited > 150
    p.pass_time(100)
    p.send("A", 1, 101, blocks=((301, 401),))
    p.pass_time(30)
    assert 101 in seqs(p)


def probed(ack=401):
    """Three segments are out and the last was probed; then they are acknowledged, without SACK."""
    p, s = short_segments(sack=True)
    flight(p, s, 1)
    p.pass_time(100)
    p.send("A", 1, 101)
    s.w[42] = 100 << 3
    s.send(bytes(3 * MSS))
    p.poll()
    assert seqs(p) == [101, 201, 301]
    p.pass_time(260)
    assert seqs(p) == [301]
    s.w[60] = s.w[61] = 10 * MSS  # cwnd, ssthresh
    p.send("A", 1, ack)
    return p, s


def test_fate_of_a_probe_both_copies_arrived():
    """RFC 8985 7.4.2: a DSACK, or a duplicate ACK of a peer that sends none, says so."""
    for blocks in (((301, 401),), ()):
        p, s = probed()
        p.send("A", 1, 401, blocks=blocks)
        s.send(bytes(3 * MSS))
        p.poll()
        assert seqs(p) == [401, 501, 601]
        p.pass_time(260)
        assert seqs(p) == [601]  # the next tail is probed, too
        assert s.w[60] >= 10 * MSS


def test_fate_of_a_probe_that_repaired_a_loss():
    """RFC 8985 7.4.2: only one copy arrived: cwnd learns of the loss with what comes next."""
    p, s = probed()
    assert s.w[60] == 10 * MSS
    s.send(bytes(3 * MSS))
    p.poll()
    assert seqs(p) == [401, 501, 601]
    p.send("A", 1, 501)
    assert s.w[60] < 10 * MSS
    p.pass_time(260)
    assert seqs(p) == [601]


def test_premature_timeout_is_undone():
    """F-RTO's sign: an ACK of what the timeout had not sent again (RFC 5682 3)."""
    p, s = sacking(segments=6, congestion="reno")
    before = s.w[60], s.w[61]
    p.pass_time(200)
    p.drain()
    p.pass_time(1000)
    p.drain()
    assert s.w[60] == MSS and s.w[49] < 0
    p.send("A", 1, 501)
    assert s.w[49] == 0 and s.w[60] >= before[0] and s.w[61] == before[1]


def test_recovery_allocates_nothing():
    p, s = sacking(congestion="cubic")
    acks = [p.packet("A", 1, 101, blocks=((201, 301 + 100 * i),)) for i in range(8)]
    acks.append(p.packet("A", 1, 601))
    now = p.now & 0x3FFFFFFF
    micropython.heap_lock()
    try:
        for ack in acks:
            p.device.inject(ack)
            p.iface.poll(now, p.sockets)
    finally:
        micropython.heap_unlock()
    assert s.retransmissions() >= 1


def reordered(**options):
    """Fast recovery sent 101 again, and it was only late: all is acknowledged, cwnd reduced."""
    p, s = sacking(**options)
    s.congestion = "cubic"
    s.w[60] = 20 * MSS
    p.send("A", 1, 101, blocks=((201, 601),))
    assert seqs(p) == [101]
    assert s.w[61] < 20 * MSS  # ssthresh
    p.send("A", 1, 1101)
    assert s.w[60] == s.w[61]
    return p, s


def test_dsack_undoes_what_reordering_did_to_cwnd():
    """What was sent again was there already (RFC 3708): the window is as it was."""
    p, s = reordered()
    p.send("A", 1, 1101, blocks=((101, 201),))
    assert s.w[60] == 20 * MSS, s.w[60]
    # Once: another duplicate says nothing more.
    s.w[60] = 5 * MSS
    p.send("A", 1, 1101, blocks=((101, 201),))
    assert s.w[60] == 5 * MSS


def test_dsack_in_the_ack_that_ends_recovery():
    p, s = sacking()
    s.congestion = "cubic"
    s.w[60] = 20 * MSS
    p.send("A", 1, 101, blocks=((201, 601),))
    assert seqs(p) == [101]
    p.send("A", 1, 1101, blocks=((101, 201),))
    assert s.w[60] == 20 * MSS, s.w[60]


def test_dsack_of_something_else_undoes_nothing():
    """Before the flight, beyond it, or a part only: the loss was one, as far as one can tell."""
    for block in ((1, 101), (1051, 1151), (101, 151)):
        p, s = reordered()
        p.send("A", 1, 1101, blocks=(block,))
        assert s.w[60] == s.w[61] < 20 * MSS, (block, s.w[60])


def test_dsack_of_one_retransmission_of_two():
    """Two were sent again, one of them in vain: the other one was lost."""
    p, s = sacking()
    s.congestion = "cubic"
    s.w[60] = 20 * MSS
    p.send("A", 1, 101, blocks=((501, 801), (201, 401)))
    p.send("A", 1, 101, blocks=((501, 901), (201, 401)))
    assert seqs(p) == [101, 401]
    p.send("A", 1, 1101, blocks=((401, 501),))
    assert s.w[60] == s.w[61] < 20 * MSS
    p.send("A", 1, 1101, blocks=((101, 201),))
    assert s.w[60] == 20 * MSS


def test_timeout_forgets_what_could_have_been_undone():
    p, s = reordered()
    s.send(bytes(5 * MSS))
    p.poll()
    p.drain()
    p.pass_time(2000)  # a tail loss probe, then the timeout
    p.pass_time(2000)
    p.send("A", 1, 1601, blocks=((101, 201),))
    p.drain()
    assert s.w[60] < 20 * MSS


def test_blocks_of_one_ack_are_no_reordering():
    """The ACK of the first block was lost, so that the next one brings two, the newest first: that
    says nothing about the order of arrival, and both holes go again without waiting."""
    p, s = sacking()
    p.send("A", 1, 101, blocks=((501, 801), (201, 401)))
    assert not s.w[REORDERING] & SEEN
    assert seqs(p) == [101, 401]
    # But what arrives below the highest in a later ACK does.
    p, s = sacking()
    p.send("A", 1, 101, blocks=((501, 601),))
    p.send("A", 1, 101, blocks=((301, 401), (501, 601)))
    assert s.w[REORDERING] & SEEN


def test_tail_is_probed_when_recovery_just_ended():
    """The ACK that ends it starts the probe's timer, not the RTO's (RFC 8985 7.2)."""
    p, s = sacking()
    s.congestion = "cubic"
    s.w[60] = 20 * MSS
    p.send("A", 1, 101, blocks=((201, 601),))
    assert seqs(p) == [101]
    assert s.send(bytes(2 * MSS)) == 2 * MSS
    p.send("A", 1, 101, blocks=((201, 1101),))
    assert seqs(p) == [1101, 1201]
    p.send("A", 1, 1101)
    p.nothing()
    p.pass_time(2 * s.round_trip() + 2 + 10)
    assert seqs(p) == [1201]
