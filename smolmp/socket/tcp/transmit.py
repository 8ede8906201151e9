"""TCP output: which segment goes next, and building it in place (RFC 9293 3.7 and 3.8).

`dispatch` sends at most one segment and changes the connection only after the interface took
it: a busy device or a neighbour that is still being asked costs nothing. Positions are counted
from SND.UNA; the octet at position 0 is the SYN while it is unacknowledged, then the first
octet of the transmit ring; the FIN stands behind the last one.
"""

from errno import EHOSTUNREACH

import micropython
from micropython import const

from smolmp.counters import count, count_two
from smolmp.socket.tcp import closing, ecn, recovery, timers, user_timeout
from smolmp.socket.tcp.burst import burst
from smolmp.socket.tcp.kernels import announce, clock, emit, put_sack, put_timestamps
from smolmp.socket.tcp.steps import depart, whole
from smolmp.storage.kernels import ring_read_sum
from smolmp.storage.ranges import assembler_find

_FAMILY = const(0)
_STATE = const(14)
_SND_NXT = const(17)
_SND_MAX = const(18)
_SND_WND = const(19)
_RCV_ADV = const(22)
_RX = const(23)
_TX = const(26)
_MSS_OUT = const(29)
_SCALES = const(30)
_FLAGS = const(32)
_T_RETRANSMIT = const(36)
_T_ACK = const(37)
_T_PERSIST = const(39)
_T_SET = const(41)
_RTT_AT = const(46)
_RTT_MARK = const(47)
_UNACKED = const(50)
_PROGRESS = const(52)
_MAX_WND = const(56)
_NEWEST = const(57)  # where the segment began that came last of those out of order
_RETRANSMITS = const(58)
_LIMIT = const(62)
_SMALL = const(84)
_ECN = const(88)
_HOLES = const(98)
_HELD = const(99)
_RANGES = const(100)

_SYN_SENT = const(2)
_SYN_RECEIVED = const(3)
_ESTABLISHED = const(4)
_FIN_WAIT_1 = const(5)
_CLOSE_WAIT = const(7)
_CLOSING = const(8)
_LAST_ACK = const(9)

_FLAG_NAGLE = const(1)
_FLAG_SACK = const(2)
_FLAG_TIMESTAMPS = const(4)
_FLAG_ACK_NOW = const(8)
_FLAG_RESEND = const(16)
_FLAG_PROBE = const(32)
_FLAG_KEEP_ALIVE = const(64)
_FLAG_RESET = const(128)
_FLAG_HOLD_SYN = const(256)
_FLAG_SCALE = const(512)
_FLAG_KEEP_ALIVE_SET = const(2048)
_FLAG_TAIL = const(4096)
_FLAG_FORCE = const(8192)

_FLAG_MINSHALL = const(16384)
_FLAG_CLOSED = const(65536)
_FLAG_TELL_TIMEOUT = const(131072)

_FLAGS_RARE = const(2048 | 65536)  # what the program set
_FLAGS_TO_SEND = const(8 | 16 | 32 | 64 | 2048 | 4096 | 65536 | 131072)  # what dispatch() looks at

_FIN = const(1)
_SYN = const(2)
_RST = const(4)
_PSH = const(8)
_ACK_BIT = const(16)
_ECE = const(64)

_TX_DATA = const(64)
_LAST = const(2)  # sent, and nothing else to send
_SENT = const(1)
_IDLE = const(0)
_BUSY = const(-1)
_BLOCKED = const(-2)
_UNREACHABLE = const(-3)
_MAX_SACKS = const(4)

_AGAIN = const(1)  # of depart()
_RESTART = const(2)
_TELL = const(4)
_TIMED = const(8)

_HINTED = const(-2)  # of ipv4.emit(): to the neighbour that the last packet went to

_COUNT_TX_FRAMES = const(1)
_COUNT_TX_BUSY = const(2)
_COUNT_TCP_OUT = const(33)
_COUNT_TCP_RETRANSMITTED = const(34)
_COUNT_TCP_RESETS_OUT = const(36)


def dispatcher(socket):
    """What the set calls to have `socket` send. Most often that is all that is queued, to the
    neighbour that the last packet went to: then headers and text are two kernels' work."""

    # Defaults are at hand; globals would be searched for. Four are what a GC block has room for.
    @micropython.native
    def short(iface, s=socket, w=socket.w, ring=socket.tx_buffer, make=whole):
        tx, mac, counters, transmit, own, routes, neighbors, start, emit_packet = iface.outward
        now = iface.now
        end = make(tx, w, ring, now)
        if not end:
            return dispatch(s, iface)
        if emit_packet(tx, w, end, neighbors, _HINTED, mac, now):
            if not transmit(tx, start, end):
                count(counters, _COUNT_TX_BUSY)
                return _BUSY
            count_two(counters, _COUNT_TX_FRAMES, _COUNT_TCP_OUT)
        else:
            code = _send(iface, w, end)
            if code != _SENT:
                return code
        what = depart(w, -1, 0, now)
        if what:
            _departed(s, iface, what)
        return _LAST

    return short


