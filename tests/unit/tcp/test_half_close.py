"""shutdown(), FIN-WAIT-2's timeout, lingering (RFC 1122 4.2.2.13, RFC 9293 3.10.4)."""

from tcp_support import MSS, PEER_PORT, Peer, raises

from smolmp.socket import tcp
from smolmp.socket.tcp import SHUT_RD, SHUT_RDWR, SHUT_WR

ECONNABORTED = 103
EINVAL = 22
ENOTCONN = 107
EPIPE = 32


# Half-close: our half ends, the peer's goes on


def test_we_end_and_read_on():
    for close in (lambda s: s.close(), lambda s: s.shutdown(SHUT_WR)):
        p = Peer()
        s = p.established()
        s.send(b"request")
        close(s)
        raises(EPIPE, s.send, b"more")
        p.poll()
        p.expect("FPA", 1, 1, b"request")
        p.send("A", 1, 9)
        assert s.state == "FIN-WAIT-2" and s.may_recv()
        for i in range(20):  # for as long as the peer likes
            p.pass_time(100000)
            p.send("A", 1 + 6 * i, 9, b"answer")
            p.pass_time(10)
            p.expect("A", 9, 7 + 6 * i)
            assert s.recv(100) == b"answer" and s.recv(100) is None
        p.send("FA", 121, 9)
        p.expect("A", 9, 122)
        assert s.recv(1) == b"" and s.state == "TIME-WAIT"


def test_the_peer_ends_and_we_send_on():
    p = Peer()
    s = p.reach("CLOSE-WAIT")
    assert s.recv(1) == b""
    for i in range(5):
        p.pass_time(100000)
        s.send(b"abc")
        p.poll()
        p.expect("PA", 1 + 3 * i, 2, b"abc")
        p.send("A", 2, 4 + 3 * i)
    s.shutdown(SHUT_WR)
    p.poll()
    p.expect("FA", 16, 2)
    p.send("A", 2, 17)
    assert s.state == "CLOSED" and s.error == 0


def test_shutdown_validation():
    for state in ("CLOSED", "LISTEN", "SYN-SENT"):
        s = Peer().reach(state)
        raises(ENOTCONN, s.shutdown, SHUT_WR)
        assert s.state == state
    s = Peer().established()
    raises(EINVAL, s.shutdown, 3)
    raises(EINVAL, s.shutdown, -1)


def test_shutdown_before_the_handshake_is_over():
    p = Peer()
    s = p.reach("SYN-RECEIVED")
    s.shutdown(SHUT_RDWR)
    p.send("A", 1, 1)
    p.expect("FA", 1, 1)
    p.send("A", 1, 2)
    p.send("A", 1, 2, b"text")
    p.expect("RA", 2, 1)


# The reading half


def test_nobody_reads_but_we_send():
    """What comes is acknowledged and discarded, however much it is."""
    p = Peer()
    s = p.established(rx=1000, mss=500)
    p.send("A", 1, 1, b"unread")
    s.shutdown(SHUT_RD)
    assert not s.may_recv() and not s.can_recv() and s.recv(10) == b""
    p.poll()
    p.drain()
    at = 7
    for _ in range(20):
        p.send("A", at, 1, bytes(500))
        p.send("A", at + 500, 1, bytes(500))
        at += 1000
        g = p.drain()[-1]
        assert g.ack == at and g.window == 1000
        assert s.recv_queue() == 0
    s.send(b"abc")
    p.poll()
    p.expect("PA", 1, at, b"abc")
    p.send("FA", at, 4)
    p.expect("A", 4, at + 1)
    assert s.state == "CLOSE-WAIT"
    s.close()
    p.poll()
    p.expect("FA", 4, at + 1)


def test_nobody_reads_what_arrives_out_of_order():
    p = Peer()
    s = p.established(rx=1000, mss=500)
    s.shutdown(SHUT_RD)
    p.poll()
    p.send("A", 501, 1, bytes(500))
    p.expect("A", 1, 1, window=1000)
    p.send("A", 1, 1, bytes(500))
    assert p.drain()[-1].ack == 1001
    p.pass_time(10)
    p.drain()
    p.send("A", 1001, 1, b"x")
    p.pass_time(10)
    p.expect("A", 1, 1002, window=999)  # an octet more would be a silly update


