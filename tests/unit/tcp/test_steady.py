"""steady.bind(): the poll and the answer of a loop do what the Interface's do, in short."""

from tcp_support import Peer

from smolmp.iface import steady
from smolmp.socket import tcp

PORTS = (80, 81)


class Side:
    """Two connections, polled one way or the other."""

    def __init__(self, short, limit=0, fetches=False):
        self.p = p = Peer(seed=5, iss=7000)
        self.sockets = []
        for port in PORTS:
            s = p.listen(port)
            s.nagle = False
            p.send("S", 0, window=8192)
            p.expect("SA", 0, 1)
            p.send("A", 1, 1, window=8192)
            assert s.state == "ESTABLISHED", s.state
            self.sockets.append(s)
        self.out()
        self.left = limit  # frames that the device takes, 0: any number
        if limit:
            self.send = p.device.send
            p.device.send = self.limited
            p.iface.bind()
        if short:
            self.poll, self.answer = steady.bind(p.iface, p.sockets)
            if fetches:  # as a loop does that has waited
                poll = self.poll
                view = p.iface.view
                self.poll = lambda now, budget: poll(now, budget, p.device.recv(view))
        else:
            self.poll = lambda now, budget=64: p.iface.poll(now, p.sockets, budget)
            self.answer = lambda now: p.iface.poll_egress(now, p.sockets)

    def limited(self, buf, start, end):
        if not self.left:
            return False
        self.left -= 1
        return self.send(buf, start, end)

    def out(self):
        packets = []
        while True:
            n = self.p.device.take_into(self.p.buf)
            if not n:
                return packets
            packets.append(bytes(self.p.buf[:n]))

    def turn(self, budget):
        """What a loop does once; what there was to see of it."""
        p = self.p
        now = p.now & 0x3FFFFFFF
        changed = list(self.poll(now, budget))
        seen = [[s.slot for s in changed], p.iface.more[0], self.out()]
        for s in changed:
            data = s.recv(1000)
            if data:
                s.send(data)
        seen.append(self.answer(now) != 0)
        seen.append(self.out())
        seen.append([(s.recv_queue(), s.send_queue()) for s in self.sockets])
        seen.append(p.iface.poll_delay(now, p.sockets))
        return seen


def pair(**options):
    """One that polls as usual, and one that does it in short"""
    return Side(False), Side(True, **options)


def both(sides, act, budget=64):
    seen = []
    for side in sides:
        act(side)
        seen.append(side.turn(budget))
    for one, other in zip(*seen):
        assert one == other, (one, other)
    return seen[0]


def test_a_round_trip():
    sides = pair()
    for i in range(5):

        def text(side, i=i):
            side.p.send("PA", 1 + i, 1 + i, b"x", port=80, poll=False)

        seen = both(sides, text)
        assert seen[0] == [0] and len(seen[4]) == 1 and seen[2] == [], seen
    assert both(sides, lambda side: None)[0] == []


# not on a board: a loop that boards have no use for
def test_a_script_of_everything():
    script_of_everything(False)


# not on a board: a loop that boards have no use for
def test_a_script_of_everything_whose_first_frames_are_fetched():
    script_of_everything(True)


def script_of_everything(fetches):
    for seed in range(6):
        sides = pair(fetches=fetches)
        state = [seed * 7919 + 1]

        def draw(n, state=state):
            state[0] = (state[0] * 75 + 74) % 65537
            return state[0] * n // 65537

        seq = [1, 1]
        told = 0
        for _ in range(120):
            packets = []
            for _ in range(draw(4)):
                i = draw(2)
                what = draw(8)
                text = bytes(draw(120))
                ack = sides[0].sockets[i].w[18]  # what is in flight: all, or none of it
                port = PORTS[i]
                if what < 6:
                    packets.append(("PA", seq[i], text, port, ack if what < 4 else 0, False))
                    seq[i] += len(text)
                elif what == 6:  # damaged
                    packets.append(("PA", seq[i], b"bad", port, 0, True))
                else:  # out of order
                    packets.append(("PA", seq[i] + 50, b"later", port, 0, False))
            ms = (0, 0, 0, 1, 7, 40)[draw(6)]
            budget = (1, 2, 64)[draw(3)]

            def act(side, ms=ms, packets=packets):
                p = side.p
                p.pass_time(ms, poll=False)
                for flags, at, text, port, ack, damaged in packets:
                    i = PORTS.index(port)
                    una = 1 + side.sockets[i].stats()["sent"]
                    packet = p.packet(flags, at, una + ack, text, port=port)
                    if damaged:
                        packet[-1] ^= 1
                    assert p.device.inject(packet)

            seen = both(sides, act, budget)
            told += len(seen[0])
        assert told > 50, told
        for a, b in zip(sides[0].sockets, sides[1].sockets):
            assert a.w == b.w
        assert sides[0].p.iface.stats() == sides[1].p.iface.stats()


def test_a_device_that_is_busy():
    sides = Side(False, 1), Side(True, 1)

    def two(side):
        for port in PORTS:
            side.p.send("PA", 1, 1, b"x", port=port, poll=False)

    seen = both(sides, two)
    assert seen[0] == [0, 1] and len(seen[4]) == 1, seen
    for side in sides:
        side.left = 5
        side.p.now += 1
    seen = both(sides, lambda side: None)
    assert len(seen[2]) == 1, seen


# not on a board: a loop that boards have no use for
def test_more_sockets_than_before():
    """The set's words move when it grows: what was bound goes on."""
    sides = pair()
    for side in sides:
        for _ in range(40):
            side.p.sockets.add(tcp.Socket(64, 64))
    seen = both(sides, lambda side: side.p.send("PA", 1, 1, b"x", port=81, poll=False))
    assert seen[0] == [1] and len(seen[4]) == 1, seen
