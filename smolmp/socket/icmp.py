"""ICMP sockets (RFC 792): echo by identifier, and the errors about what an endpoint sent.

    socket = sockets.add(icmp.Socket())
    socket.bind(icmp.Endpoint.ident(0x22B))         # echo requests and replies with this ident
    socket.send_echo("192.168.69.100", 1, b"ping")
    socket.bind(icmp.Endpoint.udp(6969))            # or: errors about datagrams from that port

A message is whole, header included. On sending the checksum is filled in. Every socket that
matches a received message gets a copy, and the interface answers echo requests all the same.
An error is matched by the packet that it quotes, which may be cut short (RFC 792: 8 octets of
the transport header); one about an echo request goes to the request's ident.
"""

from errno import EINVAL

import micropython
from micropython import const

from smolmp.counters import count
from smolmp.errors import EADDRNOTAVAIL
from smolmp.socket.datagram import DatagramSocket, Metadata, aim
from smolmp.socket.endpoint import copy_words, is_unset, local, set_local
from smolmp.socket.protocols import ICMP_ERRORS, ICMP_LISTENERS
from smolmp.wire.icmpv4 import emit, parse_quote

_FAMILY = const(0)
_PROTO = const(1)
_LPORT = const(2)
_LOCAL = const(4)
_TOS = const(13)
_DATA = const(18)
_END = const(19)
_SCOPE = const(22)
_PAYLOAD = const(23)
_TYPE = const(43)
_ICMP_ID = const(45)
_SCOPE_SHIFT = const(8)

_UNREACHABLE = const(-3)

_COUNT_ICMP_FULL = const(39)

_TX_DATA = const(64)  # where the ICMP header stands in iface.tx
_ICMP_HEADER = const(8)

_PROTO_ICMP = const(1)
_PROTO_TCP = const(6)
_PROTO_UDP = const(17)

_ECHO_REPLY = const(0)
_DST_UNREACHABLE = const(3)
_ECHO_REQUEST = const(8)
_TIME_EXCEEDED = const(11)
_PARAM_PROBLEM = const(12)


_len = len


class Endpoint:
    """What an ICMP socket is bound to: Endpoint.ident(n), .udp(endpoint) or .tcp(endpoint)."""

    def __init__(self, protocol, endpoint):
        self.flow = Metadata().flow
        self.flow[_PROTO] = protocol
        set_local(self.flow, endpoint)

    @staticmethod
    def ident(n):
        """Echo requests and replies with identifier n, 0..65535."""
        return Endpoint(_PROTO_ICMP, n)

    @staticmethod
    def udp(endpoint):
        """Errors about datagrams sent from this port or (address, port)."""
        return Endpoint(_PROTO_UDP, endpoint)

    @staticmethod
    def tcp(endpoint):
        """Errors about segments sent from this port or (address, port)."""
        return Endpoint(_PROTO_TCP, endpoint)


