"""The end of a connection: both halves shut, lingering, FIN-WAIT-2's timeout, TIME-WAIT's reuse.

close() and shutdown(SHUT_WR) end our half only: the peer may go on for as long as it likes, since
somebody reads (RFC 1122 4.2.2.13's half-close). shutdown(SHUT_RD) says that nobody will: what is
unread and what comes from then on is discarded. With both halves shut, text that comes is lost for
ever, and its sender is told so by an RST (4.2.2.13); and a peer that does not end its half within
`fin_wait_2` ms is forgotten, as Linux does it.
"""

import micropython
from micropython import const

from smolmp.counters import count
from smolmp.socket.tcp import timers
from smolmp.socket.tcp.numbers import outrun
from smolmp.storage.kernels import ring_discard

SHUT_RD = const(0)
SHUT_WR = const(1)
SHUT_RDWR = const(2)

_LENGTH = const(24)
_OPTIONS = const(29)
_TSVAL = const(32)
_SEG_SEQ = const(48)
_STATE = const(14)
_RX = const(23)
_FLAGS = const(32)
_TS_RECENT = const(33)
_T_LINGER = const(80)

_FIN_WAIT_1 = const(5)
_FIN_WAIT_2 = const(6)
_CLOSING = const(8)
_LAST_ACK = const(9)

_FLAG_TIMESTAMPS = const(4)
_FLAG_DEAF = const(32768)
_FLAG_CLOSED = const(65536)
_FLAG_PASSIVE = const(1 << 20)
_FLAG_LINGERING = const(1 << 21)  # it was close(), not shutdown(), that closed
_OPT_TIMESTAMPS = const(16)

_COUNT_TCP_TIME_WAIT_REUSED = const(54)


def stop_reading(socket):
    """shutdown(SHUT_RD): nobody reads any more."""
    w = socket.w
    w[_FLAGS] |= _FLAG_DEAF | _FLAG_CLOSED
    socket.sockets.express.forget(socket)
    if w[_RX + 2]:
        if w[_STATE] == _FIN_WAIT_1 or w[_STATE] == _FIN_WAIT_2:
            socket.abort()  # what came was not read: the peer shall know (RFC 1122 4.2.2.13)
            return
        discard(socket)
    socket.sockets.mark(socket.slot)


def discard(socket):
    """What was received is nobody's: the window is as if it had been read."""
    w = socket.w
    ring_discard(w, _RX, w[_RX + 2])
    socket.sockets.mark(socket.slot)  # the window may have to be told


def unheard(socket, iface):
    """Text or a FIN came, and nobody reads. True: it was the end of the connection."""
    w = socket.w
    state = w[_STATE]
    if state == _FIN_WAIT_1 or state == _FIN_WAIT_2:
        if iface.rec[_LENGTH] and iface.rec[_SEG_SEQ] + iface.rec[_LENGTH] > 0:
            socket.abort()
            return True
    return False


def start_timers(socket, now):
    """The program closed: how long may the rest take?"""
    w = socket.w
    state = w[_STATE]
    w[_T_LINGER] = -1
    if state == _FIN_WAIT_2:
        if w[_FLAGS] & _FLAG_DEAF and socket.fin_wait_2:
            timers.arm(socket, _T_LINGER, now, socket.fin_wait_2)
    elif state == _FIN_WAIT_1 or state == _CLOSING or state == _LAST_ACK:
        if w[_FLAGS] & _FLAG_LINGERING and socket.linger:
            timers.arm(socket, _T_LINGER, now, socket.linger)


def on_timer(socket):
    """The rest took too long."""
    w = socket.w
    w[_T_LINGER] = -1
    if w[_STATE] == _FIN_WAIT_2:
        socket.release()  # in silence: what the peer still says, a stranger answers by an RST
    elif _FIN_WAIT_1 <= w[_STATE] <= _LAST_ACK:
        socket.abort()


@micropython.viper
def _newer_stamp(record, block) -> int:
    """1: SEG.TSval is newer than TS.Recent, 0: the same, -1: older."""
    r = ptr32(record)
    w = ptr32(block)
    d = r[_TSVAL] - w[_TS_RECENT]
    if (d >> 31) & 1:
        return 0 - 1
    if (d & 0x3FFFFFFF) == 0 and (d >> 30) & 1 == 0:
        return 0
    return 1


def _may_follow(socket, record, listener):
    """May the SYN begin a connection that follows the one in TIME-WAIT (RFC 6191 2)?"""
    w = socket.w
    if record[_OPTIONS] & _OPT_TIMESTAMPS and getattr(listener, "timestamps", False):
        if not w[_FLAGS] & _FLAG_TIMESTAMPS:
            return True
        newer = _newer_stamp(record, w)
        if newer:
            return newer > 0
    return record[_SEG_SEQ] >= 0  # RFC 1122 4.2.2.13: beyond whatever the old one used


def reopen(socket, iface):
    """A SYN for the connection in TIME-WAIT: the slot of the listener that takes it, or -1.

    That is another one at the same port, else the socket itself if it had listened, and was read
    empty. TIME-WAIT is over then, and our next ISN is beyond what the old connection sent.
    """
    w = socket.w
    sockets = socket.sockets
    slot = sockets.find_next(iface.rec, socket.slot)
    if slot < 0:
        if not w[_FLAGS] & _FLAG_PASSIVE or w[_RX + 2]:
            return -1
        slot = socket.slot
    if not _may_follow(socket, iface.rec, sockets.objects[slot]):
        return -1
    outrun(iface, w)
    if slot == socket.slot:
        socket.relisten()
    else:
        socket.release()
    count(iface.counters, _COUNT_TCP_TIME_WAIT_REUSED)
    return slot
