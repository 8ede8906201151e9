"""load.py: asyncio.start_server alone: HTTP/1.1 on many connections that stay."""

import asyncio
import sys

sys.path.insert(1, (sys.path[0] or ".") + "/../../..")

from ports.unix.tuntap import Tap
from smolmp.net import Net

# A listener takes half of the connections.
net = Net(Tap("tap0"), "192.168.69.1/24", tcp=160, rx=2048, tx=2048).install()

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\nsmolmp"


async def serve(reader, writer):
    try:
        while True:
            line = await reader.readline()
            while line and line != b"\r\n":
                line = await reader.readline()
            if not line:
                break
            writer.write(ANSWER)
            await writer.drain()
    except OSError:
        pass  # wrk ends by resets
    await writer.wait_closed()


async def main():
    await asyncio.start_server(serve, "0.0.0.0", 80, backlog=80)
    print("ready")
    while True:
        await asyncio.sleep(1)


asyncio.run(main())