@micropython.native
def dispatch(socket, iface):
    """Send the next segment of `socket`, if it has one to send. Returns an egress code."""
    w = socket.w
    state = w[_STATE]
    flags = w[_FLAGS]
    if state < _ESTABLISHED:
        if state >= _SYN_SENT:
            if w[_SND_NXT] == 0 and (state == _SYN_SENT or not flags & _FLAG_HOLD_SYN):
                return _send_syn(socket, iface)
            if flags & _FLAG_ACK_NOW:  # an answer in SYN-RECEIVED that the device did not take
                return send_ack(socket, iface, acceptable_position(w))
            return _IDLE
        if flags & _FLAG_RESET:
            return _send_reset(socket, iface)
        return _IDLE
    if flags & _FLAGS_RARE:
        w[_FLAGS] = flags & ~_FLAGS_RARE
        if flags & _FLAG_KEEP_ALIVE_SET:
            timers.start_keep_alive(socket, iface.now)
        if flags & _FLAG_CLOSED:
            closing.start_timers(socket, iface.now)
    if flags & (_FLAG_RESEND | _FLAG_TAIL):
        position = recovery.resend(w, flags)
        if position >= 0:
            n = recovery.length(w, position)
            return _send_data(socket, iface, position, n)
        if w[_SND_WND] == 0:
            timers.start_persist(socket, iface.now)
    if flags & _FLAG_PROBE:
        return _send_data(socket, iface, 0, _probe_length(w))
    position = w[_SND_NXT]
    n = w[_MSS_OUT]
    if state != _ESTABLISHED or w[_TX + 2] - position < n or w[_SND_WND] - position < n:
        n = sendable(socket, iface, position)
    elif w[_LIMIT] - position < n:
        n = sendable(socket, iface, position)
    if n >= 0:
        code = _send_data(socket, iface, position, n)
        if code == _SENT and n == w[_MSS_OUT] and w[_SND_NXT] == w[_SND_MAX] and iface.burst:
            header = 32 if w[_FLAGS] & _FLAG_TIMESTAMPS else 20
            burst(socket, iface, n, header)
        elif code == _SENT and w[_SND_NXT] == w[_TX + 2] and state == _ESTABLISHED:
            if w[_FLAGS] & _FLAGS_TO_SEND == 0:
                return _LAST
        return code
    if flags & (_FLAG_ACK_NOW | _FLAG_TELL_TIMEOUT):
        return send_ack(socket, iface, acceptable_position(w))
    if flags & _FLAG_KEEP_ALIVE:
        # RFC 1122 4.2.3.6: one octet below the window and no data: whoever lives answers it.
        return send_ack(socket, iface, -1)
    if window_update_due(w):
        return send_ack(socket, iface, acceptable_position(w))
    return _IDLE


def acceptable_position(w):
    """Where an empty segment stands: at SND.NXT, but never right of the peer's window."""
    position = w[_SND_MAX]
    return position if position <= w[_SND_WND] else w[_SND_WND]


def fin_outstanding(w):
    """True while our FIN belongs to the stream: asked for and not yet acknowledged."""
    state = w[_STATE]
    return state == _FIN_WAIT_1 or state == _CLOSING or state == _LAST_ACK


@micropython.native
def sendable(socket, iface, position):
    """Octets of payload to send at `position`; 0: only the FIN; -1: nothing may be sent.

    The sender's side of silly window avoidance (RFC 9293 3.8.6.2.1) and Nagle (3.7.4).
    """
    w = socket.w
    state = w[_STATE]
    if state != _ESTABLISHED and state != _CLOSE_WAIT and not fin_outstanding(w):
        return -1
    queued = w[_TX + 2] - position
    fin = fin_outstanding(w) and queued >= 0
    if queued <= 0 and not fin:
        return -1
    window = w[_SND_WND] - position
    mss = w[_MSS_OUT]
    n = queued
    if n > mss:
        n = mss
    if n > window:
        n = window
    if n <= 0:
        # Only the FIN is left; like data it waits for the window.
        if queued == 0 and window > 0:
            return 0
        timers.start_persist(socket, iface.now)
        return -1
    if n > w[_LIMIT] - position:
        return -1  # cwnd is full; the next ACK makes room
    if n == mss or fin and n == queued:
        return n
    if n == queued and (position == 0 or not w[_FLAGS] & _FLAG_NAGLE):
        return n
    if n == queued and w[_FLAGS] & _FLAG_MINSHALL and w[_SMALL] == 0:
        return n
    if n < queued and n + n >= w[_MAX_WND]:
        return n
    if position < w[_SND_MAX]:
        return n
    # A window too small to use well: rather wait, or ask, than send crumbs.
    if n < queued:
        timers.start_persist(socket, iface.now)
    return -1


