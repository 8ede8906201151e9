"""What a program does with its connections, one object per socket: sink, source, echo, ...

    Server(sockets.add(tcp.Listener(backlog=4, rx=65536, tx=2048)), 6971, Sink)

A Server listens and makes a Service for every connection, a Client opens one. They set themselves
up as `listener.service` and `socket.service`, which command.loop() calls when the listener or the
socket changed. Data moves without allocation: through one buffer that all services share, since
each empties it before it returns.
"""

import hashlib

from micropython import heap_lock, heap_unlock

BUFFER = bytearray(65536)
VIEW = memoryview(BUFFER)

PATTERN = bytes(range(256)) * 257  # of a source: octet i is i & 255


class Server:
    """Listens on `port` and lets a Service, made by `make`, serve every connection."""

    def __init__(self, listener, port, make):
        self.listener = listener
        self.port = port
        self.make = make
        self.served = 0
        self.services = {}  # of the pool's sockets, each made when its socket is first needed
        listener.service = self.run
        listener.nagle = False
        listener.listen(port)

    def run(self):
        while True:
            socket = self.listener.accept()
            if socket is None:
                return
            self.served += 1
            service = self.services.get(socket.handle)
            if service is None:
                service = self.services[socket.handle] = self.make(socket)
            service.run()


class Service:
    """Serves the connection of a socket: serve() moves what can be moved. A socket that closed
    goes back to its listener."""

    steady = False  # serve() allocates nothing: the heap is locked meanwhile, see command.loop

    def __init__(self, socket):
        self.socket = socket
        self.begun = False
        socket.service = self.run

    def run(self):
        socket = self.socket
        try:
            if not self.begun and (socket.may_send() or socket.may_recv()):
                self.begun = True
                self.begin()
            if self.begun:
                if self.steady:
                    self.locked()
                else:
                    self.serve()
        except OSError:  # reset or timed out: the socket is closed
            pass
        if self.begun and not socket.is_open():
            self.begun = False
            if socket.pool is not None:
                socket.pool.release(socket)

    def locked(self):
        heap_lock()
        try:
            self.serve()
        finally:
            heap_unlock()

    def begin(self):
        """A connection was made."""

    def serve(self):
        """Data came, or there is room again."""


class Sink(Service):
    """Discards what comes, until the peer ends."""

    steady = True

    def serve(self):
        socket = self.socket
        while True:
            n = socket.discard()
            if not n:
                break
        if n == 0:
            socket.close()


class Source(Service):
    """Sends without end, octet i is i & 255, until the peer ends or resets."""

    steady = True

    def begin(self):
        self.phase = 0

    def serve(self):
        socket = self.socket
        if socket.recv_into(BUFFER) == 0:
            socket.close()
            return
        while True:
            n = socket.send(PATTERN, self.phase, 65536)
            if not n:
                return
            self.phase = (self.phase + n) & 255


class Echo(Service):
    """Sends back what comes, and takes no more than it has room to send."""

    steady = True

    def serve(self):
        socket = self.socket
        while True:
            room = len(socket.tx_buffer) - socket.send_queue()
            if not room:
                return
            n = socket.recv_into(BUFFER, room)
            if not n:
                break
            self.turn(n)
            socket.send(BUFFER, 0, n)
        if n == 0:
            socket.close()

    def turn(self, n):
        """What came stands in BUFFER[:n]; to be changed in place."""


class Reverse(Echo):
    """Sends back every line (or piece of one) reversed."""

    steady = False

    def turn(self, n):
        lines = bytes(VIEW[:n]).split(b"\n")
        BUFFER[:n] = b"\n".join([bytes(reversed(line)) for line in lines])


class Digest(Service):
    """Takes everything until the peer half-closes, then answers with its length and SHA-256."""

    def begin(self):
        self.hash = hashlib.sha256()
        self.length = 0

    def serve(self):
        socket = self.socket
        while True:
            n = socket.recv_into(BUFFER)
            if not n:
                break
            self.hash.update(VIEW[:n])
            self.length += n
        if n == 0:
            if self.hash:
                text = "".join(["%02x" % x for x in self.hash.digest()])
                socket.send(("%d %s\n" % (self.length, text)).encode())
                self.hash = None
            socket.close()


class Hello(Service):
    """Says hello and closes."""

    def begin(self):
        self.socket.send(b"hello\n")
        self.socket.close()

    def serve(self):
        self.socket.recv_into(BUFFER)


class Http(Service):
    """Answers every GET with `body` (bytes), HTTP/1.0: a page fits its tx buffer or goes piece by
    piece."""

    body = b"smolmp: a TCP/IP stack in MicroPython\n"

    def page(self, request):
        """(status, body) for a request's first line"""
        if not request.startswith(b"GET "):
            return b"405 Method Not Allowed", b"only GET\n"
        return b"200 OK", self.body

    def begin(self):
        self.request = b""
        self.rest = None  # of the answer: octets from `at` on are still to be sent
        self.at = 0

    def serve(self):
        socket = self.socket
        while self.rest is None:
            n = socket.recv_into(BUFFER)
            if n is None:
                return
            if n == 0 or len(self.request) > 8192:
                socket.close()
                return
            self.request += bytes(VIEW[:n])
            if b"\r\n\r\n" in self.request:
                status, body = self.page(self.request.split(b"\r\n", 1)[0])
                head = b"HTTP/1.0 %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n"
                self.rest = head % (status, len(body)) + body
        while self.at < len(self.rest):
            n = socket.send(self.rest, self.at)
            if not n:
                return
            self.at += n
        socket.close()


class Client:
    """The other side: one connection that we open, command.converse(). begin() is called when it
    stands, serve() when something moved; who has no more to do sets `done`."""

    def __init__(self, socket):
        self.socket = socket
        self.begun = False
        self.done = False
        self.error = None  # the OSError that ended it
        socket.service = self.run

    def run(self):
        socket = self.socket
        try:
            if not self.begun:
                if not socket.may_send():
                    if not socket.is_open():
                        socket.send(b"")  # raises the reason
                    return
                self.begun = True
                self.begin()
            self.serve()
        except OSError as e:
            self.error = e
            self.done = True

    def close(self):
        """The peer is done, and so are we."""
        self.socket.close()
        self.done = True

    def begin(self):
        """The connection stands."""

    def serve(self):
        """Data came, or there is room again."""


class UdpEcho:
    """Sends every datagram back to its sender; turn: a function of (buffer, n) called before."""

    def __init__(self, socket, port, metadata, turn=None):
        self.socket = socket
        self.meta = metadata
        self.turn = turn
        self.waiting = -1  # length of an answer that found the queue full
        self.served = 0
        self.buffer = bytearray(65536)
        socket.service = self.run
        socket.bind(port)

    def run(self):
        if self.turn:
            self.serve()
            return
        heap_lock()
        try:
            self.serve()
        finally:
            heap_unlock()

    def serve(self):
        socket = self.socket
        while True:
            n = self.waiting
            if n < 0:
                n = socket.recv_into(self.buffer, self.meta)
                if n is None:
                    return
                if self.turn:
                    self.turn(self.buffer, n)
            if socket.send(self.buffer, n, self.meta) is None:
                self.waiting = n
                return
            self.waiting = -1
            self.served += 1
