"""CLOSED, LISTEN and SYN-RECEIVED (RFC 9293 3.10.7.1, 3.10.7.2, 3.10.7.4)."""

from tcp_support import OURS, PEER_PORT, Peer, raises, short_segments

from smolmp.phy.device import ETHERNET

EADDRINUSE = 98
EISCONN = 106
EINVAL = 22
ENOTCONN = 107


# CLOSED


def test_closed_socket_accepts_nothing():
    p = Peer()
    s = p.socket()
    p.send("S", 0)
    p.expect("RA", 0, 1)
    p.send("SA", 0, 5)
    p.expect("R", 5)
    s.close()
    assert s.state == "CLOSED" and not s.is_open() and not s.is_active()
    raises(ENOTCONN, s.send, b"x")
    raises(ENOTCONN, s.recv, 1)


def test_closed_after_listen_rejects():
    p = Peer()
    s = p.listen(80)
    s.close()
    assert s.state == "CLOSED"
    p.send("S", 0)
    p.expect("RA", 0, 1)


# LISTEN


def test_a_listener():
    p = Peer()
    s = p.listen(80)
    assert s.state == "LISTEN" and s.is_listening() and s.is_open() and not s.is_active()
    assert not s.may_send() and not s.may_recv() and not s.can_send() and not s.can_recv()
    assert s.local == ("", 80) and s.remote is None
    p.poll()
    assert p.iface.poll_delay(p.now, p.sockets) is None
    p.nothing()


def test_listen_validation():
    p = Peer()
    s = p.socket()
    raises(EINVAL, s.listen, 0)
    assert s.state == "CLOSED"


def test_listen_twice():
    p = Peer()
    s = p.listen(80)
    s.listen(80)
    raises(EADDRINUSE, s.listen, 81)
    raises(EADDRINUSE, s.listen, (OURS, 80))
    assert s.state == "LISTEN"
    p.send("S", 0)
    p.expect("SA", 0, 1)
    raises(EISCONN, s.listen, 80)


def test_listen_on_one_address():
    p = Peer()
    p.iface.add_ip_addr("192.168.69.2/24")
    s = p.socket()
    s.listen((OURS, 80))
    p.send("S", 0, destination="192.168.69.2")
    p.expect("RA", 0, 1)
    p.send("S", 0)
    p.expect("SA", 0, 1)
    assert s.local == (OURS, 80)


def test_two_listeners_share_a_port():
    p = Peer()
    a = p.listen(80)
    b = p.listen(80)
    p.send("S", 0)
    p.expect("SA", 0, 1)
    p.send("S", 0, remote_port=PEER_PORT + 1)
    p.expect("SA", 0, 1, destination_port=PEER_PORT + 1)
    assert a.state == b.state == "SYN-RECEIVED" and a.remote != b.remote
    p.send("S", 0, remote_port=PEER_PORT + 2)
    p.expect("RA", 0, 1)


def test_listen_ignores_rst_and_resets_ack():
    p = Peer()
    s = p.listen(80)
    p.iss = 0
    p.send("R", 0)
    p.nothing()
    p.send("RA", 0, 7)
    p.nothing()
    p.send("P", 0, payload=b"neither SYN, RST nor ACK")
    p.nothing()
    p.send("A", 0, 7)
    p.expect("R", 7)
    p.send("SA", 0, 9)
    p.expect("R", 9)
    p.send("FA", 0, 11)
    p.expect("R", 11)
    assert s.state == "LISTEN"


def test_broadcast_and_multicast_syn_leave_the_listener():
    p = Peer()
    p.iface.join_multicast_group("224.0.0.9")
    s = p.listen(80)
    for destination in ("255.255.255.255", "192.168.69.255", "224.0.0.9"):
        p.send("S", 0, destination=destination)
        p.nothing()
        p.send("S", 0, destination=destination, port=81)  # no listener: no RST either
        p.nothing()
    assert s.state == "LISTEN"


