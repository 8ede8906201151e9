"""The end of a program's socket that carries datagrams: UDP, or raw IP.

Nothing here waits: None means not now. A datagram that is larger than the buffer it is received
into loses its tail, as sockets have it.
"""

from errno import EADDRINUSE, ENOTCONN

import micropython
from micropython import const

from smolmp.errors import EADDRNOTAVAIL, EDESTADDRREQ, ENETUNREACH, ENOPROTOOPT
from smolmp.net import names
from smolmp.socket import endpoint, udp
from smolmp.wire.address import parse_address
from smolmp.wire.checksum import copy_checksum

_EINVAL = const(22)
_EACCES = const(13)
_EOPNOTSUPP = const(95)

_POLLIN = const(1)
_POLLOUT = const(4)
_POLLERR = const(8)

_FAMILY = const(0)
_LPORT = const(2)
_RPORT = const(3)
_LOCAL = const(4)
_REMOTE = const(8)
_HOPS = const(12)
_TOS = const(13)
_HEADER = const(20)
_SOCKET_BROADCAST = const(0x106)
_IP_TOS = const(0x001)
_IP_TTL = const(0x002)
_EPHEMERAL = const(49152)


@micropython.viper
def _same(known: ptr32, flow: ptr32) -> int:
    """1: both flows have the same remote end. 0: they had not, and now `known` has that of `flow`
    and nothing else."""
    i = _REMOTE
    if known[_FAMILY] == flow[_FAMILY] and known[_RPORT] == flow[_RPORT]:
        while i < _HOPS and known[i] == flow[i]:
            i += 1
    if i == _HOPS:
        return 1
    known[_FAMILY] = flow[_FAMILY]
    known[_RPORT] = flow[_RPORT]
    i = 0
    while i < 4:
        known[_LOCAL + i] = 0
        known[_REMOTE + i] = flow[_REMOTE + i]
        i += 1
    return 0


