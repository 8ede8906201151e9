"""web.py THIRD_PARTY: microdot, as its authors wrote it, serves over smolmp."""

import asyncio
import sys

sys.path.insert(1, (sys.path[0] or ".") + "/../../..")
sys.path.append(sys.argv[1])

from ports.unix.tuntap import Tap
from smolmp.net import Net

net = Net(Tap("tap0"), "192.168.69.1/24", tcp=32, rx=8192, tx=8192)
net.install()

from microdot import Microdot  # noqa: E402
from microdot.websocket import with_websocket  # noqa: E402

app = Microdot()


@app.get("/")
async def index(request):
    return "<h1>smolmp</h1>", {"Content-Type": "text/html"}


@app.get("/big/<int:n>")
async def big(request, n):
    async def parts():
        for _ in range(n):
            yield b"0123456789abcdef" * 64

    return parts(), {"Content-Type": "application/octet-stream"}


@app.post("/upper")
async def upper(request):
    return request.body.upper()


@app.get("/echo")
@with_websocket
async def echo(request, ws):
    while True:
        await ws.send(await ws.receive())


@app.get("/net")
async def state(request):
    return repr(net)


@app.get("/end")
async def end(request):
    async def later():
        await asyncio.sleep_ms(200)
        app.shutdown()

    asyncio.create_task(later())
    return "bye"


async def main():
    task = asyncio.create_task(net.run())
    print("ready")
    await app.start_server(host="0.0.0.0", port=80)
    task.cancel()


asyncio.run(main())
net.finish()
