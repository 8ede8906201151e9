"""What a segment that leaves and an ACK that comes change in the control block: one kernel each
(RFC 9293 3.10.7.4 and 3.8.1, RFC 6298), and the segment that takes all that is queued along.

A connection that asks and answers has little else to do per trip, so what is told of these steps
comes back as a set of bits, and the caller does the rest only when it is asked for.
"""

import micropython
from micropython import const

from smolmp.socket.tcp.kernels import put_timestamps
from smolmp.socket.tcp.scoreboard import acked
from smolmp.socket.tcp.scoreboard import sent as sent_on
from smolmp.storage.kernels import ring_read, ring_read_sum, ring_write

_LPORT = const(2)
_RPORT = const(3)
_LOCAL = const(4)
_STATE = const(14)
_SND_UNA = const(15)
_RCV_NXT = const(16)
_SND_NXT = const(17)
_SND_MAX = const(18)
_SND_WND = const(19)
_RCV_ADV = const(22)
_RX = const(23)
_TX = const(26)
_TX_READ_AT = const(27)
_TX_LENGTH = const(28)
_MSS_OUT = const(29)
_SCALES = const(30)
_ERROR = const(31)
_FLAGS = const(32)
_TS_CLOCK = const(34)
_TS_LAST = const(35)
_T_RETRANSMIT = const(36)
_T_ACK = const(37)
_T_PERSIST = const(39)
_T_CLOSE = const(40)
_T_SET = const(41)
_SRTT = const(42)
_RTTVAR = const(43)
_RTO = const(44)
_BACKOFF = const(45)
_RTT_AT = const(46)
_RTT_MARK = const(47)
_DUPACKS = const(48)
_RECOVER = const(49)
_UNACKED = const(50)
_PROGRESS = const(52)
_RETRANSMITS = const(58)
_LIMIT = const(62)
_LAST_SENT = const(79)
_OUT_BASE = const(81)
_LAPS = const(83)
_SMALL = const(84)
_RTT_REST = const(87)  # of SRTT's and RTTVAR's divisions, 10 bits each
_ECN = const(88)
_WAITS = const(96)  # the program's: rto_min, and in 14 bits ack_delay
_HOLES = const(98)
_RANGES = const(100)

_ESTABLISHED = const(4)
_FIN_WAIT_1 = const(5)
_CLOSING = const(8)
_LAST_ACK = const(9)
_TIME_WAIT = const(10)

_FLAG_NAGLE = const(1)
_FLAG_SACK = const(2)
_FLAG_TIMESTAMPS = const(4)
_FLAG_RESEND = const(16)
_FLAG_PROBE = const(32)
_FLAG_TIMEOUT = const(1 << 18)  # there may be a user timeout
_FLAG_PROBE_TIMER = const(1 << 24)
_FLAGS_TIMER = const(3 << 24)
_FLAGS_GONE = const(8 | 32 | 8192)  # ACK_NOW, PROBE, FORCE: answered by any segment
_FLAGS_ACKED = const(16 | 4096)  # RESEND, TAIL
_FLAGS_ELSE = const(16 | 32 | 64 | 128 | 2048 | 4096 | 65536 | 131072)  # not just data to send

_PSH_ACK = const(24)
_TX_DATA = const(64)
_FEW = const(64)

_B_COUNT = const(63)
_B_SACKED = const(85)
_B_PROBE_END = const(91)
_PTO_ALONE = const(200)  # WCDelAckT: a single segment's ACK may be delayed (RFC 8985 7.2)

_RTO_MAX = const(60000)  # RFC 6298 2.5
_LONGEST = const(0xFFFFFF)  # of a round trip, as of any timer: see timers.py
_WRAP = const(0x3FFFFFFF)
_HALF = const(0x20000000)

_LEFT = const(1)  # settle(): something is still in flight
_MORE = const(2)  # and something waits to be sent
_BACKED = const(4)  # RTO was backed off: it is to be computed anew
_ASKED = const(3)  # how far acked()'s answer is shifted to the left
_AGAIN = const(1)  # depart(): it had been sent before
_RESTART = const(2)  # the first of a flight after an idle time
_TELL = const(4)  # the set does not know of so early a deadline
_TIMED = const(8)  # an answer is awaited from now on: the user timeout runs, if there is one


