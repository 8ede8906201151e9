"""Duplicate ACKs, fast retransmit (RFC 5681 3.2) and NewReno's recovery (RFC 6582)."""

from tcp_support import MSS, Peer, duplicates, flight, seqs, short_segments


def test_third_duplicate_ack():
    p, s = short_segments()
    flight(p, s, 6)
    p.send("A", 1, 101)
    duplicates(p, 2, 101)
    p.nothing()
    duplicates(p, 1, 101)
    p.expect("A", 101, 1, bytes(MSS))
    duplicates(p, 10, 101)
    p.nothing()  # once
    p.send("A", 1, 601)
    p.pass_time(60000)
    p.nothing()
    assert s.retransmissions() == 1


def test_first_acks_count_from_the_start():
    p, s = short_segments()
    flight(p, s, 4)
    duplicates(p, 3)
    p.expect("A", 1, 1, bytes(MSS))


def test_what_is_no_duplicate_ack():
    """RFC 5681 2: outstanding data, no text, no SYN or FIN, the same ACK, the same window."""
    p, s = short_segments()
    flight(p, s, 4)
    p.send("A", 1, 1, b"text")
    p.send("A", 5, 1, b"text")
    p.send("A", 9, 1, b"text")
    assert all(not g.payload for g in p.drain())
    for window in (8000, 7900, 7800, 7700):
        p.send("A", 13, 1, window=window)
        p.nothing()
    p.send("A", 13, 1, window=7700)
    p.send("A", 13, 1, window=7700)
    p.nothing()
    p.send("A", 13, 1, window=7700)
    p.expect("A", 1, 13, bytes(MSS))


def test_old_acks_are_no_duplicates():
    p, s = short_segments()
    flight(p, s, 4)
    p.send("A", 1, 201)
    duplicates(p, 3, 101)
    p.nothing()


def test_duplicates_without_data_in_flight():
    p, s = short_segments()
    duplicates(p, 5)
    p.nothing()
    flight(p, s, 3)
    p.nothing()
    duplicates(p, 2)
    p.nothing()


def test_new_ack_begins_the_count_again():
    p, s = short_segments()
    flight(p, s, 4)
    duplicates(p, 2)
    p.send("A", 1, 101)
    duplicates(p, 2, 101)
    p.nothing()
    duplicates(p, 1, 101)
    assert seqs(p) == [101]


def test_count_does_not_overflow():
    p, s = short_segments()
    flight(p, s, 4)
    duplicates(p, 300)
    assert seqs(p) == [1]


def test_zero_window_is_no_loss():
    p, s = short_segments()
    flight(p, s, 4)
    p.send("A", 1, 1, window=0)
    duplicates(p, 5, window=0)
    p.nothing()


def test_fast_retransmit_ignores_a_smaller_window():
    p, s = short_segments()
    flight(p, s, 4)
    duplicates(p, 4, window=50)
    assert seqs(p) == [1]


def test_fast_retransmit_of_the_fin():
    p = Peer()
    s = p.established(mss=MSS)
    s.send(bytes(MSS))
    s.close()
    p.poll()
    assert [g.flags for g in p.drain()] == ["FPA"]
    duplicates(p, 3)
    p.expect("FPA", 1, 1, bytes(MSS))
    p.send("A", 1, 101)
    p.drain()
    duplicates(p, 3, 101)
    assert all(g.seq == 101 and g.flags == "FA" for g in p.drain())
    p.send("A", 1, 102)
    assert s.state == "FIN-WAIT-2"


def test_fast_retransmit_starts_the_timer():
    p, s = short_segments()
    flight(p, s, 4)
    p.pass_time(900)
    duplicates(p, 3)
    assert seqs(p) == [1]
    p.pass_time(999)
    p.nothing()
    p.pass_time(1)
    assert seqs(p) == [1, 101, 201, 301]


def test_new_data_goes_on_in_recovery():
    p, s = short_segments()
    flight(p, s, 4)
    duplicates(p, 3)
    assert seqs(p) == [1]
    s.send(bytes(MSS))
    p.poll()
    assert seqs(p) == [401]


def test_partial_ack_sends_the_next_hole():
    """RFC 6582 3.2, step 3: no duplicates are waited for before the recovery point."""
    p, s = short_segments()
    flight(p, s, 6)
    duplicates(p, 3)
    assert seqs(p) == [1]
    p.send("A", 1, 201)
    assert seqs(p) == [201]
    duplicates(p, 3, 201)
    p.nothing()
    p.send("A", 1, 401)
    assert seqs(p) == [401]
    p.send("A", 1, 601)
    p.nothing()
    assert s.retransmissions() == 3
    p.pass_time(60000)
    p.nothing()


def test_recovery_ends_at_what_was_sent_when_it_began():
    p, s = short_segments()
    flight(p, s, 4)
    duplicates(p, 3)
    assert seqs(p) == [1]
    s.send(bytes(2 * MSS))
    p.poll()
    assert seqs(p) == [401, 501]
    p.send("A", 1, 401)
    p.nothing()
    duplicates(p, 3, 401)  # a new loss
    assert seqs(p) == [401]


def test_duplicates_after_a_timeout_tell_nothing():
    """RFC 6582 3.2, step 4: what was sent again makes duplicate ACKs of its own."""
    p, s = short_segments()
    flight(p, s, 4)
    p.pass_time(1000)
    assert seqs(p) == [1, 101, 201, 301]
    duplicates(p, 4)
    p.nothing()
    p.send("A", 1, 201)
    duplicates(p, 4, 201)
    p.nothing()
    p.send("A", 1, 401)
    flight(p, s, 4)
    duplicates(p, 3, 401)
    assert seqs(p) == [401]
