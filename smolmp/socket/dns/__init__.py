"""A DNS client (RFC 1035), for whoever polls and for whoever waits.

    client = dns.Client(iface, sockets, servers=lease.dns, search=lease.search)
    query = client.query("example.org")          # or kind=dns.AAAA, PTR, SRV, TXT ...
    if not query.done: ...                       # else it was an address, or in the cache
    for socket in iface.poll(now, sockets):
        if socket is query:
            print(query.records or query.error)  # ["93.184.216.34"]

Every query is a socket of the set while it goes on, with an identifier and a port of its own that
cannot be guessed, names in random case (draft-vixie-dnsext-dns0x20) and an ear only for the
server that it asked. The poll names it when it is done; it leaves the set when the client is next
asked for something. A server that is silent, fails, refuses or talks nonsense is followed by the
next one, each of them twice. An answer that did not fit is fetched by TCP, if the program has
imported smolmp.socket.tcp; else what came is taken. A server that knows no EDNS is asked without.
Names in `.local` and of 169.254/16 are asked for by one-shot multicast DNS (RFC 6762 5.1).

A poll allocates for a query that goes on: its messages (at most 512 octets there, `edns` back; by
TCP two buffers and `largest` octets) and the records found. For one that waits: nothing.
"""

# From the bottom upwards: an import inside an import costs C stack, of which a board has 8 KB.
import smolmp.wire.address  # noqa: F401, I001
import smolmp.wire.dns  # noqa: F401
import smolmp.socket.endpoint  # noqa: F401
import smolmp.socket.set  # noqa: F401
import smolmp.socket.datagram  # noqa: F401
import smolmp.socket.udp  # noqa: F401
import smolmp.socket.lane  # noqa: F401
from smolmp.socket.dns.query import AGAIN, NODATA, NONAME, Query
from smolmp.socket.dns.client import Client, reverse
from smolmp.wire.dns import A, AAAA, CNAME, NS, PTR, SRV, TXT
