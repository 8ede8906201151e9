"""Many connections between two Interfaces that hand each other their frames. tools/scale.py times
them too.
"""

from micropython import heap_lock, heap_unlock

from smolmp.iface.interface import Interface
from smolmp.phy.device import ETHERNET, Device
from smolmp.socket import tcp
from smolmp.socket.set import SocketSet


class End(Device):
    """One end of a wire; the frames that come to it wait here."""

    def __init__(self, frames=16):
        super().__init__(ETHERNET, 1500)
        self.frames = [bytearray(128) for _ in range(frames)]
        self.lengths = [0] * frames
        self.first = self.waiting = 0
        self.other = self

    def recv(self, buf) -> int:
        if not self.waiting:
            return 0
        frame = self.frames[self.first]
        n = self.lengths[self.first]
        for i in range(n):
            buf[i] = frame[i]
        self.first = (self.first + 1) % len(self.frames)
        self.waiting -= 1
        return n

    def send(self, buf, start: int, end: int) -> bool:
        other = self.other
        if other.waiting == len(other.frames):
            return False
        at = (other.first + other.waiting) % len(other.frames)
        frame = other.frames[at]
        n = 0
        while start < end:
            frame[n] = buf[start]
            start += 1
            n += 1
        other.lengths[at] = n
        other.waiting += 1
        return True


class Pair:
    """Two hosts; `count` connections from the first to the second, all established."""

    def __init__(self, count, size=64):
        a, b = End(), End()
        a.other, b.other = b, a
        self.now = (1 << 30) - 1000
        self.a = Interface(a, hardware_addr="02:00:00:00:00:01", ip_addrs=("10.0.0.1/24",), seed=1)
        self.b = Interface(b, hardware_addr="02:00:00:00:00:02", ip_addrs=("10.0.0.2/24",), seed=2)
        self.clients = SocketSet(capacity=count)
        self.servers = SocketSet(capacity=count)
        self.pairs = []
        for _ in range(count):
            client = self.clients.add(tcp.Socket(size, size, holes=1))
            server = self.servers.add(tcp.Socket(size, size, holes=1))
            client.nagle = server.nagle = False
            self.pairs.append((client, server))
            self.open(client, server)

    def poll(self):
        self.a.poll(self.now, self.clients)
        self.b.poll(self.now, self.servers)

    def tick(self, ms=1):
        room = 0x3FFFFFFF - self.now  # a sum beyond it would be allocated: ints have 31 bits
        self.now = self.now + ms if ms <= room else ms - room - 1

    def until(self, done, what):
        for _ in range(200):
            if done():
                return
            self.poll()
            self.tick()
        raise AssertionError("stuck: " + what)

    def open(self, client, server):
        server.listen(7)
        client.connect(self.a, ("10.0.0.2", 7))
        opened = lambda: client.may_send() and server.may_send()  # noqa: E731
        self.until(opened, "open")

    def frames(self):
        return self.a.counters[1] + self.b.counters[1]

    def settle(self):
        """Every delayed ACK leaves; what the sets remember of an RTO is forgotten."""
        for _ in range(300):
            self.tick()
            self.poll()

    def echo(self, client, server, text, buf):
        """`text` there and back; four polls."""
        assert client.send(text) == len(text)
        self.poll()  # both: the text is there after it
        n = server.recv_into(buf)
        server.send(buf, 0, n)
        self.poll()
        self.poll()
        return client.recv_into(buf)


def microseconds(count, every, rounds, ticks, diff):
    """What one echo takes, and one frame of it, while `count` connections are open; `every`: they
    talk in turn, and so each connection's last ACK travels by itself."""
    pair = Pair(count)
    pairs = pair.pairs
    text = b"hello"
    buf = bytearray(64)
    for client, server in pairs:
        pair.echo(client, server, text, buf)
    pair.settle()
    frames = pair.frames()
    # As the programs do: with the heap locked MicroPython takes the frames of functions from the
    # C stack; in a heap full of sockets it would search long for a place.
    start = ticks()
    for i in range(rounds):
        client, server = pairs[i % count if every else count - 1]
        heap_lock()
        n = pair.echo(client, server, text, buf)
        heap_unlock()
        if n != 5:
            raise AssertionError("an echo got lost")
        if i & 31 == 0:
            pair.tick()
            pair.poll()
            pair.poll()
    us = diff(ticks(), start)
    return us / rounds, us / (pair.frames() - frames)
