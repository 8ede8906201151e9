"""Segments for a device that cuts (Device.segments, TSO): what burst.py would send as many goes as
one, with the text copied and no checksum made. Import it where there is such a device:

    import smolmp.socket.tcp.segments

What may be sent is decided as ever, and one such segment is in every respect the full segments
that the device makes of it: in order and new, never the end of the queue (so neither PSH nor FIN),
within cwnd, the window and the interface's budget. What is lost of it is resent segment by
segment.
"""

import micropython
from micropython import const

from smolmp.counters import count, count_many
from smolmp.socket.tcp import burst as bursts
from smolmp.socket.tcp import transmit
from smolmp.socket.tcp.scoreboard import sent as sent_on
from smolmp.storage.kernels import ring_read

_FAMILY = const(0)
_LOCAL = const(4)
_SND_UNA = const(15)
_SND_NXT = const(17)
_SND_MAX = const(18)
_SND_WND = const(19)
_TX = const(26)
_LIMIT = const(62)

_TX_DATA = const(64)

_COUNT_TX_FRAMES = const(1)
_COUNT_TX_BUSY = const(2)
_COUNT_TCP_OUT = const(33)


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
def burst(socket, iface, n, header):
    """As burst.burst, on a device that cuts by as many segments at a time as it takes."""
    device = iface.device
    most = device.segments
    w = socket.w
    if not most or w[_FAMILY] != 4:
        bursts.burst(socket, iface, n, header)
        return
    position = w[_SND_NXT]
    limit = w[_LIMIT]
    if limit >= w[_TX + 2]:
        limit = w[_TX + 2] - 1
    if limit > w[_SND_WND]:
        limit = w[_SND_WND]
    left = (limit - position) // n
    if left > iface.burst:
        left = iface.burst
    if left <= 0 or not iface.gone:
        return
    tx = iface.tx
    start = iface.tx_start
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
        iface.followed = sent
        sent_on(w, first, position, iface.now)
        w[_SND_NXT] = position
        w[_SND_MAX] = position
        count_many(iface.counters, _COUNT_TCP_OUT, sent)


transmit.burst = burst
