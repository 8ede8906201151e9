"""A TCP socket: one connection, driven by the program's calls (RFC 9293 3.10.1 to 3.10.6) and by
the interface that polls its set.
"""

from array import array
from errno import EADDRINUSE, EINVAL, ENOTCONN

import micropython
from micropython import const

from smolmp.errors import EISCONN
from smolmp.socket import endpoint
from smolmp.socket.tcp import states, transmit
from smolmp.socket.tcp.closing import SHUT_RD, SHUT_RDWR, SHUT_WR, stop_reading
from smolmp.socket.tcp.connection import Connection
from smolmp.socket.tcp.steps import pull, push

_PROTO = const(1)
_FAMILY = const(0)
_LPORT = const(2)
_RPORT = const(3)
_LOCAL = const(4)
_REMOTE = const(8)
_HOPS = const(12)
_FLOW_WORDS = const(14)
_HELD = const(99)

_STATE = const(14)
_RX = const(23)
_TX = const(26)
_ERROR = const(31)
_FLAGS = const(32)

_CLOSED = const(0)
_LISTEN = const(1)
_SYN_SENT = const(2)
_SYN_RECEIVED = const(3)
_ESTABLISHED = const(4)
_FIN_WAIT_1 = const(5)
_FIN_WAIT_2 = const(6)
_CLOSE_WAIT = const(7)
_LAST_ACK = const(9)

_FLAG_RESET = const(128)
_FLAG_CLOSE = const(1024)
_FLAG_DEAF = const(32768)
_FLAG_CLOSED = const(65536)
_FLAG_PASSIVE = const(1 << 20)
_FLAG_LINGERING = const(1 << 21)

_TCP = const(6)
_EPIPE = const(32)  # not in every port's errno

# A builtin is looked for in the module first, then, on a board, in a long list.
_len = len


