"""A TCP socket: one connection, driven by the program's calls (RFC 9293 3.10.1 to 3.10.6) and by
the interface that polls its set.
"""

from array import array
from errno import EADDRINUSE, ECONNABORTED, EHOSTUNREACH, EINVAL, ENOTCONN, ETIMEDOUT

import micropython
from micropython import const

from smolmp.socket import endpoint
from smolmp.socket.tcp import timers, transmit
from smolmp.socket.tcp.kernels import advance
from smolmp.storage.assembler import Assembler
from smolmp.storage.kernels import ring_discard, ring_read, ring_write

_FAMILY = const(0)
_PROTO = const(1)
_LPORT = const(2)
_RPORT = const(3)
_LOCAL = const(4)
_REMOTE = const(8)
_HOPS = const(12)
_FLOW_WORDS = const(14)
_KEY_WORDS = const(12)

_STATE = const(14)
_SND_UNA = const(15)
_SND_NXT = const(17)
_SND_MAX = const(18)
_SND_WND = const(19)
_RCV_ADV = const(22)
_RX = const(23)
_TX = const(26)
_MSS_OUT = const(29)
_SND_SCALE = const(30)
_RCV_SCALE = const(31)
_FLAGS = const(32)
_TS_RECENT = const(33)
_TS_CLOCK = const(34)
_TS_LAST = const(35)
_SRTT = const(42)
_RTO = const(44)
_DUPACKS = const(48)
_RECOVER = const(49)
_UNACKED = const(50)
_FIN_AT = const(53)
_CHALLENGE = const(54)
_RETRANSMITS = const(58)
_BLOCK_WORDS = const(60)

_CLOSED = const(0)
_LISTEN = const(1)
_SYN_SENT = const(2)
_SYN_RECEIVED = const(3)
_ESTABLISHED = const(4)
_FIN_WAIT_1 = const(5)
_FIN_WAIT_2 = const(6)
_CLOSE_WAIT = const(7)
_LAST_ACK = const(9)
_TIME_WAIT = const(10)

_FLAG_NAGLE = const(1)
_FLAG_RESET = const(128)
_FLAG_HOLD_SYN = const(256)
_FLAG_CLOSE = const(1024)
_FLAG_KEEP_ALIVE_SET = const(2048)

_TCP = const(6)
_EPIPE = const(32)  # not in every port's errno
_EISCONN = const(106)
_EPHEMERAL = const(49152)  # RFC 6335 6
_MAX_CAPACITY = const(0x3FFFC000)  # 65535 << 14 (RFC 7323 2.3), in a small int

_STATES = (
    "CLOSED LISTEN SYN-SENT SYN-RECEIVED ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 CLOSE-WAIT CLOSING "
    "LAST-ACK TIME-WAIT"
).split()


