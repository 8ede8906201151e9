"""What a main program begins with on an ESP32: the stack, as /host.py says.

    import host
    from ports.esp32 import start

    net = start.net(host)           # and from here on: socket, asyncio, requests ...
    start.serve(net, talk, 80)      # talk(reader, writer) is a coroutine

tools/flash.py writes /host.py: BOARD, a function of boards.py, and WIRING, its arguments; MAC;
ADDRESSES, ("192.168.1.50/24",), None: by DHCP; GATEWAY, an address or None.
"""

from ports.esp32 import boards
from smolmp.net.program import serve, up  # noqa: F401


def net(host, **more):
    """The Net of this board. more: as smolmp.net.program.up() and Net have it."""
    return up(getattr(boards, host.BOARD)(host.MAC, **host.WIRING), host, **more)