# not from .mpy files: two peers and their buffers at a time
def test_text_for_nobody_is_answered_by_an_rst():
    """RFC 1122 4.2.2.13: both halves are closed, and data is lost: the peer is told."""
    for state in ("FIN-WAIT-1", "FIN-WAIT-2"):
        for flags in ("A", "PFA"):
            p = Peer()
            s = p.established()
            s.shutdown(SHUT_RDWR)
            p.poll()
            p.expect("FA", 1, 1)
            if state == "FIN-WAIT-2":
                p.send("A", 1, 2)
            assert s.state == state
            p.send(flags, 1, 2 if state == "FIN-WAIT-2" else 1, b"abc")
            p.expect("RA", 2, 1)
            assert s.state == "CLOSED" and s.error == ECONNABORTED and s in p.changed


def test_old_text_is_no_loss():
    p = Peer()
    s = p.established()
    p.send("A", 1, 1, b"abc")
    s.recv(3)
    s.shutdown(SHUT_RDWR)
    p.poll()
    p.drain()
    p.send("A", 4, 2)
    p.send("A", 1, 2, b"abc")
    p.expect("A", 2, 4)
    assert s.state == "FIN-WAIT-2"
    p.send("FA", 4, 2)
    p.expect("A", 2, 5)
    assert s.state == "TIME-WAIT"


def test_unread_text_and_both_halves_closed():
    """RFC 1122 4.2.2.13: a CLOSE with received data pending shall send an RST."""
    for state in ("ESTABLISHED", "CLOSE-WAIT"):
        p = Peer()
        s = p.established()
        p.send("A" if state == "ESTABLISHED" else "FA", 1, 1, b"abc")
        p.pass_time(10)
        p.drain()
        s.send(b"lost, too")
        s.shutdown(SHUT_RDWR)
        p.poll()
        p.expect("RA", 1, 4 if state == "ESTABLISHED" else 5)
        assert s.state == "CLOSED"
    p = Peer()
    s = p.reach("FIN-WAIT-2")
    p.send("A", 1, 2, b"abc")
    p.pass_time(10)
    p.drain()
    s.shutdown(SHUT_RD)
    p.poll()
    p.expect("RA", 2, 4)


def test_both_halves_in_two_steps():
    p = Peer()
    s = p.established()
    s.shutdown(SHUT_RD)
    p.send("A", 1, 1, b"abc")
    p.pass_time(10)
    p.drain()
    s.shutdown(SHUT_WR)
    p.poll()
    p.expect("FA", 1, 4)
    p.send("A", 4, 2, b"d")
    p.expect("RA", 2, 4)


# FIN-WAIT-2


def test_fin_wait_2_ends_when_nobody_reads():
    p = Peer()
    s = p.established()
    assert s.fin_wait_2 == 60000
    s.shutdown(SHUT_RDWR)
    p.poll()
    p.drain()
    p.pass_time(100)
    p.send("A", 1, 2)
    assert s.state == "FIN-WAIT-2"
    p.pass_time(59999)
    assert s.state == "FIN-WAIT-2"
    p.pass_time(1)
    p.nothing()
    assert s.state == "CLOSED" and s.error == 0 and s in p.changed
    p.send("FA", 1, 2)  # to a stranger
    p.expect("R", 2)


def test_fin_wait_2_of_one_who_reads_lasts():
    p = Peer()
    s = p.reach("FIN-WAIT-2")
    p.pass_time(10000000)
    p.nothing()
    assert s.state == "FIN-WAIT-2" and p.iface.poll_delay(p.now, p.sockets) is None
    s.shutdown(SHUT_RD)  # now the time begins
    p.poll()
    p.pass_time(59999)
    assert s.state == "FIN-WAIT-2"
    p.pass_time(1)
    assert s.state == "CLOSED"


def test_fin_wait_2_can_be_set():
    for ms in (500, 0):
        p = Peer()
        s = p.established()
        s.fin_wait_2 = ms
        s.shutdown(SHUT_RDWR)
        p.poll()
        p.send("A", 1, 2)
        p.pass_time(499)
        assert s.state == "FIN-WAIT-2"
        p.pass_time(1000000)
        assert s.state == ("FIN-WAIT-2" if ms == 0 else "CLOSED")