class Socket:
    """One TCP connection, or one listener for one connection.

    `rx`, `tx`: the buffers, a bytearray each or a size in octets; at most 1 GiB - 16 KiB.
    `holes`: ranges of out-of-order data that can be remembered.
    `timestamps`: offer the timestamps option (RFC 7323).

    Plain attributes, in ms, to be set at any time: `timeout` (user timeout: reset the connection
    when nothing that was sent is acknowledged for so long; 0: never), `ack_delay` (0: none),
    `time_wait` (10 s: RFC 9293's 4 minutes would keep a board's few sockets from work),
    `rto_min` (200 ms; RFC 6298 2.4 asks for 1 s, which no LAN stack follows).

    A socket works once it is in a SocketSet. Calls that can't go on now return None, as
    MicroPython streams do; errors are OSError with an errno.
    """

    protocol = _TCP

    def __init__(self, rx=4096, tx=4096, holes: int = 4, timestamps: bool = False):
        self.rx_buffer = bytearray(rx) if isinstance(rx, int) else rx
        self.tx_buffer = bytearray(tx) if isinstance(tx, int) else tx
        capacity = len(self.rx_buffer)
        if not 0 < capacity <= _MAX_CAPACITY or not 0 < len(self.tx_buffer) <= _MAX_CAPACITY:
            raise ValueError("buffers: 1 octet to 1 GiB")
        self.scale = 0
        while capacity >> self.scale > 0xFFFF:
            self.scale += 1
        self.w = array("i", bytes(4 * _BLOCK_WORDS))
        self.w[_RX] = capacity
        self.w[_TX] = len(self.tx_buffer)
        self.w[_HOPS] = 64
        self.w[_FLAGS] = _FLAG_NAGLE
        self.listener = array("i", bytes(4 * _FLOW_WORDS))
        self.assembler = Assembler(holes)
        self.assembler_used = False
        self.newest = 0
        self.sockets = None
        self.slot = -1
        self.handle = -1
        self.error = 0
        self.passive = False
        self.timestamps = timestamps
        self.ip_header = 20
        self.timeout = 0
        self.ack_delay = 10
        self.time_wait = 10000
        self.rto_min = 200
        self._keep_alive = 0
        timers.reset(self)

    # What the socket set and the interface call.

    def attached(self):
        """The socket came into a set: a listener becomes reachable."""
        if self.w[_STATE] == _LISTEN:
            self.sockets.bind(self.slot, self.w)

    def detached(self):
        """The socket left its set: the connection is gone, without a word to the peer."""
        self.w[_STATE] = _CLOSED
        self.w[_FLAGS] &= ~_FLAG_RESET
        timers.reset(self)

    dispatch = transmit.dispatch
    on_timer = timers.on_timer

    # What the program calls.

    def listen(self, local):
        """Wait for a connection to `local`: a port, (address, port) or "address:port".

        OSError: EINVAL for port 0, EISCONN while a connection is open, EADDRINUSE when it listens
        somewhere else already.
        """
        w = self.w
        flow = array("i", bytes(4 * _FLOW_WORDS))
        endpoint.set_local(flow, local)
        flow[_PROTO] = _TCP
        if not flow[_LPORT]:
            raise OSError(EINVAL)
        if w[_STATE] == _LISTEN:
            if flow != self.listener:
                raise OSError(EADDRINUSE)
            return
        if self.is_open():
            raise OSError(_EISCONN)
        self._forget()
        self.listener = flow
        self.relisten()

    def connect(self, iface, remote, local=0):
        """Open a connection to `remote`, (address, port) or "address:port", through `iface`.

        `local`: a port, or (address, port); port 0 picks an ephemeral one. The SYN leaves with the
        next poll. OSError: EINVAL, EISCONN, EHOSTUNREACH (no address to come from), EADDRINUSE,
        ENOTCONN (the socket is in no set).
        """
        w = self.w
        if self.is_open():
            raise OSError(_EISCONN)
        if self.sockets is None:
            raise OSError(ENOTCONN)
        self._forget()
        endpoint.clear_address(w, _REMOTE)
        endpoint.set_local(w, local)
        endpoint.set_remote(w, remote)
        w[_PROTO] = _TCP
        if not w[_RPORT] or endpoint.is_unset(w, _REMOTE):
            raise OSError(EINVAL)
        if endpoint.is_unset(w, _LOCAL) and not iface.select_source(w):
            raise OSError(EHOSTUNREACH)
        self._choose_port(iface)
        self.start(iface, _SYN_SENT)
        self.sockets.bind(self.slot, w)
        self.sockets.mark(self.slot)

    @micropython.native
    def send(self, data, start: int = 0, n: int = -1):
        """Queue octets of `data` (bytes, bytearray, memoryview) for sending.

        data[start:start + n], n < 0: to the end. Returns how many fitted, None when the queue is
        full or the connection is not open yet. OSError: EPIPE after close(), the reason when the
        connection broke, ENOTCONN when there is none.
        """
        w = self.w
        state = w[_STATE]
        if state != _ESTABLISHED and state != _CLOSE_WAIT:
            return self._cannot_send(state)
        if n < 0:
            n = len(data) - start
        if start < 0 or n < 0 or start + n > len(data):
            raise ValueError("start, n")
        used = w[_TX + 2]
        if used == 0:
            w[_TX + 1] = 0  # an empty ring begins at its aligned front
        if used == w[_TX]:
            return None if n else 0
        n = ring_write(self.tx_buffer, w, _TX, 0, data, start, n)
        w[_TX + 2] = used + n
        self.sockets.mark(self.slot)
        return n

    def recv(self, n: int = 1024):
        """Up to n octets as bytes, b"" at the end of the stream, None when nothing is there yet.

        Allocates; recv_into doesn't.
        """
        length = self.w[_RX + 2]
        if not length:
            return self._nothing_to_read(b"")
        data = bytearray(n if n < length else length)
        self.recv_into(data)
        return bytes(data)

    @micropython.native
    def recv_into(self, buf, n: int = -1):
        """Move up to n octets (n < 0: as many as fit) to `buf`.

        Returns how many, 0 at the end of the stream, None when nothing is there yet. OSError: the
        reason when the connection broke, ENOTCONN when there is none.
        """
        w = self.w
        if not w[_RX + 2]:
            return self._nothing_to_read(0)
        n = self.peek_into(buf, n)
        ring_discard(w, _RX, n)
        if not w[_RX + 2] and not self.assembler_used:
            w[_RX + 1] = 0
        if transmit.window_update_due(w):
            self.sockets.mark(self.slot)
        return n

    @micropython.native
    def peek_into(self, buf, n: int = -1):
        """As recv_into, but the octets stay."""
        w = self.w
        if not w[_RX + 2]:
            return self._nothing_to_read(0)
        room = len(buf)
        if n < 0 or n > room:
            n = room
        return ring_read(self.rx_buffer, w, _RX, 0, buf, 0, n)

    def close(self):
        """Send no more: a FIN follows what is queued. Receiving goes on until the peer's FIN."""
        w = self.w
        state = w[_STATE]
        if state == _LISTEN or state == _SYN_SENT:
            self.release()
        elif state == _SYN_RECEIVED:
            w[_FLAGS] |= _FLAG_CLOSE
        elif state == _ESTABLISHED or state == _CLOSE_WAIT:
            w[_STATE] = _FIN_WAIT_1 if state == _ESTABLISHED else _LAST_ACK
            self.sockets.mark(self.slot)

    def abort(self, error: int = ECONNABORTED):
        """End the connection at once, telling the peer by an RST. What is queued is lost."""
        w = self.w
        state = w[_STATE]
        told = _SYN_RECEIVED <= state <= _CLOSE_WAIT
        if told:
            advance(w, _SND_UNA, w[_SND_MAX])  # the RST's SEQ is SND.NXT (RFC 9293 3.10.5)
        if self.is_open():
            self.error = error
        self.release()
        if told:
            w[_FLAGS] |= _FLAG_RESET
            self.sockets.mark(self.slot)

    # What it is and can.

    @property
    def state(self) -> str:
        """The state's name in RFC 9293."""
        return _STATES[self.w[_STATE]]

    @property
    def local(self):
        """(address, port), None when unset."""
        return endpoint.local(self.w)

    @property
    def remote(self):
        """(address, port), None when there is no connection."""
        return endpoint.remote(self.w)

    def is_open(self) -> bool:
        """Neither CLOSED nor TIME-WAIT: listen() and connect() would be refused."""
        state = self.w[_STATE]
        return state != _CLOSED and state != _TIME_WAIT

    def is_listening(self) -> bool:
        return self.w[_STATE] == _LISTEN

    def is_active(self) -> bool:
        """Neither CLOSED, LISTEN nor TIME-WAIT: there is a connection, or one is being made."""
        return self.is_open() and self.w[_STATE] != _LISTEN

    def may_send(self) -> bool:
        """Our half of the connection is open."""
        state = self.w[_STATE]
        return state == _ESTABLISHED or state == _CLOSE_WAIT

    def may_recv(self) -> bool:
        """The peer's half is open, or some of what came is still unread."""
        state = self.w[_STATE]
        return _ESTABLISHED <= state <= _FIN_WAIT_2 or self.w[_RX + 2] != 0

    def can_send(self) -> bool:
        """send() would take at least one octet."""
        return self.may_send() and self.w[_TX + 2] < self.w[_TX]

    def can_recv(self) -> bool:
        """recv() would give at least one octet."""
        return self.w[_RX + 2] != 0

    def send_queue(self) -> int:
        """Octets queued, sent or not, that the peer has not acknowledged."""
        return self.w[_TX + 2]

    def recv_queue(self) -> int:
        """Octets waiting for recv()."""
        return self.w[_RX + 2]

    def round_trip(self) -> int:
        """The smoothed round-trip time in ms, 0 while unknown."""
        return self.w[_SRTT] >> 3

    def retransmissions(self) -> int:
        """Segments sent again on this connection."""
        return self.w[_RETRANSMITS]

    @property
    def nagle(self) -> bool:
        """Gather small writes while data is in flight (RFC 9293 3.7.4); on by default."""
        return self.w[_FLAGS] & _FLAG_NAGLE != 0

    @nagle.setter
    def nagle(self, on):
        self._flag(_FLAG_NAGLE, on)

    @property
    def keep_alive(self) -> int:
        """Probe a silent peer every so many ms (RFC 1122 4.2.3.6); 0: never."""
        return self._keep_alive

    @keep_alive.setter
    def keep_alive(self, ms):
        self._keep_alive = ms
        self._flag(_FLAG_KEEP_ALIVE_SET, True)

    @property
    def hop_limit(self) -> int:
        """TTL or hop limit of what is sent, 64 by default."""
        return self.w[_HOPS]

    @hop_limit.setter
    def hop_limit(self, hops):
        if not 0 < hops < 256:
            raise OSError(EINVAL)
        self.w[_HOPS] = hops

    def pause_synack(self, on: bool):
        """Withhold the SYN+ACK, for a proxy that first asks the other side."""
        self._flag(_FLAG_HOLD_SYN, on)

    def __repr__(self):
        return "<tcp %s %s -> %s>" % (self.state, self.local, self.remote)

    # The life of a connection; for the rest of tcp/.

    def start(self, iface, state: int):
        """A new connection under the flow in the control block: everything but options reset."""
        w = self.w
        for i in range(_STATE, _FLAGS):
            if i != _RX and i != _TX:
                w[i] = 0
        w[_FLAGS] &= _FLAG_NAGLE | _FLAG_HOLD_SYN
        timers.reset(self)
        for i in range(_DUPACKS, _BLOCK_WORDS):
            w[i] = 0
        w[_FIN_AT] = -1
        w[_CHALLENGE] = -1
        w[_TS_RECENT] = 0  # a SYN echoes none (RFC 7323 3.2)
        w[_STATE] = state
        w[_MSS_OUT] = 536
        iface.random.fill(w, _SND_UNA)
        iface.random.fill(w, _TS_CLOCK)
        w[_TS_LAST] = iface.now
        self.ip_header = 20 if w[_FAMILY] == 4 else 40
        self.assembler.clear()
        self.assembler_used = False
        self.error = 0

    def relisten(self):
        """(Back) to LISTEN."""
        self.release()
        endpoint.copy_words(self.w, 0, self.listener, 0, _KEY_WORDS)
        self.w[_STATE] = _LISTEN
        if self.sockets is not None:
            self.sockets.bind(self.slot, self.w)

    def release(self):
        """To CLOSED: out of the demux, no timer left. What was received stays readable."""
        self.w[_STATE] = _CLOSED
        self.w[_FLAGS] &= _FLAG_NAGLE | _FLAG_HOLD_SYN
        self.w[_TX + 2] = 0
        self.w[_SND_NXT] = 0
        self.w[_SND_MAX] = 0
        timers.reset(self)
        if self.sockets is not None:
            self.sockets.unbind(self.slot)
            self.sockets.changed(self.slot)

    def fail(self, error: int):
        """The connection broke: `error` is what the program is told.

        While a listener's handshake goes on there is none: it listens on.
        """
        if self.passive and self.w[_STATE] == _SYN_RECEIVED:
            self.relisten()
        elif error == ETIMEDOUT:
            self.abort(error)
        else:
            self.error = error
            self.release()

    def _forget(self):
        """Before a new connection: nothing of the old one is left to read."""
        w = self.w
        w[_RX + 1] = w[_RX + 2] = w[_TX + 1] = w[_TX + 2] = 0
        if w[_STATE] != _CLOSED:
            self.release()
        w[_FLAGS] &= ~_FLAG_RESET  # an RST still to be sent was the old flow's
        self.passive = False
        self.error = 0

    def _choose_port(self, iface):
        """Pick an ephemeral local port where none was asked for; see that the pair is free."""
        w = self.w
        tries = 1 if w[_LPORT] else 64
        for _ in range(tries):
            if tries > 1:
                w[_LPORT] = _EPHEMERAL + iface.random.bits(14)
            slot = self.sockets.find(w)
            if slot < 0 or not self.sockets.objects[slot].w[_RPORT]:
                return
        w[_LPORT] = 0
        raise OSError(EADDRINUSE)

    def _flag(self, flag, on):
        if on:
            self.w[_FLAGS] |= flag
        else:
            self.w[_FLAGS] &= ~flag
        if self.sockets is not None:
            self.sockets.mark(self.slot)

    def _cannot_send(self, state):
        if self.error:
            raise OSError(self.error)
        if state == _SYN_SENT or state == _SYN_RECEIVED:
            return None
        raise OSError(ENOTCONN if state <= _LISTEN else _EPIPE)

    def _nothing_to_read(self, end):
        state = self.w[_STATE]
        if self.error:
            raise OSError(self.error)
        if _SYN_SENT <= state <= _FIN_WAIT_2:
            return None
        if state == _LISTEN or state == _CLOSED and not self.w[_RPORT]:
            raise OSError(ENOTCONN)
        return end
