"""The UDP header: RFC 768, over IPv6 RFC 8200 8.1.

0 source port    2 destination port    4 length    6 checksum    8 data ...
"""

import micropython
from micropython import const

from .checksum import checksum, pseudo

HEADER = const(8)

_FAMILY = const(0)
_LPORT = const(2)
_RPORT = const(3)
_PAYLOAD = const(23)
_LENGTH = const(24)

_OK = const(0)
_TRUNCATED = const(-1)
_MALFORMED = const(-2)
_BAD_CHECKSUM = const(-3)


@micropython.viper
def parse(frame, off: int, end: int, rec, verify: int) -> int:
    """Parse the datagram in frame[off:end]; a result code.

    rec: has the addresses already. Sets _LPORT, _RPORT, _PAYLOAD and _LENGTH (from the length
    field; what lies behind it is padding). verify: 1 to check the checksum. A zero checksum
    means none on IPv4 and is forbidden on IPv6. Source port 0 is allowed, destination 0 not.
    """
    n = end - off
    if n < 8:
        return _TRUNCATED
    p = ptr8(int(ptr8(frame)) + off)
    r = ptr32(rec)
    length = p[4] << 8 | p[5]
    if length < 8:
        return _MALFORMED
    if length > n:
        return _TRUNCATED
    port = p[2] << 8 | p[3]
    if port == 0:
        return _MALFORMED
    r[_LPORT] = port
    r[_RPORT] = p[0] << 8 | p[1]
    r[_PAYLOAD] = off + 8
    r[_LENGTH] = length - 8
    if verify == 0:
        return _OK
    if p[6] | p[7] == 0:
        if r[_FAMILY] == 6:
            return _BAD_CHECKSUM
        return _OK
    if int(checksum(frame, off, off + length, int(pseudo(rec, length)))) != 0xFFFF:
        return _BAD_CHECKSUM
    return _OK


@micropython.viper
def emit(frame, off: int, flow, end: int, fill: int):
    """Write the header at `off` of the datagram frame[off:end], its data being there.

    fill: 1 to compute the checksum, 0 to leave it 0 (the device fills it, or none on IPv4).
    """
    p = ptr8(int(ptr8(frame)) + off)
    w = ptr32(flow)
    length = end - off
    port = w[_LPORT]
    p[0] = port >> 8
    p[1] = port
    port = w[_RPORT]
    p[2] = port >> 8
    p[3] = port
    p[4] = length >> 8
    p[5] = length
    p[6] = 0
    p[7] = 0
    if fill:
        total = int(checksum(frame, off, end, int(pseudo(flow, length)))) ^ 0xFFFF
        if total == 0:  # zero would mean "none"
            total = 0xFFFF
        p[6] = total >> 8
        p[7] = total
