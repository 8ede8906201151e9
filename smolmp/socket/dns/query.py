"""Query: one question, from server to server and alias to alias until it is answered."""

import sys

from micropython import const

from smolmp.socket.endpoint import clear_address
from smolmp.socket.lane import TX_PAYLOAD, Lane, after, unguessable
from smolmp.wire import dns as wire
from smolmp.wire.address import (
    contains,
    format_address,
    from_words,
    parse_address,
    parse_cidr,
    to_words,
)

_HEADER_DNS = const(12)
NONAME = const(-2)  # errors, numbered as getaddrinfo() has them: there is no such name
AGAIN = const(-3)  # nobody answered, or nothing that makes sense
NODATA = const(-5)  # the name has no such record

_FAMILY = const(0)
_LOCAL = const(4)
_REMOTE = const(8)
_RPORT = const(3)
_HOPS = const(12)

_DNS_PORT = const(53)
_MDNS_PORT = const(5353)
_CHAIN = const(8)  # aliases that are followed
_RECORDS = const(64)  # records of an answer that are looked at
_STREAM_STEP = const(20)  # ms between looks at a TCP connection
_STREAM_TIME = const(5000)
_NEGATIVE = const(300)  # s that "no" is believed at most

_FORMERR = const(1)
_NXDOMAIN = const(3)
_NOTIMP = const(4)

_LAST = const(2)
_IDLE = const(0)
_BUSY = const(-1)
_BLOCKED = const(-2)

_GROUP = "224.0.0.251"
_LOCAL_NAMES = (b"\x05local\0", b"\x03254\x03169\x07in-addr\x04arpa\0")


