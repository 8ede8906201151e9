"""Gets an address by DHCP, shows the lease, and keeps it."""

import os
import time

import command

USAGE = (
    """
usage: dhcp.py TAP [options]

Shows every change of state until interrupted; then the lease is released.

options:
  --hostname NAME   told to the server
  --last IP         ask for this address first: the one we had before (INIT-REBOOT)
  --inform IP/PLEN  keep this address, ask for the rest
  --link-local      take an address of 169.254/16 while no server answers
  --longest N       seconds: renew as if the lease had no more (default: as the server says)
  --once            release the lease and end as soon as there is one
"""
    + command.DEVICE_OPTIONS
)


def main():
    given, options = command.arguments(
        USAGE,
        1,
        1,
        hostname="",
        last="",
        inform="",
        link_local=False,
        longest=(0, 10),
        once=False,
    )
    from smolmp.iface import Interface
    from smolmp.socket import dhcpv4
    from smolmp.socket.dhcpv4.linklocal import LinkLocal
    from smolmp.socket.set import SocketSet

    device = command.open_device(given[0], options)
    try:
        iface = Interface(
            device,
            options.mac,
            (options.inform,) if options.inform else (),
            seed=os.urandom(16),
            now=time.ticks_ms(),
        )
    except ValueError as e:
        options.wrong(str(e))
    sockets = SocketSet()
    fallback = sockets.add(LinkLocal()) if options.link_local else None
    longest = options.longest or None
    client = sockets.add(dhcpv4.Socket(options.hostname, longest=longest, fallback=fallback))
    print("ready")
    try:
        if options.inform:
            client.inform(iface)
        else:
            client.start(iface, options.last or None)
    except (OSError, ValueError) as e:
        command.fail("%s: %s" % (given[0], e))

    def serve():
        device.wait(iface.poll_delay(time.ticks_ms(), sockets))
        for socket in iface.poll(time.ticks_ms(), sockets):
            print(socket, "addresses", " ".join(iface.ip_addrs) or "-")

    try:
        while not (options.once and client.lease):
            serve()
    except KeyboardInterrupt:
        pass
    client.release()
    while client.state != "STOPPED":
        serve()


command.run(main)
