"""The TCP end of a program's socket: what a call means in each state, as Linux answers it.

Nothing here waits: None means not now. A broken connection tells its reason once; from then on it
is at its end (RFC 9293 3.10: the program was told).
"""

from array import array
from errno import EADDRINUSE, EALREADY, EINPROGRESS, ENOTCONN

from micropython import const

from smolmp.errors import EADDRNOTAVAIL, EISCONN, ENOPROTOOPT
from smolmp.net import names
from smolmp.socket import endpoint, tcp

_ECONNRESET = const(104)  # these three are the same on every port
_EINVAL = const(22)
_EPIPE = const(32)

_POLLIN = const(1)
_POLLOUT = const(4)
_POLLERR = const(8)
_POLLHUP = const(16)

_FLOW_WORDS = const(14)
_STATE = const(14)
_ERROR = const(31)
_CLOSED = const(0)
_SYN_SENT = const(2)
_SYN_RECEIVED = const(3)
_ESTABLISHED = const(4)
_CLOSE_WAIT = const(7)
_CLOSING = const(8)

_IPPROTO_TCP = const(6)

# Options: level << 8 | name. Numbers cost a board nothing, where pairs lie in its heap.
_SOCKET_REUSEADDR = const(0x102)
_SOCKET_BROADCAST = const(0x106)
_SOCKET_KEEPALIVE = const(0x109)
_SOCKET_LINGER = const(0x10D)
_SOCKET_BINDTODEVICE = const(0x119)
_IP_TOS = const(0x001)
_IP_TTL = const(0x002)
_TCP_NODELAY = const(0x601)
_TCP_KEEPIDLE = const(0x604)
_TCP_KEEPINTVL = const(0x605)
_TCP_KEEPCNT = const(0x606)
_TCP_USER_TIMEOUT = const(0x612)
_OPTIONS = (0x109, 0x10D, 0x002, 0x601, 0x604, 0x605, 0x606, 0x612)  # those that do something

_KEEP_ALIVE_IDLE = const(7200000)  # RFC 1122 4.2.3.6