class Datagram:
    """A UDP socket of `net`, or (protocol >= 0) a raw one of that IP protocol, 0: of all."""

    def __init__(self, net, protocol=-1):
        self.net = net
        self.protocol = protocol
        self.core = net.take_datagram() if protocol < 0 else net.take_raw(protocol)
        self.meta = udp.UdpMetadata() if protocol < 0 else self.core.metadata()
        self.to = self.core.metadata()  # the peer that was heard of or sent to last
        self.address = None  # its (address, port)
        self.checked = None  # iface.inward and routes.words[1] as they were when its local end
        self.turns = 0  # was chosen
        self.broadcast = False
        self.target = None  # of a raw socket's send()
        self.hops = 64
        self.tos = 0

    # Life.

    def bind(self, local):
        """`local`: (address, port). EADDRINUSE, EADDRNOTAVAIL, EINVAL (bound already)."""
        if self.protocol >= 0:
            return
        host, port = local
        if host != "0.0.0.0" and not names.is_ours(self.net, host):
            raise OSError(EADDRNOTAVAIL)
        if not port:
            port = self._free_port()
        elif self._is_taken(host, port):
            raise OSError(EADDRINUSE)
        self.core.bind(port if host == "0.0.0.0" else (host, port))

    def _is_taken(self, host, port):
        for core in self.net.sockets:
            if isinstance(core, udp.Socket) and core.is_open and core.local[1] == port:
                if core.local[0] in (host, "") or host == "0.0.0.0":
                    return True
        return False

    def _free_port(self):
        while True:
            port = _EPHEMERAL + self.net.iface.random.bits(14)
            if not self._is_taken("0.0.0.0", port):
                return port

    def _ready(self):
        """A socket that sends has a port."""
        if self.protocol < 0 and not self.core.is_open:
            self.core.bind(self._free_port())

    def listen(self, backlog):
        raise OSError(_EOPNOTSUPP)

    def accept(self):
        raise OSError(_EOPNOTSUPP)

    def shutdown(self, how):
        raise OSError(_EOPNOTSUPP)

    def connect(self, remote):
        """From now on talk to `remote` only."""
        if self.protocol >= 0:
            self.target = remote[0]
            return True
        self._ready()
        self.core.connect(remote)
        return True

    def connected(self):
        return True

    def close(self):
        self.net.give_datagram(self.core)

    # Datagrams.

    def most(self):
        """As much as one receive() can give."""
        return len(self.net.scratch)

    def receive(self, buf, n, peek):
        if peek:
            raise OSError(_EOPNOTSUPP)
        core = self.core
        scratch = self.net.scratch
        if n >= len(scratch) or core._rx.peek_length() <= n:
            return core.recv_into(buf, self.meta)
        core.recv_into(scratch, self.meta)
        if n:
            copy_checksum(buf, 0, scratch, 0, n, 0)
        return n

    def sender(self):
        """(address, port) of what was received last: the same tuple as long as it is the same."""
        meta = self.meta
        if self.protocol >= 0:
            return meta.address, 0
        if not _same(self.to.flow, meta.flow) or self.address is None:
            self.address = meta.endpoint
            self.checked = None
        return self.address

    def transmit(self, data, at, n, to):
        if at or n != len(data):
            data = memoryview(data)[at : at + n]
        if self.protocol >= 0:
            return self._transmit_raw(data, n, to[0] if to else self.target)
        core = self.core
        if not core.flow[_LPORT]:
            self._ready()
        if to is None:
            if endpoint.is_unset(core.flow, _REMOTE):
                raise OSError(EDESTADDRREQ)
            return core.send(data, n)
        meta = self.to
        iface = self.net.iface
        if to != self.address:
            self.address = self.checked = None
            meta.set(to)
            self.address = to
        # Another tuple since addresses have changed.
        if self.checked is not iface.inward or self.turns != iface.routes.words[1]:
            self._choose(iface, meta.flow)
        return core.send(data, n, meta)

    def _choose(self, iface, flow):
        """May a datagram go there, and from which address of ours? EACCES, ENETUNREACH."""
        self.checked = None
        if not self.broadcast and flow[_FAMILY] == 4 and not iface.is_unicast(flow, _REMOTE):
            group = (flow[_REMOTE] >> 28) & 15 == 14
            if not group and not endpoint.is_unset(flow, _REMOTE):
                raise OSError(_EACCES)
        if endpoint.is_unset(self.core.flow, _LOCAL) and not iface.select_source(flow):
            raise OSError(ENETUNREACH)
        self.checked = iface.inward
        self.turns = iface.routes.words[1]

    def _transmit_raw(self, data, n, host):
        """`data` behind an IPv4 header with our address (RFC 791 3.1)."""
        if host is None:
            raise OSError(EDESTADDRREQ)
        flow = self.to.flow
        self.to.set(host)
        if not self.net.iface.select_source(flow):
            raise OSError(ENETUNREACH)
        packet = bytearray(_HEADER + n)
        packet[0] = 0x45
        packet[1] = self.tos
        packet[2] = len(packet) >> 8
        packet[3] = len(packet) & 255
        packet[8] = self.hops
        packet[9] = self.protocol
        packet[12:16] = parse_address(self.to.local_address)
        packet[16:20] = parse_address(host)
        packet[20:] = data
        return None if self.core.send(packet) is None else n

    def events(self, wanted):
        found = _POLLOUT
        if self.core.can_recv():
            found |= _POLLIN
        if self.core.error:
            return found & wanted | _POLLERR
        return found & wanted

    # Options and names.

    def set(self, option, value):
        """`option`: level << 8 | name. ENOPROTOOPT."""
        if option == _SOCKET_BROADCAST:
            self.broadcast = bool(value)
            self.checked = None
        elif option == _IP_TTL:
            if not 0 < value < 256:
                raise OSError(_EINVAL)
            self.hops = value
            self.core.flow[_HOPS] = value
        elif option == _IP_TOS:
            self.tos = value & 255
            self.core.flow[_TOS] = self.tos
        elif option not in (0x102, 0x109, 0x10D, 0x119):  # SO_REUSEADDR, _KEEPALIVE, _LINGER ...
            raise OSError(ENOPROTOOPT)

    def watch(self, callback, shell):
        self.net.watch(self.core, callback, shell)

    def name(self):
        """(address, port) of our end."""
        found = self.core.local if self.protocol < 0 else None
        return ("0.0.0.0", 0) if found is None else (found[0] or "0.0.0.0", found[1])

    def peer(self):
        """(address, port) that it is connected to. ENOTCONN."""
        found = self.core.remote if self.protocol < 0 else self.target and (self.target, 0)
        if not found:
            raise OSError(ENOTCONN)
        return found

    def number(self):
        return self.core.slot

    def __repr__(self):
        if self.protocol >= 0:
            return "raw %d" % self.protocol
        return "udp %s -> %s" % (self.core.local, self.core.remote)
