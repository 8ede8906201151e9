"""ICMP for IPv4 in the Interface: echo replies, errors (RFC 792, RFC 1122 3.2.2, RFC 1812 4.3.2).

An echo request for a broadcast or group is answered only if iface.echo_broadcast is set: RFC 1122
3.2.2.6 allows to discard it, and a host that answers amplifies for whoever forges the source.
"""

import micropython
from micropython import const

from smolmp.counters import count
from smolmp.socket.protocols import HANDLERS, ICMP_ERRORS, ICMP_LISTENERS
from smolmp.wire import icmpv4 as wire
from smolmp.wire.checksum import copy_checksum

_FAMILY = const(0)
_PROTO = const(1)
_LOCAL = const(4)
_HOPS = const(12)
_TOS = const(13)
_CAST = const(15)
_NET = const(17)
_DATA = const(18)
_END = const(19)
_FRAGMENT = const(20)
_SCOPE = const(22)
_PAYLOAD = const(23)
_TYPE = const(43)

_ICMP_ECHO_REQUEST = const(8)
_ICMP_UNREACHABLE = const(3)
_ICMP_PROTOCOL_ICMP = const(1)
_ERROR_QUOTE = const(548)  # an error is at most 576 bytes: RFC 1812 4.3.2.3

_TX_DATA = const(64)
_SENT = const(1)

_TICKS_MASK = const(0x3FFFFFFF)

_COUNT_TX_DROPPED = const(3)
_COUNT_IP_TOO_BIG = const(16)
_COUNT_ICMP_IN = const(24)
_COUNT_ICMP_ECHOS = const(25)
_COUNT_ICMP_ERRORS = const(26)
_COUNT_ICMP_LIMITED = const(27)


@micropython.viper
def _echo(tx: ptr8, at: int, rx: ptr8, off: int, end: int):
    """The reply to the request rx[off:end] at tx[at:]: type 0 and, by RFC 1624, its checksum."""
    n = end - off
    i = 0
    if (int(tx) + at | int(rx) + off) & 3 == 0:
        to = ptr32(int(tx) + at)
        words = ptr32(int(rx) + off)
        while i < n >> 2:
            to[i] = words[i]
            i += 1
        i <<= 2
    while i < n:
        tx[at + i] = rx[off + i]
        i += 1
    tx[at] = 0
    # HC' = ~(~HC + ~0x0800 + 0x0000)
    s = ((tx[at + 2] << 8 | tx[at + 3]) ^ 0xFFFF) + 0xF7FF
    s = ((s & 0xFFFF) + (s >> 16)) ^ 0xFFFF
    # Of a message of zeros 0 would be wrong; of all others 0xffff is as right.
    if s == 0:
        s = 0xFFFF
    tx[at + 2] = s >> 8
    tx[at + 3] = s


@micropython.viper
def _may_complain(rx: ptr8, rec: ptr32) -> int:
    """1 if RFC 1122 3.2.2 allows an error about the packet: it was sent to one host by one host,
    it is no ICMP error, and it is no fragment but the first."""
    if rec[15] != 0 or rec[22] == 1 or rec[22] == 2 or rec[20] >> 2 != 0:
        return 0
    top = (rec[8] >> 24) & 0xFF
    if top == 0 or top == 127 or top >= 224:
        return 0
    if rec[1] == 1:
        if rec[19] - rec[18] < 1:
            return 0
        kind = rx[rec[18]]
        if kind != 0 and kind < 8 or kind == 11 or kind == 12 or kind > 18:
            return 0
    return 1


@micropython.viper
def _reply_flow(flow: ptr32, rec: ptr32):
    i = 0
    while i < 12:
        flow[i] = rec[i]
        i += 1
    flow[1] = 1  # ICMP
    flow[12] = 64
    flow[13] = 0  # RFC 1122 3.2.2: errors are sent with normal service


