"""What was sent and is not acknowledged: the sender's side of SACK (RFC 2018, 6675), RACK's times.

The scoreboard is a part of the control block: words that __init__.py names, and behind the
assembler's ranges those of the transmit ring, of three words each in the order of the stream

    end     position from SND.UNA; a range begins where the one before it ends
    sent    ms, when it was sent (the last time)
    state   1 SACKED, 2 LOST (to be sent again), 4 RETRANSMITTED (and in flight, unless LOST)

that cover [0, SND.NXT) without gaps. Segments that leave in the same ms share a range, so without
loss there are about as many ranges as ms in a round trip, and most segments only move an end. When
there are too many, neighbours become one: of two times the later, of "SACKED" and "not SACKED" the
latter, of "just sent again" and "LOST" the former. That may make TCP wait longer or send more, but
never take something for delivered, nor send the same again and again.

The words before them hold what RACK (RFC 8985) knows. All of it is kernels: a range is found,
split and painted without a single Python object.
"""

import micropython
from micropython import const

_B_COUNT = const(63)  # ranges
_B_LOST = const(64)  # octets LOST and not yet sent again
_B_RACK_AT = const(74)  # when the segment was sent that was delivered, of those the last sent one
_B_RACK_END = const(75)  # its end
_B_RACK_RTT = const(77)  # how long it took
_B_FACK = const(78)  # the highest position SACKed
_B_SACKED = const(85)  # octets SACKed (without SACK: that duplicate ACKs tell of)
_B_PROBE_END = const(91)  # a tail loss probe is under way: see recovery.py
_B_USED = const(92)  # the most that was in flight within the last window
_B_USED_MARK = const(93)  # where that window ends
_B_UNDO = const(94)  # octets that fast recovery sent again, less those DSACKed; -1: all were
_B_UNDO_START = const(95)  # SND.UNA when it began: a sequence number, as is _REDUCED
_B_CAPACITY = const(97)  # ranges that fit

# What SACK tells of reordering, in the word that counts duplicate ACKs where there is no SACK.
# Bits 0-3: the reordering window in quarters of the least round trip, less one; 4-8: the
# recoveries for which that lasts.
_REO = const(48)
_REO_SEEN = const(512)  # the path was seen to reorder
_REO_DSACK = const(1024)  # the ACK at hand told of a duplicate (RFC 2883)

_SACKED = const(1)
_LOST = const(2)
_RETRANSMITTED = const(4)

_SND_UNA = const(15)
_SND_NXT = const(17)
_MSS_OUT = const(29)
_FLAGS = const(32)
_RECOVER = const(49)
_CWND = const(60)
_SSTHRESH = const(61)
_LIMIT = const(62)
_CREDIT = const(65)
_MIN_RTT = const(73)
_PRR_OUT = const(69)
_LAST_SENT = const(79)
_REDUCED = const(89)  # SND.NXT when cwnd was reduced last
_HOLES = const(98)
_RANGES = const(100)

_FLAG_SACK = const(2)
_FLAG_ORIGINAL = const(1 << 26)  # an ACK was for what was taken for lost and not yet sent again
_FLAGS_BOARD = const(15 << 24)  # what the scoreboard has of the flags: see recovery.py
_CONTROLLER = const(28)  # the two flag bits that say what controls congestion

_SACKS = const(34)
_SACK = const(35)

_WRAP = const(0x3FFFFFFF)
_HALF = const(0x20000000)


def ranges(capacity: int) -> int:
    """Ranges for a transmit ring of so many octets: 4 to 64.

    One for each segment of a KiB and more, for small rings of half a KiB, so that it fills up
    only where segments are short.
    """
    n = capacity >> 9
    if n > 8:
        n = capacity >> 10 if capacity >> 10 > 8 else 8
    elif n < 4:
        n = 4
    return n if n < 64 else 64


@micropython.viper
def clear(block, now: int):
    """Nothing is in flight and nothing known."""
    w = ptr32(block)
    w[_FLAGS] = w[_FLAGS] & (_FLAGS_BOARD ^ -1)
    w[_REO] = 0
    w[_B_COUNT] = 0
    w[_B_LOST] = 0
    w[_B_RACK_AT] = now
    w[_B_RACK_END] = 0
    w[_B_RACK_RTT] = 0
    w[_B_FACK] = 0
    w[_B_SACKED] = 0
    i = _B_PROBE_END
    while i <= _B_UNDO_START:
        w[i] = 0
        i += 1


