"""Bursts: the full segments that follow one just sent, behind the headers that still stand in
iface.tx.

Between them only SEQ, the checksum and the text differ (the IP header not at all: they are equally
long and not fragmented, RFC 6864), so one kernel call and one call of the device make a segment.
"""

import micropython
from micropython import const

from smolmp.counters import count, count_many
from smolmp.socket.tcp.scoreboard import sent as sent_on
from smolmp.storage.kernels import ring_read_sum

_SND_UNA = const(15)
_SND_NXT = const(17)
_SND_MAX = const(18)
_SND_WND = const(19)
_TX = const(26)
_LIMIT = const(62)

_LOCAL = const(4)
_TX_DATA = const(64)

_COUNT_TX_FRAMES = const(1)
_COUNT_TX_BUSY = const(2)
_COUNT_TCP_OUT = const(33)


@micropython.viper
def fixed_sum(frame: ptr16, block: ptr32, header: int, n: int) -> int:
    """The sum of what a burst shares: pseudo header, and TCP header less SEQ and checksum."""
    s = frame[32] + frame[33]
    i = 36
    end = 32 + (header >> 1)
    while i < end:
        s += frame[i]
        i += 1
    s -= frame[40]
    s = (s & 0xFFFF) + (s >> 16)
    s = (s & 0xFFFF) + (s >> 16)
    s = ((s & 0xFF) << 8) | (s >> 8)
    i = _LOCAL
    while i < 12:
        v = block[i]
        s += (v & 0xFFFF) + ((v >> 16) & 0xFFFF)
        i += 1
    s += 6 + header + n
    s = (s & 0xFFFF) + (s >> 16)
    return (s & 0xFFFF) + (s >> 16)


@micropython.viper
def follow(frame, block, ring, position: int, header: int, n: int, fixed: int):
    """Make the segment in `frame` the one of the n octets at `position`; `fixed`: fixed_sum()."""
    w = ptr32(block)
    p = ptr8(frame)
    seq = w[_SND_UNA] + position
    s = fixed + (seq & 0xFFFF) + ((seq >> 16) & 0xFFFF)
    s = int(ring_read_sum(ring, block, _TX, position, frame, _TX_DATA + header, n, s))
    s = s ^ 0xFFFF
    p[68] = seq >> 24
    p[69] = seq >> 16
    p[70] = seq >> 8
    p[71] = seq
    p[80] = s >> 8
    p[81] = s


@micropython.native
def burst(socket, iface, n, header):
    """Send full segments of `n` octets from SND.NXT on, as far as cwnd, the window and the
    interface's budget allow and more waits behind each: the last one of the queue carries a PSH.

    The segment before them has just left with a header of `header` octets.
    """
    w = socket.w
    position = w[_SND_NXT]
    limit = w[_LIMIT]
    if limit >= w[_TX + 2]:
        limit = w[_TX + 2] - 1
    if limit > w[_SND_WND]:
        limit = w[_SND_WND]
    limit -= n
    if position > limit or not iface.gone:
        return
    first = position
    room = iface.burst
    tx = iface.tx
    ring = socket.tx_buffer
    transmit = iface.transmit
    start = iface.tx_start
    end = _TX_DATA + header + n
    fixed = fixed_sum(tx, w, header, n)
    sent = 0
    while sent < room and position <= limit:
        follow(tx, w, ring, position, header, n, fixed)
        if not transmit(tx, start, end):
            iface.busy = True
            count(iface.counters, _COUNT_TX_BUSY)
            break
        position += n
        sent += 1
    if position > first:
        iface.followed = sent
        sent_on(w, socket.board, first, position, iface.now)
        w[_SND_NXT] = position
        w[_SND_MAX] = position
        count_many(iface.counters, _COUNT_TX_FRAMES, sent)
        count_many(iface.counters, _COUNT_TCP_OUT, sent)
