"""The sender's recovery from loss. What is lost is found out, and what that does to cwnd.

With SACK: RACK (RFC 8985) marks ranges of the scoreboard LOST, at once when three segments were
SACKed beyond them, after a reordering window otherwise; without: duplicate ACKs and NewReno (RFC
5681 3.2, 6582). In both cases `resend` says what of that goes next, several holes per round trip
if proportional rate reduction (RFC 6937) lets it. A tail that nobody acknowledges is probed before
the timeout (RFC 8985 7). A timeout makes everything LOST that was not SACKed; one that proves
premature is undone (Eifel by timestamps, RFC 3522 and 4015; F-RTO's test by SACK, RFC 5682). So is
what fast recovery did to cwnd, when DSACKs tell that all it sent again had only come late (RFC
3708): if one of it was lost, the reduction stands.

w[_RECOVER] > 0: fast recovery, until that position is acknowledged; < 0: after a timeout, so far.
Limited transmit (RFC 3042) needs no code: an octet SACKed, or told of by a duplicate ACK, has left
the network, and as many may follow it.
"""

from errno import ECONNABORTED, ETIMEDOUT

import micropython
from micropython import const

from smolmp.socket.tcp import congestion, path, rack, scoreboard, timers
from smolmp.socket.tcp.scoreboard import limit, paint, sack, tidy
from smolmp.socket.tcp.steps import aim

_FAMILY = const(0)
_LOCAL = const(4)
_OPTIONS = const(29)
_SEG_ELAPSED = const(52)
_STATE = const(14)
_SND_NXT = const(17)
_SND_MAX = const(18)
_SND_WND = const(19)
_TX = const(26)
_MSS_OUT = const(29)
_FLAGS = const(32)
_T_RETRANSMIT = const(36)
_SRTT = const(42)
_RTO = const(44)
_BACKOFF = const(45)
_RTT_AT = const(46)
_DUPACKS = const(48)
_RECOVER = const(49)
_CWND = const(60)
_SSTHRESH = const(61)
_LIMIT = const(62)
_PRIOR_CWND = const(71)  # before the loss, 0 when there is nothing to undo
_PRIOR_SSTHRESH = const(72)
# CUBIC's words: a loss ends its epoch (congestion.py).
_RECOVERED = const(67)  # octets delivered, and sent, during recovery, and in flight when it began
_PRR_OUT = const(69)
_PRR_FLIGHT = const(70)
_LOST_AT = const(70)  # after a timeout: when it was
_W_EPOCH = const(68)
_LAST_SENT = const(79)

_B_COUNT = const(63)
_B_LOST = const(64)
_B_SACKED = const(85)
_B_PROBE_END = const(91)  # SND.NXT when the tail was probed, 0: it was not, -1: just that came
_B_USED = const(92)
_B_UNDO = const(94)  # octets that fast recovery sent again, less those DSACKed; -1: all were

_REO = const(48)  # see scoreboard.py
_REO_STEPS = const(15)
_REO_LASTS = const(31 << 4)
_REO_ONE = const(1 << 4)
_REO_MOST = const(16 << 4)
_REO_DSACK = const(1024)

_FLAG_SACK = const(2)
_FLAG_RESEND = const(16)
_FLAG_TAIL = const(4096)  # a tail loss probe is due
_FLAG_FORCE = const(8192)  # one segment goes whatever cwnd says
_FLAG_PROBE_TIMER = const(1 << 24)  # what the retransmission timer stands for; neither: the RTO
_FLAG_REORDER_TIMER = const(1 << 25)
_FLAGS_TIMER = const(3 << 24)
_FLAG_ORIGINAL = const(1 << 26)
_FLAG_PROBE_RESENT = const(1 << 27)  # the probe was old data
_OPT_SACKS = const(8)
_ESTABLISHED = const(4)
_LOST = const(2)
_WRAP = const(0x3FFFFFFF)
_RTO_MAX = const(60000)  # RFC 6298 2.5
_SYN_RETRIES = const(6)  # with doubling from 1 s: 127 s (RFC 1122 4.2.3.5 wants 3 minutes for R2)
_RETRIES = const(15)
_PTO_ALONE = const(200)  # WCDelAckT: a single segment's ACK may be delayed (RFC 8985 7.2)


def opened(socket, now):
    """The connection is established: an empty scoreboard, the initial window."""
    w = socket.w
    scoreboard.clear(w, now)
    congestion.begin(w, socket.controller)
    w[_LAST_SENT] = now
    if w[_BACKOFF]:
        w[_CWND] = w[_MSS_OUT]  # our SYN was lost (RFC 5681 3.1)
    limit(w)


def control(socket):
    """The program chose another congestion control."""
    w = socket.w
    if w[_STATE] >= _ESTABLISHED:
        if w[_CWND] == 0:
            congestion.begin(w, socket.controller)
        congestion.control(w, socket.controller)
        limit(w)
        socket.sockets.mark(socket.slot)


