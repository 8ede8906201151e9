"""Lease: what a server said. Everything is read out of its message when it is asked for.

Binding: what the interface has of it."""

from smolmp.wire import dhcpv4 as wire
from smolmp.wire.address import broadcast, format_address, format_cidr, network, prefix_len


class Lease:
    """`message`: the DHCPACK. `begun`: iface.seconds when it was asked for."""

    def __init__(self, message: bytes, begun: int, longest=None):
        self.message = message
        self.begun = begun
        self._longest = longest

    def option(self, code: int):
        """The value of an option as bytes, None if the server did not send it."""
        return wire.option(self.message, code)

    @property
    def octets(self) -> bytes:
        return self.message[16:20]

    @property
    def prefix_len(self) -> int:
        """Of the subnet mask, or of the address's class where there is none that makes sense."""
        mask = self.option(1)
        try:
            if mask and len(mask) == 4 and mask[0]:
                return prefix_len(mask)
        except ValueError:
            pass  # ones that are not in front
        first = self.message[16]
        return 8 if first < 128 else 16 if first < 192 else 24

    @property
    def address(self) -> str:
        """ "192.168.1.7/24"; "0.0.0.0/8" of an INFORMED client."""
        return format_cidr(self.octets, self.prefix_len)

    @property
    def is_sane(self) -> bool:
        """A host's address in its subnet, for 10 s at least: less would only keep us busy."""
        n = self.seconds
        octets = self.octets
        bits = self.prefix_len
        if not wire.is_host(octets) or (n is not None and n < 10):
            return False
        return bits > 30 or octets not in (network(octets, bits), broadcast(octets, bits))

    @property
    def server(self):
        """The server's address, None if it did not say."""
        server = self.option(54)
        return format_address(server) if server and len(server) == 4 else None

    @property
    def seconds(self):
        """How long the lease lasts, None: for ever. A server that does not say: 2 minutes."""
        n = self._number(51, 120)
        if self._longest is not None and (n is None or n > self._longest):
            return self._longest
        return n

    @property
    def renew(self):
        """T1, in seconds of the lease (RFC 2131 4.4.5)."""
        n = self.seconds
        if n is None:
            return None
        t = self._number(58, None)
        return t if t and t < n else n // 2

    @property
    def rebind(self):
        """T2."""
        n = self.seconds
        if n is None:
            return None
        t = self._number(59, None)
        least = self.renew
        return t if t and least <= t < n else max(least, n - (n + 7) // 8)

    def _number(self, code, default):
        value = self.option(code)
        if value is None or len(value) != 4:
            return default
        if value[0] & 0xE0:
            return None  # 0xffffffff is for ever, and so is more than 17 years
        return value[0] << 24 | value[1] << 16 | value[2] << 8 | value[3]

    @property
    def routers(self):
        """Addresses; the interface's default route goes to the first."""
        return wire.addresses(self.option(3))

    @property
    def routes(self):
        """[(destination, next hop or None)]: the classless ones, which replace routers and may
        hold the default route (RFC 3442); else the default route to the first router."""
        value = self.option(121)
        found = wire.routes(value) if value else None
        if found is None:
            found = [("0.0.0.0/0", router) for router in self.routers[:1]]
        return found

    @property
    def dns(self):
        """Addresses of name servers."""
        return wire.addresses(self.option(6))

    @property
    def ntp(self):
        """Addresses of time servers."""
        return wire.addresses(self.option(42))

    @property
    def domain(self):
        """The domain name, None if there is none."""
        return _text(self.option(15))

    @property
    def hostname(self):
        """The name that the server knows us by, None if it did not say."""
        return _text(self.option(12))

    @property
    def search(self):
        """Domains to look names up in (RFC 3397), else [domain]."""
        value = self.option(119)
        if value:
            from smolmp.wire.dns import names

            found = names(value)
            if found:
                return found
        return [self.domain] if self.domain else []

    @property
    def mtu(self):
        """The link's MTU, None if the server did not say."""
        value = self.option(26)
        return value[0] << 8 | value[1] if value and len(value) == 2 else None

    def __repr__(self):
        from smolmp.socket.dhcpv4 import report  # whoever does not ask need not have it

        return report.text(self)


def _text(value):
    """Octets that a stranger chose, as text; None if they are no plain ASCII."""
    if not value:
        return None
    value = bytes([octet for octet in value if octet])  # some end it with a 0
    for octet in value:
        if not 33 <= octet < 127:
            return None
    return value.decode() or None


class Binding:
    """What the interface has from a lease, and taking it back.

    `configure` False: it is only noted, the program sets the interface up."""

    def __init__(self, configure: bool):
        self.configure = configure
        self.cidr = None  # "192.168.1.7/24"
        self.routes = ()

    def apply(self, iface, lease):
        """Give the interface what is new in `lease`. OverflowError: it has no room for the
        address; routes that it has no room for are left out."""
        cidr = lease.address
        if self.configure:
            if self.cidr != cidr:
                if self.cidr is not None:  # another netmask
                    iface.remove_ip_addr(self.cidr)
                    self.cidr = None
                iface.add_ip_addr(cidr)
            self._route(iface, lease.routes)
        self.cidr = cidr

    def withdraw(self, iface) -> bool:
        """The interface has nothing from us any more; False: nor had it before."""
        if self.cidr is None:
            return False
        if self.configure:
            self._route(iface, ())
            iface.remove_ip_addr(self.cidr)
        self.cidr = None
        return True

    def _route(self, iface, wanted):
        if wanted == self.routes:
            return
        for destination, _ in self.routes:
            iface.routes.remove(destination)
        self.routes = wanted
        for destination, via in wanted:
            try:
                iface.routes.add(destination, via)
            except OverflowError:
                break  # as many as the program made room for
