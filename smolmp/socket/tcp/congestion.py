"""How much may be in flight: congestion control (RFC 5681), by Reno or CUBIC (RFC 9438), or none.

cwnd and ssthresh are words of the control block; they mean something while the controller, two
bits of its flags, is not 0. Growth without loss happens in scoreboard.acked, except CUBIC's, which
is `cubic` here; what a loss does to them is here. Integers only: octets, ms, and within CUBIC 1/16
segments and 1/64 s, whose cubes fit into 32 bits.
"""

import micropython
from micropython import const

NAMES = ("none", "reno", "cubic")

_SND_UNA = const(15)
_SND_NXT = const(17)
_MSS_OUT = const(29)
_FLAGS = const(32)
_SRTT = const(42)
_CWND = const(60)
_SSTHRESH = const(61)
_CREDIT = const(65)
_W_MAX = const(66)
# Of an epoch; while it is -1 there is none, and recovery.py has three of the words.
_W_K = const(67)
_W_EPOCH = const(68)
_W_EST = const(69)
_W_EST_CREDIT = const(70)
_ECN = const(88)
_REDUCED = const(89)  # a sequence number: SND.NXT when cwnd was reduced last
_B_USED = const(92)
_B_UNDO = const(94)

_CONTROLLER = const(28)  # the two flag bits
_FLAGS_CONTROLLER = const(3 << 28)
_CWR = const(128)

_WRAP = const(0x3FFFFFFF)
_MOST = const(0x3FFFFF00)
_CUBIC = const(2)


def initial_window(w):
    """RFC 6928 2: ten segments, or 14600 octets of large ones."""
    mss = w[_MSS_OUT]
    most = 14600 if 14600 > 2 * mss else 2 * mss
    return most if most < 10 * mss else 10 * mss


def begin(w, controller):
    """A connection is open, its MSS known."""
    control(w, controller)
    w[_CWND] = initial_window(w)
    w[_SSTHRESH] = _MOST


def control(w, controller):
    """`controller` limits what is in flight from now on."""
    w[_FLAGS] = w[_FLAGS] & ~_FLAGS_CONTROLLER | controller << _CONTROLLER
    w[_W_EPOCH] = -1


@micropython.viper
def reduce(block):
    """ssthresh after a loss: half of what was in flight (RFC 5681 3.1), CUBIC's 0.7 (4.6)."""
    w = ptr32(block)
    mss = w[_MSS_OUT]
    cwnd = w[_CWND]
    # Flight size: the most of the last window, for ACKs taken at once may have just shrunk it.
    flight = w[_SND_NXT]
    if w[_B_USED] > flight:
        flight = w[_B_USED]
    if flight > cwnd:
        flight = cwnd
    if w[_FLAGS] >> _CONTROLLER & 3 == _CUBIC:
        # Fast convergence (RFC 9438 4.7): whoever has to give way twice leaves room.
        if cwnd < w[_W_MAX]:
            w[_W_MAX] = (cwnd >> 5) * 27 + 1
        else:
            w[_W_MAX] = cwnd
        w[_W_EPOCH] = 0 - 1
        s = (flight >> 4) * 11 + ((flight & 15) * 11 >> 4)
    else:
        s = flight >> 1
    if s < mss << 1:
        s = mss << 1
    w[_SSTHRESH] = s
    w[_CREDIT] = 0
    w[_B_UNDO] = 0  # what an earlier loss did stands
    w[_REDUCED] = w[_SND_UNA] + w[_SND_NXT]
    if w[_ECN]:
        # The peer is told (RFC 3168 6.1.2), and its marks up to here have had their answer.
        w[_ECN] = w[_ECN] | _CWR


@micropython.viper
def cubic(block, n: int, now: int):
    """n octets were acknowledged in congestion avoidance, cwnd being used (RFC 9438 4)."""
    w = ptr32(block)
    mss = w[_MSS_OUT]
    cwnd = w[_CWND]
    if (w[_W_EPOCH] >> 31) & 1:
        # The epoch begins: K = cbrt((W_max - cwnd) / C), C = 0.4 (4.2).
        w[_W_EPOCH] = now
        w[_W_EST] = cwnd
        w[_W_EST_CREDIT] = 0
        w[_CREDIT] = 0
        x = 0
        if w[_W_MAX] > cwnd:
            x = w[_W_MAX] - cwnd
            if x > 0x3FFFFFF:
                x = 0x3FFFFFF
            x = (x << 4) // mss
        else:
            w[_W_MAX] = cwnd
        if x > 24000:
            x = 24000
        x = x * 40960  # 64**3 / 0.4 / 16
        k = 0
        bit = 512
        while bit:
            c = k | bit
            if c * c * c <= x:
                k = c
            bit = bit >> 1
        w[_W_K] = k
    # The target: W_cubic(t + RTT), at least cwnd, at most half of it more (4.2, 4.4).
    t = ((now - w[_W_EPOCH]) & _WRAP) + (w[_SRTT] >> 3)
    if t > 60000:
        t = 60000
    d = (t << 3) // 125 - w[_W_K]
    down = 0
    if d < 0:
        d = 0 - d
        down = 1
    if d > 1000:
        d = 1000
    d = d * d * d // 40960
    # In 1/16 segments: up to 24414, whose octets fit for every MSS up to 64 KB.
    d = d * mss >> 4
    if down:
        target = w[_W_MAX] - d
    else:
        target = w[_W_MAX] + d
    if target > cwnd + (cwnd >> 1):
        target = cwnd + (cwnd >> 1)
    if target > _MOST:
        target = _MOST
    # The window that Reno would have reached (4.3): alpha = 9/17 until it passed W_max, then 1.
    w[_W_EST_CREDIT] = w[_W_EST_CREDIT] + n
    need = cwnd
    if w[_W_EST] < w[_W_MAX]:
        need = cwnd + (cwnd >> 3) * 7
    if w[_W_EST_CREDIT] >= need:
        w[_W_EST_CREDIT] = w[_W_EST_CREDIT] - need
        w[_W_EST] = w[_W_EST] + mss
    if target < w[_W_EST]:
        if cwnd < w[_W_EST]:
            w[_CWND] = w[_W_EST]
        return
    # A segment more for every cwnd / (target - cwnd) segments acknowledged.
    w[_CREDIT] = w[_CREDIT] + n
    if target <= cwnd:
        return
    x = target - cwnd
    y = cwnd
    while y > 0x3FFFFFF:
        x = x >> 1
        y = y >> 1
    ratio = 0x3FFF
    if x and (y << 4) // x < ratio:
        ratio = (y << 4) // x
    need = mss * ratio >> 4
    if w[_CREDIT] >= need:
        grow = w[_CREDIT] // need
        w[_CREDIT] = w[_CREDIT] - grow * need
        cwnd += grow * mss
        if cwnd > _MOST:
            cwnd = _MOST
        w[_CWND] = cwnd
