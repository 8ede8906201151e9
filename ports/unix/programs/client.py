"""Connects to a TCP server, prints what it says and sends every line back reversed."""

import sys

import command

USAGE = (
    """
usage: client.py TAP IP/PLEN HOST PORT [options]

Connects from IP to HOST:PORT and sends every line that comes back reversed, until the server
closes; what came is printed.

options:
  --send TEXT     send this (and a newline) first
  --half-close    then close our half
  --timeout N     seconds without progress after which to give up (default 10)
"""
    + command.DEVICE_OPTIONS
)


def main():
    given, options = command.arguments(
        USAGE, 4, 4, send="", half_close=False, timeout=(10, 0, 1 << 18)
    )
    name, address, host, port = given
    host = command.host(host, options)
    port = command.number(port, options, 1)
    import services

    from smolmp.socket import tcp
    from smolmp.socket.set import SocketSet

    device = command.open_device(name, options)
    iface = command.interface(device, address, options)
    sockets = SocketSet()
    socket = sockets.add(tcp.Socket(rx=4096, tx=4096))
    socket.timeout = options.timeout * 1000
    buffer = bytearray(4096)

    class Reverse(services.Client):
        def begin(self):
            print("connected: %s:%d from %s:%d" % (socket.remote + socket.local))
            if options.send:
                socket.send(options.send.encode() + b"\n")
            if options.half_close:
                socket.close()

        def serve(self):
            while True:
                room = len(socket.tx_buffer) - socket.send_queue()
                n = socket.recv_into(buffer, room) if room else None
                if not n:
                    break
                text = bytes(buffer[:n])
                sys.stdout.write(text)  # octets, as they are
                if not options.send and socket.may_send():
                    lines = text.split(b"\n")
                    socket.send(b"\n".join([bytes(reversed(line)) for line in lines]))
            if n == 0:
                self.close()

    command.converse(iface, sockets, device, Reverse(socket), (host, port), options)


command.run(main)
