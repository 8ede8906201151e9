"""Raw IP sockets: whole IP packets (RFC 791, RFC 8200) of one version and protocol, or of all.

    socket = sockets.add(raw.Socket(4, 2))          # IGMP; None, None: everything
    packet, meta = socket.recv()                    # the header as it came, then the payload
    socket.send(packet)

A received packet is complete, reassembled if it came in fragments, its options included; every
raw socket that matches gets a copy, and then the rest of the stack sees it too.

A packet to send begins with its header, of which the stack uses the addresses, the protocol, the
hop limit and the traffic class and writes a new one with a right checksum: options are not
carried, identification and fragmentation are the stack's. The source address is sent as given,
and nothing looks into the payload: a transport checksum is the program's. A packet that is not
well formed, or not of this socket's version and protocol, raises EINVAL at once.
"""

from errno import EINVAL

import micropython
from micropython import const

from smolmp.counters import count
from smolmp.socket.datagram import DatagramSocket

_FAMILY = const(0)
_PROTO = const(1)
_LPORT = const(2)
_RPORT = const(3)
_LOCAL = const(4)
_REMOTE = const(8)
_HOPS = const(12)
_TOS = const(13)
_NET = const(17)
_END = const(19)
_SCOPE = const(22)
_SCOPE_SHIFT = const(8)

_TCP = const(6)
_NO_PROTOCOL = const(256)  # what no packet has

_COUNT_RAW_FULL = const(40)

_TX_DATA = const(64)  # where the payload stands in iface.tx

_len = len


@micropython.viper
def _check(packet: ptr8, n: int, version: int, protocol: int, flow: ptr32) -> int:
    """Fill `flow` from the header of packet[:n]; header length | packet length << 8, or -1.

    version, protocol: what they have to be, -1: anything.
    """
    if n < 20:
        return -1
    v = packet[0] >> 4
    if version >= 0 and v != version:
        return -1
    if v == 4:
        header = (packet[0] & 15) << 2
        total = packet[2] << 8 | packet[3]
        if header < 20 or total < header or total > n:
            return -1
        if (packet[6] & 0x3F) | packet[7]:  # a fragment
            return -1
        size = 1
        at = 12
        proto = packet[9]
        flow[_HOPS] = packet[8]
        flow[_TOS] = packet[1]
    elif v == 6:
        header = 40
        total = 40 + (packet[4] << 8 | packet[5])
        if total > n:
            return -1
        size = 4
        at = 8
        proto = packet[6]
        flow[_HOPS] = packet[7]
        flow[_TOS] = (packet[0] & 15) << 4 | packet[1] >> 4
    else:
        return -1
    if protocol >= 0 and proto != protocol:
        return -1
    flow[_FAMILY] = v
    flow[_PROTO] = proto
    flow[_LPORT] = 0
    flow[_RPORT] = 0
    some = 0
    i = 0
    while i < 8:
        if i & 3 < size:
            w = packet[at] << 24 | packet[at + 1] << 16 | packet[at + 2] << 8 | packet[at + 3]
            at += 4
            if i >= 4:
                some |= w
        else:
            w = 0
        flow[_LOCAL + i] = w
        i += 1
    if some == 0:  # no destination
        return -1
    return header | total << 8


class Socket(DatagramSocket):
    """A raw IP socket. version: 4, 6 or None (both); protocol: 0..255 or None (all);
    rx, tx: octets of packets it may hold (a number or a bytearray); rx_slots, tx_slots: how
    many packets."""

    kind = "raw"

    def __init__(self, version=None, protocol=None, rx=2048, tx=2048, rx_slots=4, tx_slots=4):
        super().__init__(rx, tx, rx_slots, tx_slots)
        self.version = version
        self.ip_protocol = protocol
        self._version = -1 if version is None else version
        self._protocol = -1 if protocol is None else protocol

    def attached(self):
        if len(self._tx):
            self.sockets.mark(self.slot)

    @property
    def is_open(self) -> bool:
        return self._protocol != _NO_PROTOCOL

    def close(self):
        """Forget what is queued in both directions; nothing is received or sent any more."""
        self._protocol = _NO_PROTOCOL
        self._forget()

    # ------------------------------------------------------------ sending

    def send(self, packet, n=None):
        """Queue packet[:n] (all of it), an IP packet with its header.

        Octets behind the packet's own length are ignored. Returns n, or None when the queue has
        no room now. OSError: EINVAL (see the top of this file), EMSGSIZE. Allocates nothing.
        """
        size = _len(packet)
        if n is None:
            n = size
        elif not 0 <= n <= size:
            raise OSError(EINVAL)
        lengths = _check(packet, n, self._version, self._protocol, self._out)
        if lengths < 0:
            raise OSError(EINVAL)
        header = lengths & 255
        if self._queue(packet, header, (lengths >> 8) - header, self._out) is None:
            return None
        return n

    # ------------------------------------------------------------ the interface's side

    def accepts(self, version: int, protocol: int) -> bool:
        """Is a packet of this version and protocol for this socket?"""
        want = self._protocol
        if want != protocol and want >= 0:
            return False
        want = self._version
        return want == version or want < 0

    def process(self, iface) -> bool:
        """Keep a copy of the packet in iface.rx and iface.rec; True: taken."""
        rec = iface.rec
        rec[_TOS] |= rec[_SCOPE] << _SCOPE_SHIFT
        if self._rx.push(iface.rx, rec[_NET], rec[_END] - rec[_NET], rec):
            self.sockets.changed(self.slot)
        else:
            self.rx_dropped += 1
            count(iface.counters, _COUNT_RAW_FULL)
        rec[_TOS] &= 255
        return True

    def process_error(self, iface):
        """An ICMP error quotes a packet of this socket's kind. What it says of the path is
        believed, except when a TCP segment is quoted: TCP knows which it has sent."""
        if iface.quoted[_PROTO] != _TCP:
            iface.paths.learn()

    def dispatch(self, iface):
        """Send the packet at the head of the queue."""
        end = self._stage(iface)
        return end if end < _TX_DATA else self._sent(iface.send(self._out, end))