@micropython.viper
def window_update_due(block) -> bool:
    """True when the user's reading opened the window enough to tell (RFC 9293 3.8.6.2.2)."""
    w = ptr32(block)
    state = w[_STATE]
    if state < _ESTABLISHED or state >= _CLOSE_WAIT:
        return False
    # As far as the window field can tell: an update that says nothing new would not be the last.
    scale = w[_SCALES] >> 4
    free = (w[_RX] - w[_RX + 2]) >> scale
    if free > 0xFFFF:
        free = 0xFFFF
    growth = (free << scale) - w[_RCV_ADV]
    if growth > 0 and (growth >= w[_RX] >> 1 or growth >= w[_MSS_OUT] << 1):
        return True
    return False


def _timestamps(w, iface):
    """Write the timestamps option of a segment; returns the header length with it."""
    clock(w, iface.now)
    put_timestamps(iface.tx, _TX_DATA + 20, w)
    return 32


@micropython.native
def send_ack(socket, iface, position):
    """Send an empty ACK with SEQ = SND.UNA + position, with SACK blocks when there are holes."""
    w = socket.w
    header = _timestamps(w, iface) if w[_FLAGS] & _FLAG_TIMESTAMPS else 20
    if w[_FLAGS] & _FLAG_TELL_TIMEOUT:
        user_timeout.put(iface.tx, _TX_DATA + header, socket.advertised_timeout)
        header += 4
    if w[_HELD] and w[_FLAGS] & _FLAG_SACK:
        header = _put_sacks(socket, iface.tx, header)
    emit(iface.tx, w, position, header, 0, _ACK_BIT | w[_ECN] & _ECE, announce(w), 0)
    code = _send(iface, w, _TX_DATA + header)
    if code == _SENT:
        w[_FLAGS] &= ~(_FLAG_ACK_NOW if position >= 0 else _FLAG_KEEP_ALIVE) & ~_FLAG_TELL_TIMEOUT
        w[_T_ACK] = -1
        w[_UNACKED] = 0
    return code


@micropython.native
def _send(iface, w, end):
    """iface.send, but what can't be sent counts as lost on the way: the timers see to it."""
    code = iface.send(w, end)
    if code == _SENT:
        count(iface.counters, _COUNT_TCP_OUT)
    elif code <= _UNREACHABLE:
        code = _SENT
    return code


def _put_sacks(socket, frame, header):
    """SACK blocks of the ranges held; returns the header length.

    The newest first, then from the right to the left, mostly the order of arrival (RFC 2018 4).
    """
    w = socket.w
    count = w[_HELD]
    newest = assembler_find(w, _HOLES, w[_NEWEST])
    if newest < 0:
        newest = 0
    room = (60 - header - 4) >> 3
    at = _TX_DATA + header
    off = at + 4
    n = 0
    i = newest
    while n < room and n < _MAX_SACKS and n < count:
        put_sack(frame, off, w, w[_RANGES + 2 * i], w[_RANGES + 1 + 2 * i])
        off += 8
        n += 1
        i = count - n
        if i <= newest:
            i -= 1
    frame[at] = 1
    frame[at + 1] = 1
    frame[at + 2] = 5
    frame[at + 3] = 2 + (n << 3)
    return header + 4 + (n << 3)


def _probe_length(w):
    """Octets of a window probe.

    One, beyond the shut window, asks whether it opened (RFC 9293 3.8.6.1). What fits into a window
    that was too small to be used well goes when waiting did not help (3.8.6.2.1, the override).
    """
    n = w[_SND_WND]
    if n > w[_MSS_OUT]:
        n = w[_MSS_OUT]
    if n == 0:
        n = 1
    return n if n < w[_TX + 2] else w[_TX + 2]


