"""What a Listener does with segments: LISTEN and SYN-RECEIVED without a socket (RFC 9293 3.10.7.2
and 3.10.7.4).

`listener.block` holds the connection at hand, as the beginning of a control block, out of a
half-open record, a cookie or a SYN. ICMP errors about half-open connections are ignored (RFC 5927
lets them be no more than a hint, and the SYN+ACK's few repetitions end soon enough).
"""

import micropython
from micropython import const

import smolmp.socket.tcp.cookie  # noqa: F401 - the package's __getattr__ finds no modules
from smolmp.counters import count
from smolmp.socket.endpoint import copy_words
from smolmp.socket.tcp import cookie, ecn, path
from smolmp.socket.tcp.handshake import offered_mss
from smolmp.socket.tcp.kernels import emit, put_timestamps, relate, synchronize
from smolmp.socket.tcp.numbers import choose, slow_clock
from smolmp.socket.tcp.replies import reset_stranger
from smolmp.socket.tcp.transmit import put_syn_options

_FAMILY = const(0)
_LOCAL = const(4)
_HOPS = const(12)
_TOS = const(13)
_LENGTH = const(24)
_CONTROL = const(27)
_WINDOW = const(28)
_OPTIONS = const(29)
_SCALE = const(31)
_SEG_SEQ = const(48)
_SEG_ACK = const(49)

_SND_UNA = const(15)
_RCV_NXT = const(16)
_SND_NXT = const(17)
_SND_MAX = const(18)
_SND_WND = const(19)
_SND_WL1 = const(20)
_RCV_ADV = const(22)
_MSS_OUT = const(29)
_SCALES = const(30)
_FLAGS = const(32)
_TS_RECENT = const(33)
_TSVAL = const(32)
_BACKOFF = const(45)
_RTT_AT = const(46)
_RTT_MARK = const(47)
_MSS_FULL = const(90)

_HALF_WORDS = const(8)
_HALF_FLAGS = const(4)
_HALF_TRIES = const(5)
_HALF_RTT_AT = const(6)
_HALF_CHALLENGE = const(7)
_FLAG_DOOMED = const(1 << 26)

_SYN_RECEIVED = const(3)
_FLAG_SACK = const(2)
_FLAG_TIMESTAMPS = const(4)
_FLAG_SCALE = const(512)
_FLAG_ECN = const(1 << 19)  # of a connection in LISTEN and SYN-RECEIVED; later it is w[_ECN]
_FIN = const(1)
_SYN = const(2)
_RST = const(4)
_ACK_BIT = const(16)
_ECE = const(64)
_OPT_SCALE = const(2)
_OPT_SACK = const(4)
_OPT_TIMESTAMPS = const(16)

_TX_DATA = const(64)
_SENT = const(1)
_IDLE = const(0)
_BUSY = const(-1)
_BLOCKED = const(-2)
_UNREACHABLE = const(-3)
_WRAP = const(0x3FFFFFFF)
_CHALLENGE_MS = const(1000)
_RTO_INITIAL = const(1000)  # RFC 6298 2.1
_RTO_MAX = const(60000)
_COOKIE_LIFE = const(2)

_COUNT_TCP_OUT = const(33)
_COUNT_TCP_RETRANSMITTED = const(34)
_COUNT_TCP_RESETS_IN = const(35)
_COUNT_TCP_RESETS_OUT = const(36)
_COUNT_TCP_ACCEPTED = const(41)
_COUNT_TCP_COOKIES_SENT = const(42)
_COUNT_TCP_COOKIES_ACCEPTED = const(43)
_COUNT_TCP_COOKIES_REJECTED = const(44)
_COUNT_TCP_HALF_OPEN_FULL = const(45)
_COUNT_TCP_HALF_OPEN_EXPIRED = const(46)
_COUNT_TCP_HALF_OPEN_RESET = const(47)
_COUNT_TCP_BACKLOG_FULL = const(48)


@micropython.viper
def _adopt(block: ptr32, w: ptr32):
    """The control block `w` goes on with the connection in `block`."""
    w[_SND_UNA] = block[_SND_UNA]
    w[_RCV_NXT] = block[_RCV_NXT]
    w[_SND_WL1] = block[_RCV_NXT] - 1
    w[_TS_RECENT] = block[_TS_RECENT]


@micropython.viper
def _is_old(record: ptr32, block: ptr32) -> int:
    """1 if SEG.TSval is before TS.Recent (RFC 7323 5.3, R1)."""
    return ((record[_TSVAL] - block[_TS_RECENT]) >> 31) & 1


