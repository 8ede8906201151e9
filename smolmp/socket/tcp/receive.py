"""TCP input: a segment arrives (RFC 9293 3.10.7).

The order of checks is the RFC's. `relate` has placed the segment: SEG.SEQ counts from RCV.NXT and
SEG.ACK from SND.UNA, so "RCV.NXT =< SEG.SEQ" reads `0 <= seq` here.
"""

from errno import ECONNREFUSED, ECONNRESET

import micropython
from micropython import const

from smolmp.counters import count
from smolmp.socket.tcp import ecn, states, timers
from smolmp.socket.tcp.acknowledge import acknowledge, acknowledged, time_wait
from smolmp.socket.tcp.closing import discard, reopen, unheard
from smolmp.socket.tcp.handshake import open_passively, syn_sent
from smolmp.socket.tcp.kernels import advance, predict, relate, take
from smolmp.socket.tcp.replies import answer, answer_invalid, challenge
from smolmp.socket.tcp.timestamps import paws, refuse
from smolmp.socket.tcp.user_timeout import learn
from smolmp.storage.kernels import ring_write
from smolmp.storage.ranges import assembler_add, assembler_advance

_PAYLOAD = const(23)
_LENGTH = const(24)
_CONTROL = const(27)
_OPTIONS = const(29)
_SEG_SEQ = const(48)
_SEG_ACK = const(49)

_STATE = const(14)
_RCV_NXT = const(16)
_SND_NXT = const(17)
_RCV_ADV = const(22)
_RX = const(23)
_MSS_OUT = const(29)
_FLAGS = const(32)
_T_ACK = const(37)
_T_CLOSE = const(40)
_T_SET = const(41)
_UNACKED = const(50)
_RTO = const(44)
_FIN_AT = const(53)
_NEWEST = const(57)
_CWND = const(60)
_STAMPED = const(76)
_IN_BASE = const(82)
_TEXT_AT = const(86)  # when a full segment last came
_ECN = const(88)
_QUICK = const(90)  # above MSS_FULL: full segments that are still acknowledged one by one
_WAITS = const(96)  # rto_min, and in 14 bits ack_delay
_HOLES = const(98)
_HELD = const(99)
_QUICK_ONE = const(0x10000)
_QUICK_MOST = const(0x1FFF)
_ACK_DELAY = const(0x3FFF)
_WRAP = const(0x3FFFFFFF)
_HALF = const(0x20000000)

_LISTEN = const(1)
_SYN_SENT = const(2)
_SYN_RECEIVED = const(3)
_ESTABLISHED = const(4)
_FIN_WAIT_1 = const(5)
_FIN_WAIT_2 = const(6)
_CLOSE_WAIT = const(7)
_CLOSING = const(8)
_LAST_ACK = const(9)
_TIME_WAIT = const(10)

_FLAG_TIMESTAMPS = const(4)
_FLAG_ACK_NOW = const(8)
_FLAG_DEAF = const(32768)
_FLAG_PASSIVE = const(1 << 20)

_FIN = const(1)
_SYN = const(2)
_RST = const(4)
_ACK_BIT = const(16)
_ECE = const(64)
_OPT_USER_TIMEOUT = const(32)

_COUNT_TCP_RESETS_IN = const(35)


@micropython.native
def segment_arrives(socket, iface):
    """Process the segment in iface.rec, which the demux gave to `socket`."""
    w = socket.w
    record = iface.rec
    state = w[_STATE]
    if state == _LISTEN:
        socket = socket.on_listen(iface)
        if socket is None:
            return
        w = socket.w  # a Listener's: its handshake ends with this segment
        state = _SYN_RECEIVED
    flags = w[_FLAGS]
    stale = paws(record, w, iface.now) if flags & _FLAG_TIMESTAMPS else 0
    relate(record, w)
    if flags & _FLAG_TIMESTAMPS:
        if stale and refuse(socket, iface, stale):
            return
        w[_STAMPED] = iface.seconds
    if state == _ESTABLISHED and not w[_HELD] and not flags & _FLAG_DEAF:
        code = predict(record, w, iface.now)
        if code:
            _expected(socket, iface, code)
            return
    if state == _SYN_SENT:
        syn_sent(socket, iface)
        return
    control = record[_CONTROL]
    if state == _TIME_WAIT and control & (_SYN | _ACK_BIT) == _SYN:
        slot = reopen(socket, iface)
        if slot >= 0:
            segment_arrives(socket.sockets.objects[slot], iface)
            return
    if not _acceptable(socket, iface):
        return
    if control & _RST:
        _reset(socket, iface)
        return
    if control & _SYN:
        _syn_again(socket, iface)
        return
    if not control & _ACK_BIT:
        return
    if state == _SYN_RECEIVED and not open_passively(socket, iface):
        return
    cwnd = w[_CWND]
    if not acknowledge(socket, iface):
        return
    if control & _ECE and w[_ECN]:
        ecn.echoed(socket, iface, cwnd)
    if record[_OPTIONS] & _OPT_USER_TIMEOUT:
        learn(socket, record)
    if record[_LENGTH] or control & _FIN:
        if not flags & _FLAG_DEAF:
            _receive(socket, iface)
        elif not unheard(socket, iface):
            _receive(socket, iface)
            discard(socket)


