"""Where protocols plug in: importing a socket module registers what the interface then calls.

Nothing is imported from here downwards, so a program pays only for the protocols it imports.
Every function gets `(iface, sockets)`; the packet is `iface.rx` described by `iface.rec`.
"""

# IP protocol number -> ingress(iface, sockets): parse the transport header, find the socket,
# process, reply by iface.send; iface.icmp_error(type, code) reports what nobody wanted.
HANDLERS = {}

# Functions listener(iface, sockets), called with every valid ICMP message that arrives for us
# (rec[_TYPE], rec[_CODE], rec[_ICMP_ID], rec[_ICMP_SEQ] are set). ICMP sockets register here.
ICMP_LISTENERS = []

# IP protocol number -> error(iface, sockets): an ICMP error (rec[_TYPE], rec[_CODE]) arrived that
# quotes a packet of ours of this protocol; iface.quoted is a record whose flow is the packet as
# we sent it (LOCAL is its source). It may be forged: believe it only within RFC 5927's limits.
ICMP_ERRORS = {}

# Functions readdressed(iface, sockets), called by the first poll after the interface gave an
# address up: whatever speaks from it has to end.
READDRESSED = []

# Functions grew(iface, sockets), called when a path may let larger packets pass than it was
# thought to (iface.paths): what was learned about it is too old to be believed.
PATHS_GREW = []
