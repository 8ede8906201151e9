"""The timestamps option of an open connection: PAWS and round-trip times (RFC 7323 3, 4 and 5).

Each side stamps what it sends with a clock of its own (TSval) and echoes the other's (TSecr). Two
uses: a segment whose stamp is older than TS.Recent, the newest one that stood at the left edge, is
an old duplicate, whatever its sequence number says (PAWS); and the age of an echo is a round trip,
even that of a segment that was sent twice.

They are off by default: 12 octets of every segment are much to a board, whose sequence numbers do
not wrap within a segment's life (4 GiB: six minutes at 100 Mbit/s). They are for fast paths, lossy
ones with long round trips, and peers that come again from the same port at once (RFC 6191).
"""

import micropython
from micropython import const

from smolmp.counters import count
from smolmp.socket.tcp import timers
from smolmp.socket.tcp.replies import answer_invalid

_CONTROL = const(27)
_OPTIONS = const(29)
_TSVAL = const(32)
_SEG_SEQ = const(48)
_SEG_ELAPSED = const(52)
_STATE = const(14)
_SND_MAX = const(18)
_RCV_ADV = const(22)
_MSS_OUT = const(29)
_TS_RECENT = const(33)
_TS_CLOCK = const(34)
_TS_LAST = const(35)
_RTT_AT = const(46)
_RTT_MARK = const(47)
_STAMPED = const(76)  # the interface's second in which a timestamp was last accepted

_TIME_WAIT = const(10)
_SYN = const(2)
_RST = const(4)
_OPT_TIMESTAMPS = const(16)

_MISSING = const(1)
_OLD_AGE = const(2073600)  # 24 days in seconds: half of the fastest peer's clock (RFC 7323 5.5)
_MOST_SAMPLES = const(1023)

_COUNT_TCP_PAWS = const(52)


@micropython.viper
def paws(record, block, now: int) -> int:
    """0: the segment's stamp is as new as TS.Recent; 1: it has none; 2: it is older.

    Advances our own clock to `now`, which `relate` needs.
    """
    r = ptr32(record)
    w = ptr32(block)
    w[_TS_CLOCK] = w[_TS_CLOCK] + ((now - w[_TS_LAST]) & 0x3FFFFFFF)
    w[_TS_LAST] = now
    if not (r[_OPTIONS] & _OPT_TIMESTAMPS):
        return 1
    d = r[_TSVAL] - w[_TS_RECENT]
    if (d >> 31) & 1:
        return 2
    return 0


@micropython.viper
def _renew(record, block):
    w = ptr32(block)
    r = ptr32(record)
    w[_TS_RECENT] = r[_TSVAL]


def refuse(socket, iface, verdict):
    """What `paws` found wrong with the segment: True when it goes no further.

    RSTs are heard whatever their stamps (RFC 7323 5.2), and a SYN in TIME-WAIT has rules of its
    own (RFC 6191).
    """
    w = socket.w
    record = iface.rec
    control = record[_CONTROL]
    if control & _RST or control & _SYN and w[_STATE] == _TIME_WAIT:
        return False
    if verdict == _MISSING:
        # RFC 7323 3.2: dropped in silence, no reason to abort.
        count(iface.counters, _COUNT_TCP_PAWS)
        return True
    if iface.seconds - w[_STAMPED] > _OLD_AGE:
        # RFC 7323 5.5: TS.Recent is so old that it tells nothing.
        if 0 <= record[_SEG_SEQ] <= w[_RCV_ADV]:
            _renew(record, w)
        return False
    count(iface.counters, _COUNT_TCP_PAWS)
    answer_invalid(socket, iface)  # RFC 7323 5.3, R1
    return True


@micropython.native
def measure(socket, iface, n):
    """An ACK of n octets arrived while losses are repaired: Karn's rule takes no samples then, but
    an echo tells which copy it answers (RFC 7323 4).

    Without losses our own timing of one segment in a round trip is as good, and cannot be spoilt
    on the way; Linux decides likewise. Of several echoes in a round trip each counts so much less
    (appendix G), so that what is remembered of the past lasts as long as with one.
    """
    w = socket.w
    if w[_RTT_AT] >= 0:
        w[_RTT_MARK] -= n
        if w[_RTT_MARK] <= 0:
            w[_RTT_AT] = -1
    rtt = iface.rec[_SEG_ELAPSED]
    if rtt < 0 or not iface.rec[_OPTIONS] & _OPT_TIMESTAMPS:
        return
    pair = w[_MSS_OUT] << 1
    samples = (w[_SND_MAX] + pair - 1) // pair
    timers.measured(socket, rtt, samples if samples < _MOST_SAMPLES else _MOST_SAMPLES)
