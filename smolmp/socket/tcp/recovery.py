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
_CONTROLLER = const(64)
_PRIOR_CWND = const(71)  # before the loss, 0 when there is nothing to undo
_PRIOR_SSTHRESH = const(72)
_LOST_AT = const(74)
_RECOVERED = const(75)  # octets delivered, and sent, during recovery, and in flight when it began
_PRR_OUT = const(77)
_PRR_FLIGHT = const(78)
_LAST_SENT = const(79)

_B_COUNT = const(1)
_B_REO_STEPS = const(5)
_B_SACKED = const(8)
_B_LOST = const(9)
_B_DSACK = const(10)
_B_ORIGINAL = const(11)
_B_TIMER = const(12)  # what the retransmission timer stands for: 0 RTO, 1 probe, 2 reordering
_B_PROBE_END = const(13)  # SND.NXT when the tail was probed, 0: it was not, -1: just that came
_B_USED = const(14)
_B_PROBE_RESENT = const(16)  # 1: the probe was old data
_B_REO_PERSIST = const(17)
_B_UNDO = const(18)  # octets that fast recovery sent again, less those DSACKed; -1: all were

_FLAG_SACK = const(2)
_FLAG_RESEND = const(16)
_FLAG_TAIL = const(4096)  # a tail loss probe is due
_FLAG_FORCE = const(8192)  # one segment goes whatever cwnd says
_OPT_SACKS = const(8)
_ESTABLISHED = const(4)
_LOST = const(2)
_WRAP = const(0x3FFFFFFF)
_RTO_MAX = const(60000)  # RFC 6298 2.5
_SYN_RETRIES = const(6)  # with doubling from 1 s: 127 s (RFC 1122 4.2.3.5 wants 3 minutes for R2)
_RETRIES = const(15)
_PTO_ALONE = const(200)  # WCDelAckT: a single segment's ACK may be delayed (RFC 8985 7.2)
_TIMER_PROBE = const(1)
_TIMER_REORDER = const(2)


def opened(socket, now):
    """The connection is established: an empty scoreboard, the initial window."""
    w = socket.w
    scoreboard.clear(socket.board, now)
    congestion.begin(w, socket.controller)
    w[_LAST_SENT] = now
    if w[_BACKOFF]:
        w[_CWND] = w[_MSS_OUT]  # our SYN was lost (RFC 5681 3.1)
    limit(w, socket.board)


def control(socket):
    """The program chose another congestion control."""
    w = socket.w
    if w[_STATE] >= _ESTABLISHED:
        if w[_CWND] == 0:
            congestion.begin(w, socket.controller)
        w[_CONTROLLER] = socket.controller
        limit(w, socket.board)
        socket.sockets.mark(socket.slot)


@micropython.native
def update(socket, iface, n, duplicate):
    """An ACK of n octets, or one of none that has SACK blocks or is a duplicate, was taken."""
    w = socket.w
    board = socket.board
    now = iface.now
    delivered = n - board[_B_SACKED]
    if w[_FLAGS] & _FLAG_SACK:
        if iface.rec[_OPTIONS] & _OPT_SACKS:
            sack(iface.rec, w, board, now)
        tidy(w, board)
    else:
        _count(w, board, n, duplicate)
    delivered += board[_B_SACKED]
    busy = w[_RECOVER] or board[_B_PROBE_END]
    if board[_B_DSACK] or board[_B_PROBE_END]:
        _duplicates(w, board, n, duplicate)
    if w[_RECOVER]:
        _progress(socket, iface, n, delivered)
    if busy and w[_SND_MAX] and not (w[_RECOVER] or board[_B_PROBE_END]):
        arm(socket, now)  # again: the tail may be probed from now on
    if w[_FLAGS] & _FLAG_SACK:
        _judge(socket, now)
    if w[_RECOVER] > 0:
        _reduce_rate(w, board, delivered, n)
    limit(w, board)
    board[_B_DSACK] = 0
    board[_B_ORIGINAL] = 0
    if board[_B_LOST]:
        w[_FLAGS] |= _FLAG_RESEND
    else:
        w[_FLAGS] &= ~_FLAG_RESEND
    socket.sockets.mark(socket.slot)