def test_fin_wait_2_beside_keep_alive():
    """Answered probes do not prolong it."""
    p = Peer()
    s = p.established()
    s.keep_alive = 7000
    s.shutdown(SHUT_RDWR)
    p.poll()
    p.send("A", 1, 2)
    p.drain()
    for _ in range(59):
        p.pass_time(1000)
        for _ in p.drain():
            p.send("A", 1, 2)
    assert s.state == "FIN-WAIT-2"
    p.pass_time(1000)
    assert s.state == "CLOSED"


def test_fin_in_time():
    p = Peer()
    s = p.established()
    s.time_wait = 100000
    s.shutdown(SHUT_RDWR)
    p.poll()
    p.send("A", 1, 2)
    p.drain()
    p.pass_time(30000)
    p.send("FA", 1, 2)
    p.expect("A", 2, 2)
    p.pass_time(99999)
    assert s.state == "TIME-WAIT"
    p.pass_time(1)
    assert s.state == "CLOSED"


# Lingering


def test_no_linger_by_default():
    s = tcp.Socket()
    assert s.linger is None


# not from .mpy files: two peers and their buffers at a time
def test_linger_0_resets_at_once():
    for state in ("ESTABLISHED", "CLOSE-WAIT"):
        p = Peer()
        s = p.reach(state)
        s.send(b"abc")
        s.linger = 0
        s.close()
        p.poll()
        p.expect("RA", 1, 2 if state == "CLOSE-WAIT" else 1)
        assert s.state == "CLOSED" and s.error == 0
    for state in ("LISTEN", "SYN-SENT"):
        p = Peer()
        s = p.reach(state)
        s.linger = 0
        s.close()
        p.poll()
        p.nothing()
        assert s.state == "CLOSED"


def test_linger_resets_when_the_time_is_over():
    p = Peer()
    s = p.established()
    s.linger = 5000
    s.send(b"abc")
    s.close()
    p.poll()
    p.expect("FPA", 1, 1, b"abc")
    p.pass_time(4999)
    p.drain()
    assert s.state == "FIN-WAIT-1"
    p.pass_time(1)
    p.expect("RA", 5, 1)
    assert s.state == "CLOSED" and s.error == ECONNABORTED


def test_linger_is_over_when_all_is_acknowledged():
    p = Peer()
    s = p.established()
    s.linger = 5000
    s.send(b"abc")
    s.close()
    p.poll()
    p.drain()
    p.send("A", 1, 4)  # not the FIN
    p.pass_time(1000)
    p.drain()
    p.send("A", 1, 5)
    p.pass_time(100000)
    p.nothing()
    assert s.state == "FIN-WAIT-2"  # and reads on: close() is a half-close


def test_linger_of_the_one_who_closes_last():
    p = Peer()
    s = p.reach("CLOSE-WAIT", mss=MSS)
    s.linger = 3000
    s.send(bytes(3 * MSS))
    s.close()
    p.poll()
    p.drain()
    p.send("A", 2, 1 + MSS, window=0)
    p.pass_time(2999)
    p.drain()
    assert s.state == "LAST-ACK"
    p.pass_time(1)
    p.expect("RA", 1 + 3 * MSS + 1, 2)
    assert s.state == "CLOSED"


def test_shutdown_does_not_linger():
    for linger in (0, 1000):
        p = Peer()
        s = p.established()
        s.linger = linger
        s.shutdown(SHUT_WR)
        p.poll()
        p.expect("FA", 1, 1)
        p.pass_time(1000)
        assert s.state == "FIN-WAIT-1"


def test_a_new_life_lingers_no_more():
    p = Peer()
    s = p.established()
    s.linger = 3000
    s.close()
    p.poll()
    p.send("R", 1)
    p.drain()
    s.listen(80)
    p.send("S", 0, remote_port=PEER_PORT + 1)
    p.expect("SA", 0, 1)
    p.send("A", 1, 1, remote_port=PEER_PORT + 1)
    s.shutdown(SHUT_WR)
    p.poll()
    p.drain()
    p.pass_time(4000)
    assert s.state == "FIN-WAIT-1"
