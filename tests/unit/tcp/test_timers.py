"""User timeout, keep-alive, delayed ACK, hop limit (RFC 9293 3.8.3, RFC 1122 4.2.3)."""

from tcp_support import Peer, raises

from smolmp.socket import raw, tcp, udp

EINVAL = 22
ETIMEDOUT = 110


# User timeout


def test_closed_and_listening_sockets_wait_for_ever():
    for state in ("CLOSED", "LISTEN"):
        p = Peer()
        s = p.reach(state)
        s.timeout = 100
        p.poll()
        assert p.iface.poll_delay(p.now, p.sockets) is None
        p.pass_time(100000)
        p.nothing()
        assert s.state == state


def test_idle_connection_is_not_ended():
    """Only what waits for an answer can time out (smoltcp #1202)."""
    p = Peer()
    s = p.established()
    s.timeout = 1000
    p.pass_time(100000)
    p.nothing()
    s.send(b"abc")
    p.poll()
    p.expect("PA", 1, 1, b"abc")
    p.send("A", 1, 4)
    p.pass_time(100000)
    p.nothing()
    assert s.state == "ESTABLISHED"


def test_connect_timeout():
    p = Peer()
    s = p.socket()
    s.timeout = 2500
    s.connect(p.iface, ("192.168.69.100", 80), 49200)
    p.poll()
    p.expect("S", 0)
    p.pass_time(1000)
    p.expect("S", 0)
    p.pass_time(1499)
    p.nothing()
    p.pass_time(1)
    p.nothing()
    assert s.state == "CLOSED" and s in p.changed
    raises(ETIMEDOUT, s.send, b"x")


def test_established_timeout():
    p = Peer()
    s = p.established()
    s.rto_min = 1000
    s.timeout = 2000
    p.pass_time(5000)
    s.send(b"abc")
    p.poll()
    p.expect("PA", 1, 1, b"abc")
    p.pass_time(1999)
    p.drain()
    assert s.state == "ESTABLISHED"
    p.pass_time(1)
    p.expect("RA", 4, 1)
    assert s.state == "CLOSED"
    raises(ETIMEDOUT, s.recv, 1)


def test_progress_moves_the_timeout():
    p = Peer()
    s = p.established()
    s.rto_min = 10000
    s.w[44] = 10000
    s.timeout = 2000
    s.send(b"abcdef")
    p.poll()
    p.drain()
    for ack in (2, 3, 4):
        p.pass_time(1500)
        p.send("A", 1, ack)
        p.send("A", 1, ack)  # a duplicate is no progress
    p.pass_time(1999)
    assert s.state == "ESTABLISHED"
    p.pass_time(1)
    assert s.state == "CLOSED"


def test_closing_states_time_out():
    for state in ("FIN-WAIT-1", "CLOSING", "LAST-ACK"):
        p = Peer()
        s = p.reach("CLOSE-WAIT" if state == "LAST-ACK" else "ESTABLISHED")
        s.timeout = 1000
        s.close()
        p.poll()
        if state == "CLOSING":
            p.send("FA", 1, 1)
        assert s.state == state
        p.pass_time(1000)
        assert s.state == "CLOSED" and s.error == ETIMEDOUT


def test_shut_window_of_a_living_peer_is_no_timeout():
    """RFC 9293 3.8.6.1: as long as probes are answered, the connection stays."""
    p = Peer()
    s = p.established()
    s.timeout = 4000
    p.send("A", 1, 1, window=0)
    s.send(b"abc")
    p.poll()
    for _ in range(20):
        p.pass_time(3000)
        p.drain()
        p.send("A", 1, 1, window=0)
    assert s.state == "ESTABLISHED"
    p.pass_time(4000)
    assert s.state == "CLOSED" and s.error == ETIMEDOUT


def test_peer_that_dies_after_it_took_a_probe():
    p = Peer()
    s = p.established()
    s.timeout = 4000
    p.send("A", 1, 1, window=0)
    s.send(b"abc")
    p.poll()
    p.pass_time(1000)
    p.expect("A", 1, 1, b"a")
    p.send("A", 1, 2, window=0)
    for _ in range(30):
        p.pass_time(1000)
    assert s.state == "CLOSED" and s.error == ETIMEDOUT


def test_timeout_of_time_wait_is_its_own():
    p = Peer()
    s = p.established()
    s.timeout = 1000
    s.close()
    p.poll()
    p.send("FA", 1, 2)
    assert s.state == "TIME-WAIT"
    p.pass_time(9999)
    assert s.state == "TIME-WAIT"
    p.pass_time(1)
    assert s.state == "CLOSED" and s.error == 0