@micropython.native
def _send_data(socket, iface, position, n):
    """Send `n` octets at `position`, with the FIN when they end the stream."""
    w = socket.w
    header = _timestamps(w, iface) if w[_FLAGS] & _FLAG_TIMESTAMPS else 20
    start = _TX_DATA + header
    acc = 0
    if n:
        acc = ring_read_sum(socket.tx_buffer, w, _TX, position, iface.tx, start, n, 0)
    control = _ACK_BIT
    end = position + n
    if end == w[_TX + 2]:
        if n:
            control = _ACK_BIT | _PSH
        if fin_outstanding(w) and (end < w[_SND_WND] or w[_FLAGS] & _FLAG_PROBE):
            control |= _FIN
            end += 1
    if w[_ECN]:
        control |= ecn.mark_data(w, position, n)
    emit(iface.tx, w, position, header, n, control, announce(w), acc)
    code = _send(iface, w, start + n)
    if w[_ECN]:
        ecn.marked(iface, w, control, code == _SENT)
    if code == _SENT:
        if n < w[_MSS_OUT] and end > w[_SND_MAX]:
            w[_SMALL] = end
        _sent(socket, iface, position, end)
    return code


@micropython.native
def _sent(socket, iface, position, end):
    """Positions [position, end) left: move SND.NXT and SND.MAX, time and guard them."""
    what = depart(socket.w, position, end, iface.now)
    if what:
        _departed(socket, iface, what)


@micropython.native
def _departed(socket, iface, what):
    """What depart() says is left to do."""
    if what & _AGAIN:
        count(iface.counters, _COUNT_TCP_RETRANSMITTED)
    elif what & _RESTART:
        recovery.restart(socket)
    if what & _TELL:
        socket.sockets.deadline(socket.slot, socket.w[_T_SET])
    if what & _TIMED:
        timers.guard(socket, iface.now)


def put_syn_options(frame, w, offered, mss, scale):
    """Write the options of a SYN behind its header: MSS, and what of _FLAG_SCALE, _FLAG_SACK and
    _FLAG_TIMESTAMPS is in `offered`. Returns the segment's end."""
    at = _TX_DATA + 20
    frame[at] = 2
    frame[at + 1] = 4
    frame[at + 2] = mss >> 8
    frame[at + 3] = mss & 255
    at += 4
    if offered & _FLAG_SCALE:
        frame[at] = 1
        frame[at + 1] = 3
        frame[at + 2] = 3
        frame[at + 3] = scale
        at += 4
    if offered & _FLAG_SACK:
        frame[at] = 1
        frame[at + 1] = 1
        frame[at + 2] = 4
        frame[at + 3] = 2
        at += 4
    if offered & _FLAG_TIMESTAMPS:
        put_timestamps(frame, at, w)
        at += 12
    return at


def _send_syn(socket, iface):
    """Send the SYN, or the SYN+ACK of a passive or simultaneous open, with its options."""
    w = socket.w
    frame = iface.tx
    reply = w[_STATE] == _SYN_RECEIVED
    offered = w[_FLAGS] if reply else _FLAG_SCALE | _FLAG_SACK | _FLAG_TIMESTAMPS
    if not socket.timestamps:
        offered &= ~_FLAG_TIMESTAMPS
    clock(w, iface.now)
    mss = iface.mtu - (40 if w[_FAMILY] == 4 else 60)
    at = put_syn_options(frame, w, offered, mss, socket.scale)
    if socket.advertised_timeout:
        user_timeout.put(frame, at, socket.advertised_timeout)
        at += 4
    field = w[_RX] - w[_RX + 2]
    if field > 0xFFFF:
        field = 0xFFFF  # the window of a SYN is never scaled (RFC 7323 2.2)
    control = _SYN | _ACK_BIT if reply else _SYN
    if w[_ECN]:
        control |= ecn.syn_flags(w)
    emit(frame, w, 0, at - _TX_DATA, 0, control, field, 0)
    code = iface.send(w, at)
    if code <= _UNREACHABLE:
        socket.fail(EHOSTUNREACH)
    elif code == _SENT:
        count(iface.counters, _COUNT_TCP_OUT)
        if field > w[_RCV_ADV]:
            w[_RCV_ADV] = field
        _sent(socket, iface, 0, 1)
    return code


def _send_reset(socket, iface):
    """Send the RST of an abort."""
    w = socket.w
    header = _timestamps(w, iface) if w[_FLAGS] & _FLAG_TIMESTAMPS else 20
    emit(iface.tx, w, 0, header, 0, _RST | _ACK_BIT, 0, 0)
    code = _send(iface, w, _TX_DATA + header)
    if code != _BUSY and code != _BLOCKED:
        w[_FLAGS] &= ~_FLAG_RESET
        count(iface.counters, _COUNT_TCP_RESETS_OUT)
    return code
