"""web.py THIRD_PARTY: microdot, as its authors wrote it, serves over smolmp."""

import asyncio
import sys

sys.path.insert(1, (sys.path[0] or ".") + "/../../..")
sys.path.append(sys.argv[1])

from ports.unix.tuntap import Tap
from smolmp.net import Net

net = Net(Tap("tap0"), "192.168.69.1/24", tcp=160, rx=4096, tx=4096, backlog=64)
net.install()

from microdot import Microdot  # noqa: E402
from microdot.websocket import with_websocket  # noqa: E402

# What a browser makes of it: a style sheet, pages side by side, a WebSocket; then it tells.
PAGE = """<!doctype html><title>smolmp</title><link rel="stylesheet" href="/style.css">
<h1>smolmp</h1><script type="module">
const pages = [1, 2, 3, 4, 5, 6, 7, 8].map(async n => (await (await fetch("/big/" + n)).text()));
const socket = new WebSocket("ws://" + location.host + "/echo");
await new Promise(opened => socket.onopen = opened);
const heard = [];
const all = new Promise(done => socket.onmessage = message => {
  heard.push(message.data);
  if (heard.length == 50) done();
});
for (let n = 0; n < 50; n++) socket.send(n + "x".repeat(n * 20));
await all;
socket.close();
const upper = await (await fetch("/upper", {method: "POST", body: "shout"})).text();
const found = {
  color: getComputedStyle(document.querySelector("h1")).color,
  pages: (await Promise.all(pages)).map(text => text.length),
  heard: heard.every((text, n) => text == n + "x".repeat(n * 20)),
  upper: upper,
};
await fetch("/result", {method: "POST", body: JSON.stringify(found)});
</script>"""

app = Microdot()


@app.get("/")
async def index(request):
    return "<h1>smolmp</h1>", {"Content-Type": "text/html"}


@app.get("/page")
async def page(request):
    return PAGE, {"Content-Type": "text/html"}


@app.get("/style.css")
async def style(request):
    return "h1 { color: rgb(1, 2, 3) }", {"Content-Type": "text/css"}


@app.post("/result")
async def result(request):
    print("result", request.body.decode())
    return "thanks"


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
