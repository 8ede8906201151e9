"""What was sent and is not acknowledged: the sender's side of SACK (RFC 2018, 6675), RACK's times.

The scoreboard is an array('i'): a header, then ranges of three words in the order of the stream

    end     position from SND.UNA; a range begins where the one before it ends
    sent    ms, when it was sent (the last time)
    state   1 SACKED, 2 LOST (to be sent again), 4 RETRANSMITTED (and in flight, unless LOST)

that cover [0, SND.NXT) without gaps. Segments that leave in the same ms share a range, so without
loss there are about as many ranges as ms in a round trip, and most segments only move an end. When
there are too many, neighbours become one: of two times the later, of "SACKED" and "not SACKED" the
latter, of "just sent again" and "LOST" the former. That may make TCP wait longer or send more, but
never take something for delivered, nor send the same again and again.

The header's words hold what RACK (RFC 8985) knows. All of it is kernels: a range is found, split
and painted without a single Python object.
"""

from array import array

import micropython
from micropython import const

_B_CAPACITY = const(0)
_B_COUNT = const(1)
_B_RACK_AT = const(2)  # when the segment was sent that was delivered, of those the last sent one
_B_RACK_END = const(3)  # its end
_B_RACK_RTT = const(4)  # how long it took
_B_REORDERED = const(6)  # 1: the path was seen to reorder
_B_FACK = const(7)  # the highest position SACKed
_B_SACKED = const(8)  # octets SACKed (without SACK: that duplicate ACKs tell of)
_B_LOST = const(9)  # octets LOST and not yet sent again
_B_DSACK = const(10)  # 1: the ACK at hand told of a duplicate (RFC 2883)
_B_ORIGINAL = const(11)  # 1: it acknowledged what was taken for lost and not yet sent again
_B_PROBE_END = const(13)  # a tail loss probe is under way: see recovery.py
_B_USED = const(14)  # the most that was in flight within the last window
_B_USED_MARK = const(15)  # where that window ends
_B_UNDO = const(18)  # octets that fast recovery sent again, less those DSACKed; -1: all were
_B_UNDO_END = const(19)  # SND.NXT when it began: a sequence number, as is
_B_RANGES = const(20)  # SACKed ranges
_B_UNDO_START = const(21)  # SND.UNA then
_B_SIZE = const(24)

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
_OUT = const(63)
_CONTROLLER = const(64)
_CREDIT = const(65)
_MIN_RTT = const(73)
_PRR_OUT = const(77)
_LAST_SENT = const(79)
_FLAG_SACK = const(2)

_SACKS = const(34)
_SACK = const(35)

_WRAP = const(0x3FFFFFFF)
_HALF = const(0x20000000)


def new(capacity: int):
    """A scoreboard for a transmit ring of so many octets: 4 to 64 ranges.

    One for each segment of a KiB and more, for small rings of half a KiB, so that it fills up
    only where segments are short.
    """
    ranges = capacity >> 9
    if ranges > 8:
        ranges = capacity >> 10 if capacity >> 10 > 8 else 8
    elif ranges < 4:
        ranges = 4
    if ranges > 64:
        ranges = 64
    board = array("i", bytes(4 * (_B_SIZE + 3 * ranges)))
    board[_B_CAPACITY] = ranges
    return board


def clear(board, now: int):
    """Nothing is in flight and nothing known."""
    for i in range(_B_COUNT, _B_SIZE):
        board[i] = 0
    board[_B_RACK_AT] = now


