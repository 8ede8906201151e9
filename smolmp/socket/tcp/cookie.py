"""SYN cookies (RFC 4987 3.6, Bernstein): the half-open connection that nobody remembers.

When no record is free, the SYN+ACK's sequence number says what one would: ISS = F + IRS +
(count << 24) + (G + i mod 2**24). F is a keyed hash of the connection's ends, G one of the ends,
the count and IRS; the count moves on every 65.5 s; i is an entry of a table of MSS. The ACK brings
it back. It is believed while the count is at most one further on, so that one of 2**28 forged ACKs
gets through. With timestamps the 6 low bits of our TSval say the rest, as Linux does it: window
scale (15: none), SACK << 4, ECN << 5. Without, there are no options but MSS.

`block` is the beginning of a control block: flow, SND.UNA, RCV.NXT, timestamps, MSS, scale, flags.
"""

import micropython
from micropython import const

from smolmp.siphash import halfsiphash
from smolmp.socket.tcp.numbers import choose, slow_clock

_LPORT = const(2)
_HOPS = const(12)
_SEQ = const(25)
_ACK = const(26)
_OPTIONS = const(29)
_TSVAL = const(32)
_TSECR = const(33)

_SND_UNA = const(15)
_RCV_NXT = const(16)
_MSS_OUT = const(29)
_SCALES = const(30)
_FLAGS = const(32)
_TS_RECENT = const(33)
_TS_CLOCK = const(34)
_HASH = const(6)
_COOKIE_COUNT = const(12)  # words of the block that are free meanwhile
_COOKIE_IRS = const(13)
_COOKIE_F = const(35)
_COOKIE_LIFE = const(2)  # counts

_FLAG_SACK = const(2)
_FLAG_TIMESTAMPS = const(4)
_FLAG_SCALE = const(512)
_FLAG_ECN = const(1 << 19)
_OPT_TIMESTAMPS = const(16)

_NO_SCALE = const(15)
_STAMP_SACK = const(16)
_STAMP_ECN = const(32)
_SIZES = (48, 256, 536, 1220, 1360, 1400, 1440, 1460)


@micropython.viper
def _keep(secret: ptr32, block: ptr32, count: int):
    """F was hashed; make the words ready for G."""
    block[_COOKIE_F] = secret[_HASH]
    block[_COOKIE_COUNT] = count
    block[_COOKIE_IRS] = block[_RCV_NXT] - 1


@micropython.viper
def _bake(secret: ptr32, block: ptr32, count: int, i: int):
    v = block[_COOKIE_F] + block[_COOKIE_IRS] + (count << 24)
    block[_SND_UNA] = v + ((secret[_HASH] + i) & 0xFFFFFF)


@micropython.viper
def _age(secret: ptr32, block: ptr32, count: int) -> int:
    """How many counts ago the cookie in SND.UNA was made, if it is one; 0..255."""
    v = block[_SND_UNA] - secret[_HASH] - (block[_RCV_NXT] - 1)
    return (count - (v >> 24)) & 0xFF


@micropython.viper
def _taste(secret: ptr32, block: ptr32) -> int:
    """The entry that the cookie in SND.UNA tells; far beyond the table when it is none."""
    v = block[_SND_UNA] - block[_COOKIE_F] - block[_COOKIE_IRS]
    return (v - secret[_HASH]) & 0xFFFFFF


@micropython.viper
def _stamp(block: ptr32, bits: int):
    """Put `bits` into the clock's low 6, never into the future."""
    now = block[_TS_CLOCK]
    v = ((now >> 6) << 6) | bits
    if ((now - v) >> 31) & 1:
        v -= 64
    block[_TS_CLOCK] = v


@micropython.viper
def _read_stamp(record: ptr32, block: ptr32) -> int:
    """The bits in TSecr; -1 unless our clock showed that within a cookie's life."""
    d = block[_TS_CLOCK] - record[_TSECR]
    # Within 0..2**18 - 1, whatever the word size: all bits from 18 to 31 are 0.
    if (d >> 18) & 0x3FFF:
        return -1
    return record[_TSECR] & 0x3F


@micropython.viper
def _ends(record: ptr32, block: ptr32):
    """SND.UNA and RCV.NXT as the ACK that ends a handshake tells them."""
    block[_SND_UNA] = record[_ACK] - 1
    block[_RCV_NXT] = record[_SEQ]
    block[_TS_RECENT] = record[_TSVAL]


def make(iface, block):
    """Answer the SYN that `block` describes (flow, RCV.NXT, MSS, scale, flags; SND.UNA and the
    clock by numbers.choose): its SND.UNA becomes the cookie, and its flags what a cookie can keep.
    """
    secret = iface.secret
    count = slow_clock(iface)
    hops = block[_HOPS]
    block[_HOPS] = 0
    halfsiphash(secret, block, _LPORT, _COOKIE_COUNT + 1)
    _keep(secret, block, count)
    halfsiphash(secret, block, _LPORT, _COOKIE_IRS + 1)
    i = len(_SIZES) - 1
    while i and _SIZES[i] > block[_MSS_OUT]:
        i -= 1
    _bake(secret, block, count, i)
    block[_HOPS] = hops
    block[_HOPS + 1] = 0
    flags = block[_FLAGS]
    if flags & _FLAG_TIMESTAMPS:
        bits = block[_SCALES] if flags & _FLAG_SCALE else _NO_SCALE
        if flags & _FLAG_SACK:
            bits |= _STAMP_SACK
        if flags & _FLAG_ECN:
            bits |= _STAMP_ECN
        _stamp(block, bits)
    else:
        block[_FLAGS] = flags & ~(_FLAG_SACK | _FLAG_SCALE | _FLAG_ECN)


def check(iface, block, timestamps):
    """Does the ACK in iface.rec bring a cookie back? Then `block`, whose flow is the segment's,
    gets what it tells, like from a half-open connection. `timestamps`: we speak them."""
    secret = iface.secret
    record = iface.rec
    count = slow_clock(iface)
    hops = block[_HOPS]
    _ends(record, block)
    block[_HOPS] = 0
    halfsiphash(secret, block, _LPORT, _COOKIE_COUNT + 1)
    age = _age(secret, block, count)
    i = len(_SIZES)
    if age < _COOKIE_LIFE:
        _keep(secret, block, (count - age) & 0xFFFF)
        halfsiphash(secret, block, _LPORT, _COOKIE_IRS + 1)
        i = _taste(secret, block)
    block[_HOPS] = hops
    block[_HOPS + 1] = 0
    if i >= len(_SIZES):
        return False
    flags = 0
    block[_SCALES] = 0
    block[_MSS_OUT] = _SIZES[i]
    if timestamps and record[_OPTIONS] & _OPT_TIMESTAMPS:
        choose(iface, block)  # the clock
        bits = _read_stamp(record, block)
        if bits < 0:
            return False
        _ends(record, block)
        flags = _FLAG_TIMESTAMPS
        if bits & _STAMP_SACK:
            flags |= _FLAG_SACK
        if bits & _STAMP_ECN:
            flags |= _FLAG_ECN
        bits &= _NO_SCALE
        if bits != _NO_SCALE:
            flags |= _FLAG_SCALE
            block[_SCALES] = bits
        block[_MSS_OUT] -= 12
    block[_FLAGS] = flags
    return True