@micropython.viper
def settle(block, n: int, now: int) -> int:
    """SND.UNA moves up by n > 0 acknowledged octets, the FIN among them if n is more than the
    transmit ring holds; the round trip that ends is taken (RFC 6298 2). A set of _LEFT, _MORE and
    _BACKED, and acked()'s answer above them. Guards nothing."""
    w = ptr32(block)
    if not ((w[_RTT_AT] >> 31) & 1) and not (w[_RECOVER] != 0 and w[_FLAGS] & _FLAG_TIMESTAMPS):
        if n >= w[_RTT_MARK]:
            gone = (now - w[_RTT_AT]) & _WRAP
            w[_RTT_AT] = -1
            if gone < _HALF:
                smooth(block, gone, 1)
        else:
            w[_RTT_MARK] = w[_RTT_MARK] - n
    queued = w[_TX_LENGTH]
    gone = n
    if gone > queued:
        gone = queued
    at = w[_TX_READ_AT] + gone
    if at >= w[_TX]:
        at -= w[_TX]
    w[_TX_READ_AT] = at
    w[_TX_LENGTH] = queued - gone
    w[_SND_UNA] = w[_SND_UNA] + n
    laps = w[_LAPS]  # half laps are noticed on the way: see statistics.py
    if (((w[_SND_UNA] - w[_OUT_BASE]) >> 31) ^ laps) & 1:
        w[_LAPS] = (laps & 0x3FFF8000) | ((laps + 1) & 0x7FFF)
    left = w[_SND_MAX] - n
    w[_SND_MAX] = left
    if w[_SND_NXT] > n:
        w[_SND_NXT] = w[_SND_NXT] - n
    else:
        w[_SND_NXT] = 0
    if w[_SMALL] > n:
        w[_SMALL] = w[_SMALL] - n
    else:
        w[_SMALL] = 0
    w[_PROGRESS] = now
    w[_ERROR] = 0  # a router's opinion
    if w[_FLAGS] & _FLAG_SACK == 0:
        w[_DUPACKS] = 0
    state = w[_STATE]
    waits = 0
    if queued > n:
        waits = 1
    elif n <= queued and (state == _FIN_WAIT_1 or state == _CLOSING or state == _LAST_ACK):
        waits = 1
    code = 0
    if left != 0:
        code = _LEFT
    else:
        w[_T_RETRANSMIT] = -1
        w[_FLAGS] = w[_FLAGS] & (_FLAGS_ACKED ^ -1)
        if state != _TIME_WAIT:
            w[_T_CLOSE] = -1
        if n > queued or waits == 0:
            w[_T_PERSIST] = -1  # nothing waits for the window any more
    if waits or w[_FLAGS] & _FLAG_RESEND:
        code |= _MORE
    if w[_BACKOFF] != 0:
        w[_BACKOFF] = 0
        code |= _BACKED
    return code | int(acked(block, n, now)) << _ASKED


@micropython.viper
def depart(block, position: int, end: int, now: int) -> int:
    """Positions [position, end) left; position -1: all that was queued, as whole() made it.

    SND.NXT and SND.MAX move, the scoreboard knows, the round trip is timed (RFC 6298 3) and the
    retransmission timer runs (5.1). A set of _AGAIN, _RESTART, _TELL and _TIMED.
    """
    w = ptr32(block)
    if (position >> 30) & 1:
        position = w[_SND_NXT]
        end = w[_TX_LENGTH]
        w[_SMALL] = end
    flags = w[_FLAGS]
    w[_FLAGS] = flags & (_FLAGS_GONE ^ -1)
    w[_T_ACK] = -1
    w[_UNACKED] = 0
    sent = w[_SND_MAX]
    code = 0
    if position < sent:
        code = _AGAIN
        w[_RTT_AT] = -1  # Karn: an answer could belong to either copy
        w[_RETRANSMITS] = w[_RETRANSMITS] + 1
    elif not (flags & _FLAG_PROBE):
        if (w[_RTT_AT] >> 31) & 1:
            w[_RTT_AT] = now
            w[_RTT_MARK] = end
        if sent == 0:
            w[_PROGRESS] = now
            w[_ERROR] = 0
            if ((now - w[_LAST_SENT]) & _WRAP) > w[_RTO]:
                code = _RESTART
    if end > sent:
        w[_SND_MAX] = end
    if flags & _FLAG_PROBE:
        if w[_SND_WND] == 0:
            # A probe: its octet may be acknowledged (SND.MAX), but it is the persist timer that
            # repeats it, and SND.NXT stays, since it was not sent within a window.
            if flags & _FLAG_TIMEOUT:
                code |= _TIMED
            return code
        # What the override sent into a small window is data like any other.
        w[_T_PERSIST] = -1
    if end > w[_SND_NXT]:
        w[_SND_NXT] = end
    if w[_STATE] >= _ESTABLISHED:
        if w[_B_COUNT] == 0 and w[_RECOVER] == 0:  # as sent() does it when nothing was in flight
            w[_LAST_SENT] = now
            w[_B_COUNT] = 1
            sent = _RANGES + (w[_HOLES] << 1)
            w[sent] = end
            w[sent + 1] = now
            w[sent + 2] = 0
        else:
            sent_on(block, position, end, now)
    if (w[_T_RETRANSMIT] >> 31) & 1 or code & _AGAIN and position == 0:
        if flags & _FLAG_TIMEOUT:
            code |= _TIMED
        if not ((int(aim(block, now)) >> 30) & 1):
            code |= _TELL
    return code


