"""The Interface: a host's side of one link (RFC 1122). It owns the frames and the walk.

    poll            timers; frames in, each to its handler; then frames out, socket by socket
      ingress       device.recv -> ethernet.parse -> ARP, or the IP version's ingress
                    -> ipv4.parse -> classify -> raw sockets -> the protocol's handler -> socket
      egress        announcements, kept frames, then socket.dispatch of every marked socket
                    -> iface.send -> next_hop -> emit -> device.send

It never reads a clock, never waits, and allocates nothing between construction and the next call
that changes its configuration.

The walk itself is in walk.py. What more it can do plugs in, when imported: IPv6 adds its ethertype
and version to walk.ETHERTYPES and walk.VERSIONS and itself to configuration.FAMILIES;
`iface.tasks` takes what needs a timer (`deadline`: ms mod 2**30 or -1; `run(iface, sockets)`);
`iface.reassemble(iface, sockets)` gets fragments and calls `ipv4.deliver` when a datagram is
whole; `iface.fragment(iface, flow, end) -> code` sends what is larger than the link's or the
path's MTU (`iface.paths`); `iface.stranger(iface, sockets)` gets IPv4 packets not for us.
"""

from array import array

import micropython
from micropython import const

from smolmp.counters import count
from smolmp.iface import arp
from smolmp.iface.configuration import Configuration
from smolmp.iface.ipv4 import emit, next_hop
from smolmp.iface.walk import begin, egress, ingress
from smolmp.prng import Random
from smolmp.socket.set import count_bits, next_bit
from smolmp.wire.ipv4 import emit as emit_ipv4

_MEDIUM_ETHERNET = const(1)

_FAMILY = const(0)
_PROTO = const(1)
_FLOW_WORDS = const(14)
_REC_WORDS = const(56)
_SECRET_WORDS = const(10)

_RX_NET = const(16)  # where the IP header stands in iface.rx: 4-aligned
_RX_LINK = const(2)
_TX_DATA = const(64)  # where the transport header stands in iface.tx
_TX_IPV4 = const(44)
_TX_LINK = const(30)
_HINTED = const(-2)  # to the neighbour that the last packet went to
_DONT_FRAGMENT = const(0x4000)
_TCP = const(6)

_RX_IPV4 = const(1)  # bits of Device.checksums: what it checks
_RX_ICMP = const(8)

_BURST = const(15)  # segments of one socket before another has its turn, less one

_SENT = const(1)
_BUSY = const(-1)
_BLOCKED = const(-2)
_UNREACHABLE = const(-3)
_TOO_BIG = const(-4)  # for the link
_PATH_TOO_BIG = const(-5)

_TICKS_MASK = const(0x3FFFFFFF)
_TICKS_HALF = const(0x20000000)

_COUNT_TX_FRAMES = const(1)
_COUNT_TX_BUSY = const(2)
_COUNT_IP_NO_ROUTE = const(15)
_COUNT_IP_TOO_BIG = const(16)


