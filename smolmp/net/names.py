"""From what a program writes for a host to addresses; and what a new host has to invent."""

from errno import EINVAL

from smolmp.wire.address import format_address, parse_address

AF_UNSPEC = 0
AF_INET = 2
AF_INET6 = 10
SOCK_STREAM = 1
SOCK_DGRAM = 2

_NONAME = -2  # EAI_NONAME, as MicroPython's ports raise it


def resolve(net, host: str, family: int = AF_UNSPEC):
    """The addresses of `host`, as text: an address, a name in net.hosts, or what DNS
    tells. OSError(-2): there is none."""
    found = known(net, host)
    if found is None:
        found = net.resolve(host, family)
    return of_family(found, family)


def known(net, host):
    """The addresses of `host` that need no asking, None: DNS has to be asked."""
    if isinstance(host, (bytes, bytearray)):
        host = bytes(host).decode()
    if not host:
        return ["0.0.0.0"]
    try:
        return [format_address(parse_address(host))]
    except ValueError:
        if host in net.hosts:
            return [net.hosts[host]]
        return ["127.0.0.1"] if host == "localhost" else None


def of_family(found, family: int):
    """Those of a family. OSError(-2): there are none."""
    if family == AF_INET:
        found = [text for text in found if ":" not in text]
    elif family == AF_INET6:
        found = [text for text in found if ":" in text]
    if not found:
        raise OSError(_NONAME)
    return found


def getaddrinfo(net, host, port, af=AF_UNSPEC, type=0, proto=0, flags=0):
    """[(family, type, proto, "", (address, port)), ...]; `port` may be a number as text."""
    port = int(port)
    kinds = ((SOCK_STREAM, 6), (SOCK_DGRAM, 17))
    if type:
        kinds = ((type, proto or dict(kinds).get(type, 0)),)
    result = []
    for text in resolve(net, host, af):
        family = AF_INET6 if ":" in text else AF_INET
        for kind, number in kinds:
            result.append((family, kind, number, "", (text, port)))
    return result


def endpoint(net, address):
    """(address as text, port) of what connect(), bind() and sendto() were given.

    OSError: EINVAL, or as resolve() raises it. TypeError: it is no (host, port).
    """
    if not isinstance(address, (tuple, list)) or len(address) < 2:
        raise TypeError("address: (host, port)")
    host, port = address[0], address[1]
    if not isinstance(port, int):
        raise TypeError("port: a number")
    if not 0 <= port <= 65535:
        raise OSError(EINVAL)
    return resolve(net, host)[0], port


def is_ours(net, host: str) -> bool:
    """May a socket be bound to this address?"""
    return any(cidr.split("/")[0] == host for cidr in net.iface.ip_addrs)


def random(n: int) -> bytes:
    """n octets that nobody can guess, where the port has any."""
    import os

    if hasattr(os, "urandom"):
        return os.urandom(n)
    import time

    from smolmp.prng import Random

    source = Random(time.ticks_us())
    return bytes([source.bits(8) for _ in range(n)])


def hardware_addr() -> bytes:
    """An Ethernet address of this very board: locally administered, out of its unique id."""
    try:
        from machine import unique_id

        own = unique_id()
    except ImportError:
        own = random(8)
    mac = bytearray(6)
    for i, octet in enumerate(own):
        mac[1 + i % 5] = (mac[1 + i % 5] * 31 + octet) & 255
    mac[0] = 2
    return bytes(mac)
