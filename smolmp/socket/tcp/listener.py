"""A TCP listener: many connections to one local endpoint, and accept() (RFC 9293 3.10.1).

    SYN         a record in the half-open queue and a SYN+ACK; when that is full, a SYN cookie
    ACK         of a record or a cookie: a socket of the pool becomes the connection, takes the
                segment (its text, too) and waits for accept(). Without one to be had the ACK is
                not taken: what is not acknowledged the client sends again
    accept()    hands the socket to the program; release() takes it back

Everything is allocated at set-up: the pool's sockets join the listener's set with it. While they
are not the program's, the poll does not report them. What segments do is in passive.py.
"""

from array import array
from errno import EADDRINUSE, EINVAL

import micropython
from micropython import const

import smolmp.socket.tcp.passive  # noqa: F401 - the package's __getattr__ finds no modules
from smolmp.socket import endpoint
from smolmp.socket.set import handle_of
from smolmp.socket.tcp import passive, states
from smolmp.socket.tcp.closing import stop_reading
from smolmp.socket.tcp.halfopen import HalfOpen
from smolmp.socket.tcp.socket import Socket

_FAMILY = const(0)
_PROTO = const(1)
_LPORT = const(2)
_LOCAL = const(4)
_FLOW_WORDS = const(14)
_STATE = const(14)
_RX = const(23)
_TX = const(26)
_FLAGS = const(32)
_LISTENER_WORDS = const(15)  # as a control block: who looks into the set's sockets finds LISTEN
_HEAD_WORDS = const(36)  # of a control block that describe a half-open connection

_CLOSED = const(0)
_LISTEN = const(1)
_ESTABLISHED = const(4)
_TIME_WAIT = const(10)
_FLAG_RESET = const(128)
_TCP = const(6)

# What a socket of the pool is.
_FREE = const(0)
_WAITING = const(1)  # a connection that accept() will give out
_ACCEPTED = const(2)  # the program's
_LEAVING = const(3)  # given back; the connection is closing

# Attributes that every new connection begins with, as the listener has them.
_INHERITED = (
    "timeout",
    "ack_delay",
    "time_wait",
    "rto_min",
    "nagle",
    "keep_alive",
    "keep_alive_interval",
    "keep_alive_count",
    "fin_wait_2",
    "quick_acks",
    "timeout_limits",
    "advertised_timeout",
    "congestion",
    "ecn",
    "abe",
    "hop_limit",
)