@micropython.viper
def sent(block, board, start: int, end: int, now: int):
    """Positions [start, end) were sent; start is at most SND.NXT, the end of the last range."""
    w = ptr32(block)
    b = ptr32(board)
    if w[_RECOVER] != 0:
        w[_PRR_OUT] = w[_PRR_OUT] + end - start
    w[_LAST_SENT] = now
    i = _B_SIZE + b[_B_COUNT] * 3
    edge = 0
    if b[_B_COUNT] != 0:
        edge = b[i - 3]
    if start < edge:
        stop = end
        if stop > edge:
            stop = edge
        if w[_RECOVER] != 0 and not ((w[_RECOVER] >> 31) & 1):
            if (b[_B_UNDO] >> 31) & 1:
                b[_B_UNDO] = 0
            b[_B_UNDO] = b[_B_UNDO] + stop - start
        paint(block, board, start, stop, _RETRANSMITTED, now)
        tidy(block, board)
        if end <= edge:
            return
        i = _B_SIZE + b[_B_COUNT] * 3
    if i > _B_SIZE and b[i - 2] == now and b[i - 1] == 0:
        b[i - 3] = end
        return
    if b[_B_COUNT] >= b[_B_CAPACITY]:
        make_room(board, 1)
        i = _B_SIZE + b[_B_COUNT] * 3
    b[i] = end
    b[i + 1] = now
    b[i + 2] = 0
    b[_B_COUNT] = b[_B_COUNT] + 1


@micropython.viper
def recover(block, board):
    """Fast recovery begins: nothing of what is in flight was sent again yet."""
    w = ptr32(block)
    b = ptr32(board)
    b[_B_UNDO] = 0
    b[_B_UNDO_START] = w[_SND_UNA]
    b[_B_UNDO_END] = w[_SND_UNA] + w[_SND_NXT]


@micropython.viper
def make_room(board, need: int):
    """Merge neighbours until `need` (at most 4) more ranges fit, those first that cost least."""
    b = ptr32(board)
    while b[_B_COUNT] + need > b[_B_CAPACITY]:
        stop = _B_SIZE + b[_B_COUNT] * 3
        best = _B_SIZE + 3
        least = _WRAP
        begin = 0
        i = _B_SIZE + 3
        while i < stop:
            if b[i + 2] == b[i - 1]:
                cost = (b[i + 1] - b[i - 2]) & _WRAP
                if cost >= _HALF:
                    cost = (0 - cost) & _WRAP
                if cost > 0xFFFF:
                    cost = 0xFFFF
            elif b[i - 1] & _SACKED:
                cost = 0x20000 + b[i - 3] - begin
            elif b[i + 2] & _SACKED:
                cost = 0x20000 + b[i] - b[i - 3]
            elif (b[i - 1] ^ b[i + 2]) & _LOST and (b[i - 1] | b[i + 2]) & _RETRANSMITTED:
                cost = 0x40000
            else:
                cost = 0x10000
            if cost < least:
                least = cost
                best = i
            begin = b[i - 3]
            i += 3
        state = b[best - 1]
        if b[best + 2] != state:
            if state != _RETRANSMITTED and b[best + 2] != _RETRANSMITTED:
                state = (state | b[best + 2]) & (_LOST | _RETRANSMITTED)
            else:
                state = _RETRANSMITTED  # were it LOST, what was sent a moment ago would go again
        if ((b[best + 1] - b[best - 2]) & _WRAP) < _HALF:
            b[best - 2] = b[best + 1]
        b[best - 3] = b[best]
        b[best - 1] = state
        i = best
        while i < stop - 3:
            b[i] = b[i + 3]
            i += 1
        b[_B_COUNT] = b[_B_COUNT] - 1


@micropython.viper
def split(board, position: int):
    """Let a range begin at `position`. There is room for one more."""
    b = ptr32(board)
    stop = _B_SIZE + b[_B_COUNT] * 3
    i = _B_SIZE
    while i < stop and b[i] < position:
        i += 3
    if i >= stop or b[i] == position or position == 0:
        return
    j = stop - 1
    while j >= i:
        b[j + 3] = b[j]
        j -= 1
    b[i] = position
    b[_B_COUNT] = b[_B_COUNT] + 1


@micropython.viper
def paint(block, board, start: int, end: int, state: int, now: int):
    """Positions [start, end), start < end, were SACKed, sent again, or are LOST."""
    b = ptr32(board)
    make_room(board, 2)
    split(board, start)
    split(board, end)
    stop = _B_SIZE + b[_B_COUNT] * 3
    i = _B_SIZE
    begin = 0
    while i < stop and b[i] <= end:
        if begin >= start and not (b[i + 2] & _SACKED):
            if state == _SACKED:
                delivered(block, board, i, b[i], now)
                b[i + 2] = _SACKED
            elif state == _LOST:
                b[i + 2] = b[i + 2] | _LOST
            else:
                b[i + 1] = now
                b[i + 2] = _RETRANSMITTED
        begin = b[i]
        i += 3


