"""DHCP for IPv4: RFC 2131; options RFC 2132, long and overloaded ones RFC 3396, routes RFC 3442.

  0 op 1 request, 2 reply   1 hardware type 1   2 its length 6   3 hops    4 xid     8 secs
 10 flags    12 ciaddr    16 yiaddr    20 siaddr    24 giaddr    28 chaddr (16)
 44 sname (64)           108 file (128)           236 cookie    240 options

A message comes once in hours: this is plain Python that allocates what it returns.
"""

import micropython
from micropython import const

from smolmp.wire.address import format_address, format_cidr, is_loopback, is_unicast, network

_DHCPDISCOVER = const(1)
_DHCPINFORM = const(8)

_OVERLOAD = const(52)
_MESSAGE_TYPE = const(53)

_FIELD = const(240)
_SMALLEST = const(300)  # what a BOOTP relay may insist on (RFC 1542 2.1)

_TRUNCATED = const(-1)
_MALFORMED = const(-2)
_UNSUPPORTED = const(-4)

_ADDRESSES_SIZE = const(64)  # octets of a list of addresses that are looked at: 16 of them

_COOKIE = b"\x63\x82\x53\x63"


@micropython.viper
def is_reply(frame: ptr8, at: int, end: int, xid: ptr8, mac: ptr8) -> int:
    """1 if frame[at:end] answers transaction `xid` (4 octets) of the host `mac` (6)."""
    if end - at < 240 or frame[at] != 2 or frame[at + 1] != 1 or frame[at + 2] != 6:
        return 0
    i = 0
    while i < 4:
        if frame[at + 4 + i] != xid[i]:
            return 0
        i += 1
    i = 0
    while i < 6:
        if frame[at + 28 + i] != mac[i]:
            return 0
        i += 1
    return 1


def _walk(message, at: int, end: int, code: int, found):
    """found + what the options in message[at:end] have for `code`; None: they overrun it."""
    while at < end:
        tag = message[at]
        if tag == 255:
            return found
        at += 1
        if not tag:
            continue
        if at == end or at + 1 + message[at] > end:
            return None
        n = message[at]
        if tag == code:
            found = (found or b"") + message[at + 1 : at + 1 + n]
        at += 1 + n
    return found  # without an end mark: the field is full


def option(message: bytes, code: int):
    """The value of option `code`, its pieces joined (RFC 3396 7); None if it is not there."""
    value = _walk(message, _FIELD, len(message), code, None)
    if code == _OVERLOAD:
        return value
    overload = _walk(message, _FIELD, len(message), _OVERLOAD, None)
    if overload:
        for bit, at, end in ((1, 108, 236), (2, 44, 108)):
            if overload[0] & bit:
                value = _walk(message, at, end, code, value)
    return value


def check(message: bytes) -> int:
    """The type of a message (DHCPOFFER ...), or a result code as other parsers give it."""
    if len(message) < _FIELD:
        return _TRUNCATED
    if message[236:240] != _COOKIE:
        return _UNSUPPORTED  # BOOTP
    # -1 is no option's code: only whether the fields hold together.
    if _walk(message, _FIELD, len(message), -1, b"") is None:
        return _MALFORMED
    overload = _walk(message, _FIELD, len(message), _OVERLOAD, b"")
    if overload:
        if len(overload) != 1 or not 1 <= overload[0] <= 3:
            return _MALFORMED
        if overload[0] & 1 and _walk(message, 108, 236, -1, b"") is None:
            return _MALFORMED
        if overload[0] & 2 and _walk(message, 44, 108, -1, b"") is None:
            return _MALFORMED
    kind = option(message, _MESSAGE_TYPE)
    if kind is None:
        return _UNSUPPORTED
    if len(kind) != 1 or not _DHCPDISCOVER <= kind[0] <= _DHCPINFORM:
        return _MALFORMED
    return kind[0]


def is_host(address) -> bool:
    """Can these 4 octets be a host's on the link: not 0.x, 127.x, a group's or a broadcast?"""
    return (
        len(address) == 4
        and address[0] != 0
        and is_unicast(address)
        and (not is_loopback(address) and address[0] < 224)
    )


def addresses(value):
    """The hosts' addresses in an option such as 3, 6 or 42, as text, of the first 16; what is none
    is left out."""
    found = []
    for at in range(0, min(len(value or b""), _ADDRESSES_SIZE) - 3, 4):
        if is_host(value[at : at + 4]):
            found.append(format_address(value[at : at + 4]))
    return found


def routes(value):
    """[("10.0.0.0/8", "192.168.1.1" or None: on link)] of option 121; None: it is malformed."""
    found = []
    at = 0
    while at < len(value):
        bits = value[at]
        n = (bits + 7) // 8
        if bits > 32 or at + 1 + n + 4 > len(value):
            return None
        destination = value[at + 1 : at + 1 + n] + bytes(4 - n)
        via = value[at + 1 + n : at + 5 + n]
        at += 5 + n
        if any(via) and not is_host(via):
            continue
        # Bits behind the prefix are to be masked out (RFC 3442).
        destination = format_cidr(network(destination, bits), bits)
        found.append((destination, format_address(via) if any(via) else None))
    return found


def begin(frame, at: int, kind: int, xid, secs: int, broadcast: bool, ciaddr, mac) -> int:
    """Write a request's fixed fields and its type at frame[at:]; where further options go.

    ciaddr: 4 octets, None for 0. The caller proves that there is room for 576 octets."""
    for i in range(at, at + _SMALLEST):
        frame[i] = 0
    frame[at] = 1
    frame[at + 1] = 1
    frame[at + 2] = 6
    frame[at + 4 : at + 8] = bytes(xid)
    frame[at + 8] = secs >> 8
    frame[at + 9] = secs & 255
    frame[at + 10] = 0x80 if broadcast else 0
    if ciaddr:
        frame[at + 12 : at + 16] = ciaddr
    frame[at + 28 : at + 34] = mac
    frame[at + 236 : at + 240] = _COOKIE
    return put(frame, at + _FIELD, _MESSAGE_TYPE, bytes((kind,)))


def put(frame, at: int, code: int, value) -> int:
    """Write an option at frame[at:], in pieces of 255 octets (RFC 3396 5); where it ends."""
    start = 0
    while True:
        n = min(255, len(value) - start)
        frame[at] = code
        frame[at + 1] = n
        frame[at + 2 : at + 2 + n] = value[start : start + n]
        at += 2 + n
        start += n
        if start >= len(value):
            return at


def finish(frame, start: int, at: int) -> int:
    """Write the end mark at frame[at]; where the message that began at `start` ends."""
    frame[at] = 255
    return max(at + 1, start + _SMALLEST)
