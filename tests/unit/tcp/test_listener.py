"""tcp.Listener: the handshake and the half-open queue (RFC 9293 3.10.7.2, 3.10.7.4)."""

from listener_support import WRAP, listening, shake, stat
from tcp_support import OURS, PEER, PEER_PORT, Peer

# The handshake.


def test_accept_gives_the_connection():
    p, listener = listening(rx=1000)
    assert listener.accept() is None
    p.send("S", 0, mss=1460)
    p.expect("SA", 0, 1, window=1000, mss=1460)
    assert p.changed == [] and listener.half_open() == 1 and listener.accept() is None
    p.send("A", 1, 1)
    p.nothing()
    assert p.changed == [listener] and listener.half_open() == 0 and listener.waiting() == 1
    s = listener.accept()
    assert listener.waiting() == 0 and listener.accept() is None and listener.accepted() == 1
    assert s.state == "ESTABLISHED" and s.pool is listener
    assert s.local == (OURS, 80) and s.remote == (PEER, PEER_PORT)
    assert stat(p, "accepted") == 1
    s.send(b"hello")
    p.poll()
    p.expect("PA", 1, 1, b"hello")
    p.send("A", 1, 6)
    assert p.changed == [s]


def test_text_with_the_ack_is_not_lost():
    p, listener = listening()
    shake(p, payload=b"hello")
    assert p.changed == [listener]
    p.pass_time(10)
    p.expect("A", 1, 6)
    s = listener.accept()
    assert s.recv() == b"hello"


def test_fin_with_the_ack():
    p, listener = listening()
    shake(p, payload=b"bye", flags="FA")
    p.expect("A", 1, 5)
    s = listener.accept()
    assert s.state == "CLOSE-WAIT" and s.recv() == b"bye" and s.recv() == b""
    s.close()
    p.poll()
    p.expect("FA", 1, 5)
    p.send("A", 5, 2)
    assert s.state == "CLOSED"


def test_text_without_the_bare_ack():
    """The ACK that ends the handshake was lost; the first text does it."""
    p, listener = listening()
    p.send("S", 0)
    p.expect("SA", 0, 1)
    p.send("A", 5, 1, b"second")  # in the window, out of order: it ends the handshake, too
    p.expect("A", 1, 1)
    p.send("A", 1, 1, b"one!")
    p.expect("A", 1, 11)
    assert listener.accept().recv() == b"one!second"


# not on a board: buffers of 300,000 octets are part of it
def test_syn_ack_is_the_one_of_a_socket():
    """Options, window and numbers are those that a socket of its own would have sent."""
    for options in (
        {},
        {"mss": 1460},
        {"mss": 1400, "scale": 7, "sack": True},
        {"mss": 1460, "scale": 2, "sack": True, "tsval": 0xFFFFFFF0},
        {"tsval": 5},
    ):
        seen = []
        for rx in (4096, 300000):
            for kind in ("socket", "listener"):
                p = Peer(iss=None)
                if kind == "socket":
                    p.listen(80, rx, timestamps=True)
                else:
                    listening(peer=p, rx=rx, timestamps=True)
                p.poll()
                p.send("S", 0, **options)
                s = p.expect("SA", 0, 1)
                seen.append(
                    (s.options, s.mss, s.scale, s.sack_permitted, s.tsval, s.tsecr, s.window)
                    + (s.hops, p.iss)
                )
        assert seen[0] == seen[1] and seen[2] == seen[3], seen


# not on a board: a window of 300,000 octets is part of it
def test_negotiated_options_reach_the_connection():
    p, listener = listening(rx=300000, timestamps=True)
    p.send("S", 0, mss=1000, scale=3, sack=True, tsval=7)
    first = p.expect("SA", 0, 1, scale=3)
    p.pass_time(40)
    p.send("A", 1, 1, window=1000, tsval=8, tsecr=first.tsval)
    s = listener.accept()
    w = s.w
    assert w[29] == 1000 - 12 and w[30] == 3 | 3 << 4 and w[19] == 8000
    assert w[32] & (2 | 4 | 512) == (2 | 4 | 512)
    assert s.round_trip() == 40
    s.nagle = True
    s.send(bytes(2000))
    p.poll()
    out = p.drain()
    assert [len(g.payload) for g in out] == [988, 988]
    assert out[0].tsval == first.tsval + 40 and out[0].tsecr == 8
    assert out[0].window == 300000 >> 3 or out[0].window == 65535 >> 3


def test_a_lost_syn_ack_goes_again_and_is_given_up():
    p, listener = listening()
    p.send("S", 0)
    p.expect("SA", 0, 1)
    start = p.now
    for seconds in (1, 2, 4, 8):
        p.pass_time(seconds * 1000 - 1)
        p.nothing()
        p.pass_time(1)
        p.expect("SA", 0, 1)
    assert stat(p, "retransmitted") == 4 and listener.half_open() == 1
    p.pass_time(16000)
    p.nothing()
    assert p.now - start == 31000
    assert listener.half_open() == 0 and stat(p, "half_open_expired") == 1
    assert p.iface.poll_delay(p.now & WRAP, p.sockets) is None
    p.iss = 0
    p.send("A", 1, 77)  # nobody remembers
    p.expect("R", 77)


def test_retries_are_the_programs():
    p, listener = listening()
    listener.retries = 0
    p.send("S", 0)
    p.expect("SA", 0, 1)
    p.pass_time(1000)
    p.nothing()
    assert listener.half_open() == 0


