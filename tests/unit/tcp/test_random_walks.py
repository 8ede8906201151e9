"""Random walks through the state machine, beside a second one: RFC 9293 3.10 in plain numbers.

A peer with one stream sends pieces of it in any order, again, beyond the window, with any flags
and ACKs; the program opens, writes, reads, closes, aborts; time passes. After every step both
machines are in the same state, at the same SND.UNA and RCV.NXT, and hold the same text. At last
everybody behaves, and the connection comes to its end with both streams whole.
"""

# heap: 16m

from tcp_support import PEER, PEER_PORT, Peer

from smolmp.prng import Random

STREAM = bytes([i * 7 & 255 for i in range(400)])  # the peer's
OURS = bytes([i * 11 & 255 for i in range(600)])
SYNCHRONIZED = ("ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "CLOSE-WAIT", "CLOSING", "LAST-ACK")
RECEIVES = ("ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2")


class Model:
    """RFC 9293 3.10.7 by the letter, with RFC 5961; numbers count from the ISNs.

    `nxt` is SND.NXT's highest, `edge` the right edge of the window, both as seen on the wire.
    """

    def __init__(self):
        self.state = "CLOSED"
        self.passive = False
        self.begin("CLOSED")

    def begin(self, state):
        self.state = state
        self.una = self.nxt = 0
        self.rcv = self.edge = 0
        self.held = set()  # octets that came early
        self.peer_fin = None
        self.fin = None  # where ours stands
        self.closed = False  # close() in SYN-RECEIVED
        self.queued = 0  # octets that the program ever wrote
        self.read = 0
        self.readable = 0
        self.most = 0  # MAX.SND.WND
        self.window_from = (0, 0)
        self.reset = False  # an RST may come out
        self.until = None  # TIME-WAIT's end

    def end(self):
        """To CLOSED; a listener whose handshake failed, to LISTEN."""
        again = self.passive and self.state == "SYN-RECEIVED" and not self.closed
        self.state = "LISTEN" if again else "CLOSED"

    # Calls.

    def close(self):
        if self.state in ("LISTEN", "SYN-SENT"):
            self.state = "CLOSED"
        elif self.state == "SYN-RECEIVED":
            self.closed = True
        elif self.state in ("ESTABLISHED", "CLOSE-WAIT"):
            self.state = "FIN-WAIT-1" if self.state == "ESTABLISHED" else "LAST-ACK"
            self.fin = 1 + self.queued

    def abort(self):
        self.reset = self.state in RECEIVES + ("SYN-RECEIVED", "CLOSE-WAIT")
        if self.state in ("CLOSING", "LAST-ACK") and self.una <= self.queued:
            self.reset = True  # text is lost: RFC 9293 would not have sent the FIN yet
        self.state = "CLOSED"

    # Segments.

    def arrives(self, flags, seq, ack, n, window, now):
        if self.state == "CLOSED":
            self.reset = "R" not in flags
        elif self.state == "LISTEN":
            self.in_listen(flags, seq, window)
        elif self.state == "SYN-SENT":
            self.in_syn_sent(flags, seq, ack, window, now)
        else:
            self.in_others(flags, seq, ack, n, window, now)

    def in_listen(self, flags, seq, window):
        if "R" in flags:
            return
        if "A" in flags:
            self.reset = True
        elif "S" in flags:
            self.begin("SYN-RECEIVED")
            self.rcv = seq + 1
            self.edge = 0
            self.most = window
            self.window_from = (seq, 0)

    def in_syn_sent(self, flags, seq, ack, window, now):
        right = "A" in flags and self.una < ack <= self.nxt
        if "A" in flags and not right:
            self.reset = "R" not in flags
        elif "R" in flags:
            if right:
                self.state = "CLOSED"
        elif "S" in flags:
            self.rcv = seq + 1
            self.edge += self.rcv
            self.most = window
            self.window_from = (seq, ack if right else 0)
            if right:
                self.opened()
            else:
                self.state = "SYN-RECEIVED"

    def opened(self):
        self.una = 1
        self.state = "ESTABLISHED"
        if self.closed:
            self.close()

    def acceptable(self, seq, n):
        window = self.edge - self.rcv
        if n == 0:
            return self.rcv <= seq <= self.edge  # the edge itself too, see receive.py
        if window == 0:
            return seq == self.rcv  # its ACK, RST or FIN must be heard (3.10.7.4, first)
        return seq < self.edge and seq + n > self.rcv

    def in_others(self, flags, seq, ack, n, window, now):
        if not self.acceptable(seq, n + ("S" in flags or "F" in flags)):
            if "F" in flags and self.state == "TIME-WAIT":
                self.until = now + 10000
            return
        if "R" in flags:
            if self.state != "TIME-WAIT" and seq == self.rcv:
                self.end()
            return
        if "S" in flags:
            if self.state == "SYN-RECEIVED" and self.passive and seq >= self.rcv:
                self.end()
            return
        if "A" not in flags:
            return
        if self.state == "SYN-RECEIVED":
            if not self.una < ack <= self.nxt:
                self.reset = True
                return
            self.opened()
        if ack > self.nxt or ack < self.una - self.most:
            return
        if ack >= self.una and (seq, ack) >= self.window_from:
            self.window_from = (seq, ack)  # SND.WL1, SND.WL2
            self.most = max(self.most, window)
        if ack > self.una:
            self.una = ack
            if self.fin is not None and ack == self.fin + 1:
                if self.state == "FIN-WAIT-1":
                    self.state = "FIN-WAIT-2"
                elif self.state == "CLOSING":
                    self.time_wait(now)
                elif self.state == "LAST-ACK":
                    self.state = "CLOSED"
        if self.state in RECEIVES:
            self.text(seq, n, "F" in flags, now)

    def text(self, seq, n, fin, now):
        end = seq + n
        if end > self.edge:
            end = self.edge
            fin = False
        for at in range(max(seq, self.rcv), end):
            self.held.add(at)
        if fin:
            self.peer_fin = end
        while self.rcv in self.held:
            self.held.remove(self.rcv)
            self.rcv += 1
            self.readable += 1
        if self.rcv == self.peer_fin:
            self.rcv += 1
            self.edge = max(self.edge, self.rcv)
            if self.state == "ESTABLISHED":
                self.state = "CLOSE-WAIT"
            elif self.state == "FIN-WAIT-1":
                self.state = "CLOSING"
            else:
                self.time_wait(now)

    def time_wait(self, now):
        self.state = "TIME-WAIT"
        self.until = now + 10000

    # What was seen on the wire.

    def sent(self, g):
        if "R" in g.flags:
            assert self.reset, g
            return
        assert self.state not in ("CLOSED", "LISTEN"), g
        n = len(g.payload)
        if "S" in g.flags:
            assert g.seq == 0 and not n, g
            if g.ack is None:
                self.edge = max(self.edge, g.window)  # counted from RCV.NXT, unknown yet
        else:
            assert self.state != "SYN-RECEIVED" or not n, g
            assert g.payload == OURS[g.seq - 1 : g.seq - 1 + n], g
        if "F" in g.flags:
            assert self.fin == g.seq + n, (self.fin, g)
        self.nxt = max(self.nxt, g.seq + n + ("S" in g.flags or "F" in g.flags))
        if g.ack is not None:
            assert g.ack == self.rcv, (g, self.rcv)
            assert self.edge <= g.ack + g.window, "the window shrank"
            self.edge = g.ack + g.window


class Walk:
    def __init__(self, seed):
        self.random = Random(seed)
        self.p = Peer(seed=seed, isn=self.pick((0x7FFFFFF0, 0xFFFFFFF0, seed)))
        self.stamps = bool(self.below(2))  # timestamps and SACK
        rx, tx = self.pick((7, 60, 512)), self.pick((5, 64, 700))
        self.s = self.p.socket(rx, tx, holes=200, timestamps=self.stamps)
        self.s.congestion = "none"
        self.s.nagle = bool(self.below(2))
        self.m = Model()
        self.tsecr = 0
        self.log = []

    def below(self, n):
        return self.random.bits(24) % n

    def pick(self, items):
        return items[self.below(len(items))]

    def step(self):
        what = self.below(20)
        if self.m.state == "CLOSED":
            what = self.pick((0, 0, 0, 15))
        if what < 5:
            self.call()
            self.p.poll()
        elif what < 7:
            ms = self.pick((1, 10, 10, 200, 1000, 3000))
            self.log.append(ms)
            self.p.pass_time(ms)
        else:
            self.segment()
        self.compare()

    def compare(self):
        m, s = self.m, self.s
        if m.until is not None and m.state == "TIME-WAIT" and self.p.now >= m.until:
            m.state = "CLOSED"
        for g in self.p.drain():
            self.log.append(g)
            m.sent(g)
            self.tsecr = g.tsval or 0
        m.reset = False
        assert s.state == m.state, (s.state, m.state)
        assert s.recv_queue() == m.readable, (s.recv_queue(), m.readable)
        if m.state in SYNCHRONIZED:
            una = (s.w[15] - (self.p.iss or 0)) & 0xFFFFFFFF
            rcv = (s.w[16] - self.p.isn) & 0xFFFFFFFF
            assert (una, rcv) == (m.una, m.rcv), (una, rcv, m.una, m.rcv)
            text = m.queued + 1 - min(m.una, m.queued + 1)
            assert s.send_queue() == text, (s.send_queue(), text)

    def call(self):
        m, s = self.m, self.s
        name = self.pick(("write", "write", "read", "read", "close", "abort"))
        if m.state == "CLOSED":
            name = self.pick(("listen", "connect"))
            self.p.iss = None
            m.begin("LISTEN" if name == "listen" else "SYN-SENT")
            m.passive = name == "listen"
        if name in ("close", "abort") and self.below(3):
            name = "read"
        self.log.append(name)
        if name == "listen":
            self.p.port = 80
            s.listen(80)
        elif name == "connect":
            self.p.port = 49200
            s.connect(self.p.iface, (PEER, PEER_PORT), 49200)
        elif name == "close":
            m.close()
            s.close()
        elif name == "abort":
            m.abort()
            s.abort()
        elif name == "read" and m.readable:
            self.read(1 + self.below(300))
        elif name == "write" and s.can_send():
            self.write(1 + self.below(150))

    def segment(self):
        m = self.m
        flags = self.pick(("A", "A", "A", "A", "PA", "A", "FA", "FA", "S", "SA", "R", "RA", "P"))
        if "R" in flags and self.below(4):
            flags = "A"
        if m.state in ("LISTEN", "SYN-SENT") and self.below(2):
            flags = "S" if m.state == "LISTEN" else self.pick(("SA", "S"))
        if m.state == "TIME-WAIT" and flags == "S":
            flags = "SA"  # a SYN may begin something new there: that has tests of its own
        ack = self.pick((m.una, m.nxt, m.nxt, m.nxt, m.nxt + 1, m.una - 1, m.una - m.most - 1))
        if m.una < m.nxt and self.below(2):
            ack = m.una + 1 + self.below(m.nxt - m.una)
        end = 1 + len(STREAM)
        seq = self.pick((m.rcv, m.rcv, m.rcv - 1, m.rcv - 9, m.edge, m.edge - 3, m.edge + 1))
        if self.below(3) == 0:
            seq = m.rcv + self.below(max(1, m.edge - m.rcv))
        n = 0
        if "S" in flags:
            if m.state in ("LISTEN", "SYN-SENT"):
                seq = 0
        elif "R" not in flags:
            # A piece of the stream, its FIN if it ends there.
            n = self.pick((0, 1, 3, 20, 100, 400))
            if seq < 1:
                seq, n = max(seq, 0), 0
            if end + 1 < seq <= m.edge:
                seq = m.edge + 1  # it ends there; what it says of windows must not be the newest
            if seq + n > end:
                n = max(0, end - seq)
            if "F" in flags and seq + n != end:
                flags = "A"
        self.send(flags, seq, ack, n, self.pick((0, 1, 30, 200, 8192, 8192)))

    def send(self, flags, seq, ack, n, window):
        text = STREAM[seq - 1 : seq - 1 + n] if n else b""
        assert len(text) == n
        self.log.append((flags, seq, ack, n, window))
        self.m.arrives(flags, seq, ack, n, window, self.p.now)
        options = {"sack": True} if "S" in flags and self.stamps else {}
        if self.stamps:
            options["tsval"] = self.p.now
            options["tsecr"] = self.tsecr if "A" in flags else 0
        self.p.send(flags, seq, ack, text, window=window, **options)

    def read(self, n):
        m = self.m
        got = self.s.recv(n)
        assert got == STREAM[m.read : m.read + len(got)], "other text"
        m.read += len(got)
        m.readable -= len(got)

    def write(self, n):
        m = self.m
        m.queued += self.s.send(OURS, m.queued, min(n, len(OURS) - m.queued)) or 0

    def finish(self):
        """A peer that fills holes, takes all and closes; a program that does the same."""
        m = self.m
        for _ in range(400):
            if m.state in ("CLOSED", "LISTEN"):
                return
            while m.readable:
                self.read(300)
            if self.s.can_send() and m.queued < len(OURS):
                self.write(len(OURS))
            elif self.s.may_send() and m.queued == len(OURS):
                m.close()
                self.s.close()
            self.p.pass_time(100)
            self.compare()
            if m.state == "SYN-SENT":
                self.send("SA", 0, m.nxt, 0, 8192)
            elif m.state not in ("CLOSED", "LISTEN", "TIME-WAIT"):
                end = 1 + len(STREAM)
                n = max(0, min(m.edge - m.rcv, end - m.rcv, 300))
                self.send("FA" if m.rcv + n == end else "A", m.rcv, m.nxt, n, 8192)
            self.compare()
        raise AssertionError("it does not end")


def walks(first, count, steps):
    seen = set()
    for seed in range(first, first + count):
        walk = Walk(seed)
        try:
            for _ in range(steps):
                before = walk.m.state
                walk.step()
                if walk.m.state != before:
                    seen.add((before, walk.m.state))
            walk.finish()
        except Exception:
            print("seed", seed, walk.s, walk.log[-20:])
            raise
    return seen


# not on a board: minutes of segments
def test_walks():
    seen = walks(1, 70, 100)
    assert len(seen) >= 24, seen
