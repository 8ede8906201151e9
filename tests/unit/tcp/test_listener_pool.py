"""tcp.Listener: backlog, pool and poll; accept(), release(), close(); devices and memory."""

from listener_support import WRAP, listening, shake, stat
from support import locked
from tcp_support import OURS, PEER, Peer, raises

from smolmp.phy.device import ETHERNET
from smolmp.socket import tcp

EADDRINUSE = 98
EINVAL = 22


# Limits.


def test_full_backlog_ignores_the_ack():
    """As Linux does: the SYN+ACK goes again, and when there is room, at once."""
    p, listener = listening(1, pool=3)
    shake(p, 1000)
    first = p.iss
    shake(p, 1001, b"hello")
    p.nothing()
    assert listener.waiting() == 1 and listener.half_open() == 1
    assert stat(p, "backlog_full") == 1
    p.pass_time(1000)
    p.expect("SA", 0, 1, destination_port=1001)
    p.send("A", 1, 1, b"hello", remote_port=1001)
    p.nothing()
    assert listener.accept().remote[1] == 1000
    p.poll()
    p.expect("SA", 0, 1, destination_port=1001)
    p.send("A", 1, 1, b"hello", remote_port=1001)
    s = listener.accept()
    assert s.recv() == b"hello" and s.remote[1] == 1001 and first != p.iss


def test_full_backlog_resets_if_wanted():
    p, listener = listening(1, overflow="reset")
    shake(p, 1000)
    shake(p, 1001)
    p.expect("R", 1, destination_port=1001)
    assert listener.half_open() == 0 and listener.waiting() == 1


def test_pool_used_up_and_given_back():
    p, listener = listening(4, pool=2)
    shake(p, 1001)
    shake(p, 1000)
    b, a = listener.accept(), listener.accept()
    assert listener.free() == 0
    first = p.iss
    shake(p, 1002, b"third")
    p.nothing()
    assert listener.waiting() == 0 and listener.half_open() == 1
    a.abort()
    p.poll()
    p.iss, third = first, p.iss
    p.expect("RA", 1, 1, destination_port=1000)
    p.iss = third
    listener.release(a)
    p.poll()
    p.expect("SA", 0, 1, destination_port=1002)
    p.send("A", 1, 1, b"third", remote_port=1002)
    c = listener.accept()
    assert c is a and c.recv() == b"third" and c.remote == (PEER, 1002)
    assert b.state == "ESTABLISHED"


# not from .mpy files: its buffers take too much memory
def test_pool_of_the_programs_own_sockets():
    """What a SYN+ACK promises fits each of them."""
    p = Peer()
    pool = [tcp.Socket(500, 64), tcp.Socket(100000, 64, timestamps=True)]
    listener = p.sockets.add(tcp.Listener(2, pool))
    listener.listen(80)
    p.send("S", 0, scale=0, tsval=1)
    p.expect("SA", 0, 1, window=500, scale=1, tsval=None)
    p.send("A", 1, 1)
    assert listener.accept() in pool
    try:
        tcp.Listener(2, pool)
        raise AssertionError("a socket in two pools")
    except ValueError:
        pass


def test_arguments():
    for options in (
        {"backlog": 0},
        {"backlog": -1},
        {"half_open": -1},
        {"overflow": "perhaps"},
        {"pool": []},
    ):
        try:
            tcp.Listener(**options)
            raise AssertionError("taken: %r" % options)
        except ValueError:
            pass


def test_every_connection_begins_with_the_listeners_attributes():
    p, listener = listening(1)
    listener.nagle = False
    listener.timeout = 5000
    listener.hop_limit = 9
    shake(p)
    s = listener.accept()
    assert not s.nagle and s.timeout == 5000 and s.hop_limit == 9
    s.nagle = True
    s.timeout = 1
    s.congestion = "none"
    s.abort()
    p.poll()
    p.expect("RA", 1, 1, hops=9)
    listener.release(s)
    p.send("S", 0)
    p.expect("SA", 0, 1, hops=9)
    p.send("A", 1, 1)
    assert listener.accept() is s
    assert not s.nagle and s.timeout == 5000 and s.congestion == "cubic"


# The poll's report.


