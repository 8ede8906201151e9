"""PyTCP as a peer of the measurements: pytcp_peer.py TAP IP/PLEN MODE PORT. pmd-pytcp
is the fork of it that was fastest of those that run (PyTCP on asyncio)."""

import asyncio
import os
import sys

from pmd_net_addr import Ip4IfAddr, MacAddress
from pmd_pytcp import socket as S
from pmd_pytcp import stack

tap, ifaddr, mode, port = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
ip = ifaddr.split("/")[0]
PATTERN = bytes(range(256)) * 256


async def serve(c):
    try:
        if mode == "sink":
            while await c.recv(65536):
                pass
        elif mode == "source":
            while True:
                # its send() never blocks and its buffer has no bound: bound it here
                while len(c.tcp_session._tx.buffer) > 262144:
                    await asyncio.sleep(0.001)
                await c.send(PATTERN)
                await asyncio.sleep(0)
        else:
            while True:
                b = await c.recv(65536)
                if not b:
                    break
                while len(c.tcp_session._tx.buffer) > 262144:
                    await asyncio.sleep(0.001)
                await c.send(b)
    except (OSError, AssertionError, AttributeError):
        pass
    try:
        c.close()
    except Exception:
        pass


async def main():
    stack.init()
    mac = MacAddress("02:00:00:00:00:01")
    stack.add_interface(
        **stack.initialize_interface__tap(interface_name=tap, mac_address=mac),
        ip4_support=True,
        ip4_host=Ip4IfAddr(ifaddr),
        ip4_dhcp=False,
        ip6_support=False,
    )
    await stack.start()
    for _ in range(200):  # the address is claimed in the background
        if stack.local_ip4_unicast():
            break
        await asyncio.sleep(0.1)
    if mode == "udpecho":
        s = S.socket(S.AddressFamily.INET4, S.SocketType.DGRAM)
        s.bind((ip, port))
        while True:
            b, who = await s.recvfrom()
            await s.sendto(b, who)
    s = S.socket(S.AddressFamily.INET4, S.SocketType.STREAM)
    s.bind((ip, port))
    s.listen()
    tasks = set()
    while True:
        c, _ = await s.accept()
        if os.environ.get("NODELAY", "1") == "1":
            c.setsockopt(S.IPPROTO_TCP, S.TCP_NODELAY, 1)
        t = asyncio.ensure_future(serve(c))
        tasks.add(t)
        t.add_done_callback(tasks.discard)


asyncio.run(main())