@micropython.native
def on_listen(listener, iface):
    """A segment for nobody's connection. Returns the socket that goes on with it, or None."""
    record = iface.rec
    listener.now = iface.now
    i = listener.half.find(record)
    if i >= 0:
        return _half_open(listener, iface, i)
    control = record[_CONTROL]
    if control & _RST:
        return None
    if control & _ACK_BIT:
        return _stranger(listener, iface)
    if control & _SYN:
        _syn(listener, iface)
    return None


@micropython.native
def _syn(listener, iface):
    """RFC 9293 3.10.7.2, third."""
    record = iface.rec
    block = listener.block
    _take_flow(listener, record)
    options = record[_OPTIONS]
    flags = 0
    block[_SCALES] = 0
    if options & _OPT_SCALE:
        flags = _FLAG_SCALE
        block[_SCALES] = record[_SCALE]
    if options & _OPT_SACK:
        flags |= _FLAG_SACK
    if record[_CONTROL] & _ECE and ecn.is_setup(record) and listener.ecn != "off":
        flags |= _FLAG_ECN
    mss = offered_mss(record, iface.mtu - (20 if block[_FAMILY] == 4 else 40) - 20)
    block[_FLAGS] = flags
    synchronize(record, block)
    choose(iface, block)
    if options & _OPT_TIMESTAMPS and listener.timestamps:
        block[_FLAGS] = flags | _FLAG_TIMESTAMPS
    half = listener.half
    if half.spare:
        block[_MSS_OUT] = mss - 12 if block[_FLAGS] & _FLAG_TIMESTAMPS else mss
        i = half.add(block, iface)
        half.words[i * _HALF_WORDS + _HALF_RTT_AT] = iface.now
        half.arm(i, iface.now, _RTO_INITIAL)
        listener.rearm()
        _sent(listener, i, _send_syn_ack(listener, iface))
        return
    count(iface.counters, _COUNT_TCP_HALF_OPEN_FULL)
    if not listener.cookies:
        return
    block[_MSS_OUT] = mss
    cookie.make(iface, block)
    listener.cookie_at = slow_clock(iface)
    if _send_syn_ack(listener, iface) == _SENT:
        count(iface.counters, _COUNT_TCP_COOKIES_SENT)


def _take_flow(listener, record):
    block = listener.block
    copy_words(block, 0, record, 0, 12)
    block[_HOPS] = listener.hop_limit
    block[_TOS] = 0


def _load(listener, iface, i):
    """Bring record `i` into the block, with the connection's timestamp clock of now."""
    block = listener.block
    listener.half.load(i, block)
    block[_HOPS] = listener.hop_limit
    block[_TOS] = 0
    if block[_FLAGS] & _FLAG_TIMESTAMPS:
        choose(iface, block)
        listener.half.load(i, block)  # the ISS is an older one


@micropython.native
def _stranger(listener, iface):
    """An ACK of no half-open connection: of a cookie, perhaps; else an RST answers it."""
    if listener.cookie_at >= 0:
        if (slow_clock(iface) - listener.cookie_at) & 0xFFFF < _COOKIE_LIFE:
            return _cookie(listener, iface)
        listener.cookie_at = -1
    reset_stranger(iface)
    return None


@micropython.native
def _cookie(listener, iface):
    """Cookies were sent a short time ago: does this ACK bring one?

    One that doesn't is dropped in silence: it can be a later segment of a connection whose first
    ACK was lost, or not taken. The client will send that one again; an RST would end it.
    """
    block = listener.block
    _take_flow(listener, iface.rec)
    if iface.rec[_CONTROL] & _SYN or not cookie.check(iface, block, listener.timestamps):
        count(iface.counters, _COUNT_TCP_COOKIES_REJECTED)
        if listener.overflow_resets:
            reset_stranger(iface)
        return None
    socket = _open(listener, iface, 0, -1)
    if socket is not None:
        count(iface.counters, _COUNT_TCP_COOKIES_ACCEPTED)
    elif listener.overflow_resets:
        reset_stranger(iface)
    return socket