@micropython.native
def update(socket, iface, n, duplicate):
    """An ACK of n octets, or one of none that has SACK blocks or is a duplicate, was taken."""
    w = socket.w
    now = iface.now
    delivered = n - w[_B_SACKED]
    if w[_FLAGS] & _FLAG_SACK:
        if iface.rec[_OPTIONS] & _OPT_SACKS:
            sack(iface.rec, w, now)
        tidy(w)
    else:
        _count(w, n, duplicate)
    delivered += w[_B_SACKED]
    busy = w[_RECOVER] or w[_B_PROBE_END]
    sacks = w[_FLAGS] & _FLAG_SACK
    if w[_B_PROBE_END] or sacks and w[_REO] & _REO_DSACK:
        _duplicates(w, n, duplicate)
    if w[_RECOVER]:
        _progress(socket, iface, n, delivered)
    if busy and w[_SND_MAX] and not (w[_RECOVER] or w[_B_PROBE_END]):
        arm(socket, now)  # again: the tail may be probed from now on
    if sacks:
        _judge(socket, now)
        w[_REO] &= ~_REO_DSACK
    if w[_RECOVER] > 0:
        _reduce_rate(w, delivered, n)
    limit(w)
    w[_FLAGS] &= ~_FLAG_ORIGINAL
    if w[_B_LOST]:
        w[_FLAGS] |= _FLAG_RESEND
    else:
        w[_FLAGS] &= ~_FLAG_RESEND
    socket.sockets.mark(socket.slot)


def _count(w, n, duplicate):
    """Without SACK: a duplicate ACK says that some segment has left the network."""
    mss = w[_MSS_OUT]
    sacked = w[_B_SACKED]
    if n:
        # The first segment was lost, the others were those that the duplicates told of.
        sacked = sacked - n + mss if w[_RECOVER] > 0 and sacked > n - mss else 0
        if sacked > w[_B_SACKED]:
            sacked = w[_B_SACKED]
        if w[_RECOVER] > n:
            # A partial acknowledgement: the next hole is lost too (RFC 6582 3.2).
            _lose_first(w)
    elif duplicate and w[_RECOVER] >= 0:
        sacked += mss
        w[_DUPACKS] += 1
        if w[_DUPACKS] == 3 and w[_RECOVER] == 0:
            _lose_first(w)
            _enter(w)
    w[_B_SACKED] = sacked
    tidy(w)


def _lose_first(w):
    end = w[_SND_NXT]
    if end > w[_MSS_OUT]:
        end = w[_MSS_OUT]
    if end:
        paint(w, 0, end, _LOST, 0)


def _enter(w):
    """Fast recovery begins (RFC 5681 3.2, RFC 6675 5)."""
    w[_RECOVER] = w[_SND_NXT]
    w[_FLAGS] |= _FLAG_FORCE
    _remember(w)
    w[_RECOVERED] = 0
    w[_PRR_OUT] = 0
    w[_PRR_FLIGHT] = w[_SND_NXT]
    scoreboard.recover(w)
    congestion.reduce(w)


def _remember(w):
    w[_PRIOR_CWND] = w[_CWND]
    w[_PRIOR_SSTHRESH] = w[_SSTHRESH]


def _progress(socket, iface, n, delivered):
    """SND.UNA moved on during a recovery, or something was SACKed: is it over?"""
    w = socket.w
    recover = w[_RECOVER]
    if recover > 0:
        w[_RECOVER] = recover - n if recover > n else 0
        if recover <= n:
            prior = w[_PRIOR_CWND]
            w[_CWND] = w[_SSTHRESH]
            _over(w)
            w[_PRIOR_CWND] = prior  # DSACKs come a round trip later
            if w[_B_UNDO] < 0:
                _restore(w)
        return
    age = iface.rec[_SEG_ELAPSED] if n else -1
    late = age >= 0 and age > ((iface.now - w[_LOST_AT]) & _WRAP)
    if w[_PRIOR_CWND] and (late or w[_FLAGS] & _FLAG_ORIGINAL and w[_FLAGS] & _FLAG_SACK):
        _undo(w)
        return
    if n > 0:
        w[_RECOVER] = recover + n if n < -recover else 0
    if w[_RECOVER] == 0:
        _over(w)
    mss = w[_MSS_OUT]
    # Slow start, by a segment at most after a timeout (RFC 3465 2.3).
    if w[_CWND] < w[_SSTHRESH]:
        w[_CWND] += delivered if 0 < delivered < mss else mss if delivered > 0 else 0


