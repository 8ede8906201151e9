"""A program's socket: what waits, times out and reads as a stream, over one kind of endpoint.

The endpoint (`Stream` or `Datagram`) never waits: what cannot be done now is None. What is here
drives the stack and asks again, until the socket's time is over; so all rules about blocking are
in one place. A socket is a MicroPython stream: read, readinto, readline and write loop as the
streams of the port do, recv and send do not.
"""

import io
import time
from errno import ETIMEDOUT

from micropython import const

from smolmp.errors import EAFNOSUPPORT, ENOPROTOOPT
from smolmp.net import names
from smolmp.net.stream import Stream

_EAGAIN = const(11)
_EBADF = const(9)
_EINVAL = const(22)
_AF_INET = const(2)
_SOCK_STREAM = const(1)
_SOCK_RAW = const(3)
_SOL_SOCKET = const(1)
_SO_LINGER = const(13)
_SO_BINDTODEVICE = const(25)
_SO_CALLBACK = const(20)  # MicroPython's own: what WebREPL uses
_MSG_PEEK = const(2)
_MSG_DONTWAIT = const(64)

_IOCTL_POLL = const(3)  # requests of a stream's ioctl
_IOCTL_CLOSE = const(4)

_PIECE = const(256)  # octets that read() and readline() ask for at a time


