"""Numbers that a stranger shall not guess: initial sequence numbers (RFC 6528), ephemeral ports
(RFC 6056, algorithm 3). Both are a keyed hash of the connection's ends plus something that moves
on, so that one connection's tell nothing of another's, and the same ends never meet an old one's.

`secret` is the interface's: a key of two words, the hash's state and result (5 words), a clock
(2 words), and how far sequence numbers are ahead of it.
"""

import micropython
from micropython import const

from smolmp.siphash import halfsiphash

_LPORT = const(2)
_REMOTE_END = const(12)
_SND_UNA = const(15)
_SND_MAX = const(18)
_TS_CLOCK = const(34)
_HASH = const(6)
_CLOCK = const(7)  # ms since construction, modulo 2**32
_CLOCK_AT = const(8)
_AHEAD = const(9)  # ms
_TICKS_A_MS = const(250)  # RFC 9293 3.4.1: the sequence clock's tick is 4 us


@micropython.viper
def _advance(secret: ptr32, now: int):
    # `now` is modulo 2**30; the clock goes on to 2**32, where 250 ticks a ms leave no jump.
    secret[_CLOCK] = secret[_CLOCK] + ((now - secret[_CLOCK_AT]) & 0x3FFFFFFF)
    secret[_CLOCK_AT] = now


@micropython.viper
def _choose(secret: ptr32, block: ptr32):
    block[_SND_UNA] = secret[_HASH] + (secret[_CLOCK] + secret[_AHEAD]) * _TICKS_A_MS
    # Another hash than the ISN's, or each would tell the other (RFC 7323 5.4, 7.1).
    v = secret[_HASH]
    block[_TS_CLOCK] = secret[_CLOCK] + (((v >> 7) & 0x1FFFFFF) ^ (v << 13) ^ secret[2])


def choose(iface, w):
    """SND.UNA <- ISS = M + F(local, remote, secret) (RFC 6528 3); a timestamp clock likewise."""
    secret = iface.secret
    _advance(secret, iface.now)
    halfsiphash(secret, w, _LPORT, _REMOTE_END)
    _choose(secret, w)


@micropython.viper
def _slow(secret: ptr32) -> int:
    return (secret[_CLOCK] >> 16) & 0xFFFF


def slow_clock(iface) -> int:
    """Counts every 2**16 ms, modulo 2**16."""
    _advance(iface.secret, iface.now)
    return _slow(iface.secret)


@micropython.viper
def _outrun(secret: ptr32, block: ptr32):
    d = block[_SND_UNA] + block[_SND_MAX] - secret[_HASH]
    d -= (secret[_CLOCK] + secret[_AHEAD]) * _TICKS_A_MS
    if (d >> 31) & 1 == 0:
        # In two pieces: the distance may have 31 bits.
        ms = (d & 0x3FFFFFFF) // _TICKS_A_MS + 1
        if (d >> 30) & 1:
            ms += 0x40000000 // _TICKS_A_MS + 1
        secret[_AHEAD] = secret[_AHEAD] + ms


def outrun(iface, w):
    """See to it that the next ISS of these ends is beyond SND.NXT.

    A connection that sent more than 250 KB a second was faster than the clock; one that follows
    it shall begin above (RFC 1122 4.2.2.13, RFC 6191 2).
    """
    secret = iface.secret
    _advance(secret, iface.now)
    halfsiphash(secret, w, _LPORT, _REMOTE_END)
    _outrun(secret, w)
