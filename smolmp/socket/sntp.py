"""An SNTP client (RFC 4330, with RFC 5905's rules): the time, from one of several servers.

    query = sockets.add(sntp.Query(iface, ["192.168.1.1", "192.168.1.2"]))
    query.start()
    for socket in iface.poll(now, sockets):
        if socket is query and not query.error:
            print(query.datetime(), query.delay)

The poll names the query when it is done: it then tells the time that it was at `at`. Servers are
asked in turn, each `rounds` times at most; one that says "kiss of death" is not asked again, one
that is not synchronised, or says what cannot be, is passed over. Who is not on the path to the
server cannot forge an answer: the port and the 64 bits that have to be echoed are drawn at random
(they are no time: the server need not know what our clock shows).

Numbers stay below 2**30, whatever the year: a time is days since 2000 and milliseconds of the day.
Servers' seconds begin again in 2036: those whose highest bit is clear are after it (RFC 4330 3).
"""

from micropython import const

from smolmp.socket.endpoint import clear_address
from smolmp.socket.lane import TX_PAYLOAD, Lane, after, unguessable
from smolmp.wire.address import parse_address, to_words

NOBODY = const(-3)  # no server answered, or none with a time

_FAMILY = const(0)
_RPORT = const(3)
_LOCAL = const(4)
_REMOTE = const(8)

_NTP_PORT = const(123)
_MESSAGE = const(48)
_REQUEST = const(0x23)  # no warning, version 4, mode 3
_ORIGINATE = const(24)  # where its timestamps stand
_RECEIVE = const(32)
_TRANSMIT = const(40)
_ANSWER = const(4)  # the mode
_ALARM = const(3)  # leap indicator: not synchronised
_MAX_STRATUM = const(15)
_MAX_DISTANCE = const(16)  # s, RFC 5905 MAXDISP
_ERA = const(1 << 25)  # 2**32 seconds, in units of 128
_DAYS_1900 = const(36524)  # from 1900 to 2000
_DAYS_1970 = const(10957)  # from 1970 to 2000
_DAY = const(86400000)  # ms
_TICKS_MASK = const(0x3FFFFFFF)

_LAST = const(2)
_IDLE = const(0)
_BUSY = const(-1)
_BLOCKED = const(-2)