def _count(w, board, n, duplicate):
    """Without SACK: a duplicate ACK says that some segment has left the network."""
    mss = w[_MSS_OUT]
    sacked = board[_B_SACKED]
    if n:
        # The first segment was lost, the others were those that the duplicates told of.
        sacked = sacked - n + mss if w[_RECOVER] > 0 and sacked > n - mss else 0
        if sacked > board[_B_SACKED]:
            sacked = board[_B_SACKED]
        if w[_RECOVER] > n:
            # A partial acknowledgement: the next hole is lost too (RFC 6582 3.2).
            _lose_first(w, board)
    elif duplicate and w[_RECOVER] >= 0:
        sacked += mss
        w[_DUPACKS] += 1
        if w[_DUPACKS] == 3 and w[_RECOVER] == 0:
            _lose_first(w, board)
            _enter(w, board)
    board[_B_SACKED] = sacked
    tidy(w, board)


def _lose_first(w, board):
    end = w[_SND_NXT]
    if end > w[_MSS_OUT]:
        end = w[_MSS_OUT]
    if end:
        paint(w, board, 0, end, _LOST, 0)


def _enter(w, board):
    """Fast recovery begins (RFC 5681 3.2, RFC 6675 5)."""
    w[_RECOVER] = w[_SND_NXT]
    w[_FLAGS] |= _FLAG_FORCE
    _remember(w)
    w[_RECOVERED] = 0
    w[_PRR_OUT] = 0
    w[_PRR_FLIGHT] = w[_SND_NXT]
    scoreboard.recover(w, board)
    congestion.reduce(w, board)


def _remember(w):
    w[_PRIOR_CWND] = w[_CWND]
    w[_PRIOR_SSTHRESH] = w[_SSTHRESH]


def _progress(socket, iface, n, delivered):
    """SND.UNA moved on during a recovery, or something was SACKed: is it over?"""
    w = socket.w
    board = socket.board
    recover = w[_RECOVER]
    if recover > 0:
        w[_RECOVER] = recover - n if recover > n else 0
        if recover <= n:
            prior = w[_PRIOR_CWND]
            w[_CWND] = w[_SSTHRESH]
            _over(w, board)
            w[_PRIOR_CWND] = prior  # DSACKs come a round trip later
            if board[_B_UNDO] < 0:
                _restore(w, board)
        return
    age = iface.rec[_SEG_ELAPSED] if n else -1
    late = age >= 0 and age > ((iface.now - w[_LOST_AT]) & _WRAP)
    if w[_PRIOR_CWND] and (late or board[_B_ORIGINAL] and w[_FLAGS] & _FLAG_SACK):
        _undo(w, board)
        return
    if n > 0:
        w[_RECOVER] = recover + n if n < -recover else 0
    if w[_RECOVER] == 0:
        _over(w, board)
    mss = w[_MSS_OUT]
    # Slow start, by a segment at most after a timeout (RFC 3465 2.3).
    if w[_CWND] < w[_SSTHRESH]:
        w[_CWND] += delivered if 0 < delivered < mss else mss if delivered > 0 else 0


def _over(w, board):
    w[_PRIOR_CWND] = 0
    w[_FLAGS] &= ~_FLAG_FORCE
    if not w[_FLAGS] & _FLAG_SACK:
        board[_B_SACKED] = 0
    board[_B_USED] = 0


def _undo(w, board):
    """The timeout was premature: nothing was lost (RFC 5682 3, RFC 4015 3.2)."""
    w[_RECOVER] = 0
    _restore(w, board)
    _over(w, board)
    rack.lose_none(board)
    tidy(w, board)


def _restore(w, board):
    """cwnd and ssthresh as they were before the loss that was none."""
    if w[_PRIOR_CWND] > w[_CWND]:
        w[_CWND] = w[_PRIOR_CWND]
    if w[_PRIOR_SSTHRESH] > w[_SSTHRESH]:
        w[_SSTHRESH] = w[_PRIOR_SSTHRESH]
    w[_PRIOR_CWND] = 0
    board[_B_UNDO] = 0


def _judge(socket, now):
    """RACK's verdict; the reordering timer when it needs time (RFC 8985 6.3)."""
    w = socket.w
    board = socket.board
    if not board[_B_COUNT]:
        return
    wait = rack.detect(w, board, now)
    if wait < 0:
        tidy(w, board)
        if w[_RECOVER] == 0:
            _enter(w, board)
        w[_FLAGS] |= _FLAG_RESEND
        socket.sockets.mark(socket.slot)
    elif wait and wait < w[_RTO]:
        board[_B_TIMER] = _TIMER_REORDER
        timers.arm(socket, _T_RETRANSMIT, now, wait)


@micropython.viper
def _reduce_rate(block, board, delivered: int, n: int):
    """Proportional rate reduction with slow start's bound (RFC 6937 3)."""
    w = ptr32(block)
    b = ptr32(board)
    w[_RECOVERED] = w[_RECOVERED] + delivered
    out = b[_B_SACKED] + b[_B_LOST]
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