def test_only_the_programs_connections_are_reported():
    p, listener = listening()
    shake(p)
    assert p.changed == [listener]
    p.send("A", 1, 1, b"early")
    assert p.changed == []
    s = listener.accept()
    assert p.iface.poll_delay(p.now & WRAP, p.sockets) == 0  # there is something to tell
    p.poll()
    assert p.changed == [s] and s.recv() == b"early"
    p.poll()
    assert p.changed == []
    p.drain()
    p.send("A", 6, 1, b"late")
    assert p.changed == [s]
    s.abort()
    listener.release(s)
    p.poll()
    assert p.changed == []


def test_reset_before_accept():
    p, listener = listening(1)
    shake(p)
    p.send("R", 1)
    assert listener.accept() is None and listener.free() == 1
    shake(p)
    p.send("R", 1)
    shake(p, 1001)  # the dead one does not keep its place
    assert listener.accept().remote[1] == 1001


# Giving back.


def test_release_delivers_what_was_sent():
    p, listener = listening(1)
    shake(p)
    s = listener.accept()
    s.send(b"page")
    listener.release(s)
    p.poll()
    p.expect("FPA", 1, 1, b"page")
    p.send("FA", 1, 6)
    p.expect("A", 6, 2)
    assert s.state == "TIME-WAIT" and listener.free() == 1 and listener.accepted() == 0


def test_release_with_something_unread_resets():
    """RFC 2525 2.17: the peer must learn that it was not heard."""
    p, listener = listening(1)
    shake(p, payload=b"unread")
    s = listener.accept()
    listener.release(s)
    p.poll()
    p.expect("RA", 1, 7)
    shake(p, 1001)
    s = listener.accept()
    assert s.recv_queue() == 0 and s.remote[1] == 1001


def test_release_of_a_peer_that_goes_on():
    """RFC 1122 4.2.2.13: text for nobody is answered by an RST, behind what was sent."""
    p, listener = listening()
    shake(p)
    s = listener.accept()
    s.send(b"last words")
    listener.release(s)
    p.poll()
    p.expect("FPA", 1, 1, b"last words")
    p.send("A", 1, 12)
    p.nothing()
    p.send("PA", 1, 12, b"and another thing")
    p.expect("RA", 12, 1)
    assert s.state == "CLOSED"


def test_release_does_not_wait_for_ever():
    p, listener = listening(1)
    shake(p)
    s = listener.accept()
    listener.release(s)
    p.poll()
    p.expect("FA", 1, 1)
    p.pass_time(5000)
    p.drain()
    p.send("A", 1, 2)  # FIN-WAIT-2, and then nothing
    assert s.state == "FIN-WAIT-2"
    p.pass_time(5000)
    assert s.state == "FIN-WAIT-2"  # that was progress
    p.nothing()
    p.pass_time(10000)
    p.expect("RA", 2, 1)
    assert s.state == "CLOSED" and listener.free() == 1


def test_release_of_what_is_not_accepted():
    p, listener = listening(2)
    shake(p)
    s = listener.accept()
    listener.release(s)
    for wrong in (s, listener._pool[1], tcp.Socket(10, 10)):
        try:
            listener.release(wrong)
            raise AssertionError("taken")
        except ValueError:
            pass


def test_time_wait_is_cut_short_in_need_only():
    p, listener = listening(2)
    done = []
    for port in (1000, 1001, 1002):
        shake(p, port)
        s = listener.accept()
        assert s is not None
        listener.release(s)
        p.poll()
        p.expect("FA", 1, 1)
        p.send("FA", 1, 2, remote_port=port)
        p.expect("A", 2, 2)
        done.append(s)
        assert s.state == "TIME-WAIT"
    assert done[0] is not done[1]
    p.pass_time(10000)
    assert done[0].state == "CLOSED" and listener.free() == 2


# Closing, and the set.


def test_close_resets_what_nobody_accepted():
    p, listener = listening()
    shake(p, 1000)
    taken = listener.accept()
    shake(p, 1001)
    p.send("S", 0, remote_port=1002)
    p.take()
    listener.close()
    assert listener.state == "CLOSED"
    p.poll()
    out = p.drain()
    assert sorted([g.destination_port for g in out]) == [1001, 1002]
    assert [g.flags for g in out] == ["RA", "RA"] and stat(p, "resets_out") == 2
    assert listener.half_open() == 0 and listener.waiting() == 0
    raises(EINVAL, listener.accept)
    p.send("S", 0, remote_port=1003)
    p.expect("RA", 0, 1)
    assert taken.state == "ESTABLISHED"
    taken.abort()
    listener.release(taken)
    listener.close()
    p.poll()
    p.drain()
    listener.listen(81)
    p.port = 81
    for port in (1000, 1001, 1002, 1003):
        shake(p, port)
    assert listener.waiting() == 4