# not on a board: buffers of up to 655,350 octets are what it is about
def test_window_scale_fits_the_buffer():
    table = ((64, 0), (1024, 0), (65535, 0), (65536, 1), (65537, 1), (131071, 1), (131072, 2))
    for size, scale in table + ((524287, 3), (524288, 4), (655350, 4)):
        p = Peer()
        p.listen(80, size)
        p.send("S", 0, scale=0)
        p.expect("SA", 0, 1, scale=scale, window=min(size, 65535))


def test_sack_is_permitted_when_asked():
    p = Peer()
    p.listen(80)
    p.send("S", 0, sack=True)
    p.expect("SA", 0, 1, sack_permitted=True)
    p = Peer()
    p.listen(80)
    p.send("S", 0)
    p.expect("SA", 0, 1, sack_permitted=False, scale=None, tsval=None)


def sent_mss(**options):
    """The payload of the first segment of a long stream, over a handshake with these options."""
    p = Peer()
    s = p.established(tx=4096, **options)
    s.send(bytes(4096))
    p.poll()
    return len(p.drain()[0].payload)


def test_mss_of_the_syn():
    assert sent_mss() == 536
    assert sent_mss(mss=1000) == 1000
    assert sent_mss(mss=9000) == 1460  # our own MTU
    assert sent_mss(mss=1) == 48
    assert sent_mss(mss=47) == 48
    assert sent_mss(mss=0) == 536


def test_syn_data_is_dropped():
    p = Peer()
    s = p.listen(80)
    p.send("S", 0, payload=b"early")
    p.expect("SA", 0, 1)
    p.send("A", 1, 1, b"early")
    assert s.state == "ESTABLISHED" and s.recv(10) == b"early"


# SYN-RECEIVED


def test_ack_may_carry_data():
    p = Peer()
    s = p.reach("SYN-RECEIVED")
    assert not s.may_send() and s.send(b"x") is None and s.recv(1) is None
    p.send("PA", 1, 1, b"GET /")
    assert s.state == "ESTABLISHED" and s.recv(10) == b"GET /"


def test_unacceptable_ack_is_reset():
    p = Peer()
    s = p.reach("SYN-RECEIVED")
    p.send("A", 1, 0)
    p.expect("R", 0)
    p.send("A", 1, 2)
    p.expect("R", 2)
    p.send("A", 1, 1 << 31)
    p.expect("R", -(1 << 31))
    assert s.state == "SYN-RECEIVED"
    p.send("A", 1, 1)
    assert s.state == "ESTABLISHED"


def test_segment_without_ack_is_dropped():
    p = Peer()
    s = p.reach("SYN-RECEIVED")
    p.send("P", 1, payload=b"abc")
    p.nothing()
    assert s.state == "SYN-RECEIVED"


def test_fin_in_syn_received():
    p = Peer()
    s = p.reach("SYN-RECEIVED")
    p.send("FA", 1, 1, b"abc")
    p.expect("A", 1, 5)
    assert s.state == "CLOSE-WAIT" and s.recv(10) == b"abc" and s.recv(10) == b""


def test_rst_returns_to_listen():
    p = Peer()
    s = p.reach("SYN-RECEIVED")
    p.send("R", 1)
    p.nothing()
    assert s.state == "LISTEN" and s.remote is None
    p.send("S", 7, remote_port=PEER_PORT + 1)
    p.expect("SA", 0, 8)


def test_rst_must_be_exact_in_syn_received():
    p = Peer()
    s = p.reach("SYN-RECEIVED")
    p.send("R", 2)
    p.expect("A", 1, 1)
    p.send("R", 0)
    p.nothing()
    p.send("R", 1 + 4096 + 1)
    p.nothing()
    assert s.state == "SYN-RECEIVED"


def test_repeated_syn_is_answered_again():
    p = Peer()
    s = p.reach("SYN-RECEIVED")
    p.send("S", 0)
    p.expect("SA", 0, 1)
    assert s.state == "SYN-RECEIVED"
    p.send("A", 1, 1)
    assert s.state == "ESTABLISHED"