@micropython.viper
def sent(block, start: int, end: int, now: int):
    """Positions [start, end) were sent; start is at most SND.NXT, the end of the last range."""
    w = ptr32(block)
    fast = 0
    if w[_RECOVER] != 0 and not ((w[_RECOVER] >> 31) & 1):
        fast = 1
        w[_PRR_OUT] = w[_PRR_OUT] + end - start
    w[_LAST_SENT] = now
    first = _RANGES + (w[_HOLES] << 1)
    i = first + w[_B_COUNT] * 3
    edge = 0
    if w[_B_COUNT] != 0:
        edge = w[i - 3]
    if start < edge:
        stop = end
        if stop > edge:
            stop = edge
        if fast:
            if (w[_B_UNDO] >> 31) & 1:
                w[_B_UNDO] = 0
            w[_B_UNDO] = w[_B_UNDO] + stop - start
        paint(block, start, stop, _RETRANSMITTED, now)
        tidy(block)
        if end <= edge:
            return
        i = first + w[_B_COUNT] * 3
    if i > first and w[i - 2] == now and w[i - 1] == 0:
        w[i - 3] = end
        return
    if w[_B_COUNT] >= w[_B_CAPACITY]:
        make_room(block, 1)
        i = first + w[_B_COUNT] * 3
    w[i] = end
    w[i + 1] = now
    w[i + 2] = 0
    w[_B_COUNT] = w[_B_COUNT] + 1


@micropython.viper
def recover(block):
    """Fast recovery begins: nothing of what is in flight was sent again yet."""
    w = ptr32(block)
    w[_B_UNDO] = 0
    w[_B_UNDO_START] = w[_SND_UNA]


@micropython.viper
def make_room(block, need: int):
    """Merge neighbours until `need` (at most 4) more ranges fit, those first that cost least."""
    w = ptr32(block)
    first = _RANGES + (w[_HOLES] << 1)
    while w[_B_COUNT] + need > w[_B_CAPACITY]:
        stop = first + w[_B_COUNT] * 3
        best = first + 3
        least = _WRAP
        begin = 0
        i = first + 3
        while i < stop:
            if w[i + 2] == w[i - 1]:
                cost = (w[i + 1] - w[i - 2]) & _WRAP
                if cost >= _HALF:
                    cost = (0 - cost) & _WRAP
                if cost > 0xFFFF:
                    cost = 0xFFFF
            elif w[i - 1] & _SACKED:
                cost = 0x20000 + w[i - 3] - begin
            elif w[i + 2] & _SACKED:
                cost = 0x20000 + w[i] - w[i - 3]
            elif (w[i - 1] ^ w[i + 2]) & _LOST and (w[i - 1] | w[i + 2]) & _RETRANSMITTED:
                cost = 0x40000
            else:
                cost = 0x10000
            if cost < least:
                least = cost
                best = i
            begin = w[i - 3]
            i += 3
        state = w[best - 1]
        if w[best + 2] != state:
            if state != _RETRANSMITTED and w[best + 2] != _RETRANSMITTED:
                state = (state | w[best + 2]) & (_LOST | _RETRANSMITTED)
            else:
                state = _RETRANSMITTED  # were it LOST, what was sent a moment ago would go again
        if ((w[best + 1] - w[best - 2]) & _WRAP) < _HALF:
            w[best - 2] = w[best + 1]
        w[best - 3] = w[best]
        w[best - 1] = state
        i = best
        while i < stop - 3:
            w[i] = w[i + 3]
            i += 1
        w[_B_COUNT] = w[_B_COUNT] - 1


@micropython.viper
def split(block, position: int):
    """Let a range begin at `position`. There is room for one more."""
    w = ptr32(block)
    i = _RANGES + (w[_HOLES] << 1)
    stop = i + w[_B_COUNT] * 3
    while i < stop and w[i] < position:
        i += 3
    if i >= stop or w[i] == position or position == 0:
        return
    j = stop - 1
    while j >= i:
        w[j + 3] = w[j]
        j -= 1
    w[i] = position
    w[_B_COUNT] = w[_B_COUNT] + 1


@micropython.viper
def paint(block, start: int, end: int, state: int, now: int):
    """Positions [start, end), start < end, were SACKed, sent again, or are LOST."""
    w = ptr32(block)
    make_room(block, 2)
    split(block, start)
    split(block, end)
    i = _RANGES + (w[_HOLES] << 1)
    stop = i + w[_B_COUNT] * 3
    begin = 0
    while i < stop and w[i] <= end:
        if begin >= start and not (w[i + 2] & _SACKED):
            if state == _SACKED:
                delivered(block, i, w[i], now)
                w[i + 2] = _SACKED
            elif state == _LOST:
                w[i + 2] = w[i + 2] | _LOST
            else:
                w[i + 1] = now
                w[i + 2] = _RETRANSMITTED
        begin = w[i]
        i += 3


