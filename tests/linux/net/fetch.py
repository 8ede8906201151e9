"""fetch.py PEER: the `requests` that MicroPython carries, over smolmp, against Linux's server."""

import asyncio
import sys

sys.path.insert(1, (sys.path[0] or ".") + "/../../..")

from ports.unix.tuntap import Tap
from smolmp.net import Net

net = Net(Tap("tap0"), "192.168.69.1/24", hosts={"server.test": sys.argv[1]})
net.install()

import requests  # noqa: E402

r = requests.get("http://server.test:8000/hello.txt")
print(r.status_code, r.text)
r = requests.get("http://server.test:8000/large.bin")
print(r.status_code, len(r.content), sum(r.content))
r = requests.get("http://server.test:8000/nothing")
print(r.status_code)
r.close()


async def stream():
    reader, writer = await asyncio.open_connection(sys.argv[1], 8000)
    writer.write(b"GET /hello.txt HTTP/1.0\r\n\r\n")
    await writer.drain()
    line = await reader.readline()
    while await reader.readline() != b"\r\n":
        pass
    body = await reader.read(-1)
    writer.close()
    await writer.wait_closed()
    return line, body


async def several():
    return await asyncio.gather(*[stream() for _ in range(5)])


for line, body in asyncio.run(several()):
    print(line, body)
net.sleep(300)
print(net)
