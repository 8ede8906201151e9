"""UDP's express lane: the next datagrams from whom the last one came, straight from the device.

As tcp/express.py does it for a connection: a frame with the same link, IP and port fields as the
last datagram that a socket got is for that socket, and one kernel checks both checksums while it
puts the text into the socket's queue. Anything else goes the long way (udp.ingress).

It plugs itself in when imported, before the first udp.Socket comes into a set; who is not asked
for quick answers does without. What it knows is forgotten once a second, so that the long way
refreshes the neighbour, and when a socket is bound or an address changes.
"""

from array import array

import micropython
from micropython import const

from smolmp.socket import udp
from smolmp.storage.kernels import ring_write_sum

_FLOW_WORDS = const(14)

_RING_CAPACITY = const(0)  # words of PacketRing
_RING_READ_AT = const(1)
_RING_LENGTH = const(2)
_PACKET_SLOTS = const(3)
_PACKET_FIRST = const(4)
_PACKET_COUNT = const(5)
_PACKET_META = const(6)
_PACKET_TABLE = const(7)

_RX_NET = const(16)  # where the IP header stands in iface.rx
_RX_TEXT = const(44)
_LEAST_IPV4 = const(0x45)
_MEDIUM_ETHERNET = const(1)
_FEW = const(64)

_L_ETHER = const(10)  # behind the template, the frame's first ten words
_L_FLOW = const(11)  # the datagram's metadata
_L_WORDS = const(25)

_COUNT_RX_FRAMES = const(0)
_COUNT_UDP_IN = const(28)


@micropython.viper
def remember(words: ptr32, rx: ptr32, rec: ptr32, ether: int):
    """The template: link, IP and port fields of the frame in iface.rx, and its metadata."""
    i = 0
    while i < 10:
        words[i] = rx[i]
        i += 1
    words[_L_ETHER] = ether
    i = 0
    while i < _FLOW_WORDS:
        words[_L_FLOW + i] = rec[i]
        i += 1


@micropython.viper
def lane(words: ptr32, n: int, f: ptr32, rx, queue, buffer) -> int:
    """Take the frame of n octets in iface.rx into the queue (the words and buffer of a PacketRing
    whose metadata are flows). 1: done; 0: it is not ours to take, and nothing changed.

    n is proven to be within the frame buffer, which is 4-aligned at the IP header; `f` and `rx`
    are both that buffer. That the text fits into the ring is proven here for one piece, by
    ring_write_sum for two.
    """
    if words[_L_ETHER]:
        if ((f[0] ^ words[0]) >> 16) & 0xFFFF or f[1] != words[1]:
            return 0
        if f[2] != words[2] or f[3] != words[3]:
            return 0
        n -= 14
    # The same version, header length, type of service, TTL; no fragment; the same ends.
    if (f[4] ^ words[4]) & 0xFFFF or (f[5] >> 16) & 0xFFBF or (f[6] ^ words[6]) & 0xFFFF:
        return 0
    if f[7] != words[7] or f[8] != words[8] or f[9] != words[9]:
        return 0
    v = (f[4] >> 16) & 0xFFFF
    total = ((v & 0xFF) << 8) | (v >> 8)
    h = ptr16(f)
    v = h[20]
    size = (((v & 0xFF) << 8) | (v >> 8)) - 8
    if total > n or size < 0 or size != total - 28 or h[21] == 0:
        return 0
    q = ptr32(queue)
    if q[_PACKET_COUNT] >= q[_PACKET_SLOTS] or q[_PACKET_META] != _FLOW_WORDS:
        return 0
    if size > q[_RING_CAPACITY] - q[_RING_LENGTH]:
        return 0
    # Both checksums, in memory order (RFC 1071 2 (B)).
    v = h[14] + h[15] + h[16] + h[17]
    s = v + h[8] + h[9] + h[10] + h[11] + h[12] + h[13]
    s = (s & 0xFFFF) + (s >> 16)
    if (s & 0xFFFF) + (s >> 16) != 0xFFFF:
        return 0
    v += 0x1100 + h[18] + h[19] + h[20] + h[20] + h[21]
    if q[_PACKET_COUNT] == 0:
        q[_RING_READ_AT] = 0
    at = q[_RING_READ_AT] + q[_RING_LENGTH]
    if at >= q[_RING_CAPACITY]:
        at -= q[_RING_CAPACITY]
    if size <= _FEW and at + size <= q[_RING_CAPACITY]:
        p = ptr8(int(f) + _RX_TEXT)
        d = ptr8(int(ptr8(buffer)) + at)
        i = 0
        while i < size:
            s = p[i]
            d[i] = s
            if i & 1:
                v += s << 8
            else:
                v += s
            i += 1
    else:
        v = (v & 0xFFFF) + (v >> 16)
        v = (v & 0xFFFF) + (v >> 16)
        v = (v & 0xFF) << 8 | v >> 8
        v = int(ring_write_sum(buffer, queue, 0, 0, rx, _RX_TEXT, size, v))
        if (v >> 31) & 1:
            return 0
    v = (v & 0xFFFF) + (v >> 16)
    if (v & 0xFFFF) + (v >> 16) != 0xFFFF:
        return 0  # what was written behind the queue's end is not there until its length says so
    i = q[_PACKET_FIRST] + q[_PACKET_COUNT]
    if i >= q[_PACKET_SLOTS]:
        i -= q[_PACKET_SLOTS]
    q = ptr32(int(q) + ((_PACKET_TABLE + i * (_FLOW_WORDS + 1)) << 2))
    q[0] = size
    i = 0
    while i < _FLOW_WORDS:
        q[1 + i] = words[_L_FLOW + i]
        i += 1
    q = ptr32(queue)
    q[_PACKET_COUNT] = q[_PACKET_COUNT] + 1
    q[_RING_LENGTH] = q[_RING_LENGTH] + size
    return 1


