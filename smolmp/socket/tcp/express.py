"""The express lane: segments of the connection that spoke last, straight from the device.

What a busy connection gets is the same again and again: a frame with the same link, IP and port
fields, the next octets of the stream, an ACK. One kernel, `lane`, compares such a frame with the
last one that went the long way (Interface -> ipv4 -> ingress -> segment_arrives), checks both
checksums while the text goes into the receive ring, and moves RCV.NXT: Van Jacobson's header
prediction (RFC 1323's appendix told it first), but before the headers are taken apart.

The lane only takes what the long way would treat the same; anything else it leaves untouched in
iface.rx for the long way. What the segments it took ask for (SND.UNA's advance, an ACK, the
program to be told) is done once, when the batch ends: `finish`. So a batch costs one ACK.
The template is forgotten once a second, so that the long way refreshes the neighbour.
"""

from array import array

import micropython
from micropython import const

from smolmp.socket.set import set_bit
from smolmp.socket.tcp.acknowledge import follow
from smolmp.socket.tcp.receive import owe, schedule_ack
from smolmp.socket.tcp.statistics import lap
from smolmp.socket.tcp.steps import settle
from smolmp.storage.kernels import ring_write, ring_write_sum
from smolmp.wire.checksum import copy_checksum

_OPTIONS = const(29)
_STATE = const(14)
_SND_UNA = const(15)
_RCV_NXT = const(16)
_SND_MAX = const(18)
_SND_WND = const(19)
_SND_WL1 = const(20)
_SND_WL2 = const(21)
_RCV_ADV = const(22)
_RX = const(23)
_RX_LENGTH = const(25)
_SCALES = const(30)
_FLAGS = const(32)
_TS_RECENT = const(33)
_T_PERSIST = const(39)
_T_SET = const(41)
_RECOVER = const(49)
_UNACKED = const(50)
_HEARD = const(51)
_FIN_AT = const(53)
_PROBES = const(55)
_MAX_WND = const(56)
_HELD = const(99)

_ESTABLISHED = const(4)
_FLAG_TIMESTAMPS = const(4)
_FLAG_DEAF = const(32768)
_ACK_BIT = const(16)
_LEAST_IPV4 = const(0x45)
_RX_NET = const(16)  # where the IP header stands in iface.rx
_FEW = const(64)  # octets that are copied one by one
_MUCH = const(256)  # octets, from where a board's copy_checksum() is worth its call
_MEDIUM_ETHERNET = const(1)

_RX_TCP = const(4)  # of Device.checksums

_E_ETHER = const(10)  # behind the template, the frame's first ten words
_E_ACKED = const(11)  # SEG.ACK - SND.UNA of the batch so far
_E_VERIFIED = const(12)  # not 0: the device looks at TCP's checksum
_E_WORDS = const(13)

_K_SOCKET = const(0)  # of Express.kit
_K_BLOCK = const(1)
_K_RING = const(2)
_K_INWARD = const(3)
_K_SECOND = const(4)
_K_CHANGES = const(5)
_K_MARKS = const(6)
_K_SLOT = const(7)

_TAKEN = const(1)
_GREW = const(2)
_TEXT = const(4)

_COUNT_RX_FRAMES = const(0)
_COUNT_TCP_IN = const(32)


@micropython.viper
def remember(words: ptr32, rx: ptr32):
    """The template: link, IP and port fields of the frame in iface.rx."""
    i = 0
    while i < 10:
        words[i] = rx[i]
        i += 1
    if (words[4] >> 8) & 3 == 3:
        words[4] = 0  # marked (RFC 3168): that has to be told, so no frame is like it
    words[11] = 0


