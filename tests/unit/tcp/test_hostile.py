"""Hostile segments at sockets in every state: invariants after each, nothing allocated.

The polls run with the heap locked, the buffers lie between canaries, every octet of text tells
its sequence number, and the clock, the window and the program do what they like in between.
"""

# heap: 16m

import micropython
from slow import rounds
from tcp_support import Peer

from smolmp.prng import Random

STATES = (
    "LISTEN",
    "SYN-SENT",
    "SYN-RECEIVED",
    "ESTABLISHED",
    "FIN-WAIT-1",
    "FIN-WAIT-2",
    "CLOSE-WAIT",
    "CLOSING",
    "LAST-ACK",
    "TIME-WAIT",
)
HEARD_FIN = ("CLOSE-WAIT", "CLOSING", "LAST-ACK", "TIME-WAIT")
FLAGS = ("A", "A", "A", "PA", "FA", "FPA", "S", "SA", "R", "RA", "AU", "P", "", "AEC")
RAMP = bytes([i & 255 for i in range(256 + 1460)])
TEXT = bytes(range(1, 200)) * 10
CANARY = b"\xa5" * 64


class Hostile:
    """One Peer; sockets are walked into a state, maltreated and thrown away."""

    def __init__(self, seed, rx, tx, raw=False, **options):
        self.random = Random(seed)
        self.peer = Peer(seed=seed, isn=0x7FFFFFFF - seed if seed & 1 else 0xFFFFFFFF - seed)
        if raw:
            self.peer.iface.checksums |= 4  # RX_TCP: damaged segments come through
        self.raw = raw
        self.options = options
        self.sizes = (rx, tx)
        self.arenas = [bytearray(CANARY + bytes(n) + CANARY) for n in self.sizes]
        self.buf = bytearray(3000)
        self.socket = None
        self.segments = 0

    def below(self, n):
        return self.random.bits(24) % n

    def pick(self, items):
        return items[self.below(len(items))]

    def fresh(self, state):
        p = self.peer
        if self.socket is not None:
            p.sockets.remove(self.socket)
            p.drain()
            while p.device.recv(p.iface.view):
                pass
        p.iss = None
        rx, tx = [memoryview(self.arenas[i])[64 : 64 + self.sizes[i]] for i in (0, 1)]
        options = dict(self.options)
        if state in ("LISTEN", "SYN-SENT", "SYN-RECEIVED"):
            for name in ("sack", "tsval", "mss", "scale", "window"):
                options.pop(name, None)
        self.socket = p.reach(state, rx=rx, tx=tx, **options)
        self.socket.timeout = self.pick((0, 0, 5000))

    # Segments.

    def sequence(self):
        """A number near an edge of the receive window."""
        w = self.socket.w
        edge = self.pick((0, 0, 0, 0, w[22], w[22] // 2, -w[25], 1 << 31, 1 << 30))
        return (
            (w[16] & 0xFFFFFFFF) + edge + self.pick((0, 0, 0, -1, 1, -2, self.below(2000) - 999))
        )

    def acknowledgement(self):
        w = self.socket.w
        edge = self.pick((0, 0, w[18], w[18], w[18], w[17], w[18] // 2, w[28], -w[56], 1 << 31))
        return (w[15] & 0xFFFFFFFF) + edge + self.pick((0, 0, 0, 0, -1, 1, self.below(100) - 50))

    def packet(self):
        p = self.peer
        w = self.socket.w
        sequence = self.sequence()
        n = self.pick((0, 0, 0, 1, 2, w[22] & 1023, (w[22] + 1) & 1023, 536, self.below(1440)))
        options = {}
        if self.below(2) and "tsval" in self.options:
            options["tsval"] = self.pick((1, 2, 3, 1 << 31, 0xFFFFFFFF))
            options["tsecr"] = self.random.bits(29) << 3
        kind = self.below(12)
        if kind == 0:
            options["blocks"] = tuple(
                (self.sequence(), self.sequence()) for _ in range(1 + self.below(3))
            )
        elif kind == 1:
            options["mss"] = self.pick((0, 1, 48, 536, 65535))
            options["scale"] = self.pick((0, 1, 14, 15, 255))
            options["sack"] = True
        elif kind == 2:
            options["remote_port"] = 49500 + self.below(3)
        elif kind == 3:
            options["user_timeout"] = self.pick((0, 1, 0x7FFF, 0x8000, 0xFFFF))
        start = sequence & 255
        packet = p.packet(
            self.pick(FLAGS),
            sequence - p.isn,
            self.acknowledgement() - (p.iss or 0),
            RAMP[start : start + n],
            self.pick((0, 1, 50, 1000, 8192, 65535, self.below(65536))),
            **options,
        )
        if self.raw:
            for _ in range(self.below(4)):
                # Not the ports: strangers are another test.
                i = 24 + self.below(min(44, len(packet) - 24))
                packet[i] = self.below(256)
            if self.below(8) == 0:
                packet[32] = self.pick((0x50, 0x60, 0x70, 0x80, 0xA0, 0xF0, 0x40, 0x00))
        return packet

    # The program.

    def act(self):
        s = self.socket
        what = self.below(40)
        try:
            if what < 6:
                s.send(TEXT, 0, self.below(len(TEXT)))
            elif what < 14:
                self.read(1 + self.below(len(self.buf)))
            elif what == 14:
                s.close()
            elif what == 15 and self.below(4) == 0:
                s.abort()
            elif what == 16:
                s.nagle = self.pick((True, False, "minshall"))
            elif what == 17:
                s.keep_alive = self.pick((0, 100, 5000))
            elif what == 18:
                s.ack_delay = self.pick((0, 10, 500))
            elif what == 19:
                s.quick_acks = self.pick((0, 1, 16))
            elif what == 20:
                s.advertised_timeout = self.pick((0, 1, 100000, (1 << 29) - 1))
            elif what == 21:
                s.keep_alive_interval = self.pick((0, 1, 300))
                s.keep_alive_count = self.pick((0, 1, 9))
            elif what == 22:
                s.linger = self.pick((None, None, 0, 1, 3000))
                s.fin_wait_2 = self.pick((0, 1, 60000))
            elif what == 23:
                s.shutdown(self.below(3))
            elif what == 24:
                s.stats()
        except OSError:
            pass
        p = self.peer
        p.now += self.pick((0, 0, 0, 0, 1, 3, 10, 200, 1000, 3000, 61000))

    def read(self, n):
        """Every octet that is read is what its sequence number says."""
        s = self.socket
        w = s.w
        state = s.state
        first = (w[16] & 0xFFFFFFFF) - w[25] - (1 if state in HEARD_FIN else 0)
        n = s.recv_into(self.buf, n)
        if n and state != "CLOSED" and not self.raw:
            start = first & 255
            data = bytes(self.buf[:n])
            for at in range(0, n, 256):
                piece = data[at : at + 256]
                assert piece == RAMP[start : start + len(piece)], (state, at, n)

    def step(self):
        p = self.peer
        for _ in range(1 + self.below(3)):
            p.device.inject(self.packet())
            self.segments += 1
        now = p.now & 0x3FFFFFFF
        micropython.heap_lock()
        try:
            p.iface.poll(now, p.sockets)
        finally:
            micropython.heap_unlock()
        self.check()
        for g in p.drain():  # each is well-formed, its checksum right
            assert len(g.payload) <= 1460 and not ("S" in g.flags and g.payload)
        self.act()

    # What always holds.

    def check(self):
        s = self.socket
        w = s.w
        state = w[14]
        about = (s, list(w))
        assert 0 <= state <= 10, about
        for at, size in ((23, self.sizes[0]), (26, self.sizes[1])):
            assert w[at] == size and 0 <= w[at + 1] < size and 0 <= w[at + 2] <= size, about
        assert 0 <= w[17] <= w[18] <= w[28] + 1, about  # SND.NXT, SND.MAX, text and SYN or FIN
        assert 0 <= w[22] <= w[23] - w[25], about  # RCV.ADV: only what there is room for
        assert w[30] & 15 <= 14 and w[30] >> 4 <= 14 and 0 <= w[19] <= 65535 << 14, about
        if state > 1:
            assert w[29] >= 1 and -w[18] <= w[49] <= w[18], about  # MSS, recovery point
        held = w[99]
        if held and 4 <= state <= 6:
            assert w[100] > 0, about
            assert w[99 + 2 * held] <= w[22], about
        if 4 <= state <= 6:
            assert w[53] == -1 or 0 < w[53] <= w[22] or w[53] < 0, about
        if state == 10:
            assert w[40] >= 0, about  # TIME-WAIT ends
        elif w[18] and state > 1:
            assert w[36] >= 0 or w[39] >= 0, about  # what is in flight has a timer
        for arena in self.arenas:
            assert arena[:64] == CANARY and arena[-64:] == CANARY, about

    def run(self, turns, steps):
        for _ in range(turns):
            for state in STATES:
                self.fresh(state)
                for _ in range(steps):
                    self.step()
                    if self.socket.w[14] == 0:
                        if self.below(3) == 0:
                            self.socket.listen(80)
                            self.peer.port = 80
                        elif self.below(3) == 0:
                            break
        assert self.segments > turns * len(STATES) * steps // 2


# not from .mpy files: a story does not fit beside them
def test_plain():
    Hostile(1, 4096, 4096).run(rounds(8), 30)


# not on a board: minutes of segments
def test_all_options():
    Hostile(
        2, 8192, 2048, holes=4, timestamps=True, tsval=1, sack=True, mss=1460, scale=2, window=8192
    ).run(rounds(8), 30)


# not from .mpy files: a story does not fit beside them
def test_small_odd_buffers():
    Hostile(3, 61, 37, holes=1, sack=True, mss=48).run(rounds(8), 30)
    Hostile(4, 1, 1, holes=1).run(rounds(2), 30)


# not on a board: minutes of segments
def test_large_scaled_buffers():
    Hostile(5, 200000, 70000, scale=14, sack=True, window=65535).run(rounds(3), 30)


# not from .mpy files: a story does not fit beside them
def test_damaged_segments():
    options = {"sack": True, "mss": 1460, "timestamps": True, "tsval": 1}
    Hostile(6, 4096, 4096, raw=True, **options).run(rounds(8), 30)


# not on a board: minutes of segments
def test_damaged_segments_without_options():
    Hostile(7, 1000, 1000, raw=True).run(rounds(8), 30)