@micropython.viper
def delivered(block, i: int, end: int, now: int):
    """The range at word i, as far as `end`, reached the peer (RFC 8985 6.2, steps 1 to 3)."""
    w = ptr32(block)
    state = w[i + 2]
    at = w[i + 1]
    rtt = (now - at) & _WRAP
    if rtt >= _HALF:
        rtt = 0
    if not (state & _RETRANSMITTED):
        if end < w[_B_FACK]:
            w[_REO] = w[_REO] | _REO_SEEN
        if state & _LOST:
            w[_FLAGS] = w[_FLAGS] | _FLAG_ORIGINAL
        if rtt < w[_MIN_RTT] or w[_MIN_RTT] == 0:
            w[_MIN_RTT] = rtt
            if rtt == 0:
                w[_MIN_RTT] = 1
    elif rtt < w[_MIN_RTT]:
        return  # so soon can't be an answer to what was sent again
    later = (at - w[_B_RACK_AT]) & _WRAP
    if later < _HALF and (later != 0 or end > w[_B_RACK_END]):
        w[_B_RACK_AT] = at
        w[_B_RACK_END] = end
        w[_B_RACK_RTT] = rtt


@micropython.viper
def acked(block, n: int, now: int) -> int:
    """SND.UNA moved by n > 0, SND.NXT has been adapted. The one call of a connection in order.

    Returns 0: all is done, cwnd included; 1: CUBIC is to be asked; 2: recovery.update is.
    """
    w = ptr32(block)
    first = _RANGES + (w[_HOLES] << 1)
    i = first
    stop = i + w[_B_COUNT] * 3
    while i < stop and w[i] <= n:
        if not (w[i + 2] & _SACKED):
            if i + 3 < stop and w[i + 3] <= n and w[i + 2] == 0 and w[i + 5] == 0:
                if w[_B_FACK] == 0:
                    i += 3
                    continue  # the next one was sent later and tells more
            delivered(block, i, w[i], now)
        i += 3
    if i < stop and not (w[i + 2] & _SACKED) and (i == first or w[i - 3] < n):
        delivered(block, i, n, now)
    j = first
    kept = 0
    while i < stop:
        w[j] = w[i] - n
        w[j + 1] = w[i + 1]
        w[j + 2] = w[i + 2]
        i += 3
        j += 3
        kept += 1
    w[_B_COUNT] = kept
    if w[_B_RACK_END] > n:
        w[_B_RACK_END] = w[_B_RACK_END] - n
    else:
        w[_B_RACK_END] = 0
    if w[_B_FACK] > n:
        w[_B_FACK] = w[_B_FACK] - n
    else:
        w[_B_FACK] = 0
    # How much of cwnd is used: what is not has not been shown to be safe (RFC 7661 4.3).
    used = w[_SND_NXT] + n
    if w[_B_USED_MARK] <= n:
        w[_B_USED_MARK] = w[_SND_NXT]
        w[_B_USED] = used
    else:
        w[_B_USED_MARK] = w[_B_USED_MARK] - n
        if used > w[_B_USED]:
            w[_B_USED] = used
    if w[_RECOVER] != 0 or w[_B_SACKED] != 0 or w[_B_LOST] != 0 or w[_B_PROBE_END] != 0:
        return 2
    if w[_FLAGS] >> _CONTROLLER & 3 == 0:
        return 0
    cwnd = w[_CWND]
    mss = w[_MSS_OUT]
    if cwnd < w[_SSTHRESH]:
        # Slow start, counted in octets (RFC 3465, L = 2).
        if w[_B_USED] << 1 >= cwnd:
            if n > mss << 1:
                n = mss << 1
            cwnd += n
    elif w[_B_USED] + mss > cwnd:
        if w[_FLAGS] >> _CONTROLLER & 3 == 2:
            return 1
        w[_CREDIT] = w[_CREDIT] + n
        if w[_CREDIT] >= cwnd:
            w[_CREDIT] = w[_CREDIT] - cwnd
            cwnd += mss
    if cwnd > 0x3FFFFF00:
        cwnd = 0x3FFFFF00
    w[_CWND] = cwnd
    w[_LIMIT] = cwnd
    return 0


