"""UDP sockets (RFC 768; RFC 1122 4.1 for hosts).

    socket = sockets.add(udp.Socket(rx=2048, tx=2048))
    socket.bind(6969)                       # or ("192.168.69.1", 6969)
    meta = udp.UdpMetadata()
    n = socket.recv_into(buffer, meta)      # None: nothing there
    socket.send(buffer, n, meta)            # the answer; None: the queue is full

A datagram to one of our addresses goes to the best match: the socket connected to its sender,
then the one bound to the address, then the one bound to the port. A broadcast or multicast one
goes to every socket that matches. When nobody takes a datagram, its sender hears so by ICMP.

A datagram that is larger than its path lets pass (RFC 1191) is lost once; from then on a connected
socket's send() refuses such, one that is not connected drops them, and receiving tells: EMSGSIZE.
"""

from errno import EHOSTUNREACH

import micropython
from micropython import const

from smolmp.counters import count, count_two
from smolmp.errors import EADDRNOTAVAIL, EMSGSIZE
from smolmp.socket.datagram import DatagramSocket, Metadata, aim, enqueue
from smolmp.socket.demux import find
from smolmp.socket.endpoint import (
    clear,
    copy_words,
    is_unset,
    local,
    remote,
    set_address,
    set_local,
    set_remote,
)
from smolmp.socket.protocols import HANDLERS, ICMP_ERRORS, PATHS_GREW
from smolmp.socket.set import set_bit
from smolmp.storage.kernels import ring_read_sum, ring_write_sum
from smolmp.storage.packets import packet_drop, packet_enter, packet_first
from smolmp.wire.udp import parse

_EINVAL = const(22)
_ECONNREFUSED = const(111)

_FAMILY = const(0)
_LPORT = const(2)
_RPORT = const(3)
_LOCAL = const(4)
_REMOTE = const(8)
_HOPS = const(12)
_TOS = const(13)
_DATA = const(18)
_END = const(19)
_SCOPE = const(22)
_PAYLOAD = const(23)
_LENGTH = const(24)
_TYPE = const(43)
_CODE = const(44)
_SCOPE_SHIFT = const(8)

_FLOW_WORDS = const(14)
_RING_CAPACITY = const(0)  # words of PacketRing
_RING_READ_AT = const(1)
_PACKET_SLOTS = const(3)
_PACKET_FIRST = const(4)
_PACKET_COUNT = const(5)
_PACKET_TABLE = const(7)

_FEW = const(64)  # octets that are copied one by one
_HINTED = const(-2)  # of ipv4.emit(): to the neighbour that the last packet went to

_LAST = const(2)  # sent, and nothing else to send
_SENT = const(1)
_IDLE = const(0)
_BUSY = const(-1)
_UNREACHABLE = const(-3)
_TOO_BIG = const(-4)

_RX_UDP = const(2)  # device.checksums
_TX_UDP = const(32)

_TX_NET = const(44)  # where the IPv4 header stands in iface.tx
_TX_DATA = const(64)  # the UDP header
_TX_PAYLOAD = const(72)

_COUNT_TX_FRAMES = const(1)
_COUNT_TX_BUSY = const(2)
_COUNT_RX_ERRORS = const(3)  # minus a result code: rx_truncated and so on
_COUNT_RX_BAD_CHECKSUM = const(6)
_COUNT_UDP_IN = const(28)
_COUNT_UDP_OUT = const(29)
_COUNT_UDP_NO_PORT = const(30)
_COUNT_UDP_FULL = const(31)

_PROTO_UDP = const(17)
_DST_UNREACHABLE = const(3)
_PROTOCOL_UNREACHABLE = const(2)
_PORT_UNREACHABLE = const(3)
_FRAGMENTATION_NEEDED = const(4)


_MAX_PAYLOAD = const(65507)  # what an IPv4 packet can hold

_len = len

LANES: list = []  # udp_express.py's, once imported


class UdpMetadata(Metadata):
    """Metadata of a datagram: an address and a port, and our address."""

    def set(self, endpoint, local_address=None):
        """Aim at (address, port) or "address:port", optionally from one of our addresses."""
        flow = self.flow
        clear(flow)
        if endpoint is not None:
            set_remote(flow, endpoint)
        set_address(flow, _LOCAL, local_address)

    @property
    def port(self) -> int:
        """The remote port."""
        return self.flow[_RPORT]

    @property
    def endpoint(self):
        """(address, port) of the remote; None when there is none."""
        return remote(self.flow)


