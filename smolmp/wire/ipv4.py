"""The IPv4 header: RFC 791, with the rules for hosts of RFC 1122 3.2.1.

 0 version 4, header length   1 TOS            2 total length
 4 identification             6 flags (DF 0x4000, MF 0x2000), fragment offset / 8
 8 TTL                        9 protocol      10 header checksum
12 source                    16 destination   20 options ...
"""

import micropython
from micropython import const

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

_OK = const(0)
_TRUNCATED = const(-1)
_MALFORMED = const(-2)
_BAD_CHECKSUM = const(-3)


@micropython.viper
def parse(frame: ptr8, off: int, end: int, rec: ptr32, verify: int) -> int:
    """Parse the IPv4 header at frame[off:end]; a result code.

    verify: 1 to check the header checksum, 0 if the device did. Sets the flow (_LOCAL the
    destination, _REMOTE the source, ports 0), _DATA, _END, _FRAGMENT and _IDENT. Options are
    skipped, bytes behind the total length (padding) are cut. A source that no host can have
    is _MALFORMED (RFC 1122 3.2.1.3); 0.0.0.0 and 127/8 pass, the interface decides.
    """
    p = ptr8(int(frame) + off)
    n = end - off
    if n < 20:
        return _TRUNCATED
    if p[0] >> 4 != 4:
        return _MALFORMED
    header = (p[0] & 15) << 2
    if header < 20:
        return _MALFORMED
    total = p[2] << 8 | p[3]
    if total < header:
        return _MALFORMED
    if total > n:
        return _TRUNCATED
    if verify:
        s = 0
        i = 0
        if int(p) & 1:
            while i < header:
                s += p[i] << 8 | p[i + 1]
                i += 2
        else:
            h = ptr16(p)
            while i < header >> 1:
                s += h[i]
                i += 1
        # 0xffff in either byte order
        if (s & 0xFFFF) + (s >> 16) != 0xFFFF:
            return _BAD_CHECKSUM
    if p[12] & 0xF0 == 0xE0 or p[12] & p[13] & p[14] & p[15] == 0xFF:
        return _MALFORMED
    fragment = (p[6] & 0x3F) << 8 | p[7]
    if fragment:
        more = fragment >> 13
        first = (fragment & 0x1FFF) << 3
        # Inner fragments are whole units of 8 bytes, and the datagram ends below 64 KB.
        if first + total - header > 65535 - header or total == header:
            return _MALFORMED
        if more and (total - header) & 7:
            return _MALFORMED
        fragment = 1 | more << 1 | first << 2
    rec[_FRAGMENT] = fragment
    rec[_FAMILY] = 4
    rec[_PROTO] = p[9]
    rec[_LPORT] = 0
    rec[_RPORT] = 0
    rec[_LOCAL] = p[16] << 24 | p[17] << 16 | p[18] << 8 | p[19]
    rec[_REMOTE] = p[12] << 24 | p[13] << 16 | p[14] << 8 | p[15]
    i = 1
    while i < 4:
        rec[_LOCAL + i] = 0
        rec[_REMOTE + i] = 0
        i += 1
    rec[_HOPS] = p[8]
    rec[_TOS] = p[1]
    rec[_IDENT] = p[4] << 8 | p[5]
    rec[_DATA] = off + header
    rec[_END] = off + total
    return _OK


@micropython.viper
def emit(frame: ptr8, off: int, flow: ptr32, payload_len: int, ident: int, fragment: int):
    """Write the 20 bytes at `off` with their checksum: source flow[_LOCAL], destination
    flow[_REMOTE], _PROTO, _HOPS, _TOS; fragment: the flags and offset field as it is."""
    p = ptr8(int(frame) + off)
    total = payload_len + 20
    p[0] = 0x45
    p[1] = flow[_TOS]
    p[2] = total >> 8
    p[3] = total
    p[4] = ident >> 8
    p[5] = ident
    p[6] = fragment >> 8
    p[7] = fragment
    p[8] = flow[_HOPS]
    p[9] = flow[_PROTO]
    local = flow[_LOCAL]
    p[12] = local >> 24
    p[13] = local >> 16
    p[14] = local >> 8
    p[15] = local
    remote = flow[_REMOTE]
    p[16] = remote >> 24
    p[17] = remote >> 16
    p[18] = remote >> 8
    p[19] = remote
    s = 0x4500 + (flow[_TOS] & 0xFF) + (total & 0xFFFF) + (ident & 0xFFFF) + (fragment & 0xFFFF)
    s += (flow[_HOPS] & 0xFF) << 8 | flow[_PROTO] & 0xFF
    s += (local & 0xFFFF) + ((local >> 16) & 0xFFFF)
    s += (remote & 0xFFFF) + ((remote >> 16) & 0xFFFF)
    s = (s & 0xFFFF) + (s >> 16)
    s = ((s & 0xFFFF) + (s >> 16)) ^ 0xFFFF
    p[10] = s >> 8
    p[11] = s
