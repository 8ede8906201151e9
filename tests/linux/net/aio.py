"""aio.py PEER: smolmp.net.aio: transfers, time-outs, cancellation, and nothing that is left."""

import asyncio
import sys
import time

sys.path.insert(1, (sys.path[0] or ".") + "/../../..")

from ports.unix.tuntap import Tap
from smolmp.net import Net, aio

PEER = sys.argv[1]
ECHO, CLOSER, RESETTER, SOURCE, SILENT, CALLER, NOBODY, UDP_ECHO = range(7001, 7009)
NOT_THERE = "192.168.69.77"  # an address that nobody has
net = Net(Tap("tap0"), "192.168.69.1/24", dns=("192.168.69.78",), hosts={"server.test": PEER})
net.install()


async def failing(what, awaitable):
    try:
        print(what, await awaitable)
    except OSError as e:
        print(what, "OSError", e.errno)
    except asyncio.TimeoutError:
        print(what, "TimeoutError")


async def transfers():
    async def echo(i):
        stream = await aio.connect("server.test", ECHO)
        buf = bytearray(3000)
        for n in (1, 100, 3000):
            assert await stream.write(bytes([i]) * 5000, 1000, n) == n
            assert await stream.readexactly(buf, n) == n
            assert buf[:n] == bytes([i]) * n
        stream.close()
        return i

    print(await asyncio.gather(*[echo(i) for i in range(6)]))
    stream = await aio.connect(PEER, SOURCE)
    buf = bytearray(1000)
    total = 0
    while True:
        n = await stream.readinto(buf)
        if not n:
            break
        total += sum(memoryview(buf)[:n])
    print("the end", total, await stream.readinto(buf))
    stream.close()
    await failing("closed", stream_read(stream))
    stream = await aio.connect(PEER, ECHO)
    sent = asyncio.create_task(stream.write(bytes(100000)))  # more than all buffers hold
    got = 0
    while got < 100000:
        got += await stream.readinto(buf)
    print("both ways", got, await sent)
    stream.shutdown()
    print("end of both", await stream.readinto(buf))
    stream.close()


async def stream_read(stream):
    return await stream.readinto(bytearray(1))


async def failures():
    await failing("refused", aio.connect(PEER, NOBODY))
    await failing("no such name", aio.connect("nothing.local", 1))
    start = time.ticks_ms()
    await failing("time-out", aio.connect(NOT_THERE, 1, timeout=100))
    print("in time", 90 < time.ticks_diff(time.ticks_ms(), start) < 500)
    stream = await aio.connect(PEER, RESETTER, timeout=2000)
    await stream.write(b"x")
    await failing("reset", stream_read(stream))
    await failing("then", stream_read(stream))
    stream.close()
    stream = await aio.connect(PEER, ECHO, timeout=50)
    await failing("silence", stream_read(stream))
    await stream.write(b"!")
    await failing("an answer", stream_read(stream))
    stream.close()
    stream = await aio.connect(PEER, SILENT, timeout=300)
    await failing("full", write(stream))
    stream.abort()


async def write(stream):
    while True:
        await stream.write(bytes(100000))


async def cancelled():
    """Wherever a task is, it ends at once and leaves nothing."""
    listener = aio.listen(8080)
    stream = await aio.connect(PEER, ECHO)
    silent = await aio.connect(PEER, SILENT)
    timed = await aio.connect(PEER, ECHO, timeout=10000)
    port = aio.datagrams(9000)
    places = (
        ("connect", lambda: aio.connect(NOT_THERE, 1)),
        ("timed connect", lambda: aio.connect(NOT_THERE, 1, timeout=10000)),
        ("resolve", lambda: aio.resolve("name.test")),
        ("accept", lambda: accept(listener)),
        ("read", lambda: stream_read(stream)),
        ("timed read", lambda: stream_read(timed)),
        ("write", lambda: write(silent)),
        ("datagram", lambda: port.recvfrom_into(bytearray(9))),
    )
    for what, place in places:
        task = asyncio.create_task(place())
        await asyncio.sleep_ms(60)
        was = net.waiting.queue.waiting
        task.cancel()
        try:
            await task
            print(what, "was not cancelled")
        except asyncio.CancelledError:
            print(what, "cancelled", was, net.waiting.queue.waiting)
    await failing("wait_for", asyncio.wait_for_ms(stream_read(stream), 50))
    await stream.write(b"go on")
    buf = bytearray(9)
    print("goes on", await stream.readinto(buf))
    task = asyncio.create_task(failing("closed under it", stream_read(stream)))
    await asyncio.sleep_ms(20)
    stream.close()
    await task
    silent.abort()
    for each in (timed, listener, port):
        each.close()


async def accept(listener):
    return await listener.accept()


async def server():
    """Ours, and the loop's own streams beside it."""
    listener = aio.listen(8081)
    reader, writer = await asyncio.open_connection(PEER, CALLER)
    writer.write(b"\x1f\x91")
    await writer.drain()
    async with await listener.accept() as stream:
        buf = bytearray(20)
        n = await stream.readexactly(buf, 5)
        await stream.write(buf, 0, n)
        print("served", stream.peer()[0], await stream.readexactly(buf, 5), bytes(buf[:5]))
    listener.close()
    writer.close()
    await writer.wait_closed()


async def udp():
    port = aio.datagrams(timeout=3000)
    buf = bytearray(100)
    await port.sendto(b"hello", ("server.test", UDP_ECHO))
    print(await port.recvfrom_into(buf), bytes(buf[:5]))
    await port.answer(b"again!")
    print(await port.readinto(buf), port.sender)
    large = bytes(1400)
    sent = 0
    for _ in range(20):  # the socket has room for one: each waits for the last
        sent += await port.sendto(large, ("server.test", UDP_ECHO))
    print("datagrams sent", sent)
    port.close()


for part in (transfers, failures, cancelled, server, udp):
    asyncio.run(part())
net.finish()
net.sleep(100)
free = net.count_streams()
print("connections free:", free[0] == free[1], "tasks left:", net.waiting.queue.waiting)
