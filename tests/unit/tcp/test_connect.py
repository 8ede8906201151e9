"""Active opens: connect(), SYN-SENT, simultaneous opens (RFC 9293 3.5, 3.10.1, 3.10.7.3)."""

from tcp_support import OURS, PEER, PEER_ISN, PEER_PORT, Peer, raises

from smolmp.socket import tcp

EADDRINUSE = 98
EINVAL = 22
EISCONN = 106
ENOTCONN = 107
ECONNREFUSED = 111
ECONNRESET = 104
EHOSTUNREACH = 113

WINDOWS = ((64, 0), (65535, 0), (65536, 1), (131072, 2), (655350, 4))


# connect()


def test_connect_validation():
    p = Peer()
    s = p.socket()
    raises(EINVAL, s.connect, p.iface, (PEER, 0), 49200)
    raises(EINVAL, s.connect, p.iface, ("0.0.0.0", 80), 49200)
    assert s.state == "CLOSED"
    raises(ENOTCONN, tcp.Socket().connect, p.iface, (PEER, 80))
    p.iface.remove_ip_addr(OURS)
    raises(EHOSTUNREACH, s.connect, p.iface, (PEER, 80), 49200)
    assert s.state == "CLOSED" and s.remote is None
    raises(ENOTCONN, s.recv, 1)  # nothing has ended that never began
    p.iface.add_ip_addr(OURS + "/24")
    s.connect(p.iface, (PEER, 80), 49200)  # a refused call leaves no trace
    p.poll()
    p.expect("S", 0)


def test_connect_only_to_one_host():
    # RFC 9293 3.9.2.3 (MUST-46): no connection to a broadcast or multicast address.
    p = Peer()
    s = p.socket()
    for address in ("224.0.0.1", "239.255.255.250", "255.255.255.255", "192.168.69.255"):
        raises(EHOSTUNREACH, s.connect, p.iface, (address, 80), 49200)
        assert s.state == "CLOSED" and s.remote is None
    p.poll()
    p.nothing()
    s.connect(p.iface, ("192.168.68.255", 80), 49200)  # a host of another subnet, for all we know
    assert s.state == "SYN-SENT"


def test_connect_picks_what_was_not_given():
    p = Peer()
    s = p.socket()
    s.connect(p.iface, (PEER, 80))
    address, port = s.local
    assert address == OURS and 49152 <= port <= 65535
    assert s.remote == (PEER, 80) and s.state == "SYN-SENT" and s.is_active()
    t = p.socket()
    t.connect(p.iface, PEER + ":80")
    assert t.local[1] != port


def test_connect_from_a_given_address():
    p = Peer()
    p.iface.add_ip_addr("192.168.69.2/24")
    s = p.socket()
    s.connect(p.iface, (PEER, 80), ("192.168.69.2", 1234))
    assert s.local == ("192.168.69.2", 1234)
    p.poll()
    p.expect("S", 0, source_port=1234)
    p.port = 1234
    p.send("SA", 0, 1, destination="192.168.69.2", remote_port=80)
    p.expect("A", 1, 1)
    assert s.state == "ESTABLISHED"


def test_connect_twice():
    p = Peer()
    s = p.connect()
    raises(EISCONN, s.connect, p.iface, (PEER, 81), 49201)
    raises(EISCONN, s.listen, 80)
    t = p.socket()
    raises(EADDRINUSE, t.connect, p.iface, (PEER, PEER_PORT), 49200)  # the same connection
    t.connect(p.iface, (PEER, PEER_PORT + 1), 49200)


def test_connect_beside_a_listener_of_the_same_port():
    p = Peer()
    listener = p.listen(49200)
    s = p.connect(local=49200)
    p.expect("S", 0)
    p.send("SA", 0, 1)
    p.expect("A", 1, 1)
    assert s.state == "ESTABLISHED" and listener.state == "LISTEN"


# not on a board: buffers of up to 655,350 octets are what it is about
def test_syn_offers_everything():
    for size, scale in WINDOWS:
        p = Peer()
        p.connect(rx=size)
        p.expect("S", 0, None, mss=1460, scale=scale, sack_permitted=True, window=min(size, 65535))
    p = Peer()
    p.connect(timestamps=True)
    p.expect("S", 0, None, tsecr=0)
    p = Peer(mtu=576)
    p.connect()
    p.expect("S", 0, None, mss=536, tsval=None)


# SYN-SENT


def test_syn_ack_opens():
    p = Peer()
    s = p.connect()
    p.expect("S", 0)
    p.send("SA", 0, 1)
    p.expect("A", 1, 1)
    assert s.state == "ESTABLISHED" and s.can_send() and s in p.changed


