"""Echo servers as MicroPython programs have them, over smolmp.net.

net_peer.py TAP IP/PLEN MODE PORT [asyncio]     MODE: echo, udpecho

Sockets that block; with `asyncio` (echo) its streams.
"""

import sys

import smolmp.net
from ports.unix.tuntap import Tap


def echo(port):
    import socket

    server = socket.socket()
    server.bind(("0.0.0.0", port))
    server.listen(1)
    buffer = bytearray(4096)
    view = memoryview(buffer)
    while True:
        connection, _ = server.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while True:
                n = connection.recv_into(buffer)
                if not n:
                    break
                connection.send(view[:n])
        except OSError:
            pass  # it was reset
        connection.close()


def udpecho(port):
    import socket

    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("0.0.0.0", port))
    while True:
        data, address = server.recvfrom(2048)
        server.sendto(data, address)


def streams(port):
    import asyncio

    async def talk(reader, writer):
        try:
            while True:
                data = await reader.read(4096)
                if not data:
                    break
                writer.write(data)
                await writer.drain()
        except OSError:
            pass  # it was reset
        await writer.wait_closed()

    async def serve():
        await asyncio.start_server(talk, "0.0.0.0", port)
        while True:
            await asyncio.sleep(3600)

    asyncio.run(serve())


def main():
    name, address, mode, port, *how = sys.argv[1:]
    net = smolmp.net.Net(Tap(name), address, hardware_addr="02:00:00:00:00:01")
    net.install()
    (streams if how else {"echo": echo, "udpecho": udpecho}[mode])(int(port))


main()
