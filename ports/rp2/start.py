"""What a main program begins with on an RP2040 or RP2350: the stack, as /host.py says.

    import host
    from ports.rp2 import start

    net = start.net(host)           # and from here on: socket, asyncio, requests ...
    start.serve(net, talk, 80)      # talk(reader, writer) is a coroutine

tools/flash.py writes /host.py: BOARD, a function of boards.py, and WIRING, its arguments; MAC;
ADDRESSES, ("192.168.1.50/24",), None: by DHCP; GATEWAY, an address or None.
"""

# What is imported would fill the heap.
try:
    from ports.rp2 import inplace

    inplace.begin()  # its functions run from the flash
except ImportError:
    from ports.rp2 import resident  # smolmp is in the firmware

    resident.begin(True)  # and most of what it takes of the heap otherwise, too

import smolmp.net  # noqa: E402, F401, I001
from ports.rp2 import boards  # noqa: E402
from smolmp.net.program import serve, up  # noqa: E402, F401


def net(host, **more):
    """The Net of this board. more: as smolmp.net.program.up() and Net have it."""
    return up(getattr(boards, host.BOARD)(host.MAC, **host.WIRING), host, **more)