@micropython.viper
def aim(block, now: int) -> int:
    """Start the retransmission timer: as a probe of the tail if that may help (RFC 8985 7.2).
    The socket's new deadline, -1: the set wakes it early enough."""
    w = ptr32(block)
    delay = w[_RTO]
    flags = w[_FLAGS] & (_FLAGS_TIMER ^ -1)
    if flags & _FLAG_SACK and w[_SRTT] != 0 and w[_RECOVER] == 0 and w[_B_PROBE_END] == 0:
        if w[_B_SACKED] == 0 and w[_BACKOFF] == 0 and w[_STATE] >= _ESTABLISHED:
            pto = (w[_SRTT] >> 2) + 2
            if w[_SND_NXT] <= w[_MSS_OUT] and w[_TX_LENGTH] <= w[_MSS_OUT]:
                pto += _PTO_ALONE
            if pto < delay:
                delay = pto
                flags |= _FLAG_PROBE_TIMER
    w[_FLAGS] = flags
    t = (now + delay) & _WRAP
    w[_T_RETRANSMIT] = t
    known = w[_T_SET]
    if not ((known >> 31) & 1) and ((known - t) & _WRAP) >= _HALF:
        return -1
    if known == t:
        return -1
    w[_T_SET] = t
    return t


@micropython.viper
def smooth(block, rtt: int, samples: int):
    """SRTT, RTTVAR and RTO after a round trip of `rtt` ms, one of `samples` (1 to 1023) in a round
    trip (RFC 6298 2.2 to 2.5).

    SRTT is kept in 1/8 ms, RTTVAR in 1/4; what a division leaves waits for the next sample.
    """
    w = ptr32(block)
    if rtt == 0:
        rtt = 1  # the clock's grain
    elif rtt > _LONGEST:
        rtt = _LONGEST
    srtt = w[_SRTT]
    if srtt == 0:
        srtt = rtt << 3
        w[_RTTVAR] = rtt << 1
        w[_RTT_REST] = 0
    else:
        error = rtt - (srtt >> 3)
        change = error
        if change < 0:
            change = 0 - change
        change -= w[_RTTVAR] >> 2
        if samples > 1:
            rest = w[_RTT_REST]
            error += rest & 1023
            change += rest >> 10
            w[_RTT_REST] = error % samples | change % samples << 10
            error = error // samples
            change = change // samples
        srtt += error
        w[_RTTVAR] = w[_RTTVAR] + change
    w[_SRTT] = srtt
    rto = (srtt >> 3) + w[_RTTVAR]
    if rto < w[_WAITS] >> 14:
        rto = w[_WAITS] >> 14
    if rto > _RTO_MAX:
        rto = _RTO_MAX
    if srtt != 0:
        w[_RTO] = rto


@micropython.viper
def pull(block, ring, buf, n: int, how: int) -> int:
    """The first n >= 0 octets of the receive ring, or as many as there are, go to buf, which has
    room for them. how: 1 there are holes behind the ring's end; 2 they stay; 4 nobody wants them.

    How many; less 1 and negative, if that may be reason to announce a larger window.
    """
    w = ptr32(block)
    held = w[_RX + 2]
    if n > held:
        n = held
    at = w[_RX + 1]
    if how & 4 == 0:
        if n <= _FEW and at + n <= w[_RX]:
            s = ptr8(int(ptr8(ring)) + at)
            d = ptr8(buf)
            i = 0
            while i < n:
                d[i] = s[i]
                i += 1
        else:
            ring_read(ring, block, _RX, 0, buf, 0, n)
    if how & 2:
        return n
    at += n
    if at >= w[_RX]:
        at -= w[_RX]
    held -= n
    if held == 0 and how & 1 == 0:
        at = 0  # an empty ring begins at its aligned front
    w[_RX + 1] = at
    w[_RX + 2] = held
    growth = w[_RX] - held - w[_RCV_ADV]
    if growth >= w[_RX] >> 1 or growth >= w[_MSS_OUT] << 1:
        return -1 - n
    return n