@micropython.native
def ingress(iface, sockets):
    """The ICMP message in iface.rx, from rec[_DATA] to rec[_END]."""
    rec = iface.rec
    code = wire.parse(iface.rx, rec[_DATA], rec[_END], rec, iface.verify_icmp)
    if code:
        count(iface.counters, 3 - code)
        return
    count(iface.counters, _COUNT_ICMP_IN)
    if ICMP_LISTENERS:
        _tell(iface, sockets)
    kind = rec[_TYPE]
    if kind == _ICMP_ECHO_REQUEST:
        _answer(iface, rec)
    elif kind == 3 or kind == 11 or kind == 12:
        _report(iface, rec, sockets)


def _tell(iface, sockets):
    for listener in ICMP_LISTENERS:
        listener(iface, sockets)


def _answer(iface, rec):
    end = _TX_DATA + rec[_END] - rec[_DATA]
    if rec[_SCOPE]:
        if not iface.echo_broadcast or not iface.select_source(rec):
            return
    if end > iface.tx_end:
        count(iface.counters, _COUNT_IP_TOO_BIG)
        return
    _echo(iface.tx, _TX_DATA, iface.rx, rec[_DATA], rec[_END])
    rec[_HOPS] = 64  # the rest of the reply's flow is the request's: RFC 1122 3.2.2.6
    if iface.send(rec, end) == _SENT:
        count(iface.counters, _COUNT_ICMP_ECHOS)
    else:
        count(iface.counters, _COUNT_TX_DROPPED)


def _report(iface, rec, sockets):
    """Hand an error to the protocol whose packet it quotes."""
    quoted = iface.quoted
    if rec[_SCOPE] or wire.parse_quote(iface.rx, rec[_PAYLOAD], rec[_END], quoted):
        return
    if not iface.is_local(quoted, _LOCAL):
        return
    handler = ICMP_ERRORS.get(quoted[_PROTO])
    if handler is not None:
        handler(iface, sockets)
    for socket in sockets.raw:
        if socket.accepts(quoted[_FAMILY], quoted[_PROTO]):
            socket.process_error(iface)


def error(iface, kind: int, code: int, parameter: int) -> bool:
    """Send an ICMP error about the packet in iface.rx and iface.rec, if it may be sent.

    parameter: the 32 bits behind the checksum (next-hop MTU; pointer << 24), below 2**30.
    """
    rec = iface.rec
    if iface.raw_handled and kind == _ICMP_UNREACHABLE and (code == 2 or code == 3):
        return False
    if not _may_complain(iface.rx, rec):
        return False
    if not _take_token(iface):
        count(iface.counters, _COUNT_ICMP_LIMITED)
        return False
    flow = iface.reply
    _reply_flow(flow, rec)
    if rec[_SCOPE] and not iface.select_source(flow):
        return False
    n = min(rec[_END] - rec[_NET], _ERROR_QUOTE, iface.tx_end - _TX_DATA - 8)
    copy_checksum(iface.tx, _TX_DATA + 8, iface.rx, rec[_NET], n, 0)
    n += _TX_DATA + 8
    wire.emit(iface.tx, _TX_DATA, kind, code, parameter >> 16, parameter & 0xFFFF, n)
    if iface.send(flow, n) == _SENT:
        count(iface.counters, _COUNT_ICMP_ERRORS)
        return True
    count(iface.counters, _COUNT_TX_DROPPED)
    return False


def _take_token(iface) -> bool:
    """The rate limit (RFC 1812 4.3.2.8): a bucket of iface.icmp_burst tokens, filled with
    iface.icmp_rate tokens a second."""
    rate = iface.icmp_rate
    burst = iface.icmp_burst
    elapsed = (iface.now - iface.icmp_filled) & _TICKS_MASK
    if rate > 0:
        if elapsed > (burst + 1) * 1000 // rate:
            iface.icmp_tokens = burst
            iface.icmp_filled = iface.now
        else:
            gained = elapsed * rate // 1000
            if gained:
                # What is left of a token's time stays on the account.
                rest = elapsed - gained * 1000 // rate
                iface.icmp_tokens = min(iface.icmp_tokens + gained, burst)
                iface.icmp_filled = (iface.now - rest) & _TICKS_MASK
    if iface.icmp_tokens <= 0:
        return False
    iface.icmp_tokens -= 1
    return True


HANDLERS[_ICMP_PROTOCOL_ICMP] = ingress
