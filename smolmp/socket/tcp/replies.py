"""Answers that TCP gives at once: RSTs to strangers, challenge ACKs, duplicate ACKs.

RFC 9293 3.5.2 and 3.10.7.1, RFC 5961. Whoever can make us send can make us work, flood somebody
else, or learn something: so what answers segments that are wrong has limits. Per connection a
challenge ACK a second, and one ACK in half a second for an empty segment out of place (two peers
who both believe the other is wrong would go on for ever). Per interface `challenge_limit`
challenge ACKs and `reset_limit` RSTs to strangers in a second.

A limit that all connections share tells somebody who counts our answers whether another
connection's guess has hit (CVE-2016-5696). So it is drawn anew each second, from half of it to one
and a half: nobody knows how much there was.
"""

from micropython import const

from smolmp.counters import count
from smolmp.socket.tcp import transmit
from smolmp.socket.tcp.kernels import make_reset
from smolmp.wire import tcp as wire_tcp

_HOPS = const(12)
_TOS = const(13)
_LENGTH = const(24)
_CONTROL = const(27)
_FLAGS = const(32)
_CHALLENGE = const(54)
_FLAG_ACK_NOW = const(8)
_FIN = const(1)
_RST = const(4)
_CHALLENGE_MS = const(1000)
_INVALID_MS = const(500)
_WRAP = const(0x3FFFFFFF)
_TX_DATA = const(64)
_NOT_ECN = const(0xFC)

_B_SECOND = const(0)  # iface.budgets: the second, and what is left of each limit in it
_B_CHALLENGES = const(1)
_B_RESETS = const(2)

_COUNT_TCP_RESETS_OUT = const(36)
_COUNT_TCP_CHALLENGES = const(49)
_COUNT_TCP_CHALLENGES_LIMITED = const(50)
_COUNT_TCP_RESETS_LIMITED = const(51)
_COUNT_TCP_INVALID_LIMITED = const(53)


def _afford(iface, which):
    """Is there something left of this second's limit `which`?"""
    budgets = iface.budgets
    if budgets[_B_SECOND] != iface.seconds:
        budgets[_B_SECOND] = iface.seconds
        budgets[_B_CHALLENGES] = _draw(iface, iface.challenge_limit)
        budgets[_B_RESETS] = _draw(iface, iface.reset_limit)
    if budgets[which] <= 0:
        return False
    budgets[which] -= 1
    return True


def _draw(iface, limit):
    return (limit + 1 >> 1) + iface.random.below(limit) if limit > 0 else 0


def _limited(socket, iface, ms):
    """Was anything wrong answered within the last `ms`? Then the peer knows that we live."""
    t = socket.w[_CHALLENGE]
    return t >= 0 and ((iface.now - t) & _WRAP) < ms


def reset_stranger(iface):
    """Answer the segment in iface.rec with an RST (RFC 9293 3.10.7.1), unless it is one."""
    record = iface.rec
    if record[_CONTROL] & _RST:
        return
    if not _afford(iface, _B_RESETS):
        count(iface.counters, _COUNT_TCP_RESETS_LIMITED)
        return
    count(iface.counters, _COUNT_TCP_RESETS_OUT)
    make_reset(record)
    record[_HOPS] = 64
    record[_TOS] &= _NOT_ECN  # RFC 3168 6.1.5
    wire_tcp.emit(iface.tx, _TX_DATA, record, 0, _TX_DATA + 20)
    iface.send(record, _TX_DATA + 20)


def challenge(socket, iface):
    """An ACK that tells a stranger nothing and a confused peer everything, at most one a second.

    RFC 5961 3.2, 4.2, 5.2 and 7.
    """
    if _limited(socket, iface, _CHALLENGE_MS) or not _afford(iface, _B_CHALLENGES):
        count(iface.counters, _COUNT_TCP_CHALLENGES_LIMITED)
        return
    count(iface.counters, _COUNT_TCP_CHALLENGES)
    socket.w[_CHALLENGE] = iface.now
    answer(socket, iface)


def answer_invalid(socket, iface):
    """The ACK that answers a segment out of place (RFC 9293 3.10.7.4, first).

    Text is always answered: its sender needs to know, and does not answer ACKs with text.
    """
    record = iface.rec
    if not record[_LENGTH] and not record[_CONTROL] & _FIN:
        if _limited(socket, iface, _INVALID_MS):
            count(iface.counters, _COUNT_TCP_INVALID_LIMITED)
            return
        socket.w[_CHALLENGE] = iface.now
    answer(socket, iface)


def answer(socket, iface):
    """Send an ACK at once, or as soon as the device takes it."""
    if transmit.send_ack(socket, iface, transmit.acceptable_position(socket.w)) != 1:
        socket.w[_FLAGS] |= _FLAG_ACK_NOW
        socket.sockets.mark(socket.slot)