@micropython.viper
def lane(words: ptr32, n: int, f: ptr32, rx, block, ring, now: int) -> int:
    """Take the frame of n octets in iface.rx for the connection `block`: 0 it is not ours to take.

    Else a set of 1, 2 the send window grew, 4 text was stored. SND.UNA stays: words[11] says how
    far it is to be moved. n is proven to be within the frame buffer, which is 4-aligned at the
    IP header; `f` and `rx` are both that buffer. That the text fits into the ring is proven here
    for one piece, by ring_write_sum for two.
    """
    w = ptr32(block)
    if words[_E_ETHER]:
        if ((f[0] ^ words[0]) >> 16) & 0xFFFF or f[1] != words[1]:
            return 0
        if f[2] != words[2] or f[3] != words[3]:
            return 0
        n -= 14
    # The same version, header length, type of service; no fragment; the same ends.
    if (f[4] ^ words[4]) & 0xFFFF or (f[5] >> 16) & 0xFFBF or ((f[6] ^ words[6]) >> 8) & 0xFF:
        return 0
    if f[7] != words[7] or f[8] != words[8] or f[9] != words[9]:
        return 0
    v = f[4] >> 16
    total = ((v & 0xFF) << 8) | ((v >> 8) & 0xFF)
    v = f[12]
    header = (v >> 2) & 0x3C
    if total > n or total < 20 + header or (v >> 8) & 0xF7 != _ACK_BIT:
        return 0
    if w[_FLAGS] & _FLAG_TIMESTAMPS:
        if header != 32 or f[14] != 0x0A080101:
            return 0
    elif header != 20:
        return 0
    n = total - 20 - header
    # Where it stands: in order, within the window, its ACK one for what was sent.
    s = f[10]
    s = ((s & 0xFF) << 24) | ((s & 0xFF00) << 8) | ((s >> 8) & 0xFF00) | ((s >> 24) & 0xFF)
    if s != w[_RCV_NXT] or n > w[_RCV_ADV] or w[_STATE] != _ESTABLISHED:
        return 0
    # No ACK from further right has overtaken it, whose window would be the newer one. Every ACK of
    # a recovery has its own say.
    if ((s - w[_SND_WL1]) >> 31) & 1 or w[_RECOVER] != 0:
        return 0
    s = f[11]
    ack = ((s & 0xFF) << 24) | ((s & 0xFF00) << 8) | ((s >> 8) & 0xFF00) | ((s >> 24) & 0xFF)
    a = ack - w[_SND_UNA]
    if (a >> 30) & 3:
        return 0
    a = a & 0x3FFFFFFF
    if a > w[_SND_MAX] or a < words[_E_ACKED] or n == 0 and a == words[_E_ACKED]:
        return 0
    window = (((v >> 16) & 0xFF) << 8 | ((v >> 24) & 0xFF)) << (w[_SCALES] & 15)
    if (
        w[_SND_WND] == 0
        or window == 0
        or w[_PROBES] != 0
        or not ((w[_FIN_AT] >> 31) & 1)
        or not ((w[_T_PERSIST] >> 31) & 1)
    ):
        return 0
    stamp = 0
    if header == 32:
        s = f[15]
        stamp = ((s & 0xFF) << 24) | ((s & 0xFF00) << 8) | ((s >> 8) & 0xFF00) | ((s >> 24) & 0xFF)
        if ((stamp - w[_TS_RECENT]) >> 31) & 1:
            return 0  # PAWS has a word to say (RFC 7323 5.3)
    # Both checksums, in memory order (RFC 1071 2 (B)).
    h = ptr16(f)
    v = h[14] + h[15] + h[16] + h[17]
    s = v + h[8] + h[9] + h[10] + h[11] + h[12] + h[13]
    s = (s & 0xFFFF) + (s >> 16)
    if (s & 0xFFFF) + (s >> 16) != 0xFFFF:
        return 0
    s = header + n
    v += 0x600 + ((s & 0xFF) << 8) + (s >> 8)
    v += h[18] + h[19] + h[20] + h[21] + h[22] + h[23] + h[24] + h[25] + h[26] + h[27]
    if header == 32:
        v += h[28] + h[29] + h[30] + h[31] + h[32] + h[33]
    text = n
    s = _TAKEN
    if n:
        s = _TAKEN | _TEXT
        end = w[_RX + 1] + w[_RX_LENGTH]
        if end >= w[_RX]:
            end -= w[_RX]
        room = w[_RX] - w[_RX_LENGTH]
        if room > w[_RX] - end:
            room = w[_RX] - end
        one = 1
        wide = int(one << 31 > 0)
        if words[_E_VERIFIED]:  # not on a board: the lane would not fit into a flash page
            ring_write(ring, block, _RX, 0, rx, 36 + header, n)
        elif n <= _FEW and n <= room:  # not on a board: nor with this
            # What people type and programs ask: the call would cost more.
            p = ptr8(int(f) + 36 + header)
            d = ptr8(end + int(ptr32(ring)))
            i = 0
            while i < n:
                d[i] = p[i]
                if i & 1:
                    v += p[i] << 8
                else:
                    v += p[i]
                i += 1
        elif n > room or n >= _MUCH and not wide or (n | (end + int(ptr32(ring)))) & 3:
            v = (v & 0xFFFF) + (v >> 16)
            v = (v & 0xFFFF) + (v >> 16)
            v = (v & 0xFF) << 8 | v >> 8
            if n > room:
                v = int(ring_write_sum(ring, block, _RX, 0, rx, 36 + header, n, v))
            else:
                v = int(copy_checksum(ring, end, rx, 36 + header, n, v))
            if (v >> 31) & 1:
                return 0
        else:
            # One piece of whole words: copied and summed here, in the three registers that viper
            # gives to the first three locals. copy_checksum tells about the two ways to sum; on
            # a board a port may have a faster one, to which the call is worth it.
            kept = words
            words = ptr32(end + int(ptr32(ring)))
            f = ptr32(int(f) + 36 + header)
            stop = int(f) + n
            n = v
            while stop - int(f) >= 32:
                words[0] = f[0]
                words[1] = f[1]
                words[2] = f[2]
                words[3] = f[3]
                words[4] = f[4]
                words[5] = f[5]
                words[6] = f[6]
                words[7] = f[7]
                if wide:
                    n += f[0] + f[1] + f[2] + f[3] + f[4] + f[5] + f[6] + f[7]
                else:
                    h = ptr16(f)
                    n += h[0] + h[1] + h[2] + h[3] + h[4] + h[5] + h[6] + h[7]
                    n += h[8] + h[9] + h[10] + h[11] + h[12] + h[13] + h[14] + h[15]
                f = ptr32(int(f) + 32)
                words = ptr32(int(words) + 32)
            if wide:
                while n >> 16:
                    n = (n & 0xFFFF) + (n >> 16)
            while stop - int(f) > 0:
                words[0] = f[0]
                n += ptr16(f)[0] + ptr16(f)[1]
                f = ptr32(int(f) + 4)
                words = ptr32(int(words) + 4)
            v = n
            n = text
            words = kept
    v = (v & 0xFFFF) + ((v >> 16) & 0xFFFF)
    v = (v & 0xFFFF) + (v >> 16)
    if words[_E_VERIFIED]:  # not on a board: as above
        v = 0xFFFF
    if v != 0xFFFF:
        return 0  # what was written behind the ring's end is not there until its length says so
    if header == 32 and w[_UNACKED] == 0:
        w[_TS_RECENT] = stamp
    w[_RX_LENGTH] = w[_RX_LENGTH] + n
    w[_RCV_ADV] = w[_RCV_ADV] - n
    w[_RCV_NXT] = w[_RCV_NXT] + n
    w[_UNACKED] = w[_UNACKED] + n
    w[_HEARD] = now
    words[_E_ACKED] = a
    if window > w[_SND_WND]:
        s |= _GREW
        if window > w[_MAX_WND]:
            w[_MAX_WND] = window
    # In order, and its ACK no older than the last: it may update SND.WND (RFC 9293 3.10.7.4).
    w[_SND_WND] = window
    w[_SND_WL1] = w[_RCV_NXT] - n
    w[_SND_WL2] = ack
    return s


