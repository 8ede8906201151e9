"""A DHCPv4 client (RFC 2131) that sets the Interface up by itself.

    client = sockets.add(dhcpv4.Socket(hostname="pico"))
    client.start(iface)
    for socket in iface.poll(now, sockets):
        if socket is client:
            print(client.state, client.lease)   # BOUND 192.168.1.7/24 ...

    SELECTING -> REQUESTING -> PROBING -> BOUND -> RENEWING -> REBINDING -> SELECTING
    start(iface, "192.168.1.7"): REBOOTING -> PROBING -> BOUND; the address had before
    inform(iface): INFORMING -> INFORMED; our address is static, we want the rest

The poll names the client at every change of state but those to and from RENEWING, and when there
is a new lease. The address, the default route and the static ones are the interface's from BOUND
on and are taken back when the lease ends; what else a server tells is in `lease`. An address is
probed by ARP before (RFC 5227), with shorter waits than there, since a board wants to be up: two
probes, half a second in all; an occupied one is declined. Later it is defended once in 10 s, then
given up.

`fallback=LinkLocal()` (linklocal.py, RFC 3927; add it to the set, too) gives the interface an
address of 169.254/16 when no server answers, while the client goes on asking.

A poll allocates nothing for a client that is BOUND and waits. A message for us costs its length
and about as much again for what is read from it, and so does what the interface learns.
"""

# From the bottom upwards: an import inside an import costs C stack, of which a board has 8 KB.
import smolmp.wire.address  # noqa: F401, I001
import smolmp.socket.endpoint  # noqa: F401
import smolmp.socket.set  # noqa: F401
import smolmp.socket.datagram  # noqa: F401
import smolmp.socket.udp  # noqa: F401
import smolmp.socket.lane  # noqa: F401
from smolmp.socket.dhcpv4.lease import Lease
from smolmp.socket.dhcpv4.socket import Socket
