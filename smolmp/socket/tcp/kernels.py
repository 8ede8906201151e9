"""The viper kernels of TCP: whatever touches an absolute sequence number (RFC 9293 3.4).

A sequence number is a 32-bit word: as a Python int it would be a heap object on every board.
So only these functions see SND.UNA, RCV.NXT, SEG.SEQ and SEG.ACK themselves; they hand out
distances, which are small: `relate` places a segment relative to RCV.NXT and SND.UNA, and from
there on the state machine computes with those.

Two word sizes, one source: `ptr32` loads are signed where a machine word has 32 bits and
unsigned where it has 64, so a difference is judged by its bit 31 and cut to 30 bits, never
compared as a whole.
"""

import micropython
from micropython import const

_LPORT = const(2)
_RPORT = const(3)
_LOCAL = const(4)

_LENGTH = const(24)
_SEQ = const(25)
_ACK = const(26)
_CONTROL = const(27)
_WINDOW = const(28)
_OPTIONS = const(29)
_TSVAL = const(32)
_TSECR = const(33)
_SEG_SEQ = const(48)
_SEG_ACK = const(49)
_SEG_WND = const(50)
_SEG_NEWER = const(51)
_SEG_ELAPSED = const(52)

_SND_UNA = const(15)
_RCV_NXT = const(16)
_SND_MAX = const(18)
_SND_WND = const(19)
_SND_WL1 = const(20)
_SND_WL2 = const(21)
_RCV_ADV = const(22)
_RX_CAPACITY = const(23)
_RX_LENGTH = const(25)
_MSS_OUT = const(29)
_SCALES = const(30)  # SND.SCALE in 4 bits, then RCV.SCALE
_TS_RECENT = const(33)
_TS_CLOCK = const(34)
_TS_LAST = const(35)
_TIMER = const(36)
_T_PERSIST = const(39)
_TIMERS = const(5)
_T_LINGER = const(80)
_IN_BASE = const(82)
_LAPS = const(83)
_UNACKED = const(50)
_HEARD = const(51)
_FIN_AT = const(53)
_PROBES = const(55)
_MAX_WND = const(56)

_FIN = const(1)
_SYN = const(2)
_RST = const(4)
_ACK_BIT = const(16)
_OPTS_UNUSUAL = const(8 | 32)  # SACK blocks, user timeout
_OPT_TIMESTAMPS = const(16)


@micropython.viper
def relate(record, block):
    """Place the segment in `record` relative to the connection in `block`.

    Fills in record: _SEG_SEQ = SEG.SEQ - RCV.NXT, _SEG_ACK = SEG.ACK - SND.UNA (both clamped to
    +-(2**30 - 1)), _SEG_WND = SEG.WND scaled (a SYN's window never is, RFC 7323 2.2),
    _SEG_NEWER = 1 when the segment may update SND.WND (RFC 9293 3.10.7.4: WL1, WL2), and
    _SEG_ELAPSED = the age in ms of the timestamp it echoes, -1 without one (0 echoes none).
    """
    r = ptr32(record)
    w = ptr32(block)
    i = 0
    while i < 2:
        if i == 0:
            a = r[_SEQ]
            b = w[_RCV_NXT]
        else:
            a = r[_ACK]
            b = w[_SND_UNA]
        d = a - b
        if (d >> 31) & 1:
            d = b - a
            if (d >> 30) & 3:
                d = 0x3FFFFFFF
            d = 0 - (d & 0x3FFFFFFF)
        else:
            if (d >> 30) & 1:
                d = 0x3FFFFFFF
            d = d & 0x3FFFFFFF
        r[_SEG_SEQ + i] = d
        i += 1
    window = r[_WINDOW]
    if not (r[_CONTROL] & _SYN):
        window = window << (w[_SCALES] & 15)
    r[_SEG_WND] = window
    newer = 0
    d = w[_SND_WL1] - r[_SEQ]
    if (d >> 31) & 1:
        newer = 1
    elif (d & 0x3FFFFFFF) == 0 and not ((d >> 30) & 3):
        d = r[_ACK] - w[_SND_WL2]
        if not ((d >> 31) & 1):
            newer = 1
    r[_SEG_NEWER] = newer
    elapsed = 0 - 1
    if r[_OPTIONS] & _OPT_TIMESTAMPS:
        d = w[_TS_CLOCK] - r[_TSECR]
        if r[_TSECR] != 0 and not ((d >> 30) & 3):
            elapsed = d & 0x3FFFFFFF
    r[_SEG_ELAPSED] = elapsed


@micropython.viper
def note_window(record, block):
    """SND.WND <- SEG.WND, SND.WL1 <- SEG.SEQ, SND.WL2 <- SEG.ACK (RFC 9293 3.10.7.4)."""
    r = ptr32(record)
    w = ptr32(block)
    w[_SND_WND] = r[_SEG_WND]
    w[_SND_WL1] = r[_SEQ]
    w[_SND_WL2] = r[_ACK]


