"""main.py of the emulated Pico in test_talks.py: a host on a W5500 that serves all there is.

UDP 7 echoes; TCP 7 echoes; 9 takes everything and answers its length and SHA-256 when the peer
ends its half; 19 sends a megabyte, octet i is i & 255, and closes; 80 is a page with counters.
"""

import gc
import hashlib
import sys
from time import ticks_ms

from ports.rp2 import boards
from smolmp.iface import Interface
from smolmp.socket import tcp, udp
from smolmp.socket.set import SocketSet

MEGABYTE = 1_000_000
BUFFER = bytearray(2048)
VIEW = memoryview(BUFFER)
PATTERN = bytes(range(256)) * 8


class Echo:
    def __init__(self, socket):
        self.socket = socket

    def serve(self):
        socket = self.socket
        while socket.can_recv() and socket.can_send():
            n = socket.peek_into(BUFFER)
            socket.discard(socket.send(BUFFER, 0, n))
        if socket.may_send() and not socket.may_recv() and not socket.can_recv():
            socket.close()


class Digest(Echo):
    def __init__(self, socket):
        self.socket = socket
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
        if n == 0 and self.hash:
            text = "".join(["%02x" % x for x in self.hash.digest()])
            socket.send("%d %s\n" % (self.length, text))
            self.hash = None
            socket.close()


class Source(Echo):
    sent = 0

    def serve(self):
        socket = self.socket
        while self.sent < MEGABYTE:
            at = self.sent & 255
            n = socket.send(PATTERN, at, min(len(PATTERN) - at, MEGABYTE - self.sent))
            if not n:
                return
            self.sent += n
        socket.close()


class Page(Echo):
    request = b""

    def serve(self):
        socket = self.socket
        n = socket.recv_into(BUFFER)
        if n:
            self.request += VIEW[:n]
        if n == 0 or len(self.request) > 1000:
            socket.close()
        elif self.request.endswith(b"\r\n\r\n"):
            self.request = b""
            gc.collect()
            lines = ["%r" % device, "memory %d" % gc.mem_alloc()]
            lines += ["%s %d" % item for item in sorted(iface.stats().items()) if item[1]]
            body = "\n".join(lines) + "\n"
            socket.send("HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            socket.close()


class Server:
    """Listens on `port`; a service, made by `make`, serves each connection."""

    def __init__(self, port, make, rx, tx, backlog=2):
        self.listener = sockets.add(tcp.Listener(backlog, rx=rx, tx=tx))
        self.make = make
        self.listener.service = self
        self.listener.listen(port)

    def serve(self):
        while True:
            socket = self.listener.accept()
            if socket is None:
                return
            socket.service = Served(self.listener, socket, self.make(socket))
            socket.service.serve()


class Served:
    """A connection and its service; when it is over, the listener gets the socket back."""

    def __init__(self, listener, socket, service):
        self.listener = listener
        self.socket = socket
        self.service = service

    def serve(self):
        try:
            self.service.serve()
        except OSError:  # reset or timed out: the socket is closed
            pass
        if not self.socket.is_open():
            self.socket.service = None
            self.listener.release(self.socket)


class UdpEcho:
    def __init__(self, port):
        self.socket = sockets.add(udp.Socket(rx=4096, tx=4096))
        self.meta = udp.UdpMetadata()
        self.socket.service = self
        self.socket.bind(port)

    def serve(self):
        while self.socket.can_send():
            n = self.socket.recv_into(BUFFER, self.meta)
            if n is None:
                return
            self.socket.send(BUFFER, n, self.meta)


device = boards.w5500_evb_pico("02:00:00:00:00:01")
iface = Interface(device, hardware_addr="02:00:00:00:00:01", ip_addrs=("192.168.69.1/24",))
sockets = SocketSet()
UdpEcho(7)
Server(7, Echo, 2048, 2048)
Server(9, Digest, 8192, 512, 1)
Server(19, Source, 512, 8192, 1)
Server(80, Page, 512, 2048)
iface.stats()  # the counters' names are loaded by the first one who asks
gc.collect()
print("ready: MicroPython %s, %d octets of heap left" % (sys.version.split()[2], gc.mem_free()))
while True:
    for socket in iface.poll(ticks_ms(), sockets):
        socket.service.serve()
    delay = iface.poll_delay(ticks_ms(), sockets)
    # Once a second at least: a chip that was reset does not ask any more, the poll notices.
    device.wait(1000 if delay is None else min(delay, 1000))