@micropython.native
def _half_open(listener, iface, i):
    """RFC 9293 3.10.7.4 in SYN-RECEIVED, after a passive OPEN."""
    half = listener.half
    record = iface.rec
    block = listener.block
    _load(listener, iface, i)
    relate(record, block)
    control = record[_CONTROL]
    seq = record[_SEG_SEQ]
    if not _acceptable(listener, record):
        if control & _RST:
            return None
        if seq == -1 and control & (_SYN | _ACK_BIT) == _SYN:
            # Our SYN+ACK was lost. Which copy an ACK will be for, nobody knows (RFC 6298 3).
            half.words[i * _HALF_WORDS + _HALF_RTT_AT] = -1
            if block[_FLAGS] & _FLAG_ECN and not ecn.is_setup(record):
                block[_FLAGS] &= ~_FLAG_ECN  # the client gave it up (RFC 3168 6.1.1)
                half.words[i * _HALF_WORDS + _HALF_FLAGS] &= ~_FLAG_ECN
            _sent(listener, i, _send_syn_ack(listener, iface))
        else:
            _challenge(listener, iface, i)
        return None
    if control & _RST:
        count(iface.counters, _COUNT_TCP_RESETS_IN)
        if seq:
            _challenge(listener, iface, i)  # RFC 5961 3.2
        else:
            _forget(listener, iface, i)
        return None
    if control & _SYN:
        _forget(listener, iface, i)  # fourth: back to LISTEN
        return None
    if not control & _ACK_BIT:
        return None
    if block[_FLAGS] & _FLAG_TIMESTAMPS and not record[_OPTIONS] & _OPT_TIMESTAMPS:
        return None  # RFC 7323 3.2; what would become the connection drops it, too
    at = i * _HALF_WORDS
    if record[_SEG_ACK] != 1:
        # Not of our SYN; of a cookie that the same SYN was answered with before, perhaps.
        socket = _stranger(listener, iface)
        if socket is not None:
            half.remove(i)
            listener.rearm()
        return socket
    socket = _open(listener, iface, half.words[at + _HALF_TRIES], half.words[at + _HALF_RTT_AT])
    if socket is not None:
        half.remove(i)
        listener.rearm()
    elif listener.overflow_resets:
        half.remove(i)
        listener.rearm()
        reset_stranger(iface)
    else:
        half.hold(i)
    return socket


@micropython.native
def _acceptable(listener, record):
    """RFC 9293 3.10.7.4, first, and RFC 7323 5.3."""
    control = record[_CONTROL]
    seq = record[_SEG_SEQ]
    n = record[_LENGTH]
    if control & (_SYN | _FIN):
        n += 1
    if n == 0:
        if not 0 <= seq <= listener.window:
            return False
    elif seq >= listener.window or seq + n <= 0:
        return False
    if listener.block[_FLAGS] & _FLAG_TIMESTAMPS and not control & _RST:
        return not record[_OPTIONS] & _OPT_TIMESTAMPS or not _is_old(record, listener.block)
    return True


def _forget(listener, iface, i):
    listener.half.remove(i)
    listener.rearm()
    count(iface.counters, _COUNT_TCP_HALF_OPEN_RESET)


@micropython.native
def _open(listener, iface, tries, rtt_at):
    """The ACK in iface.rec is the one that `block` waits for: the socket that is the connection
    from now on, None if there is none for it."""
    socket = listener.take()
    if socket is None:
        count(iface.counters, _COUNT_TCP_BACKLOG_FULL)
        return None
    count(iface.counters, _COUNT_TCP_ACCEPTED)
    w = socket.w
    block = listener.block
    copy_words(w, 0, block, 0, 12)
    w[_TOS] = 0
    socket.start(iface, _SYN_RECEIVED)
    _adopt(block, w)
    flags = block[_FLAGS]
    w[_FLAGS] |= flags & ~_FLAG_ECN
    w[_MSS_OUT] = w[_MSS_FULL] = block[_MSS_OUT]
    path.fit(socket, iface)
    if flags & _FLAG_ECN:
        ecn.agree(w, True)
    if flags & _FLAG_SCALE:
        w[_SCALES] = block[_SCALES] | listener.scale << 4
    w[_RCV_ADV] = listener.window
    w[_SND_NXT] = 1
    w[_SND_MAX] = 1
    w[_SND_WND] = iface.rec[_WINDOW] << (w[_SCALES] & 15)
    w[_RTT_AT] = rtt_at
    w[_RTT_MARK] = 1
    w[_BACKOFF] = tries
    sockets = socket.sockets
    sockets.bind(socket.slot, w)
    sockets.changed(listener.slot)
    return socket