# Keep-alive


def test_answers_a_keep_alive():
    p = Peer()
    p.established()
    for payload in (b"", b"\0"):
        for _ in range(3):
            p.send("A", 0, 1, payload)
            p.expect("A", 1, 1)
            p.pass_time(500)


def test_keep_alive_is_off_by_default():
    p = Peer()
    s = p.established()
    assert s.keep_alive == 0
    p.pass_time(100000000)
    p.nothing()
    assert p.iface.poll_delay(p.now, p.sockets) is None


def test_sends_keep_alives():
    """The first after an interval of silence, and without an octet (RFC 1122 4.2.3.6's SHOULD)."""
    p = Peer()
    s = p.established()
    s.keep_alive = 5000
    p.poll()
    p.nothing()
    p.pass_time(4999)
    p.nothing()
    p.pass_time(1)
    p.expect("A", 0, 1)  # SEG.SEQ = SND.NXT - 1, no text (RFC 1122 4.2.3.6)
    p.send("A", 1, 1)
    p.pass_time(4999)
    p.nothing()
    p.pass_time(1)
    p.expect("A", 0, 1)


def test_traffic_postpones_the_keep_alive():
    p = Peer()
    s = p.established()
    s.keep_alive = 5000
    p.poll()
    for i in range(4):
        p.pass_time(4000)
        p.send("A", 1 + i, 1, b"x")
        p.pass_time(10)
        p.expect("A", 1, 2 + i)
    p.pass_time(4989)
    p.nothing()
    p.pass_time(1)
    p.expect("A", 0, 5)


def test_keep_alive_gives_up():
    p = Peer()
    s = p.established()
    s.keep_alive = 1000
    p.poll()
    for _ in range(9):
        p.pass_time(1000)
        p.expect("A", 0, 1)
    p.pass_time(1000)
    p.expect("RA", 1, 1)
    assert s.state == "CLOSED" and s.error == ETIMEDOUT


def test_keep_alive_gives_up_after_the_user_timeout():
    p = Peer()
    s = p.established()
    s.keep_alive = 1000
    s.timeout = 2500
    p.poll()
    p.pass_time(1000)
    p.expect("A", 0, 1)
    p.send("A", 1, 1)  # answered: all is well
    p.pass_time(1000)
    p.expect("A", 0, 1)
    p.pass_time(1000)
    p.expect("A", 0, 1)
    p.pass_time(1000)
    p.expect("A", 0, 1)
    assert s.state == "ESTABLISHED"
    p.pass_time(500)
    p.expect("RA", 1, 1)
    assert s.state == "CLOSED" and s.error == ETIMEDOUT


def test_keep_alive_interval_and_count():
    p = Peer()
    s = p.established()
    assert s.keep_alive_interval == 0 and s.keep_alive_count == 9
    s.keep_alive = 60000
    s.keep_alive_interval = 2000
    s.keep_alive_count = 3
    p.poll()
    p.pass_time(59999)
    p.nothing()
    p.pass_time(1)
    p.expect("A", 0, 1)
    for _ in range(2):
        p.pass_time(1999)
        p.nothing()
        p.pass_time(1)
        p.expect("A", 0, 1)
    p.pass_time(1999)
    assert s.state == "ESTABLISHED"
    p.pass_time(1)
    p.expect("RA", 1, 1)
    assert s.state == "CLOSED" and s.error == ETIMEDOUT


def test_keep_alive_answered_in_the_middle():
    """An answer ends the row of probes; the next one begins after the idle time."""
    p = Peer()
    s = p.established()
    s.keep_alive = 60000
    s.keep_alive_interval = 2000
    s.keep_alive_count = 3
    p.poll()
    p.pass_time(60000)
    p.pass_time(2000)
    assert len(p.drain()) == 2
    p.send("A", 1, 1)
    p.pass_time(59999)
    p.nothing()
    p.pass_time(1)
    p.expect("A", 0, 1)
    for _ in range(2):
        p.pass_time(2000)
        p.expect("A", 0, 1)
    p.pass_time(2000)
    assert s.state == "CLOSED"


def test_keep_alive_interval_when_it_is_not_set():
    """75 s, as everywhere, or the idle time if that is shorter."""
    for idle, interval in ((7200000, 75000), (20000, 20000)):
        p = Peer()
        s = p.established()
        s.keep_alive = idle
        p.poll()
        p.pass_time(idle)
        p.expect("A", 0, 1)
        p.pass_time(interval - 1)
        p.nothing()
        p.pass_time(1)
        p.expect("A", 0, 1)


