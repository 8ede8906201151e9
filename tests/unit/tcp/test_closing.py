"""Closing: FIN-WAIT-1 and -2, CLOSING, TIME-WAIT, CLOSE-WAIT, LAST-ACK (RFC 9293 3.6, 3.10.4)."""

from tcp_support import PEER_PORT, Peer, raises

ECONNABORTED = 103
EPIPE = 32
CLOSED_STATES = ("FIN-WAIT-1", "FIN-WAIT-2", "CLOSING", "LAST-ACK", "TIME-WAIT")


def test_close_is_idempotent():
    for state in CLOSED_STATES:
        p = Peer()
        s = p.reach(state)
        s.close()
        p.poll()
        p.nothing()
        assert s.state == state
        raises(EPIPE, s.send, b"x")
        assert not s.may_send() and not s.can_send()


def test_abort_in_every_state():
    """RFC 9293 3.10.5: an RST where the peer still believes in the connection."""
    told = {
        "SYN-RECEIVED": (1, 1),
        "ESTABLISHED": (1, 1),
        "FIN-WAIT-1": (2, 1),
        "FIN-WAIT-2": (2, 1),
        "CLOSE-WAIT": (1, 2),
    }
    for state in ("CLOSED", "LISTEN", "SYN-SENT") + CLOSED_STATES + tuple(told):
        p = Peer()
        s = p.reach(state)
        s.abort()
        p.poll()
        if state in told:
            p.expect("RA", *told[state])
        p.nothing()
        assert s.state == "CLOSED"


# The peer closes first


def test_fin():
    p = Peer()
    s = p.established()
    p.send("FA", 1, 1)
    p.expect("A", 1, 2)
    assert s.state == "CLOSE-WAIT" and s in p.changed
    assert s.recv(1) == b"" and s.recv_into(bytearray(1)) == 0
    assert not s.may_recv() and s.may_send()


def test_fin_with_text():
    p = Peer()
    s = p.established()
    p.send("FPA", 1, 1, b"abc")
    p.expect("A", 1, 5)
    assert s.state == "CLOSE-WAIT" and s.may_recv()
    assert s.recv(10) == b"abc" and s.recv(10) == b"" and not s.may_recv()


def test_fin_with_ack_of_our_data():
    p = Peer()
    s = p.established()
    s.send(b"abc")
    p.poll()
    p.drain()
    p.send("FA", 1, 4)
    p.expect("A", 4, 2)
    assert s.state == "CLOSE-WAIT" and s.send_queue() == 0


def test_close_wait_sends_on():
    p = Peer()
    s = p.reach("CLOSE-WAIT")
    s.send(b"abcdef")
    p.poll()
    p.expect("PA", 1, 2, b"abcdef")
    p.send("A", 2, 7)
    s.send(b"gh")
    s.close()
    p.poll()
    p.expect("FPA", 7, 2, b"gh")
    assert s.state == "LAST-ACK"
    p.send("A", 2, 10)
    assert s.state == "CLOSED" and s.error == 0


def test_close_wait_ignores_text_and_fin():
    p = Peer()
    s = p.reach("CLOSE-WAIT")
    p.send("A", 2, 1, b"beyond the end")
    p.send("FA", 2, 1)
    p.nothing()
    assert s.state == "CLOSE-WAIT" and not s.can_recv()
    p.send("FA", 1, 1)  # our ACK was lost
    p.expect("A", 1, 2)


def test_last_ack_ack_of_the_fin():
    p = Peer()
    s = p.reach("LAST-ACK")
    p.send("A", 2, 2)
    p.nothing()
    assert s.state == "CLOSED" and s in p.changed and s.error == 0 and s.recv(1) == b""
    p.send("A", 2, 2)
    p.expect("R", 2)


def test_last_ack_other_acks():
    """A duplicate is no reason to answer: SEG.ACK =< SND.UNA "can be ignored" (3.10.7.4)."""
    p = Peer()
    s = p.reach("LAST-ACK")
    p.send("A", 2, 1)  # a duplicate
    p.nothing()
    p.send("A", 2, 3)  # of nothing that was sent
    p.expect("A", 2, 2)
    p.pass_time(500)
    p.drain()  # the FIN again
    p.send("A", 1, 1)  # old
    p.expect("A", 2, 2)
    assert s.state == "LAST-ACK"
    p.send("A", 2, 2)
    assert s.state == "CLOSED"


