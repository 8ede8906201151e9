"""What a program does with its connections, one object per socket: sink, source, echo, ...

    Server(sockets.add(tcp.Listener(backlog=4, rx=65536, tx=2048)), 6971, Sink)

A Server listens and makes a Service for every connection, a Client opens one. They set themselves
up as `listener.service` and `socket.service`, which command.loop() calls when the listener or the
socket changed. Data moves without allocation: through one buffer that all services share, since
each empties it before it returns.
"""

import hashlib

import micropython

import smolmp.socket.udp_express  # noqa: F401

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

    def __init__(self, socket):
        self.socket = socket
        self.begun = False
        # Bound once: to look a method up costs several times what an attribute does.
        self.serve = self.serve  # type: ignore[method-assign]
        self.recv_into, self.send = socket.recv_into, socket.send
        self.send_queue = socket.send_queue
        socket.service = self.run

    @micropython.native
    def run(self):
        try:
            begun = self.begun
            if not begun and (self.socket.may_send() or self.socket.may_recv()):
                self.begun = begun = True
                self.begin()
            if begun and self.serve():
                return
        except OSError:  # reset or timed out: the socket is closed
            pass
        if self.begun and not self.socket.is_open():
            self.begun = False
            if self.socket.pool is not None:
                self.socket.pool.release(self.socket)

    def begin(self):
        """A connection was made."""

    def serve(self):
        """Data came, or there is room again. True: the socket is open for certain."""


class Sink(Service):
    """Discards what comes, until the peer ends."""

    @micropython.native
    def serve(self):
        socket = self.socket
        while True:
            n = socket.discard()
            if not n:
                break
        if n == 0:
            self.socket.close()
        return n is None


class Source(Service):
    """Sends without end, octet i is i & 255, until the peer ends or resets."""

    def begin(self):
        self.phase = 0

    @micropython.native
    def serve(self):
        if self.recv_into(BUFFER) == 0:
            self.socket.close()
            return False
        send = self.send
        while True:
            n = send(PATTERN, self.phase, 65536)
            if not n:
                return True
            self.phase = (self.phase + n) & 255


class Echo(Service):
    """Sends back what comes, and takes no more than it has room to send."""

    turn = None  # turn(n): what came stands in BUFFER[:n]; to be changed in place

    def __init__(self, socket):
        super().__init__(socket)
        most = len(socket.tx_buffer)
        self.parts = (self.recv_into, self.send, self.send_queue, self.turn, most, BUFFER)

    @micropython.native
    def serve(self):
        recv_into, send, queued, turn, most, buffer = self.parts
        while True:
            room = most - queued()
            if not room:
                return False
            n = recv_into(buffer, room)
            if not n:
                break
            if turn:
                turn(n)
            send(buffer, 0, n)
            if n < room:  # that was all
                return True
        if n == 0:
            self.socket.close()
        return n is None


class Reverse(Echo):
    """Sends back every line (or piece of one) reversed."""

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
        # Bound once: to look a method up costs several times what an attribute does.
        self.parts = (socket.recv_into, socket.send, self.buffer, metadata, turn)
        socket.bind(port)

    @micropython.native
    def run(self):
        recv_into, send, buffer, meta, turn = self.parts
        n = self.waiting
        while True:
            if n < 0:
                n = recv_into(buffer, meta)
                if n is None:
                    return
                if turn:
                    turn(buffer, n)
            if send(buffer, n, meta) is None:
                self.waiting = n
                return
            self.served += 1
            if self.waiting >= 0:
                self.waiting = -1
            n = -1
