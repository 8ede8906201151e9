"""Segments for a device that cuts (Device.segments, TSO): what would have left as many goes as
one, with the text copied and no checksum made. Import it where there is such a device:

    import smolmp.socket.tcp.segments

What may be sent is decided as ever, and one such segment is in every respect the full segments
that the device makes of it: in order and new, never the end of the queue (so neither PSH nor FIN),
within cwnd, the window and the interface's budget. What is lost of it is resent segment by
segment. All else is transmit.py's and burst.py's, in whose places these two functions are put.
"""

import micropython
from micropython import const

from smolmp.counters import count, count_many
from smolmp.socket.tcp import burst as bursts
from smolmp.socket.tcp import transmit
from smolmp.socket.tcp.kernels import announce, clock, emit, put_timestamps
from smolmp.socket.tcp.scoreboard import sent as sent_on
from smolmp.socket.tcp.steps import depart
from smolmp.storage.kernels import ring_read
from smolmp.wire.ipv4 import emit as emit_ipv4

_FAMILY = const(0)
_LOCAL = const(4)
_STATE = const(14)
_SND_UNA = const(15)
_SND_NXT = const(17)
_SND_MAX = const(18)
_SND_WND = const(19)
_TX = const(26)
_MSS_OUT = const(29)
_FLAGS = const(32)
_RTO = const(44)
_LIMIT = const(62)
_LAST_SENT = const(79)
_ECN = const(88)

_ESTABLISHED = const(4)
_FLAG_TIMESTAMPS = const(4)
_FLAGS_ELSE = const(16 | 32 | 64 | 128 | 2048 | 4096 | 65536 | 131072)  # not just data to send
_ACK_BIT = const(16)
_DONT_FRAGMENT = const(0x4000)
_HINTED = const(-2)  # of ipv4.emit(): to the neighbour that the last packet went to
_WRAP = const(0x3FFFFFFF)

_TX_DATA = const(64)
_TX_IPV4 = const(44)

_SENT = const(1)
_BUSY = const(-1)

_COUNT_TX_FRAMES = const(1)
_COUNT_TX_BUSY = const(2)
_COUNT_TCP_OUT = const(33)

_plain_dispatch = transmit.dispatch
_plain_burst = bursts.burst


@micropython.viper
def sendable(block, n: int) -> int:
    """Full segments of n octets that may follow at SND.NXT with more queued behind the last."""
    w = ptr32(block)
    limit = w[_TX + 2] - 1
    if limit > w[_LIMIT]:
        limit = w[_LIMIT]
    if limit > w[_SND_WND]:
        limit = w[_SND_WND]
    limit -= w[_SND_NXT]
    if limit < n:
        return 0
    return limit // n


@micropython.viper
def enlarge(frame, block, ring, position: int, header: int, n: int):
    """Make of the segment in `frame` the one of the n octets at `position`, which the transmit
    ring holds and the frame has room for. Its IP header gets its length; where the TCP checksum
    belongs stands the sum of the pseudo header (Device.cut)."""
    ring_read(ring, block, _TX, position, frame, _TX_DATA + header, n)
    w = ptr32(block)
    p = ptr8(frame)
    seq = w[_SND_UNA] + position
    p[68] = seq >> 24
    p[69] = seq >> 16
    p[70] = seq >> 8
    p[71] = seq
    n += header
    p[46] = (n + 20) >> 8
    p[47] = n + 20
    q = ptr16(frame)
    q[27] = 0
    s = 0
    i = 22
    while i < 32:
        s += q[i]
        i += 1
    s = (s & 0xFFFF) + (s >> 16)
    s = (s & 0xFFFF) + (s >> 16)
    q[27] = s ^ 0xFFFF
    s = 6 + n
    i = _LOCAL
    while i < 12:
        v = w[i]
        s += (v & 0xFFFF) + ((v >> 16) & 0xFFFF)
        i += 1
    s = (s & 0xFFFF) + (s >> 16)
    s = (s & 0xFFFF) + (s >> 16)
    p[80] = s >> 8
    p[81] = s


@micropython.native
def dispatch(socket, iface):
    """As transmit.dispatch, but where two or more full segments may go they are one, and others
    follow it."""
    w = socket.w
    n = w[_MSS_OUT]
    k = iface.burst + 1
    if k <= 2 or w[_STATE] != _ESTABLISHED or w[_FLAGS] & _FLAGS_ELSE or w[_ECN]:
        return _plain_dispatch(socket, iface)
    position = w[_SND_NXT]
    may = sendable(w, n)
    if k > may:
        k = may
    if k < 2 or position != w[_SND_MAX]:
        return _plain_dispatch(socket, iface)
    now = iface.now
    if position == 0 and ((now - w[_LAST_SENT]) & _WRAP) > w[_RTO]:
        return _plain_dispatch(socket, iface)  # cwnd may shrink (RFC 5681 4.1): that sees to it
    device = iface.device
    header = 32 if w[_FLAGS] & _FLAG_TIMESTAMPS else 20
    most = (device.segments - 20 - header) // n
    if k > most:
        k = most
    if k < 2 or w[_FAMILY] != 4 or _TX_DATA + header + n > iface.clear_end:
        return _plain_dispatch(socket, iface)
    tx, mac, counters, transmit, own, routes, neighbors, start, emit_packet = iface.outward
    size = k * n
    end = _TX_DATA + header + size
    if start == _TX_IPV4:
        emit_ipv4(tx, _TX_IPV4, w, header + size, 0, _DONT_FRAGMENT)
    elif not emit_packet(tx, w, end, neighbors, _HINTED, mac, now):
        return _plain_dispatch(socket, iface)
    if header == 32:
        clock(w, now)
        put_timestamps(tx, _TX_DATA + 20, w)
    emit(tx, w, position, header, size, _ACK_BIT, announce(w), 0)
    enlarge(tx, w, socket.tx_buffer, position, header, size)
    if not device.cut(tx, start, end, n):
        count(counters, _COUNT_TX_BUSY)
        return _BUSY
    count(counters, _COUNT_TX_FRAMES)
    count_many(counters, _COUNT_TCP_OUT, k)
    iface.followed = k - 1
    what = depart(w, position, position + size, now)
    if what:
        _departed(socket, iface, what)
    if not iface.gone:
        iface.gone = True
    burst(socket, iface, n, header)
    return _SENT


@micropython.native
def burst(socket, iface, n, header):
    """As burst.burst, on a device that cuts by as many segments at a time as it takes."""
    device = iface.device
    most = device.segments
    w = socket.w
    if not most or w[_FAMILY] != 4:
        _plain_burst(socket, iface, n, header)
        return
    left = iface.burst - iface.followed
    may = sendable(w, n)
    if left > may:
        left = may
    if left <= 0 or not iface.gone:
        return
    tx = iface.tx
    start = iface.tx_start
    position = w[_SND_NXT]
    first = position
    most = (most - 20 - header) // n
    while left > 0:
        k = most if left > most else left
        size = k * n
        enlarge(tx, w, socket.tx_buffer, position, header, size)
        if not device.cut(tx, start, _TX_DATA + header + size, n):
            iface.busy = True
            count(iface.counters, _COUNT_TX_BUSY)
            break
        position += size
        left -= k
        count(iface.counters, _COUNT_TX_FRAMES)
    if position > first:
        sent = (position - first) // n
        iface.followed += sent
        sent_on(w, first, position, iface.now)
        w[_SND_NXT] = position
        w[_SND_MAX] = position
        count_many(iface.counters, _COUNT_TCP_OUT, sent)


_departed = transmit._departed
transmit.dispatch = dispatch
transmit.burst = burst