def test_last_ack_partial_ack():
    p = Peer()
    s = p.reach("CLOSE-WAIT")
    s.send(b"abcdef")
    s.close()
    p.poll()
    p.expect("FPA", 1, 2, b"abcdef")
    p.send("A", 2, 4)
    p.nothing()
    assert s.state == "LAST-ACK" and s.send_queue() == 3
    p.send("A", 2, 7)
    assert s.state == "LAST-ACK"
    p.send("A", 2, 8)
    assert s.state == "CLOSED"


def test_last_ack_repeated_fin_of_the_peer():
    p = Peer()
    s = p.reach("LAST-ACK")
    p.send("FA", 1, 1)
    p.expect("A", 2, 2)
    assert s.state == "LAST-ACK"


# We close first


def test_fin_wait_1_to_2():
    p = Peer()
    s = p.reach("FIN-WAIT-1")
    p.send("A", 1, 2)
    p.nothing()
    assert s.state == "FIN-WAIT-2" and s.may_recv()


def test_fin_wait_1_receives():
    p = Peer()
    s = p.reach("FIN-WAIT-1")
    p.send("A", 1, 1, b"abc")
    assert s.state == "FIN-WAIT-1" and s.recv(10) == b"abc" and s.recv(10) is None
    p.send("FA", 4, 2, b"def")
    assert s.state == "TIME-WAIT" and s.recv(10) == b"def" and s.recv(10) == b""
    p.expect("A", 2, 8)


def test_fin_wait_1_fin_that_acknowledges_ours():
    p = Peer()
    s = p.reach("FIN-WAIT-1")
    p.send("FA", 1, 2)
    p.expect("A", 2, 2)
    assert s.state == "TIME-WAIT"


def test_fin_wait_1_fin_that_does_not():
    p = Peer()
    s = p.reach("FIN-WAIT-1")
    p.send("FA", 1, 1)
    p.expect("A", 2, 2)
    assert s.state == "CLOSING"
    p.send("A", 2, 2)
    assert s.state == "TIME-WAIT"


def test_fin_wait_1_with_data_queued():
    """The FIN follows the last octet, not before the window lets it."""
    p = Peer()
    s = p.established(window=6)
    s.send(b"abcdef123456")
    s.close()
    p.poll()
    p.expect("A", 1, 1, b"abcdef")
    assert s.state == "FIN-WAIT-1"
    p.send("A", 1, 7, window=6)
    p.expect("PA", 7, 1, b"123456")
    p.send("A", 1, 13, window=0)
    p.nothing()
    assert s.state == "FIN-WAIT-1"
    p.send("A", 1, 13, window=6)
    p.expect("FA", 13, 1)
    p.send("A", 1, 14)
    assert s.state == "FIN-WAIT-2"


def test_fin_rides_on_the_last_text():
    p = Peer()
    s = p.established()
    s.send(b"x" * 1000)
    s.close()
    p.poll()
    p.expect("A", 1, 1, b"x" * 536, alone=False)
    p.expect("FPA", 537, 1, b"x" * 464)


def test_fin_wait_2_receives():
    p = Peer()
    s = p.reach("FIN-WAIT-2")
    p.send("A", 1, 2, b"abc")
    p.send("FA", 4, 2)
    p.expect("A", 2, 5)
    assert s.state == "TIME-WAIT" and s.recv(10) == b"abc" and s.recv(10) == b""


def test_fin_wait_2_ack_beyond():
    p = Peer()
    s = p.reach("FIN-WAIT-2")
    p.send("FA", 1, 3)
    p.expect("A", 2, 1)
    assert s.state == "FIN-WAIT-2"


def test_fin_wait_2_does_not_probe_or_resend():
    p = Peer()
    s = p.reach("FIN-WAIT-2")
    p.pass_time(200000)
    p.nothing()
    assert s.state == "FIN-WAIT-2" and p.iface.poll_delay(p.now, p.sockets) is None