@micropython.viper
def delivered(block, board, i: int, end: int, now: int):
    """The range at word i, as far as `end`, reached the peer (RFC 8985 6.2, steps 1 to 3)."""
    w = ptr32(block)
    b = ptr32(board)
    state = b[i + 2]
    at = b[i + 1]
    rtt = (now - at) & _WRAP
    if rtt >= _HALF:
        rtt = 0
    if not (state & _RETRANSMITTED):
        if end < b[_B_FACK]:
            b[_B_REORDERED] = 1
        if state & _LOST:
            b[_B_ORIGINAL] = 1
        if rtt < w[_MIN_RTT] or w[_MIN_RTT] == 0:
            w[_MIN_RTT] = rtt
            if rtt == 0:
                w[_MIN_RTT] = 1
    elif rtt < w[_MIN_RTT]:
        return  # so soon can't be an answer to what was sent again
    later = (at - b[_B_RACK_AT]) & _WRAP
    if later < _HALF and (later != 0 or end > b[_B_RACK_END]):
        b[_B_RACK_AT] = at
        b[_B_RACK_END] = end
        b[_B_RACK_RTT] = rtt


@micropython.viper
def acked(block, board, n: int, now: int) -> int:
    """SND.UNA moved by n > 0, SND.NXT has been adapted. The one call of a connection in order.

    Returns 0: all is done, cwnd included; 1: CUBIC is to be asked; 2: recovery.update is.
    """
    w = ptr32(block)
    b = ptr32(board)
    stop = _B_SIZE + b[_B_COUNT] * 3
    i = _B_SIZE
    while i < stop and b[i] <= n:
        if not (b[i + 2] & _SACKED):
            if i + 3 < stop and b[i + 3] <= n and b[i + 2] == 0 and b[i + 5] == 0:
                if b[_B_FACK] == 0:
                    i += 3
                    continue  # the next one was sent later and tells more
            delivered(block, board, i, b[i], now)
        i += 3
    if i < stop and not (b[i + 2] & _SACKED) and (i == _B_SIZE or b[i - 3] < n):
        delivered(block, board, i, n, now)
    j = _B_SIZE
    kept = 0
    while i < stop:
        b[j] = b[i] - n
        b[j + 1] = b[i + 1]
        b[j + 2] = b[i + 2]
        i += 3
        j += 3
        kept += 1
    b[_B_COUNT] = kept
    if b[_B_RACK_END] > n:
        b[_B_RACK_END] = b[_B_RACK_END] - n
    else:
        b[_B_RACK_END] = 0
    if b[_B_FACK] > n:
        b[_B_FACK] = b[_B_FACK] - n
    else:
        b[_B_FACK] = 0
    # How much of cwnd is used: what is not has not been shown to be safe (RFC 7661 4.3).
    used = w[_SND_NXT] + n
    if b[_B_USED_MARK] <= n:
        b[_B_USED_MARK] = w[_SND_NXT]
        b[_B_USED] = used
    else:
        b[_B_USED_MARK] = b[_B_USED_MARK] - n
        if used > b[_B_USED]:
            b[_B_USED] = used
    if w[_RECOVER] != 0 or b[_B_SACKED] != 0 or b[_B_LOST] != 0 or b[_B_PROBE_END] != 0:
        return 2
    if w[_CONTROLLER] == 0:
        return 0
    cwnd = w[_CWND]
    mss = w[_MSS_OUT]
    if cwnd < w[_SSTHRESH]:
        # Slow start, counted in octets (RFC 3465, L = 2).
        if b[_B_USED] << 1 >= cwnd:
            if n > mss << 1:
                n = mss << 1
            cwnd += n
    elif b[_B_USED] + mss > cwnd:
        if w[_CONTROLLER] == 2:
            return 1
        w[_CREDIT] = w[_CREDIT] + n
        if w[_CREDIT] >= cwnd:
            w[_CREDIT] = w[_CREDIT] - cwnd
            cwnd += mss
    if cwnd > 0x3FFFFF00:
        cwnd = 0x3FFFFF00
    w[_CWND] = cwnd
    w[_LIMIT] = cwnd
    w[_OUT] = 0
    return 0


