"""Ethernet II frames: RFC 894, IEEE 802.3 clause 3.

     0                6                12       14
    +----------------+----------------+--------+-----------
    | destination    | source         | type   | payload ...
    +----------------+----------------+--------+-----------

A type below 0x600 is an 802.3 length: LLC is not spoken here. No FCS: the device checks it.
"""

import micropython
from micropython import const

IPV4 = const(0x0800)
ARP = const(0x0806)
IPV6 = const(0x86DD)
BROADCAST = b"\xff\xff\xff\xff\xff\xff"

_ETHERNET_HEADER = const(14)

_ETHERTYPE = const(14)
_CAST = const(15)
_LINK = const(16)
_NET = const(17)
_END = const(19)

_OK = const(0)
_TRUNCATED = const(-1)
_MALFORMED = const(-2)
_UNSUPPORTED = const(-4)
_NOT_US = const(-5)


@micropython.viper
def parse(frame: ptr8, off: int, end: int, rec: ptr32, mac: ptr8) -> int:
    """Parse the header of frame[off:end]; a result code.

    mac: our 6 bytes. Sets _LINK, _ETHERTYPE, _CAST, _NET and _END. _UNSUPPORTED: an 802.3
    length instead of a type. _MALFORMED: the source is a group address (802.3 3.2.3).
    """
    if end - off < _ETHERNET_HEADER:
        return _TRUNCATED
    p = ptr8(int(frame) + off)
    rec[_LINK] = off
    rec[_NET] = off + _ETHERNET_HEADER
    rec[_END] = end
    ethertype = p[12] << 8 | p[13]
    rec[_ETHERTYPE] = ethertype
    if p[0] & 1:
        if p[0] & p[1] & p[2] & p[3] & p[4] & p[5] == 0xFF:
            rec[_CAST] = 1
        else:
            rec[_CAST] = 2
    else:
        i = 0
        while i < 6:
            if p[i] != mac[i]:
                return _NOT_US
            i += 1
        rec[_CAST] = 0
    if p[6] & 1:
        return _MALFORMED
    if ethertype < 0x600:
        return _UNSUPPORTED
    return _OK


@micropython.viper
def emit(frame: ptr8, off: int, dst: ptr8, doff: int, src: ptr8, ethertype: int):
    """Write the 14 bytes at `off`: destination dst[doff:doff + 6], source src[0:6]."""
    p = ptr8(int(frame) + off)
    d = ptr8(int(dst) + doff)
    i = 0
    while i < 6:
        p[i] = d[i]
        p[i + 6] = src[i]
        i += 1
    p[12] = ethertype >> 8
    p[13] = ethertype
