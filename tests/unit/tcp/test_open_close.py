"""Opening and closing a TCP connection (RFC 9293 3.5, 3.6, 3.10)."""

from tcp_support import PEER_PORT, Peer


def test_three_way_handshake():
    p = Peer()
    s = p.listen(80)
    assert s.state == "LISTEN" and s.is_listening() and s.is_open() and not s.is_active()
    p.send("S", 0, mss=1460)
    syn = p.expect("SA", 0, 1, mss=1460)
    assert syn.scale is None and syn.window == 4096 and not syn.sack_permitted
    assert s.state == "SYN-RECEIVED" and s.remote == ("192.168.69.100", PEER_PORT)
    assert s.local == ("192.168.69.1", 80)
    p.send("A", 1, 1)
    p.nothing()
    assert s.state == "ESTABLISHED" and s.may_send() and s.can_send() and not s.can_recv()
    assert s in p.changed


def test_active_open():
    p = Peer()
    s = p.connect(local=49200)
    p.expect("S", 0, None, mss=1460, scale=0, sack_permitted=True, source_port=49200)
    assert s.state == "SYN-SENT" and not s.may_send() and s.send(b"early") is None
    p.send("SA", 0, 1, mss=1400, scale=2, window=1000)
    p.expect("A", 1, 1)
    assert s.state == "ESTABLISHED"
    assert s.send(b"x" * 3000) == 3000
    p.poll()
    p.expect("A", 1, 1, b"x" * 1000)  # the window of a SYN is not scaled


def test_connection_refused():
    p = Peer()
    s = p.connect()
    p.expect("S", 0)
    p.send("RA", 0, 1)
    p.nothing()
    assert s.state == "CLOSED" and s in p.changed
    try:
        s.recv(1)
        raise AssertionError("no error")
    except OSError as e:
        assert e.errno == 111


def test_data_both_ways():
    p = Peer()
    s = p.established()
    p.send("PA", 1, 1, b"hello")
    assert s.can_recv() and s in p.changed
    p.nothing()
    p.pass_time(10)
    p.expect("A", 1, 6)
    assert s.recv(100) == b"hello" and s.recv(100) is None
    assert s.send(b"world") == 5
    p.poll()
    p.expect("PA", 1, 6, b"world")
    assert s.send_queue() == 5
    p.send("A", 6, 6)
    p.nothing()
    assert s.send_queue() == 0


def test_remote_close():
    p = Peer()
    s = p.established()
    p.send("FA", 1, 1)
    p.expect("A", 1, 2)
    assert s.state == "CLOSE-WAIT" and s.recv(1) == b"" and not s.may_recv()
    s.close()
    p.poll()
    p.expect("FA", 1, 2)
    assert s.state == "LAST-ACK"
    p.send("A", 2, 2)
    p.nothing()
    assert s.state == "CLOSED" and not s.is_open()


def test_local_close():
    p = Peer()
    s = p.established()
    s.close()
    p.poll()
    p.expect("FA", 1, 1)
    assert s.state == "FIN-WAIT-1"
    p.send("A", 1, 2)
    assert s.state == "FIN-WAIT-2"
    p.send("A", 1, 2, b"late")
    assert s.recv(10) == b"late"
    p.pass_time(10)
    p.expect("A", 2, 5)
    p.send("FA", 5, 2)
    p.expect("A", 2, 6)
    assert s.state == "TIME-WAIT"
    p.pass_time(9999)
    assert s.state == "TIME-WAIT"
    p.pass_time(2)
    assert s.state == "CLOSED"
    p.nothing()


def test_simultaneous_close():
    p = Peer()
    s = p.established()
    s.close()
    p.poll()
    p.expect("FA", 1, 1)
    p.send("FA", 1, 1)
    p.expect("A", 2, 2)
    assert s.state == "CLOSING"
    p.send("A", 2, 2)
    p.nothing()
    assert s.state == "TIME-WAIT"


def test_simultaneous_close_raced():
    """The peer's FIN arrives after close(), before ours has left: ours acknowledges it."""
    p = Peer()
    s = p.established()
    s.close()
    assert s.state == "FIN-WAIT-1"
    p.send("FA", 1, 1)
    p.expect("FA", 1, 2)
    assert s.state == "CLOSING"
    p.send("A", 2, 2)
    p.nothing()
    assert s.state == "TIME-WAIT"


def test_simultaneous_close_raced_with_data():
    p = Peer()
    s = p.established()
    s.send(b"abcdef")
    s.close()
    p.send("FA", 1, 1, b"ghijkl")
    p.expect("FPA", 1, 8, b"abcdef")
    assert s.state == "CLOSING" and s.recv(10) == b"ghijkl" and s.recv(10) == b""
    p.pass_time(1000)
    p.expect("FPA", 1, 8, b"abcdef")  # CLOSING resends what FIN-WAIT-1 would
    p.send("A", 8, 8)
    p.nothing()
    assert s.state == "TIME-WAIT" and s.send_queue() == 0


def test_text_queued_when_the_fin_arrives():
    """It goes on; the ACK of the FIN rides on it."""
    p = Peer()
    s = p.established()
    s.send(b"abcdef")
    p.send("FA", 1, 1)
    assert s.state == "CLOSE-WAIT"
    p.expect("PA", 1, 2, b"abcdef")
    p.send("A", 2, 7)
    p.nothing()
    assert s.state == "CLOSE-WAIT" and s.send_queue() == 0


def test_simultaneous_open():
    p = Peer()
    s = p.connect()
    p.expect("S", 0)
    p.send("S", 0, mss=1460)
    p.expect("SA", 0, 1)
    assert s.state == "SYN-RECEIVED"
    p.send("SA", 0, 1)
    p.expect("A", 1, 1)
    p.send("A", 1, 1)
    p.nothing()
    assert s.state == "ESTABLISHED"


def test_syn_is_retransmitted_and_given_up():
    p = Peer()
    s = p.connect()
    p.expect("S", 0)
    for wait in (1000, 2000, 4000, 8000, 16000, 32000):
        p.pass_time(wait - 1)
        p.nothing()
        p.pass_time(1)
        p.expect("S", 0)
    p.pass_time(64000)
    p.nothing()
    assert s.state == "CLOSED"
    try:
        s.send(b"x")
        raise AssertionError("no error")
    except OSError as e:
        assert e.errno == 110


def test_abort_sends_reset():
    p = Peer()
    s = p.established()
    s.abort()
    p.poll()
    p.expect("RA", 1, 1)
    assert s.state == "CLOSED"
    p.send("A", 1, 1, b"more")
    p.expect("R", 1)


def test_stranger_gets_reset():
    p = Peer()
    p.iss = 0
    p.send("A", 5, 77, port=81)
    p.expect("R", 77)
    p.send("S", 5, port=81)
    r = p.expect("RA", 0, 6)
    assert r.window == 0
    p.send("R", 5, port=81)
    p.nothing()


def test_broadcast_syn_is_dropped():
    p = Peer()
    s = p.listen(80)
    p.send("S", 0, destination="255.255.255.255")
    p.nothing()
    p.send("S", 0, destination="192.168.69.255")
    p.nothing()
    assert s.state == "LISTEN"


def test_listen_again_after_close():
    p = Peer()
    s = p.established()
    p.send("R", 1)
    assert s.state == "CLOSED"
    s.listen(80)
    p.send("S", 0, mss=1460, remote_port=PEER_PORT + 1)
    p.expect("SA", 0, 1)
    p.send("A", 1, 1, remote_port=PEER_PORT + 1)
    assert s.state == "ESTABLISHED" and s.error == 0
