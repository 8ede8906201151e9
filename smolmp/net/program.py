"""What main programs of boards share: a Net that tells where it is, and a server of asyncio's."""

from smolmp.net.stack import Net


def up(device, host, rx=1024, tx=1024, **more):
    """A Net on `device` as the module `host` says (ADDRESSES, None: by DHCP; GATEWAY; MAC), and
    in the place of MicroPython's sockets. What becomes of cable and address is printed. more: as
    Net has."""
    more = dict(rx=rx, tx=tx, hardware_addr=host.MAC, **more)
    net = Net(device, host.ADDRESSES, host.GATEWAY, **more).install()
    told = None

    def tell(net):
        nonlocal told
        place = whereabouts(net)
        if place != told:
            told = place
            print("smolmp", place)

    net.on_change = tell
    tell(net)
    return net


def whereabouts(net) -> str:
    if not net.iface._link:
        return "waits for a cable"
    if not net.iface.ip_addrs:
        return "waits for an address from a DHCP server"
    return "is at " + " and ".join([cidr.split("/")[0] for cidr in net.iface.ip_addrs])


def serve(net, talk, port, seconds=5):
    """For ever: a task talk(reader, writer) for each connection to `port`. The connection is
    closed when the talk is over, fails, or has taken `seconds`: one client keeps no other waiting
    for long. Tasks that were made before run beside it."""
    import asyncio

    async def one(reader, writer):
        try:
            await asyncio.wait_for(talk(reader, writer), seconds)
        except (OSError, asyncio.TimeoutError):
            pass  # the client is gone, or says nothing
        finally:
            await writer.wait_closed()

    asyncio.create_task(asyncio.start_server(one, "0.0.0.0", port))
    asyncio.run(net.run())