@micropython.viper
def predict(record, block, now: int) -> int:
    """Header prediction: 0 unless the segment is what an open connection mostly gets.

    That is: in order, nothing but ACK and PSH set, its text within the window, its ACK new or its
    text not empty, no FIN or window probe pending. What remains to be done is then SND.UNA's
    advance and storing the text: SND.WND, WL1, WL2, TS.Recent and the time are taken over here.
    Returns 1, or 3 when the window grew.
    """
    r = ptr32(record)
    w = ptr32(block)
    n = r[_LENGTH]
    a = r[_SEG_ACK]
    if r[_CONTROL] & 0xF7 != _ACK_BIT or r[_SEG_SEQ] != 0 or n > w[_RCV_ADV]:
        return 0
    if r[_OPTIONS] & _OPTS_UNUSUAL:
        return 0
    # A negative SEG.ACK has bit 31 set in either word size.
    if (a >> 31) & 1 or a > w[_SND_MAX] or n + a == 0:
        return 0
    if w[_SND_WND] == 0 or r[_SEG_WND] == 0 or w[_PROBES] != 0:
        return 0
    if not ((w[_FIN_AT] >> 31) & 1) or not ((w[_T_PERSIST] >> 31) & 1):
        return 0
    w[_HEARD] = now
    if r[_OPTIONS] & _OPT_TIMESTAMPS and w[_UNACKED] == 0:
        d = r[_TSVAL] - w[_TS_RECENT]
        if not ((d >> 31) & 1):
            w[_TS_RECENT] = r[_TSVAL]
    grew = 0
    if r[_SEG_NEWER]:
        if r[_SEG_WND] > w[_SND_WND]:
            grew = 2
            if r[_SEG_WND] > w[_MAX_WND]:
                w[_MAX_WND] = r[_SEG_WND]
        w[_SND_WND] = r[_SEG_WND]
        w[_SND_WL1] = r[_SEQ]
        w[_SND_WL2] = r[_ACK]
    return 1 | grew


@micropython.viper
def take(block, n: int):
    """n octets of text at RCV.NXT, in the receive ring already, become the user's."""
    w = ptr32(block)
    w[_RX_LENGTH] = w[_RX_LENGTH] + n
    w[_RCV_ADV] = w[_RCV_ADV] - n
    w[_RCV_NXT] = w[_RCV_NXT] + n
    w[_UNACKED] = w[_UNACKED] + n
    if (((w[_RCV_NXT] - w[_IN_BASE]) >> 31) ^ (w[_LAPS] >> 15)) & 1:
        w[_LAPS] = (w[_LAPS] + 0x8000) & 0x3FFFFFFF


@micropython.viper
def announce(block) -> int:
    """The window field of the next segment; RCV.ADV becomes what it announces.

    Never shrunk, grown in useful steps only (RFC 9293 3.8.6.2.2): by a segment or half the ring.
    """
    w = ptr32(block)
    window = w[_RCV_ADV]
    free = w[_RX_CAPACITY] - w[_RX_LENGTH]
    growth = free - window
    if growth >= w[_MSS_OUT] or growth >= (w[_RX_CAPACITY] >> 1):
        window = free
    scale = w[_SCALES] >> 4
    field = window >> scale
    if field > 0xFFFF:
        field = 0xFFFF
    window = field << scale
    if window > w[_RCV_ADV]:
        w[_RCV_ADV] = window
    return field


@micropython.viper
def advance(block, at: int, n: int):
    """block[at] += n, modulo 2**32: moves SND.UNA or RCV.NXT."""
    w = ptr32(block)
    w[at] = w[at] + n


@micropython.viper
def synchronize(record, block):
    """Take over the peer's initial sequence number: RCV.NXT = SEG.SEQ + 1, WL1 = SEG.SEQ."""
    r = ptr32(record)
    w = ptr32(block)
    w[_RCV_NXT] = r[_SEQ] + 1
    w[_SND_WL1] = r[_SEQ]
    w[_SND_WL2] = r[_ACK]
    w[_TS_RECENT] = r[_TSVAL]


@micropython.viper
def note_timestamp(record, block):
    """TS.Recent <- SEG.TSval, unless it is older (RFC 7323 4.3)."""
    r = ptr32(record)
    w = ptr32(block)
    d = r[_TSVAL] - w[_TS_RECENT]
    if not ((d >> 31) & 1):
        w[_TS_RECENT] = r[_TSVAL]


