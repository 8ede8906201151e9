"""Lane: a UDP port without queues, for the services that live in the poll (DHCP, DNS).

What comes is read where it stands in iface.rx, what goes is made in place in iface.tx.
"""

from array import array

import micropython
from micropython import const

from smolmp.counters import count
from smolmp.siphash import halfsiphash
from smolmp.socket import udp  # noqa: F401 - it brings the datagrams here
from smolmp.socket.endpoint import is_unset
from smolmp.socket.set import handle_of
from smolmp.wire.udp import emit, parse

_PROTO = const(1)
_LPORT = const(2)
_LOCAL = const(4)
_REMOTE = const(8)
_HOPS = const(12)
_FLOW_WORDS = const(14)
_DATA = const(18)
_END = const(19)
_PAYLOAD = const(23)
_LENGTH = const(24)

_PROTO_UDP = const(17)
_DEFAULT_HOPS = const(64)
_TX_DATA = const(64)  # the UDP header in iface.tx
TX_PAYLOAD = const(72)

_RX_UDP = const(2)  # device.checksums
_TX_UDP = const(32)

_SENT = const(1)
_COUNT_RX_BAD_CHECKSUM = const(6)
_COUNT_UDP_OUT = const(29)

_EPHEMERAL = const(49152)  # RFC 6335 6
_TICKS_MASK = const(0x3FFFFFFF)


@micropython.viper
def _drawn(secret: ptr32, n: int) -> int:
    return (secret[6] >> 2) & ((1 << n) - 1)


def unguessable(iface, n: int) -> int:
    """A number of n <= 16 bits that nobody outside can guess, whatever came before (RFC 5452 9.2):
    drawn from iface.random, which is no cipher, and hashed with the interface's key."""
    block = array("i", (0, iface.now))
    iface.random.fill(block, 0)
    halfsiphash(iface.secret, block, 0, 2)
    return _drawn(iface.secret, n)


def after(now: int, ms: int) -> int:
    """The time `ms` (below 2**29) from now."""
    return (now - (_TICKS_MASK - ms) - 1) & _TICKS_MASK


class Lane:
    """A socket of the set. A service has its own receive(iface, at, end), the flow of what came
    being in iface.rec, dispatch(iface) and on_timer(iface)."""

    kind = "lane"
    protocol = _PROTO_UDP
    handle = property(handle_of)

    def __init__(self):
        self.flow = array("i", bytes(4 * _FLOW_WORDS))  # what is for us
        self.out = array("i", bytes(4 * _FLOW_WORDS))  # the next datagram's
        self.flow[_PROTO] = self.out[_PROTO] = _PROTO_UDP
        self.out[_HOPS] = _DEFAULT_HOPS
        self.sockets = None
        self.slot = -1
        self.received = 0  # messages that were for us
        self.rejected = 0  # and those that were not, or could not be read
        self.sent = 0

    @property
    def is_open(self) -> bool:
        return self.flow[_LPORT] != 0

    def open_port(self, port: int):
        """Take a local port."""
        self.flow[_LPORT] = self.out[_LPORT] = port
        self.sockets.bind(self.slot, self.flow)

    def open_ephemeral(self, iface):
        """Take a port at random that no other UDP socket of the set has (RFC 6056 3.3.1)."""
        while True:
            port = _EPHEMERAL + unguessable(iface, 14)
            for other in self.sockets:
                if getattr(other, "protocol", 0) == _PROTO_UDP and other.flow[_LPORT] == port:
                    break
            else:
                break
        self.open_port(port)

    def close_port(self):
        self.flow[_LPORT] = 0
        if self.slot >= 0:
            self.sockets.unbind(self.slot)

    def attached(self):
        """The set has taken this socket in."""

    def detached(self):
        """The set lets go of it."""
        self.flow[_LPORT] = 0

    def process(self, iface):
        """The datagram in iface.rx and iface.rec is for this socket; its sum was not looked at."""
        rec = iface.rec
        if not iface.checksums & _RX_UDP and parse(iface.rx, rec[_DATA], rec[_END], rec, 1):
            count(iface.counters, _COUNT_RX_BAD_CHECKSUM)
            return
        self.receive(iface, rec[_PAYLOAD], rec[_PAYLOAD] + rec[_LENGTH])

    def receive(self, iface, at: int, end: int):
        """iface.rx[at:end] is a datagram's payload, for us."""
        self.rejected += 1

    def process_error(self, iface):
        """An ICMP error quotes a datagram of ours: time-outs tell the same."""

    def transmit(self, iface, end: int, anonymous=False) -> int:
        """Send the payload in iface.tx[TX_PAYLOAD:end] as self.out says: what iface.send() says.

        anonymous: from 0.0.0.0, since we have no address yet."""
        out = self.out
        if not anonymous and is_unset(out, _LOCAL) and not iface.select_source(out):
            return -3
        emit(iface.tx, _TX_DATA, out, end, 0 if iface.checksums & _TX_UDP else 1)
        code = iface.send(out, end)
        if code == _SENT:
            self.sent += 1
            count(iface.counters, _COUNT_UDP_OUT)
        return code
