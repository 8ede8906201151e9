"""Connections and datagrams for asyncio that allocate next to nothing.

    from smolmp.net import aio

    stream = await aio.connect("example.org", 80)       # of the Net that was installed, or net=...
    n = await stream.readinto(buffer)                   # at least one octet; 0: the end
    await stream.write(buffer, 0, n)                    # until all of it is taken
    stream.close()

    listener = aio.listen(80)
    stream = await listener.accept()

    port = aio.datagrams(69)
    n = await port.readinto(buffer)                     # one datagram
    await port.answer(buffer, n)                        # to who sent it

Tasks, events and time-outs (asyncio.wait_for) are asyncio's own, on the same loop as its streams.
What is awaited here is made once per stream and used again, so one task reads, and one writes, at
a time; a result's exception (StopIteration, by which await gets it) is kept for the next of the
same size. `timeout` (ms) of a stream, listener or port bounds each wait: OSError(ETIMEDOUT).
A task that is cancelled in connect(), accept(), resolve() or a transfer leaves nothing behind; the
stream it had is as before, and its own to close.
"""

import time
from asyncio import core  # type: ignore[attr-defined]
from errno import EBADF, ETIMEDOUT

from micropython import const

from smolmp.net import loop, names
from smolmp.net.datagram import Datagram
from smolmp.net.socket import socket
from smolmp.net.stream import Stream as _Stream

_POLLIN = const(1)
_POLLOUT = const(4)
_RESULTS = const(8)  # sizes whose StopIteration is kept

_DONE = StopIteration()
_results: dict = {}  # n -> StopIteration(n)


@micropython.native
def _result(n):
    found = _results.get(n)
    if found is None:
        found = StopIteration(n)
        if len(_results) < _RESULTS:
            _results[n] = found
    return found


class _Wait:
    """What a task waits for at `end`: an awaitable that is used again and again."""

    event = _POLLIN

    def __init__(self, owner, end):
        self.owner = owner
        self.end = end
        self.buf = None
        self.at = self.n = self.first = 0
        self.deadline = -1
        self.task = None  # that waits
        self.slot = -1

    def begin(self, buf, at, n):
        """The awaitable itself, for a transfer of buf[at:at + n]."""
        if self.end is None:
            raise OSError(EBADF)
        timeout = self.owner.timeout
        self.deadline = -1 if timeout is None else time.ticks_add(time.ticks_ms(), timeout)
        self.buf = buf
        self.at = self.first = at
        self.n = n
        return self

    def __iter__(self):
        return self

    @micropython.native
    def __next__(self):
        if self.task is not None:
            self.leave()
        if self.end is None:
            raise OSError(EBADF)  # closed meanwhile
        found = self.step()
        if found is not None:
            found.__traceback__ = None  # or it would grow, where bytecode sees it pass
            raise found
        deadline = self.deadline
        if deadline >= 0 and time.ticks_diff(deadline, time.ticks_ms()) <= 0:
            raise OSError(ETIMEDOUT)
        waiting = self.owner.net.waiting
        tasks = waiting.readers if self.event == _POLLIN else waiting.writers
        self.slot = waiting.put(self.end, tasks, self.event, deadline)
        self.task = core.cur_task

    def leave(self):
        """It runs again: nobody need wake it."""
        waiting = self.owner.net.waiting
        tasks = waiting.readers if self.event == _POLLIN else waiting.writers
        waiting.drop(tasks, self.slot, self.task)
        self.task = None

    @micropython.native
    def send(self, value):
        """What a task asks of its coroutine: asyncio.create_task() and wait_for() take it, too."""
        return self.__next__()

    def throw(self, error):
        """Cancelled."""
        if self.task is not None:
            self.leave()
        raise error

    def step(self):
        """What ends the wait: a StopIteration, or None: not yet. This one: that something is
        there, or room."""
        return _DONE if self.end.events(self.event) else None


class _Read(_Wait):
    @micropython.native
    def step(self):
        n = self.end.receive(self.buf, self.n, 0)
        return None if n is None else _result(n)


class _Write(_Wait):
    event = _POLLOUT

    @micropython.native
    def step(self):
        end = self.end
        self.owner.net.dirty = True
        while self.n > 0:
            sent = end.transmit(self.buf, self.at, self.n, None)
            if sent is None:
                return None
            self.at += sent
            self.n -= sent
        return _result(self.at - self.first)


class _Open(_Wait):
    event = _POLLOUT

    def step(self):
        return _DONE if self.end.connected() else None


class _Accept(_Wait):
    def step(self):
        end = self.end.accept()
        return None if end is None else StopIteration(Stream(self.owner.net, end))


class _Answer(_Wait):
    """Datagrams go whole, to `to`: a udp.UdpMetadata."""

    event = _POLLOUT
    to = None

    def step(self):
        core_socket = self.end.core
        self.owner.net.dirty = True
        sent = core_socket.send(self.buf, self.n, self.to)
        return None if sent is None else _result(sent)


class _SendTo(_Wait):
    """As _Answer, `to` (address, port)."""

    event = _POLLOUT
    to = None

    def step(self):
        self.owner.net.dirty = True
        sent = self.end.transmit(self.buf, 0, self.n, self.to)
        return None if sent is None else _result(sent)


class _Named:
    """A DNS query, as something to wait for."""

    listener = None

    def __init__(self, query):
        self.core = query

    def events(self, wanted):
        return wanted if self.core.done else 0