def _over(w):
    w[_PRIOR_CWND] = 0
    w[_FLAGS] &= ~_FLAG_FORCE
    if not w[_FLAGS] & _FLAG_SACK:
        w[_B_SACKED] = 0
    elif w[_REO] & _REO_LASTS:
        # What DSACKs told of reordering lasts 16 recoveries (RFC 8985 6.2 step 4).
        w[_REO] -= _REO_ONE
        if not w[_REO] & _REO_LASTS:
            w[_REO] &= ~_REO_STEPS
    w[_B_USED] = 0


def _undo(w):
    """The timeout was premature: nothing was lost (RFC 5682 3, RFC 4015 3.2)."""
    w[_RECOVER] = 0
    _restore(w)
    _over(w)
    rack.lose_none(w)
    tidy(w)


def _restore(w):
    """cwnd and ssthresh as they were before the loss that was none."""
    if w[_PRIOR_CWND] > w[_CWND]:
        w[_CWND] = w[_PRIOR_CWND]
    if w[_PRIOR_SSTHRESH] > w[_SSTHRESH]:
        w[_SSTHRESH] = w[_PRIOR_SSTHRESH]
    w[_PRIOR_CWND] = 0
    w[_B_UNDO] = 0


def _judge(socket, now):
    """RACK's verdict; the reordering timer when it needs time (RFC 8985 6.3)."""
    w = socket.w
    if not w[_B_COUNT]:
        return
    wait = rack.detect(w, now)
    if wait < 0:
        tidy(w)
        if w[_RECOVER] == 0:
            _enter(w)
        w[_FLAGS] |= _FLAG_RESEND
        socket.sockets.mark(socket.slot)
    elif wait and wait < w[_RTO]:
        w[_FLAGS] = w[_FLAGS] & ~_FLAGS_TIMER | _FLAG_REORDER_TIMER
        timers.arm(socket, _T_RETRANSMIT, now, wait)