class Socket(Connection):
    """One TCP connection, or one listener for one connection.

    `rx`, `tx`: the buffers, a bytearray each or a size in octets; at most 1 GiB - 16 KiB.
    `holes`: ranges of out-of-order data that can be remembered.
    `timestamps`: offer the timestamps option (RFC 7323; timestamps.py says what for).

    Plain attributes, in ms, to be set at any time: `timeout` (user timeout: reset the connection
    when nothing that was sent is acknowledged for so long; 0: never), `ack_delay` (0: none),
    `time_wait` (10 s: RFC 9293's 4 minutes would keep a board's few sockets from work),
    `rto_min` (200 ms; RFC 6298 2.4 asks for 1 s, which no LAN stack follows), `linger` (see
    close(); None: not), `fin_wait_2` (see shutdown(); 0: for ever), `keep_alive_interval` (between
    unanswered probes; 0: 75 s, or `keep_alive` if that is less). Counts: `keep_alive_count` (9
    unanswered probes end the connection), `quick_acks` (16 full segments are acknowledged without
    delay in the beginning and after a pause). `abe`: give way by less when told by ECN (RFC 8511).

    A socket works once it is in a SocketSet. Calls that can't go on now return None, as
    MicroPython streams do; errors are OSError with an errno.
    """

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
            if flow[:_RPORT] != w[:_RPORT] or flow[_LOCAL:_REMOTE] != w[_LOCAL:_REMOTE]:
                raise OSError(EADDRINUSE)
            return
        if self.is_open():
            raise OSError(EISCONN)
        self.forget()
        endpoint.copy_words(w, 0, flow, 0, _HOPS)
        self.relisten()

    def connect(self, iface, remote, local=0):
        """Open a connection to `remote`, (address, port) or "address:port", through `iface`.

        `local`: a port, or (address, port); port 0 picks an ephemeral one. The SYN leaves with the
        next poll. OSError: EINVAL, EISCONN, EHOSTUNREACH (no address to come from, or a broadcast
        or multicast address), EADDRINUSE, ENOTCONN (the socket is in no set).
        """
        from smolmp.socket.tcp.active import connect

        connect(self, iface, remote, local)

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
        size = _len(data)
        if n < 0:
            n = size - start
        if start < 0 or n < 0 or start + n > size:
            raise ValueError("start, n")
        sent = push(w, self.tx_buffer, data, start, n, self.sockets.marks, self.slot)
        return sent if sent or not n else None

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
            if w[_STATE] == _ESTABLISHED and not w[_FLAGS] & _FLAG_DEAF:
                return None  # what _nothing_to_read() says, a method call cheaper
            return self._nothing_to_read(0)
        room = _len(buf)
        if n < 0 or n > room:
            n = room
        n = pull(w, self.rx_buffer, buf, n, 1 if w[_HELD] else 0)
        return n if n >= 0 else self._emptied(n)

    def _emptied(self, n):
        """pull() said n: the window may have grown enough to tell the peer."""
        if transmit.window_update_due(self.w):
            self.sockets.mark(self.slot)
        return -1 - n

    @micropython.native
    def discard(self, n: int = -1):
        """As recv_into, but the octets go nowhere: what peek_into showed, or nobody wants."""
        w = self.w
        if not w[_RX + 2]:
            return self._nothing_to_read(0)
        if n < 0:
            n = w[_RX + 2]
        n = pull(w, self.rx_buffer, self.rx_buffer, n, 5 if w[_HELD] else 4)
        return n if n >= 0 else self._emptied(n)

    @micropython.native
    def peek_into(self, buf, n: int = -1):
        """As recv_into, but the octets stay."""
        w = self.w
        if not w[_RX + 2]:
            return self._nothing_to_read(0)
        room = _len(buf)
        if n < 0 or n > room:
            n = room
        return pull(w, self.rx_buffer, buf, n, 2)

    def close(self):
        """Send no more: a FIN follows what is queued. Receiving goes on until the peer's FIN.

        With `linger` of 0 the connection is reset instead, with one of n ms it is reset when the
        peer has not acknowledged everything by then.
        """
        if self.linger is not None:
            if self.linger == 0:
                self.abort(0)
                return
            self.w[_FLAGS] |= _FLAG_CLOSED | _FLAG_LINGERING
        self.close_half()

    def shutdown(self, how: int):
        """End one half of the connection, or both.

        tcp.SHUT_WR: as close(), without lingering. tcp.SHUT_RD: nobody will read any more. What is
        unread and what comes is discarded; recv() tells of the end of the stream. With both halves
        ended, text that comes (or was not read) is answered by an RST, and a peer that does not
        end its half in `fin_wait_2` ms is forgotten. OSError: EINVAL, ENOTCONN.
        """
        if not SHUT_RD <= how <= SHUT_RDWR:
            raise OSError(EINVAL)
        if self.w[_STATE] < _SYN_RECEIVED:
            raise OSError(ENOTCONN)
        if how == SHUT_RDWR and self.w[_RX + 2]:
            self.abort()  # what came was not read: the peer shall know (RFC 1122 4.2.2.13)
            return
        if how != SHUT_RD:
            self.close_half()
        if how != SHUT_WR:
            stop_reading(self)

    def close_half(self):
        """Send no more (RFC 9293 3.10.4), however that is meant."""
        w = self.w
        state = w[_STATE]
        if state == _LISTEN or state == _SYN_SENT:
            self.release()
        elif state == _SYN_RECEIVED:
            w[_FLAGS] |= _FLAG_CLOSE
        elif state == _ESTABLISHED or state == _CLOSE_WAIT:
            states.enter(w, _FIN_WAIT_1 if state == _ESTABLISHED else _LAST_ACK)
            self.sockets.mark(self.slot)

    def forget(self):
        """Before a new connection: nothing of the old one is left to read."""
        w = self.w
        w[_RX + 1] = w[_RX + 2] = w[_TX + 1] = w[_TX + 2] = 0
        if w[_STATE] != _CLOSED:
            self.release()
        # An RST still to be sent was the old flow's.
        w[_FLAGS] &= ~(_FLAG_RESET | _FLAG_PASSIVE)
        w[_ERROR] = 0

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
            return end if self.w[_FLAGS] & _FLAG_DEAF else None
        if state == _LISTEN or state == _CLOSED and not self.w[_RPORT]:
            raise OSError(ENOTCONN)
        return end
