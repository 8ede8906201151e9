"""Net: a device brought up as a host, and the sockets that programs on it have.

It drives the stack while anybody waits: a call of its sockets, select.poll, asyncio (from the
first socket on that does not block, or run()). A program that waits for nothing calls poll()
in its loop. Buffers are made once, here; a socket that is closed gives its own back when the
connection has ended.
"""

import sys
import time

from micropython import const

from smolmp.iface import Interface
from smolmp.net import names
from smolmp.net.pool import Pool
from smolmp.net.socket import socket
from smolmp.wire.address import format_mac

_LOOK_EVERY = const(10)  # ms between looks where only a timer wakes who sleeps
_SECOND = const(1000)  # ms
_GIVE_BACK = const(500)  # ms
_TURN = const(2)  # ms that one of several Nets sleeps, so that the others live on
_FOREVER = const(1 << 28)  # ms; asyncio compares with what is due already: not the largest

nets: list = []  # those that are up: who waits for one, drives all


class Net(Pool):
    """A host on `device`.

    `address`: "192.168.1.5/24", or several of them in a tuple; `gateway`: of the default route.
    None: by DHCP, which tells the gateway and name servers, too; see wait_up().
    `dns`: addresses of name servers, `search`: domains to look in. `hosts`: {name: address} known
    without asking.
    `hardware_addr`: None takes the one that the device lets pass (its `mac`), or makes one out of
    machine.unique_id(), or at random. `seed`: 16 octets that nobody can guess; None asks
    os.urandom.
    `tcp`: connections at a time, those that are closing included, each with `rx` and `tx` octets
    of buffer (`listen()` takes half of what is free then, and lets `backlog` of them wait even
    when it is told fewer: asyncio's servers ask for 5); `udp`: UDP sockets at a time, each with
    `datagrams` octets for what comes and as many for what goes. More options: as Interface has.
    """

    on_change = None  # on_change(net) is called when the cable or the lease has changed

    def __init__(
        self,
        device,
        address=None,
        gateway=None,
        dns=(),
        search=(),
        hosts=None,
        hostname="smolmp",
        hardware_addr=None,
        seed=None,
        tcp=8,
        udp=4,
        rx=4096,
        tx=4096,
        datagrams=2048,
        backlog=1,
        clock=time.ticks_ms,
        **options,
    ):
        super().__init__(tcp, rx, tx, udp, datagrams, backlog, clock)
        self.scratch = bytearray(max(128, device.mtu))
        self.device = device
        self.hostname = hostname
        self.dns = list(dns)
        self.search = list(search)
        self.hosts = dict(hosts or ())
        self._resolver = None
        self.dhcp = None  # the client, where addresses come from one
        self.addresses = (address,) if isinstance(address, str) else tuple(address or ())
        self.gateway = gateway
        seed = names.random(16) if seed is None else seed
        # A chip that filters has been told one.
        own = hardware_addr or format_mac(getattr(device, "mac", None) or names.hardware_addr())
        self.iface = Interface(device, own, (), None, seed, clock(), **options)
        self.polled = clock()
        self._cable = self.iface._link
        self._timer = None
        if device.fetch:
            from smolmp.net import steady

            quick = steady.bind(self, device.fetch, nets)
            self.poll, self.wait, self.push = quick  # type: ignore[method-assign]
        if address is None:
            from smolmp.socket import dhcpv4

            self.dhcp = self.sockets.add(dhcpv4.Socket(hostname))
            self.watch(self.dhcp, self._leased, self.dhcp)
        self.up()

    # Driving.

    def poll(self):
        """Do what there is to do now; the sockets of the core that changed."""
        self.dirty = False
        now = self.clock()
        self.polled = now
        iface = self.iface
        changed = iface.poll(now, self.sockets)
        if iface._link is not self._cable:
            self._cable_moved()
        if changed and self.waiting is not None:
            self.waiting.note(changed)
        if changed and self._watched:
            changed = self._call_back(changed)
        return changed

    def _call_back(self, changed):
        """What watch() was told; the list of those that changed, which a callback may outdate by
        polling again."""
        watched = self._watched
        calls = [watched[core] for core in changed if core in watched]
        if calls:
            changed = list(changed)
            for callback, shell in calls:
                callback(shell)
        return changed

    push = poll  # what was queued goes out

    def look(self):
        """As poll(), unless that has just been done: for those who ask often."""
        if self.clock() != self.polled:
            self.poll()
        elif self.dirty:
            self.push()

    def wait(self, ms=None):
        """Poll; unless that changed something, sleep until more may have happened, at most `ms`,
        and poll again."""
        if self.poll():
            return
        delay = self.delay()
        if ms is not None and ms < delay:
            delay = ms
        if len(nets) > 1:
            for other in nets:  # who waits for one, drives all
                if other is not self:
                    other.poll()
            delay = min(delay, _TURN)
        if delay != 0:
            self.device.wait(delay)
            self.poll()

    def delay(self) -> int:
        """ms until poll() has something to do unless a frame comes: a second at most, since nobody
        tells of the cable."""
        delay = self.iface.poll_delay(self.clock(), self.sockets)
        return _SECOND if delay is None or delay > _SECOND else delay

    def sleep(self, ms):
        """What time.sleep_ms() is to programs, the stack living on meanwhile."""
        start = self.clock()
        left = ms
        while left > 0:
            self.wait(left)
            left = ms - time.ticks_diff(self.clock(), start)

    def finish(self, ms=2000) -> bool:
        """Before the program ends: what was sent is delivered, which may take `ms`; connections
        that the program left open are reset then. False: there were such."""
        start = self.clock()
        while True:
            self.poll()
            left = ms - time.ticks_diff(self.clock(), start)
            if left <= 0 or not any(core.is_active() for core in self._connections()):
                break
            self.wait(min(left, 50))
        clean = True
        for core in self._connections():
            if core.is_active():
                clean = False
                core.abort()
        self.poll()
        return clean

    def join_asyncio(self):
        """See that asyncio's loop, if there is one, drives the stack: see loop.py."""
        if "asyncio.core" in sys.modules:
            from smolmp.net import loop

            loop.join(self)

    async def run(self):
        """A task that drives the stack while asyncio waits for nothing of it, for ever."""
        from asyncio import sleep_ms

        self.join_asyncio()
        while True:
            await sleep_ms(_FOREVER)

    # Up and down.

    def up(self):
        """Have the addresses and the default route (again)."""
        if self._timer is None:
            self._timer = _waker()
            self.device.rouse()
        if self not in nets:
            nets.append(self)
            loop = sys.modules.get("smolmp.net.loop")
            if loop is not None:
                loop.came(self)
        if self.dhcp is not None and self.dhcp.state == "STOPPED":
            self.dhcp.start(self.iface)
            self.poll()
        for cidr in self.addresses:
            if cidr not in self.iface.ip_addrs:
                self.iface.add_ip_addr(cidr)
        if self.gateway is not None:
            self.iface.routes.add_default(self.gateway)
        return self

    def down(self):
        """Have no address: connections break (ECONNABORTED), in silence towards their peers. A
        lease is given back, which nobody confirms (RFC 2131 4.4.6): it takes some milliseconds."""
        client = self.dhcp
        if client is not None:
            client.release()
            start = self.clock()
            # The server may have to be asked for its link address first.
            while client.state != "STOPPED" and time.ticks_diff(self.clock(), start) < _GIVE_BACK:
                self.wait(10)
            client.stop()
        for cidr in list(self.iface.ip_addrs):
            self.iface.remove_ip_addr(cidr)
        self.iface.routes.remove_default()
        self.poll()
        if self._timer:
            self._timer.deinit()
        self._timer = None
        if self in nets:
            nets.remove(self)
            loop = sys.modules.get("smolmp.net.loop")
            if loop is not None:
                loop.went(self)

    def _cable_moved(self):
        """It was plugged in or pulled out. There may be another network behind it now: a lease is
        confirmed first (RFC 2131 4.4.2, INIT-REBOOT)."""
        self._cable = self.iface._link
        client = self.dhcp
        if self._cable and client is not None and client.state != "STOPPED":
            lease = client.lease
            client.start(self.iface, None if lease is None else lease.address)
            self.dirty = True
        if self.on_change is not None:
            self.on_change(self)

    def wait_up(self, ms=15000) -> bool:
        """Wait until there is an address and a cable, at most `ms`; False: there is none."""
        start = self.clock()
        while not self.is_up():
            left = ms - time.ticks_diff(self.clock(), start)
            if left <= 0:
                return False
            self.wait(min(left, 100))
        return True

    def _leased(self, client):
        """DHCP's client has changed its state."""
        lease = client.lease
        if lease is not None:
            self.dns[:] = lease.dns
            self.search[:] = lease.search
        if self.on_change is not None:
            self.on_change(self)

    def resolver(self):
        """The dns.Client, with the servers of now."""
        if self._resolver is None:
            from smolmp.socket import dns

            self._resolver = dns.Client(self.iface, self.sockets)
        self._resolver.servers = self.dns
        self._resolver.search = self.search
        return self._resolver

    def resolve(self, name, family):
        """The addresses of a name by DNS, as text; [] without a server. Waits for the answer."""
        if not self.dns and not name.endswith(".local"):
            return []
        return self.resolver().resolve(name, family, self.wait)

    def is_up(self) -> bool:
        """Is there an address and, when last looked at (once a second), a cable?"""
        return self.iface._link and len(self.iface.ip_addrs) > 0

    def install(self):
        """From here on `import socket` finds this stack, in every module imported later; and
        `import ssl` finds smolmp.net.ssl, where the port has TLS.

        What was imported before keeps the socket module it has. Returns self.
        """
        from smolmp.net import module

        module.use(self)
        sys.modules["socket"] = sys.modules["usocket"] = module
        try:
            import tls  # noqa: F401
        except ImportError:
            return self  # the program's own `import ssl` tells that there is none
        from smolmp.net import later

        sys.modules["ssl"] = sys.modules["ussl"] = later.Ssl()  # type: ignore[assignment]
        return self

    def socket(self, *args):
        """A socket of this stack: arguments as of socket.socket()."""
        return socket(*args, net=self)

    def getaddrinfo(self, host, port, *args):
        """See smolmp.net.module.getaddrinfo."""
        return names.getaddrinfo(self, host, port, *args)

    def __repr__(self):
        from smolmp.net import report  # whoever does not ask need not have it

        return report.text(self)


def _waker():
    """A timer that wakes the processor for the stack: select.poll and asyncio sleep until
    something interrupts, and it is they who drive it. False where there is no timer: they look
    by themselves."""
    try:
        from machine import Timer
    except ImportError:
        return False
    # A virtual one; the ESP32 has numbered ones only.
    number = 3 if sys.platform == "esp32" else -1
    return Timer(number, mode=Timer.PERIODIC, period=_LOOK_EVERY, callback=lambda _: None)
