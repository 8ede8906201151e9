"""Answers http://ADDRESS/ through a W5500. tools/flash.py writes /host.py: who this board is."""

import host  # type: ignore[import-not-found]

from ports.rp2 import start

net = start.net(host)


async def page(reader, writer):
    while await reader.readline() not in (b"\r\n", b""):
        pass  # the request's lines
    writer.write(b"HTTP/1.0 200 OK\r\n\r\nThis is smolmp on a board.\n")
    await writer.drain()


start.serve(net, page, 80)
