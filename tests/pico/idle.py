"""main.py of the emulated Pico in test_simulated.py: echoes at port 7, and has nothing else to do.

kind.py beside it says by what: KIND = "blocking" or "asyncio".
"""

from kind import KIND

from ports.rp2 import boards
from smolmp.net import Net

MAC = "02:00:00:00:00:01"
net = Net(
    boards.w5500_evb_pico(MAC), "192.168.69.1/24", hardware_addr=MAC, tcp=2, udp=1, rx=512, tx=512
).install()
BUFFER = bytearray(64)


def blocking():
    import socket

    listener = socket.socket()
    listener.bind(("", 7))
    listener.listen(1)
    print("ready")
    s, _ = listener.accept()
    while True:
        n = s.recv_into(BUFFER)
        if not n:
            break
        s.write(BUFFER, n)


def by_asyncio():
    import asyncio

    async def echo(reader, writer):
        while True:
            n = await reader.readinto(BUFFER)
            if not n:
                break
            writer.write(BUFFER[:n])
            await writer.drain()

    async def main():
        await asyncio.start_server(echo, "0.0.0.0", 7)
        print("ready")
        await asyncio.sleep(3600)

    asyncio.run(main())


by_asyncio() if KIND == "asyncio" else blocking()