@micropython.native
def _send_syn_ack(listener, iface):
    """Send the SYN+ACK of the connection in `block`. Returns an egress code."""
    block = listener.block
    mss = iface.mtu - (20 if block[_FAMILY] == 4 else 40) - 20
    end = put_syn_options(iface.tx, block, block[_FLAGS], mss, listener.scale)
    control = _SYN | _ACK_BIT | _ECE if block[_FLAGS] & _FLAG_ECN else _SYN | _ACK_BIT
    emit(iface.tx, block, 0, end - _TX_DATA, 0, control, listener.window, 0)
    return _send(iface, block, end)


@micropython.native
def _answer(listener, iface, control):
    """Send an empty segment at ISS + 1 of the connection in `block`. Returns an egress code."""
    block = listener.block
    end = _TX_DATA + 20
    if block[_FLAGS] & _FLAG_TIMESTAMPS and not control & _RST:
        put_timestamps(iface.tx, end, block)
        end += 12
    window = listener.window
    if block[_FLAGS] & _FLAG_SCALE:
        window >>= listener.scale
    emit(iface.tx, block, 1, end - _TX_DATA, 0, control, window, 0)
    return _send(iface, block, end)


def _send(iface, block, end):
    code = iface.send(block, end)
    if code == _SENT:
        count(iface.counters, _COUNT_TCP_OUT)
    return code


def _sent(listener, i, code):
    """The SYN+ACK of record `i` was given to the interface, which said `code`."""
    half = listener.half
    if code == _SENT:
        half.settle(i)
    elif code <= _UNREACHABLE:
        half.remove(i)  # nobody would hear it
    else:
        half.pend(i)
        listener.sockets.mark(listener.slot)


def _challenge(listener, iface, i):
    """An ACK that tells where we stand, at most one a second (RFC 5961 3.2, 4.2, 7)."""
    at = i * _HALF_WORDS + _HALF_CHALLENGE
    words = listener.half.words
    t = words[at]
    if t >= 0 and ((iface.now - t) & _WRAP) < _CHALLENGE_MS:
        return
    words[at] = iface.now
    _answer(listener, iface, _ACK_BIT)


@micropython.native
def dispatch(listener, iface):
    """Send what one half-open connection has to send. Returns an egress code."""
    half = listener.half
    i = half.next_pending(0)
    while i >= 0:
        _load(listener, iface, i)
        if half.flags(i) & _FLAG_DOOMED:
            code = _answer(listener, iface, _RST | _ACK_BIT)
            if code == _BUSY:
                return code
            half.remove(i)
            if code == _SENT:
                count(iface.counters, _COUNT_TCP_RESETS_OUT)
        else:
            code = _send_syn_ack(listener, iface)
            if code == _BUSY:
                return code
            _sent(listener, i, code)
            if code == _SENT and half.words[i * _HALF_WORDS + _HALF_RTT_AT] < 0:
                count(iface.counters, _COUNT_TCP_RETRANSMITTED)
        if code == _SENT:
            return code
        # One whose neighbour is being asked keeps nobody else from being answered.
        i = half.next_pending(i + 1)
    return _BLOCKED if half.pending else _IDLE


def on_timer(listener, iface):
    """The set's deadline passed: SYN+ACKs go again; sockets that take too long to close end."""
    half = listener.half
    deadlines = half.deadlines
    listener.now = iface.now
    for _ in range(deadlines.running()):
        i = deadlines.take_due(iface.now)
        if i < 0:
            break
        if i < half.capacity:
            _again(listener, iface, i)
        else:
            listener.check_leaving(i - half.capacity)
    listener.rearm()


def _is_ours(iface, block):
    return iface.is_local(block, _LOCAL, block[_FAMILY])


def _again(listener, iface, i):
    """No ACK came: send the SYN+ACK again, after twice the time the next one (RFC 6298 5)."""
    half = listener.half
    at = i * _HALF_WORDS
    tries = half.words[at + _HALF_TRIES]
    half.load(i, listener.block)
    # An address that was taken from the interface gets no answer (RFC 1122 3.2.1.3).
    if tries >= listener.retries or not _is_ours(iface, listener.block):
        half.remove(i)
        count(iface.counters, _COUNT_TCP_HALF_OPEN_EXPIRED)
        return
    tries += 1
    half.words[at + _HALF_TRIES] = tries
    half.words[at + _HALF_RTT_AT] = -1
    rto = _RTO_MAX if tries > 5 else _RTO_INITIAL << tries
    half.arm(i, iface.now, rto)
    half.pend(i)
    listener.sockets.mark(listener.slot)