class _Owner:
    """What has an end, ways to wait for it, and a `timeout` in ms (None: as long as it takes)."""

    def __init__(self, net, end, timeout=None):
        self.net = net
        self.timeout = timeout
        self._end = end
        self._ways = []

    def _way(self, kind):
        way = kind(self, self._end)
        self._ways.append(way)
        return way

    def close(self):
        """Done with it, whoever waits: they hear EBADF. What was sent is still delivered."""
        end = self._end
        if end is None:
            return
        self._end = None
        for way in self._ways:
            way.end = None
        end.close()
        self.net.poll()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        self.close()

    def set(self, level, option, value):
        """An option, as socket.setsockopt() has them."""
        self._end.set(level, option, value)

    def name(self):
        """(address, port) of our end."""
        return self._end.name()

    def __repr__(self):
        return "<aio %r>" % (self._end or "closed")


class Stream(_Owner):
    """A connection."""

    def __init__(self, net, end, timeout=None):
        super().__init__(net, end, timeout)
        self._read = self._way(_Read)
        self._write = self._way(_Write)

    def readinto(self, buf, n=-1):
        """await: how many octets came into `buf`, at most n of them; 0: the end of the stream.
        OSError: ECONNRESET, ETIMEDOUT, ..."""
        return self._read.begin(buf, 0, len(buf) if n < 0 or n > len(buf) else n)

    def write(self, data, at=0, n=-1):
        """await: data[at:at + n] (n < 0: to its end) is queued, as fast as the peer takes it: how
        many. OSError: EPIPE, ECONNRESET, ETIMEDOUT, ..."""
        most = len(data) - at
        return self._write.begin(data, at, most if n < 0 or n > most else n)

    async def readexactly(self, buf, n=-1):
        """await: n octets (n < 0: as many as fit) are in `buf`. EOFError: the stream ended."""
        n = len(buf) if n < 0 else n
        view = memoryview(buf)
        got = 0
        while got < n:
            more = await self.readinto(view[got:n])
            if not more:
                raise EOFError
            got += more
        return n

    def shutdown(self, how=1):
        """End our half (1), theirs (0), or both (2)."""
        self._end.shutdown(how)
        self.net.dirty = True

    def abort(self):
        """Close by a reset: what was not sent is lost."""
        if self._end is not None:
            self._end.core.abort()
            self.close()

    def peer(self):
        """(address, port) of the other end."""
        return self._end.peer()


class Listener(_Owner):
    """Connections come to its port."""

    def __init__(self, net, end, timeout=None):
        super().__init__(net, end, timeout)
        self._accept = self._way(_Accept)

    def accept(self):
        """await: the Stream of the next connection."""
        return self._accept.begin(None, 0, 0)


class Datagrams(_Owner):
    """A UDP port. `sender`: (address, port) of what came last."""

    def __init__(self, net, end, timeout=None):
        super().__init__(net, end, timeout)
        self._read = self._way(_Read)
        self._write = self._way(_Answer)
        self._send = self._way(_SendTo)

    def readinto(self, buf, n=-1):
        """await: the length of the datagram in `buf`, of which at most n octets are kept."""
        return self._read.begin(buf, 0, len(buf) if n < 0 or n > len(buf) else n)

    async def recvfrom_into(self, buf):
        """await: (octets, (address, port) of the sender) of a datagram."""
        n = await self.readinto(buf)
        return n, self._end.sender()

    @property
    def sender(self):
        return self._end.sender()

    def answer(self, data, n=-1):
        """await: data[:n] is on its way to who sent what came last."""
        self._write.to = self._end.meta
        return self._write.begin(data, 0, len(data) if n < 0 else n)

    async def sendto(self, data, address):
        """await: a datagram is on its way to (host, port)."""
        host, port = address
        self._send.to = (await resolve(host, self.net))[0], port
        return await self._send.begin(data, 0, len(data))


def _net(net):
    """The Net meant, whose sockets asyncio's loop looks after."""
    net = net or socket.default
    if net is None:
        raise OSError(EBADF, "no Net is installed")
    if net.waiting is None or net.waiting.queue is not core._io_queue:
        loop.join(net)
    return net


async def resolve(host, net=None, family=names.AF_UNSPEC):
    """await: the addresses of a name, as text. OSError(-2): there are none."""
    net = _net(net)
    found = names.known(net, host)
    if found is None:
        found = []
        client = net.resolver()
        for kind in client.kinds(family):
            query = client.query(host, kind)
            owner = _Owner(net, _Named(query))
            try:
                await owner._way(_Wait).begin(None, 0, 0)
            finally:
                if not query.done:
                    client.cancel(query)
            found += query.records
    return names.of_family(found, family)


async def connect(host, port, net=None, timeout=None):
    """await: a Stream to `host`, a name or an address. OSError: ECONNREFUSED, ETIMEDOUT, -2 ..."""
    net = _net(net)
    address = (await resolve(host, net))[0]
    stream = Stream(net, _Stream(net), timeout)
    try:
        if not stream._end.connect((address, port)):
            await stream._way(_Open).begin(None, 0, 0)
    except BaseException:
        stream.close()
        raise
    return stream


def listen(port, host="0.0.0.0", backlog=4, net=None, timeout=None):
    """A Listener at a port of ours. OSError: EADDRINUSE, EADDRNOTAVAIL, ENOMEM."""
    net = _net(net)
    listener = Listener(net, _Stream(net), timeout)
    try:
        listener._end.bind((host, port))
        listener._end.listen(backlog)
    except OSError:
        listener.close()
        raise
    return listener


def datagrams(port=0, host="0.0.0.0", net=None, timeout=None):
    """Datagrams at a UDP port, 0: at one that is free. OSError: EADDRINUSE, ENOMEM."""
    net = _net(net)
    found = Datagrams(net, Datagram(net), timeout)
    try:
        found._end.bind((host, port))
    except OSError:
        found.close()
        raise
    return found
