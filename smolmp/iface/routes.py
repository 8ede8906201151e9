"""Routes: where to send what is not on our own links (RFC 1122 3.3.1, RFC 1812 5.2.4.3).

Words that the lookup kernels scan: [0] how many routes, [1] how often they have changed (modulo
2**30), then from word 8 on one entry of 16 per route: family, prefix length, destination (4
words), next hop (4 words, 0: on link), expiry.
The longest prefix wins; among equals the route added first.
"""

from array import array

import micropython
from micropython import const

from smolmp.wire import address as addresses

_ROUTES = const(8)  # where the entries begin
_ROUTE_FAMILY = const(0)
_ROUTE_PREFIX = const(1)
_ROUTE_DESTINATION = const(2)
_ROUTE_VIA = const(6)
_ROUTE_EXPIRY = const(10)  # in seconds of iface.seconds, -1: never
_ROUTE_WORDS = const(16)


@micropython.viper
def _move(words: ptr32, to: int, at: int, n: int):
    """words[to:to + n] = words[at:at + n], to < at."""
    i = 0
    while i < n:
        words[to + i] = words[at + i]
        i += 1


class Route:
    """A route as people see it: `destination` "10.0.0.0/8", `via` "192.168.69.100" or None (on
    link), `expires` in seconds of iface.seconds or None."""

    def __init__(self, destination: str, via, expires):
        self.destination = destination
        self.via = via
        self.expires = expires

    def __repr__(self):
        text = "default" if self.destination[-2:] == "/0" else self.destination
        text += " on link" if self.via is None else " via " + self.via
        return text if self.expires is None else "%s until %d s" % (text, self.expires)


class Routes:
    """The routing table of one Interface. `capacity` routes at most."""

    def __init__(self, capacity: int, changed):
        self.capacity = capacity
        self.words = array("i", bytes(4 * (_ROUTES + _ROUTE_WORDS * capacity)))
        self._changed = changed  # called when a lookup may give another result

    def add(self, destination: str, via, expires=None):
        """Send `destination` ("10.0.0.0/8") to the neighbour `via` ("192.168.69.100"; None: it is
        on link). A route to the same destination is replaced. `expires`: forget it when
        iface.seconds reaches that. OverflowError: the table is full."""
        address, prefix = addresses.parse_cidr(destination)
        entry = array("i", bytes(4 * _ROUTE_WORDS))
        network = addresses.network(address, prefix)
        entry[_ROUTE_FAMILY] = addresses.to_words(network, entry, _ROUTE_DESTINATION)
        entry[_ROUTE_PREFIX] = prefix
        if via is not None:
            via = addresses.parse_address(via)
            if len(via) != len(address) or not addresses.is_unicast(via):
                raise ValueError("bad next hop")
            addresses.to_words(via, entry, _ROUTE_VIA)
        entry[_ROUTE_EXPIRY] = -1 if expires is None else expires
        i = self._find(network, prefix)
        if i < 0:
            i = self.words[0]
            if i == self.capacity:
                raise OverflowError("no room for another route")
            self.words[0] = i + 1
        at = _ROUTES + _ROUTE_WORDS * i
        self.words[at : at + _ROUTE_WORDS] = entry
        self._altered()

    def remove(self, destination: str) -> bool:
        """Forget the route to `destination`; False if there is none."""
        address, prefix = addresses.parse_cidr(destination)
        i = self._find(addresses.network(address, prefix), prefix)
        if i >= 0:
            self._delete(i)
        return i >= 0

    def add_default(self, via: str, expires=None):
        """The gateway for everything else (of `via`'s family)."""
        self.add("::/0" if ":" in via else "0.0.0.0/0", via, expires)

    def default(self, family: int = 4):
        """The gateway of `family`'s default route, None if there is none."""
        i = self._find(bytes(4 if family == 4 else 16), 0)
        return None if i < 0 else self[i].via

    def remove_default(self, family: int = 4) -> bool:
        return self.remove("0.0.0.0/0" if family == 4 else "::/0")

    def _altered(self):
        self.words[1] = self.words[1] + 1 & 0x3FFFFFFF
        self._changed()

    def clear(self):
        self.words[0] = 0
        self._altered()

    def expire(self, seconds: int):
        """Forget what has expired; called when iface.seconds advances."""
        words = self.words
        i = words[0] - 1
        while i >= 0:
            expiry = words[_ROUTES + _ROUTE_WORDS * i + _ROUTE_EXPIRY]
            if 0 <= expiry <= seconds:
                self._delete(i)
            i -= 1

    def __len__(self):
        return self.words[0]

    def __getitem__(self, i: int) -> Route:
        if not 0 <= i < self.words[0]:
            raise IndexError("no such route")
        at = _ROUTES + _ROUTE_WORDS * i
        words = self.words
        family = words[at + _ROUTE_FAMILY]
        network = addresses.from_words(family, words, at + _ROUTE_DESTINATION)
        via = addresses.from_words(family, words, at + _ROUTE_VIA)
        expiry = words[at + _ROUTE_EXPIRY]
        return Route(
            addresses.format_cidr(network, words[at + _ROUTE_PREFIX]),
            addresses.format_address(via) if any(via) else None,
            None if expiry < 0 else expiry,
        )

    def __iter__(self):
        for i in range(self.words[0]):
            yield self[i]

    def __repr__(self):
        return repr([self[i] for i in range(len(self))])

    def _find(self, network: bytes, prefix: int) -> int:
        words = self.words
        for i in range(words[0]):
            at = _ROUTES + _ROUTE_WORDS * i
            if words[at + _ROUTE_PREFIX] == prefix and network == addresses.from_words(
                words[at + _ROUTE_FAMILY], words, at + _ROUTE_DESTINATION
            ):
                return i
        return -1

    def _delete(self, i: int):
        # In place and word by word: expire() runs within a poll.
        words = self.words
        last = words[0] - 1
        at = _ROUTES + _ROUTE_WORDS * i
        end = _ROUTES + _ROUTE_WORDS * last
        _move(words, at, at + _ROUTE_WORDS, end - at)
        words[0] = last
        self._altered()