def _duplicates(w, board, n, duplicate):
    """What a DSACK tells, and the fate of a tail loss probe (RFC 8985 6.2 step 4, 7.4.2)."""
    if board[_B_DSACK]:
        if board[_B_REO_STEPS] < 15:
            board[_B_REO_STEPS] += 1
        board[_B_REO_PERSIST] = 16
        if board[_B_UNDO] < 0 and w[_RECOVER] == 0:
            _restore(w, board)
    end = board[_B_PROBE_END]
    if end > n:
        board[_B_PROBE_END] = end - n
    elif end:
        if not board[_B_PROBE_RESENT] or board[_B_DSACK] or duplicate:
            board[_B_PROBE_END] = 0  # new data, or both copies arrived
        elif n == end:
            board[_B_PROBE_END] = -1  # one of the copies did: what comes next tells
        elif n:
            # The probe repaired a loss that nobody noticed: cwnd has to learn of it.
            board[_B_PROBE_END] = 0
            if w[_RECOVER] == 0:
                congestion.reduce(w, board)
                w[_CWND] = w[_SSTHRESH]


@micropython.native
@micropython.native
def arm(socket, now):
    """(Re)start the retransmission timer: as a probe of the tail if that may help."""
    t = aim(socket.w, socket.board, now)
    if t >= 0:
        socket.sockets.deadline(socket.slot, t)


def _early(socket, now):
    """The retransmission timer ran out. True: it stood for something else than a timeout."""
    w = socket.w
    board = socket.board
    kind = board[_B_TIMER]
    board[_B_TIMER] = 0
    if kind == 0 or w[_STATE] < _ESTABLISHED or w[_SND_NXT] == 0 or w[_SND_WND] == 0:
        return False
    timers.arm(socket, _T_RETRANSMIT, now, w[_RTO])
    if kind == _TIMER_REORDER:
        _judge(socket, now)
        limit(w, board)
    else:
        board[_B_PROBE_END] = w[_SND_NXT]
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
    board = socket.board
    w[_DUPACKS] = 0
    board[_B_PROBE_END] = 0
    board[_B_UNDO] = 0
    w[_PRR_OUT] = 0
    w[_FLAGS] &= ~(_FLAG_TAIL | _FLAG_FORCE)
    if w[_BACKOFF] == 1:
        if w[_RECOVER] == 0:
            _remember(w)
        else:
            w[_PRIOR_CWND] = 0
        congestion.reduce(w, board)
    w[_LOST_AT] = now
    w[_RECOVER] = -w[_SND_NXT]
    w[_CWND] = w[_MSS_OUT]
    if not w[_FLAGS] & _FLAG_SACK:
        board[_B_SACKED] = 0
    rack.lose_all(board, w[_BACKOFF] > 2)
    tidy(w, board)
    if board[_B_LOST]:
        w[_FLAGS] |= _FLAG_RESEND


def probe(w, board):
    """A tail loss probe goes (RFC 8985 7.3): the position of old data, -1: new data may."""
    w[_FLAGS] &= ~_FLAG_TAIL
    position = w[_SND_NXT]
    if w[_TX + 2] > position and w[_SND_WND] > position:
        board[_B_PROBE_RESENT] = 0
        w[_LIMIT] += w[_MSS_OUT]
        return -1
    board[_B_PROBE_RESENT] = 1
    if position > w[_TX + 2]:
        position = w[_TX + 2]  # the FIN rides on the text before it
    position -= w[_MSS_OUT]
    return position if position > 0 else 0


@micropython.native
def resend(w, board, flags):
    """The position from which something can go again now, -1: nothing can."""
    if flags & _FLAG_TAIL:
        position = probe(w, board)
        if position >= 0:
            return position
    if not flags & _FLAG_RESEND:
        return -1
    position = scoreboard.next_lost(board)
    if position < 0:
        w[_FLAGS] &= ~_FLAG_RESEND
        return -1
    if w[_SND_WND] == 0 or position >= w[_SND_WND]:
        return -1
    n = length(w, board, position)
    if w[_SND_NXT] + n > w[_LIMIT] and not w[_FLAGS] & _FLAG_FORCE:
        return -1
    return position


def length(w, board, position):
    """Octets to send again at `position`: what is lost there, within a segment, less the FIN.

    At the end of what was sent, new data fills the segment up (RFC 9293 3.8.1).
    """
    end = w[_SND_NXT]
    if board[_B_LOST]:
        end = scoreboard.range_end(board, position)
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
        limit(w, socket.board)