class Listener:
    """Accepts connections to a local endpoint.

    `backlog`: connections that may wait for accept(). `pool`: connections at a time in all,
    waiting ones and those that the program has: how many (0: as many as may wait), or the
    tcp.Sockets themselves; `rx`, `tx` and more options are those of the sockets to be made.
    `half_open`: records of connections being opened, some 130 octets each. `cookies`: when these
    are used up, answer SYNs by SYN cookies; False: not at all. `overflow`: "drop" or "reset" what
    ends a handshake when no connection is free.

    Attributes, to be set at any time: those of tcp.Socket (`timeout`, `nagle`, `keep_alive`, ...),
    with which each connection begins; `backlog`; `retries` of a SYN+ACK (4: some 30 s); `linger`:
    ms without progress after which a connection that was given back is aborted.

    A listener works once it is in a SocketSet, which has a slot more for every socket of the pool.
    ValueError: sizes or words that cannot be.
    """

    protocol = _TCP
    handle = property(handle_of)
    hop_limit = 64

    def __init__(
        self,
        backlog: int = 4,
        pool=0,
        rx=4096,
        tx=4096,
        half_open: int = 16,
        cookies: bool = True,
        overflow: str = "drop",
        **options,
    ):
        if isinstance(pool, int):
            pool = [Socket(rx, tx, **options) for _ in range(pool or backlog)]
        if backlog < 1 or not pool or half_open < 0 or overflow not in ("drop", "reset"):
            raise ValueError("backlog, pool, half_open, overflow")
        self._pool = list(pool)
        for socket in self._pool:
            if socket.pool is not None or socket.is_open():
                raise ValueError("socket is in use")
            socket.pool = self
        self.backlog = backlog
        self.cookies = cookies
        self.overflow_resets = overflow == "reset"
        self.retries = 4
        self.linger = 10000
        for name in _INHERITED:
            setattr(self, name, getattr(self._pool[0], name))
        # What a SYN+ACK says, whichever socket it will be.
        self.scale = max([socket.scale for socket in self._pool])
        self.window = min([65535] + [len(socket.rx_buffer) for socket in self._pool])
        self.timestamps = all(socket.timestamps for socket in self._pool)
        self.w = array("i", bytes(4 * _LISTENER_WORDS))
        self.block = array("i", bytes(4 * _HEAD_WORDS))
        self.half = HalfOpen(half_open, len(self._pool))
        self.cookie_at = -1  # the slow clock when the last cookie was sent
        self.sockets = None
        self.slot = -1
        self.now = 0  # when the interface spoke to the listener last
        self._places = array("b", bytes(len(self._pool)))
        self._queue = array("i", bytes(4 * len(self._pool)))  # who waits, the first in front
        self._waiting = 0
        self._turn = 0  # where the search for a free socket begins
        self._marks = array("i", bytes(4 * len(self._pool)))  # how far the leaving ones were

    # What the program calls.

    def listen(self, local):
        """Accept connections to `local`: a port, (address, port) or "address:port".

        Among several listeners on a port, one with the very address has precedence. What was set
        before has its memory in the connections then: a handshake allocates nothing. OSError:
        EINVAL for port 0, EADDRINUSE when it listens somewhere else, or another one does here.
        """
        flow = array("i", bytes(4 * _FLOW_WORDS))
        endpoint.set_local(flow, local)
        flow[_PROTO] = _TCP
        w = self.w
        if not flow[_LPORT]:
            raise OSError(EINVAL)
        if w[_STATE] == _LISTEN:
            if flow == w[:_FLOW_WORDS]:
                return
            raise OSError(EADDRINUSE)
        if self.sockets is not None and self._is_taken(flow):
            raise OSError(EADDRINUSE)
        for i, socket in enumerate(self._pool):
            if self._places[i] == _FREE:
                self._inherit(socket)
        self.half.clear()
        self.cookie_at = -1
        endpoint.copy_words(w, 0, flow, 0, _FLOW_WORDS)
        states.enter(w, _LISTEN)
        if self.sockets is not None:
            self.sockets.bind(self.slot, w)

    def _is_taken(self, flow):
        """Does somebody else listen on this very endpoint?"""
        slot = self.sockets.find(flow)
        while slot >= 0:
            w = self.sockets.objects[slot].w
            if w[0] == flow[0] or not w[0] or not flow[0]:
                if w[_LOCAL : _LOCAL + 4] == flow[_LOCAL : _LOCAL + 4]:
                    return True
            slot = self.sockets.find_next(flow, slot)
        return False

    @micropython.native
    def accept(self):
        """The tcp.Socket of the connection that waits longest, None when none does.

        It may have received data, or the end of them, already: the next poll will report it. Give
        it back by release(). OSError: EINVAL when the listener is not listening.
        """
        if self.w[_STATE] != _LISTEN:
            raise OSError(EINVAL)
        while self._waiting:
            i = self._queue[0]
            self._waiting -= 1
            for k in range(self._waiting):
                self._queue[k] = self._queue[k + 1]
            socket = self._pool[i]
            if socket.w[_STATE] < _ESTABLISHED:
                self._places[i] = _FREE  # reset by its peer meanwhile
                socket.forget()
                self._room()
                continue
            self._places[i] = _ACCEPTED
            sockets = self.sockets
            sockets.show(socket.slot)
            if socket.w[_STATE] != _ESTABLISHED or socket.w[_RX + 2]:
                sockets.changed(socket.slot)
                sockets.deadline(self.slot, self.now)  # there is something to report, at once
            self._room()
            return socket
        return None

    def release(self, socket):
        """The program is done with an accepted socket, and touches it no more: it will be another
        connection.

        One that is still open is closed: what was sent is delivered; when something is left to be
        read, or the peer makes no progress for `linger` ms, it is aborted (RFC 2525 2.17).
        ValueError: it is no accepted socket of this listener.
        """
        i = self._pool.index(socket)
        if self._places[i] != _ACCEPTED:
            raise ValueError("socket is not accepted")
        self._places[i] = _LEAVING
        sockets = self.sockets
        if socket.sockets is None or socket.sockets is not sockets:
            return  # one of the two was taken out of the set
        sockets.hide(socket.slot)
        if socket.recv_queue():
            if socket.is_open():
                socket.abort()
        else:
            socket.close()
            if socket.is_active():
                stop_reading(socket)  # what still comes is answered by an RST (RFC 1122 4.2.2.13)
        if socket.is_open():
            self._marks[i] = -1
            self.half.deadlines.set(self.half.capacity + i, self.now)
            sockets.deadline(self.slot, self.now)
        self._room()

    def close(self):
        """Listen no more. Connections that nobody accepted are reset, half-open ones too, with the
        next poll; accepted ones go on and can still be given back."""
        w = self.w
        if w[_STATE] == _CLOSED:
            return
        states.enter(w, _CLOSED)
        for k in range(self._waiting):
            i = self._queue[k]
            self._places[i] = _LEAVING
            self._pool[i].abort()
        self._waiting = 0
        self.half.doom()
        if self.sockets is not None:
            self.sockets.unbind(self.slot)
            self.sockets.mark(self.slot)
            self.rearm()

    # What it is.

    @property
    def state(self) -> str:
        return "LISTEN" if self.w[_STATE] == _LISTEN else "CLOSED"

    @property
    def local(self):
        """(address, port), None when unset."""
        return endpoint.local(self.w)

    remote = None

    def is_open(self) -> bool:
        return self.w[_STATE] == _LISTEN

    is_listening = is_open

    def half_open(self) -> int:
        """Connections being opened that have a record."""
        return self.half.capacity - self.half.spare

    def waiting(self) -> int:
        """Connections that wait for accept()."""
        return self._waiting

    def accepted(self) -> int:
        """Connections that the program has."""
        return self._count(_ACCEPTED)

    def free(self) -> int:
        """Sockets for further connections; those that are closing count when they have ended."""
        n = 0
        for i, socket in enumerate(self._pool):
            if self._places[i] == _FREE or self._places[i] == _LEAVING and not socket.is_open():
                n += 1
        return n

    def _count(self, place):
        n = 0
        for i in range(len(self._pool)):
            n += self._places[i] == place
        return n

    def __repr__(self):
        return "<tcp %s %s: half-open %d/%d, waiting %d/%d, accepted %d, free %d/%d>" % (
            self.state,
            self.local,
            self.half_open(),
            self.half.capacity,
            self._waiting,
            self.backlog,
            self.accepted(),
            self.free(),
            len(self._pool),
        )

    # What the socket set and the interface call.

    def attached(self):
        """The listener came into a set, and its pool follows."""
        sockets = self.sockets
        for i, socket in enumerate(self._pool):
            if socket.sockets is None:
                sockets.add(socket)
                sockets.hide(socket.slot)
                self._places[i] = _FREE
        if self.w[_STATE] == _LISTEN:
            sockets.bind(self.slot, self.w)

    def detached(self):
        """The listener left its set, without a word to anybody. What was accepted stays."""
        states.enter(self.w, _CLOSED)
        self.half.clear()
        self._waiting = 0
        for i, socket in enumerate(self._pool):
            self.half.deadlines.set(self.half.capacity + i, -1)
            if self._places[i] != _ACCEPTED and socket.sockets is self.sockets:
                self.sockets.remove(socket)

    def readdressed(self, iface):
        """The interface gave an address up: half-open connections from it are forgotten."""
        block = self.block
        for i in range(self.half.capacity):
            if self.half.used(i):
                self.half.load(i, block)
                if not iface.is_local(block, _LOCAL, block[_FAMILY]):
                    self.half.remove(i)
        self.rearm()

    dispatch = passive.dispatch
    on_timer = passive.on_timer
    on_listen = passive.on_listen

    # For passive.py.

    def rearm(self):
        """Tell the set the earliest deadline."""
        self.sockets.deadline(self.slot, self.half.deadlines.earliest())

    @micropython.native
    def take(self):
        """A socket for a new connection, put where accept() will find it; None: there is no room.

        Prefers one whose last connection is long over; TIME-WAIT is cut short in need only.
        """
        if self._waiting >= self.backlog:
            self._purge()
            if self._waiting >= self.backlog:
                return None
        n = len(self._pool)
        places = self._places
        chosen = -1
        i = self._turn
        for _ in range(n):
            i = i + 1 if i + 1 < n else 0
            socket = self._pool[i]
            w = socket.w
            place = places[i]
            if place != _WAITING and place != _ACCEPTED and socket.sockets is self.sockets:
                if w[_STATE] == _CLOSED and not w[_FLAGS] & _FLAG_RESET:
                    chosen = i
                    break
                if chosen < 0 and (w[_STATE] == _CLOSED or w[_STATE] == _TIME_WAIT):
                    chosen = i
        if chosen < 0:
            return None
        self._turn = chosen
        places[chosen] = _WAITING
        self._queue[self._waiting] = chosen
        self._waiting += 1
        socket = self._pool[chosen]
        socket.forget()
        self._inherit(socket)
        self.sockets.unmark(socket.slot)  # by those: it has nothing to say yet
        return socket

    def _inherit(self, socket):
        for name in _INHERITED:
            value = getattr(self, name)
            if getattr(socket, name) != value:  # else it stays the class's, and takes no memory
                setattr(socket, name, value)
        if socket.linger is not None:
            socket.linger = None

    @micropython.native
    def _purge(self):
        """Take those out of the queue that their peers have reset."""
        kept = 0
        for k in range(self._waiting):
            i = self._queue[k]
            if self._pool[i].w[_STATE] < _ESTABLISHED:
                self._places[i] = _FREE
                self._pool[i].forget()
            else:
                self._queue[kept] = i
                kept += 1
        self._waiting = kept

    def _room(self):
        """There may be room for connections whose ACKs found none: let them be sent again."""
        if self.half.unhold():
            self.sockets.mark(self.slot)

    def check_leaving(self, i):
        """Abort a connection that was given back and gets nowhere; look at others later."""
        socket = self._pool[i]
        if self._places[i] != _LEAVING or not socket.is_open():
            self._room()
            return
        w = socket.w
        mark = (w[_TX + 2] & 0xFFFFFF) << 4 | w[_STATE]
        if mark == self._marks[i]:
            socket.abort()
            self._room()
            return
        self._marks[i] = mark
        self.half.arm(self.half.capacity + i, self.now, self.linger)
