"""What UDP, ICMP and raw sockets share: two queues of whole datagrams, and their metadata.

A datagram is queued, sent and received all or nothing. Its metadata is a flow (14 words), seen
from this host: `local` is where a received datagram was sent to, `remote` who sent it, so the
metadata of what was received is the address of the answer.

Would-block is None. Errors are OSError: EMSGSIZE (the datagram cannot ever fit, or the buffer
given to receive it was too small: then the datagram is lost; or, when there is nothing to receive,
one that was sent is larger than its path lets pass: iface.path_mtu() knows), EADDRNOTAVAIL (no
address or port to send to or to bind), EINVAL (already bound; nonsense).
"""

from array import array

import micropython
from micropython import const

from smolmp.errors import EMSGSIZE
from smolmp.socket.endpoint import address_of, clear, clear_address, set_address
from smolmp.socket.set import handle_of, set_bit
from smolmp.storage.packets import PacketRing, packet_put, packet_take

_FAMILY = const(0)
_PROTO = const(1)
_LPORT = const(2)
_RPORT = const(3)
_LOCAL = const(4)
_REMOTE = const(8)
_HOPS = const(12)
_TOS = const(13)
_FLOW_WORDS = const(14)
# The traffic class has 8 bits. Above them a received datagram carries its scope (rec[_SCOPE]):
# 0 sent to one of our addresses, 1 broadcast, 2 multicast. Such an address is no source address.
_SCOPE_SHIFT = const(8)

_RING_CAPACITY = const(0)  # words of PacketRing
_PACKET_COUNT = const(5)

_SENT = const(1)
_IDLE = const(0)
_UNREACHABLE = const(-3)
_TOO_BIG = const(-4)
_PATH_TOO_BIG = const(-5)

_TX_DATA = const(64)  # where the transport header stands in iface.tx


_DEFAULT_HOPS = const(64)

# The board looks for a builtin in a long list, for a global of this module in a hash table.
_len = len


@micropython.viper
def aim(out: ptr32, to: ptr32, own: ptr32) -> int:
    """Fill the flow `out` for a datagram of a socket (its flow: own) to the remote end of `to`.

    The source is the local address of `to` where it has one, else the socket's, else 0 (the
    interface chooses); a broadcast or multicast address is no source (RFC 1122 3.2.1.3).
    1: there is nobody to send to, or the families differ; else 0.
    """
    family = to[_FAMILY]
    if family == 0 or (own[_FAMILY] != 0 and own[_FAMILY] != family):
        return 1
    if not (to[_REMOTE] | to[_REMOTE + 1] | to[_REMOTE + 2] | to[_REMOTE + 3]):
        return 1
    source = to
    if (to[_TOS] >> _SCOPE_SHIFT) or not (
        to[_LOCAL] | to[_LOCAL + 1] | to[_LOCAL + 2] | to[_LOCAL + 3]
    ):
        source = own
    top = (source[_LOCAL] >> 24) & 255
    chosen = 1
    if family == 4:
        if top >= 224:
            chosen = 0
    elif top == 255:
        chosen = 0
    i = 0
    while i < 4:
        out[_LOCAL + i] = source[_LOCAL + i] if chosen else 0
        out[_REMOTE + i] = to[_REMOTE + i]
        i += 1
    out[_FAMILY] = family
    out[_PROTO] = own[_PROTO]
    out[_LPORT] = own[_LPORT]
    out[_RPORT] = to[_RPORT]
    out[_HOPS] = own[_HOPS]
    out[_TOS] = own[_TOS]
    return 0


@micropython.native
def enqueue(socket, data, off, n, flow):
    """Queue data[off:off + n], inside data; n, or None when the queue has no room for it."""
    ring = socket._tx
    words = ring.words
    held = packet_put(words, flow, ring.buffer, data, off, n)
    if held < 0:
        if n > words[_RING_CAPACITY]:
            raise OSError(EMSGSIZE)
        socket._starved = True
        return None
    if not held:  # otherwise it is marked, or waits for a neighbour
        slot = socket.slot
        if slot >= 0:
            set_bit(socket.sockets.marks, slot)
    return n


