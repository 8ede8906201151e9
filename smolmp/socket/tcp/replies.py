"""Answers that TCP gives at once: RSTs to strangers, challenge ACKs, duplicate ACKs.

RFC 9293 3.5.2 and 3.10.7.1, RFC 5961.
"""

from micropython import const

from smolmp.counters import count
from smolmp.socket.tcp import transmit
from smolmp.socket.tcp.kernels import make_reset
from smolmp.wire import tcp as wire_tcp

_HOPS = const(12)
_CONTROL = const(27)
_FLAGS = const(32)
_CHALLENGE = const(54)
_FLAG_ACK_NOW = const(8)
_RST = const(4)
_CHALLENGE_MS = const(1000)
_WRAP = const(0x3FFFFFFF)
_TX_DATA = const(64)

_COUNT_TCP_RESETS_OUT = const(36)


def reset_stranger(iface):
    """Answer the segment in iface.rec with an RST (RFC 9293 3.10.7.1), unless it is one."""
    record = iface.rec
    if record[_CONTROL] & _RST:
        return
    count(iface.counters, _COUNT_TCP_RESETS_OUT)
    make_reset(record)
    record[_HOPS] = 64
    wire_tcp.emit(iface.tx, _TX_DATA, record, 0, _TX_DATA + 20)
    iface.send(record, _TX_DATA + 20)


def challenge(socket, iface):
    """An ACK that tells a stranger nothing and a confused peer everything, at most one a second.

    RFC 5961 3.2, 4.2, 5.2 and 7.
    """
    w = socket.w
    t = w[_CHALLENGE]
    if t >= 0 and ((iface.now - t) & _WRAP) < _CHALLENGE_MS:
        return
    w[_CHALLENGE] = iface.now
    answer(socket, iface)


def answer(socket, iface):
    """Send an ACK at once, or as soon as the device takes it."""
    if transmit.send_ack(socket, iface, transmit.acceptable_position(socket.w)) != 1:
        socket.w[_FLAGS] |= _FLAG_ACK_NOW
        socket.sockets.mark(socket.slot)
