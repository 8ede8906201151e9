"""The TCP header: RFC 9293 3.1; options RFC 7323 (scale, timestamps), 2018 (SACK), 5482 (timeout).

     0 source port    2 destination port    4 sequence number    8 acknowledgment number
    12 header length (high 4 bits)         13 flags             14 window
    16 checksum      18 urgent pointer     20 options ...

Flags: FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128.
Bits of _OPTIONS: MSS 1, scale 2, SACK permitted 4, SACK 8, timestamps 16, user timeout 32.
"""

import micropython
from micropython import const

from .checksum import checksum, pseudo

_FAMILY = const(0)
_LPORT = const(2)
_RPORT = const(3)
_PAYLOAD = const(23)
_LENGTH = const(24)
_SEQ = const(25)
_ACK = const(26)
_CONTROL = const(27)
_WINDOW = const(28)
_OPTIONS = const(29)
_MSS = const(30)
_SCALE = const(31)
_TSVAL = const(32)
_TSECR = const(33)
_SACKS = const(34)
_SACK = const(35)
_USER_TIMEOUT = const(53)

_OK = const(0)
_TRUNCATED = const(-1)
_MALFORMED = const(-2)
_BAD_CHECKSUM = const(-3)


@micropython.viper
def parse(frame, off: int, end: int, record, verify: int) -> int:
    """Parse the segment in frame[off:end], options included; a result code.

    record: has the addresses already. verify: 1 to check the checksum. Sets the ports, _SEQ,
    _ACK, _CONTROL, _WINDOW, _OPTIONS and the words it announces, _SACKS, _PAYLOAD, _LENGTH.
    _MALFORMED: a port of 0, an option that does not fit, or flags that no TCP sends together
    (two of SYN, FIN, RST; FIN without ACK). The window scale is at most 14 (RFC 7323 2.3).
    """
    n = end - off
    if n < 20:
        return _TRUNCATED
    p = ptr8(int(ptr8(frame)) + off)
    rec = ptr32(record)
    header = (p[12] >> 4) << 2
    if header < 20:
        return _MALFORMED
    if header > n:
        return _TRUNCATED
    flags = p[13]
    kind = flags & 7  # FIN, SYN, RST: at most one
    if kind & (kind - 1) or flags & 17 == 1:
        return _MALFORMED
    rport = p[0] << 8 | p[1]
    lport = p[2] << 8 | p[3]
    if rport == 0 or lport == 0:
        return _MALFORMED
    rec[_RPORT] = rport
    rec[_LPORT] = lport
    rec[_SEQ] = p[4] << 24 | p[5] << 16 | p[6] << 8 | p[7]
    rec[_ACK] = p[8] << 24 | p[9] << 16 | p[10] << 8 | p[11]
    rec[_CONTROL] = flags
    rec[_WINDOW] = p[14] << 8 | p[15]
    rec[_PAYLOAD] = off + header
    rec[_LENGTH] = n - header
    rec[_SACKS] = 0
    seen = 0
    i = 20
    while i < header:
        kind = p[i]
        if kind == 1:  # no operation
            i += 1
        elif kind == 0:  # end of list
            i = header
        else:
            # The length byte and what it counts must lie in the header.
            if i + 1 >= header:
                return _MALFORMED
            size = p[i + 1]
            if size < 2 or i + size > header:
                return _MALFORMED
            if kind == 8:
                if size != 10:
                    return _MALFORMED
                rec[_TSVAL] = p[i + 2] << 24 | p[i + 3] << 16 | p[i + 4] << 8 | p[i + 5]
                rec[_TSECR] = p[i + 6] << 24 | p[i + 7] << 16 | p[i + 8] << 8 | p[i + 9]
                seen |= 16
            elif kind == 5:
                # 1 to 4 blocks; 40 bytes of options have no room for more
                if size < 10 or size & 7 != 2:
                    return _MALFORMED
                rec[_SACKS] = size >> 3
                seen |= 8
                at = 0
                while at < size >> 2:
                    b = i + 2 + (at << 2)
                    rec[_SACK + at] = p[b] << 24 | p[b + 1] << 16 | p[b + 2] << 8 | p[b + 3]
                    at += 1
            elif kind == 2:
                if size != 4:
                    return _MALFORMED
                rec[_MSS] = p[i + 2] << 8 | p[i + 3]
                seen |= 1
            elif kind == 3:
                if size != 3:
                    return _MALFORMED
                scale = p[i + 2]
                if scale > 14:
                    scale = 14
                rec[_SCALE] = scale
                seen |= 2
            elif kind == 4:
                if size != 2:
                    return _MALFORMED
                seen |= 4
            elif kind == 28 and size == 4:  # of another length it is ignored (RFC 5482 3)
                rec[_USER_TIMEOUT] = p[i + 2] << 8 | p[i + 3]
                seen |= 32
            i += size
    rec[_OPTIONS] = seen
    if verify and int(checksum(frame, off, end, int(pseudo(record, n)))) != 0xFFFF:
        return _BAD_CHECKSUM
    return _OK


