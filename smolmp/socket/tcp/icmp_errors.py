"""ICMP errors about segments of ours (RFC 1122 4.2.3.9, RFC 5461), told from forged ones (5927).

An error is believed when it quotes a segment that is in flight: SND.UNA =< SEG.SEQ < SND.NXT. It
then ends an attempt to connect (what else should it wait for? RFC 5461 4.1), and is remembered by
an open connection, which goes on: a router's trouble passes, and whoever could end connections by
one forged packet would (RFC 5927 5.2). When such a connection times out, the error is the reason.
"Fragmentation needed" is about the path's MTU. Source quench is no error any more (RFC 6633).
"""

from errno import ECONNREFUSED, EHOSTUNREACH

import micropython
from micropython import const

from smolmp.counters import count
from smolmp.errors import ENETUNREACH
from smolmp.socket.demux import find
from smolmp.socket.protocols import ICMP_ERRORS, PATHS_GREW
from smolmp.socket.tcp import path

_LENGTH = const(24)
_FRAGMENT = const(20)
_TYPE = const(43)
_CODE = const(44)
_SEQ = const(25)

_STATE = const(14)
_SND_UNA = const(15)
_SND_MAX = const(18)
_ERROR = const(31)  # why the connection broke, or above 8 bits the soft error of an open one

_ESTABLISHED = const(4)

_TABLE_SLOTS = const(3)  # words of demux.py
_TABLE_ENTRIES = const(16)
_KEY_CLASS = const(12)

_UNREACHABLE_TYPE = const(3)
_PROTOCOL_UNREACHABLE = const(2)
_PORT_UNREACHABLE = const(3)
_FRAGMENTATION_NEEDED = const(4)
_PARAM_PROBLEM = const(12)
_EPROTO = const(71)  # not in every port's errno

_TCP = const(6)

_COUNT_TCP_ICMP_REJECTED = const(55)
_COUNT_TCP_ICMP_ERRORS = const(56)


@micropython.viper
def in_flight(quoted, block) -> int:
    """1 if the segment quoted begins within [SND.UNA, SND.MAX)."""
    q = ptr32(quoted)
    w = ptr32(block)
    d = q[_SEQ] - w[_SND_UNA]
    if (d >> 30) & 3:
        return 0
    return 1 if d & 0x3FFFFFFF < w[_SND_MAX] else 0


@micropython.viper
def next_connection(table: ptr32, flow: ptr32, slot: int, everywhere: int) -> int:
    """The first slot from `slot` on that holds a connection of TCP with the remote address of
    `flow` (everywhere: with any), -1: none."""
    while slot < table[_TABLE_SLOTS]:
        entry = ptr32(int(table) + ((_TABLE_ENTRIES + (slot << 4)) << 2))
        if entry[_KEY_CLASS] == 0 and entry[1] == _TCP:
            if everywhere or (
                entry[0] == flow[0]
                and entry[8] == flow[8]
                and entry[9] == flow[9]
                and entry[10] == flow[10]
                and entry[11] == flow[11]
            ):
                return slot
        slot += 1
    return 0 - 1


def reason(kind: int, code: int) -> int:
    """The errno for an ICMP error."""
    if kind == _PARAM_PROBLEM:
        return _EPROTO
    if kind == _UNREACHABLE_TYPE:
        if code == _PROTOCOL_UNREACHABLE or code == _PORT_UNREACHABLE:
            return ECONNREFUSED
        if code == 0 or code == 6 or code == 9 or code == 11:  # RFC 1122 3.2.2.1: about a network
            return ENETUNREACH
    return EHOSTUNREACH


def error(iface, sockets):
    """The ICMP error in iface.rec quotes the segment in iface.quoted."""
    quoted = iface.quoted
    slot = find(sockets.table, quoted, -1)
    # Listeners have sent nothing; the port, or less, is all that a stranger knows of them.
    if slot >= 0 and sockets.table[_TABLE_ENTRIES + (slot << 4) + _KEY_CLASS] == 0:
        # What we send is never fragmented, and its SEQ is within the 8 octets promised.
        if quoted[_LENGTH] >= 8 and not quoted[_FRAGMENT]:
            socket = sockets.objects[slot]
            if in_flight(quoted, socket.w):
                _believe(iface, sockets, socket)
                return
    count(iface.counters, _COUNT_TCP_ICMP_REJECTED)


def _believe(iface, sockets, socket):
    w = socket.w
    kind = iface.rec[_TYPE]
    code = iface.rec[_CODE]
    if kind == _UNREACHABLE_TYPE and code == _FRAGMENTATION_NEEDED:
        # What is known already may be new to TCP: a datagram, of which one needs not know a SEQ,
        # tells nothing about the connections that are open.
        mtu = iface.paths.learn() or iface.paths.mtu(iface.quoted)
        _narrower(sockets, iface.quoted, mtu)
        return
    count(iface.counters, _COUNT_TCP_ICMP_ERRORS)
    if w[_STATE] < _ESTABLISHED:
        socket.fail(reason(kind, code))
    else:
        w[_ERROR] = reason(kind, code) << 8


def _narrower(sockets, flow, mtu):
    """All connections to flow[_REMOTE] share the path, and what was lost on it."""
    slot = next_connection(sockets.table, flow, 0, 0)
    while slot >= 0:
        path.narrower(sockets.objects[slot], mtu)
        slot = next_connection(sockets.table, flow, slot + 1, 0)


def soft(w) -> int:
    """The soft error of an open connection, 0: none, or it has made progress since."""
    return w[_ERROR] >> 8


def paths_grew(iface, sockets):
    """What was learned of some path is forgotten: try larger segments again (RFC 1191 6.3)."""
    table = sockets.table
    slot = next_connection(table, table, 0, 1)
    while slot >= 0:
        path.wider(sockets.objects[slot], iface)
        slot = next_connection(table, table, slot + 1, 1)


ICMP_ERRORS[_TCP] = error
PATHS_GREW.append(paths_grew)
