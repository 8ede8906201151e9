"""RACK: loss by time (RFC 8985), and what a timeout says, on the ranges of the scoreboard."""

import micropython
from micropython import const

_REO = const(48)  # see scoreboard.py
_REO_STEPS = const(15)
_REO_SEEN = const(512)
_B_COUNT = const(63)
_B_RACK_AT = const(74)  # when the segment was sent that was delivered, of those the last sent one
_B_RACK_END = const(75)  # its end
_B_RACK_RTT = const(77)  # how long it took
_B_FACK = const(78)  # the highest position SACKed
_B_SACKED = const(85)  # octets SACKed (without SACK: that duplicate ACKs tell of)
_SACKED = const(1)
_LOST = const(2)
_RETRANSMITTED = const(4)
_MSS_OUT = const(29)
_SRTT = const(42)
_RECOVER = const(49)
_MIN_RTT = const(73)
_HOLES = const(98)
_RANGES = const(100)
_WRAP = const(0x3FFFFFFF)
_HALF = const(0x20000000)


@micropython.viper
def detect(block, now: int) -> int:
    """RACK: mark what must be lost (RFC 8985 6.2, steps 4 and 5).

    That is what was sent before something that was delivered, by more than the reordering window.
    Returns the ms until the next range is to be judged, 0 when none waits, -1 when some were lost.
    """
    w = ptr32(block)
    window = 0
    i = _RANGES + (w[_HOLES] << 1)
    stop = i + w[_B_COUNT] * 3
    # Three segments SACKed, or as many ranges, are enough where nothing is known to be reordered.
    enough = 0
    if w[_B_SACKED] > w[_MSS_OUT] << 1:
        enough = 3
    while i < stop:
        enough += w[i + 2] & _SACKED
        i += 3
    if w[_REO] & _REO_SEEN or (w[_RECOVER] == 0 and enough < 3):
        window = (w[_MIN_RTT] * ((w[_REO] & _REO_STEPS) + 1)) >> 2
        if window > (w[_SRTT] >> 3):
            window = w[_SRTT] >> 3
        if window == 0:
            window = 1
    wait = 0
    lost = 0
    i = _RANGES + (w[_HOLES] << 1)
    stop = i + w[_B_COUNT] * 3
    while i < stop:
        state = w[i + 2]
        if not (state & (_SACKED | _LOST)):
            older = (w[_B_RACK_AT] - w[i + 1]) & _WRAP
            if older < _HALF and (older != 0 or w[i] < w[_B_RACK_END]):
                left = w[_B_RACK_RTT] + window - ((now - w[i + 1]) & _WRAP)
                if left <= 0:
                    w[i + 2] = state | _LOST
                    lost = 1
                elif left > wait:
                    wait = left
        i += 3
    if lost:
        return 0 - 1
    return wait


@micropython.viper
def lose_all(block, everything: int):
    """A timeout: what was not SACKed is lost (RFC 6675 5.1). `everything`: the rest is, too.

    A peer that SACKed the octet at SND.UNA without acknowledging it has dropped it: nothing that
    it SACKed can be trusted (RFC 2018 8).
    """
    w = ptr32(block)
    i = _RANGES + (w[_HOLES] << 1)
    stop = i + w[_B_COUNT] * 3
    if i < stop and w[i + 2] & _SACKED:
        everything = 1
    while i < stop:
        if everything or not (w[i + 2] & _SACKED):
            w[i + 2] = _LOST
        i += 3
    if everything:
        w[_B_FACK] = 0


@micropython.viper
def lose_none(block):
    """The timeout was no loss: what was not sent again is in flight as before."""
    w = ptr32(block)
    i = _RANGES + (w[_HOLES] << 1)
    stop = i + w[_B_COUNT] * 3
    while i < stop:
        w[i + 2] = w[i + 2] & (_SACKED | _RETRANSMITTED)
        i += 3