@micropython.native
def _expected(socket, iface, code):
    """The segment that header prediction knows: only its ACK and its text are left to take."""
    w = socket.w
    record = iface.rec
    n = record[_SEG_ACK]
    if n:
        acknowledged(socket, iface, n)
    if code & 2:
        socket.sockets.mark(socket.slot)  # the window grew: more may be sent
    n = record[_LENGTH]
    if n:
        if w[_ECN]:
            ecn.received(socket, iface)
        ring_write(socket.rx_buffer, w, _RX, 0, iface.rx, record[_PAYLOAD], n)
        take(w, n)
        socket.sockets.changed(socket.slot)
        schedule_ack(socket, iface)


@micropython.native
def _acceptable(socket, iface):
    """RFC 9293 3.10.7.4, first: is it in the window? If not, answers it and returns False."""
    w = socket.w
    record = iface.rec
    control = record[_CONTROL]
    seq = record[_SEG_SEQ]
    n = record[_LENGTH]
    if control & (_SYN | _FIN):
        n += 1
    window = w[_RCV_ADV]
    if n == 0:
        # A peer that has filled the window speaks from its right edge.
        if 0 <= seq <= window:
            return True
    elif window == 0:
        # Nothing fits, but the ACK, and an RST or FIN, at the edge must be heard.
        if seq == 0:
            return True
    elif seq < window and seq + n > 0:
        return True
    if control & _RST:
        return False
    if control & _FIN and w[_STATE] == _TIME_WAIT:
        # The peer did not get our last ACK: give it the time again (RFC 9293 3.10.7.4, fin bit).
        timers.arm(socket, _T_CLOSE, iface.now, socket.time_wait)
    if control & _SYN:
        if w[_STATE] == _SYN_RECEIVED and seq == -1:
            ecn.syn_again(w, control)
            if control & _ACK_BIT:
                answer(socket, iface)  # simultaneous open
            else:
                w[_SND_NXT] = 0  # our SYN+ACK was lost: send it again
                socket.sockets.mark(socket.slot)
        else:
            challenge(socket, iface)
    elif n or seq == -1:
        answer_invalid(socket, iface)  # old data, a keep-alive: the peer needs this to go on
    else:
        challenge(socket, iface)
    return False


def _reset(socket, iface):
    """RFC 9293 3.10.7.4, second, with RFC 5961 3.2: only the exact next octet may reset."""
    w = socket.w
    count(iface.counters, _COUNT_TCP_RESETS_IN)
    if w[_STATE] == _TIME_WAIT:
        return  # RFC 1337: an old duplicate must not cut TIME-WAIT short
    if iface.rec[_SEG_SEQ] != 0:
        challenge(socket, iface)
    elif w[_STATE] == _CLOSING or w[_STATE] == _LAST_ACK:
        socket.release()  # both sides have closed: nothing is left to be told to the program
    else:
        socket.fail(ECONNREFUSED if w[_STATE] == _SYN_RECEIVED else ECONNRESET)


def _syn_again(socket, iface):
    """RFC 9293 3.10.7.4, fourth: a SYN in the window."""
    w = socket.w
    listened = w[_FLAGS] & _FLAG_PASSIVE and w[_STATE] == _SYN_RECEIVED
    if listened and iface.rec[_SEG_SEQ] >= 0:
        socket.listen_on()
    else:
        challenge(socket, iface)  # RFC 5961 4.2: whoever sent it learns where we stand


