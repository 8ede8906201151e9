"""Answers http://ADDRESS/ through a W5500. tools/flash.py writes /host.py: who this board is."""

try:
    from ports.rp2 import inplace

    inplace.begin()  # what is imported runs from the flash: it would fill the heap
except ImportError:
    pass  # smolmp is in the firmware, whose functions run there anyway

import asyncio  # noqa: E402

import host  # type: ignore[import-not-found]  # noqa: E402

from ports.rp2 import boards  # noqa: E402
from smolmp.net import Net  # noqa: E402


async def serve(reader, writer):
    try:
        while await asyncio.wait_for(reader.readline(), 5) not in (b"\r\n", b""):
            pass  # the request's lines
        writer.write(b"HTTP/1.0 200 OK\r\n\r\nThis is smolmp on a board.\n")
        await writer.drain()
    except (OSError, asyncio.TimeoutError):
        pass  # the client is gone, or says nothing
    await writer.wait_closed()


device = getattr(boards, host.BOARD)(host.MAC, **host.WIRING)
net = Net(device, host.ADDRESSES, host.GATEWAY, hardware_addr=host.MAC, rx=1024, tx=1024).install()
asyncio.create_task(asyncio.start_server(serve, "0.0.0.0", 80))
print("smolmp serves http://%s/" % host.ADDRESSES[0].split("/")[0])
asyncio.run(net.run())