@micropython.viper
def wind_up(counters: ptr32, taken: int, changes: ptr32, slot: int):
    """Count the `taken` datagrams of a batch; the program is to be told."""
    counters[_COUNT_RX_FRAMES] = counters[_COUNT_RX_FRAMES] + taken
    counters[_COUNT_UDP_IN] = counters[_COUNT_UDP_IN] + taken
    i = slot >> 5
    changes[i] = changes[i] | (1 << (slot & 31))


class Express:
    """The lane of one SocketSet: the socket it is set for, and how many datagrams it took."""

    def __init__(self):
        self.words = array("i", bytes(4 * _L_WORDS))
        # The socket, its queue's words and buffer, the interface's tuple and second, changes,
        # slot: all comes with one look-up.
        self.kit: list = [None] * 7
        self.taken = 0
        self.drain = _drain_of(self)

    def arm(self, iface, socket):
        """The datagram in iface.rx, for `socket`, went the long way: the next may be like it."""
        sockets = socket.sockets
        if iface.rx[_RX_NET] != _LEAST_IPV4 or sockets.raw:
            return
        if not isinstance(socket, udp.Socket):  # a service's, which has no queue
            return
        kit = self.kit
        kit[0] = socket
        kit[1] = socket._rx.words
        kit[2] = socket._rx.buffer
        kit[3] = iface.inward
        kit[4] = iface.seconds
        kit[5] = sockets.changes
        kit[6] = socket.slot
        ether = 1 if iface.medium == _MEDIUM_ETHERNET else 0
        remember(self.words, iface.rx, iface.rec, ether)
        sockets.lane = self


def _drain_of(express):
    @micropython.native
    def drain(
        iface, budget, n=0, express=express, kit=express.kit, words=express.words, take=lane
    ):
        """Receive until nothing waits, `budget` frames are taken, or one is for the long way.
        The first one stands in iface.rx already if n > 0.

        Returns the length of that one, which stands in iface.rx, else 0; `taken` counts the rest.
        """
        socket, queue, buffer, known, second, changes, slot = kit
        inward = iface.inward
        rx, rec, mac, counters, recv, view, ether, size = inward
        express.taken = 0
        if inward is not known or iface.seconds != second:
            socket.sockets.lane = None
            return n or recv(view)
        taken = 0
        while taken < budget:
            if n == 0:
                n = recv(view)
            if n <= 0 or n > size or not take(words, n, rx, rx, queue, buffer):
                break
            taken += 1
            n = 0
        if taken:
            express.taken = taken
            wind_up(counters, taken, changes, slot)
        return n

    return drain


udp.LANES.append(Express)