def test_another_syn_in_the_window_returns_to_listen():
    """RFC 9293 3.10.7.4, fourth: SYN-RECEIVED of a passive open."""
    p = Peer()
    s = p.reach("SYN-RECEIVED")
    p.send("S", 100)
    p.nothing()
    assert s.state == "LISTEN"
    p.send("S", 100)
    p.expect("SA", 0, 101)


def test_repeated_syn_with_text_is_no_other_syn():
    p = Peer()
    s = p.reach("SYN-RECEIVED")
    p.send("S", 0, payload=b"early")
    p.expect("A", 1, 1)
    assert s.state == "SYN-RECEIVED"
    p.send("A", 1, 1)
    assert s.state == "ESTABLISHED"


def test_another_syn_outside_the_window_is_acknowledged():
    p = Peer()
    s = p.reach("SYN-RECEIVED")
    p.send("S", 100000)
    p.expect("A", 1, 1)
    assert s.state == "SYN-RECEIVED"
    p.send("R", 1)  # what a peer with a new life answers
    assert s.state == "LISTEN"


def test_window_scaling_negotiated():
    p = Peer()
    s = p.established(tx=16384, window=1072, scale=3)
    assert s.send(bytes(16384)) == 16384
    p.poll()
    assert sum(len(g.payload) for g in p.drain()) == 1072  # 134 << 3
    p.send("A", 1, 1073, window=512)
    assert sum(len(g.payload) for g in p.drain()) == 7 * 536  # of 4096: no crumbs


# not from .mpy files: its buffers take too much memory
def test_window_scaling_not_negotiated():
    p = Peer()
    p.listen(80, rx=70000)
    p.send("S", 0)
    p.expect("SA", 0, 1, scale=None, window=65535)
    p.send("A", 1, 1)
    p.send("A", 1, 1, b"x" * 1460)
    p.expect("A", 1, 1461, window=65535)


def test_close_in_syn_received():
    """RFC 9293 3.10.4 lets the FIN go at once; ours waits until our SYN is acknowledged.

    Nobody has to make sense of a FIN before he knows where our numbers begin.
    """
    p = Peer()
    s = p.reach("SYN-RECEIVED")
    s.close()
    p.poll()
    p.drain()
    p.send("A", 1, 1)
    assert s.state == "FIN-WAIT-1"
    p.expect("FA", 1, 1)
    p.send("A", 1, 2)
    assert s.state == "FIN-WAIT-2"


def test_a_listener_closed_in_syn_received_does_not_listen_on():
    for end in ("RST", "SYN", "silence", "timeout"):
        p = Peer()
        s = p.reach("SYN-RECEIVED")
        s.close()
        if end == "RST":
            p.send("R", 1)
        elif end == "SYN":
            p.send("S", 100)
        else:
            s.timeout = 3000 if end == "timeout" else 0
            for _ in range(8):
                p.pass_time(60000)
            p.drain()
        assert s.state == "CLOSED", end
        p.nothing()
        p.send("S", 200)
        p.expect("RA", 0, 201)


def test_abort_in_syn_received():
    p = Peer()
    s = p.reach("SYN-RECEIVED")
    s.abort()
    p.poll()
    p.expect("RA", 1, 1)
    assert s.state == "CLOSED"


def test_pause_synack():
    p = Peer()
    s = p.listen(80)
    s.pause_synack(True)
    p.send("S", 0)
    p.nothing()
    assert s.state == "SYN-RECEIVED" and s.remote[1] == PEER_PORT
    p.pass_time(5000)
    p.send("S", 0)
    p.nothing()
    s.pause_synack(False)
    p.poll()
    p.expect("SA", 0, 1)
    p.send("A", 1, 1)
    assert s.state == "ESTABLISHED"


def test_synack_is_repeated_then_the_listener_listens_on():
    p = Peer()
    s = p.reach("SYN-RECEIVED")
    for wait in (1000, 2000, 4000, 8000, 16000, 32000):
        p.pass_time(wait - 1)
        p.nothing()
        p.pass_time(1)
        p.expect("SA", 0, 1)
    p.pass_time(60000)
    p.drain()
    assert s.state == "LISTEN"  # one forged SYN must not end a service
    p.send("S", 5, remote_port=PEER_PORT + 1)
    p.expect("SA", 0, 6)