def test_keep_alive_waits_while_something_else_asks():
    """Data in flight, or a window probe, is question enough (RFC 1122 4.2.3.6)."""
    p = Peer()
    s = p.established()
    s.keep_alive = 1000
    s.send(b"abc")
    p.poll()
    p.drain()
    for _ in range(40):
        p.pass_time(1000)
        assert all(g.payload == b"abc" for g in p.drain())
    p.send("A", 1, 4, window=0)
    s.send(b"d")
    p.poll()
    for _ in range(40):
        p.pass_time(1000)
        for g in p.drain():
            assert g.payload == b"d"
            p.send("A", 1, 4, window=0)
    assert s.state == "ESTABLISHED"


def test_keep_alive_can_be_stopped():
    p = Peer()
    s = p.established()
    s.keep_alive = 1000
    p.pass_time(500)
    s.keep_alive = 0
    p.poll()
    p.pass_time(100000)
    p.nothing()
    assert s.state == "ESTABLISHED"


def test_keep_alive_set_on_the_listener():
    p = Peer()
    s = p.listen(80)
    s.keep_alive = 1000
    p.poll()
    p.send("S", 0)
    p.expect("SA", 0, 1)
    p.send("A", 1, 1)
    p.pass_time(1000)
    p.expect("A", 0, 1)


def test_keep_alive_in_half_closed_states():
    for state, seq, ack in (("FIN-WAIT-2", 1, 1), ("CLOSE-WAIT", 0, 2)):
        p = Peer()
        s = p.reach(state)
        s.keep_alive = 1000
        p.poll()
        p.pass_time(1000)
        p.expect("A", seq, ack)


# Delayed ACK


def test_ack_is_delayed():
    """RFC 9293 3.8.6.3: less than half a second."""
    p = Peer()
    s = p.established()
    assert s.ack_delay == 10
    p.send("A", 1, 1, b"abc")
    p.nothing()
    assert p.iface.poll_delay(p.now, p.sockets) == 10
    p.pass_time(9)
    p.nothing()
    p.pass_time(1)
    p.expect("A", 1, 4)
    p.pass_time(1000)
    p.nothing()


def test_delay_counts_from_the_first_text():
    p = Peer()
    p.established()
    p.send("A", 1, 1, b"abc")
    p.pass_time(7)
    p.send("A", 4, 1, b"def")
    p.pass_time(2)
    p.nothing()
    p.pass_time(1)
    p.expect("A", 1, 7)


def test_no_delay():
    p = Peer()
    s = p.established()
    s.ack_delay = 0
    p.send("A", 1, 1, b"abc")
    p.expect("A", 1, 4)


def test_ack_rides_on_data():
    p = Peer()
    s = p.established()
    p.send("A", 1, 1, b"abc")
    s.send(b"xyz")
    p.poll()
    p.expect("PA", 1, 4, b"xyz")
    p.pass_time(100)
    p.nothing()


def test_every_second_full_segment_is_acknowledged():
    p = Peer()
    p.established(rx=20000, mss=1000)
    seq = 1
    for _ in range(3):
        p.send("A", seq, 1, bytes(1000))
        p.nothing()
        p.send("A", seq + 1000, 1, bytes(1000))
        seq += 2000
        p.expect("A", 1, seq)
    p.send("A", seq, 1, bytes(1000))
    p.send("A", seq + 1000, 1, b"x")
    p.expect("A", 1, seq + 1001)
    p.pass_time(100)
    p.nothing()


# not from .mpy files: its buffers take too much memory
def test_full_segments_are_acknowledged_at_once_in_the_beginning():
    """The sender's slow start lives on ACKs: the first 16, and again after a pause, as Linux."""
    p = Peer()
    s = p.established(rx=60000, mss=1000)
    assert type(s).quick_acks == 16
    s.quick_acks = 16
    seq = 1
    for _ in range(2):
        for _ in range(16):
            p.send("A", seq, 1, bytes(1000))
            seq += 1000
            p.expect("A", 1, seq)
            p.pass_time(20)
        for _ in range(3):
            p.send("A", seq, 1, bytes(1000))
            p.nothing()
            p.send("A", seq + 1000, 1, bytes(1000))
            seq += 2000
            p.expect("A", 1, seq)
        s.recv(60000)
        p.poll()
        p.drain()
        p.pass_time(s.w[44] + 1)
        p.drain()


