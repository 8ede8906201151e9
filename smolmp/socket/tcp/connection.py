"""A connection: its memory, its life, what can be asked of it. This is the half of tcp.Socket that
the socket set, the interface and the rest of tcp/ drive; the program's calls are in socket.py.
"""

from array import array
from errno import ECONNABORTED, EINVAL, ETIMEDOUT

import micropython
from micropython import const

from smolmp.socket import endpoint
from smolmp.socket.set import handle_of
from smolmp.socket.tcp import (
    closing,
    congestion,
    ecn,
    handshake,
    icmp_errors,
    recovery,
    scoreboard,
    states,
    timers,
    transmit,
)
from smolmp.socket.tcp.express import Express
from smolmp.socket.tcp.kernels import advance
from smolmp.socket.tcp.numbers import choose as choose_numbers

_FAMILY = const(0)
_PROTO = const(1)
_LOCAL = const(4)
_HOPS = const(12)
_LPORT = const(2)
_RPORT = const(3)
_REMOTE = const(8)

_STATE = const(14)
_SND_UNA = const(15)
_SND_NXT = const(17)
_SND_MAX = const(18)
_RX = const(23)
_TX = const(26)
_MSS_OUT = const(29)
_ERROR = const(31)  # why the connection broke; above 8 bits the soft error of an open one
_FLAGS = const(32)
_TS_RECENT = const(33)
_TS_LAST = const(35)
_SRTT = const(42)
_DUPACKS = const(48)
_FIN_AT = const(53)
_CHALLENGE = const(54)
_RETRANSMITS = const(58)
_T_LINGER = const(80)
_OUT_BASE = const(81)
_WAITS = const(96)  # rto_min, and in 14 bits ack_delay
_B_CAPACITY = const(97)  # ranges of the scoreboard, which stands behind the assembler
_HOLES = const(98)  # the assembler: ranges that fit, ranges held, the ranges
_HELD = const(99)
_RANGES = const(100)

_CLOSED = const(0)
_LISTEN = const(1)
_SYN_SENT = const(2)
_SYN_RECEIVED = const(3)
_ESTABLISHED = const(4)
_FIN_WAIT_2 = const(6)
_CLOSE_WAIT = const(7)
_CLOSING = const(8)
_LAST_ACK = const(9)
_TIME_WAIT = const(10)

_FLAG_NAGLE = const(1)
_FLAG_TIMESTAMPS = const(4)
_FLAG_RESET = const(128)
_FLAG_HOLD_SYN = const(256)
_FLAG_CLOSE = const(1024)
_FLAG_KEEP_ALIVE_SET = const(2048)
_FLAG_MINSHALL = const(16384)
_FLAG_DEAF = const(32768)
_FLAG_TELL_TIMEOUT = const(131072)
_FLAG_TIMEOUT = const(1 << 18)
_FLAG_PASSIVE = const(1 << 20)
_FLAG_ANY_FAMILY = const(1 << 22)
_FLAG_ANY_ADDRESS = const(1 << 23)
# What the program set, for one connection after another.
_FLAGS_KEPT = const(1 | 256 | 16384 | 1 << 18)

_TCP = const(6)
_CUBIC = const(2)
_ACK_DELAY = const(0x3FFF)
_MOST_MS = const(0x20000000)
_MAX_CAPACITY = const(0x3FFFC000)  # 65535 << 14 (RFC 7323 2.3), in a small int