class socket(io.IOBase):
    """One end of a conversation. `af`: AF_INET; `type`: SOCK_STREAM, SOCK_DGRAM or SOCK_RAW.

    Errors are OSError: EAGAIN (not now, and the socket does not block), ETIMEDOUT, EBADF (closed),
    ENOMEM (the stack has no socket left), and what the calls tell. Where a stream's calls cannot
    go on they return None, as MicroPython streams do; and as with those, read(n), readinto() and
    readline() that time out half-way have lost what came so far. recv() and recv_into() do not.
    """

    default = None  # the Net of sockets that are not told one
    _came = (-1, None)  # what recvfrom_into() said last

    def __init__(
        self, af=_AF_INET, type=_SOCK_STREAM, proto=0, fileno=None, *, net=None, end=None
    ):
        net = net or self.default
        if net is None:
            raise OSError(_EINVAL, "no Net is installed")
        if end is None:
            if af != _AF_INET:
                raise OSError(EAFNOSUPPORT)
            if type == _SOCK_STREAM:
                end = Stream(net)
            else:
                from smolmp.net.datagram import Datagram  # many a program has none

                end = Datagram(net, proto if type == _SOCK_RAW else -1)
        self._net = net
        self._end = end
        self._timeout = -1  # ms, -1: for ever, 0: does not block

    # Waiting.

    def _wait(self, start):
        """Let time pass until something may have changed. EAGAIN, ETIMEDOUT: no longer."""
        timeout = self._timeout
        net = self._net
        if timeout < 0:
            net.wait()
            return
        if timeout == 0:
            raise OSError(_EAGAIN)
        left = timeout - time.ticks_diff(net.clock(), start)
        if left <= 0:
            raise OSError(ETIMEDOUT)
        net.wait(left)

    def _open(self):
        if self._end is None:
            raise OSError(_EBADF)
        return self._end

    def settimeout(self, seconds):
        """None: calls block; 0: they do not; else for so many seconds."""
        self._timeout = -1 if seconds is None else int(seconds * 1000)
        if not self._timeout and self._net.waiting is None:
            self._net.join_asyncio()

    def setblocking(self, flag):
        self.settimeout(None if flag else 0)

    # Life.

    def bind(self, address):
        """Take a local address and port. EADDRINUSE, EADDRNOTAVAIL, EINVAL (bound already)."""
        self._open().bind(names.endpoint(self._net, address))

    def listen(self, backlog=4):
        """Wait for connections, of which `backlog` may wait for accept()."""
        self._open().listen(backlog)

    def accept(self):
        """(a new socket, the address of its peer) of the next connection."""
        end = self._open()
        found = end.accept()
        if found is None:
            self._net.look()
            found = end.accept()
            start = self._net.clock()
            while found is None:
                self._wait(start)
                found = end.accept()
        return socket(net=self._net, end=found), found.peer()

    def connect(self, address):
        """Connect, or (not a stream) choose whom to talk to.

        EINPROGRESS: it goes on, and poll() tells of its end by POLLOUT; EALREADY, EISCONN,
        ECONNREFUSED, EHOSTUNREACH, ...
        """
        end = self._open()
        if end.connect(names.endpoint(self._net, address)):
            return
        if self._timeout == 0:
            end.in_progress()
        start = self._net.clock()
        while not end.connected():
            self._wait(start)

    def shutdown(self, how):
        """End one half of a connection (SHUT_RD, SHUT_WR), or both (SHUT_RDWR)."""
        self._open().shutdown(how)
        self._net.poll()

    def close(self):
        """Done. What was sent to a connection is still delivered."""
        end = self._end
        if end is not None:
            self._end = None
            end.close()
            self._net.poll()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # As sockets do it.

    def recv_into(self, buf, n=0, flags=0):
        """Up to n octets (0: as many as fit) or one datagram into `buf`: how many.

        0: the end of the stream. ECONNRESET, ENOTCONN.
        """
        end = self._end
        if end is None:
            raise OSError(_EBADF)
        size = len(buf)
        if n <= 0 or n > size:
            n = size
        got = end.receive(buf, n, flags & _MSG_PEEK)
        if got is None:
            if flags & _MSG_DONTWAIT:
                raise OSError(_EAGAIN)
            start = self._net.clock()
            while got is None:
                self._wait(start)
                got = end.receive(buf, n, flags & _MSG_PEEK)
        return got

    def recv(self, n, flags=0):
        """Up to n octets as bytes, b"": the end of the stream."""
        end = self._open()
        buf = self._net.scratch
        if n > len(buf):
            n = min(n, end.most())
            if n > len(buf):  # of a stream: as much as is there, when something is
                self.recv_into(buf, 1, flags | _MSG_PEEK)
                n = min(n, end.core.recv_queue() or 1)
                if n > len(buf):
                    buf = bytearray(n)
        n = self.recv_into(buf, n, flags) if n else 0
        return bytes(memoryview(buf)[:n])

    def recvfrom(self, n, flags=0):
        """(octets of one datagram, up to n; the address it came from)."""
        data = self.recv(n, flags)
        return data, self._end.sender()

    def recvfrom_into(self, buf, n=0, flags=0):
        """As recv_into(): (how many, the address they came from). It allocates nothing as long
        as both are the same."""
        n = self.recv_into(buf, n, flags)
        sender = self._end.sender()
        came = self._came
        if came[0] != n or came[1] is not sender:
            came = self._came = (n, sender)
        return came

    def send(self, data, flags=0):
        """Octets of `data` that were taken. A stream that blocks takes all of them, unless its
        time is over or the connection breaks meanwhile; others take what they have room for.
        EPIPE, ECONNRESET."""
        size = len(data)
        at = self._send(data, 0, size, None, flags)
        if at < size and self._timeout and not flags & _MSG_DONTWAIT:
            start = self._net.clock()
            end = self._end
            try:
                while at < size and not end.core.error:  # which the next call tells
                    sent = end.transmit(data, at, size - at, None)
                    if sent is None:
                        self._wait(start)
                    else:
                        at += sent
            except OSError as e:
                if e.errno != ETIMEDOUT:
                    raise
            self._net.push()
        return at

    def sendto(self, data, flags_or_address, address=None):
        """One datagram to (host, port)."""
        flags = 0
        if address is None:
            address = flags_or_address
        else:
            flags = flags_or_address
        to = self._open().address
        if to is None or address is not to:
            # 1.0 == 1, and is no port.
            if address != to or type(address[1]) is not int:
                to = names.endpoint(self._net, address)
        return self._send(data, 0, len(data), to, flags)

    def sendall(self, data, flags=0):
        """All of `data`. With a time-out or without blocking: an error says nothing about how
        much went, as upstream."""
        at = 0
        while True:
            at += self._send(data, at, len(data) - at, None, flags)
            if at >= len(data):
                return

    def _send(self, data, at, n, to, flags=0):
        end = self._end
        if end is None:
            raise OSError(_EBADF)
        net = self._net
        net.dirty = True
        sent = end.transmit(data, at, n, to)
        if sent is None:
            if flags & _MSG_DONTWAIT:
                raise OSError(_EAGAIN)
            start = net.clock()
            while sent is None:
                self._wait(start)
                sent = end.transmit(data, at, n, to)
        if self._timeout:
            net.push()  # who may wait for the answer next wants it to be gone
        return sent

    # As streams do it.

    def _now_or_later(self, start):
        """Wait, or False where that would not do: the caller returns what it has."""
        if self._timeout == 0:
            self._net.look()
            return False
        self._wait(start)
        return True

    def readinto(self, buf, n=-1):
        """Fill `buf` (or n octets of it): how many, fewer at the end of the stream or when no
        more can be had now; None: nothing can. Allocates nothing."""
        end = self._open()
        size = len(buf)
        if n < 0 or n > size:
            n = size
        got = end.receive(buf, n, 0)
        if got == n or got == 0:
            return got
        start = self._net.clock()
        if got is None:
            got = 0
        view = None
        while got < n:
            if got and view is None:
                view = memoryview(buf)
            more = end.receive(view[got:n] if got else buf, n - got, 0)
            if more is None:
                if not self._now_or_later(start):
                    return got or None
            elif more == 0:
                break
            else:
                got += more
        return got

    def read(self, n=-1):
        """n octets, or (n < 0) all until the end of the stream; fewer at its end, or when no more
        can be had now; None: nothing can."""
        end = self._open()
        start = self._net.clock()
        parts = bytearray()
        buf = self._net.scratch
        view = memoryview(buf)
        while n < 0 or len(parts) < n:
            want = min(_PIECE if n < 0 else n - len(parts), len(buf))
            got = end.receive(buf, want, 0)
            if got is None:
                if not self._now_or_later(start):
                    return bytes(parts) if parts else None
            elif got == 0:
                break
            else:
                parts.extend(view[:got])
        return bytes(parts)

    def readline(self, n=-1):
        """A line with its end, or n octets of it; what there is at the end of the stream."""
        end = self._open()
        start = self._net.clock()
        line = bytearray()
        buf = self._net.scratch
        while n < 0 or len(line) < n:
            most = _PIECE if n < 0 or n - len(line) > _PIECE else n - len(line)
            most = min(most, len(buf))
            got = end.receive(buf, most, _MSG_PEEK)
            if got is None:
                if not self._now_or_later(start):
                    return bytes(line) if line else None
                continue
            if got == 0:
                break
            at = buf.find(b"\n", 0, got)
            if at >= 0:
                got = at + 1
            end.receive(buf, got, 0)
            line.extend(memoryview(buf)[:got])
            if at >= 0:
                break
        return bytes(line)

    def write(self, data, at=-1, n=-1):
        """All of `data`: how much of it, less when no more fits now and the socket does not
        block; None: nothing does. write(data, n): the first n octets; write(data, at, n): those
        from `at` on. Allocates nothing."""
        end = self._open()
        net = self._net
        size = len(data)
        if n < 0:
            n = at if at >= 0 else size
            at = 0
        stop = min(size, at + n)
        start = None
        first = at
        net.dirty = True
        while at < stop:
            sent = end.transmit(data, at, stop - at, None)
            if sent is None:
                if self._timeout == 0:
                    net.look()
                    return at - first or None
                if start is None:
                    start = net.clock()
                self._wait(start)
            else:
                at += sent
        if self._timeout:
            net.push()
        return at - first

    def makefile(self, mode="rb", buffering=0):
        """The socket itself is the stream, as with MicroPython's own."""
        return self

    def flush(self):
        pass

    def ioctl(self, request, arg):
        """What select.poll and asyncio ask."""
        if request == _IOCTL_POLL:
            end = self._end
            if end is None:
                return 32  # POLLNVAL
            self._net.look()
            return end.events(arg)
        if request == _IOCTL_CLOSE:
            self.close()
            return 0
        return -1

    # Options, and what it is.

    def setsockopt(self, level, option, value):
        """SOL_SOCKET: SO_REUSEADDR, SO_BROADCAST, SO_KEEPALIVE, SO_LINGER, SO_BINDTODEVICE, 20 (a
        function that is called with the socket when it changed); IPPROTO_IP: IP_TTL, IP_TOS;
        IPPROTO_TCP: TCP_NODELAY, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT, TCP_USER_TIMEOUT.
        `value`: a number (SO_LINGER: seconds, -1: off), or octets in the machine's order. OSError:
        ENOPROTOOPT."""
        end = self._open()
        if level == _SOL_SOCKET and option == _SO_CALLBACK:
            end.watch(value, self)
            return
        if level == _SOL_SOCKET and option == _SO_LINGER and not isinstance(value, int):
            # struct linger: is it on, and seconds
            value = int.from_bytes(value[4:8], "little") if value and any(value[:4]) else -1
        elif not isinstance(value, int) and option != _SO_BINDTODEVICE:
            value = int.from_bytes(value[:4], "little")
        if not 0 <= option < 256:
            raise OSError(ENOPROTOOPT)
        end.set(level << 8 | option, value)

    def getsockname(self):
        return self._open().name()

    def getpeername(self):
        return self._open().peer()

    def fileno(self):
        return -1 if self._end is None else self._end.number()

    def __repr__(self):
        if self._end is None:
            return "<socket closed>"
        return "<socket %r>" % self._end