def test_small_segments_are_never_acknowledged_at_once():
    """The program's answer is to take the ACK along."""
    p = Peer()
    s = p.established(rx=60000, mss=1000)
    s.quick_acks = 16
    p.send("A", 1, 1, b"request")
    p.nothing()
    s.send(b"answer")
    p.poll()
    p.expect("PA", 1, 8, b"answer")


def test_quick_acks_can_be_switched_off():
    p = Peer()
    s = p.established(rx=60000, mss=1000)
    s.quick_acks = 0
    p.send("A", 1, 1, bytes(1000))
    p.nothing()
    p.pass_time(10)
    p.expect("A", 1, 1001)


def test_one_ack_for_what_comes_in_one_poll():
    p = Peer()
    p.established(rx=20000, mss=1000)
    for i in range(6):
        p.send("A", 1 + 1000 * i, 1, bytes(1000), poll=False)
    p.poll()
    p.expect("A", 1, 6001)


def test_fin_is_acknowledged_at_once():
    p = Peer()
    p.established()
    p.send("FA", 1, 1, b"abc")
    p.expect("A", 1, 5)


# The rest


def test_hop_limit():
    p = Peer()
    s = p.listen(80)
    s.hop_limit = 42
    assert s.hop_limit == 42
    p.send("S", 0)
    p.expect("SA", 0, 1, hops=42)
    p.send("A", 1, 1)
    s.send(b"x")
    p.poll()
    p.expect("PA", 1, 1, b"x", hops=42)
    s.hop_limit = 1
    s.abort()
    p.poll()
    p.expect("RA", 2, 1, hops=1)


def test_hop_limit_bounds():
    s = Peer().socket()
    for hops in (0, 256, -1):
        raises(EINVAL, setattr, s, "hop_limit", hops)
    assert s.hop_limit == 64


def test_a_connection_from_an_address_that_was_removed_ends_in_silence():
    """RFC 1122 3.2.1.3: nothing may be sent from an address that is not ours."""
    for state in ("SYN-SENT", "ESTABLISHED", "FIN-WAIT-2", "CLOSE-WAIT", "LAST-ACK"):
        p = Peer()
        s = p.reach(state)
        if s.may_send():
            assert s.send(b"x") == 1
        p.iface.remove_ip_addr("192.168.69.1")
        p.iface.add_ip_addr("192.168.69.2/24")
        assert p.iface.poll_delay(p.now, p.sockets) == 0
        p.poll()
        p.nothing()
        assert s.state == "CLOSED" and s.error == 103 and p.changed == [s]
        p.pass_time(100000)
        p.nothing()


def test_an_address_that_changes_its_prefix_keeps_its_connections():
    p = Peer()
    s = p.established()
    p.iface.set_ip_addrs(("192.168.69.1/16",))
    p.poll()
    s.send(b"x")
    p.poll()
    p.expect("PA", 1, 1, b"x")
    assert p.iface.poll_delay(p.now, p.sockets) != 0 and not p.iface.tasks


def test_what_a_removed_address_leaves_alone():
    p = Peer()
    p.iface.add_ip_addr("192.168.69.2/24")
    s = p.established()
    waiting = p.socket()
    waiting.listen(("192.168.69.2", 81))
    p.poll()
    p.iface.remove_ip_addr("192.168.69.2")
    p.poll()
    assert s.state == "ESTABLISHED" and waiting.state == "LISTEN" and p.changed == []


def test_half_open_connections_of_a_removed_address_are_forgotten():
    p = Peer()
    p.iface.add_ip_addr("192.168.69.2/24")
    p.sockets.add(udp.Socket(64, 64)).bind(9)
    p.sockets.add(raw.Socket(4, 99))
    listener = p.sockets.add(tcp.Listener(2))
    listener.listen(80)
    p.send("S", 0)
    p.expect("SA", 0, 1)
    p.send("S", 0, destination="192.168.69.2")
    p.expect("SA", 0, 1)
    assert listener.half_open() == 2
    p.iface.remove_ip_addr("192.168.69.1")
    p.poll()
    p.nothing()
    assert listener.half_open() == 1
    p.pass_time(1000)
    p.expect("SA", 0, 1)
    p.send("A", 1, 1, destination="192.168.69.2")
    assert listener.accept().local == ("192.168.69.2", 80)


def test_any_ip_that_ends():
    p = Peer(any_ip=True)
    s = p.listen(80)
    p.send("S", 0, destination="10.1.2.3")
    p.expect("SA", 0, 1)
    p.send("A", 1, 1, destination="10.1.2.3")
    assert s.state == "ESTABLISHED"
    p.iface.any_ip = False
    p.poll()
    p.nothing()
    assert s.state == "CLOSED" and s.error == 103
