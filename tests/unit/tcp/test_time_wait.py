"""A new connection where an old one is in TIME-WAIT (RFC 1122 4.2.2.13, RFC 6191)."""

from tcp_support import PEER, PEER_PORT, Peer, raises

from smolmp.socket import tcp

EADDRINUSE = 98


def in_time_wait(p, timestamps=False, tsval=None):
    """A connection whose last segments were the peer's FIN 1 and our ACK of it."""
    s = p.listen(80, timestamps=timestamps)
    p.send("S", 0, tsval=tsval)
    p.expect("SA", 0, 1)
    p.send("A", 1, 1)
    s.close()
    p.poll()
    p.expect("FA", 1, 1)
    p.send("FA", 1, 2)
    p.expect("A", 2, 2)
    assert s.state == "TIME-WAIT"
    return s


def another(p, **options):
    """One more socket that listens at the port."""
    s = p.socket(**options)
    s.listen(80)
    return s


def test_a_syn_opens_it_again():
    """The socket that had listened listens again."""
    p = Peer()
    s = in_time_wait(p)
    old = p.iss
    p.send("S", 2)
    g = p.expect("SA", 0, 3)
    assert 2 < (p.iss - old) & 0xFFFFFFFF < 1 << 31  # RFC 1122 4.2.2.13 (1)
    assert g.window == 4096 and p.iface.stats()["tcp_time_wait_reused"] == 1
    p.send("A", 3, 1, b"new")
    assert s.state == "ESTABLISHED" and s.recv(10) == b"new"
    p.pass_time(100000)
    assert s.state == "ESTABLISHED"  # the old life's timer is gone


def test_another_listener_takes_it():
    p = Peer()
    s = in_time_wait(p)
    new = another(p)
    p.send("S", 2)
    p.expect("SA", 0, 3)
    assert s.state == "CLOSED" and s in p.changed
    p.send("A", 3, 1, b"new")
    assert new.state == "ESTABLISHED" and new.recv(10) == b"new"


def test_the_sequence_number_must_be_beyond():
    for listeners in (0, 1):
        p = Peer()
        s = in_time_wait(p)
        if listeners:
            another(p)
        for seq in (1, 0, -100, -(1 << 30), -(1 << 31) + 3):
            p.send("S", seq)
            p.expect("A", 2, 2)
            p.pass_time(1000)
        assert s.state == "TIME-WAIT" and p.iface.stats()["tcp_time_wait_reused"] == 0
        p.send("S", (1 << 31) - 1)
        assert p.iface.stats()["tcp_time_wait_reused"] == 1


def test_timestamps_decide():
    """RFC 6191 2: a newer one, whatever the sequence number."""
    for tsval, seq, opens in (
        (501, -100000, True),
        (501, 5, True),
        (500, 5, True),  # the same: the sequence number decides
        (500, -1, False),
        (499, 5, False),
        (499, -1, False),
    ):
        p = Peer()
        s = in_time_wait(p, True, 500)
        another(p, timestamps=True)
        p.send("S", seq, tsval=tsval)
        assert s.state == ("CLOSED" if opens else "TIME-WAIT"), (tsval, seq)
        g = p.take()
        assert g.flags == ("SA" if opens else "A"), (tsval, seq, g)
        if opens:
            assert g.ack == seq + 1 and g.tsecr == tsval


def test_timestamps_of_one_connection_only():
    for used, offered, wanted, seq, opens in (
        (False, 7, True, -5, True),  # the old one's duplicates have none: they will be known
        (False, 7, False, -5, False),  # we do not take them
        (False, 7, False, 5, True),
        (True, None, True, 5, True),
        (True, None, True, -5, False),
    ):
        p = Peer()
        s = in_time_wait(p, used, 500)
        another(p, timestamps=wanted)
        p.send("S", seq, tsval=offered)
        assert s.state == ("CLOSED" if opens else "TIME-WAIT"), (used, offered, wanted, seq)


def test_our_stamps_go_on():
    """The peer's PAWS sees no older stamp than in the connection before."""
    p = Peer()
    s = p.listen(80, timestamps=True)
    p.send("S", 0, tsval=500)
    p.expect("SA", 0, 1)
    p.send("A", 1, 1)
    s.close()
    p.poll()
    p.drain()
    p.pass_time(5000)
    p.drain()
    p.send("FA", 1, 2)
    last = p.take().tsval
    p.send("S", 2, tsval=6000)
    first = p.expect("SA", 0, 3).tsval
    assert (first - last) & 0xFFFFFFFF < 1 << 20


def test_isn_beyond_a_fast_connection():
    """More than 250 KB a second outrun the clock of RFC 6528: the next ISN is above anyway."""
    for sent in (100000000, (1 << 31) - 5, 7):
        p = Peer()
        s = in_time_wait(p)
        # As if it had sent so much.
        old = (s.w[15] + sent) & 0xFFFFFFFF
        s.w[15] = old - (1 << 32) if old >> 31 else old
        p.send("S", 2)
        p.drain()
        assert 0 < (p.iss - old) & 0xFFFFFFFF < 1 << 31, sent