def test_user_timeout_in_syn_received():
    p = Peer()
    s = p.listen(80)
    s.timeout = 1500
    p.send("S", 0)
    p.expect("SA", 0, 1)
    p.pass_time(1000)
    p.expect("SA", 0, 1)
    p.pass_time(500)
    p.drain()
    assert s.state == "LISTEN"


def test_syn_from_where_no_route_leads():
    p = Peer(medium=ETHERNET)
    s = p.listen(80)
    packet = p.packet("S", 0, source="10.9.9.9")
    p.device.inject(b"\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x08\0" + packet)
    p.poll()
    assert s.state == "LISTEN"


# Whose segment is it?


def test_other_ports_and_addresses_are_strangers():
    p = Peer()
    s = p.established()
    p.send("A", 1, 1, b"x", port=81)
    p.expect("R", 1)
    p.send("A", 1, 1, b"x", remote_port=PEER_PORT + 1)
    p.expect("R", 1)
    p.send("A", 1, 1, b"x", source="192.168.69.77")
    p.expect("R", 1)
    p.send("R", 1, source="192.168.69.77")
    p.nothing()
    p.send("A", 1, 1, b"x", destination="192.168.69.9")
    p.nothing()
    assert s.state == "ESTABLISHED" and not s.can_recv()


# A socket's second life has nothing of its first


# not from .mpy files: its buffers take too much memory
def test_listen_again_starts_clean():
    p = Peer()
    s = p.established(
        rx=70000, tx=8192, mss=1460, scale=7, sack=True, tsval=99, timestamps=True, window=8192
    )
    s.send(bytes(5000))
    p.poll()
    p.drain()
    for _ in range(3):
        p.send("A", 3000, 1, b"hole", window=64, tsval=100)
    assert s.send_queue() and p.drain()
    p.send("PA", 1, 1, b"unread", window=64, tsval=100)
    p.drain()
    p.send("R", 7)
    assert s.state == "CLOSED" and s.recv_queue() == 6
    s.listen(80)
    assert s.recv_queue() == 0 and s.send_queue() == 0
    p.isn = 12345
    p.send("S", 0, window=2144)
    p.expect("SA", 0, 1, scale=None, sack_permitted=False, tsval=None, window=65535)
    p.send("A", 1, 1, window=2144)
    p.nothing()
    assert s.send(bytes(3000)) == 3000
    p.poll()
    assert [len(g.payload) for g in p.drain()] == [536] * 4  # neither scale nor MSS
    p.send("A", 1, 1, window=2144)
    p.send("A", 1, 1, window=2144)
    p.nothing()  # the duplicate ACKs of the first life do not count
    p.send("A", 2145, 1, b"hole", window=2144)
    p.expect("A", 2145, 1, blocks=(), tsval=None)
    p.send("A", 1, 2145, b"abc", window=2144)
    assert s.recv(10) == b"abc"


def test_what_the_first_peer_lacked_is_offered_to_the_second():
    p = Peer()
    s = p.established(timestamps=True)
    p.send("R", 1)
    s.listen(80)
    p.send("S", 0, tsval=7, scale=3, sack=True, mss=1460)
    p.expect("SA", 0, 1, tsecr=7, scale=0, sack_permitted=True)
    p.send("A", 1, 1, tsval=8)
    s.send(bytes(3000))
    p.poll()
    assert [len(g.payload) for g in p.drain()] == [1448, 1448]


def test_a_congested_first_life_does_not_slow_the_second():
    p, s = short_segments(congestion="reno", tx=8192)
    s.send(bytes(8000))
    p.poll()
    p.pass_time(1000)  # all of it lost: one segment may go
    p.pass_time(2000)
    p.drain()
    p.send("R", 1)
    s.listen(80)
    p.send("S", 0, mss=100)
    p.expect("SA", 0, 1)
    p.send("A", 1, 1)
    s.send(bytes(8000))
    p.poll()
    assert len(p.drain()) == 10  # RFC 6928
