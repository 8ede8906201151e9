"""main.py of the emulated Pico in test_programs.py: programs that others wrote, over smolmp.

A page by `requests`; a word with an MQTT broker by umqtt; then microdot serves, and on port 7 an
echo with asyncio's streams.
"""

import asyncio
import gc

from ports.rp2 import boards
from smolmp.net import Net

MAC = "02:00:00:00:00:01"
net = Net(
    boards.w5500_evb_pico(MAC),
    "192.168.69.1/24",
    hosts={"linux": "192.168.69.100"},
    hardware_addr=MAC,
    tcp=6,
    udp=1,
    rx=2048,
    tx=2048,
).install()

import requests  # noqa: E402

r = requests.get("http://linux:8000/page")
print("a page:", r.status_code, len(r.content), sum(r.content))
print("no page:", requests.get("http://linux:8000/nothing").status_code)

from mha.umqtt import MQTTClient  # noqa: E402


def heard(topic, message):
    print("heard", topic.decode(), message.decode())
    client.publish(b"from/pico", message, qos=1)


client = MQTTClient("pico", "linux", keepalive=60)
client.set_callback(heard)
client.set_last_will(b"state", b"gone", retain=True)
client.connect()
client.subscribe(b"to/pico", 1)
client.publish(b"state", b"here", retain=True)
client.wait_msg()
client.disconnect()

from microdot import Microdot  # noqa: E402

app = Microdot()


@app.get("/")
async def index(request):
    return "<h1>smolmp</h1>", {"Content-Type": "text/html"}


@app.post("/upper")
async def upper(request):
    return request.body.upper()


@app.get("/memory")
async def memory(request):
    gc.collect()
    return str(gc.mem_alloc())


@app.get("/net")
async def state(request):
    return repr(net)


async def echo(reader, writer):
    buffer = bytearray(64)
    while True:
        n = await reader.readinto(buffer)
        if not n:
            break
        writer.write(buffer[:n])
        await writer.drain()
    writer.close()
    await writer.wait_closed()


async def main():
    await asyncio.start_server(echo, "0.0.0.0", 7)
    gc.collect()
    print("serving, %d octets free" % gc.mem_free())
    await app.start_server(host="0.0.0.0", port=80)


asyncio.run(main())
