"""A whole stream through two Interfaces: TCP against itself, over clean and broken links."""

import micropython
from slow import BOARD, rounds

from smolmp.iface.interface import Interface
from smolmp.phy.device import IP
from smolmp.phy.fault import FaultInjector
from smolmp.phy.queue import PacketQueue
from smolmp.socket import tcp
from smolmp.socket.set import SocketSet

BUFFER = 2048 if BOARD else 8192
QUEUE = 4096 if BOARD else None  # octets each way


class Host:
    def __init__(self, address, seed, faults=None):
        self.device = PacketQueue(medium=IP, mtu=1500, frames=64, size=QUEUE)
        device = self.device
        if faults:
            device = FaultInjector(device, seed=seed)
            device.tx.set(**faults)
        self.iface = Interface(device, ip_addrs=(address + "/24",), seed=seed)
        self.sockets = SocketSet()


class Link:
    """Two hosts and a wire; time passes only when nothing moves."""

    def __init__(self, faults=None, rx=BUFFER, tx=BUFFER, **options):
        self.a = Host("10.0.0.1", 5, faults)
        self.b = Host("10.0.0.2", 6, faults)
        self.now = (1 << 30) - 5000
        self.buf = bytearray(2048)
        self.server = self.a.sockets.add(tcp.Socket(rx, tx, **options))
        self.client = self.b.sockets.add(tcp.Socket(rx, tx, **options))
        self.server.listen(7)
        self.client.connect(self.b.iface, ("10.0.0.1", 7))

    def step(self):
        """Poll both and carry what came out; when all is quiet, go to the next deadline."""
        moved = False
        now = self.now & 0x3FFFFFFF
        for host, other in ((self.a, self.b), (self.b, self.a)):
            host.iface.poll(now, host.sockets)
            while True:
                n = host.device.take_into(self.buf)
                if not n:
                    break
                moved = True
                assert other.device.inject(self.buf, 0, n), "wire overflow"
        if not moved:
            delays = [h.iface.poll_delay(now, h.sockets) for h in (self.a, self.b)]
            delays = [d for d in delays if d is not None]
            assert delays, "nothing will ever move again"
            self.now += max(1, min(delays))


def transfer(link, size, both=True):
    """`size` octets each way, checked; then both close. Returns the ms it took."""
    start = link.now
    pattern = bytes(range(251)) * 40
    ends = [[link.client, 0, 0], [link.server, 0, 0]]
    buf = bytearray(3000)
    for _ in range(200000):
        link.step()
        for end in ends:
            s, sent, _ = end
            if s.may_send() and sent < size and (both or s is link.client):
                n = s.send(pattern, sent % 251, min(size - sent, 4000))
                if n:
                    end[1] = sent + n
                    if end[1] == size:
                        s.close()
            while s.can_recv():
                n = s.recv_into(buf)
                at = end[2] % 251
                assert buf[:n] == pattern[at : at + n], "the stream differs at %d" % end[2]
                end[2] += n
        want = size if both else 0
        if ends[1][2] == size and ends[0][2] == want and ends[0][1] == size:
            break
    else:
        raise AssertionError("stuck: %s %s %r" % (ends[0][1:], ends[1][1:], link.server))
    for _ in range(2000):
        if not both and link.server.state == "CLOSE-WAIT":
            link.server.close()
        if not link.client.is_open() and not link.server.is_open():
            break
        link.step()
    assert not link.client.is_open() and not link.server.is_open()
    assert link.client.error == 0 and link.server.error == 0
    return link.now - start


# not from .mpy files: two hosts do not fit beside them
def test_clean():
    link = Link()
    ms = transfer(link, rounds(300000))
    assert ms < 1000 + 10000, ms
    assert link.client.retransmissions() == 0


# not from .mpy files: two hosts do not fit beside them
def test_one_way():
    transfer(Link(), rounds(300000), both=False)


# not from .mpy files: two hosts do not fit beside them
def test_tiny_buffers():
    transfer(Link(rx=3, tx=5), 300)
    transfer(Link(rx=64, tx=64), 5000)
    transfer(Link(rx=1000, tx=100), rounds(20000))


# not on a board: windows of 200,000 octets are what it is about
def test_window_scaling():
    transfer(Link(rx=200000, tx=200000), 600000)


# not from .mpy files: two hosts do not fit beside them
def test_timestamps():
    transfer(Link(timestamps=True), rounds(200000))


# not from .mpy files: two hosts do not fit beside them
def test_drop():
    transfer(Link({"drop": 5}), rounds(200000))


# not from .mpy files: two hosts do not fit beside them
def test_reorder_duplicate_corrupt():
    transfer(Link({"reorder": 5, "duplicate": 3, "corrupt": 2}), rounds(200000))


# not from .mpy files: two hosts do not fit beside them
def test_everything_broken():
    faults = {"drop": 3, "reorder": 3, "duplicate": 3, "corrupt": 3}
    transfer(Link(faults, timestamps=True), rounds(150000))
    transfer(Link(faults, rx=700, tx=700), rounds(20000))


OUT = bytearray(bytes(range(200)) * 10)
IN = bytearray(2000)


def pump(link, rounds):
    """Both ends send and read; frames cross after every poll."""
    a, b = link.a, link.b
    link.client.send(OUT)
    link.server.send(OUT)
    for _ in range(rounds):
        read_all(a, link.now)
        read_all(b, link.now)
        carry(a.device, b.device, link.buf)
        carry(b.device, a.device, link.buf)


def read_all(host, now):
    for s in host.iface.poll(now & 0x3FFFFFFF, host.sockets):
        if s.can_recv():
            s.recv_into(IN)


def carry(source, destination, buf):
    while True:
        n = source.take_into(buf)
        if not n:
            return
        destination.inject(buf, 0, n)


# not from .mpy files: two hosts do not fit beside them
def test_moving_data_allocates_nothing():
    """Law 3: established connections are served with the heap locked, both directions."""
    for options in ({}, {"timestamps": True}):
        link = Link(rx=4096, tx=4096, **options)
        while not link.server.may_send():
            link.step()
        for _ in range(5):
            pump(link, 10)
            link.now += 20
        micropython.heap_lock()
        try:
            for _ in range(50):
                pump(link, 10)
                link.now += 20
        finally:
            micropython.heap_unlock()
        assert link.client.retransmissions() == 0
