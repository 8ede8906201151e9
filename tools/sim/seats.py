"""Where the sockets of the soak (soak.py) are: a Seat is a socket of a host and its place in life,
a client's, or a listener's with its port. A Reception is a Listener with a backlog; whoever asks
for one of its connections gets a Guest, a seat for as long as that lasts.
"""

from smolmp.socket import tcp
from tools.sim.network import MS

BUFFERS = (1, 64, 600, 1460, 4096, 16384, 65535, 100000)
CONGESTION = ("cubic", "cubic", "reno", "none")
POOL = 3

_STATE = 14
_SND_NXT, _SND_MAX = 17, 18
_RCV_ADV = 22
_RX, _TX = 23, 26
_ESTABLISHED, _TIME_WAIT = 4, 10
_COUNT, _CAPACITY, _HOLES, _RANGES = 63, 97, 98, 100


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
    count = w[_COUNT]
    if count > w[_CAPACITY]:
        raise Failure("%r: the scoreboard has too many ranges" % socket)
    end = 0
    first = _RANGES + 2 * w[_HOLES]
    for i in range(first, first + 3 * count, 3):
        if w[i] <= end:
            raise Failure("%r: an empty range on the scoreboard" % socket)
        end = w[i]
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
        socket.nagle = pick(random, (True, False, "minshall"))
        socket.congestion = pick(random, CONGESTION)
        socket.ack_delay = pick(random, (0, 10, 10, 200))
        socket.time_wait = pick(random, (1000, 10000, 60000))
        socket.timeout = pick(random, (0, 0, 0, 0, 0, 120000))
        socket.keep_alive = pick(random, (0, 0, 20000))
        socket.keep_alive_interval = pick(random, (0, 5000))
        socket.linger = pick(random, (None, None, 1200000))
        return socket.timeout != 0

    def __repr__(self):
        return repr(self.socket)

    def is_free(self):
        return self.end is None and self.socket.state == ("LISTEN" if self.port else "CLOSED")

    def leave(self):
        """The end is done with the connection."""
        self.end = None
        self.quiet_since = self.world.net.now
        if self.port and self.socket.state == "CLOSED":
            self.socket.listen(self.port)

    def serve(self):
        """The socket changed, or its end has time for it."""
        socket = self.socket
        check_socket(socket)
        if self.end is not None:
            self.end.serve()
        elif socket.may_send():
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


class Reception:
    """A listener with a backlog, and who waits to be accepted by it."""

    def __init__(self, host, world, port):
        random = world.random
        self.host = host
        self.world = world
        self.port = port
        self.rx, self.tx = pick(random, BUFFERS), pick(random, BUFFERS)
        self.listener = tcp.Listener(
            backlog=1 + random.below(POOL),
            pool=POOL,
            rx=self.rx,
            tx=self.tx,
            timestamps=random.below(2) == 0,
        )
        # As patient as a client's SYN: who got a SYN+ACK thinks that it has a connection.
        self.listener.retries = 8
        self.listener.seat = self
        host.sockets.add(self.listener)
        self.listener.listen(port)
        self.guests = []

    def serve(self):
        while True:
            socket = self.listener.accept()
            if socket is None:
                return
            remote = socket.remote
            for guest in self.guests:
                if guest.socket is None and remote and guest.end.talk.port == remote[1]:
                    guest.arrive(socket)
                    break
            else:
                self.world.count("ghost")
                self.listener.release(socket)

    def __repr__(self):
        return repr(self.listener)

    def is_free(self):
        """Nobody is here, and no socket of the pool is at work."""
        listener = self.listener
        return not self.guests and listener.half_open() == 0 and listener.free() == POOL

    def guest(self):
        """A seat for one more, None when all sockets are promised."""
        if len(self.guests) + POOL - self.listener.free() >= POOL:
            return None
        return Guest(self)


class Guest(Seat):
    """A seat whose socket comes when accept() gives it."""

    def __init__(self, reception):
        self.reception = reception
        self.host = reception.host
        self.world = reception.world
        self.port = reception.port
        self.rx, self.tx = reception.rx, reception.tx
        self.end = None
        self.socket = None
        self.quiet_since = 0
        reception.guests.append(self)

    def dress(self):
        return False

    def arrive(self, socket):
        self.socket = self.end.socket = socket
        socket.seat = self
        super().dress()
        socket.timeout = 0
        self.serve()

    def leave(self):
        self.end = None
        self.reception.guests.remove(self)
        if self.socket is not None:
            self.reception.listener.release(self.socket)

    def serve(self):
        if self.socket is not None and self.end is not None:
            check_socket(self.socket)
            self.end.serve()