class Query(Lane):
    """`done`; then `records` or `error`. Records are addresses as text (A, AAAA), names (CNAME,
    PTR, NS), (priority, weight, port, name) (SRV), tuples of bytes (TXT), or the octets of another
    type; names are text where they are ASCII, else bytes. `canonical`: the name they stand at."""

    kind = "dns"

    def __init__(self, client, name, record):
        super().__init__()
        self.client = client
        self.name = name
        self.record = record  # the type
        self.done = False
        self.error = 0
        self.records = []
        self.canonical = None
        self.candidates = []  # in wire format
        self._original = None  # the candidate that is looked up
        self._asked = None  # it, or what it is an alias of
        self._error = NONAME  # what candidates before had
        self._ttl = 0
        self._chain = 0
        self._server = 0
        self._round = 0
        self._edns = 0
        self._mdns = False
        self._ident = 0
        self._question = b""
        self._message = None  # what is to be sent
        self._short = None  # an answer that did not fit
        self._stream = None
        self._end = 0  # looks at it that are left

    def __repr__(self):
        said = self.records if self.records else self.error if self.done else "..."
        return "dns %s %d %s" % (self.name, self.record, said)

    # From candidate to candidate.

    def proceed(self, error):
        """The next candidate; `error`: what the last one had. At the end, finish."""
        client = self.client
        if error == NODATA or self._original is None:
            self._error = error
        while self.candidates:
            self._original = self._asked = self.candidates.pop(0)
            known = client.known(self._original, self.record)
            if known is None:
                self._ttl = client.longest
                self._chain = self._server = self._round = 0
                self._edns = client.edns
                self._mdns = self._original.lower().endswith(_LOCAL_NAMES)
                if not self._mdns and not client.servers:
                    self._finish(AGAIN, [])
                    return
                if self.sockets is None:
                    client.sockets.add(self)
                self._send()
                return
            if not known[0]:
                self._finish(0, known[1])
                return
            self._error = known[0]
        self._finish(self._error, [])

    def _finish(self, error, records):
        self.error = error
        self.records = records
        self.close()

    def close(self):
        """It is done, with or without an answer."""
        self.done = True
        self._message = None
        self._hang_up()
        if self.slot >= 0:
            self.close_port()
            self.sockets.deadline(self.slot, -1)
            self.sockets.changed(self.slot)

    def detached(self):
        super().detached()
        self._hang_up()
        self.done = True

    def _conclude(self, error, records, seconds):
        """What the server said of this candidate."""
        self.client.remember(self._original, self.record, seconds, error, records)
        if error:
            self.proceed(error)
        else:
            self._finish(0, records)

    # From server to server.

    def _send(self):
        """Ask the server whose turn it is, from a new port with a new identifier."""
        client = self.client
        iface = client.iface
        self._hang_up()
        if not self._mdns and not client.servers:  # the lease that named them has gone
            self._finish(AGAIN, [])
            return
        client.asked += 1
        name = self._asked
        if self._mdns:
            server, port = _GROUP, _MDNS_PORT
        else:
            server, port = client.servers[self._server % len(client.servers)], _DNS_PORT
            # Servers that cannot keep the case have their turn in the second round.
            name = _mixed(iface, name) if client.mixed and not self._round else name.lower()
        ident = self._ident = unguessable(iface, 16)
        kind = self.record
        self._question = name + bytes((kind >> 8, kind & 255, 0, 1))
        edns = 0 if self._mdns else self._edns
        self._message = wire.query(ident, name, kind, edns, not self._mdns)
        out = self.out
        flow = self.flow
        address = parse_address(server)
        out[_FAMILY] = flow[_FAMILY] = to_words(address, out, _REMOTE)
        clear_address(out, _LOCAL)
        out[_RPORT] = port
        out[_HOPS] = 255 if self._mdns else 64
        clear_address(flow, _REMOTE)
        flow[_RPORT] = 0
        if not self._mdns:  # answers to a group's question come from anybody
            to_words(address, flow, _REMOTE)
            flow[_RPORT] = port
        self.open_ephemeral(iface)
        self.sockets.mark(self.slot)
        # RFC 6762 5.2: a second, then longer.
        ms = (1000 if self._mdns else client.timeout) << min(self._round, 4)
        self.sockets.deadline(self.slot, after(iface.now, ms))

    def _next_server(self):
        client = self.client
        client.failovers += 1
        self._server += 1
        if self._mdns or self._server >= len(client.servers):
            self._server = 0
            self._round += 1
            if self._round >= (3 if self._mdns else client.rounds):
                # Nobody on the link has it, or nobody could tell: then nobody should be asked for
                # other candidates.
                if self._mdns:
                    self._conclude(NONAME, [], 0)
                else:
                    self._finish(AGAIN, [])
                return
        self._edns = client.edns
        self._send()

    # The set's and the interface's side.

    def dispatch(self, iface):
        message = self._message
        if message is None:
            return _IDLE
        end = TX_PAYLOAD + len(message)
        iface.tx[TX_PAYLOAD:end] = message
        code = self.transmit(iface, end)
        if code == _BUSY or code == _BLOCKED:
            return code
        self._message = None
        if code <= _IDLE:  # no way there
            self.sockets.deadline(self.slot, iface.now)
            return _IDLE
        return _LAST

    def on_timer(self, iface):
        if self._stream is None:
            short = self._short
            if short is None or (not self._dial() and not self._answer(short)):
                self._next_server()
            return
        message = self._stream.step()
        self._end -= 1
        if message is None and self._end > 0:
            self.sockets.deadline(self.slot, after(iface.now, _STREAM_STEP))
        elif not message or not self._answer(message):
            self._next_server()

    def process_error(self, iface):
        """Nobody is there, says an ICMP error: the next server, with the next poll."""
        if not self._mdns and self._short is None:
            self.sockets.deadline(self.slot, iface.now)

    def receive(self, iface, at, end):
        rx = iface.rx
        if (
            self.done
            or self._short is not None
            or end - at < _HEADER_DNS
            or rx[at] << 8 | rx[at + 1] != self._ident
            or (self._mdns and not self._is_near(iface))
            or not self._answer(bytes(memoryview(rx)[at:end]))
        ):
            self.client.rejected += 1

    def _is_near(self, iface) -> bool:
        """RFC 6762 11: from a host of this link, and its port."""
        rec = iface.rec
        if rec[_RPORT] != _MDNS_PORT:
            return False
        source = from_words(rec[_FAMILY], rec, _REMOTE)
        for cidr in iface.ip_addrs:
            address, bits = parse_cidr(cidr)
            if len(address) == len(source) and contains(address, bits, source):
                return True
        return False

    # What servers say.

    def _answer(self, message) -> bool:
        """Take an answer in; False: it is none to our question."""
        if len(message) < _HEADER_DNS or message[2] & 0xF8 != 0x80:
            return False
        if message[0] << 8 | message[1] != self._ident:
            return False
        questions = wire.number(message, 4)
        at = _HEADER_DNS
        if questions == 1:
            question = self._question
            end = at + len(question)
            # Octet by octet: the case that we chose is part of what an impostor has to guess.
            if message[at:end] != question and not self._mdns:
                return False
            at = end
        elif questions or not self._mdns:
            return False
        if message[2] & 2 and self._short is None and not self._mdns:
            self.client.truncated += 1
            if "smolmp.socket.tcp" in sys.modules:  # this is not the moment to load it
                # Nor is it for what that takes: a timer's call leaves more of a board's C stack.
                self._short = message
                self.sockets.deadline(self.slot, self.client.iface.now)
                return True
        code = message[3] & 15
        if code == _NXDOMAIN:
            found = self._read(message, at)
            self._conclude(NONAME, [], _negative(message, found))
        elif (code == _FORMERR or code == _NOTIMP) and self._edns:
            self._edns = 0  # RFC 6891 7: it knows nothing of EDNS
            self._send()
        elif code:
            self._next_server()
        else:
            found = self._read(message, at)
            if found is None:
                self._next_server()
            else:
                self._follow(message, found)
        return True

    def _read(self, message, at):
        """The records of answer and authority; None: malformed."""
        count = wire.number(message, 6) + wire.number(message, 8)
        return wire.records(message, at, min(count, _RECORDS))

    def _follow(self, message, found):
        """From alias to alias (RFC 1034 3.6.2) within the answer, and beyond."""
        answers = found[: wire.number(message, 6)]
        name = wire.decode(bytes(_HEADER_DNS) + self._asked, _HEADER_DNS)[0]
        begun = self._chain
        while True:
            here = wire.fold(name)
            alias = None
            records = []
            for owner, kind, space, ttl, start, end in answers:
                if space != 1 or wire.fold(owner) != here:
                    continue
                if kind == self.record:
                    value = _text(kind, wire.data(message, kind, start, end))
                    if value is not None and value not in records:
                        records.append(value)
                        self._ttl = min(self._ttl, ttl)
                elif kind == wire.CNAME and alias is None:
                    alias = wire.data(message, kind, start, end)
                    if alias is not None:
                        self._ttl = min(self._ttl, ttl)
            if records:
                self.canonical = _name(name)
                self._conclude(0, records, self._ttl)
                return
            if alias is None:
                break
            name = alias
            self._chain += 1
            if self._chain > _CHAIN:
                self._finish(AGAIN, [])
                return
        if self._chain == begun:
            if self._mdns:
                self._next_server()  # somebody's answer to something else
            else:
                self._conclude(NODATA, [], _negative(message, found))
            return
        self._asked = wire.encode(name)
        if self._asked is None:
            self._finish(AGAIN, [])
        else:
            self._send()

    # By TCP (RFC 7766).

    def _dial(self) -> bool:
        import smolmp.socket.tcp.active  # noqa: F401 - connect() would, further down the stack
        from smolmp.socket.dns.stream import Stream

        client = self.client
        flow = self.flow  # who has answered: the servers may be others by now
        server = format_address(from_words(flow[_FAMILY], flow, _REMOTE))
        query = wire.query(
            self._ident, self._question[:-4], self.record, 0 if not self._edns else client.edns
        )
        try:
            self._stream = Stream(client.iface, self.sockets, server, query, client.largest)
        except (OSError, OverflowError):
            return False  # what we have is better than nothing
        self._message = None
        self._end = _STREAM_TIME // _STREAM_STEP
        self.sockets.deadline(self.slot, after(client.iface.now, _STREAM_STEP))
        return True

    def _hang_up(self):
        if self._stream is not None:
            self.client.leaving.append(self._stream.close())
            self._stream = None
        self._short = None


