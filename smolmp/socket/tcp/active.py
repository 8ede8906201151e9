"""Opening a connection actively (RFC 9293 3.10.1): what connect() does, and which port it takes.

Imported by the first connect(): a server has no use for it.
"""

from errno import EADDRINUSE, EHOSTUNREACH, EINVAL, ENOTCONN

import micropython
from micropython import const

from smolmp.errors import EISCONN
from smolmp.siphash import halfsiphash
from smolmp.socket import endpoint
from smolmp.socket.tcp import ecn
from smolmp.socket.tcp.numbers import outrun

_FAMILY = const(0)
_PROTO = const(1)
_LPORT = const(2)
_RPORT = const(3)
_LOCAL = const(4)
_REMOTE = const(8)
_REMOTE_END = const(12)
_STATE = const(14)
_FLAGS = const(32)
_HASH = const(6)

_SYN_SENT = const(2)
_TIME_WAIT = const(10)
_FLAG_TIMESTAMPS = const(4)

_TCP = const(6)
_EPHEMERAL = const(49152)  # RFC 6335 6
_EPHEMERALS = const(16384)


def connect(socket, iface, remote, local):
    """Socket.connect()."""
    w = socket.w
    if socket.is_open():
        raise OSError(EISCONN)
    if socket.sockets is None:
        raise OSError(ENOTCONN)
    if w[_STATE] == _TIME_WAIT:
        outrun(iface, w)  # in case it is to the same end again
    socket.forget()
    endpoint.clear_address(w, _REMOTE)
    endpoint.set_local(w, local)
    endpoint.set_remote(w, remote)
    w[_PROTO] = _TCP
    if not w[_RPORT] or endpoint.is_unset(w, _REMOTE):
        _refuse(w, EINVAL)
    if not iface.is_unicast(w, _REMOTE, w[_FAMILY]):  # RFC 9293 3.9.2.3 (MUST-46)
        _refuse(w, EHOSTUNREACH)
    if endpoint.is_unset(w, _LOCAL) and not iface.select_source(w):
        _refuse(w, EHOSTUNREACH)
    _choose_port(socket, iface)
    socket.start(iface, _SYN_SENT)
    if socket.ecn_mode == ecn.REQUEST:
        ecn.ask(w)
    socket.sockets.bind(socket.slot, w)
    socket.sockets.mark(socket.slot)


def _choose_port(socket, iface):
    """Pick an ephemeral local port where none was asked for; see that the pair is free."""
    w = socket.w
    sockets = socket.sockets
    if w[_LPORT]:
        tries = 1
    else:
        # RFC 6056 3.3.3: a hash of the ends to begin with, and a count that all share.
        tries = _EPHEMERALS
        first = port_offset(iface, w)
    for _ in range(tries):
        if tries > 1:
            w[_LPORT] = _EPHEMERAL + (first + iface.ports) % _EPHEMERALS
            iface.ports = (iface.ports + 1) % _EPHEMERALS
        slot = sockets.find(w)
        if slot < 0 or not sockets.objects[slot].w[_RPORT]:
            return
        if tries == 1 and _take_over(socket, iface, sockets.objects[slot]):
            return
    _refuse(w, EADDRINUSE)


def _refuse(w, errno):
    """connect() came to nothing: there is no connection to ask about."""
    endpoint.clear_address(w, _REMOTE)
    w[_LPORT] = w[_RPORT] = 0
    raise OSError(errno)


def _take_over(socket, iface, other):
    """May we follow the connection of `other`, which is in TIME-WAIT?

    With timestamps: what is old will be known by them (RFC 6191 and RFC 7323 5 from the
    other side). Its peer is told by our SYN, whose sequence number is beyond the old ones.
    """
    if other.w[_STATE] != _TIME_WAIT or not other.w[_FLAGS] & _FLAG_TIMESTAMPS:
        return False
    if not socket.timestamps:
        return False
    outrun(iface, other.w)
    other.release()
    return True


@micropython.viper
def _offset(secret: ptr32) -> int:
    return secret[_HASH] & 0xFFFF


def port_offset(iface, w):
    """Where the search for a port begins: the same for the same ends, 0..65535. w[_LPORT] is 0."""
    halfsiphash(iface.secret, w, _LPORT, _REMOTE_END)
    return _offset(iface.secret)
