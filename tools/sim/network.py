"""A network in simulated time, for MicroPython: hosts (an Interface and its sockets), wires.

    net = Network()
    a = net.host("10.0.0.1", seed=1)
    b = net.host("10.0.0.2", seed=2)
    net.join(a, b, seed=3, rate=12500, delay=10000, queue=65536, loss=100)
    Bulk(a, b, port=1)                     # a sends, b receives and compares
    net.run(10 * SECOND)

Time is microseconds since the start, an int; nothing happens between two events and the clock
jumps over it. An event is frames that arrive, a deadline of a stack (poll_delay), or a call that
an application asked for (net.at). The same seeds give the same run on every target.

A wire goes one way. rate: octets per millisecond, 0: no limit. delay: microseconds. queue: octets
that may wait for the wire; more are lost at its tail (only with a rate). loss, reorder, duplicate,
corrupt: chances in hundredths of a percent; a reordered frame comes up to `late` microseconds
later. Wires may share a Line: one rate and one queue, a bottleneck for all of them.
"""

from heapq import heappop, heappush

from smolmp.iface.interface import Interface
from smolmp.phy.device import ETHERNET, IP, Device
from smolmp.prng import Random
from smolmp.socket import tcp
from smolmp.socket.set import SocketSet
from smolmp.storage.kernels import copy

MS = 1000
SECOND = 1000000
MTU = 1500
_WHOLE = 10000  # a chance of 1
_ETHERNET_HEADER = 14


class Line:
    """What is shared by the wires through one bottleneck."""

    def __init__(self, rate=0, queue=0):
        self.rate = rate
        self.queue = queue
        self.free = 0  # when the last octet in the queue will have left
        self.overflow = 0

    def leave(self, now, n):
        """When a frame of n octets that comes now will have left; -1: it is lost."""
        if not self.rate:
            return now
        start = self.free if self.free > now else now
        if self.queue and (start - now) * self.rate // 1000 + n > self.queue:
            self.overflow += 1
            return -1
        self.free = start + n * 1000 // self.rate
        return self.free


class Wire:
    """One direction between two hosts. `down`: it loses everything."""

    def __init__(self, net, to, seed, line, delay, loss, reorder, duplicate, corrupt, late):
        self.net = net
        self.to = to
        self.random = Random(seed)
        self.line = line
        self.delay = delay
        self.loss = loss
        self.reorder = reorder
        self.duplicate = duplicate
        self.corrupt = corrupt
        self.late = late
        self.down = False
        self.frames = self.lost = self.overtaken = self.doubled = self.damaged = 0

    def _chance(self, hundredths):
        return hundredths and self.random.bits(29) % _WHOLE < hundredths

    def carry(self, buf, start, n):
        """Take the frame buf[start:start + n]."""
        self.frames += 1
        net = self.net
        at = self.line.leave(net.now, n)
        if at < 0:
            return
        if self.down or self._chance(self.loss):
            self.lost += 1
            return
        at += self.delay
        self._put(at, buf, start, n)
        if self._chance(self.duplicate):
            self.doubled += 1
            self._put(at, buf, start, n)

    def _put(self, at, buf, start, n):
        net = self.net
        frame = net.pool.pop() if net.pool else bytearray(MTU + 20)
        copy(frame, 2, buf, start, n)
        if self._chance(self.corrupt):
            self._damage(frame, n)
        if self._chance(self.reorder):
            self.overtaken += 1
            at += 1 + self.random.bits(29) % self.late
        net.put(at, self.to, frame, n)

    def _damage(self, frame, n):
        """One bit flips where a checksum of ours stands guard: Ethernet's own FCS, which guards
        its header and ARP, is not simulated."""
        first = 0
        if self.to.device.medium == ETHERNET:
            if frame[2 + 12] != 8 or frame[2 + 13] != 0:
                return
            first = _ETHERNET_HEADER
        self.damaged += 1
        frame[2 + first + self.random.bits(29) % (n - first)] ^= 1 << self.random.bits(3)


class Port(Device):
    """A host's device: what it sends goes to the wire that leads to the destination."""

    def __init__(self, host, medium):
        super().__init__(medium, MTU)
        self.host = host
        self.frames = []  # (frame, n) that arrived; taken from `at` on
        self.at = 0

    def recv(self, buf):
        if self.at == len(self.frames):
            return 0
        frame, n = self.frames[self.at]
        self.at += 1
        if self.at == len(self.frames):
            self.frames = []
            self.at = 0
        copy(buf, 0, frame, 2, n)
        self.host.net.pool.append(frame)
        return n

    def send(self, buf, start, end):
        wires = self.host.wires
        if len(wires) == 1:
            for wire in wires.values():
                wire.carry(buf, start, end - start)
        else:
            wires[buf[start + 19]].carry(buf, start, end - start)  # medium IP: the address's end
        return True