def test_after_a_lost_syn_ack_the_connection_is_careful():
    """RFC 6298 5.7: the RTO is 3 s; RFC 5681 3.1: one segment; Karn: no sample."""
    p, listener = listening()
    p.send("S", 0)
    p.expect("SA", 0, 1)
    p.pass_time(1000)
    p.expect("SA", 0, 1)
    p.send("A", 1, 1)
    s = listener.accept()
    assert s.w[44] == 3000 and s.w[60] == s.w[29] and s.round_trip() == 0


def test_syn_again_is_answered_again():
    p, listener = listening()
    p.send("S", 0)
    p.expect("SA", 0, 1)
    iss = p.iss
    p.pass_time(500)
    p.send("S", 0)
    p.expect("SA", 0, 1)
    assert p.iss == iss and listener.half_open() == 1
    p.send("A", 1, 1)
    assert listener.accept().round_trip() == 0  # which of the two was it for?


def test_numbers_follow_the_clock():
    """RFC 6528: the same ends get a number that is 250 further on a ms."""
    p, listener = listening()
    p.send("S", 0)
    p.expect("SA", 0, 1)
    first = p.iss
    p.send("R", 1)
    p.pass_time(700)  # across the wrap of the interface's time
    p.send("S", 0)
    p.expect("SA", 0, 1)
    assert (p.iss - first) & 0xFFFFFFFF == 700 * 250
    p.send("S", 0, remote_port=PEER_PORT + 1)
    p.take()
    assert abs(p.iss - first) > 1000000


def test_many_at_once_each_to_its_own():
    p, listener = listening(8, half_open=8)
    numbers = {}
    for i in range(8):
        p.send("S", 0, remote_port=1000 + i)
        p.expect("SA", 0, 1, destination_port=1000 + i)
        numbers[1000 + i] = p.iss
    assert listener.half_open() == 8
    for port in (1003, 1007, 1000, 1001, 1006, 1002, 1005, 1004):
        p.iss = numbers[port]
        p.send("A", 1, 1, b"%d" % port, remote_port=port)
    order = []
    while True:
        s = listener.accept()
        if s is None:
            break
        assert s.recv() == b"%d" % s.remote[1]
        order.append(s.remote[1])
    assert order == [1003, 1007, 1000, 1001, 1006, 1002, 1005, 1004]  # first come, first served


# What else may come to a listener, and to a half-open connection.


def test_strangers():
    p, listener = listening()
    p.iss = 0
    p.send("R", 0)
    p.nothing()
    p.send("P", 0, payload=b"neither SYN, RST nor ACK")
    p.nothing()
    p.send("A", 0, 7)
    p.expect("R", 7)
    p.send("SA", 0, 9)
    p.expect("R", 9)
    p.send("FA", 0, 11)
    p.expect("R", 11)
    p.send("S", 0, destination="255.255.255.255")
    p.nothing()
    assert listener.half_open() == 0


def test_rst_of_the_next_octet_ends_it():
    p, listener = listening()
    p.send("S", 0)
    p.expect("SA", 0, 1)
    p.send("R", 1)
    p.nothing()
    assert listener.half_open() == 0 and stat(p, "half_open_reset") == 1
    assert p.iface.poll_delay(p.now & WRAP, p.sockets) is None


def test_rst_elsewhere_does_not():
    """RFC 5961 3.2: within the window a challenge ACK, outside nothing."""
    p, listener = listening(rx=1000)
    p.send("S", 0)
    p.expect("SA", 0, 1)
    p.send("R", 2)
    p.expect("A", 1, 1)
    p.send("R", 3)
    p.nothing()  # one a second
    p.pass_time(1000)
    p.expect("SA", 0, 1)
    p.send("R", 1001)
    p.expect("A", 1, 1)
    p.send("R", 1002)
    p.send("R", 0)
    p.nothing()
    assert listener.half_open() == 1


def test_syn_in_the_window_ends_it():
    p, listener = listening()
    p.send("S", 0)
    p.expect("SA", 0, 1)
    p.send("S", 5)
    p.nothing()
    assert listener.half_open() == 0
    p.send("S", 5)  # once more: a new connection
    p.expect("SA", 0, 6)


def test_syn_of_an_other_connection_finds_out():
    """A client that began anew learns of the old one, resets it, and gets through."""
    p, listener = listening()
    p.send("S", 0)
    p.expect("SA", 0, 1)
    p.send("S", -100000)
    p.expect("A", 1, 1)
    p.send("R", 1)
    p.send("S", -100000)
    p.expect("SA", 0, -99999)
    assert listener.half_open() == 1


def test_ack_of_anything_but_our_syn_is_reset():
    p, listener = listening()
    p.send("S", 0)
    p.expect("SA", 0, 1)
    for ack in (0, 2, 5000, -1):
        p.send("A", 1, ack, b"text")
        p.expect("R", ack)
    assert listener.half_open() == 1 and listener.waiting() == 0
    p.send("A", 1, 1)
    assert listener.waiting() == 1


def test_segments_outside_the_window():
    p, listener = listening(rx=1000)
    p.send("S", 0)
    p.expect("SA", 0, 1)
    p.send("A", 2000, 1, b"far")
    p.expect("A", 1, 1, window=1000)
    p.send("FA", 3000, 1)
    p.nothing()
    p.send("P", 1, payload=b"no ACK")
    p.nothing()
    assert listener.half_open() == 1 and listener.waiting() == 0


def test_old_timestamp_is_not_taken():
    """RFC 7323 5.3, in the half-open state."""
    p, listener = listening(timestamps=True)
    p.send("S", 0, tsval=100)
    ours = p.expect("SA", 0, 1).tsval
    p.send("A", 1, 1, tsval=99, tsecr=ours)
    p.expect("A", 1, 1, tsecr=100)
    assert listener.waiting() == 0
    p.send("A", 1, 1, tsval=100, tsecr=ours)
    assert listener.waiting() == 1
