"""The client's states: RFC 2131 4.4, figure 5, with ARP probes between REQUESTING and BOUND."""

from array import array
from errno import EINVAL, ENOMEM, ENOTCONN, ETIMEDOUT

from micropython import const

from smolmp.socket.dhcpv4.lease import Binding, Lease
from smolmp.socket.dhcpv4.probe import Probe
from smolmp.socket.endpoint import clear_address
from smolmp.socket.lane import TX_PAYLOAD, Lane, after
from smolmp.wire import dhcpv4 as wire
from smolmp.wire.address import parse_address, to_words
from smolmp.wire.udp import parse

# One text: a board need not keep each word.
STATES = (
    "STOPPED WAITING SELECTING REQUESTING REBOOTING PROBING BOUND RENEWING REBINDING INFORMING"
    " INFORMED RELEASING"
)
_STOPPED = const(0)
_WAITING = const(1)  # before it begins anew
_SELECTING = const(2)
_REQUESTING = const(3)
_REBOOTING = const(4)
_PROBING = const(5)
_BOUND = const(6)
_RENEWING = const(7)
_REBINDING = const(8)
_INFORMING = const(9)
_INFORMED = const(10)
_RELEASING = const(11)

_DHCPDISCOVER = const(1)
_DHCPOFFER = const(2)
_DHCPREQUEST = const(3)
_DHCPDECLINE = const(4)
_DHCPACK = const(5)
_DHCPNAK = const(6)
_DHCPRELEASE = const(7)
_DHCPINFORM = const(8)

_FAMILY = const(0)
_PROTO = const(1)
_LOCAL = const(4)
_REMOTE = const(8)
_RPORT = const(3)
_DATA = const(18)
_END = const(19)
_FRAGMENT = const(20)

_SERVER = const(67)
_CLIENT = const(68)
_PROTO_UDP = const(17)
_MEDIUM_ETHERNET = const(1)

_LAST = const(2)
_IDLE = const(0)
_BUSY = const(-1)
_BLOCKED = const(-2)

_TICKS_MASK = const(0x3FFFFFFF)
_TICKS_HALF = const(0x20000000)
_FAR = const(100000)  # s: a deadline is below 2**29 ms, a lease may be years

_EVERYBODY = b"\xff\xff\xff\xff"
# 121 before 3: who sends both may leave the second out (RFC 3442).
_WANTED = bytes((1, 121, 3, 6, 15, 119, 42, 26, 51, 58, 59))
_ROOM = const(180)  # octets of the program's own options: all fit in 576


