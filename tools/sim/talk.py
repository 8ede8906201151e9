"""Conversations of the soak (soak.py): two ends of a connection that do everything programs do.

A Conversation puts an End on two seats (seats.py). Each end sends so many octets, in pieces; reads
slowly, or not at all for a while (a zero window); closes when it has sent all, or after the peer
has (half closed); sleeps with keep-alives; aborts, shuts everything down, or leaves the set
without a word.

Octet i of what end k of conversation c sends is (31 * c + 7 * k + i) % 251.
"""

from errno import EADDRINUSE, ECONNREFUSED, ECONNRESET, ETIMEDOUT

from smolmp.socket import tcp
from tools.sim.network import MS, PATTERN, SECOND
from tools.sim.seats import Failure, pick

PATIENCE = 1500 * SECOND  # R2 is 15 times RTO, doubled up to 60 s: 900 s at most
SIZES = (0, 1, 10, 300, 1459, 1460, 5000, 20000, 100000, 400000)
PAUSES = (10, 1000, 10000, 60000, 300000)  # ms
PIECES = (1, 100, 1460, 9000)
_buffer = bytearray(9000)


class End:
    """One side of a conversation."""

    def __init__(self, talk, seat, number):
        random = talk.world.random
        self.talk = talk
        self.seat = seat
        self.socket = seat.socket
        self.number = number
        self.peer = self
        self.phase = (31 * talk.number + 7 * number) % 251
        self.to_send = pick(random, SIZES)
        self.sent = self.got = 0
        self.error = 0
        self.opened = self.closed = self.eof = self.over = False
        self.progress = talk.world.net.now
        self.reads_until = self.writes_until = -1  # octets, where it pauses
        self.resumes = 0  # when the pause is over
        self.fragile = seat.dress()
        seat.end = self

    def plan(self):
        """What depends on the peer."""
        random = self.talk.world.random
        # Through the smallest buffer at most 300 times; in pieces of a 500th, at least.
        room = min(self.seat.tx, self.peer.seat.rx)
        self.to_send = min(self.to_send, 300 * room)
        self.piece = max(pick(random, PIECES), self.to_send // 500)
        self.bite = max(pick(random, PIECES), self.to_send // 500)

    def pauses(self):
        random = self.talk.world.random
        if random.below(4) == 0:
            self.reads_until = random.below(65536) % (self.peer.to_send + 1)
        if random.below(4) == 0:
            self.writes_until = random.below(65536) % (self.to_send + 1)

    def pause(self):
        net = self.talk.world.net
        ms = pick(self.talk.world.random, PAUSES)
        self.resumes = net.now + ms * MS
        self.advance(self.resumes)
        self.seat.later(ms)

    def advance(self, at=0):
        """There is progress."""
        self.progress = max(self.progress, at or self.talk.world.net.now)

    def serve(self):
        if self.over or self.talk.world.net.now < max(self.resumes, self.talk.sleeps):
            return
        try:
            self.work()
        except OSError as e:
            self.finish(e.errno)

    def work(self):
        socket = self.socket
        if not self.opened and not self.recognise():
            return
        self.read()
        if self.over or self.talk.world.net.now < self.resumes:
            return
        self.write()
        first = self.number == self.talk.first or self.talk.first == 2
        if self.sent == self.to_send and not self.closed and (first or self.eof):
            if socket.may_send():
                if self.number:
                    socket.close()
                else:
                    socket.shutdown(tcp.SHUT_WR)
                self.closed = True
                self.advance()
        if not socket.is_open() and (self.eof or socket.error):
            self.finish(socket.error)

    def recognise(self):
        """Is the connection open, and ours?"""
        socket = self.socket
        if socket is None:
            return False  # not accepted yet
        if self.seat.port:
            remote = socket.remote
            if remote is None or remote[1] != self.talk.port:
                return False
        if socket.error:
            raise OSError(socket.error)
        if not (socket.may_send() or socket.may_recv()) and socket.state != "TIME-WAIT":
            return False
        self.opened = True
        self.advance()
        return not self.talk.opened(self)

    def read(self):
        socket = self.socket
        while socket.can_recv():
            if self.got == self.reads_until:
                self.reads_until = -1
                self.pause()
                return
            n = min(self.bite, len(_buffer))
            if self.got < self.reads_until < self.got + n:
                n = self.reads_until - self.got
            n = socket.recv_into(_buffer, n)
            phase = (self.peer.phase + self.got) % 251
            if _buffer[:n] != PATTERN[phase : phase + n]:
                raise Failure("%r: wrong octets from %d on" % (self, self.got))
            self.got += n
            self.talk.world.octets += n
            self.advance()
        if self.got > self.peer.sent:
            raise Failure("%r: more octets than were sent" % self)
        if not self.eof and socket.recv_into(_buffer) == 0:
            self.eof = True
            self.advance()
            if self.got != self.peer.to_send:
                raise Failure("the stream ended early: %r" % self.talk)

    def write(self):
        socket = self.socket
        while socket.can_send() and self.sent < self.to_send:
            if self.sent == self.writes_until:
                self.writes_until = -1
                self.pause()
                return
            n = min(self.piece, self.to_send - self.sent)
            if self.sent < self.writes_until < self.sent + n:
                n = self.writes_until - self.sent
            self.sent += socket.send(PATTERN, (self.phase + self.sent) % 251, n)
            self.advance()

    def leave(self, how):
        """The program gives the connection up."""
        if self.over:
            return
        socket = self.socket
        if socket is None:
            self.to_send = self.sent  # a connection that nobody asks for is closed at once
        elif how == "remove" and not self.seat.port:
            self.seat.new_socket()
        elif how == "linger" and socket.may_send():
            socket.linger = 0
            socket.close()
        elif how == "shutdown" and socket.may_send():
            socket.shutdown(tcp.SHUT_RDWR)
            self.to_send = self.sent  # what is queued still arrives
        else:
            socket.abort()
        self.seat.host.wake = self.talk.world.net.now
        self.finish(-1)

    def finish(self, error):
        self.error = error
        self.over = True
        self.seat.leave()

    def well(self):
        return self.over and not self.error

    def __repr__(self):
        over = " over" if self.over else ""
        facts = self.number, self.sent, self.to_send, self.got, self.error, over, self.socket
        return "<end %d: sent %d of %d, got %d, error %d%s, %r>" % facts


class Conversation:
    def __init__(self, world, pair, number, client, server, simultaneous):
        random = world.random
        self.world = world
        self.pair = pair
        self.number = number
        self.start = world.net.now
        self.over = False
        self.sleeps = 0
        self.sleepy = random.below(12) == 0
        self.first = random.below(3)  # which end closes when it has sent all; 2: both
        self.ends = [End(self, client, 0), End(self, server, 1)]
        a, b = self.ends
        a.peer, b.peer = b, a
        for end in self.ends:
            end.plan()
        for end in self.ends:
            end.pauses()
        self.rough = random.below(8) == 0
        if self.rough:
            quitter = self.ends[random.below(2)]
            how = pick(random, ("abort", "remove", "linger", "shutdown"))
            world.net.at(random.below(20000) * MS, lambda: quitter.leave(how))
        self.port = 0
        if simultaneous or world.net.now - client.quiet_since > 60 * SECOND:
            # The same port again: the same four-tuple, if it meets the same listener.
            self.port = 2000 + random.below(4)
        try:
            self.connect(a, b.seat.port or 3000 + number % 1000)
            if simultaneous:
                b.socket.connect(b.seat.host.iface, (a.seat.host.address, self.port), self.remote)
                b.seat.host.wake = world.net.now
        except OSError as e:
            for end in self.ends:
                if not end.over:
                    end.leave("abort")
            a.error = e.errno
        self.port = a.socket.local[1] if a.socket.local else 0

    def connect(self, a, port):
        host = a.seat.host
        self.remote = port
        a.socket.connect(host.iface, (self.ends[1].seat.host.address, port), self.port)
        host.wake = self.world.net.now

    def opened(self, end):
        """Both ends may sleep once the first of them is open. True: they do."""
        if self.sleepy:
            self.sleepy = False
            seconds = 60 + self.world.random.below(900)
            self.sleeps = self.world.net.now + seconds * SECOND
            for one in self.ends:
                one.advance(self.sleeps)
                one.seat.later(seconds * 1000)
        return self.world.net.now < self.sleeps

    def watch(self):
        a, b = self.ends
        for end in self.ends:
            if not end.over:
                self.wait(end)
        if a.error and not b.opened and not b.over:
            b.finish(-1)  # it never came to a connection: the seat is free again
        if a.over and b.over:
            self.over = True
            self.judge()

    def wait(self, end):
        """Nothing goes on at `end`: for how long, and may that be?"""
        now = self.world.net.now
        since = max(end.progress, end.peer.progress, self.pair.disturbed)
        if now - since <= PATIENCE:
            return
        peer = end.peer
        if not peer.over or peer.well():
            raise Failure("stuck: %r" % self)
        self.world.count("given up")  # the peer is gone, without a word that arrived
        end.leave("abort")

    def judge(self):
        a, b = self.ends
        if a.well() and b.well():
            self.world.count("well")
        elif self.rough:
            self.world.count("aborted")
        elif self.pair.disturbed > self.start:
            self.world.count("disturbed")
        elif not b.opened:
            # An old SYN held the listener; seven SYNs were lost; the old pair is in TIME-WAIT.
            allowed = (ECONNREFUSED, ETIMEDOUT, EADDRINUSE)
            if a.error not in allowed and not (a.error == ECONNRESET and b.socket is None):
                raise Failure("not opened: %r" % self)
            self.world.count("not opened")
        elif (a.fragile or b.fragile) and ETIMEDOUT in (a.error, b.error):
            self.world.count("user timeout")
        else:
            raise Failure("a calm conversation broke: %r" % self)

    def __repr__(self):
        seconds = (self.world.net.now - self.start) // SECOND
        a, b = self.ends
        kind = " (rough)" if self.rough else ""
        return "conversation %d of %d s%s: %r, %r" % (self.number, seconds, kind, a, b)
