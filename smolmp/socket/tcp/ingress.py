"""TCP's door: from the IP payload to the socket it belongs to (RFC 9293 3.10.7)."""

import micropython
from micropython import const

from smolmp.counters import count
from smolmp.socket.tcp.receive import segment_arrives
from smolmp.socket.tcp.replies import reset_stranger
from smolmp.wire.tcp import parse

_DATA = const(18)
_END = const(19)
_SCOPE = const(22)

_TCP = const(6)

_RX_TCP = const(4)  # device.checksums

_COUNT_RX_ERRORS = const(3)  # less the parser's code: truncated, malformed, bad checksum
_COUNT_TCP_IN = const(32)
_COUNT_TCP_NO_PORT = const(37)
_COUNT_TCP_REJECTED = const(38)


@micropython.native
def ingress(iface, sockets):
    """Process the TCP segment in iface.rx, whose IP header iface.rec describes."""
    record = iface.rec
    verify = 0 if iface.checksums & _RX_TCP else 1
    code = parse(iface.rx, record[_DATA], record[_END], record, verify)
    if code:
        count(iface.counters, _COUNT_RX_ERRORS - code)
        return
    if record[_SCOPE]:
        # RFC 9293 3.9.2.3: to a broadcast or multicast address it is dropped in silence.
        count(iface.counters, _COUNT_TCP_REJECTED)
        return
    count(iface.counters, _COUNT_TCP_IN)
    slot = sockets.find(record)
    if slot >= 0:
        socket = sockets.objects[slot]
        segment_arrives(socket, iface)
        sockets.express.arm(iface, socket)
    elif not iface.raw_handled:
        count(iface.counters, _COUNT_TCP_NO_PORT)
        reset_stranger(iface)


def readdressed(iface, sockets):
    """The interface gave an address up."""
    for socket in sockets.objects:
        if socket is not None and socket.protocol == _TCP:
            socket.readdressed(iface)