def test_fin_wait_2_window_update():
    """The peer still sends: reading must be told."""
    p = Peer()
    s = p.reach("FIN-WAIT-2", rx=6)
    p.send("A", 1, 2, b"abcdef")
    p.pass_time(10)
    p.expect("A", 2, 7, window=0)
    assert s.recv(10) == b"abcdef"
    p.poll()
    p.expect("A", 2, 7, window=6)


def test_no_window_update_after_the_fin():
    for state in ("CLOSE-WAIT", "CLOSING", "LAST-ACK", "TIME-WAIT"):
        p = Peer()
        s = p.established(rx=6)
        if state in ("CLOSING", "TIME-WAIT"):
            s.close()
            p.poll()
        p.send("FA", 1, 2 if state == "TIME-WAIT" else 1, b"abcdef")
        if state == "LAST-ACK":
            s.close()
            p.poll()
        assert s.state == state
        p.drain()
        assert s.recv(10) == b"abcdef"
        p.poll()
        p.nothing()


# TIME-WAIT


def test_time_wait_answers_a_repeated_fin_and_starts_again():
    p = Peer()
    s = p.reach("TIME-WAIT")
    p.pass_time(9000)
    p.send("FA", 1, 2)
    p.expect("A", 2, 2)
    p.pass_time(9999)
    assert s.state == "TIME-WAIT"
    p.pass_time(1)
    p.nothing()
    assert s.state == "CLOSED" and s in p.changed and s.recv(1) == b""


def test_time_wait_ends_after_ten_seconds():
    p = Peer()
    s = p.reach("TIME-WAIT")
    assert not s.is_open()
    assert 0 < p.iface.poll_delay(p.now, p.sockets) <= 10000
    p.pass_time(9999)
    assert s.state == "TIME-WAIT"
    p.pass_time(1)
    assert s.state == "CLOSED" and p.iface.poll_delay(p.now, p.sockets) is None


def test_time_wait_is_not_prolonged_by_other_segments():
    """Only the peer's FIN says that our last ACK was lost (RFC 9293 3.10.7.4, eighth)."""
    p = Peer()
    s = p.reach("TIME-WAIT")
    p.pass_time(9000)
    p.send("A", 2, 2)
    p.nothing()
    p.send("R", 2)
    p.send("R", 1)
    p.nothing()
    p.send("A", 1, 2, b"x")
    p.expect("A", 2, 2)
    p.send("S", -70000)
    p.expect("A", 2, 2)
    p.send("A", 2, 2, b"text behind the FIN")
    p.nothing()
    assert s.state == "TIME-WAIT" and not s.can_recv()
    p.pass_time(1000)
    assert s.state == "CLOSED"


def test_time_wait_length_can_be_set():
    p = Peer()
    s = p.established()
    s.time_wait = 500
    s.close()
    p.send("FA", 1, 1)
    p.send("A", 2, 2)
    assert s.state == "TIME-WAIT"
    p.pass_time(500)
    assert s.state == "CLOSED"


def test_time_wait_socket_may_be_used_again():
    p = Peer()
    s = p.reach("TIME-WAIT")
    s.listen(80)
    assert s.state == "LISTEN"
    p.send("S", 0, remote_port=PEER_PORT + 1)
    p.expect("SA", 0, 1)
    p.send("A", 1, 1, remote_port=PEER_PORT + 1)
    p.pass_time(20000)  # the old life's timer is gone
    assert s.state == "ESTABLISHED"


# Both close


def test_simultaneous_close():
    p = Peer()
    s = p.reach("FIN-WAIT-1")
    p.send("FA", 1, 1)
    p.expect("A", 2, 2)
    assert s.state == "CLOSING"
    p.send("A", 2, 2)
    p.nothing()
    assert s.state == "TIME-WAIT"


def test_simultaneous_close_with_one_ack_of_both():
    p = Peer()
    s = p.established()
    p.send("FA", 1, 1, poll=False)
    s.close()
    p.poll()
    p.expect("FA", 1, 2)  # the FIN had not left when the peer's came
    assert s.state == "CLOSING"
    p.send("A", 2, 2)
    assert s.state == "TIME-WAIT"