@micropython.viper
def sack(record, block, now: int):
    """Take the SACK blocks of an ACK; SND.UNA is up to date. What can't be true is ignored."""
    r = ptr32(record)
    w = ptr32(block)
    k = 0
    first_left = 0
    first_right = 0
    high = w[_B_FACK]  # of the ACKs before: of one's blocks any order is no reordering
    while k < r[_SACKS]:
        left = r[_SACK + (k << 1)] - w[_SND_UNA]
        right = r[_SACK + (k << 1) + 1] - w[_SND_UNA]
        size = right - left
        # Of sane length: 1 to 2**29.
        sane = 1
        if (size >> 29) & 7 or (size & _WRAP) == 0:
            sane = 0
        below = (left >> 31) & 1
        if (right >> 31) & 1 or (right & _WRAP) == 0:
            below = 1
        left = left & _WRAP
        right = right & _WRAP
        if k == 0:
            first_left = left
            first_right = right
        if sane == 0:
            pass
        elif below:
            # Below SND.UNA: a duplicate arrived (RFC 2883 4), or an old ACK.
            if k == 0:
                w[_REO] = w[_REO] | _REO_DSACK
                # Of the flight that fast recovery began with, all that was sent again?
                a = (r[_SACK] - w[_B_UNDO_START]) | (w[_REDUCED] - r[_SACK + 1])
                v = w[_B_UNDO]
                if v != 0 and not (((a | v) >> 30) & 3):
                    v -= size & _WRAP
                    if v <= 0:
                        v = 0 - 1
                    w[_B_UNDO] = v
        elif right <= w[_SND_NXT] and left < right:
            if k == 1 and first_left >= left and first_right <= right:
                # The first block lies within the second (RFC 2883 4.2).
                w[_REO] = w[_REO] | _REO_DSACK
            paint(block, left, right, _SACKED, now)
            if right > high:
                high = right
        k += 1
    w[_B_FACK] = high


@micropython.viper
def tidy(block):
    """Join neighbours that say the same, sum up, and find the right edge that cwnd allows.

    w[_LIMIT] = cwnd + the octets that have left the network, SACKed or lost, since what is in
    flight is SND.NXT less those.
    """
    w = ptr32(block)
    first = _RANGES + (w[_HOLES] << 1)
    stop = first + w[_B_COUNT] * 3
    sacked = 0
    lost = 0
    kept = 0
    begin = 0
    i = first
    j = first
    while i < stop:
        end = w[i]
        at = w[i + 1]
        state = w[i + 2]
        if state & _SACKED:
            sacked += end - begin
        elif state & _LOST:
            lost += end - begin
        same = 0
        if j > first and w[j - 1] == state:
            if state & (_SACKED | _LOST) or w[j - 2] == at:
                same = 1
        if same:
            w[j - 3] = end
            w[j - 2] = at
        else:
            w[j] = end
            w[j + 1] = at
            w[j + 2] = state
            kept += 1
            j += 3
        begin = end
        i += 3
    w[_B_COUNT] = kept
    if w[_FLAGS] & _FLAG_SACK:
        w[_B_SACKED] = sacked
    elif w[_B_SACKED] > w[_SND_NXT]:
        w[_B_SACKED] = w[_SND_NXT]
    w[_B_LOST] = lost
    limit(block)


@micropython.viper
def limit(block):
    """w[_LIMIT] after a change of cwnd or of what is on the board."""
    w = ptr32(block)
    out = w[_B_SACKED] + w[_B_LOST]
    if out > w[_SND_NXT]:
        out = w[_SND_NXT]
    edge = _WRAP
    if w[_FLAGS] >> _CONTROLLER & 3 != 0:
        edge = w[_CWND] + out
        if edge > _WRAP:
            edge = _WRAP
    w[_LIMIT] = edge


@micropython.viper
def next_lost(block) -> int:
    """The position of the first octet to be sent again, -1 when there is none."""
    w = ptr32(block)
    i = _RANGES + (w[_HOLES] << 1)
    stop = i + w[_B_COUNT] * 3
    begin = 0
    while i < stop:
        if w[i + 2] & (_SACKED | _LOST) == _LOST:
            return begin
        begin = w[i]
        i += 3
    return 0 - 1


@micropython.viper
def range_end(block, position: int) -> int:
    """The end of the range that holds `position`."""
    w = ptr32(block)
    i = _RANGES + (w[_HOLES] << 1)
    stop = i + w[_B_COUNT] * 3
    while i < stop and w[i] <= position:
        i += 3
    if i < stop:
        return w[i]
    return position