@micropython.viper
def wind_up(words: ptr32, counters: ptr32, taken: int, changes: ptr32, slot: int) -> int:
    """Count the `taken` segments of a batch; the program is to be told, since there was text or
    more was acknowledged. By how much SND.UNA is to be moved."""
    counters[_COUNT_RX_FRAMES] = counters[_COUNT_RX_FRAMES] + taken
    counters[_COUNT_TCP_IN] = counters[_COUNT_TCP_IN] + taken
    i = slot >> 5
    changes[i] = changes[i] | (1 << (slot & 31))
    n = words[_E_ACKED]
    words[_E_ACKED] = 0
    return n


@micropython.native
def finish(iface, kit, words, taken, flags, count=wind_up, settle=settle, owe=owe, set=set_bit):
    """What the `taken` segments of the batch ask for, once."""
    socket, block, ring, known, second, changes, marks, slot = kit
    now = iface.now
    n = count(words, iface.counters, taken, changes, slot)
    if n:
        what = settle(block, n, now)
        if what:
            iface.rec[_OPTIONS] = 0  # of the last segment that went the long way
            follow(socket, iface, n, what)
    if flags & _GREW:
        set(marks, slot)
    if flags & _TEXT:
        code = owe(block, now)
        if code:
            if code < 0:
                schedule_ack(socket, iface)
            else:
                socket.sockets.deadline(slot, block[_T_SET])