class Socket(DatagramSocket):
    """A UDP socket. rx, tx: octets of payload it may hold (a number or a bytearray);
    rx_slots, tx_slots: how many datagrams."""

    kind = "udp"
    protocol = _PROTO_UDP
    metadata = UdpMetadata

    def __init__(self, rx=2048, tx=2048, rx_slots=8, tx_slots=8):
        super().__init__(rx, tx, rx_slots, tx_slots)
        self.max_payload = _MAX_PAYLOAD  # octets; send() refuses more (EMSGSIZE)
        self._family = 0  # as bound; connecting narrows that of the flow

    # ------------------------------------------------------------ the state

    @property
    def is_open(self) -> bool:
        return self.flow[_LPORT] != 0

    @property
    def local(self):
        """(address, port); None when not bound."""
        return local(self.flow) if self.flow[_LPORT] else None

    @property
    def remote(self):
        """(address, port); None when not connected."""
        return remote(self.flow)

    def bind(self, endpoint):
        """Take a local port, of all addresses or of one.

        OSError: EINVAL (bound already), EADDRNOTAVAIL (port 0).
        """
        own = self.flow
        if own[_LPORT]:
            raise OSError(_EINVAL)
        to = self.metadata().flow
        set_local(to, endpoint)
        if not to[_LPORT]:
            raise OSError(EADDRNOTAVAIL)
        own[_FAMILY] = self._family = to[_FAMILY]
        own[_LPORT] = to[_LPORT]
        copy_words(own, _LOCAL, to, _LOCAL, 4)
        if self.slot >= 0:
            self.sockets.bind(self.slot, own)

    def connect(self, endpoint):
        """From now on receive only from, and by default send to, (address, port).

        None: receive from anybody again. What was received before stays.
        OSError: EADDRNOTAVAIL (not bound; no address, no port), EINVAL (another family).
        """
        own = self.flow
        to = self.metadata().flow
        to[_FAMILY] = self._family
        if endpoint is not None:
            set_remote(to, endpoint)
            if not to[_RPORT] or is_unset(to, _REMOTE):
                raise OSError(EADDRNOTAVAIL)
        if not own[_LPORT]:
            raise OSError(EADDRNOTAVAIL)
        own[_FAMILY] = to[_FAMILY]
        own[_RPORT] = to[_RPORT]
        self.max_payload = _MAX_PAYLOAD
        copy_words(own, _REMOTE, to, _REMOTE, 4)
        if self.slot >= 0:
            self.sockets.bind(self.slot, own)

    def close(self):
        """Give up the port and what is queued in both directions; bind() opens it again."""
        self.flow[_FAMILY] = self._family = 0
        self._forget()

    # ------------------------------------------------------------ sending

    @micropython.native
    def send(self, data, n=None, meta=None):
        """Queue the first n octets of data (all of them) as one datagram.

        meta: a UdpMetadata with the remote end and, if it matters, our address; None where the
        socket is connected. Returns n, or None when the queue has no room now.
        OSError: EADDRNOTAVAIL (not bound; nobody to send to: a received datagram may name port 0
        as its source, and wants no answer), EMSGSIZE. Allocates nothing.
        """
        size = _len(data)
        if n is None:
            n = size
        elif not 0 <= n <= size:
            raise OSError(_EINVAL)
        own = self.flow
        to = own if meta is None else meta.flow
        if not own[_LPORT] or not to[_RPORT] or aim(self._out, to, own):
            raise OSError(EADDRNOTAVAIL)
        if n > self.max_payload:
            raise OSError(EMSGSIZE)
        return enqueue(self, data, 0, n, self._out)

    def send_to(self, data, endpoint):
        """Queue data as one datagram to (address, port), as send() does."""
        return self.send(data, None, UdpMetadata(endpoint))

    # ------------------------------------------------------------ the set's and interface's side

    def attached(self):
        super().attached()
        sockets = self.sockets
        if LANES and sockets.datagrams is None:
            sockets.datagrams = LANES[0]()
        sockets.dispatchers[self.slot] = _dispatcher(self)

    @micropython.native
    def process(self, iface):
        """Receive the datagram in iface.rx and iface.rec, which is for this socket.

        Its checksum has not been looked at: it is summed on its way into the queue.
        """
        rec = iface.rec
        ring = self._rx
        words = ring.words
        n = rec[_LENGTH]
        held = words[_PACKET_COUNT]
        if held == words[_PACKET_SLOTS]:
            return self._full(iface)
        if held == 0:
            words[_RING_READ_AT] = 0
        acc = _header_sum(iface.rx, rec)
        if acc < 0:
            count(iface.counters, _COUNT_RX_BAD_CHECKSUM)
            return
        total = ring_write_sum(ring.buffer, words, 0, 0, iface.rx, rec[_PAYLOAD], n, acc)
        if total < 0:
            self._full(iface)
        elif total == 0xFFFF or not acc or iface.checksums & _RX_UDP:
            packet_enter(words, n, rec)
            set_bit(self.sockets.changes, self.slot)
        else:
            count(iface.counters, _COUNT_RX_BAD_CHECKSUM)

    def _full(self, iface):
        self.rx_dropped += 1
        count(iface.counters, _COUNT_UDP_FULL)

    def process_error(self, iface):
        """An ICMP error quotes a datagram of this socket. RFC 1122 4.1.3.3, as others do it:
        only a connected socket learns of it, when it has received all that came before."""
        mtu = iface.paths.learn()
        if not self.flow[_RPORT]:
            return
        rec = iface.rec
        code = rec[_CODE]
        if rec[_TYPE] != _DST_UNREACHABLE:
            return
        if code == _PORT_UNREACHABLE or code == _PROTOCOL_UNREACHABLE:
            self.error = _ECONNREFUSED
        elif code != _FRAGMENTATION_NEEDED:
            self.error = EHOSTUNREACH
        elif mtu:
            self.error = EMSGSIZE
            self._shrink(mtu + _TX_NET)
        else:
            return
        self.sockets.changed(self.slot)

    @micropython.native
    def dispatch(self, iface):
        """Send the datagram at the head of the queue."""
        out = self._out
        ring = self._tx
        words = ring.words
        n = packet_first(words, out)
        if n < 0:
            return _IDLE
        tx = iface.tx
        if n > _len(tx) - _TX_PAYLOAD:
            return self._too_big(iface, _TOO_BIG)
        if is_unset(out, _LOCAL) and not iface.select_source(out):
            return self._sent(_UNREACHABLE)
        how = 3 if iface.checksums & _TX_UDP else 1
        code = iface.send(out, _stage(tx, words, ring.buffer, out, n, how))
        if code == _SENT:
            count(iface.counters, _COUNT_UDP_OUT)
        elif code <= _TOO_BIG:
            return self._too_big(iface, code)
        return self._sent(code)

    def _too_big(self, iface, code):
        """The datagram is dropped; the program is told about the next one of its size."""
        if code == _TOO_BIG:
            self._shrink(iface.tx_end)
        elif self.flow[_RPORT]:
            self._shrink(_TX_NET + iface.paths.mtu(self._out))
        return self._sent(code)

    def _shrink(self, end):
        """Packets that go further than iface.tx[:end] can't pass."""
        if end - _TX_PAYLOAD < self.max_payload:
            self.max_payload = end - _TX_PAYLOAD


