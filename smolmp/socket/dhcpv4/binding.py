"""Binding: what the interface has from a lease, and taking it back."""


class Binding:
    """`configure` False: it is only noted, the program sets the interface up."""

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
