"""Stream: an answer that did not fit into a datagram, by TCP (RFC 7766 8)."""

from micropython import const

from smolmp.socket import tcp

_TCP_BUFFER = const(1024)


class Stream:
    """A connection to `server` for one query; the poll does not name its socket.

    OSError: there is no way; OverflowError: the set is full."""

    def __init__(self, iface, sockets, server, query, largest):
        self.largest = largest
        self._query = bytes((len(query) >> 8, len(query) & 255)) + query
        self._sent = 0
        self._data = bytearray(2)
        self._got = 0
        self._size = -1  # of the answer
        self._socket = sockets.add(tcp.Socket(rx=_TCP_BUFFER, tx=512))
        self._sockets = sockets
        sockets.hide(self._socket.slot)
        try:
            self._socket.connect(iface, (server, 53))
        except OSError:
            sockets.remove(self._socket)
            raise

    def step(self):
        """The answer; None: not yet; b"": there will be none."""
        socket = self._socket
        try:
            if self._sent < len(self._query) and socket.can_send():
                rest = self._query[self._sent :]
                self._sent += socket.send(rest, 0, len(rest)) or 0
            while socket.can_recv():
                data = self._data
                n = socket.recv_into(memoryview(data)[self._got :])
                if not n:
                    break
                self._got += n
                if self._got == len(data):
                    if self._size >= 0:
                        return bytes(data)
                    self._size = data[0] << 8 | data[1]
                    if not 12 <= self._size <= self.largest:
                        return b""
                    self._data = bytearray(self._size)
                    self._got = 0
        except OSError:
            return b""
        return None if socket.may_recv() or not self._sent and socket.is_open() else b""

    def close(self):
        """Reset the connection; its socket, to be removed when the RST has gone."""
        self._socket.abort()
        return self._socket
