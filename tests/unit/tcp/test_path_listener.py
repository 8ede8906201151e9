"""A Listener's connections: ECN through half-open records and cookies, known paths, ICMP."""

from listener_support import listening, shake
from tcp_support import OURS, PEER, PEER_PORT, Peer

ECT_0 = 2
CE = 3


def on(s):
    return s.w[88] & 256 != 0


# not from .mpy files: two peers and their buffers at a time
def test_ecn_is_agreed_on():
    for mode, flags, tos, answer in (
        ("accept", "SEC", 0, "SAE"),
        ("request", "SEC", 0, "SAE"),
        ("off", "SEC", 0, "SA"),
        ("accept", "S", 0, "SA"),
        ("accept", "SE", 0, "SA"),
        ("accept", "SC", 0, "SA"),
        ("accept", "SEC", CE, "SA"),
    ):
        p, listener = listening()
        listener.ecn = mode
        p.send(flags, 0, tos=tos)
        p.expect(answer, 0, 1, tos=0)
        p.pass_time(1000)
        p.expect(answer, 0, 1, tos=0)  # again the same
        p.send("A", 1, 1)
        s = listener.accept()
        assert on(s) == (answer == "SAE"), (mode, flags, tos)
        s.send(b"abc")
        p.poll()
        p.expect("PA", 1, 1, b"abc", tos=ECT_0 if on(s) else 0)
        p = listener = s = None


def test_client_gives_ecn_up():
    p, listener = listening()
    p.send("SEC", 0)
    p.expect("SAE", 0, 1)
    p.send("SEC", 0)
    p.expect("SAE", 0, 1)
    p.send("S", 0)
    p.expect("SA", 0, 1)
    p.pass_time(2000)
    p.expect("SA", 0, 1)
    p.send("A", 1, 1)
    assert not on(listener.accept())


def test_text_that_ends_the_handshake_is_marked():
    p, listener = listening()
    listener.ack_delay = 0
    p.send("SEC", 0)
    p.expect("SAE", 0, 1)
    p.send("A", 1, 1, b"abc", tos=CE)
    p.expect("AE", 1, 4)
    assert on(listener.accept())


# not from .mpy files: two listeners, four sockets with buffers of 4 KB
def test_cookies_keep_it_in_the_timestamp():
    for flags, answer, agreed in (("SEC", "SAE", True), ("S", "SA", False)):
        p, listener = listening(half_open=0, timestamps=True)
        p.send(flags, 0, tsval=1000, sack=True, mss=1460)
        syn = p.expect(answer, 0, 1)
        assert syn.tsval & 32 == (32 if agreed else 0)
        p.send("A", 1, 1, tsval=1001, tsecr=syn.tsval)
        s = listener.accept()
        assert on(s) == agreed
        s.send(b"abc")
        p.poll()
        assert p.take().tos == (ECT_0 if agreed else 0)
    # Nowhere to keep it: not offered.
    p, listener = listening(half_open=0)
    p.send("SEC", 0)
    p.expect("SA", 0, 1)
    p.send("A", 1, 1)
    assert not on(listener.accept())


def test_each_connection_negotiates_anew():
    p, listener = listening(1)
    for round, (flags, answer) in enumerate((("SEC", "SAE"), ("S", "SA"), ("SEC", "SAE"))):
        port = PEER_PORT + round
        p.send(flags, 0, remote_port=port)
        p.expect(answer, 0, 1, destination_port=port)
        p.send("A", 1, 1, remote_port=port)
        s = listener.accept()
        assert on(s) == (flags == "SEC")
        p.send("R", 1, remote_port=port)
        listener.release(s)
        p.poll()
        p.drain()


def test_known_paths_and_errors():
    p, listener = listening(tx=16384)
    shake(p, mss=1460, window=60000)
    s = listener.accept()
    s.nagle = False
    s.send(bytes(1460))
    p.poll()
    first = p.take()
    assert len(first.payload) == 1460
    p.error(3, 4, first.packet, mtu=1280)
    assert [len(g.payload) for g in p.drain()] == [1240, 220]
    shake(p, PEER_PORT + 1, mss=1460, window=60000)
    other = listener.accept()
    assert other.mss == 1240
    p.iface.paths.clear()
    p.pass_time(0)
    shake(p, PEER_PORT + 2, mss=1460, window=60000)
    assert listener.accept().mss == 1460


def test_half_open_connections_hear_no_errors():
    p, listener = listening()
    p.send("S", 0)
    syn = p.expect("SA", 0, 1)
    for kind, code in ((3, 1), (3, 3), (3, 4), (11, 0), (12, 0)):
        p.error(kind, code, syn.packet, mtu=600)
    assert listener.half_open() == 1 and p.iface.path_mtu(PEER) == 1500
    assert p.iface.stats()["tcp_icmp_rejected"] == 5
    p.send("A", 1, 1)
    assert listener.accept().local == (OURS, 80)


def test_options_are_inherited():
    p = Peer()
    p, listener = listening(2, peer=p)
    listener.ecn = "off"
    listener.abe = True
    shake(p)
    s = listener.accept()
    assert s.ecn == "off" and s.abe