@micropython.viper
def sack(record, block, board, now: int):
    """Take the SACK blocks of an ACK; SND.UNA is up to date. What can't be true is ignored."""
    r = ptr32(record)
    w = ptr32(block)
    b = ptr32(board)
    k = 0
    first_left = 0
    first_right = 0
    high = b[
        _B_FACK
    ]  # of the ACKs before: blocks of one come in any order, which is no reordering
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
                b[_B_DSACK] = 1
                # Of the flight that fast recovery began with, all that was sent again?
                a = (r[_SACK] - b[_B_UNDO_START]) | (b[_B_UNDO_END] - r[_SACK + 1])
                v = b[_B_UNDO]
                if v != 0 and not (((a | v) >> 30) & 3):
                    v -= size & _WRAP
                    if v <= 0:
                        v = 0 - 1
                    b[_B_UNDO] = v
        elif right <= w[_SND_NXT] and left < right:
            if k == 1 and first_left >= left and first_right <= right:
                b[_B_DSACK] = 1  # the first block lies within the second (RFC 2883 4.2)
            paint(block, board, left, right, _SACKED, now)
            if right > high:
                high = right
        k += 1
    b[_B_FACK] = high


@micropython.viper
def tidy(block, board):
    """Join neighbours that say the same, sum up, and find the right edge that cwnd allows.

    w[_OUT]: octets that have left the network, SACKed or lost; w[_LIMIT] = cwnd + those, since
    what is in flight is SND.NXT less those.
    """
    w = ptr32(block)
    b = ptr32(board)
    stop = _B_SIZE + b[_B_COUNT] * 3
    sacked = 0
    lost = 0
    ranges = 0
    kept = 0
    begin = 0
    i = _B_SIZE
    j = _B_SIZE
    while i < stop:
        end = b[i]
        at = b[i + 1]
        state = b[i + 2]
        if state & _SACKED:
            sacked += end - begin
        elif state & _LOST:
            lost += end - begin
        same = 0
        if j > _B_SIZE and b[j - 1] == state:
            if state & (_SACKED | _LOST) or b[j - 2] == at:
                same = 1
        if same:
            b[j - 3] = end
            b[j - 2] = at
        else:
            b[j] = end
            b[j + 1] = at
            b[j + 2] = state
            ranges += state & _SACKED
            kept += 1
            j += 3
        begin = end
        i += 3
    b[_B_COUNT] = kept
    b[_B_RANGES] = ranges
    if w[_FLAGS] & _FLAG_SACK:
        b[_B_SACKED] = sacked
    elif b[_B_SACKED] > w[_SND_NXT]:
        b[_B_SACKED] = w[_SND_NXT]
    b[_B_LOST] = lost
    limit(block, board)


@micropython.viper
def limit(block, board):
    """w[_LIMIT] after a change of cwnd or of what is on the board."""
    w = ptr32(block)
    b = ptr32(board)
    out = b[_B_SACKED] + b[_B_LOST]
    if out > w[_SND_NXT]:
        out = w[_SND_NXT]
    w[_OUT] = out
    edge = _WRAP
    if w[_CONTROLLER] != 0:
        edge = w[_CWND] + out
        if edge > _WRAP:
            edge = _WRAP
    w[_LIMIT] = edge


@micropython.viper
def next_lost(board) -> int:
    """The position of the first octet to be sent again, -1 when there is none."""
    b = ptr32(board)
    stop = _B_SIZE + b[_B_COUNT] * 3
    i = _B_SIZE
    begin = 0
    while i < stop:
        if b[i + 2] & (_SACKED | _LOST) == _LOST:
            return begin
        begin = b[i]
        i += 3
    return 0 - 1


@micropython.viper
def range_end(board, position: int) -> int:
    """The end of the range that holds `position`."""
    b = ptr32(board)
    stop = _B_SIZE + b[_B_COUNT] * 3
    i = _B_SIZE
    while i < stop and b[i] <= position:
        i += 3
    if i < stop:
        return b[i]
    return position