class Stream:
    """One TCP connection, or a listener, of `net`. `core`: the tcp.Socket it has already."""

    address = None  # Datagram knows one

    def __init__(self, net, core=None):
        self.net = net
        self.core = core  # from connect() or accept() on
        self.listener = None
        self.pool = None
        self.local = None  # as bound
        self.options = []  # set before there was a core
        self.idle = _KEEP_ALIVE_IDLE
        self.keep = False
        self.under_way = False  # connect() has not told of its end yet
        self.told = False  # of the error that broke the connection
        self.ended = 0  # when receive() told of the peer's FIN, 0: not yet
        self.watcher = None

    # Life.

    def bind(self, local):
        """`local`: (address, port). EADDRINUSE: somebody listens there; EADDRNOTAVAIL."""
        if self.local is not None or self.core is not None:
            raise OSError(_EINVAL)
        host, port = local
        if host != "0.0.0.0" and not names.is_ours(self.net, host):
            raise OSError(EADDRNOTAVAIL)
        for core in self.net.sockets:
            if isinstance(core, (tcp.Listener, tcp.Socket)) and core.local and port:
                if core.state == "LISTEN" and core.local[1] == port:
                    if core.local[0] in (host, "") or host == "0.0.0.0":
                        raise OSError(EADDRINUSE)
        self.local = local

    def listen(self, backlog):
        if self.listener is not None:
            self.listener.backlog = max(self.net.backlog, backlog)
            return
        if self.core is not None:
            raise OSError(_EINVAL)
        local = self.local or ("0.0.0.0", 0)
        if not local[1]:
            local = (local[0], self._free_port())
        listener, pool = self.net.take_listener(backlog)
        self.listener, self.pool = listener, pool
        try:
            listener.listen(local[1] if local[0] == "0.0.0.0" else local)
        except OSError:
            self.listener = None
            self.net.give_listener(listener, pool)
            raise
        self.local = local
        for option, value in self.options:
            self._apply(listener, option, value)
        if self.watcher:
            self.net.watch(listener, *self.watcher)

    def _free_port(self):
        """An ephemeral port that nobody listens at (RFC 6335 6)."""
        flow = array("i", bytes(4 * _FLOW_WORDS))
        while True:
            port = 49152 + self.net.iface.random.bits(14)
            endpoint.clear(flow)
            endpoint.set_local(flow, port)
            flow[1] = _IPPROTO_TCP
            if self.net.sockets.find(flow) < 0:
                return port

    def accept(self):
        """The Stream of the next connection, None when there is none."""
        if self.listener is None:
            raise OSError(_EINVAL)
        core = self.listener.accept()
        if core is None:
            return None
        end = Stream(self.net, core)
        end.idle, end.keep = self.idle, self.keep
        return end

    def connect(self, remote):
        """True: connected; False: it goes on, connected() tells of its end."""
        if self.listener is not None:
            raise OSError(EISCONN)
        core = self.core
        if core is not None:
            if _SYN_SENT <= core.w[_STATE] <= _SYN_RECEIVED:
                raise OSError(EALREADY)
            if self.under_way:
                return self.connected()
            if core.is_open():
                raise OSError(EISCONN)
        net = self.net
        if core is None:
            core = net.take_stream()
            self.core = core
            net.ends.append(self)
        self.told = False
        self.ended = 0
        for option, value in self.options:
            self._apply(core, option, value)
        local = self.local
        if local is None:
            local = 0
        elif local[0] == "0.0.0.0":
            local = local[1]
        try:
            core.connect(net.iface, remote, local)
        except OSError:
            self.core = None
            net.give_stream(core)
            raise
        if self.watcher:
            net.watch(core, *self.watcher)
        self.under_way = True
        net.poll()
        return self.connected()

    def connected(self):
        """Is it? OSError: it failed."""
        core = self.core
        state = core.w[_STATE]
        if state == _SYN_SENT or state == _SYN_RECEIVED:
            return False
        self.under_way = False
        if core.error and not self.told:
            self.core = None  # as new: connect() may try again
            self.net.give_stream(core)
            raise OSError(core.error)
        return True

    def in_progress(self):
        """What connect() says that shall not wait."""
        raise OSError(EINPROGRESS)

    def shutdown(self, how):
        if self.core is None or self.core.w[_STATE] < _SYN_RECEIVED:
            raise OSError(ENOTCONN)
        self.core.shutdown(how)

    def close(self):
        net = self.net
        if self.listener is not None:
            net.give_listener(self.listener, self.pool)
        elif self.core is not None:
            net.give_stream(self.core)
        self.core = self.listener = None

    # Octets.

    def most(self):
        """As much as one receive() can give."""
        return 1 if self.core is None else len(self.core.rx_buffer)

    def receive(self, buf, n, peek):
        core = self.core
        if core is None:
            raise OSError(ENOTCONN)
        if core.w[_ERROR] & 255:  # core.error, which costs a call
            if core.recv_queue() == 0:
                return self._broken(0)
        elif core.w[_STATE] == _CLOSED and not core.recv_queue() and core.remote is None:
            raise OSError(ENOTCONN)
        n = core.peek_into(buf, n) if peek else core.recv_into(buf, n)
        if n == 0 and not self.ended:
            self.ended = self.net.clock() | 1
        return n

    def transmit(self, data, at, n, to):
        core = self.core
        if core is None:
            raise OSError(_EPIPE)
        if core.w[_STATE] == _CLOSED:  # as it is when it broke
            return self._broken(-1)
        return core.send(data, at, n)

    def _broken(self, end):
        """The reason, once; then the end of what comes (0), EPIPE for what goes (-1)."""
        if self.core.error and not self.told:
            self.told = True
            self.under_way = False
            if self.ended and self.core.error == _ECONNRESET:
                raise OSError(_EPIPE)  # it had said that it would not read on
            raise OSError(self.core.error)
        if end < 0:
            raise OSError(_EPIPE)
        return end

    def events(self, wanted):
        """The events of poll() that are there (RFC 9293 has no word on them: Linux's)."""
        core = self.core
        if core is None:
            if self.listener is None:
                return _POLLHUP | _POLLOUT & wanted
            return _POLLIN & wanted if self.listener.waiting() else 0
        state = core.w[_STATE]
        if state == _ESTABLISHED:
            found = _POLLOUT if core.can_send() else 0
            if core.can_recv() or not core.may_recv():
                found |= _POLLIN
            return found & wanted
        if state == _SYN_SENT or state == _SYN_RECEIVED:
            return 0
        found = _POLLIN  # the end of the stream, if nothing else
        if core.may_recv() and not core.can_recv():
            found = 0
        if state != _CLOSE_WAIT or core.can_send():
            found |= _POLLOUT  # write() would tell at once that there is no more to write to
        found &= wanted
        if core.error and not self.told:
            found |= _POLLERR
        if state == _CLOSED or state >= _CLOSING:  # both halves have ended
            found |= _POLLHUP
        return found

    # Options and names.

    def set(self, option, value):
        """`option`: level << 8 | name. ENOPROTOOPT."""
        if option == _SOCKET_KEEPALIVE:
            self.keep = bool(value)
        elif option == _TCP_KEEPIDLE:
            self.idle = value * 1000
        self._apply(self.core or self.listener, option, value)

    def _apply(self, core, option, value):
        if option == _SOCKET_REUSEADDR or option == _SOCKET_BROADCAST:
            return
        if option == _SOCKET_BINDTODEVICE or option == _IP_TOS:
            return
        if core is None:
            if option not in _OPTIONS:
                raise OSError(ENOPROTOOPT)
            self.options.append((option, value))  # for the core to come
        elif option == _SOCKET_KEEPALIVE or option == _TCP_KEEPIDLE:
            core.keep_alive = self.idle if self.keep else 0
        elif option == _TCP_NODELAY:
            core.nagle = False if value else "minshall"
        elif option == _SOCKET_LINGER:
            core.linger = None if value is None or value < 0 else value * 1000
        elif option == _IP_TTL:
            core.hop_limit = value
        elif option == _TCP_KEEPINTVL:
            core.keep_alive_interval = value * 1000
        elif option == _TCP_KEEPCNT:
            core.keep_alive_count = value
        elif option == _TCP_USER_TIMEOUT:
            core.timeout = value
        else:
            raise OSError(ENOPROTOOPT)

    def watch(self, callback, shell):
        self.watcher = (callback, shell) if callback else None
        core = self.core or self.listener
        if core is not None:
            self.net.watch(core, callback, shell)

    def name(self):
        """(address, port) of our end."""
        core = self.core or self.listener
        found = core.local if core is not None else self.local
        return ("0.0.0.0", 0) if found is None else (found[0] or "0.0.0.0", found[1])

    def peer(self):
        """(address, port) of the other end. ENOTCONN."""
        if self.core is None or self.core.remote is None:
            raise OSError(ENOTCONN)
        return self.core.remote

    def sender(self):
        return self.peer()

    def number(self):
        core = self.core or self.listener
        return -1 if core is None else core.slot

    def __repr__(self):
        return repr(self.core or self.listener or "tcp, not connected")