@micropython.viper
def push(block, ring, data, start: int, n: int, marks: ptr32, slot: int) -> int:
    """Queue data[start:start + n], inside data, or as much as fits: how much. Marks the slot."""
    w = ptr32(block)
    used = w[_TX_LENGTH]
    if used == 0:
        w[_TX_READ_AT] = 0
    if n > w[_TX] - used:
        n = w[_TX] - used
    if n <= 0:
        return 0
    at = w[_TX_READ_AT] + used
    if at >= w[_TX]:
        at -= w[_TX]
    if n <= _FEW and at + n <= w[_TX]:
        s = ptr8(int(ptr8(data)) + start)
        d = ptr8(int(ptr8(ring)) + at)
        i = 0
        while i < n:
            d[i] = s[i]
            i += 1
    else:
        ring_write(ring, block, _TX, 0, data, start, n)
    w[_TX_LENGTH] = used + n
    i = slot >> 5
    marks[i] = marks[i] | (1 << (slot & 31))
    return n


@micropython.viper
def whole(frame, block, ring, now: int) -> int:
    """Make the segment that takes along all that is queued and not yet sent, if that is less than
    a full one, may go, and is all there is to be told: the frame's end. Else 0; nothing changed.

    transmit.sendable() says why each may go; what is asked here is the plain case of it.
    """
    w = ptr32(block)
    position = w[_SND_NXT]
    n = w[_TX_LENGTH] - position
    if n <= 0 or n >= w[_MSS_OUT] or w[_FLAGS] & _FLAGS_ELSE or w[_STATE] != _ESTABLISHED:
        return 0
    if position != w[_SND_MAX] or w[_ECN] != 0 or n > w[_SND_WND] - position:
        return 0
    if n > w[_LIMIT] - position or position != 0 and w[_FLAGS] & _FLAG_NAGLE:
        return 0
    header = 20
    if w[_FLAGS] & _FLAG_TIMESTAMPS:
        w[_TS_CLOCK] = w[_TS_CLOCK] + ((now - w[_TS_LAST]) & _WRAP)
        w[_TS_LAST] = now
        put_timestamps(frame, _TX_DATA + 20, block)
        header = 32
    at = w[_TX_READ_AT] + position
    if at >= w[_TX]:
        at -= w[_TX]
    acc = 0
    if n <= _FEW and at + n <= w[_TX]:
        s = ptr8(int(ptr8(ring)) + at)
        d = ptr8(int(ptr8(frame)) + _TX_DATA + header)
        i = 0
        while i < n:
            v = s[i]
            d[i] = v
            if i & 1:
                acc += v
            else:
                acc += v << 8
            i += 1
        acc = (acc & 0xFFFF) + (acc >> 16)
    else:
        acc = int(ring_read_sum(ring, block, _TX, position, frame, _TX_DATA + header, n, 0))
    window = w[_RCV_ADV]  # as announce() and emit() do it, which would cost as much as all this
    at = w[_RX] - w[_RX + 2]
    if at - window >= w[_MSS_OUT] or at - window >= w[_RX] >> 1:
        window = at
    i = w[_SCALES] >> 4
    at = window >> i
    if at > 0xFFFF:
        at = 0xFFFF
    window = at << i
    if window > w[_RCV_ADV]:
        w[_RCV_ADV] = window
    p = ptr8(frame)
    p[78] = at >> 8
    p[79] = at
    at = w[_LPORT]
    p[64] = at >> 8
    p[65] = at
    at = w[_RPORT]
    p[66] = at >> 8
    p[67] = at
    at = w[_SND_UNA] + position
    p[68] = at >> 24
    p[69] = at >> 16
    p[70] = at >> 8
    p[71] = at
    at = w[_RCV_NXT]
    p[72] = at >> 24
    p[73] = at >> 16
    p[74] = at >> 8
    p[75] = at
    p[76] = header << 2
    p[77] = _PSH_ACK
    p[80] = p[81] = p[82] = p[83] = 0
    q = ptr16(frame)
    window = 0
    i = 32
    at = 32 + (header >> 1)
    while i < at:
        window += q[i]
        i += 1
    window = (window & 0xFFFF) + (window >> 16)
    window = (window & 0xFFFF) + (window >> 16)
    acc += 6 + header + n + (((window & 0xFF) << 8) | (window >> 8))
    i = _LOCAL
    while i < 12:
        at = w[i]
        acc += (at & 0xFFFF) + ((at >> 16) & 0xFFFF)
        i += 1
    acc = (acc & 0xFFFF) + (acc >> 16)
    acc = ((acc & 0xFFFF) + (acc >> 16)) ^ 0xFFFF
    p[80] = acc >> 8
    p[81] = acc
    return _TX_DATA + header + n
