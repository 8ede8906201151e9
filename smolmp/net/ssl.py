"""TLS as MicroPython's documentation has it in `ssl`, over the `tls` of the port.

Net.install() makes it sys.modules["ssl"] wherever there is `tls`: some ports have no ssl on top of
it (Debian's), and theirs loses sockets whose handshake fails later (see _Later). What comes from
wrap_socket() is the port's own SSLSocket, over a socket of ours or any other stream that has
readinto(), write() and ioctl(): it blocks, times out and polls as that one does.

MicroPython's TLS sends no close_notify: a peer that insists on it (RFC 8446 6.1) hears a stream
that was cut. Theirs ends our read() with b"".
"""

import io
import select

try:
    import tls
except ImportError:
    raise ImportError("this MicroPython was built without TLS (no module tls)") from None

from micropython import const
from tls import (  # noqa: F401
    CERT_NONE,
    CERT_OPTIONAL,
    CERT_REQUIRED,
    MBEDTLS_VERSION,
    PROTOCOL_TLS_CLIENT,
    PROTOCOL_TLS_SERVER,
)

_IOCTL_POLL = const(3)
_IOCTL_CLOSE = const(4)


class SSLContext:
    """What connections of one kind share. `protocol`: PROTOCOL_TLS_CLIENT, PROTOCOL_TLS_SERVER.

    Nobody is verified unless verify_mode is set: CERT_REQUIRED wants the peer's certificate to be
    of a chain that load_verify_locations() knows and (a client's wrap_socket() is told the name
    then) made out to that name. Errors: ValueError, with the reason.
    """

    def __init__(self, protocol):
        self._context = tls.SSLContext(protocol)
        self._context.verify_mode = CERT_NONE  # type: ignore[attr-defined]

    @property
    def verify_mode(self):
        return self._context.verify_mode  # type: ignore[attr-defined]

    @verify_mode.setter
    def verify_mode(self, mode):
        self._context.verify_mode = mode  # type: ignore[attr-defined]

    @property
    def verify_callback(self):
        return self._context.verify_callback  # type: ignore[attr-defined]

    @verify_callback.setter
    def verify_callback(self, callback):
        """callback(certificate in DER, depth) -> 0: it will do."""
        self._context.verify_callback = callback  # type: ignore[attr-defined]

    def get_ciphers(self):
        """Names of the cipher suites there are."""
        return self._context.get_ciphers()

    def set_ciphers(self, names):
        """Use these only."""
        self._context.set_ciphers(names)

    def load_cert_chain(self, certfile, keyfile):
        """Our certificate and key, in PEM or DER: names of files, or what is in them."""
        self._context.load_cert_chain(_octets(certfile), _octets(keyfile))

    def load_verify_locations(self, cafile=None, cadata=None):
        """Whom to trust: certificates in PEM or DER, as a file's name or in bytes."""
        self._context.load_verify_locations(_octets(cafile) if cafile else cadata)

    def wrap_socket(
        self, sock, server_side=False, do_handshake_on_connect=True, server_hostname=None
    ):
        """A TLS stream over `sock`. `server_hostname`: sent to the server (SNI), and verified.

        do_handshake_on_connect=False leaves the handshake to reads and writes: what sockets that
        do not block need. OSError, ValueError: the handshake failed.
        """
        stream = self._context.wrap_socket(
            sock,
            server_side=server_side,
            do_handshake_on_connect=do_handshake_on_connect,
            server_hostname=server_hostname,
        )
        return stream if do_handshake_on_connect else _Later(stream, sock)


def wrap_socket(
    sock,
    server_side=False,
    key=None,
    cert=None,
    cert_reqs=CERT_NONE,
    cadata=None,
    server_hostname=None,
    do_handshake=True,
):
    """A TLS stream over `sock` with a context of its own: see SSLContext."""
    context = SSLContext(PROTOCOL_TLS_SERVER if server_side else PROTOCOL_TLS_CLIENT)
    if cert or key:
        context.load_cert_chain(cert, key)
    if cadata:
        context.load_verify_locations(cadata=cadata)
    context.verify_mode = cert_reqs
    return context.wrap_socket(
        sock,
        server_side=server_side,
        do_handshake_on_connect=do_handshake,
        server_hostname=server_hostname,
    )


class _Later(io.IOBase):
    """An SSLSocket whose handshake is still to come. Once that has failed, the port's own has
    forgotten the socket below, and its close() would close nothing."""

    def __init__(self, stream, sock):
        self._stream = stream
        self.pollable = stream  # to asyncio: see loop.py
        self._sock = sock
        self._poll = select.poll()
        self._poll.register(stream)
        self.read = stream.read
        self.readinto = stream.readinto
        self.readline = stream.readline
        self.write = stream.write

    def __getattr__(self, name):
        return getattr(self._stream, name)

    def setblocking(self, flag):
        self._sock.setblocking(flag)

    def close(self):
        self._stream.close()
        self._sock.close()

    def ioctl(self, request, arg):
        if request == _IOCTL_POLL:
            self._poll.modify(self._stream, arg)
            for _, events in self._poll.ipoll(0):
                return events
            return 0
        if request == _IOCTL_CLOSE:
            self.close()
            return 0
        return -22  # EINVAL


def _octets(source):
    if not isinstance(source, str):
        return source
    with open(source, "rb") as file:
        return file.read()
