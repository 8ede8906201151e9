"""locked.py KIND: an echo server whose every request is served with the heap locked, but for what
asyncio itself allocates. KIND: recv, stream, datagram, recvfrom, aio, aio_datagram, asyncio.

Whoever connects is served until it hangs up; a datagram "bye" is the last one. The first requests
may allocate: what is made once, and the neighbour's entry.
"""

import asyncio
import sys
from asyncio import core

import micropython

sys.path.insert(1, (sys.path[0] or ".") + "/../../..")

from ports.unix.tuntap import Tap
from smolmp.net import Net, aio, loop

PORT, SIZE, FREE = 7000, 64, 3
net = Net(Tap("tap0"), "192.168.69.1/24").install()

import socket  # noqa: E402

buf = bytearray(SIZE)
BYE = b"bye"


def connection():
    s = socket.socket()
    s.bind(("", PORT))
    s.listen(1)
    print("ready")
    return s.accept()[0]


def count_of(serve, s):
    """serve(s) until it is False, with the heap locked from the fourth on: how often."""
    requests = 0
    while True:
        if requests >= FREE:
            micropython.heap_lock()
        try:
            more = serve(s)
        finally:
            if requests >= FREE:
                micropython.heap_unlock()
        if not more:
            return requests
        requests += 1


def recv():
    def serve(s):
        n = s.recv_into(buf)
        at = 0
        while at < n:
            at += s.send(buf)  # each request is SIZE octets
        return n

    s = connection()
    print("served", count_of(serve, s))
    s.close()


def stream():
    def serve(s):
        n = s.readinto(buf)
        s.write(buf, n)
        return n

    s = connection()
    print("served", count_of(serve, s))
    s.close()


def datagram():
    """Answered to whoever is connected: an address would be a new object."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("", PORT))
    print("ready")
    n, peer = s.recvfrom_into(buf)
    s.connect(peer)
    s.send(memoryview(buf)[:n])

    def serve(s):
        n = s.recv_into(buf)
        if n == len(BYE):
            return False
        s.send(buf)
        return True

    print("served", count_of(serve, s))
    s.close()


def recvfrom():
    """Answered to the address that it came from: for as many octets from the same peer the same
    object, so that "bye" comes with more behind it."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("", PORT))
    print("ready")

    def serve(s):
        n, peer = s.recvfrom_into(buf)
        if buf[0] == BYE[0] and buf[1] == BYE[1]:
            return False
        s.sendto(buf, peer)
        return True

    print("served", count_of(serve, s) - 1)
    s.close()


class Locked:
    """A call of ours that asyncio makes, with the heap locked: an object's method in its place."""

    on = False

    def __init__(self, owner, name):
        call = getattr(owner, name)

        def locked(argument):
            if not Locked.on:
                return call(argument)
            micropython.heap_lock()
            try:
                return call(argument)
            finally:
                micropython.heap_unlock()

        setattr(owner, name, locked)


def lock_the_loop():
    loop.join(net)
    for name in ("queue_read", "queue_write", "wait_io_event"):
        Locked(core._io_queue, name)


class Steps:
    """await Steps(call): the awaitable that call(buf) gives, all of its steps with the heap
    locked."""

    def __init__(self, call):
        self.call = call
        self.inner = None

    def __iter__(self):
        if Locked.on:
            micropython.heap_lock()
        try:
            self.inner = self.call(buf)
        finally:
            if Locked.on:
                micropython.heap_unlock()
        return self

    def __next__(self):
        if Locked.on:
            micropython.heap_lock()
        try:
            return self.inner.__next__()
        finally:
            if Locked.on:
                micropython.heap_unlock()


def by_aio():
    async def serve():
        listener = aio.listen(PORT)
        print("ready")
        s = await listener.accept()
        s.timeout = 10000
        read, write = Steps(s.readinto), Steps(s.write)
        requests = 0
        while await read:
            await write
            requests += 1
            Locked.on = requests >= FREE
        Locked.on = False
        print("served", requests)
        s.close()
        listener.close()

    lock_the_loop()
    asyncio.run(serve())


def by_aio_datagram():
    async def serve():
        s = aio.datagrams(PORT)
        print("ready")
        read, answer = Steps(s.readinto), Steps(s.answer)
        requests = 0
        while await read != len(BYE):
            await answer
            requests += 1
            Locked.on = requests > FREE
        Locked.on = False
        print("served", requests - 1)
        s.close()

    lock_the_loop()
    asyncio.run(serve())


def by_asyncio():
    """asyncio's own streams: what they call of ours is locked."""

    async def serve(reader, writer):
        s = reader.s
        for name in ("readinto", "write"):
            Locked(s, name)
        requests = 0
        while True:
            n = await reader.readinto(buf)
            if not n:
                break
            writer.write(buf)
            await writer.drain()
            requests += 1
            Locked.on = requests >= FREE
        Locked.on = False
        print("served", requests)
        writer.close()
        await writer.wait_closed()
        done.set()

    done = asyncio.Event()

    async def main():
        server = await asyncio.start_server(serve, "0.0.0.0", PORT)
        print("ready")
        await done.wait()
        server.close()
        await server.wait_closed()

    lock_the_loop()
    asyncio.run(main())


{
    "recv": recv,
    "stream": stream,
    "datagram": datagram,
    "recvfrom": recvfrom,
    "aio": by_aio,
    "aio_datagram": by_aio_datagram,
    "asyncio": by_asyncio,
}[sys.argv[1]]()
net.finish()