def test_wherever_the_sequence_numbers_stand():
    """The whole life of a connection over every edge of the number space."""
    edges = (0, 0x3FFFFFFE, 0x7FFFFFFB, 0x80000000, 0xBFFFFFFD, 0xFFFFFFFC, 0xFFFFFFFF)
    for i in range(len(edges)):
        p = Peer(iss=edges[i], isn=edges[(i * 3 + 1) % len(edges)])
        s = p.connect()
        p.expect("S", 0)
        assert p.iss == edges[i]
        p.send("SA", 0, 1)
        p.expect("A", 1, 1)
        s.send(b"abc")
        p.poll()
        p.expect("PA", 1, 1, b"abc")
        p.send("A", 1, 3, b"12345")
        assert s.send_queue() == 1 and s.recv(10) == b"12345"
        p.pass_time(10)
        p.expect("A", 4, 6)
        p.send("A", 6, 4)
        s.close()
        p.poll()
        p.expect("FA", 4, 6)
        p.send("FA", 6, 5)
        p.expect("A", 5, 7)
        assert s.state == "TIME-WAIT", s.state


def sent_mss(**options):
    p = Peer()
    s = p.connect(tx=4096)
    p.expect("S", 0)
    p.send("SA", 0, 1, **options)
    p.expect("A", 1, 1)
    s.send(bytes(4096))
    p.poll()
    return len(p.drain()[0].payload)


def test_mss_of_the_syn_ack():
    assert sent_mss() == 536
    assert sent_mss(mss=0) == 536
    assert sent_mss(mss=1) == 48
    assert sent_mss(mss=1000) == 1000
    assert sent_mss(mss=20000) == 1460


def test_syn_ack_that_acknowledges_something_else():
    for ack in (0, 2, -1, 1 << 31):
        p = Peer()
        s = p.connect()
        p.expect("S", 0)
        p.send("SA", 0, ack)
        p.expect("R", ack - (1 << 32) if ack == 1 << 31 else ack, None)
        assert s.state == "SYN-SENT"
        p.send("SA", 0, 1)
        p.expect("A", 1, 1)


def test_ack_without_syn():
    p = Peer()
    s = p.connect()
    p.expect("S", 0)
    p.send("A", 0, 1)  # acceptable, but nothing to take from it
    p.nothing()
    p.send("A", 0, 0)
    p.expect("R", 0)
    p.send("A", 500, 9)
    p.expect("R", 9)
    p.send("FA", 5, 1)
    p.nothing()
    p.send("P", 5, payload=b"abc")
    p.nothing()
    assert s.state == "SYN-SENT"


def test_rst_must_acknowledge_the_syn():
    p = Peer()
    s = p.connect()
    p.expect("S", 0)
    for ack in (0, 2, 77):
        p.send("RA", 0, ack)
        p.nothing()
    p.send("R", 0)
    p.nothing()
    assert s.state == "SYN-SENT"
    p.send("RA", 0, 1)
    assert s.state == "CLOSED" and s in p.changed
    raises(ECONNREFUSED, s.send, b"x")
    raises(ECONNREFUSED, s.recv, 1)


def test_close_and_abort_in_syn_sent():
    """No RST: the peer knows of nothing that it could reset (RFC 9293 3.10.4, 3.10.5)."""
    for verb in ("close", "abort"):
        p = Peer()
        s = p.connect()
        p.expect("S", 0)
        getattr(s, verb)()
        p.poll()
        p.nothing()
        assert s.state == "CLOSED"
        p.send("SA", 0, 1)
        p.expect("R", 1)


def test_close_before_the_syn_left():
    p = Peer()
    s = p.socket()
    s.connect(p.iface, (PEER, 80), 49200)
    s.close()
    p.poll()
    p.nothing()
    assert s.state == "CLOSED"


def test_sack_negotiation():
    for permitted in (True, False):
        p = Peer()
        p.connect()
        p.expect("S", 0)
        p.send("SA", 0, 1, sack=permitted)
        p.expect("A", 1, 1)
        p.send("A", 11, 1, b"gap")
        p.expect("A", 1, 1, blocks=((11, 14),) if permitted else ())


# not from .mpy files: its buffers take too much memory
def test_window_scaling():
    p = Peer()
    s = p.connect(rx=70000, tx=8192)
    p.expect("S", 0, scale=1)
    p.send("SA", 0, 1, scale=4, window=536)
    p.expect("A", 1, 1, window=70000 >> 1)
    s.send(bytes(8192))
    p.poll()
    assert sum(len(g.payload) for g in p.drain()) == 536  # a SYN's window is not scaled
    p.send("A", 1, 537, window=67)
    assert sum(len(g.payload) for g in p.drain()) == 2 * 536


# not from .mpy files: its buffers take too much memory
def test_window_scaling_refused():
    p = Peer()
    s = p.connect(rx=70000, tx=4096)
    p.expect("S", 0, scale=1)
    p.send("SA", 0, 1, window=1072)
    p.expect("A", 1, 1, window=65535)
    s.send(bytes(4096))
    p.poll()
    assert sum(len(g.payload) for g in p.drain()) == 1072
    p.send("A", 1, 1073, window=536)
    assert sum(len(g.payload) for g in p.drain()) == 536


def test_scale_above_14_counts_as_14():
    p = Peer()
    s = p.connect()
    p.expect("S", 0)
    p.send("SA", 0, 1, scale=200)
    p.expect("A", 1, 1)
    p.send("A", 1, 1, window=65535)  # 2**30 - 2**14: the largest window there is
    s.send(bytes(2000))
    p.poll()
    assert len(p.drain()) == 3