class Express:
    """The lane of one SocketSet: the connection it is set for, and what the batch did.

    While it is set it stands in sockets.lane, and the interface receives through drain().
    """

    def __init__(self):
        self.words = array("i", bytes(4 * _E_WORDS))
        # The socket, its control block and receive ring, the interface's tuple and second, what
        # finish() needs: all comes with one look-up.
        self.kit: list = [None] * 8
        self.taken = 0
        self.drain = _drain_of(self)

    def arm(self, iface, socket):
        """The segment in iface.rx, for `socket`, went the long way: the next ones may be alike."""
        w = socket.w
        sockets = socket.sockets
        if w[_STATE] != _ESTABLISHED or w[_HELD] or w[_FLAGS] & _FLAG_DEAF:
            self.forget(self.kit[_K_SOCKET])
        elif iface.rx[_RX_NET] == _LEAST_IPV4 and not sockets.raw:
            kit = self.kit
            if kit[_K_SOCKET] is not socket:
                if kit[_K_SOCKET] is not None:
                    lap(kit[_K_BLOCK])
                kit[_K_SOCKET] = socket
                kit[_K_BLOCK] = w
                kit[_K_RING] = socket.rx_buffer
                kit[_K_CHANGES] = sockets.changes
                kit[_K_MARKS] = sockets.marks
                kit[_K_SLOT] = socket.slot
            kit[_K_INWARD] = iface.inward
            kit[_K_SECOND] = iface.seconds
            words = self.words
            words[_E_ETHER] = iface.medium == _MEDIUM_ETHERNET
            words[_E_VERIFIED] = iface.checksums & _RX_TCP
            remember(words, iface.rx)
            sockets.lane = self

    def forget(self, socket):
        """`socket` begins or ends a connection."""
        kit = self.kit
        if socket is kit[_K_SOCKET] and socket is not None:
            lap(kit[_K_BLOCK])
            if socket.sockets.lane is self:
                socket.sockets.lane = None
            kit[_K_SOCKET] = None


def _drain_of(express):
    # What it works with are defaults: a closure of more than 5 would be called by way of the heap.
    @micropython.native
    def drain(
        iface,
        budget,
        n=0,
        express=express,
        kit=express.kit,
        words=express.words,
        take=lane,
        end=finish,
    ):
        """Receive until nothing waits, `budget` frames are taken, or one is for the long way.
        The first one stands in iface.rx already if n > 0.

        Returns the length of that one, which stands in iface.rx, else 0; `taken` counts the rest.
        """
        socket, block, ring, known, second, changes, marks, slot = kit
        inward = iface.inward
        rx, rec, mac, counters, recv, view, ether, size = inward
        if inward is not known or iface.seconds != second:
            express.taken = 0
            express.forget(socket)
            return n or recv(view)
        now = iface.now
        flags = 0
        taken = 0
        while taken < budget:
            if n == 0:
                n = recv(view)
            if n <= 0 or n > size:
                break
            code = take(words, n, rx, rx, block, ring, now)
            if code == 0:
                break
            flags |= code
            taken += 1
            n = 0
        express.taken = taken
        if taken:
            end(iface, kit, words, taken, flags)
        return n

    return drain