@micropython.viper
def make_reset(record):
    """Turn the segment in `record` into the RST that answers it (RFC 9293 3.5.2, group 1 and 2).

    With ACK: <SEQ=SEG.ACK><CTL=RST>; without: <SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>.
    """
    r = ptr32(record)
    control = r[_CONTROL]
    if control & _ACK_BIT:
        r[_SEQ] = r[_ACK]
        r[_ACK] = 0
        r[_CONTROL] = _RST
    else:
        n = r[_LENGTH]
        if control & _SYN:
            n += 1
        if control & _FIN:
            n += 1
        r[_ACK] = r[_SEQ] + n
        r[_SEQ] = 0
        r[_CONTROL] = _RST | _ACK_BIT
    r[_WINDOW] = 0


@micropython.viper
def clock(block, now: int):
    """Advance the connection's 32-bit timestamp clock to `now` (ms modulo 2**30).

    `now` wraps every 12 days, which a peer's PAWS would take for an old duplicate.
    """
    w = ptr32(block)
    w[_TS_CLOCK] = w[_TS_CLOCK] + ((now - w[_TS_LAST]) & 0x3FFFFFFF)
    w[_TS_LAST] = now


@micropython.viper
def put_timestamps(frame, off: int, block):
    """NOP NOP and the timestamps option (RFC 7323 appendix A): 12 bytes at frame[off:]."""
    p = ptr8(frame)
    w = ptr32(block)
    p[off] = 1
    p[off + 1] = 1
    p[off + 2] = 8
    p[off + 3] = 10
    i = 0
    while i < 8:
        if i < 4:
            v = w[_TS_CLOCK]
        else:
            v = w[_TS_RECENT]
        p[off + 4 + i] = v >> (24 - ((i & 3) << 3))
        i += 1


@micropython.viper
def put_sack(frame, off: int, block, start: int, end: int):
    """One SACK block, [RCV.NXT + start, RCV.NXT + end): 8 bytes at frame[off:] (RFC 2018 3)."""
    p = ptr8(frame)
    w = ptr32(block)
    v = w[_RCV_NXT] + start
    i = 0
    while i < 8:
        if i == 4:
            v = w[_RCV_NXT] + end
        p[off + i] = v >> (24 - ((i & 3) << 3))
        i += 1


@micropython.viper
def emit(frame, block, position: int, header: int, n: int, control: int, window: int, acc: int):
    """Write the TCP header at frame[64:64 + header] around options that already stand there.

    SEQ = SND.UNA + position, ACK = RCV.NXT (0 without the ACK bit); `n` octets of payload follow
    the header and `acc` is their folded sum. The frame is ours (64-byte headroom, long enough),
    4-aligned at 64; header is a multiple of 4 up to 60.
    """
    p = ptr8(frame)
    w = ptr32(block)
    q = ptr16(frame)
    p[64] = w[_LPORT] >> 8
    p[65] = w[_LPORT]
    p[66] = w[_RPORT] >> 8
    p[67] = w[_RPORT]
    v = w[_SND_UNA] + position
    p[68] = v >> 24
    p[69] = v >> 16
    p[70] = v >> 8
    p[71] = v
    v = 0
    if control & _ACK_BIT:
        v = w[_RCV_NXT]
    p[72] = v >> 24
    p[73] = v >> 16
    p[74] = v >> 8
    p[75] = v
    p[76] = header << 2
    p[77] = control
    p[78] = window >> 8
    p[79] = window
    q[40] = 0
    q[41] = 0
    # The header is summed in memory order and turned round once (RFC 1071 2 (B)).
    s = 0
    i = 32
    end = 32 + (header >> 1)
    while i < end:
        s += q[i]
        i += 1
    s = (s & 0xFFFF) + (s >> 16)
    s = (s & 0xFFFF) + (s >> 16)
    s = ((s & 0xFF) << 8) | (s >> 8)
    i = _LOCAL
    while i < 12:
        v = w[i]
        s += (v & 0xFFFF) + ((v >> 16) & 0xFFFF)
        i += 1
    s += acc + 6 + header + n
    s = (s & 0xFFFF) + (s >> 16)
    s = (s & 0xFFFF) + (s >> 16)
    s = s ^ 0xFFFF
    p[80] = s >> 8
    p[81] = s


@micropython.viper
def earliest(block, now: int) -> int:
    """The deadline that comes first of the connection's timers, -1 when none runs."""
    w = ptr32(block)
    best = 0 - 1
    least = 0x3FFFFFFF
    i = _TIMER
    while i <= _TIMER + _TIMERS:
        t = w[i]
        if i == _TIMER + _TIMERS:
            t = w[_T_LINGER]
        # A stopped timer is -1: on 64-bit words an unsigned load shows it as 0xffffffff.
        if not ((t >> 31) & 1):
            d = (t - now) & 0x3FFFFFFF
            if d >= 0x20000000:
                d = 0
            if d < least:
                least = d
                best = t
        i += 1
    return best
