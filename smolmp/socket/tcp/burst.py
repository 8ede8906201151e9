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
from smolmp.wire.checksum import copy_checksum

_SND_UNA = const(15)
_SND_NXT = const(17)
_SND_MAX = const(18)
_SND_WND = const(19)
_TX = const(26)
_LIMIT = const(62)

_MUCH = const(256)  # octets, from where a board's copy_checksum() is worth its call
_LOCAL = const(4)
_TX_DATA = const(64)

_COUNT_TX_FRAMES = const(1)
_COUNT_TX_BUSY = const(2)
_COUNT_TCP_OUT = const(33)


@micropython.viper
def fixed_sum(frame: ptr16, block: ptr32, header: int, n: int) -> int:
    """The sum of what a burst shares, in memory order: pseudo header, and TCP header less SEQ and
    checksum."""
    s = 6 + header + n
    i = _LOCAL
    while i < 12:
        v = block[i]
        s += (v & 0xFFFF) + ((v >> 16) & 0xFFFF)
        i += 1
    s = (s & 0xFFFF) + (s >> 16)
    s = (s & 0xFFFF) + (s >> 16)
    s = ((s & 0xFF) << 8) | (s >> 8)
    s += frame[32] + frame[33]
    i = 36
    end = 32 + (header >> 1)
    while i < end:
        s += frame[i]
        i += 1
    s -= frame[40]
    s = (s & 0xFFFF) + (s >> 16)
    return (s & 0xFFFF) + (s >> 16)


@micropython.viper
def follow(
    d: ptr32, s: ptr32, acc: int, n: int, frame, block, ring, position: int, header: int
) -> int:
    """Make the segment in `frame` the one of the n octets at `position`. The next position.

    `d` is the frame as well, `s` the ring, `acc` fixed_sum(): viper keeps the first three locals
    in registers, and the loop is theirs. That the transmit ring holds the n octets is proven by
    burst(); in two pieces, or not of whole words, they are ring_read_sum's.
    """
    w = ptr32(block)
    p = ptr8(d)
    seq = w[_SND_UNA] + position
    p[68] = seq >> 24
    p[69] = seq >> 16
    p[70] = seq >> 8
    p[71] = seq
    h = ptr16(d)
    acc += h[34] + h[35]
    start = w[_TX + 1] + position
    if start >= w[_TX]:
        start -= w[_TX]
    whole = int(start + n <= w[_TX])
    one = 1
    wide = int(one << 31 > 0)
    if whole and n >= _MUCH and not wide:
        v = int(copy_checksum(frame, _TX_DATA + header, ring, start, n, 0))
        acc += (v & 0xFF) << 8 | v >> 8
    elif whole and ((start + int(s)) | n) & 3 == 0:
        s = ptr32(start + int(s))
        d = ptr32(int(d) + _TX_DATA + header)
        stop = int(s) + n
        while stop - int(s) >= 32:
            d[0] = s[0]
            d[1] = s[1]
            d[2] = s[2]
            d[3] = s[3]
            d[4] = s[4]
            d[5] = s[5]
            d[6] = s[6]
            d[7] = s[7]
            if wide:  # as in copy_checksum
                acc += s[0] + s[1] + s[2] + s[3] + s[4] + s[5] + s[6] + s[7]
            else:
                h = ptr16(s)
                acc += h[0] + h[1] + h[2] + h[3] + h[4] + h[5] + h[6] + h[7]
                acc += h[8] + h[9] + h[10] + h[11] + h[12] + h[13] + h[14] + h[15]
            s = ptr32(int(s) + 32)
            d = ptr32(int(d) + 32)
        if wide:
            while acc >> 16:
                acc = (acc & 0xFFFF) + (acc >> 16)
        while stop - int(s) > 0:
            d[0] = s[0]
            acc += ptr16(s)[0] + ptr16(s)[1]
            s = ptr32(int(s) + 4)
            d = ptr32(int(d) + 4)
    else:
        v = int(ring_read_sum(ring, block, _TX, position, frame, _TX_DATA + header, n, 0))
        acc += (v & 0xFF) << 8 | v >> 8
    acc = (acc & 0xFFFF) + ((acc >> 16) & 0xFFFF)
    acc = (acc & 0xFFFF) + (acc >> 16)
    ptr16(p)[40] = acc ^ 0xFFFF
    return position + n


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
    first = position
    last = position + (iface.burst - 1) * n
    if limit > last:
        limit = last
    if position > limit or not iface.gone:
        return
    tx = iface.tx
    ring = socket.tx_buffer
    transmit = iface.transmit
    make = follow  # a local name is not searched for
    start = iface.tx_start
    end = _TX_DATA + header + n
    fixed = fixed_sum(tx, w, header, n)
    while position <= limit:
        after = make(tx, ring, fixed, n, tx, w, ring, position, header)
        if not transmit(tx, start, end):
            iface.busy = True
            count(iface.counters, _COUNT_TX_BUSY)
            break
        position = after
    if position > first:
        sent = (position - first) // n
        iface.followed = sent
        sent_on(w, first, position, iface.now)
        w[_SND_NXT] = position
        w[_SND_MAX] = position
        count_many(iface.counters, _COUNT_TX_FRAMES, sent)
        count_many(iface.counters, _COUNT_TCP_OUT, sent)