# Simultaneous open


def simultaneous():
    p = Peer()
    s = p.connect()
    p.expect("S", 0)
    p.send("S", 0, mss=1460)
    p.expect("SA", 0, 1)
    assert s.state == "SYN-RECEIVED"
    return p, s


def test_simultaneous_open_by_ack():
    p, s = simultaneous()
    p.send("A", 1, 1)
    p.nothing()
    assert s.state == "ESTABLISHED"


def test_simultaneous_open_bad_ack():
    p, s = simultaneous()
    p.send("A", 1, 2)
    p.expect("R", 2)
    assert s.state == "SYN-RECEIVED"


def test_simultaneous_open_refused():
    p, s = simultaneous()
    p.send("R", 1)
    p.nothing()
    assert s.state == "CLOSED"
    raises(ECONNREFUSED, s.recv, 1)


def test_simultaneous_open_of_two_smolmp():
    """Both SYNs cross, then both SYN+ACKs, then both ACKs."""
    p, q = Peer(seed=1), Peer(seed=2)
    p.iface.set_ip_addrs((OURS + "/24",))
    q.iface.set_ip_addrs((PEER + "/24",))
    a, b = p.socket(), q.socket()
    a.connect(p.iface, (PEER, 7), 9)
    b.connect(q.iface, (OURS, 9), 7)
    for _ in range(4):
        p.poll()
        q.poll()
        for end, other in ((p, q), (q, p)):
            while True:
                packet = end.device.take()
                if packet is None:
                    break
                other.device.inject(packet)
    assert a.state == b.state == "ESTABLISHED"
    assert not len(p.device.to_stack) and not len(q.device.to_stack)


# Loss


def test_first_rto_after_a_lost_syn_is_3_seconds():
    """RFC 6298 5.7."""
    p = Peer()
    s = p.connect()
    p.expect("S", 0)
    p.pass_time(1000)
    p.expect("S", 0)
    p.send("SA", 0, 1)
    p.expect("A", 1, 1)
    assert s.round_trip() == 0  # Karn: of which SYN?
    s.send(b"x")
    p.poll()
    p.expect("PA", 1, 1, b"x")
    p.pass_time(2999)
    p.nothing()
    p.pass_time(1)
    p.expect("PA", 1, 1, b"x")


def test_round_trip_of_the_handshake_counts():
    p = Peer()
    s = p.connect()
    p.expect("S", 0)
    p.pass_time(300)
    p.send("SA", 0, 1)
    p.expect("A", 1, 1)
    assert s.round_trip() == 300
    s.send(b"x")
    p.poll()
    p.expect("PA", 1, 1, b"x")
    p.pass_time(899)  # RTO = 300 + 4 * 150
    p.nothing()
    p.pass_time(1)
    p.expect("PA", 1, 1, b"x")


def test_lost_last_ack_of_the_handshake():
    p = Peer()
    s = p.connect()
    p.expect("S", 0)
    p.send("SA", 0, 1)
    p.expect("A", 1, 1)
    p.send("SA", 0, 1)
    p.expect("A", 1, 1)
    assert s.state == "ESTABLISHED"


# Second life


def test_connect_again_starts_clean():
    p = Peer()
    s = p.connect(timestamps=True, tx=8192)
    p.expect("S", 0)
    p.send("SA", 0, 1, mss=1460, scale=7, sack=True, tsval=777, tsecr=0)
    p.expect("A", 1, 1)
    s.timeout = 30000
    s.send(bytes(8192))
    p.send("A", 100, 1, b"hole", tsval=778)
    p.send("A", 1, 1, b"unread", tsval=779)
    p.send("R", 7)
    p.drain()
    raises(ECONNRESET, s.send, b"x")
    s.connect(p.iface, (PEER, PEER_PORT), 49201)
    p.port = 49201
    p.poll()
    p.expect("S", 0, None, tsecr=0, scale=0, window=4096)
    assert s.recv_queue() == s.send_queue() == 0 and s.error == 0
    p.isn = PEER_ISN + 1000
    p.send("SA", 0, 1)
    p.expect("A", 1, 1, tsval=None)
    s.send(bytes(1000))
    p.poll()
    assert [len(g.payload) for g in p.drain()] == [536] and s.recv(1) is None
    p.send("A", 1, 537)
    p.expect("PA", 537, 1, bytes(464))
    p.send("FA", 1, 1001, b"ok")
    p.expect("A", 1001, 4)
    assert s.recv(10) == b"ok" and s.recv(10) == b""


def test_pause_synack_is_no_business_of_a_syn():
    p = Peer()
    s = p.listen(80)
    s.pause_synack(True)
    s.close()
    s.connect(p.iface, (PEER, PEER_PORT), 49200)
    p.port = 49200
    p.poll()
    p.expect("S", 0)
    p.send("SA", 0, 1)
    p.expect("A", 1, 1)
