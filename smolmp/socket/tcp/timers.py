"""The clocks of a connection: retransmission (RFC 6298), persist, keep-alive, user timeout,
delayed ACK and TIME-WAIT, and how long a program that closed waits (closing.py).

Each is a word that holds its deadline or -1. The socket set knows one deadline per socket, never
later than the earliest of them; moving a timer further away does not bother the set, which wakes
the socket too early once and is told the right time then.
"""

from errno import ETIMEDOUT

import micropython
from micropython import const

from smolmp.socket.tcp.kernels import earliest
from smolmp.socket.tcp.steps import smooth

_STATE = const(14)
_SND_MAX = const(18)
_ERROR = const(31)
_FLAGS = const(32)
_T_RETRANSMIT = const(36)
_T_ACK = const(37)
_T_KEEPALIVE = const(38)
_T_PERSIST = const(39)
_T_CLOSE = const(40)
_T_SET = const(41)
_SRTT = const(42)
_RTTVAR = const(43)
_RTO = const(44)
_BACKOFF = const(45)
_RTT_AT = const(46)
_HEARD = const(51)
_PROGRESS = const(52)
_PROBES = const(55)
_AGREED = const(59)
_T_LINGER = const(80)
_WAITS = const(96)  # rto_min, and in 14 bits ack_delay

_ESTABLISHED = const(4)
_TIME_WAIT = const(10)

_FLAG_TIMESTAMPS = const(4)
_FLAG_ACK_NOW = const(8)
_FLAG_PROBE = const(32)
_FLAG_KEEP_ALIVE = const(64)

_RTO_INITIAL = const(1000)  # RFC 6298 2.1
_RTO_MAX = const(60000)  # RFC 6298 2.5
_LONGEST = const(0xFFFFFF)  # 4.6 hours: deadlines keep their order though a poll be 5 days late
_INTERVAL = const(75000)  # between keep-alive probes, as everywhere
_R2 = const(900000)  # as 15 retransmissions at _RTO_MAX (RFC 9293 3.8.3 wants 100 s at least)
_WRAP = const(0x3FFFFFFF)
_HALF = const(0x20000000)


@micropython.native
def arm(socket, timer, now, ms):
    """Let the timer word `timer` run out in `ms` (< 2**29) from `now`."""
    w = socket.w
    # now + ms without leaving 31 bits on the way.
    t = (now - (_WRAP - ms) - 1) & _WRAP
    w[timer] = t
    known = w[_T_SET]
    if known < 0 or ((known - t) & _WRAP) < _HALF:
        w[_T_SET] = t
        socket.sockets.deadline(socket.slot, t)


def reset(socket):
    """Stop every timer and forget what was measured."""
    w = socket.w
    for timer in range(_T_RETRANSMIT, _T_SET + 1):
        w[timer] = -1
    w[_T_LINGER] = -1
    w[_SRTT] = 0
    w[_RTTVAR] = 0
    w[_RTO] = _RTO_INITIAL
    w[_BACKOFF] = 0
    w[_RTT_AT] = -1
    w[_PROBES] = 0


def guard(socket, now):
    """Run the user timeout while an answer is awaited (RFC 9293 3.8.3)."""
    timeout = socket.w[_AGREED] or socket.timeout
    if timeout and socket.w[_T_CLOSE] < 0:
        arm(socket, _T_CLOSE, now, timeout)


def start_persist(socket, now):
    """Data waits and the window is shut: probe it (RFC 9293 3.8.6.1), first after one RTO."""
    w = socket.w
    if w[_T_PERSIST] < 0 and w[_T_RETRANSMIT] < 0:
        w[_BACKOFF] = 0
        w[_PROGRESS] = now
        w[_ERROR] = 0
        arm(socket, _T_PERSIST, now, w[_RTO])
        guard(socket, now)


@micropython.native
def sample(socket, now):
    """Take the round trip that began at _RTT_AT (RFC 6298 2.2, 2.3)."""
    w = socket.w
    rtt = (now - w[_RTT_AT]) & _WRAP
    w[_RTT_AT] = -1
    if rtt < _HALF:
        measured(socket, rtt, 1)


@micropython.native
def measured(socket, rtt, samples):
    """Take a round trip of `rtt` ms (< 2**29), one of `samples` (1 to 1023) in a round trip."""
    smooth(socket.w, rtt, samples)


def compute_rto(socket):
    """RTO = SRTT + 4 RTTVAR within [rto_min, 60 s] (RFC 6298 2.3, 2.4, 2.5)."""
    w = socket.w
    srtt = w[_SRTT]
    if srtt:
        rto = (srtt >> 3) + w[_RTTVAR]
        if rto < w[_WAITS] >> 14:
            rto = w[_WAITS] >> 14
        if rto > _RTO_MAX:
            rto = _RTO_MAX
        w[_RTO] = rto


