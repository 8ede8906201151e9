"""The socket module of MicroPython's documentation, over one Net: see Net.install()."""

from smolmp.net import names
from smolmp.net.names import AF_INET, AF_INET6, SOCK_DGRAM, SOCK_STREAM  # noqa: F401
from smolmp.net.socket import socket as _socket
from smolmp.wire.address import format_address, parse_address

SOCK_RAW = 3

IPPROTO_IP = 0
IPPROTO_ICMP = 1
IPPROTO_TCP = 6
IPPROTO_UDP = 17

SOL_SOCKET = 1
SO_REUSEADDR = 2
SO_ERROR = 4
SO_BROADCAST = 6
SO_KEEPALIVE = 9
SO_LINGER = 13
SO_BINDTODEVICE = 25
IP_TOS = 1
IP_TTL = 2
TCP_NODELAY = 1
TCP_KEEPIDLE = 4
TCP_KEEPINTVL = 5
TCP_KEEPCNT = 6
TCP_USER_TIMEOUT = 18
MSG_PEEK = 2
MSG_DONTWAIT = 64
SHUT_RD = 0
SHUT_WR = 1
SHUT_RDWR = 2

error = OSError
socket = _socket

_net = None


def use(net):
    """From now on sockets are of `net`, unless they are told otherwise."""
    global _net
    _net = net
    _socket.default = net


def getaddrinfo(host, port, af=0, type=0, proto=0, flags=0):
    """[(family, type, proto, "", (address, port)), ...] to make sockets and connect them with.

    Waits for the resolver where `host` is a name. OSError(-2): there is no such name.
    """
    return names.getaddrinfo(_net, host, port, af, type, proto, flags)


def inet_pton(af, text: str) -> bytes:
    """An address in its 4 or 16 octets. OSError(EINVAL): it is none of that family."""
    try:
        address = parse_address(text)
    except ValueError:
        address = b""
    if len(address) != (4 if af == AF_INET else 16):
        raise OSError(22)
    return address


def inet_ntop(af, address) -> str:
    """An address as text. ValueError: not 4 or 16 octets, as the family has."""
    if len(address) != (4 if af == AF_INET else 16):
        raise ValueError("address of %d octets" % len(address))
    return format_address(bytes(address))
