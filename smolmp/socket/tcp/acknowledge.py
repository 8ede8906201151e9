"""The ACK field: SND.UNA and SND.WND move; recovery.py finds out what was lost.

RFC 9293 3.10.7.4 (fifth).
"""

import micropython
from micropython import const

from smolmp.socket.set import set_bit
from smolmp.socket.tcp import closing, recovery, states, timers
from smolmp.socket.tcp.congestion import cubic
from smolmp.socket.tcp.kernels import advance, note_timestamp, note_window
from smolmp.socket.tcp.replies import challenge
from smolmp.socket.tcp.steps import settle
from smolmp.socket.tcp.timestamps import measure

_LENGTH = const(24)
_CONTROL = const(27)
_OPTIONS = const(29)
_SEG_SEQ = const(48)
_SEG_ACK = const(49)
_SEG_WND = const(50)
_SEG_NEWER = const(51)
_STATE = const(14)
_SND_NXT = const(17)
_SND_MAX = const(18)
_SND_WND = const(19)
_TX = const(26)
_ERROR = const(31)
_FLAGS = const(32)
_T_RETRANSMIT = const(36)
_T_PERSIST = const(39)
_T_CLOSE = const(40)
_BACKOFF = const(45)
_RECOVER = const(49)
_UNACKED = const(50)
_PROGRESS = const(52)
_MAX_WND = const(56)
_CWND = const(60)
_T_LINGER = const(80)
_OUT_BASE = const(81)
_SMALL = const(84)  # where the last segment ends that was not full; 0: acknowledged
_LIMIT = const(62)
_FIN_WAIT_1 = const(5)
_FIN_WAIT_2 = const(6)
_CLOSING = const(8)
_LAST_ACK = const(9)
_TIME_WAIT = const(10)
_FLAG_TIMESTAMPS = const(4)
_FLAG_RESEND = const(16)
_FLAG_PROBE = const(32)
_FLAG_TAIL = const(4096)
_FIN = const(1)
_B_PROBE_END = const(91)  # see recovery.py
_FLAG_SACK = const(2)
_LEFT = const(1)  # of settle()
_MORE = const(2)
_BACKED = const(4)
_ASK_CUBIC = const(8)
_ASK_RECOVERY = const(16)
_OPT_SACKS = const(8)
_OPT_TIMESTAMPS = const(16)


def acknowledge(socket, iface):
    """RFC 9293 3.10.7.4, fifth: the ACK field. False: the segment goes no further."""
    w = socket.w
    record = iface.rec
    n = record[_SEG_ACK]
    flight = w[_SND_MAX]
    timers.heard(socket, iface.now)
    if n > flight or n < 0 and n < -w[_MAX_WND]:
        # It acknowledges what was never sent, or an age ago (RFC 5961 5.2).
        challenge(socket, iface)
        return False
    if w[_FLAGS] & _FLAG_TIMESTAMPS and record[_OPTIONS] & _OPT_TIMESTAMPS:
        if record[_SEG_SEQ] <= -w[_UNACKED]:  # Last.ACK.sent (RFC 7323 4.3)
            note_timestamp(record, w)
    if n < 0:
        return True
    window = record[_SEG_WND]
    duplicate = False
    if n == 0 and not record[_LENGTH] and not record[_CONTROL] & _FIN:
        if flight or socket.w[_B_PROBE_END]:
            duplicate = window == w[_SND_WND] and window != 0
    if record[_SEG_NEWER]:
        if window > w[_SND_WND]:
            socket.sockets.mark(socket.slot)
        note_window(record, w)
        if window > w[_MAX_WND]:
            w[_MAX_WND] = window
    if w[_SND_WND] == 0:
        w[_ERROR] = 0
        w[_PROGRESS] = iface.now  # a peer that answers probes is alive (RFC 9293 3.8.6.1)
    elif w[_T_PERSIST] >= 0:
        w[_T_PERSIST] = -1
        w[_FLAGS] &= ~_FLAG_PROBE
        w[_BACKOFF] = 0
        socket.sockets.mark(socket.slot)
    if n > 0:
        acknowledged(socket, iface, n)
    elif duplicate or record[_OPTIONS] & _OPT_SACKS and w[_FLAGS] & _FLAG_SACK:
        recovery.update(socket, iface, 0, duplicate)
    return True


@micropython.native
def acknowledged(socket, iface, n):
    """SND.UNA moves up by n > 0 acknowledged octets (and the FIN behind the last of them)."""
    w = socket.w
    now = iface.now
    fin = n > w[_TX + 2]
    if w[_RECOVER] and w[_FLAGS] & _FLAG_TIMESTAMPS:
        measure(socket, iface, n)
    if fin:
        advance(w, _OUT_BASE, 1)  # a FIN is no octet
    follow(socket, iface, n, settle(w, n, now))
    if fin:
        _fin_acknowledged(socket, iface)


@micropython.native
def follow(socket, iface, n, what):
    """SND.UNA moved up by n: do what settle() says that is left to do, and what is always."""
    sockets = socket.sockets
    set_bit(sockets.changes, socket.slot)
    if what:
        w = socket.w
        now = iface.now
        if what & _BACKED:
            timers.compute_rto(socket)
        if what & _LEFT:
            recovery.arm(socket, now)  # RFC 6298 5.3
        if what & _ASK_CUBIC:
            cubic(w, n, now)
            w[_LIMIT] = w[_CWND]
    if what & _ASK_RECOVERY or iface.rec[_OPTIONS] & _OPT_SACKS:
        recovery.update(socket, iface, n, False)
    if what & _MORE:
        set_bit(sockets.marks, socket.slot)


def _fin_acknowledged(socket, iface):
    state = socket.w[_STATE]
    if state == _FIN_WAIT_1:
        states.enter(socket.w, _FIN_WAIT_2)
        closing.start_timers(socket, iface.now)
    elif state == _CLOSING:
        time_wait(socket, iface)
    elif state == _LAST_ACK:
        socket.release()


def time_wait(socket, iface):
    w = socket.w
    states.enter(w, _TIME_WAIT)
    w[_T_RETRANSMIT] = -1
    w[_T_PERSIST] = -1
    w[_T_LINGER] = -1
    timers.arm(socket, _T_CLOSE, iface.now, socket.time_wait)
    socket.sockets.changed(socket.slot)