@micropython.viper
def _header_sum(frame: ptr8, rec: ptr32) -> int:
    """The RFC 1071 sum of the pseudo header and the UDP header, not folded (below 2**20).

    0: the sender computed no checksum, as it may on IPv4; -1: but not on IPv6 (RFC 8200 8.1).
    """
    at = rec[_PAYLOAD]
    checksum = frame[at - 2] << 8 | frame[at - 1]
    if checksum == 0:
        return -1 if rec[_FAMILY] == 6 else 0
    length = frame[at - 4] << 8 | frame[at - 3]
    total = 17 + 2 * length + rec[_LPORT] + rec[_RPORT] + checksum
    i = _LOCAL
    while i < _HOPS:
        a = rec[i]
        total += (a & 0xFFFF) + ((a >> 16) & 0xFFFF)
        i += 1
    return total


@micropython.viper
def _stage(frame, queue, buffer, meta, room: int, how: int) -> int:
    """Make the datagram at the head of the queue (the words and buffer of a PacketRing) the one in
    frame[64:], which has room for `room` octets of payload: where it ends. Its flow goes to meta.

    how: 1 meta stands there already; 2 leave the checksum 0. 0: the queue is empty, there is more
    than `room`, or meta has no local address.
    """
    q = ptr32(queue)
    flow = ptr32(meta)
    if q[_PACKET_COUNT] == 0:
        return 0
    i = _PACKET_TABLE + q[_PACKET_FIRST] * (_FLOW_WORDS + 1)
    n = q[i]
    if n > room:
        return 0
    if how & 1 == 0:
        if q[i + 1 + _FAMILY] != 4 or q[i + 1 + _LOCAL] == 0:
            return 0
        k = 0
        while k < _FLOW_WORDS:
            flow[k] = q[i + 1 + k]
            k += 1
    p = ptr8(int(ptr8(frame)) + _TX_DATA)
    at = q[_RING_READ_AT]
    total = 0
    if n <= _FEW and at + n <= q[_RING_CAPACITY]:
        s = ptr8(int(ptr8(buffer)) + at)
        i = 0
        while i < n:
            a = s[i]
            p[8 + i] = a
            if i & 1:
                total += a
            else:
                total += a << 8
            i += 1
    else:
        total = int(ring_read_sum(buffer, queue, 0, 0, frame, _TX_PAYLOAD, n, 0))
    n += 8
    local = flow[_LPORT]
    remote = flow[_RPORT]
    p[0] = local >> 8
    p[1] = local
    p[2] = remote >> 8
    p[3] = remote
    p[4] = n >> 8
    p[5] = n
    if how & 2:
        p[6] = 0
        p[7] = 0
        return _TX_DATA + n
    total += 17 + 2 * n + local + remote
    i = _LOCAL
    while i < _HOPS:
        a = flow[i]
        total += (a & 0xFFFF) + ((a >> 16) & 0xFFFF)
        i += 1
    total = (total & 0xFFFF) + (total >> 16)
    total = ((total & 0xFFFF) + (total >> 16)) ^ 0xFFFF
    if total == 0:  # 0 would mean that there is none
        total = 0xFFFF
    p[6] = total >> 8
    p[7] = total
    return _TX_DATA + n