@micropython.viper
def _reduce_rate(block, delivered: int, n: int):
    """Proportional rate reduction with slow start's bound (RFC 6937 3)."""
    w = ptr32(block)
    w[_RECOVERED] = w[_RECOVERED] + delivered
    out = w[_B_SACKED] + w[_B_LOST]
    pipe = w[_SND_NXT] - out
    if pipe < 0:
        pipe = 0
    goal = w[_SSTHRESH]
    got = w[_RECOVERED]
    if pipe > goal:
        a = got
        x = goal
        y = w[_PRR_FLIGHT]
        shift = 0
        while y > 0x7FFF:
            x = x >> 1
            y = y >> 1
            a = a >> 1
            shift += 1
        if a > 0x7FFF:
            a = 0x7FFF
        room = 0
        if y:
            room = ((a * x + y - 1) // y) << shift
        room = room - w[_PRR_OUT]
    else:
        room = got - w[_PRR_OUT]
        if room < delivered:
            room = delivered
        if n:
            room = room + w[_MSS_OUT]
        if room > goal - pipe:
            room = goal - pipe
    if room < 0:
        room = 0
    w[_CWND] = pipe + room


def _duplicates(w, n, duplicate):
    """What a DSACK tells, and the fate of a tail loss probe (RFC 8985 6.2 step 4, 7.4.2)."""
    told = w[_FLAGS] & _FLAG_SACK and w[_REO] & _REO_DSACK
    if told:
        steps = w[_REO] & _REO_STEPS
        if steps < _REO_STEPS:
            steps += 1
        w[_REO] = w[_REO] & ~(_REO_STEPS | _REO_LASTS) | _REO_MOST | steps
        if w[_B_UNDO] < 0 and w[_RECOVER] == 0:
            _restore(w)
    end = w[_B_PROBE_END]
    if end > n:
        w[_B_PROBE_END] = end - n
    elif end:
        if not w[_FLAGS] & _FLAG_PROBE_RESENT or told or duplicate:
            w[_B_PROBE_END] = 0  # new data, or both copies arrived
        elif n == end:
            w[_B_PROBE_END] = -1  # one of the copies did: what comes next tells
        elif n:
            # The probe repaired a loss that nobody noticed: cwnd has to learn of it.
            w[_B_PROBE_END] = 0
            if w[_RECOVER] == 0:
                congestion.reduce(w)
                w[_CWND] = w[_SSTHRESH]


@micropython.native
def arm(socket, now):
    """(Re)start the retransmission timer: as a probe of the tail if that may help."""
    t = aim(socket.w, now)
    if t >= 0:
        socket.sockets.deadline(socket.slot, t)


def _early(socket, now):
    """The retransmission timer ran out. True: it stood for something else than a timeout."""
    w = socket.w
    kind = w[_FLAGS] & _FLAGS_TIMER
    w[_FLAGS] &= ~_FLAGS_TIMER
    if kind == 0 or w[_STATE] < _ESTABLISHED or w[_SND_NXT] == 0 or w[_SND_WND] == 0:
        return False
    timers.arm(socket, _T_RETRANSMIT, now, w[_RTO])
    if kind == _FLAG_REORDER_TIMER:
        _judge(socket, now)
        limit(w)
    else:
        w[_B_PROBE_END] = w[_SND_NXT]
        w[_FLAGS] |= _FLAG_TAIL
        socket.sockets.mark(socket.slot)
    return True


def on_timeout(socket, iface):
    """The retransmission timer ran out (RFC 6298 5.4 to 5.7)."""
    w = socket.w
    now = iface.now
    w[_T_RETRANSMIT] = -1
    if w[_SND_MAX] == 0:
        return
    if not iface.is_local(w, _LOCAL, w[_FAMILY]):
        # The address was taken from the interface: no answer will come (RFC 1122 3.2.1.3).
        socket.fail(ECONNABORTED)
        return
    if _early(socket, now):
        return
    w[_BACKOFF] += 1
    if w[_BACKOFF] > (_RETRIES if w[_STATE] >= _ESTABLISHED else _SYN_RETRIES):
        socket.fail(ETIMEDOUT)
        return
    rto = w[_RTO] << 1
    w[_RTO] = rto if rto < _RTO_MAX else _RTO_MAX
    if w[_BACKOFF] == 3:
        w[_SRTT] = 0  # RFC 6298 5.7: what was measured no longer tells anything
    w[_RTT_AT] = -1
    if w[_STATE] >= _ESTABLISHED:
        path.suspect(socket, iface)
        _timeout(socket, now)
    else:
        w[_SND_NXT] = 0
    socket.sockets.mark(socket.slot)


def _timeout(socket, now):
    """RFC 5681 3.1, RFC 6298 5: one segment may go, and what is not SACKed goes again."""
    w = socket.w
    w[_B_PROBE_END] = 0
    w[_B_UNDO] = 0
    w[_FLAGS] &= ~(_FLAG_TAIL | _FLAG_FORCE)
    if w[_BACKOFF] == 1:
        if w[_RECOVER] == 0:
            _remember(w)
        else:
            w[_PRIOR_CWND] = 0
        congestion.reduce(w)
    w[_W_EPOCH] = -1
    w[_LOST_AT] = now
    w[_RECOVER] = -w[_SND_NXT]
    w[_CWND] = w[_MSS_OUT]
    if not w[_FLAGS] & _FLAG_SACK:
        w[_DUPACKS] = 0
        w[_B_SACKED] = 0
    rack.lose_all(w, w[_BACKOFF] > 2)
    tidy(w)
    if w[_B_LOST]:
        w[_FLAGS] |= _FLAG_RESEND


def probe(w):
    """A tail loss probe goes (RFC 8985 7.3): the position of old data, -1: new data may."""
    w[_FLAGS] &= ~_FLAG_TAIL
    position = w[_SND_NXT]
    if w[_TX + 2] > position and w[_SND_WND] > position:
        w[_FLAGS] &= ~_FLAG_PROBE_RESENT
        w[_LIMIT] += w[_MSS_OUT]
        return -1
    w[_FLAGS] |= _FLAG_PROBE_RESENT
    if position > w[_TX + 2]:
        position = w[_TX + 2]  # the FIN rides on the text before it
    position -= w[_MSS_OUT]
    return position if position > 0 else 0


@micropython.native
def resend(w, flags):
    """The position from which something can go again now, -1: nothing can."""
    if flags & _FLAG_TAIL:
        position = probe(w)
        if position >= 0:
            return position
    if not flags & _FLAG_RESEND:
        return -1
    position = scoreboard.next_lost(w)
    if position < 0:
        w[_FLAGS] &= ~_FLAG_RESEND
        return -1
    if w[_SND_WND] == 0 or position >= w[_SND_WND]:
        return -1
    n = length(w, position)
    if w[_SND_NXT] + n > w[_LIMIT] and not w[_FLAGS] & _FLAG_FORCE:
        return -1
    return position


def length(w, position):
    """Octets to send again at `position`: what is lost there, within a segment, less the FIN.

    At the end of what was sent, new data fills the segment up (RFC 9293 3.8.1).
    """
    end = w[_SND_NXT]
    if w[_B_LOST]:
        end = scoreboard.range_end(w, position)
    if end == w[_SND_NXT] and end < w[_SND_WND]:
        end = w[_SND_WND]
    n = end - position
    if n > w[_MSS_OUT]:
        n = w[_MSS_OUT]
    queued = w[_TX + 2] - position
    return n if n < queued else queued


def restart(socket):
    """The first segment of a flight: after an idle time of RTO cwnd tells nothing (5681 4.1)."""
    w = socket.w
    window = congestion.initial_window(w)
    if w[_CWND] > window:
        w[_CWND] = window
        limit(w)
