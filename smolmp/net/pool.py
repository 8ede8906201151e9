"""The sockets of a Net: made once, given to programs, and taken home when they are closed.

A program's socket that is closed is not free yet: what was sent is delivered, and a connection has
its TIME-WAIT. So the sockets of the core outlive those of programs; when all are in use, what is
only waiting gives way.
"""

import time
from errno import ENOMEM

from micropython import const

from smolmp.net import names
from smolmp.socket import tcp, udp
from smolmp.socket.set import SocketSet

_CLOSED = const(0)
_TIME_WAIT = const(10)
_HOPS = const(12)  # words of a flow
_TOS = const(13)
_STATE = const(14)
_FLAGS = const(32)
_FLAG_RESET = const(128)
_ABANDONED = const(3000)  # ms after the peer's FIN in which a program may still want to answer
_ORPHAN = const(30000)  # ms without progress after which a connection nobody holds is reset


class Pool:
    """What a Net is to its sockets: `streams` connections at a time with `rx` and `tx` octets of
    buffer, `datagrams` UDP sockets with `size` octets each way."""

    def __init__(self, streams, rx, tx, datagrams, size, backlog, clock):
        # Before all else: large, and there for good.
        made = [tcp.Socket(rx, tx) for _ in range(streams)]
        more = [udp.Socket(size, size) for _ in range(datagrams)]
        salt = int.from_bytes(names.random(3), "big")
        self.sockets = SocketSet(streams + datagrams + 2, salt)
        self._streams = [self.sockets.add(core) for core in made]
        self._datagrams = [self.sockets.add(core) for core in more]
        self.ends = []  # stream.Stream: connections that programs opened and have not closed
        self._leaving = []
        self._retired = []  # listeners that are closed, some of whose connections go on
        self.backlog = backlog
        self.clock = clock
        self.dirty = False  # something is to be sent: the next look polls at once
        self.waiting = None  # tasks of asyncio: loop.Waiting
        self._watched = {}  # tcp.Socket, Listener ... -> (callback, its socket)

    def watch(self, core, callback, shell):
        """Call callback(shell) after each poll in which `core` changed; None: no more."""
        if callback is None:
            self._watched.pop(core, None)
        else:
            self._watched[core] = (callback, shell)

    def _forget(self, core):
        """Nobody holds `core` any more."""
        self.watch(core, None, None)
        if self.waiting is not None:
            self.waiting.gone(core.slot)

    def take_stream(self):
        """A tcp.Socket for a connection to be opened. OSError(ENOMEM): all are in use."""
        if not self._streams:
            self._make_room()
        core = _fresh(self._streams.pop())
        core.forget()
        self.sockets.show(core.slot)
        return core

    def give_stream(self, core):
        """The program is done with `core`: what was sent is delivered, then it is free."""
        self._forget(core)
        if core.pool is not None:
            core.pool.release(core)
        else:
            self.ends = [end for end in self.ends if end.core not in (None, core)]
            self.sockets.hide(core.slot)
            if core.recv_queue() and core.is_open():
                core.abort()  # the peer shall know that it was not read (RFC 2525 2.17)
            else:
                core.timeout = core.timeout or _ORPHAN
                core.close()
                if core.is_active():
                    core.shutdown(tcp.SHUT_RD)  # what still comes is answered by an RST
            self._leaving.append(core)
        self.dirty = True

    def take_listener(self, backlog: int):
        """A tcp.Listener with half of the free connections. OSError(ENOMEM): there is none."""
        self._make_room()
        n = (len(self._streams) + 1) // 2
        pool = [_fresh(self._streams.pop()) for _ in range(n)]
        return self.sockets.add(tcp.Listener(min(max(backlog, self.backlog), n), pool)), pool

    def give_listener(self, listener, pool):
        """Listen no more. Its accepted connections go on; then all of the pool is free."""
        self._forget(listener)
        listener.close()
        self._retired.append((listener, pool))
        self.dirty = True

    def take_datagram(self):
        """A udp.Socket. OSError(ENOMEM): all are in use."""
        if not self._datagrams:
            raise OSError(ENOMEM, "all in use: Net(udp=)")
        return self._datagrams.pop()

    def give_datagram(self, core):
        """The program is done with a UDP or raw socket."""
        self._forget(core)
        self.poll()  # type: ignore[attr-defined]  # what was sent goes out
        core.close()
        if isinstance(core, udp.Socket):
            core.flow[_HOPS] = 64
            core.flow[_TOS] = 0
            self._datagrams.append(core)
        else:
            self.sockets.remove(core)

    def take_raw(self, protocol: int):
        """A raw.Socket for IPv4 packets of `protocol`, 0: of all."""
        from smolmp.socket import raw

        return self.sockets.add(raw.Socket(4, protocol or None))

    def count_streams(self):
        """(connections free, or in TIME-WAIT and to be had in need; connections in all)."""
        self._collect()
        over = sum(1 for core in self._leaving if not core.is_open())
        total = len(self._connections())
        return len(self._streams) + over, total

    def _make_room(self):
        """See that a connection is free; in need TIME-WAIT is cut short, or one is taken back
        whose end the program was told of and left it at that, as umqtt does."""
        self._collect()
        if not self._streams:
            for core in self._leaving:
                if core.w[_STATE] == _TIME_WAIT:
                    core.release()
                    break
            else:
                for end in self.ends:
                    late = end.ended and time.ticks_diff(self.clock(), end.ended) > _ABANDONED
                    if end.told or late and not end.core.send_queue():
                        end.core.abort()
                        end.close()
                        self.poll()  # type: ignore[attr-defined]
                        break
            self._collect()
            if not self._streams:
                raise OSError(ENOMEM, "all in use: Net(tcp=)")

    def _collect(self):
        """Take home what has ended."""
        for core in list(self._leaving):
            if core.w[_STATE] == _CLOSED and not core.w[_FLAGS] & _FLAG_RESET:
                self._leaving.remove(core)
                self._streams.append(core)
        for entry in list(self._retired):
            listener, pool = entry
            if not listener.accepted() and listener.free() == len(pool):
                self._retired.remove(entry)
                self.sockets.remove(listener)
                for core in pool:
                    core.pool = None
                    if core.sockets is None:
                        self.sockets.add(core)
                    self._streams.append(core)

    def _connections(self):
        return [core for core in self.sockets if isinstance(core, tcp.Socket)]


def _fresh(core):
    """A tcp.Socket as if nobody had had it: what a program may have set, the next one shall not
    find. What was not set stays of the class."""
    if core.nagle != "minshall":
        core.nagle = "minshall"
    if core.keep_alive:
        core.keep_alive = 0
    if core.keep_alive_interval:
        core.keep_alive_interval = 0
    if core.keep_alive_count != 9:
        core.keep_alive_count = 9
    if core.timeout:
        core.timeout = 0
    if core.linger is not None:
        core.linger = None
    if core.hop_limit != 64:
        core.hop_limit = 64
    return core
