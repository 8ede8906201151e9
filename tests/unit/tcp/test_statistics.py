"""What a connection can be asked: octets, times, windows, memory; and limits of a set."""

from tcp_support import Peer

from smolmp.socket import tcp
from smolmp.socket.set import SocketSet
from smolmp.socket.tcp import kernels, statistics, steps
from smolmp.socket.tcp.report import octets as counted

_SND_UNA, _RCV_NXT = 15, 16


def octets(s):
    stats = s.stats()
    return stats["sent"], stats["received"]


def test_octets_are_text():
    """SYN and FIN are none; what is not acknowledged was not sent; what came is received."""
    p = Peer()
    s = p.listen(80)
    p.send("S", 0)
    p.expect("SA", 0, 1)
    p.send("A", 1, 1)
    assert octets(s) == (0, 0)
    s.send(b"abcdef")
    p.poll()
    p.drain()
    assert octets(s) == (0, 0) and s.stats()["flight"] == 6
    p.send("A", 1, 5, b"xyz")
    assert octets(s) == (4, 3) and s.stats()["flight"] == 2
    p.send("A", 5, 7, b"hole")
    assert octets(s) == (6, 3)
    p.send("A", 4, 7, b"-")
    assert octets(s) == (6, 8)
    s.close()
    p.poll()
    p.drain()
    p.send("A", 9, 8)
    assert octets(s) == (6, 8) and s.stats()["state"] == "FIN-WAIT-2"
    p.send("FA", 9, 8, b"!")
    assert octets(s) == (6, 9)
    p.pass_time(10000)
    assert octets(s) == (6, 9) and s.stats()["state"] == "CLOSED"


def test_octets_of_an_active_open():
    p = Peer()
    s = p.connect()
    p.expect("S", 0)
    p.send("SA", 0, 1)
    p.drain()
    p.send("FA", 1, 1, b"abc")
    s.send(b"xy")
    s.close()
    p.poll()
    p.drain()
    p.send("A", 5, 4)
    assert s.state == "CLOSED" and octets(s) == (2, 3)


def test_octets_after_an_abort():
    p = Peer()
    s = p.established()
    s.send(b"abcdef")
    p.poll()
    p.send("A", 1, 4)
    s.abort()
    assert octets(s) == (3, 0)


def test_a_new_connection_counts_anew():
    p = Peer()
    s = p.established()
    p.send("A", 1, 1, b"abc")
    p.send("R", 4)
    s.listen(80)
    p.send("S", 7)
    p.drain()
    p.send("A", 8, 1)
    assert octets(s) == (0, 0)


def test_laps():
    """2**32 octets are one lap of the sequence numbers."""
    for start in (0, 5, (1 << 31) - 3, -(1 << 31), -7):
        s = tcp.Socket()
        w = s.w
        w[_SND_UNA] = start
        w[_RCV_NXT] = -start - 1
        statistics.begin(w)
        sent = received = 0
        for i in range(60):
            n = (1 << 29) + 12345 * i
            steps.settle(w, n, 0)
            sent += n
            if i % 3:
                kernels.take(w, n)
                w[25] = w[22] = w[50] = 0
                received += n
            assert (counted(w, 0), counted(w, 1)) == (sent, received)


def test_laps_of_the_express_lane():
    """It moves RCV.NXT by itself; once a second somebody looks."""
    p = Peer()
    s = p.established()
    w = s.w
    received = 0
    seq = 1
    for _ in range(30):
        p.send("A", seq, 1, b"arm")
        p.send("A", seq + 3, 1, b"lane")
        seq += 7
        received += 7
        # As if the lane had taken 1.5 GB more.
        jump = 3 << 29
        kernels.advance(w, _RCV_NXT, jump)
        seq += jump
        received += jump
        s.recv(100)
        p.pass_time(1001)
        p.drain()
    assert s.stats()["received"] == received


def test_what_it_believes():
    p = Peer()
    s = p.established(window=5000, mss=1000, tx=20000)
    stats = s.stats()
    assert stats["mss"] == 1000 and stats["send_window"] == 5000
    assert stats["receive_window"] == 4096 and stats["cwnd"] == 10000
    assert stats["rto"] == s.w[44] and stats["retransmissions"] == 0
    s.send(bytes(4000))
    p.poll()
    p.drain()
    p.pass_time(80)
    p.send("A", 1, 1001)
    p.pass_time(3000)
    stats = s.stats()
    assert 0 < stats["rtt"] <= 80 and stats["rttvar"] > 0
    assert stats["rto"] > stats["rtt"] and stats["retransmissions"] > 0
    assert stats["ssthresh"] < 10000 and stats["cwnd"] < 10000
    s.congestion = "none"
    assert s.stats()["cwnd"] is None
    assert set(s.stats()) == set(tcp.Socket().stats())


def test_memory_of_a_socket():
    s = tcp.Socket(rx=5000, tx=3000)
    assert 8000 + 4 * 108 < s.memory() < 9000


def test_a_set_has_a_limit():
    sockets = SocketSet(capacity=2, limit=3)
    for _ in range(3):
        sockets.add(tcp.Socket(64, 64))
    try:
        sockets.add(tcp.Socket(64, 64))
        raise AssertionError("four of three")
    except OverflowError:
        pass
    assert len(sockets) == 3
    sockets.limit = 4
    sockets.add(tcp.Socket(64, 64))
    assert len(sockets) == 4