def test_close_of_timestamped_half_open_ones():
    p, listener = listening(timestamps=True)
    p.send("S", 0, tsval=1)
    p.expect("SA", 0, 1)
    p.pass_time(300)
    listener.close()
    p.poll()
    p.expect("RA", 1, 1)


# not from .mpy files: its buffers take too much memory
def test_listen_errors():
    p, listener = listening()
    raises(EINVAL, tcp.Listener().listen, 0)
    listener.listen(80)
    raises(EADDRINUSE, listener.listen, 81)
    other = p.sockets.add(tcp.Listener())
    raises(EADDRINUSE, other.listen, 80)
    raises(EADDRINUSE, other.listen, ("0.0.0.0", 80))
    raises(EINVAL, other.accept)
    other.listen((OURS, 80))
    third = p.sockets.add(tcp.Listener())
    raises(EADDRINUSE, third.listen, (OURS, 80))
    listener.close()
    third.listen(80)
    assert third.is_listening() and third.local == ("", 80)


def test_the_specific_address_wins():
    p, anywhere = listening()
    p.iface.add_ip_addr("192.168.69.2/24")
    here = p.sockets.add(tcp.Listener())
    here.listen((OURS, 80))
    shake(p, 1000)
    shake(p, 1001, destination="192.168.69.2")
    assert here.waiting() == 1
    p.send("A", 1, 1, remote_port=1001, destination="192.168.69.2")
    assert here.waiting() == 1 and anywhere.waiting() == 1
    assert anywhere.accept().local == ("192.168.69.2", 80)
    assert here.accept().local == (OURS, 80)


def test_beside_a_listening_socket():
    """smolmp's one-socket listen() on another address, and on another port."""
    p, listener = listening()
    p.iface.add_ip_addr("192.168.69.2/24")
    one = p.socket()
    one.listen(("192.168.69.2", 80))
    p.send("S", 0, destination="192.168.69.2")
    p.expect("SA", 0, 1)
    assert one.state == "SYN-RECEIVED" and listener.half_open() == 0


def test_leaves_and_joins_a_set():
    p = Peer()
    listener = tcp.Listener(2, half_open=3)
    listener.listen(80)
    p.sockets.add(listener)
    assert len(p.sockets) == 3
    shake(p, 1000)
    taken = listener.accept()
    shake(p, 1001)
    p.send("S", 0, remote_port=1002)
    p.take()
    p.sockets.remove(listener)
    assert list(p.sockets) == [taken] and taken.state == "ESTABLISHED"
    p.poll()
    p.nothing()
    p.send("S", 0)
    p.expect("RA", 0, 1)
    listener.release(taken)  # its listener is elsewhere; it is forgotten
    p.sockets.remove(taken)
    other = Peer()
    other.sockets.add(listener)
    listener.listen(80)
    for port in (1000, 1001):
        shake(other, port)
    assert listener.waiting() == 2 and listener.free() == 0


def test_address_taken_away():
    """RFC 1122 3.2.1.3: nothing is sent from an address that is not ours any more."""
    p, listener = listening()
    p.send("S", 0)
    p.expect("SA", 0, 1)
    p.iface.remove_ip_addr(OURS + "/24")
    p.pass_time(1000)
    p.nothing()
    assert listener.half_open() == 0


def test_repr_tells_limits_and_counts():
    p, listener = listening(2, pool=3, half_open=5)
    shake(p, 1000)
    p.send("S", 0, remote_port=1001)
    text = repr(listener)
    for part in ("LISTEN", "80", "half-open 1/5", "waiting 1/2", "accepted 0", "free 2/3"):
        assert part in text, text


# The device and the neighbours.