class Socket(DatagramSocket):
    """An ICMPv4 socket. rx, tx: octets of messages it may hold (a number or a bytearray);
    rx_slots, tx_slots: how many messages."""

    kind = "icmp"
    protocol = _PROTO_ICMP

    def __init__(self, rx=1024, tx=1024, rx_slots=4, tx_slots=4):
        super().__init__(rx, tx, rx_slots, tx_slots)
        self.flow[_FAMILY] = 4
        self.about = 0  # protocol of what it is bound to: 1, 6 or 17; 0: not bound

    # ------------------------------------------------------------ the state

    @property
    def is_open(self) -> bool:
        return self.about != 0

    @property
    def ident(self):
        """The echo identifier it is bound to, or None."""
        return self.flow[_LPORT] if self.about == _PROTO_ICMP else None

    @property
    def local(self):
        """(address, port) of the UDP or TCP endpoint it is bound to, or None."""
        return local(self.flow) if self.about > _PROTO_ICMP else None

    def bind(self, endpoint):
        """Bind to an Endpoint. OSError: EINVAL (bound already), EADDRNOTAVAIL (port 0)."""
        if self.about:
            raise OSError(EINVAL)
        to = endpoint.flow
        if to[_FAMILY] == 6 or (to[_PROTO] != _PROTO_ICMP and not to[_LPORT]):
            raise OSError(EADDRNOTAVAIL)
        own = self.flow
        own[_LPORT] = to[_LPORT]
        copy_words(own, _LOCAL, to, _LOCAL, 4)
        self.about = to[_PROTO]

    def close(self):
        """Unbind, and forget what is queued in both directions."""
        self.about = 0
        self._forget()

    def attached(self):
        if len(self._tx):
            self.sockets.mark(self.slot)

    # ------------------------------------------------------------ sending

    def send(self, data, n=None, meta=None):
        """Queue the first n octets of data (all of them), a whole message, to meta's address.

        meta: a Metadata. Returns n, or None when the queue has no room now.
        OSError: EADDRNOTAVAIL (nobody to send to), EINVAL (shorter than an ICMP header),
        EMSGSIZE. Allocates nothing.
        """
        size = _len(data)
        if n is None:
            n = size
        if not _ICMP_HEADER <= n <= size:
            raise OSError(EINVAL)
        if meta is None or aim(self._out, meta.flow, self.flow):
            raise OSError(EADDRNOTAVAIL)
        return self._queue(data, 0, n, self._out)

    def send_to(self, data, address):
        """Queue a whole message to an address, as send() does."""
        return self.send(data, None, Metadata(address))

    def send_echo(self, address, sequence, payload=b""):
        """Queue an echo request with the ident this socket is bound to."""
        if self.about != _PROTO_ICMP:
            raise OSError(EINVAL)
        message = bytearray(_ICMP_HEADER + len(payload))
        message[0] = _ECHO_REQUEST
        message[4] = self.flow[_LPORT] >> 8
        message[5] = self.flow[_LPORT] & 255
        message[6] = sequence >> 8 & 255
        message[7] = sequence & 255
        message[_ICMP_HEADER:] = payload
        return self.send(message, None, Metadata(address))

    # ------------------------------------------------------------ the interface's side

    def process(self, iface):
        """Keep a copy of the message in iface.rx and iface.rec."""
        rec = iface.rec
        if self._rx.push(iface.rx, rec[_DATA], rec[_END] - rec[_DATA], rec):
            self.sockets.changed(self.slot)
        else:
            self.rx_dropped += 1
            count(iface.counters, _COUNT_ICMP_FULL)

    def dispatch(self, iface):
        """Send the message at the head of the queue."""
        end = self._stage(iface)
        if end < _TX_DATA:
            return end
        out = self._out
        if is_unset(out, _LOCAL) and not iface.select_source(out):
            return self._sent(_UNREACHABLE)
        tx = iface.tx
        emit(
            tx,
            _TX_DATA,
            tx[64],
            tx[65],
            tx[68] << 8 | tx[69],
            tx[70] << 8 | tx[71],
            end,
        )
        return self._sent(iface.send(out, end))


@micropython.viper
def _is_from(own: ptr32, sent: ptr32, port: int) -> int:
    """1 if `port` is the one of `own`, and the packet `sent` is from its address if it has one."""
    if port != own[_LPORT]:
        return 0
    return 1 if own[_LOCAL] == 0 or own[_LOCAL] == sent[_LOCAL] else 0


def deliver(iface, sockets):
    """The ICMP message in iface.rx and iface.rec: a copy to every socket that it is for."""
    listeners = sockets.icmp
    if not listeners:
        return
    rec = iface.rec
    kind = rec[_TYPE]
    if kind == _ECHO_REPLY or kind == _ECHO_REQUEST:
        sent = rec
        protocol = _PROTO_ICMP
        port = rec[_ICMP_ID]
    elif kind == _DST_UNREACHABLE or kind == _TIME_EXCEEDED or kind == _PARAM_PROBLEM:
        sent = iface.quoted
        if parse_quote(iface.rx, rec[_PAYLOAD], rec[_END], sent):
            return
        protocol = sent[_PROTO]
        port = sent[_LPORT]
        if protocol == _PROTO_ICMP:
            if sent[_TYPE] != _ECHO_REQUEST:
                return
            port = sent[_ICMP_ID]
    else:
        return
    rec[_TOS] |= rec[_SCOPE] << _SCOPE_SHIFT
    for socket in listeners:
        if socket.about == protocol and _is_from(socket.flow, sent, port):
            socket.process(iface)
    rec[_TOS] &= 255


def error(iface, sockets):
    """An ICMP error quotes an ICMP message: an echo request of ours may be too large."""
    quoted = iface.quoted
    if quoted[_TYPE] == _ECHO_REQUEST:
        for socket in sockets.icmp:
            if socket.about == _PROTO_ICMP and _is_from(socket.flow, quoted, quoted[_ICMP_ID]):
                iface.paths.learn()


ICMP_ERRORS[_PROTO_ICMP] = error
ICMP_LISTENERS.append(deliver)
