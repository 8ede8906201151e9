"""updown.py PART: a Net whose cable is pulled, that goes down and up, that has a neighbour."""

import asyncio
import sys
import time

sys.path.insert(1, (sys.path[0] or ".") + "/../../..")

from ports.unix.tuntap import Tap
from smolmp.net import Net, aio

PEER, ECHO = "192.168.69.100", 7001


def told(net):
    state = net.dhcp.state if net.dhcp else "static"
    print("cable" if net.iface._link else "no cable", state, net.iface.ip_addrs)


def echo(s, text):
    s.send(text)
    return s.recv(100) == text


def cable():
    """By DHCP; a connection outlives the cable's absence, the lease is confirmed."""
    net = Net(Tap("tap0"), hostname="pico")
    net.on_change = told
    print("up", net.wait_up())
    s = net.socket()
    s.settimeout(20)
    s.connect((PEER, ECHO))
    print("ready", echo(s, b"before"))
    while net.is_up():
        net.wait(100)
    print("down")
    print("up", net.wait_up(), echo(s, b"after"))
    net.sleep(1500)  # until the server has said that it is still ours
    s.close()
    net.finish()
    net.down()


def cable_asyncio():
    """A fixed address, and a loop that has nothing to do but to wait."""
    net = Net(Tap("tap0"), "192.168.69.1/24")
    net.on_change = told

    async def main():
        stream = await aio.connect(PEER, ECHO, net)
        buf = bytearray(100)
        await stream.write(b"before")
        print("ready", await stream.readinto(buf))
        read = asyncio.create_task(stream.readinto(buf))
        while net.is_up():
            await asyncio.sleep_ms(100)
        await stream.write(b"after!")  # goes when there is a cable again
        n = await read
        while not net.is_up():  # the cable is looked at once a second
            await asyncio.sleep_ms(100)
        print("up again", n)
        stream.close()

    asyncio.run(main())
    net.finish()


def again():
    """Down and up, three times, with a server that is at its port each time."""
    net = Net(Tap("tap0"), "192.168.69.1/24", gateway=PEER)
    buf = bytearray(100)
    for i in range(3):
        listener = net.socket()
        listener.bind(("", 8000 + i))
        listener.listen(1)
        print("ready", i)
        s, _ = listener.accept()
        n = s.recv_into(buf)
        net.down()
        print(net.is_up(), net.iface.ip_addrs, net.iface.routes.default())
        try:
            s.recv(1)
        except OSError as e:
            print("broken", e.errno)
        s.close()
        listener.close()
        net.up()
        net.up()
        print(net.is_up(), net.iface.ip_addrs, net.iface.routes.default(), bytes(buf[:n]))
    net.finish()
    print("free", net.count_streams())


def again_asyncio():
    """Down and up under a loop: what waits meanwhile can be cancelled, and is served again."""
    net = Net(Tap("tap0"), "192.168.69.1/24")

    async def serve(listener):
        stream = await listener.accept()
        buf = bytearray(100)
        n = await stream.readinto(buf)
        stream.close()
        return bytes(buf[:n])

    async def main():
        listener = aio.listen(8000, net=net)
        waits = asyncio.create_task(serve(listener))
        await asyncio.sleep_ms(20)
        net.down()
        await asyncio.sleep_ms(200)
        print("down", waits.done(), net.waiting.queue.waiting)
        waits.cancel()
        try:
            await waits
        except asyncio.CancelledError:
            print("cancelled", net.waiting.queue.waiting)
        waits = asyncio.create_task(serve(listener))
        await asyncio.sleep_ms(0)
        net.up()
        print("ready")
        print(await waits)

    asyncio.run(main())
    net.finish()


def two():
    """Two of them: who waits for one drives the other, too."""
    first = Net(Tap("tap0"), "192.168.69.1/24", hostname="first")
    second = Net(Tap("tap1"), "192.168.70.1/24", hostname="second")
    print("ready")
    s = first.socket()
    s.bind(("", 8000))
    s.listen(1)
    c, _ = s.accept()
    print("blocking", c.recv(100))
    c.close()
    s.close()

    async def serve(listener):
        stream = await listener.accept()
        buf = bytearray(100)
        n = await stream.readinto(buf)
        await stream.write(buf, 0, n)
        listener.close()
        stream.close()
        return bytes(buf[:n])

    async def main():
        listeners = [aio.listen(8001, net=net) for net in (first, second)]
        print("ready too")
        print(await asyncio.gather(*[serve(listener) for listener in listeners]))

    asyncio.run(main())
    for net in (first, second):
        net.finish()
        print(repr(net).split("\n")[0])


globals()[sys.argv[1]]()
time.sleep_ms(50)