def test_busy_device_sends_it_later():
    p, listener = listening()
    send = p.device.send
    refused = [0]

    def refuse(buf, start, end):
        refused[0] += 1
        return False

    p.device.send = refuse
    p.iface.bind()
    p.send("S", 0)
    assert refused[0] >= 1
    p.nothing()
    assert p.iface.poll_delay(p.now & WRAP, p.sockets) == 1
    p.device.send = send
    p.iface.bind()
    p.poll()
    p.expect("SA", 0, 1)
    p.poll()
    p.nothing()


def test_a_silent_neighbour_keeps_nobody_waiting():
    """Half-open connections of hosts that don't answer ARP; another one's is answered."""
    from support import PEER_MAC, Net, frame
    from support import tcp as packet

    net = Net(neighbors=3, waiting=2)
    listener = net.sockets.add(tcp.Listener(4))
    listener.listen(80)
    assert net.iface.medium == ETHERNET
    for i in range(8):
        net.rx(frame(packet(2, 1000 * i, src="192.168.69.%d" % (50 + i))))
    assert listener.half_open() == 8
    net.advance(1000)  # asked twice, a neighbour makes room for one that is there
    net.meet("192.168.69.2", PEER_MAC)
    out = net.rx(frame(packet(2, 7, src="192.168.69.2")))
    syn_acks = [f for f in out if f[12:14] == b"\x08\x00" and f[:6] == PEER_MAC]
    assert len(syn_acks) == 1 and syn_acks[0][47] == 0x12


def test_no_route_no_record():
    p = Peer(medium=ETHERNET)
    _, listener = listening(peer=p)
    packet = p.packet("S", 0, source="10.9.9.9")
    p.device.inject(b"\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x08\0" + packet)
    p.poll()
    assert listener.half_open() == 0 and p.iface.stats()["ip_no_route"] == 1


# Memory.


class Life:
    """Connections from SYN to release, all segments made before."""

    def __init__(self, **options):
        self.p, self.listener = listening(1, timestamps=bool(options), **{"rx": 512, "tx": 512})
        self.options = options
        self.buf = bytearray(600)
        self.page = bytes(100)
        self.now = self.p.now

    def prepare(self):
        """The segments of one connection; SND.UNA is known only by opening one."""
        p = self.p
        p.send("S", 0, **self.options)
        p.take()
        options = {"tsval": 9} if self.options else {}
        self.packets = [
            p.packet("S", 0, **self.options),
            p.packet("FA", 1, 1, b"request", **options),
            p.packet("A", 9, 102, **options),
        ]
        p.send("R", 1)
        p.drain()

    def whole(self):
        """One connection. The clock stands still, and so our sequence number is the same."""
        p = self.p
        iface = p.iface
        p.device.inject(self.packets[0])
        iface.poll(self.now, p.sockets)
        p.device.inject(self.packets[1])
        iface.poll(self.now, p.sockets)
        s = self.listener.accept()
        if s is None or s.recv_into(self.buf) != 7:
            raise ValueError
        s.send(self.page)
        s.close()
        iface.poll(self.now, p.sockets)
        p.device.inject(self.packets[2])
        iface.poll(self.now, p.sockets)
        self.listener.release(s)
        self.listener.accept()
        iface.poll(self.now, p.sockets)
        while p.device.take_into(self.buf):
            pass


def test_a_life_allocates_nothing():
    for options in ({}, {"mss": 1460, "scale": 7, "sack": True, "tsval": 5}):
        life = Life(**options)
        life.prepare()
        life.now = life.p.now & WRAP
        life.whole()
        locked(life.whole)
        locked(life.whole)
        assert stat(life.p, "accepted") == 3


def test_what_a_listener_hands_down_has_its_memory():
    p, listener = Peer(), tcp.Listener(1, pool=1, rx=64, tx=64)
    listener.keep_alive = 1000
    listener.keep_alive_interval = 10
    listener.time_wait = 1
    listener.abe = True
    listener.ecn = "request"
    p.sockets.add(listener)
    listener.listen(80)
    p.send("S", 0)
    p.expect("SA", 0, 1)
    p.device.inject(p.packet("A", 1, 1))
    now = p.now & WRAP
    locked(lambda: p.iface.poll(now, p.sockets))
    s = listener.accept()
    assert (s.keep_alive, s.keep_alive_interval, s.time_wait) == (1000, 10, 1)