class Query(Lane):
    """Ask `servers` (addresses as text) for the time, each again after `timeout` ms.

    `done`; then `error` (0, NOBODY), or the time: `days` since 1 January 2000 and `ms` of the day,
    at the iface's time `at`; `server`, `stratum`, and `delay`, the ms that the answer took: the
    time is right to half of that. `kissed`: {server: the code it dismissed us with}.
    """

    kind = "sntp"

    def __init__(self, iface, servers, timeout=1000, rounds=3):
        super().__init__()
        self.iface = iface
        self.servers = list(servers)
        self.timeout = timeout
        self.rounds = rounds
        self.done = False
        self.error = 0
        self.days = self.ms = self.at = 0
        self.server = None
        self.stratum = self.delay = 0
        self.kissed = {}
        self._nonce = bytes(8)
        self._turn = -1
        self._waiting = False  # a request is to be sent
        self._asked = 0  # when it was

    def __repr__(self):
        if not self.done:
            return "sntp %s ..." % self.servers
        if self.error:
            return "sntp, no time from %s" % self.servers
        return "sntp %s stratum %d delay %d ms" % (self.server, self.stratum, self.delay)

    def start(self):
        """Ask (again)."""
        self.done = False
        self.error = 0
        self._turn = -1
        self._next()

    def _next(self):
        """The next server that has not dismissed us."""
        left = [server for server in self.servers if server not in self.kissed]
        self._turn += 1
        if self._turn >= len(left) * self.rounds:
            self._finish(NOBODY)
            return
        iface = self.iface
        self.server = left[self._turn % len(left)]
        address = parse_address(self.server)
        for flow in (self.out, self.flow):
            flow[_FAMILY] = to_words(address, flow, _REMOTE)
            flow[_RPORT] = _NTP_PORT
        clear_address(self.out, _LOCAL)
        self.open_ephemeral(iface)
        self._nonce = bytes([unguessable(iface, 8) for _ in range(8)])
        self._waiting = True
        self._asked = iface.now
        self.sockets.mark(self.slot)
        self.sockets.deadline(self.slot, after(iface.now, self.timeout))

    def _finish(self, error):
        self.error = error
        self.done = True
        self._waiting = False
        self.close_port()
        self.sockets.deadline(self.slot, -1)
        self.sockets.changed(self.slot)

    # The set's and the interface's side.

    def dispatch(self, iface):
        if not self._waiting:
            return _IDLE
        end = TX_PAYLOAD + _MESSAGE
        tx = iface.tx
        tx[TX_PAYLOAD:end] = bytes(_MESSAGE)
        tx[TX_PAYLOAD] = _REQUEST
        tx[TX_PAYLOAD + _TRANSMIT : end] = self._nonce
        code = self.transmit(iface, end)
        if code == _BUSY or code == _BLOCKED:
            return code
        self._waiting = False
        self._asked = iface.now
        if code <= _IDLE:  # no way there
            self.sockets.deadline(self.slot, iface.now)
            return _IDLE
        return _LAST

    def on_timer(self, iface):
        self._next()

    def process_error(self, iface):
        """Nobody is there: the next one, with the next poll."""
        if not self.done:
            self.sockets.deadline(self.slot, iface.now)

    def receive(self, iface, at, end):
        """An answer, if it is one (RFC 4330 5, RFC 5905 9.2 and 11.2.1's distance)."""
        rx = iface.rx
        if self.done or self._waiting or end - at < _MESSAGE:
            self.rejected += 1
            return
        for i in range(8):
            if rx[at + _ORIGINATE + i] != self._nonce[i]:
                self.rejected += 1
                return
        self._nonce = bytes([octet ^ 255 for octet in self._nonce])  # once only
        version = rx[at] >> 3 & 7
        stratum = rx[at + 1]
        if rx[at] & 7 != _ANSWER or not 1 <= version <= 4:
            self.rejected += 1
            return
        self.received += 1
        if not stratum:
            self.kissed[self.server] = "".join([chr(octet) for octet in rx[at + 12 : at + 16]])
            # The list is shorter now: whose turn it is comes next in it.
            self._turn -= 1 + self._turn // (len(self.servers) - len(self.kissed) + 1)
            self._next()
            return
        if (
            rx[at] >> 6 == _ALARM
            or stratum > _MAX_STRATUM
            or (_number(rx, at + 4) >> 1) + _number(rx, at + 8) >= _MAX_DISTANCE
            or not any(rx[at + _TRANSMIT : at + _TRANSMIT + 8])
        ):
            self._next()
            return
        took = (iface.now - self._asked) & _TICKS_MASK
        held = _between(rx, at + _RECEIVE, at + _TRANSMIT)
        if not 0 <= held <= took + 1:  # a server that answers before it is asked, or has slept
            self._next()
            return
        self.delay = max(0, took - held)
        self.stratum = stratum
        self.at = iface.now
        self.days, ms = split(rx, at + _TRANSMIT)
        self.ms = ms + self.delay // 2
        if self.ms >= _DAY:
            self.ms -= _DAY
            self.days += 1
        self._finish(0)

    # What it found.

    def moment(self, now):
        """(days since 2000, ms of the day) at the time `now`, ms as the interface has them."""
        days = self.days
        ms = self.ms + ((now - self.at) & _TICKS_MASK)
        while ms >= _DAY:
            ms -= _DAY
            days += 1
        return days, ms

    def unix(self, now) -> int:
        """Seconds since 1970 at the time `now`."""
        days, ms = self.moment(now)
        return (days + _DAYS_1970) * 86400 + ms // 1000

    def datetime(self, now=None):
        """(year, month, day, weekday, hours, minutes, seconds, ms) in UTC; Monday is 0."""
        days, ms = self.moment(self.at if now is None else now)
        seconds = ms // 1000
        clock = (seconds // 3600, seconds // 60 % 60, seconds % 60, ms % 1000)
        return date(days) + ((days + 5) % 7,) + clock


def _number(data, at) -> int:
    """16 bits, as a number."""
    return data[at] << 8 | data[at + 1]


def _between(data, first, last) -> int:
    """Milliseconds between two timestamps; -1: over 16 s, or the wrong way round."""
    top = (_number(data, last) - _number(data, first)) & 0xFFFF
    if top > 1:
        return -1
    seconds = (top << 16) + _number(data, last + 2) - _number(data, first + 2)
    if not 0 <= seconds <= _MAX_DISTANCE:
        return -1
    return seconds * 1000 + _milliseconds(data, last) - _milliseconds(data, first)


def _milliseconds(data, at) -> int:
    return _number(data, at + 4) * 1000 >> 16


def split(data, at: int):
    """(days since 2000, ms of the day) of the NTP timestamp at data[at:at+8]."""
    high = _number(data, at)
    low = _number(data, at + 2)
    units = high << 9 | low >> 7  # of 128 s: a day has 675
    if high < 0x8000:
        units += _ERA
    seconds = (units % 675) << 7 | low & 127
    return units // 675 - _DAYS_1900, seconds * 1000 + _milliseconds(data, at)


def date(days: int):
    """(year, month, day) that is so many days after 1 January 2000. From 1968 to 2104."""
    days += 11688  # from 1 January 1968: a leap year, as every fourth until 2100
    year = 1968
    while True:
        length = 366 if year % 4 == 0 and year != 2100 else 365
        if days < length:
            break
        days -= length
        year += 1
    month = 1
    for size in (31, length - 337, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31):
        if days < size:
            break
        days -= size
        month += 1
    return year, month, days + 1
