"""Conversations of the soak (soak.py): two ends of a connection that do everything programs do.

A Seat is a socket of a host and its place in life: a client's, or a listener's with its port. A
Conversation puts an End on two seats. Each end sends so many octets, in pieces; reads slowly, or
not at all for a while (a zero window); closes when it has sent all, or after the peer has (half
closed); sleeps with keep-alives; aborts, or leaves the set without a word.

Octet i of what end k of conversation c sends is (31 * c + 7 * k + i) % 251.
"""

from errno import EADDRINUSE, ECONNREFUSED, ETIMEDOUT

from smolmp.socket import tcp
from tools.sim.network import MS, PATTERN, SECOND

PATIENCE = 1500 * SECOND  # R2 is 15 times RTO, doubled up to 60 s: 900 s at most
BUFFERS = (1, 64, 600, 1460, 4096, 16384, 65535, 100000)
SIZES = (0, 1, 10, 300, 1459, 1460, 5000, 20000, 100000, 400000)
PAUSES = (10, 1000, 10000, 60000, 300000)  # ms
PIECES = (1, 100, 1460, 9000)
CONGESTION = ("cubic", "cubic", "reno", "none")

_STATE = 14
_SND_NXT, _SND_MAX = 17, 18
_RCV_ADV = 22
_RX, _TX = 23, 26
_ESTABLISHED, _TIME_WAIT = 4, 10
_BOARD_SIZE = 24

_buffer = bytearray(9000)


class Failure(Exception):
    """What must not be."""


def check_socket(socket):
    """The control block and the scoreboard agree with themselves."""
    w = socket.w
    if not (0 <= w[_RX + 2] <= w[_RX] and 0 <= w[_TX + 2] <= w[_TX]):
        raise Failure("%r: more in a ring than fits" % socket)
    if not 0 <= w[_RCV_ADV] <= w[_RX] - w[_RX + 2]:
        raise Failure("%r: a window of %d is announced" % (socket, w[_RCV_ADV]))
    if not _ESTABLISHED <= w[_STATE] < _TIME_WAIT:
        return
    if not 0 <= w[_SND_NXT] <= w[_SND_MAX] <= w[_TX + 2] + 1:
        facts = socket, w[_SND_NXT], w[_SND_MAX], w[_TX + 2]
        raise Failure("%r: SND.NXT %d SND.MAX %d queued %d" % facts)
    board = socket.board
    count = board[1]
    if count > board[0]:
        raise Failure("%r: the scoreboard has too many ranges" % socket)
    end = 0
    for i in range(_BOARD_SIZE, _BOARD_SIZE + 3 * count, 3):
        if board[i] <= end:
            raise Failure("%r: an empty range on the scoreboard" % socket)
        end = board[i]
    if end != w[_SND_NXT]:
        raise Failure("%r: the scoreboard ends at %d, not %d" % (socket, end, w[_SND_NXT]))


def pick(random, choices):
    return choices[random.below(len(choices))]


class Seat:
    """A host's socket; `port`: of a listener."""

    def __init__(self, host, world, port=0):
        self.host = host
        self.world = world
        self.port = port
        self.end = None
        self.socket = None
        self.quiet_since = 0
        random = world.random
        self.rx, self.tx = pick(random, BUFFERS), pick(random, BUFFERS)
        self.new_socket()

    def new_socket(self):
        """Another socket with buffers of the same size."""
        random = self.world.random
        if self.socket is not None:
            self.host.sockets.remove(self.socket)
        self.socket = tcp.Socket(self.rx, self.tx, 1 + random.below(6), random.below(2) == 0)
        self.socket.seat = self
        self.host.sockets.add(self.socket)
        if self.port:
            self.socket.listen(self.port)

    def dress(self):
        """Options for the next connection. True: a user timeout may end it."""
        random = self.world.random
        socket = self.socket
        socket.nagle = random.below(2) == 0
        socket.congestion = pick(random, CONGESTION)
        socket.ack_delay = pick(random, (0, 10, 10, 200))
        socket.time_wait = pick(random, (1000, 10000, 60000))
        socket.timeout = pick(random, (0, 0, 0, 0, 0, 120000))
        socket.keep_alive = pick(random, (0, 0, 20000))
        return socket.timeout != 0

    def is_free(self):
        return self.end is None and self.socket.state == ("LISTEN" if self.port else "CLOSED")

    def serve(self):
        """The socket changed, or its end has time for it."""
        socket = self.socket
        check_socket(socket)
        if self.end is not None:
            self.end.serve()
        elif socket.may_send() or socket.may_recv() and socket.state != "CLOSED":
            # Old SYN, old ACK: a connection that its client does not know. Rare, and legal.
            self.world.count("ghost")
            socket.abort()
        if self.end is None and self.port and socket.state == "CLOSED":
            socket.listen(self.port)

    def later(self, ms):
        """Serve in so many ms."""

        def serve():
            self.serve()
            self.host.wake = self.world.net.now

        self.world.net.at(ms * MS, serve)


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
        peer = self.peer.socket
        # Through the smallest buffer at most 300 times; in pieces of a 500th, at least.
        room = min(len(self.socket.tx_buffer), len(peer.rx_buffer))
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
                socket.close()
                self.closed = True
                self.advance()
        if not socket.is_open() and (self.eof or socket.error):
            self.finish(socket.error)

    def recognise(self):
        """Is the connection open, and ours?"""
        socket = self.socket
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
                raise Failure("%r: the stream ended early" % self)

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
        if how == "remove" and not self.seat.port:
            self.seat.new_socket()
        else:
            self.socket.abort()
        self.seat.host.wake = self.talk.world.net.now
        self.finish(-1)

    def finish(self, error):
        self.error = error
        self.over = True
        seat = self.seat
        seat.end = None
        seat.quiet_since = self.talk.world.net.now
        if seat.port and seat.socket.state == "CLOSED":
            seat.socket.listen(seat.port)

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
            how = pick(random, ("abort", "abort", "remove"))
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
        if a.error and not a.opened and not b.opened and not b.over:
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
        elif not a.opened and not b.opened:
            # An old SYN held the listener; seven SYNs were lost; the old pair is in TIME-WAIT.
            if a.error not in (ECONNREFUSED, ETIMEDOUT, EADDRINUSE):
                raise Failure("not opened: %r" % self)
            self.world.count("not opened")
        elif (a.fragile or b.fragile) and ETIMEDOUT in (a.error, b.error):
            self.world.count("user timeout")
        else:
            raise Failure("a calm conversation broke: %r" % self)

    def __repr__(self):
        seconds = (self.world.net.now - self.start) // SECOND
        a, b = self.ends
        return "conversation %d of %d s: %r, %r" % (self.number, seconds, a, b)
