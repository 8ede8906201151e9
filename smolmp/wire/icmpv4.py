"""ICMP for IPv4: RFC 792, router discovery RFC 1256, host rules RFC 1122 3.2.2.

0 type    1 code    2 checksum    4 identifier, or unused    6 sequence, or next-hop MTU
8 data; in an error message the IP header and the first bytes of the packet it is about
"""

import micropython
from micropython import const

from .checksum import checksum

_FAMILY = const(0)
_PROTO = const(1)
_LPORT = const(2)
_RPORT = const(3)
_LOCAL = const(4)
_REMOTE = const(8)
_HOPS = const(12)
_TOS = const(13)
_DATA = const(18)
_END = const(19)
_FRAGMENT = const(20)
_IDENT = const(21)
_PAYLOAD = const(23)
_LENGTH = const(24)
_SEQ = const(25)
_TYPE = const(43)
_CODE = const(44)
_ICMP_ID = const(45)
_ICMP_SEQ = const(46)

_OK = const(0)
_TRUNCATED = const(-1)
_MALFORMED = const(-2)
_BAD_CHECKSUM = const(-3)
_UNSUPPORTED = const(-4)


@micropython.viper
def parse(frame, off: int, end: int, rec: ptr32, verify: int) -> int:
    """Parse the message in frame[off:end]; a result code.

    verify: 1 to check the checksum. Sets _TYPE, _CODE, _ICMP_ID, _ICMP_SEQ, _PAYLOAD and
    _LENGTH (what follows the first 8 bytes). _UNSUPPORTED: whole, but of no type named above.
    """
    n = end - off
    if n < 8:
        return _TRUNCATED
    p = ptr8(int(ptr8(frame)) + off)
    kind = p[0]
    rec[_TYPE] = kind
    rec[_CODE] = p[1]
    rec[_ICMP_ID] = p[4] << 8 | p[5]
    rec[_ICMP_SEQ] = p[6] << 8 | p[7]
    rec[_PAYLOAD] = off + 8
    rec[_LENGTH] = n - 8
    if verify and int(checksum(frame, off, end, 0)) != 0xFFFF:
        return _BAD_CHECKSUM
    if kind == 13 or kind == 14:  # three timestamps follow
        if n < 20:
            return _TRUNCATED
        return _OK
    if kind == 0 or kind == 3 or kind == 5 or (kind >= 8 and kind <= 12):
        return _OK
    return _UNSUPPORTED


@micropython.viper
def emit(frame, off: int, kind: int, code: int, high: int, low: int, end: int):
    """Write the 8 bytes at `off` of the message frame[off:end], its data being there.

    high, low: the two 16-bit halves behind the checksum (identifier and sequence number).
    """
    p = ptr8(int(ptr8(frame)) + off)
    p[0] = kind
    p[1] = code
    p[2] = 0
    p[3] = 0
    p[4] = high >> 8
    p[5] = high
    p[6] = low >> 8
    p[7] = low
    total = int(checksum(frame, off, end, 0)) ^ 0xFFFF
    p[2] = total >> 8
    p[3] = total


@micropython.viper
def parse_quote(frame: ptr8, off: int, end: int, quoted: ptr32) -> int:
    """Parse the packet that an error message quotes in frame[off:end]; a result code.

    Fills the record `quoted` as seen from us, who sent it: _LOCAL its source, _REMOTE its
    destination, likewise the ports (0 if not quoted); _DATA the transport header, _END its
    end, _LENGTH what is quoted of it; _SEQ of TCP and _TYPE, _ICMP_ID, _ICMP_SEQ of ICMP when
    8 bytes are there. The quote may be cut behind the IP header (RFC 792 promises 8 bytes
    more); its length and checksum are not judged, routers rewrite them.
    """
    n = end - off
    if n < 20:
        return _TRUNCATED
    p = ptr8(int(frame) + off)
    if p[0] >> 4 != 4:
        return _MALFORMED
    header = (p[0] & 15) << 2
    if header < 20:
        return _MALFORMED
    if header > n:
        return _TRUNCATED
    total = p[2] << 8 | p[3]
    if total >= header and total < n:  # RFC 4884 extensions and padding are not the packet
        n = total
    proto = p[9]
    quoted[_FAMILY] = 4
    quoted[_PROTO] = proto
    quoted[_LPORT] = 0
    quoted[_RPORT] = 0
    quoted[_LOCAL] = p[12] << 24 | p[13] << 16 | p[14] << 8 | p[15]
    quoted[_REMOTE] = p[16] << 24 | p[17] << 16 | p[18] << 8 | p[19]
    i = 1
    while i < 4:
        quoted[_LOCAL + i] = 0
        quoted[_REMOTE + i] = 0
        i += 1
    quoted[_TOS] = p[1]
    quoted[_HOPS] = p[8]
    quoted[_IDENT] = p[4] << 8 | p[5]
    fragment = (p[6] & 0x3F) << 8 | p[7]
    if fragment:
        fragment = 1 | (fragment >> 13) << 1 | (fragment & 0x1FFF) << 5
    quoted[_FRAGMENT] = fragment
    quoted[_DATA] = off + header
    quoted[_PAYLOAD] = off + header
    quoted[_END] = off + n
    n -= header
    quoted[_LENGTH] = n
    quoted[_TYPE] = -1
    if fragment >> 2:  # not the first fragment: no transport header
        return _OK
    p = ptr8(int(p) + header)
    if proto == 6 or proto == 17:
        if n >= 4:
            quoted[_LPORT] = p[0] << 8 | p[1]
            quoted[_RPORT] = p[2] << 8 | p[3]
            if n >= 8:
                quoted[_SEQ] = p[4] << 24 | p[5] << 16 | p[6] << 8 | p[7]
    elif proto == 1 and n >= 8:
        quoted[_TYPE] = p[0]
        quoted[_CODE] = p[1]
        quoted[_ICMP_ID] = p[4] << 8 | p[5]
        quoted[_ICMP_SEQ] = p[6] << 8 | p[7]
    return _OK
