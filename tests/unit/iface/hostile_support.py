"""A host under attack: an Interface with sockets of all kinds, a program that uses them, time, and
a check that nothing inside is out of joint. Runs in MicroPython and, through the shim, in CPython.

    world = World(Random(1), medium=ETHERNET)
    world.frame()             # one hostile frame in, one poll with the heap locked
    world.user()              # the program does something with one socket
    world.check()             # canaries and invariants

Every buffer stands between canaries (canaries=False leaves them out: under the shim each access
is checked against the buffer itself). What the stack sends is parsed, checksums and all.
"""

from array import array

import micropython
from hostile_frames import FRAME, IDENT, LISTENING, Choices, Generator

from smolmp.iface import Interface
from smolmp.phy.device import ETHERNET, IP, Device
from smolmp.socket import icmp, raw, tcp, udp, udp_express  # noqa: F401
from smolmp.socket.set import SocketSet, next_bit
from smolmp.wire import arp, icmpv4, ipv4
from smolmp.wire import tcp as wire_tcp
from smolmp.wire import udp as wire_udp

WRAP = 0x3FFFFFFF
START = WRAP - 5000
PAD = 64
CANARY = 0x5AA5C33C
PATTERN = bytes([0xA5 ^ i & 3 for i in range(PAD)])

OUR_IP = "192.168.69.1"
PEERS = ("192.168.69.2", "192.168.69.3", "192.168.69.100", "8.8.8.8")
STEPS = (0, 0, 0, 1, 1, 2, 5, 10, 50, 100, 200, 500, 1000, 1000, 3000, 61000)
STATES = 11


@micropython.viper
def copy_bytes(to: ptr8, at: int, source: ptr8, start: int, n: int):
    i = 0
    while i < n:
        to[at + i] = source[start + i]
        i += 1


class Judge(Device):
    """A device with room for one frame in, which looks at all that the stack sends. It must not
    raise: the heap is locked. What it finds stands in .fault."""

    def __init__(self, medium, mtu, checksums):
        super().__init__(medium, mtu, checksums)
        self.frame = bytearray(FRAME)
        self.size = 0
        self.busy = 0  # how many of the next frames are refused
        self.lie = 0  # claim that the next frame was so many octets longer than it can be
        self.up = True
        self.sent = 0
        self.last = bytearray(FRAME)  # the last IP packet
        self.last_size = 0
        self.asked = 0  # the last octet of whom it asked for by ARP
        self.fault = 0
        self.rec = array("i", bytes(4 * 56))
        self.link_size = 14 if medium == ETHERNET else 0

    def recv(self, buf):
        n = self.size
        self.size = 0
        if self.lie:
            n = len(buf) + self.lie
            self.lie = 0
            return n
        if n > len(buf):
            return 0
        copy_bytes(buf, 0, self.frame, 0, n)
        return n

    def link(self):
        return self.up

    def send(self, buf, start, end):
        if self.busy or self.fault:
            self.busy -= 1
            return False
        self.sent += 1
        at = start + self.link_size
        if start < 0 or end > len(buf) or not 0 < end - at <= self.mtu:
            self.fault = 1
        elif self.link_size and buf[at - 1] == 6:
            if end - at != 28 or arp.parse(buf, at, end, self.rec):
                self.fault = 2
            if buf[at + 7] == 1:
                self.asked = buf[at + 27]
        else:
            self._judge(buf, at, end)
        return True

    def _judge(self, buf, at, end):
        rec = self.rec
        copy_bytes(self.last, 0, buf, at, end - at)
        self.last_size = end - at
        if ipv4.parse(buf, at, end, rec, 1) or rec[19] != end or rec[18] != at + 20:
            self.fault = 3
            return
        protocol = rec[1]
        if protocol == 6:
            if wire_tcp.parse(buf, rec[18], end, rec, 1):
                self.fault = 6
        elif protocol == 17:
            if wire_udp.parse(buf, rec[18], end, rec, 1) or rec[24] != end - at - 28:
                self.fault = 17
        elif protocol == 1:
            # An echo's checksum is carried over, right or wrong: RFC 1624.
            code = icmpv4.parse(buf, rec[18], end, rec, 0 if self.checksums & 8 else 1)
            if code and code != -4:
                self.fault = 4