@micropython.native
def _receive(socket, iface):
    """RFC 9293 3.10.7.4, seventh and eighth: the text and the FIN."""
    w = socket.w
    state = w[_STATE]
    if state != _ESTABLISHED and state != _FIN_WAIT_1 and state != _FIN_WAIT_2:
        return
    if w[_ECN]:
        ecn.received(socket, iface)
    record = iface.rec
    offset = record[_SEG_SEQ]
    n = record[_LENGTH]
    start = record[_PAYLOAD]
    fin = record[_CONTROL] & _FIN
    urgent = offset != 0 or w[_HELD] != 0
    if offset < 0:
        start -= offset
        n += offset
        offset = 0
    if offset + n > w[_RCV_ADV]:
        # What lies beyond the window is not there, nor the FIN behind it. A FIN alone needs no
        # room: it is taken when the window is full.
        n = w[_RCV_ADV] - offset
        fin = 0
        urgent = True
    if fin and w[_FIN_AT] < 0:
        w[_FIN_AT] = offset + n
    if n > 0:
        got = _store(socket, iface.rx, start, offset, n)
        if got < 0:
            urgent = True
        elif got:
            _take(socket, got)
    if w[_FIN_AT] == 0:
        _fin_arrives(socket, iface)
    elif urgent:
        # Out of order, or filling a gap: the peer's loss recovery counts on it (RFC 5681 4.2).
        answer(socket, iface)
        return
    schedule_ack(socket, iface)


@micropython.native
def _store(socket, frame, start, offset, n):
    """Put n octets at `offset` from RCV.NXT into the receive ring.

    Returns how many octets became readable, -1 when there are too many holes to remember.
    """
    w = socket.w
    if offset == 0:
        got = assembler_advance(w, _HOLES, n)  # which cannot fail
    else:
        # Never in front, so there is nothing to be taken from the front.
        got = assembler_add(w, _HOLES, offset, n) - 1
    if got >= 0:
        ring_write(socket.rx_buffer, w, _RX, offset, frame, start, n)
        w[_NEWEST] = offset
    return got


def _take(socket, n):
    """n octets at RCV.NXT are in order: they are the user's now."""
    w = socket.w
    take(w, n)
    if w[_FIN_AT] >= 0:
        w[_FIN_AT] -= n
    if w[_HELD]:
        w[_NEWEST] -= n
    socket.sockets.changed(socket.slot)


@micropython.native
def schedule_ack(socket, iface):
    """RFC 9293 3.8.6.3: at once for every second full segment, else within ack_delay.

    When a connection, or a flight after a pause, begins, every full segment is acknowledged: the
    sender's window grows by ACKs. Small ones are not: an answer of the program is to take theirs.
    """
    w = socket.w
    code = owe(w, iface.now)
    if code == 1:
        socket.sockets.deadline(socket.slot, w[_T_SET])
    if code >= 0:
        return
    n = w[_UNACKED]
    if n >= w[_MSS_OUT]:
        now = iface.now
        if ((now - w[_TEXT_AT]) & _WRAP) > w[_RTO]:
            quick = socket.quick_acks
            if quick > _QUICK_MOST:
                quick = _QUICK_MOST
            w[_QUICK] = w[_QUICK] & 0xFFFF | quick << 16
        w[_TEXT_AT] = now
        if n == w[_MSS_OUT] and w[_QUICK] >= _QUICK_ONE:
            w[_QUICK] -= _QUICK_ONE
            n += 1
    delay = w[_WAITS] & _ACK_DELAY
    if n > w[_MSS_OUT] or not delay or w[_FLAGS] & _FLAG_ACK_NOW:
        w[_FLAGS] |= _FLAG_ACK_NOW
        socket.sockets.mark(socket.slot)
    elif n and w[_T_ACK] < 0:
        timers.arm(socket, _T_ACK, iface.now, delay)


@micropython.viper
def owe(block, now: int) -> int:
    """Less than a full segment is to be acknowledged in ack_delay ms: timers.arm(), made plain.
    0: done; 1: and the set is to be told of w[_T_SET]; -1: there is more to it than that."""
    w = ptr32(block)
    delay = w[_WAITS] & _ACK_DELAY
    if delay == 0 or w[_UNACKED] >= w[_MSS_OUT] or w[_FLAGS] & _FLAG_ACK_NOW:
        return -1
    if w[_UNACKED] == 0 or not ((w[_T_ACK] >> 31) & 1):
        return 0
    t = (now + delay) & _WRAP
    w[_T_ACK] = t
    known = w[_T_SET]
    if not ((known >> 31) & 1) and ((known - t) & _WRAP >= _HALF or known == t):
        return 0
    w[_T_SET] = t
    return 1


def _fin_arrives(socket, iface):
    w = socket.w
    w[_FIN_AT] = -1
    w[_HELD] = 0  # nothing follows a FIN, whatever a peer sent
    advance(w, _IN_BASE, 1)  # a FIN is no octet
    advance(w, _RCV_NXT, 1)
    if w[_RCV_ADV]:
        w[_RCV_ADV] -= 1
    w[_FLAGS] |= _FLAG_ACK_NOW
    state = w[_STATE]
    if state == _ESTABLISHED:
        states.enter(w, _CLOSE_WAIT)
    elif state == _FIN_WAIT_1:
        states.enter(w, _CLOSING)
    else:
        time_wait(socket, iface)
    socket.sockets.changed(socket.slot)