def header_len(options: int, sacks: int) -> int:
    """Bytes of a header with these `options` (bits as in _OPTIONS) and `sacks` SACK blocks.

    A multiple of 4; above 60 they do not fit together.
    """
    n = 20
    if options & 1:
        n += 4
    if options & 2:
        n += 3
    if options & 4:
        n += 2
    if options & 16:
        n += 10
    if options & 32:
        n += 4
    if options & 8:
        n += 2 + 8 * sacks
    return n + 3 & ~3


@micropython.viper
def _emit(frame: ptr8, off: int, rec: ptr32, options: int, header: int):
    p = ptr8(int(frame) + off)
    p[0] = rec[_LPORT] >> 8
    p[1] = rec[_LPORT]
    p[2] = rec[_RPORT] >> 8
    p[3] = rec[_RPORT]
    w = rec[_SEQ]
    p[4] = w >> 24
    p[5] = w >> 16
    p[6] = w >> 8
    p[7] = w
    w = rec[_ACK]
    p[8] = w >> 24
    p[9] = w >> 16
    p[10] = w >> 8
    p[11] = w
    p[12] = header << 2
    p[13] = rec[_CONTROL]
    p[14] = rec[_WINDOW] >> 8
    p[15] = rec[_WINDOW]
    i = 16
    while i < header:
        p[i] = 0
        i += 1
    i = 20
    if options & 1:
        p[i] = 2
        p[i + 1] = 4
        p[i + 2] = rec[_MSS] >> 8
        p[i + 3] = rec[_MSS]
        i += 4
    if options & 2:
        p[i] = 3
        p[i + 1] = 3
        p[i + 2] = rec[_SCALE]
        i += 3
    if options & 4:
        p[i] = 4
        p[i + 1] = 2
        i += 2
    if options & 16:
        p[i] = 8
        p[i + 1] = 10
        i += 2
        at = _TSVAL
        while at <= _TSECR:
            w = rec[at]
            p[i] = w >> 24
            p[i + 1] = w >> 16
            p[i + 2] = w >> 8
            p[i + 3] = w
            i += 4
            at += 1
    if options & 32:
        p[i] = 28
        p[i + 1] = 4
        p[i + 2] = rec[_USER_TIMEOUT] >> 8
        p[i + 3] = rec[_USER_TIMEOUT]
        i += 4
    if options & 8:
        count = rec[_SACKS] << 1
        p[i] = 5
        p[i + 1] = 2 + (count << 2)
        i += 2
        at = 0
        while at < count:
            w = rec[_SACK + at]
            p[i] = w >> 24
            p[i + 1] = w >> 16
            p[i + 2] = w >> 8
            p[i + 3] = w
            i += 4
            at += 1


def emit(frame, off: int, rec, options: int, end: int) -> int:
    """Write the header of the segment frame[off:end]; its length, or a result code.

    For tools and tests: the stack has faster kernels for its own segments. The payload is
    already there, at off + header_len(options, rec[_SACKS]). The fields and addresses come
    from rec (_LPORT is the source); options: bits as in _OPTIONS, written in the order MSS,
    scale, SACK permitted, timestamps, user timeout, SACK, padded with zeros. _MALFORMED: more than
    40 bytes of options, or SACK without 1..4 blocks. _TRUNCATED: frame[off:end] is too short.
    """
    sacks = rec[_SACKS]
    if options & 8 and not 1 <= sacks <= 4:
        return _MALFORMED
    header = header_len(options, sacks)
    if header > 60:
        return _MALFORMED
    if off < 0 or end > len(frame) or end - off < header:
        return _TRUNCATED
    _emit(frame, off, rec, options, header)
    total = checksum(frame, off, end, pseudo(rec, end - off)) ^ 0xFFFF
    frame[off + 16] = total >> 8
    frame[off + 17] = total & 255
    return header
