"""Hostile segments at a listener: invariants after each poll, nothing allocated.

Several hosts talk at random, near what half-open connections, cookies and open ones expect; the
program accepts, reads, gives back, closes and listens again; time jumps, across its wrap.
"""

# heap: 16m

import sys

import micropython
from tcp_support import Peer

from smolmp.prng import Random
from smolmp.socket import tcp

FLAGS = ("S", "S", "S", "S", "A", "A", "A", "A", "PA", "FA", "SA", "R", "RA", "P", "", "FPA")
PORTS = (1000, 1001, 1002, 1003, 1004, 1005)
TEXT = bytes(range(200))
ROUNDS = 1500 if sys.implementation.name == "micropython" else 150
FREE, WAITING, ACCEPTED, LEAVING = 0, 1, 2, 3
PENDING, HELD, DOOMED = 1 << 24, 1 << 25, 1 << 26
WRAP = 0x3FFFFFFF


class Hostile:
    def __init__(self, seed, raw=False, **options):
        self.random = Random(seed)
        self.peer = Peer(seed=seed, isn=0x7FFFFF00 if seed & 1 else 0xFFFFFF00)
        if raw:
            self.peer.iface.checksums |= 4  # damaged segments come through
        self.raw = raw
        options["backlog"] = options.get("backlog", 2)
        self.listener = self.peer.sockets.add(tcp.Listener(**options))
        self.listener.linger = 3000
        self.listener.listen(80)
        self.numbers = {}  # port -> our ISS as the host knows it
        self.taken = []
        self.buf = bytearray(600)
        self.accepted = 0
        self.syn_acks = 0

    def below(self, n):
        return self.random.bits(24) % n

    def pick(self, items):
        return items[self.below(len(items))]

    def packet(self):
        p = self.peer
        port = self.pick(PORTS)
        p.iss = self.numbers.get(port, 0)
        flags = self.pick(FLAGS)
        options = {}
        if "S" in flags and self.below(2):
            options["mss"] = self.pick((0, 48, 536, 1460, 65535))
            options["scale"] = self.below(16)
            options["sack"] = True
        if self.below(2):
            options["tsval"] = self.pick((0, 5, 6, 1 << 31, 0xFFFFFFFF))
            options["tsecr"] = p.iss + self.below(100)
        seq = self.pick((0, 0, 1, 1, 1, 1, 2, 100, 600, 1 << 30, 1 << 31)) + self.below(3) - 1
        if "S" in flags:
            seq = self.pick((0, 0, 0, 0, seq))
        elif self.below(3):
            seq = 1
        packet = p.packet(
            flags,
            seq,
            self.pick((1, 1, 1, 1, 1, 1, 0, 2, self.below(100), 1 << 24, 1 << 31)),
            TEXT[: self.pick((0, 0, 0, 1, 7, 200))],
            self.pick((0, 1, 500, 8192, 65535)),
            remote_port=port,
            **options,
        )
        if self.raw:
            for _ in range(self.below(3)):
                packet[24 + self.below(len(packet) - 24)] = self.below(256)
        return packet

    def act(self):
        """The program."""
        listener = self.listener
        what = self.below(30)
        try:
            if what < 8:
                s = listener.accept()
                if s is not None:
                    assert s not in self.taken
                    self.taken.append(s)
                    self.accepted += 1
            elif what < 16 and self.taken:
                s = self.pick(self.taken)
                if what == 8:
                    s.close()
                elif what == 9:
                    s.abort()
                elif what < 13:
                    self.taken.remove(s)
                    listener.release(s)
                elif what == 13:
                    s.send(TEXT)
                else:
                    s.recv_into(self.buf)
            elif what == 16 and self.below(10) == 0:
                listener.close()
            elif what == 17:
                listener.listen(80)
        except OSError:
            pass
        self.peer.now += self.pick((0, 0, 0, 0, 0, 1, 50, 500, 1000, 4000, 20000))

    def step(self):
        p = self.peer
        for _ in range(1 + self.below(3)):
            p.device.inject(self.packet())
        now = p.now & WRAP
        micropython.heap_lock()
        try:
            changed = p.iface.poll(now, p.sockets)
        finally:
            micropython.heap_unlock()
        for s in changed:
            assert s is self.listener or s in self.taken, s
        for g in p.drain():
            if "S" in g.flags:
                self.numbers[g.destination_port] = p.iss
                self.syn_acks += 1
        self.check()
        self.act()
        self.check()

    # What always holds.

    def check(self):
        listener = self.listener
        half = listener.half
        sockets = self.peer.sockets
        about = (listener, list(half.words))
        flags = [half.flags(i) for i in range(half.capacity) if half.used(i)]
        assert len(flags) == half.capacity - half.spare, about
        assert sum([f & PENDING != 0 for f in flags]) == half.pending, about
        for i in range(half.capacity):
            due = half.deadlines.times[i]
            if not half.used(i):
                assert due < 0 and not half.flags(i) & PENDING, about
            elif half.flags(i) & DOOMED:
                assert due < 0 and half.flags(i) & PENDING, about
            else:
                assert due >= 0, about
        if listener.state == "CLOSED":
            assert listener.waiting() == 0, about
        pool, places = listener._pool, listener._places
        queue = list(listener._queue)[: listener.waiting()]
        assert len(set(queue)) == len(queue) <= listener.backlog, about
        for i, s in enumerate(pool):
            assert (places[i] == WAITING) == (i in queue), about
            assert (places[i] == ACCEPTED) == (s in self.taken), about
            if places[i] == FREE:
                assert not s.is_open(), (about, s)
            if places[i] == LEAVING and s.is_open():
                assert half.deadlines.times[half.capacity + i] >= 0, about
            if places[i] == WAITING:
                assert s.state in ("ESTABLISHED", "CLOSE-WAIT", "CLOSED"), s
        earliest = half.deadlines.earliest()
        if earliest >= 0:
            known = sockets.deadlines.times[listener.slot]
            assert known >= 0 and (earliest - known) & WRAP < 1 << 29, (known, earliest)

    def run(self, rounds=ROUNDS):
        for _ in range(rounds):
            self.step()
        # Given time and nothing else, all of it ends.
        listener = self.listener
        listener.close()
        while self.taken:
            s = self.taken.pop()
            s.abort()
            listener.release(s)
        for _ in range(40):
            self.peer.pass_time(5000)
            self.peer.drain()
        assert listener.half_open() == 0 and listener.free() == len(listener._pool), listener
        assert self.peer.sockets.deadlines.running() == 0 and not self.peer.sockets.has_marks()


# not on a board: minutes of segments
def test_records():
    h = Hostile(1, half_open=4, rx=500, tx=300)
    h.run()
    assert h.accepted > ROUNDS // 100 and h.syn_acks > ROUNDS // 10, (h.accepted, h.syn_acks)


# not on a board: minutes of segments
def test_cookies():
    h = Hostile(2, half_open=0, rx=500, tx=300, timestamps=True)
    h.run()
    assert h.accepted > ROUNDS // 100, h.accepted


# not on a board: minutes of segments
def test_records_and_cookies_with_scaling():
    h = Hostile(3, half_open=1, backlog=1, pool=3, rx=100000, tx=100, timestamps=True)
    h.run()
    assert h.accepted > ROUNDS // 100, h.accepted


# not on a board: minutes of segments
def test_overflow_resets():
    Hostile(4, half_open=2, backlog=1, rx=1, tx=1, overflow="reset").run()


# not on a board: minutes of segments
def test_damaged_segments():
    Hostile(5, raw=True, half_open=3, rx=500, tx=300, timestamps=True).run()
    Hostile(6, raw=True, half_open=1, rx=500, tx=300).run(ROUNDS // 2)