def _mixed(iface, name: bytes) -> bytes:
    """The letters of a name in random case."""
    result = bytearray(name)
    at = 0
    bits = left = 0
    while result[at]:
        for i in range(at + 1, at + 1 + result[at]):
            if not left:
                bits = unguessable(iface, 16)
                left = 16
            if 65 <= result[i] & 0xDF <= 90:
                result[i] = result[i] & 0xDF | (bits & 1) << 5
                bits >>= 1
                left -= 1
        at += 1 + result[at]
    return bytes(result)


def _name(value):
    return value.decode() if wire.is_ascii(value) else value


def _text(kind, value):
    """A record's data as the program gets it."""
    if value is None:
        return None
    if kind == wire.A or kind == wire.AAAA:
        return format_address(value)
    if kind == wire.SRV:
        return value[:3] + (_name(value[3]),)
    return _name(value) if kind in (wire.CNAME, wire.PTR, wire.NS) else value


def _negative(message, found) -> int:
    """For how many seconds to believe a "no": RFC 2308 5."""
    for _, kind, _, ttl, start, end in found or ():
        if kind == wire.SOA and end - start >= 22:
            top = message[end - 4] << 8 | message[end - 3]
            least = 0xFFFF if top else wire.number(message, end - 2)
            return min(ttl, least, _NEGATIVE)
    return 0