def test_simultaneous_close_raced():
    """The peer's FIN crosses ours, and comes again before its ACK."""
    p = Peer()
    s = p.reach("FIN-WAIT-1")
    p.send("FA", 1, 1)
    p.expect("A", 2, 2)
    p.send("FA", 1, 1)
    p.expect("A", 2, 2)
    assert s.state == "CLOSING"
    p.send("A", 2, 2)
    assert s.state == "TIME-WAIT"


def test_simultaneous_close_with_data():
    p = Peer()
    s = p.established()
    s.send(b"abcdef")
    s.close()
    p.poll()
    p.expect("FPA", 1, 1, b"abcdef")
    p.send("FA", 1, 1, b"ghijkl")
    p.expect("A", 8, 8)
    assert s.state == "CLOSING" and s.recv(10) == b"ghijkl"
    p.send("A", 8, 7)  # the text, not the FIN
    assert s.state == "CLOSING" and s.send_queue() == 0
    p.send("A", 8, 8)
    p.nothing()
    assert s.state == "TIME-WAIT"


def test_closing_resends_the_fin():
    p = Peer()
    s = p.reach("CLOSING")
    p.pass_time(1000)
    p.expect("FA", 1, 2)
    assert s.state == "CLOSING"
    p.send("A", 2, 2)
    assert s.state == "TIME-WAIT"


def test_mutual_close_with_data():
    p = Peer()
    s = p.established()
    s.send(b"abc")
    s.close()
    p.poll()
    p.expect("FPA", 1, 1, b"abc")
    p.send("FPA", 1, 5, b"xyz")
    p.expect("A", 5, 5)
    assert s.state == "TIME-WAIT" and s.recv(10) == b"xyz"


def test_mutual_close_ack_before_fin():
    p = Peer()
    s = p.established()
    s.send(b"abc")
    s.close()
    p.poll()
    p.expect("FPA", 1, 1, b"abc")
    p.send("A", 1, 5)
    assert s.state == "FIN-WAIT-2"
    p.send("FPA", 1, 5, b"xyz")
    p.expect("A", 5, 5)
    assert s.state == "TIME-WAIT" and s.recv(10) == b"xyz"


def test_close_with_unsent_data_in_close_wait():
    p = Peer()
    s = p.established(window=0)
    s.send(b"abc")
    p.send("FA", 1, 1, window=0)
    p.expect("A", 1, 2)
    s.close()
    p.poll()
    p.nothing()
    assert s.state == "LAST-ACK"
    p.send("A", 2, 1, window=100)
    p.expect("FPA", 1, 2, b"abc")
    p.send("A", 2, 5)
    assert s.state == "CLOSED"


# How the receiving half ends, as the program sees it


def end_by_fin(state):
    p = Peer()
    s = p.reach(state)
    ours = 1 if state == "ESTABLISHED" else 2
    p.send("A", 1, ours, b"abc")
    p.send("FA", 4, ours, b"def")
    assert s.recv(10) == b"abcdef" and s.recv(10) == b"" and s.error == 0
    return p, s


def test_rx_close_by_fin():
    for state in ("ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2"):
        p, s = end_by_fin(state)
        p.drain()
        p.pass_time(20000)
        assert s.recv(10) == b""


def test_rx_close_by_rst():
    p = Peer()
    s = p.established()
    p.send("A", 1, 1, b"abc")
    p.send("R", 4)
    assert s.recv(10) == b"abc"
    raises(104, s.recv, 10)


def test_unread_text_survives_the_end():
    p = Peer()
    s = p.reach("FIN-WAIT-2")
    p.send("FA", 1, 2, b"abc")
    p.pass_time(10001)
    p.drain()
    assert s.state == "CLOSED" and s.recv(10) == b"abc" and s.recv(10) == b""


def test_abort_is_told_to_the_reader():
    p = Peer()
    s = p.established()
    s.abort()
    raises(ECONNABORTED, s.recv, 1)