def heard(socket, now):
    """The peer showed that it lives."""
    w = socket.w
    w[_HEARD] = now
    if w[_PROBES]:
        w[_PROBES] = 0
        if w[_SND_MAX] == 0 and w[_T_PERSIST] < 0:
            w[_T_CLOSE] = -1


def start_keep_alive(socket, now):
    """(Re)start the keep-alive timer of an open connection, or stop it."""
    w = socket.w
    w[_T_KEEPALIVE] = -1
    if w[_STATE] >= _ESTABLISHED and w[_STATE] != _TIME_WAIT:
        if socket.keep_alive:
            arm(socket, _T_KEEPALIVE, now, socket.keep_alive)
        elif w[_FLAGS] & _FLAG_TIMESTAMPS:
            # So that the interface's clock does not miss that ticks wrapped (RFC 7323 5.5).
            arm(socket, _T_KEEPALIVE, now, _LONGEST)


def on_timer(socket, iface):
    """The set's deadline passed: serve the timers that are due, then tell it the next one."""
    w = socket.w
    now = iface.now
    w[_T_SET] = -1
    if _due(w, _T_ACK, now):
        w[_T_ACK] = -1
        w[_FLAGS] |= _FLAG_ACK_NOW
        socket.sockets.mark(socket.slot)
    if _due(w, _T_CLOSE, now):
        _close_timer(socket, now)
    if _due(w, _T_LINGER, now):
        socket.on_linger()
    if _due(w, _T_RETRANSMIT, now):
        socket.on_timeout(iface)
    if _due(w, _T_PERSIST, now):
        _probe_window(socket, now)
    if _due(w, _T_KEEPALIVE, now):
        _probe_peer(socket, now)
    t = earliest(w, now)
    if t >= 0:
        w[_T_SET] = t
        socket.sockets.deadline(socket.slot, t)


def _due(w, timer, now):
    t = w[timer]
    return t >= 0 and ((now - t) & _WRAP) < _HALF


def _probe_window(socket, now):
    w = socket.w
    w[_T_PERSIST] = -1
    if w[_T_RETRANSMIT] >= 0:
        return
    if ((now - w[_PROGRESS]) & _WRAP) > _R2:
        # Probes may go on as long as they are answered (RFC 9293 3.8.6.1); these were not.
        socket.fail(ETIMEDOUT)
        return
    w[_FLAGS] |= _FLAG_PROBE
    w[_BACKOFF] += 1
    # RTO is at most 60 s: shifted by 14 it still is a small int.
    delay = _RTO_MAX if w[_BACKOFF] > 14 else w[_RTO] << w[_BACKOFF]
    arm(socket, _T_PERSIST, now, delay if delay < _RTO_MAX else _RTO_MAX)
    guard(socket, now)
    socket.sockets.mark(socket.slot)


def _probe_peer(socket, now):
    """RFC 1122 4.2.3.6: probe a peer that was not heard for `keep_alive` ms, again every
    `keep_alive_interval`, and give it up when `keep_alive_count` probes were not answered."""
    w = socket.w
    idle = socket.keep_alive
    start_keep_alive(socket, now)
    if not idle or w[_T_KEEPALIVE] < 0:
        return
    silent = (now - w[_HEARD]) & _WRAP
    if w[_PROBES] == 0 and silent < idle:
        arm(socket, _T_KEEPALIVE, now, idle - silent)
        return
    if w[_SND_MAX] or w[_T_PERSIST] >= 0:
        return  # something else asks the peer already
    if w[_PROBES] >= socket.keep_alive_count:
        socket.fail(ETIMEDOUT)
        return
    if w[_PROBES] == 0:
        w[_PROGRESS] = now
        w[_ERROR] = 0
        guard(socket, now)
    w[_PROBES] += 1
    w[_FLAGS] |= _FLAG_KEEP_ALIVE
    arm(socket, _T_KEEPALIVE, now, socket.keep_alive_interval or min(idle, _INTERVAL))
    socket.sockets.mark(socket.slot)


def _close_timer(socket, now):
    """End of TIME-WAIT, or the user timeout: nothing that was sent is answered for so long."""
    w = socket.w
    w[_T_CLOSE] = -1
    if w[_STATE] == _TIME_WAIT:
        socket.release()
        return
    timeout = socket.w[_AGREED] or socket.timeout
    waiting = w[_SND_MAX] or w[_PROBES] or w[_T_PERSIST] >= 0
    if not timeout or not waiting:
        return
    silent = (now - w[_PROGRESS]) & _WRAP
    if silent < timeout:
        arm(socket, _T_CLOSE, now, timeout - silent)
    else:
        socket.fail(ETIMEDOUT)