class Host:
    """One stack. `clock`: what its ticks_ms says when the simulation starts.
    on_poll: functions (now) called after every poll, for applications."""

    def __init__(self, net, address, seed, medium, clock, sockets, **options):
        self.net = net
        self.address = address
        self.clock = clock
        self.wires = {}  # the last octet of an address -> Wire
        self.device = Port(self, medium)
        self.iface = Interface(
            self.device,
            hardware_addr="02:00:00:00:00:%02x" % int(address.split(".")[3]),
            ip_addrs=(address + "/24",),
            seed=seed,
            now=clock & 0x3FFFFFFF,
            **options,
        )
        self.sockets = SocketSet(sockets)
        self.wake = 0  # microseconds, -1: only a frame wakes it
        self.applications = []

    def ticks(self):
        return (self.clock + self.net.now // MS) & 0x3FFFFFFF

    def poll(self):
        now = self.ticks()
        for _ in range(1000):
            self.iface.poll(now, self.sockets)
            for application in self.applications:
                application.serve()
            delay = self.iface.poll_delay(now, self.sockets)
            if delay != 0:
                break
        else:
            raise AssertionError("poll() never comes to rest")
        if delay is None:
            self.wake = -1
        else:
            self.wake = (self.net.now // MS + delay) * MS


class Network:
    def __init__(self):
        self.now = 0
        self.hosts = []
        self.pool = []
        self._events = []  # (time, number, host or function, frame, n)
        self._number = 0
        self.events = 0  # that have happened

    def host(self, address, seed=1, medium=IP, clock=0, sockets=8, **options):
        host = Host(self, address, seed, medium, clock, sockets, **options)
        self.hosts.append(host)
        return host

    def join(
        self,
        a,
        b,
        seed=1,
        rate=0,
        delay=0,
        queue=0,
        loss=0,
        reorder=0,
        duplicate=0,
        corrupt=0,
        late=20 * MS,
        line=None,
    ):
        """Two wires, a to b and back; `line`: a's way to b goes through it, with others."""
        ways = ((a, b, 2 * seed, line), (b, a, 2 * seed + 1, None))
        for source, to, chances, shared in ways:
            shared = shared or Line(rate, queue)
            wire = Wire(self, to, chances, shared, delay, loss, reorder, duplicate, corrupt, late)
            source.wires[int(to.address.split(".")[3])] = wire

    def put(self, at, to, frame, n):
        self._number += 1
        heappush(self._events, (at, self._number, to, frame, n))

    def at(self, delay, function):
        """Call function() in `delay` microseconds."""
        self.put(self.now + delay, function, None, 0)

    def run(self, until, done=None):
        """Let time pass until `until` (microseconds), or until done()."""
        events = self._events
        hosts = self.hosts
        while done is None or not done():
            at = events[0][0] if events else until
            for host in hosts:
                if 0 <= host.wake < at:
                    at = host.wake
            if at >= until:
                self.now = until
                return
            if at > self.now:
                self.now = at
            now = self.now
            while events and events[0][0] <= now:
                _, _, to, frame, n = heappop(events)
                self.events += 1
                if frame is None:
                    to()
                else:
                    to.device.frames.append((frame, n))
                    to.wake = now
            for host in hosts:
                if 0 <= host.wake <= now:
                    host.poll()


PATTERN = bytes(range(251)) * 40
_SPAN = 251 * 36  # as much is sent at a time, at most; PATTERN[phase:] is always longer
_received = bytearray(_SPAN)


class Sender:
    """Sends without end, or `size` octets and then closes. Octet i is i % 251."""

    def __init__(self, host, socket, size=-1):
        self.socket = socket
        self.size = size
        self.sent = 0
        host.applications.append(self)

    def serve(self):
        socket = self.socket
        while socket.can_send() and self.sent != self.size:
            n = _SPAN
            if self.size >= 0 and self.size - self.sent < n:
                n = self.size - self.sent
            self.sent += socket.send(PATTERN, self.sent % 251, n)
            if self.sent == self.size:
                socket.close()


class Receiver:
    """Takes what comes and compares it."""

    def __init__(self, host, socket):
        self.socket = socket
        self.got = 0
        self.ended = False
        host.applications.append(self)

    def serve(self):
        socket = self.socket
        while socket.can_recv():
            n = socket.recv_into(_received)
            phase = self.got % 251
            if _received[:n] != PATTERN[phase : phase + n]:
                raise AssertionError("the stream differs within %d octets at %d" % (n, self.got))
            self.got += n
        if socket.state == "CLOSE-WAIT":
            self.ended = True
            socket.close()


class Bulk:
    """A stream from host a to host b: .sender, .receiver. Options go to both sockets."""

    def __init__(self, a, b, port, size=-1, buffer=65536, start=0, **options):
        small = 4096 if buffer > 4096 else buffer
        server = b.sockets.add(tcp.Socket(buffer, small, **options))
        client = a.sockets.add(tcp.Socket(small, buffer, **options))
        server.listen(port)
        self.sender = Sender(a, client, size)
        self.receiver = Receiver(b, server)
        b.poll()

        def connect():
            client.connect(a.iface, (b.address, port))
            a.poll()

        a.net.at(start, connect)

    def finished(self):
        return self.receiver.ended
