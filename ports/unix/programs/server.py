"""A host with a few small services."""

import gc
import sys

import command

USAGE = (
    """
usage: server.py TAP IP/PLEN [options]

Listens, until it is ended, on
  UDP 6969   every datagram goes back to its sender, reversed
  TCP 6969   says hello and closes
  TCP 6970   sends back every line reversed
  TCP 6971   takes everything, answers its length and SHA-256 when the peer half-closes; a peer
             that has vanished is given up after 2 s (keep-alive)
  TCP 6972   sends without end: octet i is i & 255
  TCP 80     HTTP: a page about itself; /counters: what it counted, octets in use

options:
  --rx N, --tx N  octets of the buffers that carry bulk data (default 65536)
  --http PORT     instead of 80 (0: none)
  --sockets N     connections at a time on each port (default 2)
"""
    + command.DEVICE_OPTIONS
)


def reverse(buffer, n):
    buffer[:n] = bytes(reversed(bytes(buffer[:n])))


def main():
    given, options = command.arguments(
        USAGE, 2, 2, rx=(65536, 1), tx=(65536, 1), http=(80, 0, 65535), sockets=(2, 1, 10000)
    )
    name, address = given
    import services

    from smolmp.socket import tcp, udp
    from smolmp.socket.set import SocketSet

    device = command.open_device(name, options)
    iface = command.interface(device, address, options)
    sockets = SocketSet(16)

    udp_socket = sockets.add(udp.Socket(rx=8192, tx=8192))
    echo = services.UdpEcho(udp_socket, 6969, udp.UdpMetadata(), reverse)

    class Page(services.Http):
        def page(self, request):
            if request.startswith(b"GET /counters "):
                gc.collect()
                lines = ["%s %d" % item for item in sorted(iface.stats().items())]
                lines.append("memory %d\n" % gc.mem_alloc())
                return b"200 OK", "\n".join(lines).encode()
            if not request.startswith(b"GET / "):
                return services.Http.page(self, request)
            lines = [
                "smolmp on %s, MicroPython %d.%d.%d"
                % ((address,) + tuple(sys.implementation.version[:3]))
            ]
            for s in served:
                lines.append("port %5d: %d served; %r" % (s.port, s.served, s.listener))
            lines.append("datagrams: %d" % echo.served)
            lines.append("")
            return b"200 OK", "\n".join(lines).encode()

    served = []
    for make, port, rx, tx in (
        (services.Hello, 6969, 256, 256),
        (services.Reverse, 6970, 4096, 4096),
        (services.Digest, 6971, options.rx, 256),
        (services.Source, 6972, 256, options.tx),
        (Page, options.http, 2048, 4096),
    ):
        if port:
            listener = sockets.add(tcp.Listener(options.sockets, rx=rx, tx=tx))
            if make is services.Digest:
                listener.keep_alive = 1000
                listener.timeout = 2000
            served.append(services.Server(listener, port, make))
    print("ready: %s on %s, mtu %d" % (address, name, device.mtu))
    command.loop(iface, sockets, device, options.spin)


command.run(main)