class Connection:
    """One TCP connection's control block and buffers. tcp.Socket describes the arguments."""

    protocol = _TCP
    # Of the class until they are set: what few programs set costs no memory. (A connection itself
    # sets none of them: it would have to allocate.)
    scale = 0
    timestamps = False
    controller = _CUBIC
    ecn_mode = ecn.ACCEPT
    abe = False
    time_wait = 10000
    pool = None  # the Listener it belongs to
    _timeout = 0
    _advertised = 0
    _keep_alive = 0
    keep_alive_interval = 0
    keep_alive_count = 9
    # Made when imported: in a frozen constant they are large integers, and reckoning allocates.
    timeout_limits = tuple([100000, 86400000])  # noqa: C409
    linger = None
    fin_wait_2 = 60000
    quick_acks = 16

    def __init__(self, rx=4096, tx=4096, holes: int = 4, timestamps: bool = False):
        self.rx_buffer = bytearray(rx) if isinstance(rx, int) else rx
        self.tx_buffer = bytearray(tx) if isinstance(tx, int) else tx
        capacity = len(self.rx_buffer)
        if not 0 < capacity <= _MAX_CAPACITY or not 0 < len(self.tx_buffer) <= _MAX_CAPACITY:
            raise ValueError("buffers: 1 octet to 1 GiB")
        if holes < 1:
            raise ValueError("holes")
        ranges = scoreboard.ranges(len(self.tx_buffer))
        self.w = w = array("i", bytes(4 * (_RANGES + 2 * holes + 3 * ranges)))
        w[_RX] = capacity
        w[_TX] = len(self.tx_buffer)
        w[_HOPS] = 64
        w[_FLAGS] = _FLAG_NAGLE | _FLAG_MINSHALL
        w[_HOLES] = holes
        w[_B_CAPACITY] = ranges
        w[_WAITS] = 200 << 14 | 10
        # Five attributes: with more than six MicroPython makes room for eight.
        self.sockets = None
        self.slot = -1
        if capacity > 0xFFFF:
            while capacity >> self.scale > 0xFFFF:
                self.scale += 1
        if timestamps:
            self.timestamps = timestamps
        timers.reset(self)

    # What the socket set and the interface call.

    def attached(self):
        """The socket came into a set: a listener becomes reachable."""
        sockets = self.sockets
        if sockets.express is None:
            sockets.express = Express()
        sockets.dispatchers[self.slot] = transmit.dispatcher(self)
        if self.w[_STATE] == _LISTEN:
            self.sockets.bind(self.slot, self.w)

    def detached(self):
        """The socket left its set: the connection is gone, without a word to the peer."""
        states.enter(self.w, _CLOSED)
        self.w[_FLAGS] &= ~_FLAG_RESET
        self.sockets.express.forget(self)
        timers.reset(self)

    handle = property(handle_of)
    dispatch = transmit.dispatch
    on_timer = timers.on_timer
    on_linger = closing.on_timer
    on_timeout = recovery.on_timeout
    on_listen = handshake.listen

    def readdressed(self, iface):
        """The interface gave an address up. Nothing may be sent from it (RFC 1122 3.2.1.3), not
        even an RST."""
        w = self.w
        if w[_STATE] >= _SYN_SENT and not iface.is_local(w, _LOCAL, w[_FAMILY]):
            if w[_STATE] == _TIME_WAIT:
                self.release()
            else:
                self.fail(ECONNABORTED)

    # The life of a connection; for the rest of tcp/.

    def start(self, iface, state: int):
        """A new connection under the flow in the control block: everything but options reset."""
        w = self.w
        for i in range(_SND_UNA, _FLAGS):
            if i != _RX and i != _TX:
                w[i] = 0
        w[_FLAGS] &= _FLAGS_KEPT
        timers.reset(self)
        for i in range(_DUPACKS, _WAITS):
            w[i] = 0
        w[_HELD] = 0
        w[_FIN_AT] = -1
        w[_CHALLENGE] = -1
        w[_T_LINGER] = -1
        w[_TS_RECENT] = 0  # a SYN echoes none (RFC 7323 3.2)
        states.enter(w, state)
        w[_MSS_OUT] = 536
        choose_numbers(iface, w)
        w[_TS_LAST] = iface.now
        self.sockets.express.forget(self)

    def relisten(self):
        """Back to LISTEN, as before the SYN."""
        w = self.w
        flags = w[_FLAGS]
        self.release(_LISTEN)
        if flags & _FLAG_ANY_FAMILY:
            w[_FAMILY] = 0
        if flags & _FLAG_ANY_ADDRESS:
            endpoint.clear_address(w, _LOCAL)
        w[_RPORT] = 0
        endpoint.clear_address(w, _REMOTE)
        if self.sockets is not None:
            self.sockets.bind(self.slot, w)

    def listen_on(self):
        """A listener's handshake failed: back to LISTEN, unless the program closed it since."""
        if self.w[_FLAGS] & _FLAG_CLOSE:
            self.release()
        else:
            self.relisten()

    def release(self, state: int = _CLOSED):
        """To CLOSED: out of the demux, no timer left. What was received stays readable."""
        states.enter(self.w, state)
        self.w[_FLAGS] &= _FLAGS_KEPT
        self.w[_TX + 2] = 0
        self.w[_SND_NXT] = 0
        self.w[_SND_MAX] = 0
        timers.reset(self)
        if self.sockets is not None:
            self.sockets.deadline(self.slot, -1)
            self.sockets.unbind(self.slot)
            self.sockets.changed(self.slot)

    def fail(self, error: int):
        """The connection broke: `error` is what the program is told.

        While a listener's handshake goes on there is none: it listens on.
        """
        w = self.w
        if w[_FLAGS] & _FLAG_PASSIVE and w[_STATE] == _SYN_RECEIVED:
            self.listen_on()
        elif error == ETIMEDOUT:
            self.abort(self.soft_error or error)  # RFC 1122 4.2.3.9
        else:
            self.w[_ERROR] = error
            self.release()

    def _flag(self, flag, on):
        if on:
            self.w[_FLAGS] |= flag
        else:
            self.w[_FLAGS] &= ~flag
        if self.sockets is not None:
            self.sockets.mark(self.slot)

    def abort(self, error: int = ECONNABORTED):
        """End the connection at once, telling the peer by an RST. What is queued is lost."""
        w = self.w
        state = w[_STATE]
        told = _SYN_RECEIVED <= state <= _CLOSE_WAIT
        if (state == _CLOSING or state == _LAST_ACK) and w[_TX + 2]:
            told = True  # text is lost: for RFC 9293 that still is FIN-WAIT-1 or CLOSE-WAIT
        stamps = w[_FLAGS] & _FLAG_TIMESTAMPS  # the RST carries one too (RFC 7323 3.2)
        if told:
            advance(w, _SND_UNA, w[_SND_MAX])  # the RST's SEQ is SND.NXT (RFC 9293 3.10.5)
            advance(w, _OUT_BASE, w[_SND_MAX])  # without anybody having acknowledged it
        if self.is_open():
            w[_ERROR] = error
        self.release()
        if told:
            w[_FLAGS] |= _FLAG_RESET | stamps
            self.sockets.mark(self.slot)

    # What it is and can.

    @property
    def state(self) -> str:
        """The state's name in RFC 9293."""
        return states.NAMES[self.w[_STATE]]

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
        if self.w[_RX + 2]:
            return True
        return _ESTABLISHED <= state <= _FIN_WAIT_2 and not self.w[_FLAGS] & _FLAG_DEAF

    def can_send(self) -> bool:
        """send() would take at least one octet."""
        return self.may_send() and self.w[_TX + 2] < self.w[_TX]

    def can_recv(self) -> bool:
        """recv() would give at least one octet."""
        return self.w[_RX + 2] != 0

    @micropython.native
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

    def stats(self):
        """What the connection did and what it believes, by name: a new dict.

        Times in ms, all else but the state in octets; retransmissions are segments. What was sent
        is acknowledged; what is not, is in flight.
        """
        from smolmp.socket.tcp.report import stats

        return stats(self)

    def memory(self) -> int:
        """Octets that its buffers and words take, whatever the connection does."""
        return len(self.rx_buffer) + len(self.tx_buffer) + 4 * len(self.w)

    @property
    def error(self) -> int:
        """The errno that tells why the connection broke, 0: it did not."""
        return self.w[_ERROR] & 0xFF

    @property
    def soft_error(self) -> int:
        """The errno that an ICMP error told since there was progress last, 0: none. It is a
        router's opinion, and the reason if the connection times out (RFC 5461)."""
        return icmp_errors.soft(self.w)

    @property
    def timeout(self) -> int:
        return self._timeout

    @timeout.setter
    def timeout(self, ms):
        if not 0 <= ms < _MOST_MS:
            raise OSError(EINVAL)
        self._timeout = ms
        self.w[_FLAGS] |= _FLAG_TIMEOUT

    @property
    def ack_delay(self) -> int:
        return self.w[_WAITS] & _ACK_DELAY

    @ack_delay.setter
    def ack_delay(self, ms):
        if not 0 <= ms <= _ACK_DELAY:
            raise OSError(EINVAL)
        self.w[_WAITS] = self.w[_WAITS] & ~_ACK_DELAY | ms

    @property
    def rto_min(self) -> int:
        return self.w[_WAITS] >> 14

    @rto_min.setter
    def rto_min(self, ms):
        if not 0 <= ms <= 0xFFFF:
            raise OSError(EINVAL)
        self.w[_WAITS] = ms << 14 | self.ack_delay

    @property
    def mss(self) -> int:
        """Octets of text in a full segment, as the path lets them pass."""
        return self.w[_MSS_OUT]

    @property
    def nagle(self):
        """When a segment that is not full has to wait: True, while anything is in flight (RFC 9293
        3.7.4); "minshall", the default, while another small one is; False: never.

        Minshall's way keeps the number of small segments down as well, but the end of a long write
        does not wait for the ACK of its beginning, which the peer may delay. Linux does likewise.
        """
        flags = self.w[_FLAGS]
        return "minshall" if flags & _FLAG_MINSHALL else flags & _FLAG_NAGLE != 0

    @nagle.setter
    def nagle(self, on):
        if on not in (True, False, "minshall"):
            raise OSError(EINVAL)
        self._flag(_FLAG_MINSHALL, on == "minshall")
        self._flag(_FLAG_NAGLE, on)

    @property
    def keep_alive(self) -> int:
        """Probe a silent peer every so many ms (RFC 1122 4.2.3.6); 0: never."""
        return self._keep_alive

    @keep_alive.setter
    def keep_alive(self, ms):
        if not 0 <= ms < _MOST_MS:
            raise OSError(EINVAL)
        self._keep_alive = ms
        self._flag(_FLAG_KEEP_ALIVE_SET, True)

    @property
    def advertised_timeout(self) -> int:
        """The user timeout in ms that the peer is told (RFC 5482), 0: none, nor is it listened to.

        What it tells, the longer of both and within `timeout_limits` (ms), replaces `timeout`.
        """
        return self._advertised

    @advertised_timeout.setter
    def advertised_timeout(self, ms):
        if not 0 <= ms < _MOST_MS:
            raise OSError(EINVAL)
        self._advertised = ms
        if self.w[_STATE] >= _ESTABLISHED:
            self._flag(_FLAG_TELL_TIMEOUT, ms)

    @property
    def congestion(self) -> str:
        """What limits the data in flight: "cubic" (RFC 9438, the default), "reno" or "none"."""
        return congestion.NAMES[self.controller]

    @congestion.setter
    def congestion(self, name):
        if name not in congestion.NAMES:
            raise OSError(EINVAL)
        self.controller = congestion.NAMES.index(name)
        recovery.control(self)

    @property
    def ecn(self) -> str:
        """Explicit congestion notification (RFC 3168) of connections to be opened: "accept" when
        the peer asks (the default, as Linux does), "request" it, "off"."""
        return ecn.NAMES[self.ecn_mode]

    @ecn.setter
    def ecn(self, mode):
        if mode not in ecn.NAMES:
            raise OSError(EINVAL)
        self.ecn_mode = ecn.NAMES.index(mode)

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
