"""smolmp's end of a long transfer (tools/soak.py is the other): one connection, then a report."""

import hashlib

from micropython import const

from ports.unix.programs import command, services
from smolmp.socket import tcp
from smolmp.socket.set import SocketSet

USAGE = (
    """
usage: soak_peer.py TAP IP/PLEN take|give PORT SIZE [options]

take: accept, take all until the peer half-closes, answer the length and the SHA-256.
give: accept, send SIZE octets in numbered pages, see page(), and close.

Prints "ready", and when the connection has ended the socket's retransmissions and, line by line,
what the FaultInjector did. Ends with 1 when the connection broke.
"""
    + command.DEVICE_OPTIONS
)

_PAGE = const(4096)
_BUFFER = const(1 << 17)


def filling():
    """What stands in every page behind its number: 4092 octets without a pattern."""
    text = b"smolmp"
    octets = b""
    while len(octets) < _PAGE:
        text = hashlib.sha256(text).digest()
        octets += text
    return octets[4:_PAGE]


class Give(services.Service):
    """Page i is i in four octets, the first the highest, and filling()."""

    steady = True
    size = 0

    def begin(self):
        self.page = bytearray(4) + filling()
        self.number = -1
        self.at = _PAGE
        self.left = self.size

    def serve(self):
        socket = self.socket
        while self.left:
            if self.at == _PAGE:
                self.at = 0
                self.number += 1
                page = self.page
                page[0] = self.number >> 24
                page[1] = (self.number >> 16) & 255
                page[2] = (self.number >> 8) & 255
                page[3] = self.number & 255
            n = _PAGE - self.at
            if n > self.left:
                n = self.left
            n = socket.send(self.page, self.at, n)
            if not n:
                return
            self.at += n
            self.left -= n
        socket.close()
        if socket.recv_into(services.BUFFER) == 0:
            self.left = 0


def main():
    given, options = command.arguments(USAGE, 5, 5, rx=0, tx=0)
    name, address, mode, port, size = given
    port = command.number(port, options, 1)
    device = command.open_device(name, options)
    iface = command.interface(device, address, options)
    sockets = SocketSet()
    if mode not in ("take", "give"):
        options.wrong("take or give, not " + mode)
    rx, tx = (_BUFFER, 2048) if mode == "take" else (2048, _BUFFER)
    socket = tcp.Socket(options.rx or rx, options.tx or tx)
    listener = sockets.add(tcp.Listener(pool=(socket,)))
    Give.size = command.number(size, options, 0, 1 << 40)
    server = services.Server(listener, port, services.Digest if mode == "take" else Give)
    print("ready: %s on %s port %d" % (mode, address, port))
    ended = lambda: server.served and listener.free()  # noqa: E731
    command.loop(iface, sockets, device, options.spin, ended, 100)
    print("retransmitted", socket.retransmissions())
    if options.fault:
        for direction, faults in (("in", device.rx), ("out", device.tx)):
            counters = faults.counters()
            for key in sorted(counters):
                print(direction, key, counters[key])
    if socket.error:
        raise OSError(socket.error)


command.run(main)