class Metadata:
    """Where a datagram came from and was sent to, or where it is to go.

    `recv_into(buffer, metadata)` fills it; handed to send(), it is the address of the answer.
    """

    def __init__(self, address=None, local_address=None):
        self.flow = array("i", bytes(4 * _FLOW_WORDS))
        self.set(address, local_address)

    def set(self, address, local_address=None):
        """Aim at an address, optionally from one of ours; None unsets."""
        flow = self.flow
        clear(flow)
        set_address(flow, _REMOTE, address)
        set_address(flow, _LOCAL, local_address)

    @property
    def address(self) -> str:
        """The remote address."""
        return address_of(self.flow, _REMOTE)

    @property
    def local_address(self) -> str:
        """Our address: where a received datagram was sent to (a group, if it was multicast)."""
        return address_of(self.flow, _LOCAL)

    @property
    def hop_limit(self) -> int:
        """The hop limit (TTL) with which a received datagram arrived."""
        return self.flow[_HOPS]

    @property
    def traffic_class(self) -> int:
        """DSCP and ECN with which a received datagram arrived."""
        return self.flow[_TOS] & 255

    @property
    def is_broadcast(self) -> bool:
        return self.flow[_TOS] >> _SCOPE_SHIFT == 1

    @property
    def is_multicast(self) -> bool:
        return self.flow[_TOS] >> _SCOPE_SHIFT == 2