def _dispatcher(socket):
    """What the set calls to have `socket` send: most often to whom the last packet went, too."""
    ring = socket._tx

    # Defaults are at hand; globals would be searched for.
    @micropython.native
    def short(
        iface, socket=socket, words=ring.words, buffer=ring.buffer, out=socket._out, stage=_stage
    ):
        tx, mac, counters, transmit, own, routes, neighbors, start, emit_packet = iface.outward
        end = 0
        if not socket._starved and not iface.checksums:
            end = stage(tx, words, buffer, out, iface.clear_end - _TX_PAYLOAD, 0)
        if not end or not emit_packet(tx, out, end, neighbors, _HINTED, mac, iface.now):
            return socket.dispatch(iface)
        if not transmit(tx, start, end):
            count(counters, _COUNT_TX_BUSY)
            return _BUSY
        count_two(counters, _COUNT_TX_FRAMES, _COUNT_UDP_OUT)
        packet_drop(words)
        return _SENT if words[_PACKET_COUNT] else _LAST

    return short


@micropython.native
def ingress(iface, sockets):
    """The IP packet in iface.rx and iface.rec holds a datagram: parse it, deliver it."""
    rec = iface.rec
    rx = iface.rx
    counters = iface.counters
    count(counters, _COUNT_UDP_IN)
    code = parse(rx, rec[_DATA], rec[_END], rec, 0)
    if code:
        count(counters, _COUNT_RX_ERRORS - code)
        return
    slot = find(sockets.table, rec, -1)
    scope = rec[_SCOPE]
    if scope:
        rec[_TOS] |= scope << _SCOPE_SHIFT
        while slot >= 0:
            sockets.objects[slot].process(iface)
            slot = find(sockets.table, rec, slot)
        rec[_TOS] &= 255
    elif slot >= 0:
        socket = sockets.objects[slot]
        socket.process(iface)
        if sockets.datagrams is not None:
            sockets.datagrams.arm(iface, socket)
    else:
        if not iface.checksums & _RX_UDP and parse(rx, rec[_DATA], rec[_END], rec, 1):
            count(counters, _COUNT_RX_BAD_CHECKSUM)
            return
        count(counters, _COUNT_UDP_NO_PORT)
        # RFC 1122 4.1.3.1; the interface knows when not to (a raw socket took it, rate limit).
        iface.icmp_error(_DST_UNREACHABLE, _PORT_UNREACHABLE)


def error(iface, sockets):
    """An ICMP error quotes a datagram: tell the socket that sent it."""
    slot = find(sockets.table, iface.quoted, -1)
    if slot >= 0:
        sockets.objects[slot].process_error(iface)


def paths_grew(iface, sockets):
    """Larger datagrams may pass again: let send() take them, and the interface judge."""
    for socket in sockets.objects:
        if socket is not None and socket.protocol == _PROTO_UDP and socket.flow[_RPORT]:
            socket.max_payload = _MAX_PAYLOAD


HANDLERS[_PROTO_UDP] = ingress
ICMP_ERRORS[_PROTO_UDP] = error
PATHS_GREW.append(paths_grew)
