"""Client: whom to ask, what is known already, and which queries go on."""

from micropython import const

from smolmp.socket.dns.query import AGAIN, NODATA, NONAME, Query
from smolmp.wire.address import parse_address
from smolmp.wire.dns import AAAA, PTR, A, encode, fold

_UNSPEC = const(0)  # families, as MicroPython's socket has them
_INET6 = const(10)


class Client:
    """`servers`, `search`: addresses and domains as text; attributes, to be set at any time.

    `timeout`: ms until the next server is asked, doubled in the second `rounds`. `edns`: octets of
    an answer by UDP, 0: none of it. `mixed`: names in random case. `cache`: answers that are
    remembered (RFC 2308 for those that say no), 0: none; `longest`: seconds at most. `largest`:
    octets of an answer by TCP.
    Counts: `hits` of the cache, `asked`, `failovers`, `truncated`, `rejected`.
    """

    def __init__(
        self,
        iface,
        sockets,
        servers=(),
        search=(),
        timeout=2000,
        rounds=2,
        edns=1232,
        mixed=True,
        cache=16,
        longest=86400,
        largest=8192,
    ):
        self.iface = iface
        self.sockets = sockets
        self.servers = servers
        self.search = search
        self.timeout = timeout
        self.rounds = rounds
        self.edns = min(edns, iface.mtu - 48) if edns else 0
        self.mixed = mixed
        self.capacity = cache
        self.longest = longest
        self.largest = largest
        self.hits = self.asked = self.failovers = self.truncated = self.rejected = 0
        self._cache = {}  # (folded name, type): (iface.seconds of its end, error, records)
        self._active = []
        self.leaving = []  # TCP sockets whose RST may still have to be sent

    def query(self, name: str, kind: int = A) -> Query:
        """Look `name` up. An address as text is its own A or AAAA record. A name that ends with a
        dot is looked up as it is, others in `search`, too: before if they have no dot, else after.

        `done` at once, and then not named by the poll: an address, a name that cannot be, or one
        that the cache knows; no servers. OverflowError: the set is full."""
        self._sweep()
        query = Query(self, name, kind)
        if kind == A or kind == AAAA:
            try:
                size = len(parse_address(name))
            except ValueError:
                pass
            else:
                query.done = True
                if size == (4 if kind == A else 16):
                    query.records = [name]
                else:
                    query.error = NODATA
                return query
        query.candidates = self._candidates(name)
        query.proceed(NONAME)
        if not query.done:
            self._active.append(query)
        return query

    def cancel(self, query):
        """Forget a query that goes on."""
        query.close()
        self._sweep()

    def _sweep(self):
        for query in self._active:
            if query.done and query.sockets is not None:
                self.sockets.remove(query)
        self._active = [query for query in self._active if not query.done]
        for socket in self.leaving:
            self.sockets.remove(socket)
        self.leaving.clear()

    def resolve(self, name: str, family: int, wait):
        """The addresses of `name`, as text, [] if there are none; wait() polls and waits until
        something may have happened, again and again. family: 0 (IPv4, and IPv6 where the
        interface has it), 2 (IPv4), 10 (IPv6)."""
        found = []
        for kind in self.kinds(family):
            query = self.query(name, kind)
            try:
                while not query.done:
                    wait()
            finally:
                if not query.done:
                    self.cancel(query)
            found += query.records
        return found

    def kinds(self, family: int):
        """The types of record that have the addresses of a family."""
        kinds = [A] if family != _INET6 else [AAAA]
        if family == _UNSPEC and 6 in self.iface.families:
            kinds.append(AAAA)
        return kinds

    def reverse(self, address: str) -> Query:
        """Look the name of an address up: PTR."""
        return self.query(reverse(address), PTR)

    def _candidates(self, name):
        if name[-1:] == ".":
            names = [name]
        else:
            names = [name + "." + domain for domain in self.search]
            if "." in name:
                names.insert(0, name)
            else:
                names.append(name)
        return [c for c in [encode(text) for text in names] if c is not None and len(c) > 1]

    # The cache.

    def known(self, name: bytes, kind: int):
        """(error, records), or None."""
        entry = self._cache.get((fold(name), kind))
        if entry is None or entry[0] <= self.iface.seconds:
            return None
        self.hits += 1
        return entry[1:]

    def remember(self, name: bytes, kind: int, seconds: int, error: int, records):
        if seconds <= 0 or not self.capacity or error == AGAIN:
            return
        cache = self._cache
        if len(cache) >= self.capacity:
            soonest = None
            for key, entry in cache.items():
                if soonest is None or entry[0] < cache[soonest][0]:
                    soonest = key
            del cache[soonest]
        end = self.iface.seconds + min(seconds, self.longest)
        cache[(fold(name), kind)] = (end, error, records)

    def flush(self):
        """Forget all answers, as after the network has changed."""
        self._cache.clear()


def reverse(address: str) -> str:
    """The name at which the PTR record of an address stands. ValueError: it is none."""
    octets = parse_address(address)
    if len(octets) == 4:
        return "%d.%d.%d.%d.in-addr.arpa." % tuple([octets[3 - i] for i in range(4)])
    text = "".join(["%02x" % octet for octet in octets])
    return ".".join([text[31 - i] for i in range(32)]) + ".ip6.arpa."
