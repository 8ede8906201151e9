"""LinkLocal: an IPv4 address of 169.254/16 that nobody had to give us. RFC 3927.

    fallback = sockets.add(LinkLocal())
    client = sockets.add(dhcpv4.Socket(fallback=fallback))    # when no server answers; or
    fallback.start(iface)                                      # at once, for a link of two hosts

The poll names it when `address` changed (text, None: there is none (yet)).
"""

from errno import ENOTCONN

from micropython import const

from smolmp.socket.dhcpv4.probe import Probe
from smolmp.socket.lane import after
from smolmp.socket.set import handle_of
from smolmp.wire.address import format_address

_RATE_LIMIT = const(60000)  # RATE_LIMIT_INTERVAL, ms
_MAX_CONFLICTS = const(10)


class LinkLocal:
    """`probes` and `unit` (ms): 3 probes in 1000 to 2000 ms and 2000 ms more are RFC 3927's."""

    kind = "link-local"
    protocol = 0
    handle = property(handle_of)

    def __init__(self, probes=3, unit=1000):
        self.address = None
        self.sockets = None
        self.slot = -1
        self._probe = Probe(self, probes, unit, 2 * unit, 2 * unit)
        self._unit = unit
        self._iface = None
        self._candidate = None

    def __repr__(self):
        return "link-local " + (self.address or "-")

    @property
    def conflicts(self) -> int:
        """How often somebody else had the address."""
        return self._probe.conflicts

    def start(self, iface):
        """Find an address, if that is not going on already. OSError(ENOTCONN): in no set."""
        if self.slot < 0:
            raise OSError(ENOTCONN)
        if self._iface is None:
            self._iface = iface
            self._probe.conflicts = 0
            self._choose(iface.random.below(self._unit + 1))  # PROBE_WAIT

    def stop(self):
        """Give the address up."""
        self._probe.stop()
        self._forget()
        self._iface = None
        if self.slot >= 0:
            self.sockets.deadline(self.slot, -1)

    def attached(self):
        """The set has taken it in."""

    def detached(self):
        self._probe.stop()
        self._forget()
        self._iface = None

    def _forget(self):
        if self.address is not None:
            self._iface.remove_ip_addr(self.address)
            self.address = None
            if self.slot >= 0:
                self.sockets.changed(self.slot)

    def _choose(self, ms):
        """2.1: at random, differing from host to host, not in the first and last 256."""
        iface = self._iface
        n = 256 + (iface.random.below(65024) ^ iface.mac[5]) % 65024
        self._candidate = bytes((169, 254, n >> 8, n & 255))
        self._probe.start(iface, self._candidate)
        self.sockets.deadline(self.slot, after(iface.now, ms))

    def on_timer(self, iface):
        ms = self._probe.step()
        if ms >= 0:
            self.sockets.deadline(self.slot, after(iface.now, ms))
        elif self.address is None:
            text = format_address(self._candidate) + "/16"
            iface.add_ip_addr(text)
            self.address = text
            self.sockets.changed(self.slot)

    def taken(self, iface):
        """Somebody else has our address, says an ARP packet (2.2.1, 2.5)."""
        if self.address is not None and self._probe.defend(iface, self.address):
            return
        self._forget()
        slow = self._probe.conflicts >= _MAX_CONFLICTS
        self._choose(_RATE_LIMIT if slow else iface.random.below(self._unit + 1))