class World:
    def __init__(
        self, entropy, medium=ETHERNET, mtu=1500, checksums=0, canaries=True, raw_all=False, **more
    ):
        self.below = entropy.below
        self.ether = medium == ETHERNET
        self.mtu = mtu
        self.now = START
        self.canaries = canaries
        self.regions = []  # (bytearray with canaries around, octets between)
        self.words = []  # (array with canaries behind, words in front)
        self.device = Judge(medium, mtu, checksums)
        self.iface = Interface(
            self.device,
            ip_addrs=(OUR_IP + "/24", "10.0.0.7/8"),
            gateway=PEERS[2],
            seed=5,
            now=START,
            **more,
        )
        self.iface.join_multicast_group("224.1.2.3")
        self.sockets = SocketSet(4, 77)
        self.frames = 0
        self.data = bytes([i & 255 for i in range(600)])
        self.room = bytearray(600)
        self._make_sockets(raw_all)
        self._protect()
        self.generator = Generator(self, entropy)
        # Everybody met once, so that hosts on the link are neighbours.
        self.poll()

    def _make_sockets(self, raw_all):
        add = self.sockets.add
        self.tcp = []
        for i, (rx, tx) in enumerate(
            ((64, 64), (1, 1), (3000, 100), (500, 2000), (1461, 333), (1000, 1000), (256, 256),
             (70001, 90), (90, 700), (2048, 2048))
        ):  # fmt: skip
            s = tcp.Socket(self.buffer(rx), self.buffer(tx), 1 + (i & 3), i % 3 == 0)
            self.tcp.append(add(s))
            if i % 4 == 1:
                s.timeout = 20000
            if i % 4 == 2:
                s.keep_alive = 5000
            if i % 5 == 3:
                s.ack_delay = 0
            if i & 1:
                s.nagle = False
        for i in range(6):
            self.tcp[i].listen(LISTENING[i & 3])
        for i in range(6, 10):
            self.tcp[i].connect(self.iface, (PEERS[i & 3], 4000), 50000 + i)
        self.udp = []
        for endpoint, size, slots in (
            (6969, 1000, 3),
            ((OUR_IP, 7000), 1500, 8),
            (7001, 17, 1),
            (5353, 400, 4),
            (("224.1.2.3", 5353), 300, 2),
        ):
            s = add(udp.Socket(self.buffer(size), self.buffer(size), slots, slots))
            s.bind(endpoint)
            self.udp.append(s)
        self.udp[2].connect((PEERS[0], 4000))
        self.icmp = []
        for endpoint in (icmp.Endpoint.ident(IDENT), icmp.Endpoint.udp(6969)):
            s = add(icmp.Socket(self.buffer(400), self.buffer(300)))
            s.bind(endpoint)
            self.icmp.append(s)
        s = raw.Socket(4, None if raw_all else 2, self.buffer(200), self.buffer(300))
        self.raw = [add(s)]

    # Canaries.

    def buffer(self, n):
        """A buffer of n octets, between canaries."""
        if not self.canaries:
            return bytearray(n)
        whole = bytearray(PATTERN + bytes(n) + PATTERN)
        self.regions.append((whole, n))
        return memoryview(whole)[PAD : PAD + n]

    def _protect(self):
        if not self.canaries:
            return
        iface = self.iface
        n = len(iface.rx)
        start = n - len(iface.view)
        iface.rx = self.buffer(n)
        whole = memoryview(self.regions[-1][0])
        iface.view = whole[PAD + start : PAD + n]
        iface.arp_sender = whole[PAD + 24 : PAD + 30]
        iface.tx = self.buffer(len(iface.tx))
        neighbors = iface.neighbors
        if self.ether:
            neighbors._frames = self.buffer(len(neighbors._frames))
        tables = [
            iface.rec,
            iface.quoted,
            iface.reply,
            iface.arp_flow,
            iface.ipv4,
            iface.counters,
            neighbors.words,
            iface.routes.words,
            self.sockets.table,
            self.sockets.deadlines.times,
        ]
        for s in self.sockets:
            if s.protocol == 6:
                tables.append(s.w)
            else:
                tables += [s.flow, s._out, s._rx.words, s._tx.words]
        for table in tables:
            self.words.append((table, len(table)))
            table.extend(array("i", [CANARY] * 4))
        iface.bind()

    def check_canaries(self):
        for whole, n in self.regions:
            assert whole[:PAD] == PATTERN and whole[PAD + n :] == PATTERN, "buffer of %d" % n
        for table, n in self.words:
            for i in range(n, n + 4):
                assert table[i] == CANARY, "table of %d words" % n

    # What happens.

    def poll(self):
        """One poll with the heap locked."""
        iface = self.iface
        sockets = self.sockets
        now = self.now
        micropython.heap_lock()
        try:
            changed = iface.poll(now, sockets)
            delay = iface.poll_delay(now, sockets)
        finally:
            micropython.heap_unlock()
        assert not self.device.fault, "it sent nonsense: %d" % self.device.fault
        assert delay is None or 0 <= delay < 1 << 29, delay
        self.delay = delay
        return changed

    def poll_in_parts(self):
        """The other members of the poll family."""
        micropython.heap_lock()
        try:
            self.iface.poll_ingress_single(self.now, self.sockets)
            self.iface.poll_egress(self.now, self.sockets)
            at = self.iface.poll_at(self.now, self.sockets)
        finally:
            micropython.heap_unlock()
        assert at is None or 0 <= at <= WRAP, at

    def inject(self, n):
        """The first n octets of the generator's frame come in; one poll."""
        device = self.device
        copy_bytes(device.frame, 0, self.generator.frame, 0, n)
        device.size = n
        self.frames += 1
        if self.below(16) == 15:
            self.poll_in_parts()
        self.poll()

    def frame(self):
        """A hostile frame, sometimes when the device is busy; one poll."""
        device = self.device
        if device.asked and self.below(8):
            n = self.generator.answer(device.asked)
            device.asked = 0
        else:
            n = self.generator.next()
        choice = self.below(128)
        if choice >= 120:
            device.busy = choice - 119
        elif choice == 119:
            device.lie = 1 + self.below(2000)
        elif choice == 118:
            device.up = not device.up
        self.inject(n)

    def frame_of(self, kind):
        """A frame of KINDS[kind], mutated or not; one poll."""
        generator = self.generator
        self.inject(generator.mutate(generator.make(kind)))

    def time(self):
        """Some time passes; one poll."""
        step = STEPS[self.below(16)]
        if step == 61000 and self.below(16) == 15:
            step = (3600000, 40000000, 200000000, 500000000)[self.below(4)]
        self.now = (self.now + step) & WRAP
        self.poll()

    def tick(self):
        """A little time passes, within the next frame's poll."""
        self.now = (self.now + self.below(3)) & WRAP

    def wake(self):
        """Time passes until the stack asks to be polled."""
        self.poll()
        if self.delay is not None:
            self.now = (self.now + self.delay) & WRAP
            self.poll()

    def settle(self):
        """With time standing still the stack comes to rest: it does not send for ever."""
        self.device.busy = 0
        for _ in range(100):
            self.poll()
            if self.delay != 0:
                return
        assert False, "no rest: %r" % self.iface

    # The program.

    def user(self):
        """The program does something to one socket. OSError is an answer, anything else a bug."""
        choice = self.below(16)
        try:
            if choice < 11:
                self._use_tcp(self.tcp[self.below(10)])
            elif choice < 14:
                self._use_udp(self.udp[self.below(5)])
            elif choice == 14:
                self._use_icmp(self.icmp[self.below(2)])
            else:
                self._use_raw(self.raw[0])
        except OSError:
            pass

    def _use_tcp(self, s):
        below = self.below
        choice = below(24)
        if s.w[14] == 0 and choice > 4:
            if choice & 1:
                s.listen(LISTENING[below(4)])
            else:
                s.connect(self.iface, (PEERS[below(4)], 4000 + below(3)), below(2) * 50000)
        elif choice < 8:
            s.recv_into(self.room, (600, 1, below(601))[choice % 3])
        elif choice < 17:
            s.send(self.data, 0, (600, 1, below(601))[choice % 3])
        elif choice < 20:
            if below(4) == 3 or s.w[14] == 7:
                s.close()
        elif choice == 20:
            if below(4) == 3:
                s.abort()
        elif choice == 21:
            s.pause_synack(below(8) == 7)
        elif choice == 22:
            s.keep_alive = (0, 1000, 30000)[below(3)]
        else:
            s.peek_into(self.room, below(601))

    def _use_udp(self, s):
        below = self.below
        choice = below(12)
        if not s.is_open:
            s.bind((6969, 7001, 5353)[below(3)])
        elif choice < 6:
            s.recv_into(self.room)
        elif choice < 10:
            s.send_to(self.data[: below(601)], (PEERS[below(4)], 4000))
        elif choice == 10:
            s.connect((PEERS[below(4)], 4000) if below(2) else None)
        elif below(4) == 3:
            s.close()

    def _use_icmp(self, s):
        below = self.below
        if below(2):
            s.recv_into(self.room)
        elif s.ident:
            s.send_echo(PEERS[below(4)], below(256), self.data[: below(300)])

    def _use_raw(self, s):
        below = self.below
        if below(2):
            s.recv_into(self.room)
        else:
            n = 20 + below(300)
            packet = bytearray(n)
            packet[0] = 0x45
            packet[2] = n >> 8
            packet[3] = n & 255
            packet[8] = 64
            packet[9] = 2
            packet[12:20] = b"\xc0\xa8\x45\x01\xc0\xa8\x45\x02"
            s.send(packet)

    # Does it live?

    def alive(self):
        """After all that a well-behaved peer is served: ARP, ping, UDP, and a TCP connection."""
        device = self.device
        generator = self.generator
        self.below = generator.below = Choices(b"").below
        device.busy = 0
        device.up = True
        for s in self.tcp:
            s.abort()
        for _ in range(100):  # what was going on comes to its end
            self.now = (self.now + 2000) & WRAP
            device.asked = 0
            self.settle()
            if not self.iface.neighbors.incomplete:
                break
        if self.ether:
            self.inject(generator.make(5))
        sent = device.sent
        self.inject(generator.make(3))
        assert device.sent == sent + 1 and device.last[9] == 1 and device.last[20] == 0, "no pong"
        s = self.udp[0]
        s.close()
        s.bind(9999)
        n = generator._ip(17, 8 + 5)
        at = generator.at
        generator.frame[at : at + 13] = b"\x0f\xa0\x27\x0f\0\x0d\0\0hello"
        self.inject(generator._seal(n))
        assert s.recv_into(self.room) == 5 and self.room[:5] == b"hello"
        s = self.tcp[0]
        s.abort()
        self.settle()
        s.pause_synack(False)
        s.listen(9999)
        w = s.w
        self._segment(1000, 0, 2)
        assert s.state == "SYN-RECEIVED", s.state
        self._segment(w[16], w[15] + 1, 16)
        assert s.state == "ESTABLISHED", s.state
        self._segment(w[16], w[15], 24, b"hello")
        assert s.recv_into(self.room) == 5 and self.room[:5] == b"hello"
        assert s.send(b"world") == 5
        self.poll()
        assert bytes(device.last[device.last_size - 5 : device.last_size]) == b"world"
        self._segment(w[16], w[15] + 5, 17)
        assert s.state == "CLOSE-WAIT", s.state
        s.close()
        self.poll()
        self._segment(w[16], w[15] + 1, 16)
        assert s.state == "CLOSED", s.state

    def _segment(self, seq, ack, flags, data=b""):
        generator = self.generator
        end = generator._ip(6, 20 + len(data))
        generator._tcp_header(4000, 9999, seq, ack, flags, b"", end)
        generator.frame[end - len(data) : end] = data
        self.inject(generator._seal(end))

    # Is all well inside?

    def check(self):
        self.check_canaries()
        for s in self.tcp:
            self._check_tcp(s)
        for s in self.udp + self.icmp + self.raw:
            check_packets(s._rx)
            check_packets(s._tx)
            if len(s._tx):
                assert self._marked(s.slot), "a datagram waits unmarked: %r" % s
        self._check_set()
        if self.ether:
            self._check_neighbors()

    def _marked(self, slot):
        sockets = self.sockets
        return (
            next_bit(sockets.marks, slot, slot + 1) == slot
            or next_bit(sockets.blocked, slot, slot + 1) == slot
        )

    def _check_tcp(self, s):
        w = s.w
        state = w[14]
        what = "%s %s" % (s.state, list(w[14:59]))
        assert 0 <= state < STATES, what
        for at, buffer in ((23, s.rx_buffer), (26, s.tx_buffer)):
            assert w[at] == len(buffer) and 0 <= w[at + 1] < w[at], what
            assert 0 <= w[at + 2] <= w[at], what
        assert 0 <= w[30] & 15 <= 14 and 0 <= w[30] >> 4 <= 14, what
        for at in range(36, 42):
            assert -1 <= w[at] <= WRAP, what
        assert 0 < w[44] <= 60000 and w[42] >= 0 and w[43] >= 0 and 0 <= w[45], what
        count = w[99]
        edge = 0
        for i in range(count):
            left, right = w[100 + 2 * i], w[101 + 2 * i]
            assert edge < left < right, what
            edge = right
        marked = self._marked(s.slot)
        flags = w[32]
        if state < 2:
            assert marked or not flags & 128, "a RST waits unmarked: " + what
            assert w[18] == 0 and w[17] == 0 and w[26 + 2] == 0, what
            for at in range(36, 41):
                assert w[at] == -1, what
            return
        # Windows.
        assert w[22] >= 0 and w[22] + w[25] <= w[23], what
        assert edge <= w[22], what  # what is held out of order was announced
        assert w[19] >= 0 and w[29] > 0, what
        end = 1 if state < 4 else w[28] + (1 if state in (5, 8, 9) else 0)
        assert 0 <= w[17] <= w[18] <= end, what
        assert w[49] <= w[18] and w[50] >= 0 and w[48] >= 0, what
        # It never hangs: whatever is in flight or waits has a timer or will be asked.
        timers = w[36] >= 0 or w[39] >= 0
        held = state == 3 and flags & 256  # the program withholds the SYN+ACK
        if w[18] and not (timers or marked or held):
            assert False, "in flight and no timer: " + what
        if w[28] > w[17] and state >= 4 and not (timers or marked):
            assert False, "queued and no timer: " + what
        if state in (2, 3) and not (timers or marked or held):
            assert False, "opening and no timer: " + what
        if state >= 4:
            assert marked or not flags & 8, "an ACK waits unmarked: " + what
            if w[50] > 0:
                assert w[37] >= 0 or flags & 8, "octets unacknowledged and no timer: " + what
            if s.keep_alive and state != 10:
                assert w[38] >= 0 or marked, "no keep-alive timer: " + what
        if s.timeout and w[18] and state != 10:
            assert w[40] >= 0 or marked, "no user timeout: " + what
        if state == 10:
            assert w[40] >= 0, what
        least = -1
        for at in range(36, 41):
            if w[at] >= 0:
                left = (w[at] - self.now) & WRAP
                if left > WRAP >> 1:
                    left = 0
                if least < 0 or left < least:
                    least = left
        if least >= 0:
            t = self.sockets.deadlines.times[s.slot]
            left = (t - self.now) & WRAP
            assert t >= 0 and (left <= least or left > WRAP >> 1), "the set sleeps: " + what

    def _check_set(self):
        """The demux has every open socket, once, in the right chain."""
        sockets = self.sockets
        table = sockets.table
        bound = 0
        for s in sockets:
            kind = table[16 + 16 * s.slot + 12]
            assert -1 <= kind < 4
            if s.protocol == 6:
                assert (kind >= 0) == (s.w[14] != 0), "%r is %d in the demux" % (s, kind)
                if kind >= 0:
                    for i in range(12):
                        assert table[16 + 16 * s.slot + i] == s.w[i], s
            if kind >= 0:
                bound += 1
            t = sockets.deadlines.times[s.slot]
            if t >= 0:
                assert sockets.earliest >= 0
                assert (t - sockets.earliest) & WRAP <= WRAP >> 1, "the set oversleeps"
        assert bound == table[4] + table[5] + table[6] + table[7]
        chained = 0
        for chain in range(table[0] + 1):
            slot = table[table[1] + chain]
            while slot:
                chained += 1
                assert chained <= bound, "a ring in a chain"
                entry = 16 + 16 * (slot - 1)
                assert table[entry + 13] == chain and table[entry + 12] >= 0
                slot = table[entry + 14]
        assert chained == bound

    def _check_neighbors(self):
        neighbors = self.iface.neighbors
        words = neighbors.words
        incomplete = pending = taken = 0
        for i in range(neighbors.capacity):
            at = 16 + 16 * i
            place = words[at + 10]
            if words[at] == 1:
                incomplete += 1
            if place >= 0:
                taken += 1
                assert neighbors._taken[place] == 1 and words[at] != 0
                if words[at] == 2:
                    pending += 1
        assert incomplete == neighbors.incomplete, "incomplete"
        assert pending == neighbors.pending, "pending"
        assert taken == sum(neighbors._taken), "taken"


def check_packets(ring):
    words = ring.words
    capacity, read_at, length, slots, first, count, meta = [words[i] for i in range(7)]
    assert capacity == len(ring.buffer) and 0 <= length <= capacity
    assert 0 <= read_at < capacity or capacity == 0
    assert 0 <= count <= slots and 0 <= first < slots
    total = 0
    for i in range(count):
        total += words[7 + (first + i) % slots * (meta + 1)]
    assert total == length


WORLDS = (
    {},
    {"medium": IP, "raw_all": True},
    {"mtu": 300, "neighbors": 2, "waiting": 1},
    {"checksums": 15},
    {"medium": IP, "mtu": 576, "checksums": 15, "any_ip": True},
    {"medium": IP, "mtu": 100},
    {"any_ip": True, "echo_broadcast": True, "mtu": 576, "raw_all": True},
)
