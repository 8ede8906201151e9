"""DNS messages: RFC 1035; EDNS0 RFC 6891, SRV RFC 2782.

0 id  2 QR|opcode 4|AA|TC|RD  3 RA|Z|RCODE  4 questions  6 answers  8 authority  10 additional

Names are bytes of labels joined by dots, as they were written ("Example.org"); a dot or a
backslash within a label has a backslash before it. What cannot be read is None, never an error:
a name has 255 octets at most, and each of its pointers points before all that was read so far, so
that reading it ends (NAME:WRECK's loops).
"""

from micropython import const

A = const(1)
NS = const(2)
CNAME = const(5)
SOA = const(6)
PTR = const(12)
TXT = const(16)
AAAA = const(28)
SRV = const(33)
_OPT = const(41)

_HEADER_DNS = const(12)
_IN = const(1)
_NAME_SIZE = const(255)
_DOMAINS = const(8)  # of a search list: a name is asked for in each of them


def encode(name):
    """The wire format of a name (text or bytes); None if it is none: a label that is empty or has
    more than 63 octets, more than 255 in all, text that is not ASCII."""
    if isinstance(name, str):
        for letter in name:
            if ord(letter) > 126 or ord(letter) < 33:
                return None
        name = name.encode()
    result = bytearray(1)
    start = 0  # where the length of the label stands
    i = 0
    if name in (b"", b"."):
        return b"\0"
    while i < len(name):
        octet = name[i]
        if octet == 46:
            if len(result) == start + 1:
                return None
            start = len(result)
            octet = 0
        else:
            if octet == 92:
                i += 1
                if i == len(name):
                    return None
                octet = name[i]
            if result[start] == 63:
                return None
            result[start] += 1
        result.append(octet)
        i += 1
    if result[start]:
        result.append(0)
    return bytes(result) if len(result) <= _NAME_SIZE else None


def decode(message, at: int):
    """(name, where it ends) of the name at message[at:]; (None, -1): malformed."""
    result = bytearray()
    end = -1
    limit = at  # pointers go before it
    size = 1
    n = len(message)
    while at < n:
        length = message[at]
        if length == 0:
            return bytes(result), (at + 1 if end < 0 else end)
        if length < 64:
            size += 1 + length
            if at + 1 + length >= n or size > _NAME_SIZE:
                break
            if result:
                result.append(46)
            for octet in message[at + 1 : at + 1 + length]:
                if octet == 46 or octet == 92:
                    result.append(92)
                result.append(octet)
            at += 1 + length
        elif length >= 192 and at + 1 < n:
            if end < 0:
                end = at + 2
            at = (length & 63) << 8 | message[at + 1]
            if at >= limit or at < _HEADER_DNS:
                break
            limit = at
        else:
            break
    return None, -1


def names(value):
    """The names of a search list (RFC 3397), the first 8, as text: its pointers count from its
    beginning."""
    message = bytes(_HEADER_DNS) + bytes(value)
    found = []
    # Its pointers are to be 12 larger here.
    shifted = bytearray(message)
    at = _HEADER_DNS
    while at < len(message):
        length = message[at]
        if length >= 192 and at + 1 < len(message):
            to = ((length & 63) << 8 | message[at + 1]) + _HEADER_DNS
            shifted[at] = 192 | to >> 8 & 63
            shifted[at + 1] = to & 255
            at += 2
        else:
            at += 1 + length
    at = _HEADER_DNS
    while at < len(message) and len(found) < _DOMAINS:
        name, at = decode(shifted, at)
        if name is None:
            break
        text = name.decode() if is_ascii(name) else ""
        if text:
            found.append(text)
    return found


def is_ascii(name) -> bool:
    for octet in name:
        if not 33 <= octet < 127:
            return False
    return True


def fold(name: bytes) -> bytes:
    """To compare names: ASCII letters small (RFC 4343)."""
    for octet in name:
        if 65 <= octet <= 90:
            return bytes([o + 32 if 65 <= o <= 90 else o for o in name])
    return name


def query(ident: int, name: bytes, kind: int, size: int, recursion=True) -> bytes:
    """A query for `name` (wire format). size: octets of an answer that we take (EDNS0's), 0: as
    without EDNS."""
    head = bytes((ident >> 8, ident & 255, 1 if recursion else 0, 0, 0, 1, 0, 0, 0, 0, 0))
    message = head + bytes((1 if size else 0,)) + name + bytes((kind >> 8, kind & 255, 0, _IN))
    if size:
        message += bytes((0, 0, _OPT, size >> 8, size & 255, 0, 0, 0, 0, 0, 0))
    return message


def number(message, at: int) -> int:
    return message[at] << 8 | message[at + 1]


def records(message, at: int, count: int):
    """[(name, type, class, TTL, start, end), ...] of up to `count` records from message[at:];
    None: malformed. TTLs of 2**29 s and more are 2**29 - 1, those of 2**31 and more 0 (RFC 2181
    8). The top bit of the class is mDNS's cache flush, and left out."""
    found = []
    while count:
        name, at = decode(message, at)
        if name is None or at + 10 > len(message):
            return None
        top = message[at + 4]
        ttl = 0 if top & 0x80 else 0x1FFFFFFF
        if top < 0x20:
            ttl = top << 24 | message[at + 5] << 16 | number(message, at + 6)
        start = at + 10
        end = start + number(message, at + 8)
        if end > len(message):
            return None
        found.append(
            (name, number(message, at), number(message, at + 2) & 0x7FFF, ttl, start, end)
        )
        at = end
        count -= 1
    return found


def data(message, kind: int, start: int, end: int):
    """What a record says: bytes of an address; a name; (priority, weight, port, name) of SRV; a
    tuple of bytes of TXT; else the octets. None: malformed."""
    size = end - start
    if kind == A or kind == AAAA:
        return bytes(message[start:end]) if size == (4 if kind == A else 16) else None
    if kind in (CNAME, PTR, NS):
        name, at = decode(message, start)
        return name if at == end else None
    if kind == SRV:
        if size < 7:
            return None
        name, at = decode(message, start + 6)
        if at != end:
            return None
        return number(message, start), number(message, start + 2), number(message, start + 4), name
    if kind == TXT:
        found = []
        while start < end:
            n = message[start]
            if start + 1 + n > end:
                return None
            found.append(bytes(message[start + 1 : start + 1 + n]))
            start += 1 + n
        return tuple(found)
    return bytes(message[start:end])