class Interface(Configuration):
    """One link's host.

    `ip_addrs`: CIDR texts. `gateway`: the IPv4 default route. `seed`: of iface.random and of the
    secret key; another one on every boot, an int or, better, 16 octets that nobody can guess.
    `now`: the time, as poll() is given it. Sizes: `neighbors` remembered, `waiting` frames kept
    for neighbours being resolved, `routes`, `addrs` and `groups` per family, `paths` whose MTU is
    remembered.
    `any_ip`: every address is ours. `announce`: tell the link about our addresses (RFC 5227).
    `loopback`: the device brings back what we send, so that our own address is a fair source;
    None: as device.loopback says. `icmp_rate`, `icmp_burst`: ICMP errors per second and at once.
    Attributes: `challenge_limit` (100), `reset_limit` (200): about as many challenge ACKs and RSTs
    to strangers does TCP send in a second; 0: none.
    ValueError: the hardware address is a group's or text cannot be read.
    """

    def __init__(
        self,
        device,
        hardware_addr="02:00:00:00:00:01",
        ip_addrs=(),
        gateway=None,
        seed=0,
        now=0,
        neighbors=8,
        routes=4,
        waiting=4,
        addrs=4,
        groups=4,
        paths=8,
        any_ip=False,
        announce=True,
        loopback=None,
        icmp_rate=100,
        icmp_burst=50,
        echo_broadcast=False,
    ):
        ether = device.medium == _MEDIUM_ETHERNET
        mtu = device.mtu
        # The frames. Large buffers first: they stay where they are.
        # 4 octets more than fit: a device sees by them that a frame of full size was not cut.
        most = getattr(device, "segments", 0) or mtu
        self.rx = bytearray(_RX_NET + most + 4)
        self.tx = bytearray(_TX_DATA + most)
        self.view = memoryview(self.rx)[_RX_LINK if ether else _RX_NET :]
        self.view_size = len(self.view)
        self.tx_start = _TX_LINK if ether else _TX_IPV4
        self.tx_end = _TX_IPV4 + mtu
        self.clear_end = self.tx_end  # what ends behind it is looked at by _large()
        self.arp_tx = bytearray(44)
        self.arp_sender = memoryview(self.rx)[_RX_NET + 8 : _RX_NET + 14]
        sizes = (neighbors, waiting, routes, addrs, groups, paths)
        super().__init__(device, sizes, announce)
        # What was found in the frame at hand, and what replies are made of.
        self.rec = array("i", bytes(4 * _REC_WORDS))
        self.quoted = array("i", bytes(4 * _REC_WORDS))
        self.reply = array("i", bytes(4 * _FLOW_WORDS))
        self.arp_flow = array("i", bytes(4 * _FLOW_WORDS))
        self.arp_flow[_FAMILY] = 4
        self.raw_handled = False
        self.random = Random(seed)
        # The key of what a stranger shall not guess (tcp/numbers.py), and the count of ports.
        self.secret = array("i", bytes(4 * _SECRET_WORDS))
        self.random.fill(self.secret, 0)
        self.random.fill(self.secret, 1)
        self.random.turn(self.secret)
        self.ports = self.random.bits(14)
        # What TCP answers to segments that are wrong, a second; see tcp/replies.py.
        self.challenge_limit = 100
        self.reset_limit = 200
        self.budgets = array("i", (-1, 0, 0))
        self.checksums = device.checksums
        self.verify_ip = 0 if self.checksums & _RX_IPV4 else 1
        self.verify_icmp = 0 if self.checksums & _RX_ICMP else 1
        # Time.
        self.now = now & _TICKS_MASK
        self.seconds = 0  # since construction
        self._milliseconds = 0
        # What plugs in, beside tasks.
        self.reassemble = None
        self.fragment = None
        self.stranger = None
        # ICMP.
        self.icmp_rate = icmp_rate
        self.icmp_burst = icmp_burst
        self.icmp_tokens = icmp_burst
        self.icmp_filled = self.now
        self.echo_broadcast = echo_broadcast
        # Egress.
        self.busy = False  # the device did not take the last frame
        self.gone = False  # it did: the last packet is not waiting for its neighbour
        device.prepare(self.tx, self.tx_start)
        self.burst = 0  # segments that may follow the one dispatch() sends, and that did
        self.followed = 0
        self.more = [False]  # the budget ended before the work did; an item is cheap to change
        if loopback is None:
            loopback = getattr(device, "loopback", False)
        self.ipv4[3] = 1 if loopback else 0
        self.bind()
        if ether:
            self.set_hardware_addr(hardware_addr)
        for cidr in ip_addrs:
            self.add_ip_addr(cidr)
        self.any_ip = any_ip
        if gateway is not None:
            self.routes.add_default(gateway)

    def bind(self):
        """Find once what every packet works with. To be called again by whoever replaces a frame,
        a table or a method of the device after construction (tests do). A lane (SocketSet.lane)
        holds good as long as `inward` is the same tuple."""
        device = self.device
        self.recv = device.recv
        self.transmit = device.send
        self._neighbor_words = self.neighbors.words
        self._route_words = self.routes.words
        ether = self.tx_start == _TX_LINK
        frame = (self.view, ether, self.view_size)
        self.inward = (self.rx, self.rec, self.mac, self.counters, self.recv) + frame
        tables = (self.ipv4, self._route_words, self._neighbor_words, self.tx_start)
        self.outward = (self.tx, self.mac, self.counters, self.transmit) + tables + (emit,)
        # To look a method up costs several times what an attribute does.
        for name in ("poll", "poll_delay", "poll_egress", "send"):
            setattr(self, name, getattr(self, name))

    # Polling.

    @micropython.native
    def poll(self, now: int, sockets, budget: int = 64):
        """Do what there is to do: timers, at most `budget` frames in, then at most `budget` out.

        Returns the sockets that became readable, writable, closed ...: the same list every time,
        valid until the next poll. poll_delay() says when to come back.
        """
        now &= _TICKS_MASK
        neighbors = self.neighbors
        earliest = sockets.earliest
        # What begin() and egress() would find to do, without the call where it is nothing.
        if (
            now != self.now
            or self.busy
            or neighbors.incomplete
            or self.tasks
            or (earliest >= 0 and (now - earliest) & _TICKS_MASK < _TICKS_HALF)
        ):
            begin(self, now, sockets)
        lane = sockets.lane
        if lane is None:
            ingress(self, sockets, budget, 0)
        else:
            n = lane.drain(self, budget)
            left = budget - lane.taken
            if n:
                ingress(self, sockets, left, n)
            else:
                self.more[0] = left <= 0
        if (
            next_bit(sockets.marks, 0, sockets.slots) >= 0
            or neighbors.events != sockets.neighbor_events
            or neighbors.pending
            or self._announcing >= 0
        ):
            egress(self, sockets, budget, _BURST)
        return sockets.take_changed()

    def poll_ingress_single(self, now: int, sockets) -> int:
        """Process one frame. 0: there was none; 1: done; 2: sockets changed (and are still to be
        reported by poll() or sockets.take_changed())."""
        begin(self, now, sockets)
        if ingress(self, sockets, 1, 0):
            return 0
        return 2 if sockets.has_changes() else 1

    @micropython.native
    def poll_egress(self, now: int, sockets) -> int:
        """Let every marked socket send at most one packet. 0: nothing was sent; 1: something was;
        2: sockets changed."""
        if now & _TICKS_MASK != self.now or self.busy:  # else a poll has let this ms begin
            begin(self, now, sockets)
        sent = egress(self, sockets, count_bits(sockets.marks, sockets.words), 0)
        if next_bit(sockets.changes, 0, sockets.slots) >= 0 and sockets.has_changes():
            return 2
        return 1 if sent else 0

    @micropython.native
    def poll_delay(self, now: int, sockets):
        """Milliseconds until poll() has something to do unless a frame arrives, 0: now, None:
        only then. With a busy device and nothing else to do: 1."""
        if self.more[0]:
            return 0
        if next_bit(sockets.marks, 0, sockets.slots) >= 0:
            return 1 if self.busy else 0
        neighbors = self.neighbors
        if neighbors.events != sockets.neighbor_events and sockets.has_blocked():
            return 0
        if neighbors.pending or self._announcing >= 0 and self._link:
            return 1 if self.busy else 0
        now &= _TICKS_MASK
        delay = sockets.earliest
        if delay >= 0:
            delay = (delay - now) & _TICKS_MASK
            if delay >= _TICKS_HALF:
                delay = 0
        if neighbors.incomplete:
            other = neighbors.delay(now)
            if not other and self.busy:
                other = 1
            if delay < 0 or other < delay:
                delay = other
        if self.tasks:
            delay = self._tasks_delay(now, delay)
        return None if delay < 0 else delay

    def poll_at(self, now: int, sockets):
        """When poll() has something to do, in ms mod 2**30, or None: see poll_delay()."""
        delay = self.poll_delay(now, sockets)
        if delay is None:
            return None
        return ((now & _TICKS_MASK) - (_TICKS_MASK - delay) - 1) & _TICKS_MASK

    def _tick(self, now):
        elapsed = (now - self.now) & _TICKS_MASK
        self.now = now
        if elapsed < _TICKS_HALF:  # else the clock was set back
            self._milliseconds += elapsed
            if self._milliseconds >= 1000:
                self._second()

    def _run_tasks(self, sockets):
        for task in self.tasks:
            if task.deadline >= 0 and (self.now - task.deadline) & _TICKS_MASK < _TICKS_HALF:
                task.run(self, sockets)

    def _tasks_delay(self, now, delay):
        for task in self.tasks:
            if task.deadline >= 0:
                other = (task.deadline - now) & _TICKS_MASK
                if other >= _TICKS_HALF:
                    other = 0
                if delay < 0 or other < delay:
                    delay = other
        return delay

    def _second(self):
        self.seconds += self._milliseconds // 1000
        self._milliseconds %= 1000
        self.neighbors.expire()
        self.routes.expire(self.seconds)
        up = bool(self.device.link())
        if up and not self._link:
            self._announce_from(0)
        self._link = up

    def _link_egress(self):
        while self._announcing >= 0 and self._link:
            if not arp.announce(self, self._announcing):
                return
            self._announcing += 1
            if self._announcing >= self.ipv4[0]:
                self._announcing = -1
        self.neighbors.flush_pending()

    # What sockets and protocols call.

    @micropython.native
    def send(self, flow, end: int) -> int:
        """Send the transport bytes tx[64:end], checksum and all, to flow[_REMOTE] from
        flow[_LOCAL] with flow[_PROTO], flow[_HOPS] and flow[_TOS].

        _SENT: gone, or kept until the neighbour answers. _BUSY, _BLOCKED: not; try again in a
        later dispatch(). _UNREACHABLE, _TOO_BIG, _PATH_TOO_BIG: it cannot be sent; counted.
        """
        if flow[_FAMILY] != 4:
            return self._send_other(flow, end)
        if end > self.clear_end:
            code = self._large(flow, end)
            if code:
                return code
        tx, mac, counters, transmit, own, routes, neighbors, start, emit_packet = self.outward
        if start == _TX_IPV4:  # no link header, no neighbours
            emit_ipv4(tx, _TX_IPV4, flow, end - _TX_DATA, 0, _DONT_FRAGMENT)
        elif not emit_packet(tx, flow, end, neighbors, _HINTED, mac, self.now):
            index = next_hop(own, routes, neighbors, flow, self.now)
            if index == _UNREACHABLE:
                count(counters, _COUNT_IP_NO_ROUTE)
                return _UNREACHABLE
            emit_packet(tx, flow, end, neighbors, index, mac, 0)
            if index < 0:
                if self.gone:
                    self.gone = False
                return self.neighbors.wait(tx, _TX_LINK, end)
        if transmit(tx, start, end):
            count(counters, _COUNT_TX_FRAMES)
            if not self.gone:
                self.gone = True
            return _SENT
        count(counters, _COUNT_TX_BUSY)
        self.busy = True
        return _BUSY

    def _large(self, flow, end: int) -> int:
        """What becomes of a packet that is larger than the link or its path lets pass; 0: it is
        not. TCP knows its paths: a segment beyond one tries whether it still is so."""
        code = _TOO_BIG
        if end <= self.tx_end:
            if flow[_PROTO] == _TCP or end - _TX_IPV4 <= self.paths.mtu(flow):
                return 0
            code = _PATH_TOO_BIG
        if self.fragment is not None:
            return self.fragment(self, flow, end)
        count(self.counters, _COUNT_IP_TOO_BIG)
        return code

    def _send_other(self, flow, end: int) -> int:
        family = self.families.get(flow[_FAMILY])
        if family is None:
            count(self.counters, _COUNT_IP_NO_ROUTE)
            return _UNREACHABLE
        return family.send(self, flow, end)

    def select_source(self, flow) -> bool:
        """Fill flow[_LOCAL] with the address to speak to flow[_REMOTE] from; False: none."""
        family = self.families.get(flow[_FAMILY])
        return family is not None and family.select_source(self, flow)

    def icmp_error(self, kind: int, code: int, parameter: int = 0) -> bool:
        """Send an ICMP error about the packet in rx and rec, if the rules allow one."""
        return self.families[self.rec[_FAMILY]].icmp_error(self, kind, code, parameter)

    def offer_raw(self, raw):
        """Give the packet in rx and rec to every raw socket that takes its kind."""
        for socket in raw:
            if socket.accepts(self.rec[_FAMILY], self.rec[_PROTO]):
                socket.process(self)
                self.raw_handled = True

    def solicit(self, family: int, index: int) -> bool:
        """Ask for neighbour entry `index`; False: the device is busy."""
        return self.families[family].solicit(self, index)
