"""ARP for IPv4 over Ethernet: RFC 826.

0 hardware type 1      2 protocol type 0x0800   4 lengths 6, 4   6 operation 1 or 2
8 sender MAC          14 sender IPv4           18 target MAC    24 target IPv4   28
"""

import micropython
from micropython import const

REQUEST = const(1)
REPLY = const(2)
LENGTH = const(28)

_FAMILY = const(0)
_PROTO = const(1)
_LPORT = const(2)
_RPORT = const(3)
_LOCAL = const(4)
_REMOTE = const(8)
_OPERATION = const(47)

_OK = const(0)
_TRUNCATED = const(-1)
_MALFORMED = const(-2)
_UNSUPPORTED = const(-4)


@micropython.viper
def parse(frame: ptr8, off: int, end: int, rec: ptr32) -> int:
    """Parse the ARP packet in frame[off:end]; a result code.

    Sets the flow (_REMOTE the sender's address, _LOCAL the target's; ports and protocol 0)
    and _OPERATION. The sender's MAC stays at off + 8.
    _MALFORMED: the sender is a group, by MAC or by IPv4 address (0.0.0.0 is a probe, RFC 5227).
    """
    if end - off < 28:
        return _TRUNCATED
    p = ptr8(int(frame) + off)
    if p[0] != 0 or p[1] != 1 or p[2] != 8 or p[3] != 0 or p[4] != 6 or p[5] != 4:
        return _UNSUPPORTED
    operation = p[6] << 8 | p[7]
    if operation != 1 and operation != 2:
        return _UNSUPPORTED
    if p[8] & 1:
        return _MALFORMED
    if p[14] & 0xF0 == 0xE0 or p[14] & p[15] & p[16] & p[17] == 0xFF:
        return _MALFORMED
    rec[_OPERATION] = operation
    rec[_FAMILY] = 4
    rec[_PROTO] = 0
    rec[_LPORT] = 0
    rec[_RPORT] = 0
    rec[_REMOTE] = p[14] << 24 | p[15] << 16 | p[16] << 8 | p[17]
    rec[_LOCAL] = p[24] << 24 | p[25] << 16 | p[26] << 8 | p[27]
    i = 1
    while i < 4:
        rec[_LOCAL + i] = 0
        rec[_REMOTE + i] = 0
        i += 1
    return _OK


@micropython.viper
def emit(frame: ptr8, off: int, operation: int, sender: ptr8, flow: ptr32, target: ptr8):
    """Write the 28 bytes at `off`: sender and target MAC of 6 bytes each (zeros if not known),
    sender's address flow[_LOCAL], target's flow[_REMOTE]."""
    p = ptr8(int(frame) + off)
    p[0] = 0
    p[1] = 1
    p[2] = 8
    p[3] = 0
    p[4] = 6
    p[5] = 4
    p[6] = operation >> 8
    p[7] = operation
    i = 0
    while i < 6:
        p[i + 8] = sender[i]
        p[i + 18] = target[i]
        i += 1
    w = flow[_LOCAL]
    p[14] = w >> 24
    p[15] = w >> 16
    p[16] = w >> 8
    p[17] = w
    w = flow[_REMOTE]
    p[24] = w >> 24
    p[25] = w >> 16
    p[26] = w >> 8
    p[27] = w
