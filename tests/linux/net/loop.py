"""loop.py PEER: asyncio over smolmp: who is waited for, cancelled, closed and cut off."""

import asyncio
import gc
import sys
import time

sys.path.insert(1, (sys.path[0] or ".") + "/../../..")

from ports.unix.tuntap import Tap
from smolmp.net import Net

PEER = sys.argv[1]
ECHO, CLOSER, RESETTER, SOURCE, SILENT, CALLER, NOBODY, UDP_ECHO = range(7001, 7009)
net = Net(Tap("tap0"), "192.168.69.1/24", hosts={"server.test": PEER}).install()

import socket  # noqa: E402


async def echo(n):
    reader, writer = await asyncio.open_connection(PEER, ECHO)
    for i in range(n):
        writer.write(b"%d " % i * 100)
        await writer.drain()
        assert await reader.readexactly(len(b"%d " % i * 100)) == b"%d " % i * 100
    writer.close()
    await writer.wait_closed()
    return n


async def many():
    print("many", await asyncio.gather(*[echo(20) for _ in range(6)]))


async def time_out():
    """wait_for() cancels a read; the connection goes on."""
    reader, writer = await asyncio.open_connection(PEER, ECHO)
    try:
        await asyncio.wait_for_ms(reader.read(10), 50)
    except asyncio.TimeoutError:
        print("time-out")
    writer.write(b"alive")
    await writer.drain()
    print(await reader.read(10))
    writer.close()
    await writer.wait_closed()


async def both_ways():
    """Two tasks at one socket, one of which is cancelled."""
    reader, writer = await asyncio.open_connection(PEER, SILENT)
    writing = asyncio.create_task(flood(writer))
    reading = asyncio.create_task(reader.read(1))
    await asyncio.sleep_ms(100)
    reading.cancel()
    await asyncio.sleep_ms(0)
    print("cancelled", reading.done(), writing.done())
    writing.cancel()
    await asyncio.sleep_ms(0)
    print("cancelled", writing.done())
    writer.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 0)
    writer.close()
    await writer.wait_closed()


async def flood(writer):
    while True:
        writer.write(bytes(10000))
        await writer.drain()


async def closed_by_another():
    reader, writer = await asyncio.open_connection(PEER, SILENT)

    async def read():
        try:
            return await reader.read(1)
        except OSError as e:
            return e.errno

    task = asyncio.create_task(read())
    await asyncio.sleep_ms(20)
    writer.s.close()
    print("closed by another", await task)


async def refused_and_reset():
    reader, writer = await asyncio.open_connection(PEER, NOBODY)
    try:
        writer.write(b"x")
        await writer.drain()
        await reader.read(1)
    except OSError as e:
        print("refused", e.errno)
    writer.close()
    await writer.wait_closed()
    reader, writer = await asyncio.open_connection(PEER, RESETTER)
    writer.write(b"x")
    await writer.drain()
    try:
        await reader.read(1)
    except OSError as e:
        print("reset", e.errno)
    writer.close()
    await writer.wait_closed()


async def flags():
    """What is not ours beside what is: a flag, and asyncio's own queues."""
    flag = asyncio.ThreadSafeFlag()
    event = asyncio.Event()
    order = []

    async def wait():
        await flag.wait()
        order.append("flag")
        event.set()

    async def later():
        await event.wait()
        order.append("event")

    tasks = [asyncio.create_task(wait()), asyncio.create_task(later())]
    await echo(3)
    flag.set()
    for task in tasks:
        await task
    print(order)
    waiting = asyncio.create_task(flag.wait())
    await asyncio.sleep_ms(5)
    waiting.cancel()
    await asyncio.sleep_ms(5)
    print("flag cancelled", waiting.done())


async def server():
    async def serve(reader, writer):
        writer.write((await reader.read(5)) + b" welcome\n")
        await writer.drain()
        print("served", await reader.read(-1))
        writer.close()
        await writer.wait_closed()
        done.set()

    done = asyncio.Event()
    listener = await asyncio.start_server(serve, "0.0.0.0", 8080)
    reader, writer = await asyncio.open_connection(PEER, CALLER)
    writer.write(b"\x1f\x90")
    await writer.drain()
    await done.wait()
    listener.close()
    await listener.wait_closed()
    writer.close()
    await writer.wait_closed()


async def idle():
    """Nobody is woken while nothing happens."""
    reader, writer = await asyncio.open_connection(PEER, SILENT)
    task = asyncio.create_task(reader.read(1))
    start = switches()
    await asyncio.sleep_ms(1000)
    print("idle", switches() - start < 10)
    task.cancel()
    writer.close()
    await writer.wait_closed()


def switches():
    """How often this process has gone to sleep."""
    with open("/proc/self/status") as f:
        for line in f:
            if line.startswith("voluntary"):
                return int(line.split()[1])


async def quick():
    start = time.ticks_ms()
    got = 0
    for _ in range(20):
        reader, writer = await asyncio.open_connection(PEER, SOURCE)
        got += len(await reader.read(-1))
        writer.close()
        await writer.wait_closed()
    print("read", got)
    return time.ticks_diff(time.ticks_ms(), start)


for part in (
    many,
    time_out,
    both_ways,
    closed_by_another,
    refused_and_reset,
    flags,
    server,
    idle,
    quick,
):
    asyncio.run(part())
    asyncio.new_event_loop()
net.finish()
net.sleep(100)
gc.collect()
free = net.count_streams()
print("connections free:", free[0] == free[1], "tasks left:", net.waiting.queue.waiting)