class DatagramSocket:
    """Queues in both directions. rx, tx: octets of payload (a number or a bytearray);
    rx_slots, tx_slots: how many datagrams, each costing 64 octets or so of metadata."""

    kind = "datagram"
    protocol = 0
    handle = property(handle_of)
    metadata = Metadata

    def __init__(self, rx, tx, rx_slots, tx_slots):
        self._rx = PacketRing(_buffer(rx), rx_slots, _FLOW_WORDS)
        self._tx = PacketRing(_buffer(tx), tx_slots, _FLOW_WORDS)
        self.flow = array("i", bytes(4 * _FLOW_WORDS))
        self.flow[_PROTO] = self.protocol
        self.flow[_HOPS] = _DEFAULT_HOPS
        self._out = array("i", self.flow)  # of the datagram being queued or sent
        # With udp's two more, twelve attributes: with one more there would be room for seventeen.
        self._starved = False  # a send found the queue full: tell when there is room
        self.sockets = None
        self.slot = -1
        self.rx_dropped = 0  # received, but the queue was full
        self.error = 0  # errno to be raised when there is nothing (more) to receive
        self.tx_dropped = 0  # queued, but no route, no source address or too large

    # ------------------------------------------------------------ the SocketSet's side

    @property
    def is_open(self) -> bool:
        return True

    def attached(self):
        """The SocketSet has taken this socket in (again)."""
        if self.is_open:
            self.sockets.bind(self.slot, self.flow)
        if len(self._tx):
            self.sockets.mark(self.slot)

    def detached(self):
        """The SocketSet lets go of it: what is queued stays, and may be received."""

    def on_timer(self, iface):
        """Datagram sockets have no timers."""

    # ------------------------------------------------------------ receiving

    def can_recv(self) -> bool:
        """A datagram waits."""
        return len(self._rx) > 0

    @micropython.native
    def recv_into(self, buf, meta=None):
        """Take one datagram: its length, None when there is none. `meta` (Metadata) is filled.

        OSError(EMSGSIZE): it was larger than buf, and is lost. Allocates nothing.
        """
        ring = self._rx
        words = ring.words
        if not words[_PACKET_COUNT]:
            return self._nothing() if self.error else None
        to = words if meta is None else meta.flow
        n = packet_take(words, to, ring.buffer, buf, _len(buf))
        if n < 0:
            raise OSError(EMSGSIZE)
        return n

    def _nothing(self):
        """Nothing to receive: None, unless there is an error to tell."""
        error = self.error
        if error:
            self.error = 0
            raise OSError(error)

    def peek_into(self, buf, meta=None):
        """As recv_into, but the datagram stays; too large a one as well."""
        room = len(buf)
        n = self._rx.peek_into(buf, 0, room, None if meta is None else meta.flow)
        if n < 0:
            return None
        if n > room:
            raise OSError(EMSGSIZE)
        return n

    def recv(self):
        """(bytes, Metadata) or None."""
        n = self._rx.peek_length()
        if n < 0:
            return self._nothing()
        data = bytearray(n)
        meta = self.metadata()
        self._rx.pop_into(data, 0, n, meta.flow)
        return (bytes(data), meta)

    def peek(self):
        """(bytes, Metadata) or None; the datagram stays."""
        n = self._rx.peek_length()
        if n < 0:
            return None
        data = bytearray(n)
        meta = self.metadata()
        self._rx.peek_into(data, 0, n, meta.flow)
        return (bytes(data), meta)

    @property
    def recv_queue(self) -> int:
        """Octets of payload waiting to be received."""
        return self._rx.bytes_used()

    # ------------------------------------------------------------ sending

    def can_send(self) -> bool:
        """There is a place for another datagram, if not for any size of one."""
        return not self._tx.is_full()

    @property
    def send_queue(self) -> int:
        """Octets of payload waiting to be sent."""
        return self._tx.bytes_used()

    @property
    def hop_limit(self) -> int:
        """Hop limit (TTL) of what is sent, 1..255; None sets the default, 64."""
        return self.flow[_HOPS]

    @hop_limit.setter
    def hop_limit(self, hops):
        hops = _DEFAULT_HOPS if hops is None else hops
        if not 1 <= hops <= 255:
            raise ValueError("hop limit must be 1..255")
        self.flow[_HOPS] = hops

    @property
    def traffic_class(self) -> int:
        """DSCP << 2 | ECN of what is sent, 0..255."""
        return self.flow[_TOS]

    @traffic_class.setter
    def traffic_class(self, value):
        if not 0 <= value <= 255:
            raise ValueError("traffic class must be 0..255")
        self.flow[_TOS] = value

    _queue = enqueue

    def _stage(self, iface):
        """Put the datagram at the head of the queue at iface.tx[64:], its flow into self._out.
        Where it ends; less than 64: there is none or it can never go, and dispatch() says so."""
        tx = iface.tx
        room = _len(tx) - _TX_DATA
        n = self._tx.peek_into(tx, _TX_DATA, room, self._out)
        if n < 0:
            return _IDLE
        return _TX_DATA + n if n <= room else self._sent(_TOO_BIG)

    def _sent(self, code):
        """What iface.send() answered: the datagram leaves the queue unless it may still go."""
        if code == _SENT:
            self._tx.discard()
        elif code <= _UNREACHABLE:
            self._tx.discard()
            self.tx_dropped += 1
            if code == _PATH_TOO_BIG:  # DF is set: nobody may fragment it (RFC 1191 6)
                self.error = EMSGSIZE
                self.sockets.changed(self.slot)
        else:
            return code
        if self._starved:
            self._starved = False
            self.sockets.changed(self.slot)
        return code

    def _forget(self):
        """Empty both queues and leave the demux."""
        self._rx.clear()
        self._tx.clear()
        self._starved = False
        self.error = 0
        flow = self.flow
        flow[_LPORT] = flow[_RPORT] = 0
        clear_address(flow, _LOCAL)
        clear_address(flow, _REMOTE)
        if self.slot >= 0:
            self.sockets.unbind(self.slot)


def _buffer(size):
    return bytearray(size) if isinstance(size, int) else size
