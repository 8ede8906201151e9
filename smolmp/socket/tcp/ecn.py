"""Explicit congestion notification (RFC 3168): routers mark packets instead of dropping them.

w[_ECN] holds what the connection has agreed on, in the bits above a header's flags, and the flags
that its segments carry: ECE while the peer is to be told of a mark, until it answers by CWR; CWR
on the first new data after cwnd was reduced, for whatever reason (congestion.reduce sets it).
0 means no ECN: that is all the rest of tcp/ looks at.

New data is sent as ECT(0), nothing else is: a pure ACK, a retransmission or a probe that is marked
would tell nobody, and an attacker's forged one could (6.1.4 to 6.1.6).
"""

import micropython
from micropython import const

from smolmp.counters import count
from smolmp.socket.tcp import congestion
from smolmp.socket.tcp.scoreboard import limit

OFF = const(0)
ACCEPT = const(1)
REQUEST = const(2)
NAMES = ("off", "accept", "request")

_TOS = const(13)
_CONTROL = const(27)
_SEG_ACK = const(49)
_STATE = const(14)
_SND_UNA = const(15)
_SND_MAX = const(18)
_FLAGS = const(32)
_RECOVER = const(49)
_CWND = const(60)
_SSTHRESH = const(61)
_MSS_OUT = const(29)
_ECN = const(88)
_REDUCED = const(89)  # a sequence number: where the window that was reduced last ends

_SYN_SENT = const(2)
_SYN_RECEIVED = const(3)
_FLAG_PROBE = const(32)
_ACK_BIT = const(16)
_ECE = const(64)
_CWR = const(128)
_SETUP = const(192)  # both
_ECN_ON = const(256)
_ECN_ASKED = const(512)  # our SYN asked for it
_ECT_0 = const(2)
_CE = const(3)
_NOT_ECN = const(0xFC)  # of the traffic class
_FLAG_CUBIC = const(2 << 28)
_FLAGS_CONTROLLER = const(3 << 28)

_COUNT_TCP_CE_IN = const(60)
_COUNT_TCP_ECE_IN = const(61)
_COUNT_TCP_ECN_REDUCED = const(62)


# The handshake (6.1.1).


def ask(w):
    """Our SYN is to be an ECN-setup SYN."""
    w[_ECN] = _ECN_ASKED


def syn_flags(w) -> int:
    """ECE and CWR of our SYN or SYN+ACK."""
    if w[_STATE] == _SYN_RECEIVED:
        return _ECE if w[_ECN] & _ECN_ON else 0
    if w[_SND_MAX]:
        # The ECN-setup SYN was lost: some box may not like it (6.1.1.1).
        w[_ECN] = 0
        return 0
    return _SETUP


def negotiate(socket, record):
    """The peer's SYN or SYN+ACK is in `record`: is there ECN from now on?

    The two flags say so in one way each. Others, such as both in a SYN+ACK, which is what a box
    does that reflects what it does not know, mean no. So does a SYN that is itself marked as
    capable: then somebody on the path writes into the field.
    """
    w = socket.w
    on = False
    if record[_CONTROL] & _ACK_BIT:
        on = w[_ECN] == _ECN_ASKED and record[_CONTROL] & _SETUP == _ECE
    elif is_setup(record):
        # In a simultaneous open both have to have asked.
        on = w[_ECN] == _ECN_ASKED if w[_STATE] == _SYN_SENT else socket.ecn_mode != OFF
    agree(w, on)


def is_setup(record) -> bool:
    """Does the SYN in `record` ask for ECN?"""
    return record[_CONTROL] & _SETUP == _SETUP and not record[_TOS] & _CE


def agree(w, on):
    """The connection has ECN, or not."""
    w[_ECN] = _ECN_ON if on else 0


def syn_again(w, control):
    """In SYN-RECEIVED the peer's SYN, or the SYN+ACK of a simultaneous open, comes (again): if it
    does not ask for ECN any more, there is none."""
    if control & _SETUP != (_ECE if control & _ACK_BIT else _SETUP):
        w[_ECN] = 0


# The sender's half (6.1.2).


def mark_data(w, position, n) -> int:
    """Set the ECN field for a segment of n octets at `position`; its ECE and CWR flags."""
    if n and position >= w[_SND_MAX] and not w[_FLAGS] & _FLAG_PROBE:
        w[_TOS] |= _ECT_0
        return w[_ECN] & _SETUP
    return w[_ECN] & _ECE


def marked(iface, w, control, sent):
    """The segment left with the flags `control`, or could not (`sent`)."""
    w[_TOS] &= _NOT_ECN
    if control & _CWR and sent:
        w[_ECN] &= ~_CWR
        iface.burst = 0  # what follows it may not carry CWR as well


@micropython.viper
def _once(block) -> int:
    """1 if the window reduced last has been acknowledged, and CWR behind it: SND.UNA stands beyond
    its end. (An ACK of exactly that end carries ECE for want of CWR.)

    That end is within what is in flight while it has not; so neither a connection that has never
    reduced its window nor 2 GiB sent since are mistaken for long.
    """
    w = ptr32(block)
    d = w[_REDUCED] - w[_SND_UNA]
    if (d >> 30) & 3:
        return 1
    return 1 if d & 0x3FFFFFFF > w[_SND_MAX] else 0


def echoed(socket, iface, cwnd):
    """An ACK with ECE was taken; cwnd is what it was before. Reduce it, once per window."""
    w = socket.w
    if iface.rec[_SEG_ACK] < 0:
        return
    count(iface.counters, _COUNT_TCP_ECE_IN)
    if not w[_FLAGS] & _FLAGS_CONTROLLER:
        w[_ECN] |= _CWR  # so that it ends
        return
    if w[_CWND] > cwnd:
        w[_CWND] = cwnd  # it did not grow
    if w[_RECOVER] == 0 and _once(w):
        congestion.reduce(w)
        if socket.abe:
            _give_way_less(w)
        if w[_CWND] > w[_SSTHRESH]:
            w[_CWND] = w[_SSTHRESH]
        count(iface.counters, _COUNT_TCP_ECN_REDUCED)
    limit(w)


def _give_way_less(w):
    """Alternative back-off (RFC 8511 3.1): a mark tells of a short queue, so not to 0.5 or 0.69 of
    what was in flight, but to 0.81 (Reno) or 0.84 (CUBIC)."""
    n = w[_SSTHRESH]
    if w[_FLAGS] & _FLAGS_CONTROLLER == _FLAG_CUBIC:
        w[_SSTHRESH] = n + (n >> 3) + (n >> 4) + (n >> 5)
    else:
        w[_SSTHRESH] = n + (n >> 1) + (n >> 3)


# The receiver's half (6.1.3).


def received(socket, iface):
    """Text within the window arrived."""
    w = socket.w
    record = iface.rec
    if record[_CONTROL] & _CWR:
        w[_ECN] &= ~_ECE
    if record[_TOS] & _CE == _CE:
        w[_ECN] |= _ECE
        count(iface.counters, _COUNT_TCP_CE_IN)
