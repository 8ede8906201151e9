"""Opening a connection: LISTEN, SYN-SENT, SYN-RECEIVED (RFC 9293 3.5 and 3.10.7.2 to 3.10.7.4)."""

from errno import ECONNREFUSED

from micropython import const

from smolmp.socket.endpoint import copy_words, is_unset
from smolmp.socket.tcp import ecn, path, recovery, states, statistics, timers
from smolmp.socket.tcp.kernels import advance, note_window, relate, synchronize
from smolmp.socket.tcp.replies import reset_stranger
from smolmp.socket.tcp.user_timeout import learn

_CONTROL = const(27)
_OPTIONS = const(29)
_MSS = const(30)
_SCALE = const(31)
_SEG_ACK = const(49)
_SEG_WND = const(50)
_FAMILY = const(0)
_LOCAL = const(4)
_STATE = const(14)
_SND_UNA = const(15)
_SND_NXT = const(17)
_SND_MAX = const(18)
_MSS_OUT = const(29)
_SCALES = const(30)
_FLAGS = const(32)
_T_RETRANSMIT = const(36)
_T_CLOSE = const(40)
_RTO = const(44)
_BACKOFF = const(45)
_RTT_AT = const(46)
_RECOVER = const(49)
_MAX_WND = const(56)
_TEXT_AT = const(86)
_LONG_AGO = const(100000)  # more than any RTO
_WRAP = const(0x3FFFFFFF)
_MSS_FULL = const(90)
_SYN_RECEIVED = const(3)
_ESTABLISHED = const(4)
_FLAG_SACK = const(2)
_FLAG_TIMESTAMPS = const(4)
_FLAG_ACK_NOW = const(8)
_FLAG_SCALE = const(512)
_FLAG_CLOSE = const(1024)
_FLAG_TELL_TIMEOUT = const(131072)
_FLAG_PASSIVE = const(1 << 20)  # a listener's: it listens on when the handshake fails
_FLAG_ANY_FAMILY = const(1 << 22)  # on packets of every family, to any of our addresses
_FLAG_ANY_ADDRESS = const(1 << 23)
_SYN = const(2)
_RST = const(4)
_ACK_BIT = const(16)
_OPT_MSS = const(1)
_OPT_SCALE = const(2)
_OPT_SACK = const(4)
_OPT_TIMESTAMPS = const(16)
_OPT_USER_TIMEOUT = const(32)
_DEFAULT_MSS = const(536)  # RFC 9293 3.7.1
_LEAST_MSS = const(48)
_RTO_AFTER_LOST_SYN = const(3000)  # RFC 6298 5.7


def listen(socket, iface):
    """RFC 9293 3.10.7.2."""
    record = iface.rec
    control = record[_CONTROL]
    if control & _RST:
        return
    if control & _ACK_BIT:
        reset_stranger(iface)
        return
    if not control & _SYN:
        return
    w = socket.w
    passive = _FLAG_PASSIVE
    if w[_FAMILY] == 0:
        passive |= _FLAG_ANY_FAMILY
    if is_unset(w, _LOCAL):
        passive |= _FLAG_ANY_ADDRESS
    copy_words(w, 0, record, 0, 12)  # the demux key: both ends
    socket.start(iface, _SYN_RECEIVED)
    w[_FLAGS] |= passive
    synchronize(record, w)
    relate(record, w)
    _negotiate(socket, iface)
    note_window(record, w)
    socket.sockets.bind(socket.slot, w)
    socket.sockets.mark(socket.slot)


def syn_sent(socket, iface):
    """RFC 9293 3.10.7.3."""
    w = socket.w
    record = iface.rec
    control = record[_CONTROL]
    acked = False
    if control & _ACK_BIT:
        acked = 0 < record[_SEG_ACK] <= w[_SND_MAX]
        if not acked:
            reset_stranger(iface)
            return
    if control & _RST:
        if acked:
            socket.fail(ECONNREFUSED)
        return
    if not control & _SYN:
        return
    synchronize(record, w)
    _negotiate(socket, iface)
    note_window(record, w)
    if acked:
        _syn_acknowledged(socket, iface)
        w[_FLAGS] |= _FLAG_ACK_NOW
    else:
        # Simultaneous open: our SYN goes again, now with an ACK.
        states.enter(w, _SYN_RECEIVED)
        w[_SND_NXT] = 0
    socket.sockets.mark(socket.slot)


def offered_mss(record, own):
    """The MSS of the peer's SYN, within reason; `own`: the most that fits our interface."""
    mss = _DEFAULT_MSS
    if record[_OPTIONS] & _OPT_MSS and record[_MSS]:
        mss = record[_MSS]
        if mss < _LEAST_MSS:
            mss = _LEAST_MSS
    return mss if mss < own else own


def _negotiate(socket, iface):
    """Take the options of the peer's SYN."""
    w = socket.w
    record = iface.rec
    options = record[_OPTIONS]
    flags = w[_FLAGS] & ~(_FLAG_SACK | _FLAG_TIMESTAMPS | _FLAG_SCALE)
    mss = offered_mss(record, iface.mtu - (40 if w[_FAMILY] == 4 else 60))
    if options & _OPT_SCALE:
        flags |= _FLAG_SCALE
        w[_SCALES] = record[_SCALE] | socket.scale << 4
    else:
        w[_SCALES] = 0
    if options & _OPT_SACK:
        flags |= _FLAG_SACK
    if options & _OPT_TIMESTAMPS and socket.timestamps:
        flags |= _FLAG_TIMESTAMPS
        mss -= 12
    w[_MSS_OUT] = w[_MSS_FULL] = mss
    w[_MAX_WND] = record[_SEG_WND]
    w[_FLAGS] = flags
    if options & _OPT_USER_TIMEOUT:
        learn(socket, record)
    path.fit(socket, iface)
    ecn.negotiate(socket, record)


def open_passively(socket, iface):
    """RFC 9293 3.10.7.4, fifth, SYN-RECEIVED: our SYN must be what is acknowledged."""
    if not 0 < iface.rec[_SEG_ACK] <= socket.w[_SND_MAX]:
        reset_stranger(iface)
        return False
    _syn_acknowledged(socket, iface)
    iface.rec[_SEG_ACK] -= 1
    return True


def _syn_acknowledged(socket, iface):
    """Our SYN was acknowledged: the connection is open."""
    w = socket.w
    now = iface.now
    if w[_RTT_AT] >= 0:
        timers.sample(socket, now)
    advance(w, _SND_UNA, 1)
    w[_SND_MAX] = 0
    w[_SND_NXT] = 0
    statistics.begin(w)
    recovery.opened(socket, now)
    if w[_BACKOFF]:
        w[_RTO] = _RTO_AFTER_LOST_SYN
    w[_BACKOFF] = 0
    w[_RECOVER] = 0
    w[_T_RETRANSMIT] = -1
    w[_T_CLOSE] = -1
    states.enter(w, _ESTABLISHED)
    if socket.advertised_timeout:
        w[_FLAGS] |= _FLAG_TELL_TIMEOUT
        socket.sockets.mark(socket.slot)
    w[_TEXT_AT] = (now - _LONG_AGO) & _WRAP
    timers.heard(socket, now)
    timers.start_keep_alive(socket, now)
    socket.sockets.changed(socket.slot)
    if w[_FLAGS] & _FLAG_CLOSE:
        socket.close_half()