class Socket(Lane):
    """A DHCPv4 client.

    `hostname`: told to the server. `options`: {number: bytes} sent in addition, at most 180 octets
    in all; `wanted`: numbers of more options to ask for. `probes`: by ARP before an address is
    taken, 0: none. `configure`: set the interface up; else the program does, from `lease`.
    `broadcast`: ask for answers by broadcast while we have no address; those sent to the address
    itself are understood, too, unless iface.stranger is in use. `longest`: seconds of the longest
    lease that is believed. `fallback`: a LinkLocal. `patience`: questions without an answer until
    it begins.

    Attributes: `state` (a text of STATES), `lease` (None: there is none), `error` (an errno that
    tells why it STOPPED by itself, 0), counts `sent`, `received`, `rejected`, `naks`, `declined`.
    """

    kind = "dhcpv4"

    def __init__(
        self,
        hostname=None,
        options=None,
        wanted=(),
        probes=2,
        configure=True,
        broadcast=True,
        longest=None,
        fallback=None,
        patience=3,
    ):
        super().__init__()
        self.options = dict(options or ())
        if hostname:
            self.options[12] = hostname.encode()[:63]
        if sum([len(value) + 2 for value in self.options.values()]) > _ROOM:
            raise ValueError("options of more than 180 octets")
        self.wanted = _WANTED + bytes(wanted)
        if len(self.wanted) > 40:
            raise ValueError("too many options wanted")
        self.broadcast = broadcast
        self.longest = longest
        self.fallback = fallback
        self.patience = patience
        self.iface = None
        self.lease = None
        self.error = 0
        self.naks = 0
        self.declined = 0
        self._probe = Probe(self, probes, 150, 250, 250)
        self._state = _STOPPED
        self._xid = array("i", (0,))
        self._pending = 0  # the message to be sent, 0: none
        self._address = None  # 4 octets: offered, asked for or ours
        self._server = None
        self._acknowledged = None  # the lease to be, while its address is probed
        self._tries = 0
        self._refused = 0  # NAKs in a row
        self._retry = -1  # ms
        self._expiry = -1  # the next of T1, T2 and the lease's end, in iface.seconds
        self._begun = 0  # iface.seconds when the transaction began
        self._asked = 0  # and when the last question was asked
        self._binding = Binding(configure)
        self._hook = self._stranger  # made once, to be known again

    @property
    def state(self) -> str:
        return STATES.split()[self._state]

    def __repr__(self):
        return "dhcpv4 %s%s" % (self.state, " " + repr(self.lease) if self.lease else "")

    # What the program calls.

    def start(self, iface, address=None):
        """Get an address; `address` (text): the one we had before, asked for first (INIT-REBOOT).
        An address that the interface has from us stays until a server refuses it.

        OSError: ENOTCONN (the client is in no set), EINVAL (the link is no Ethernet, its MTU is
        below 576)."""
        self._open(iface)
        address = parse_address(address.split("/")[0]) if address else None
        if self._binding.cidr is not None and address != self._address:
            self._unconfigure()
        self._begin()
        if address is None:
            self._discover()
        else:
            self._address = address
            self._server = None
            self._ask(_REBOOTING, _DHCPREQUEST)

    def inform(self, iface):
        """Keep the interface's own address and ask for everything else (RFC 2131 3.4)."""
        self._open(iface)
        self._unconfigure()
        if iface.ipv4_addr is None:
            raise OSError(EINVAL)
        self._begin()
        self._address = parse_address(iface.ipv4_addr)
        self._ask(_INFORMING, _DHCPINFORM)

    def release(self):
        """Give the lease back and stop; the interface's address goes when that is on its way."""
        if _BOUND <= self._state <= _REBINDING and self._server:
            self._tries = 0
            self._ask(_RELEASING, _DHCPRELEASE)
        else:
            self.stop()

    def stop(self):
        """Stop at once. The interface loses what it has from us; the server is not told."""
        self._unconfigure()
        if self.fallback is not None:
            self.fallback.stop()
        self._pending = 0
        self._retry = self._expiry = -1
        if self.iface is not None and self.iface.stranger is self._hook:
            self.iface.stranger = None
        if self.slot >= 0:
            self.sockets.deadline(self.slot, -1)
            self.close_port()
        self._to(_STOPPED)

    def detached(self):
        self.slot, slot = -1, self.slot
        self.stop()
        self.slot = slot
        super().detached()

    # The set's and the interface's side.

    def on_timer(self, iface):
        if self._expiry >= 0 and iface.seconds >= self._expiry:
            self._expired(iface)
        elif self._retry >= 0 and (iface.now - self._retry) & _TICKS_MASK < _TICKS_HALF:
            self._retried(iface)
        self._arm()

    def receive(self, iface, at, end):
        state = self._state
        waiting = _SELECTING <= state <= _REBOOTING or _RENEWING <= state <= _INFORMING
        if not waiting or not wire.is_reply(iface.rx, at, end, self._xid, iface.mac):
            self.rejected += 1
            return
        message = bytes(memoryview(iface.rx)[at:end])
        kind = wire.check(message)
        server = wire.option(message, 54) if kind > 0 else None
        if iface.rec[_RPORT] != _SERVER or not self._accept(kind, message, server):
            self.rejected += 1
            return
        self.received += 1
        self._arm()

    def dispatch(self, iface):
        kind = self._pending
        if not kind:
            return _IDLE
        state = self._state
        ours = state >= _BOUND
        out = self.out
        out[_FAMILY] = 4
        out[_RPORT] = _SERVER
        clear_address(out, _LOCAL)
        if ours:
            to_words(self._address, out, _LOCAL)
        to = self._server if state == _RENEWING or state == _RELEASING else None
        to_words(to or _EVERYBODY, out, _REMOTE)
        code = self.transmit(iface, self._write(iface, kind, ours), True)
        if code == _BUSY or code == _BLOCKED:
            return code
        self._pending = 0
        if state == _RELEASING:
            self._retry = iface.now
            self._arm()
        return _LAST if code > 0 else _IDLE

    def _write(self, iface, kind, ours) -> int:
        """The message at iface.tx[TX_PAYLOAD:]; where it ends."""
        tx = iface.tx
        state = self._state
        secs = min(iface.seconds - self._begun, 0xFFFF)
        flag = self.broadcast and not ours
        ciaddr = self._address if ours else None
        at = wire.begin(tx, TX_PAYLOAD, kind, self._xid, secs, flag, ciaddr, iface.mac)
        at = wire.put(tx, at, 61, b"\x01" + iface.mac)
        if not ours and kind != _DHCPDISCOVER:
            at = wire.put(tx, at, 50, self._address)
        if state == _REQUESTING or kind == _DHCPDECLINE or kind == _DHCPRELEASE:
            at = wire.put(tx, at, 54, self._server)
        if kind != _DHCPDECLINE and kind != _DHCPRELEASE:
            at = wire.put(tx, at, 57, bytes((iface.mtu >> 8, iface.mtu & 255)))
            at = wire.put(tx, at, 55, self.wanted)
            for code, value in self.options.items():
                at = wire.put(tx, at, code, value)
        return wire.finish(tx, TX_PAYLOAD, at)

    def _stranger(self, iface, sockets):
        """A packet for an address that is not ours yet: the server's answer to us?"""
        rec = iface.rec
        at = rec[_DATA]
        rx = iface.rx
        if rec[_PROTO] == _PROTO_UDP and not rec[_FRAGMENT] and rec[_END] - at >= 8:
            if rx[at + 2] == 0 and rx[at + 3] == _CLIENT and not parse(rx, at, rec[_END], rec, 0):
                self.process(iface)

    # Transactions.

    def _open(self, iface):
        if self.sockets is None:
            raise OSError(ENOTCONN)
        if iface.medium != _MEDIUM_ETHERNET or iface.mtu < 576:
            raise OSError(EINVAL)
        self.error = 0
        self.iface = iface
        if not self.is_open:
            self.open_port(_CLIENT)
        if iface.stranger is None:
            iface.stranger = self._hook
        if self._binding.cidr is None:
            self._probe.stop()

    def _begin(self):
        """A new transaction."""
        self.iface.random.fill(self._xid, 0)
        self._begun = self.iface.seconds
        self._tries = 0

    def _discover(self):
        self._begin()
        self._address = self._server = None
        self._ask(_SELECTING, _DHCPDISCOVER)

    def _ask(self, state, kind):
        """Enter `state`, whose question is `kind`, and ask it (again)."""
        self._to(state)
        self._pending = kind
        self.sockets.mark(self.slot)
        self._asked = self.iface.seconds
        # RFC 2131 4.1: 4, 8, 16, 32, 64 s, each a second more or less.
        ms = (4000 << min(self._tries, 4)) + self.iface.random.below(2001) - 1000
        self._tries += 1
        if state == _RENEWING or state == _REBINDING:
            # 4.4.5: half of what is left, but not less than a minute.
            end = self._until(self.lease.rebind if state == _RENEWING else self.lease.seconds)
            ms = 1000 * min(max(60, (end - self.iface.seconds) // 2), _FAR)
        self._retry = after(self.iface.now, ms)
        self._arm()

    def _to(self, state):
        """Tell the program when it matters to it."""
        before = self._state
        self._state = state
        if self.slot >= 0 and before != state and (state != _RENEWING and before != _RENEWING):
            self.sockets.changed(self.slot)

    def _until(self, seconds) -> int:
        return -1 if seconds is None else self.lease.begun + seconds

    def _arm(self):
        """One deadline for both clocks."""
        t = self._retry
        if self._expiry >= 0:
            iface = self.iface
            s = self._expiry - iface.seconds
            ms = max(0, 1000 * s - iface._milliseconds) if s < _FAR else 1000 * _FAR
            end = after(iface.now, ms)
            if t < 0 or (t - end) & _TICKS_MASK < _TICKS_HALF:
                t = end
        if self.slot >= 0:
            self.sockets.deadline(self.slot, t)

    def _wait(self, ms):
        """Begin anew after `ms`."""
        self._pending = 0
        self._retry = after(self.iface.now, ms)
        self._to(_WAITING)
        self._arm()

    def _retried(self, iface):
        """Nobody answered, or a wait is over."""
        state = self._state
        tries = self._tries
        self._retry = -1
        if state == _WAITING:
            self._discover()
        elif state == _SELECTING:
            if tries == self.patience and self.fallback is not None:
                self.fallback.start(iface)
            self._ask(state, _DHCPDISCOVER)
        elif state == _PROBING:
            ms = self._probe.step()
            if ms < 0:
                self._bind(iface)
            else:
                self._retry = after(iface.now, ms)
        elif state == _REQUESTING and tries >= 4 or state == _REBOOTING and tries >= 2:
            if self._binding.cidr is not None:
                # 3.2: the lease that we still have is good until its end.
                self._bind(iface)
            else:
                self._discover()
        elif state == _INFORMING and tries >= 4:
            self.stop()
            self.error = ETIMEDOUT
        elif state == _RELEASING:
            # The frame may wait for its neighbour, which an address less lets go of: not for ever.
            neighbors = iface.neighbors
            if tries < 20 and (self._pending or neighbors.incomplete or neighbors.pending):
                self._tries += 1
                self._retry = after(iface.now, 20)
            else:
                self.stop()
        elif state == _INFORMING:
            self._ask(state, _DHCPINFORM)
        elif state >= _REQUESTING:
            self._ask(state, _DHCPREQUEST)

    def _expired(self, iface):
        """T1, T2 or the end of the lease."""
        lease = self.lease
        if iface.seconds >= self._until(lease.seconds):
            self._unconfigure()
            self._discover()
        elif iface.seconds >= self._until(lease.rebind):
            self._expiry = self._until(lease.seconds)
            self._begin()
            self._ask(_REBINDING, _DHCPREQUEST)
        else:
            self._expiry = self._until(lease.rebind)
            self._begin()
            self._ask(_RENEWING if self._server else _REBINDING, _DHCPREQUEST)

    # What servers say.

    def _accept(self, kind, message, server) -> bool:
        state = self._state
        offered = message[16:20]
        if server is not None and not wire.is_host(server):
            return False
        if state == _SELECTING:
            if kind != _DHCPOFFER or server is None or not wire.is_host(offered):
                return False
            self._address = offered
            self._server = server
            self._tries = 0
            self._ask(_REQUESTING, _DHCPREQUEST)
            return True
        if state == _REQUESTING and server != self._server:
            return False
        if kind == _DHCPNAK and state != _INFORMING:
            self.naks += 1
            self._unconfigure()
            wait = 1000 << min(self._refused, 6) if self._refused else 0
            self._refused += 1
            self._wait(wait)  # a server that refuses all that it offers shall not keep us busy
            return True
        if kind != _DHCPACK:
            return False
        if state == _INFORMING:
            self.lease = Lease(message, self._asked, self.longest)
            self._retry = -1
            self._to(_INFORMED)
            return True
        # 4.4.1: it lasts from when we asked.
        lease = Lease(message, self._asked, self.longest)
        if not lease.is_sane or (state == _REQUESTING and offered != self._address):
            return False
        if self._binding.cidr is not None and offered != self._address:
            self._unconfigure()  # of its own accord the server gives us another one
        self._acknowledged = lease
        self._address = offered
        self._server = server or self._server
        self._pending = 0
        if self._binding.cidr is not None or not self._probe.count:
            self._bind(self.iface)
        else:
            self._probe.start(self.iface, offered)
            self._retry = self.iface.now
            self._to(_PROBING)
        return True

    def taken(self, iface):
        """Somebody else has our address, says an ARP packet."""
        if self._state != _PROBING and self._probe.defend(iface, self.lease.address):
            return
        self._unconfigure()
        if self._server:
            self.declined += 1
            self._wait(10000)  # RFC 2131 3.1.5: at least
            self._pending = _DHCPDECLINE
            self.sockets.mark(self.slot)
        else:
            self._wait(10000)

    # The interface.

    def _bind(self, iface):
        lease = self.lease = self._acknowledged
        self._refused = 0
        self._retry = -1
        self._expiry = self._until(lease.renew)
        if iface.stranger is self._hook:
            iface.stranger = None
        if self.fallback is not None:
            self.fallback.stop()
        try:
            self._binding.apply(iface, lease)
        except OverflowError:
            self.stop()
            self.error = ENOMEM
            return
        self._to(_BOUND)
        self.sockets.changed(self.slot)

    def _unconfigure(self):
        """The interface has nothing from us any more."""
        self._expiry = -1
        self._probe.stop()
        had = self._binding.withdraw(self.iface)
        if (had or self.lease is not None) and self.slot >= 0:
            self.sockets.changed(self.slot)
        self.lease = None
