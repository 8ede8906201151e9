"""The server that measurements and tests talk to: one service, until it is ended (SIGTERM)."""

import command

USAGE = (
    """
usage: peer.py TAP IP/PLEN MODE PORT [options]

MODE:
  sink      accept TCP on PORT, discard what comes until the peer ends
  source    accept, send without end (octet i is i & 255) until the peer ends
  echo      accept, send back what comes
  digest    accept, take all until the peer half-closes, answer its length and SHA-256
  udpecho   send every datagram back to its sender

options:
  --rx N, --tx N  octets of a socket's buffers (defaults suit the mode)
  --sockets N     connections at a time (default 4)
  --half-open N   connections being opened that are remembered (default 16)
  --budget N      packets per poll (default 64)
"""
    + command.DEVICE_OPTIONS
)

_SIZES = {  # rx, tx
    "sink": (1 << 17, 1 << 11),
    "digest": (1 << 17, 1 << 11),
    "source": (1 << 11, 1 << 17),
    "echo": (1 << 15, 1 << 15),
    "udpecho": (1 << 16, 1 << 16),
}


def main():
    given, options = command.arguments(
        USAGE, 4, 4, rx=0, tx=0, sockets=(4, 1, 10000), half_open=(16, 0, 10000), budget=(64, 1)
    )
    name, address, mode, port = given
    port = command.number(port, options, 1)
    if mode not in _SIZES:
        options.wrong("no such mode: " + mode)
    import services

    from smolmp.socket.set import SocketSet

    device = command.open_device(name, options)
    iface = command.interface(device, address, options)
    rx, tx = _SIZES[mode]
    rx = options.rx or rx
    tx = options.tx or tx
    sockets = SocketSet()
    if mode == "udpecho":
        from smolmp.socket import udp

        socket = sockets.add(udp.Socket(rx=rx, tx=tx, rx_slots=64, tx_slots=64))
        services.UdpEcho(socket, port, udp.UdpMetadata())
    else:
        from smolmp.socket import tcp

        make = {
            "sink": services.Sink,
            "source": services.Source,
            "echo": services.Echo,
            "digest": services.Digest,
        }[mode]
        listener = tcp.Listener(options.sockets, rx=rx, tx=tx, half_open=options.half_open)
        services.Server(sockets.add(listener), port, make)
    print("ready: %s on %s port %d, %s, mtu %d" % (mode, address, port, name, device.mtu))
    command.loop(iface, sockets, device, options.spin, budget=options.budget)


command.run(main)