def test_what_is_unread_stays():
    """A socket that still holds text does not begin anew by itself."""
    p = Peer()
    s = p.established()
    s.close()
    p.poll()
    p.drain()
    p.send("FA", 1, 2, b"text")
    p.drain()
    p.send("S", 10)
    p.expect("A", 2, 6)
    assert s.state == "TIME-WAIT" and s.recv(10) == b"text"
    p.send("S", 10)
    p.expect("SA", 0, 11)


def test_an_active_opener_does_not_listen():
    p = Peer()
    s = p.connect()
    p.expect("S", 0)
    p.send("SA", 0, 1)
    p.drain()
    s.close()
    p.poll()
    p.drain()
    p.send("FA", 1, 2)
    p.expect("A", 2, 2)
    p.send("S", 2)
    p.expect("A", 2, 2)
    assert s.state == "TIME-WAIT"
    new = another(p)
    new.close()
    new.listen(49200)
    p.pass_time(1000)
    p.send("S", 2)
    p.expect("SA", 0, 3)
    assert s.state == "CLOSED" and new.state == "SYN-RECEIVED"


def test_other_segments_open_nothing():
    p = Peer()
    s = in_time_wait(p)
    new = another(p)
    p.send("SA", 5, 2)
    p.expect("A", 2, 2)
    for flags in ("A", "R", "RA"):
        p.send(flags, 5, 2)
    p.drain()
    assert s.state == "TIME-WAIT" and new.state == "LISTEN"


# Our own connect()


def connected(p, s, **options):
    s.connect(p.iface, (PEER, PEER_PORT), 49200)
    p.port = 49200
    p.poll()
    g = p.expect("S", 0)
    p.send("SA", 0, 1, **options)
    p.drain()
    assert s.state == "ESTABLISHED"
    return g


def ended(p, s):
    s.close()
    p.poll()
    p.drain()
    p.send("FA", 1, 2)
    p.drain()
    assert s.state == "TIME-WAIT"


def test_the_same_socket_connects_again():
    """From the same port to the same end: the next ISN is beyond the last."""
    p = Peer()
    s = p.socket()
    connected(p, s)
    ended(p, s)
    old = (p.iss + 500000) & 0xFFFFFFFF  # as if it had sent so much
    s.w[15] = old - (1 << 32) if old >> 31 else old
    p.isn += 1000
    connected(p, s)
    assert 0 < (p.iss - old) & 0xFFFFFFFF < 1 << 31


def test_another_socket_follows_with_timestamps():
    p = Peer()
    s = p.socket(timestamps=True)
    first = connected(p, s, tsval=5)
    ended(p, s)
    new = p.socket(timestamps=True)
    p.isn += 1000
    p.pass_time(5)
    second = connected(p, new, tsval=6)
    assert s.state == "CLOSED"
    assert 0 < (second.tsval - first.tsval) & 0xFFFFFFFF < 1 << 20


def test_without_timestamps_the_port_is_in_use():
    for old, new in ((False, False), (True, False), (False, True)):
        p = Peer()
        s = p.socket(timestamps=old)
        connected(p, s, tsval=5)
        ended(p, s)
        raises(
            EADDRINUSE,
            p.socket(timestamps=new).connect,
            p.iface,
            (PEER, PEER_PORT),
            49200,
        )
        assert s.state == "TIME-WAIT"


# A Listener's


def pooled(p, **options):
    """(listener, accepted connection in TIME-WAIT)"""
    listener = p.sockets.add(tcp.Listener(pool=2, **options))
    listener.listen(80)
    p.port = 80
    p.send("S", 0)
    p.expect("SA", 0, 1)
    p.send("A", 1, 1)
    s = listener.accept()
    s.close()
    p.poll()
    p.drain()
    p.send("FA", 1, 2)
    p.drain()
    assert s.state == "TIME-WAIT"
    return listener, s


def test_a_listener_takes_the_syn():
    p = Peer()
    listener, s = pooled(p)
    p.send("S", 1)  # not beyond
    p.expect("A", 2, 2)
    p.pass_time(1000)
    p.send("S", 2)
    p.expect("SA", 0, 3)
    assert s.state == "CLOSED" and listener.half_open() == 1
    p.send("A", 3, 1, b"new")
    assert listener.accept().recv(10) == b"new"


def test_a_socket_of_a_pool_does_not_listen_by_itself():
    p = Peer()
    listener, s = pooled(p)
    listener.close()
    p.send("S", 2)
    p.expect("A", 2, 2)
    assert s.state == "TIME-WAIT"


def test_what_a_connection_was_told_ends_with_it():
    p = Peer()
    listener = p.sockets.add(tcp.Listener(pool=1))
    listener.keep_alive_count = 3
    listener.quick_acks = 7
    listener.listen(80)
    for port in (1, 2):
        p.send("S", 0, port=80, remote_port=port)
        p.drain()
        p.send("A", 1, 1, port=80, remote_port=port)
        s = listener.accept()
        assert s.linger is None and s.quick_acks == 7 and s.keep_alive_count == 3
        s.linger = 0
        s.quick_acks = 0
        listener.release(s)
        p.poll()
        p.drain()
