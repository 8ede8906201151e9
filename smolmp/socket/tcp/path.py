"""How large segments may be: the path's MTU (RFC 1191), and what to do when they were too large.

MSS_FULL is what the handshake agreed on; MSS_OUT, what is sent, is that or what passes the path.
When a path turns out to be narrower, what is in flight to it goes again at once in smaller pieces,
as it was not lost by congestion: cwnd stays (RFC 1191 6.4). When routers say nothing and only
large segments vanish, a black hole (RFC 2923 2.1), they get smaller after some timeouts: the
base MSS of RFC 4821 7.2, then what iface.paths.minimum leaves. Both kinds of knowledge end after
10 minutes: then full segments are tried again.
"""

from micropython import const

from smolmp.counters import count
from smolmp.socket.tcp.rack import lose_all
from smolmp.socket.tcp.scoreboard import limit, tidy

_FAMILY = const(0)
_STATE = const(14)
_SND_NXT = const(17)
_MSS_OUT = const(29)
_FLAGS = const(32)
_BACKOFF = const(45)
_RTT_AT = const(46)
_DUPACKS = const(48)
_RECOVER = const(49)
_CWND = const(60)
_PRIOR_CWND = const(71)
_MSS_FULL = const(90)  # in 16 bits
_B_SACKED = const(85)
_B_LOST = const(64)
_B_PROBE_END = const(91)

_SYN_RECEIVED = const(3)
_ESTABLISHED = const(4)
_FLAG_SACK = const(2)
_FLAG_TIMESTAMPS = const(4)
_FLAG_RESEND = const(16)
_FLAG_TAIL = const(4096)
_TIMESTAMPS = const(12)  # octets of the option in every header
_BASE_MSS = const(1024)
_SUSPECT = const(4)  # timeouts of the same segment before its size is suspected

_COUNT_TCP_BLACK_HOLES = const(59)


def fit(socket, iface):
    """Let MSS_OUT be what was agreed on, within what is known to pass the path."""
    w = socket.w
    mss = _within(socket, iface.paths.mtu(w))
    full = w[_MSS_FULL] & 0xFFFF
    w[_MSS_OUT] = mss if mss < full else full


def wider(socket, iface):
    """What was known of some path is forgotten: full segments again, and cwnd has room for one."""
    w = socket.w
    if w[_STATE] < _ESTABLISHED or w[_MSS_OUT] >= w[_MSS_FULL] & 0xFFFF:
        return
    fit(socket, iface)
    if w[_CWND] < w[_MSS_OUT]:
        w[_CWND] = w[_MSS_OUT]
        limit(w)
    socket.sockets.mark(socket.slot)


def _within(socket, mtu) -> int:
    """Octets of text in a packet of `mtu`."""
    w = socket.w
    n = mtu - (40 if w[_FAMILY] == 4 else 60)
    return n - _TIMESTAMPS if w[_FLAGS] & _FLAG_TIMESTAMPS else n


def narrower(socket, mtu):
    """The path lets only packets of `mtu` pass: smaller segments, and what is in flight again."""
    w = socket.w
    mss = _within(socket, mtu)
    if w[_STATE] < _SYN_RECEIVED or mss >= w[_MSS_OUT]:
        return
    w[_MSS_OUT] = mss
    if w[_STATE] < _ESTABLISHED or not w[_SND_NXT]:
        return
    w[_RTT_AT] = -1
    w[_B_PROBE_END] = 0
    w[_FLAGS] &= ~_FLAG_TAIL
    if w[_RECOVER] == 0:
        # As after a timeout, so that duplicates do not pass for congestion; nothing to undo.
        w[_RECOVER] = -w[_SND_NXT]
        w[_PRIOR_CWND] = 0
    if not w[_FLAGS] & _FLAG_SACK:
        w[_DUPACKS] = 0
        w[_B_SACKED] = 0
    lose_all(w, 0)
    tidy(w)
    if w[_B_LOST]:
        w[_FLAGS] |= _FLAG_RESEND
    socket.sockets.mark(socket.slot)


def suspect(socket, iface):
    """A timeout of an open connection, the BACKOFF-th in a row: is it the size?"""
    w = socket.w
    mss = w[_MSS_OUT]
    if w[_BACKOFF] < _SUSPECT or w[_SND_NXT] < mss or not iface.paths.black_holes:
        return
    least = _within(socket, iface.paths.minimum)
    if mss > _BASE_MSS > least:
        least = _BASE_MSS
    if least < mss:
        w[_MSS_OUT] = least
        iface.paths.doubt()
        count(iface.counters, _COUNT_TCP_BLACK_HOLES)
