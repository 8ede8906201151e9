"""RACK: loss by time (RFC 8985), and what a timeout says, on the ranges of the scoreboard."""

import micropython
from micropython import const

_B_COUNT = const(1)
_B_RACK_AT = const(2)  # when the segment was sent that was delivered, of those the last sent one
_B_RACK_END = const(3)  # its end
_B_RACK_RTT = const(4)  # how long it took
_B_REO_STEPS = const(5)  # reordering window in quarters of the least round trip, less one
_B_REORDERED = const(6)  # 1: the path was seen to reorder
_B_FACK = const(7)  # the highest position SACKed
_B_SACKED = const(8)  # octets SACKed (without SACK: that duplicate ACKs tell of)
_B_RANGES = const(20)  # SACKed ranges
_B_SIZE = const(24)
_SACKED = const(1)
_LOST = const(2)
_RETRANSMITTED = const(4)
_MSS_OUT = const(29)
_SRTT = const(42)
_RECOVER = const(49)
_MIN_RTT = const(73)
_WRAP = const(0x3FFFFFFF)
_HALF = const(0x20000000)


@micropython.viper
def detect(block, board, now: int) -> int:
    """RACK: mark what must be lost (RFC 8985 6.2, steps 4 and 5).

    That is what was sent before something that was delivered, by more than the reordering window.
    Returns the ms until the next range is to be judged, 0 when none waits, -1 when some were lost.
    """
    w = ptr32(block)
    b = ptr32(board)
    window = 0
    enough = 0
    if b[_B_SACKED] > w[_MSS_OUT] << 1 or b[_B_RANGES] >= 3:
        enough = 1
    if b[_B_REORDERED] or (w[_RECOVER] == 0 and enough == 0):
        window = (w[_MIN_RTT] * (b[_B_REO_STEPS] + 1)) >> 2
        if window > (w[_SRTT] >> 3):
            window = w[_SRTT] >> 3
        if window == 0:
            window = 1
    wait = 0
    lost = 0
    stop = _B_SIZE + b[_B_COUNT] * 3
    i = _B_SIZE
    while i < stop:
        state = b[i + 2]
        if not (state & (_SACKED | _LOST)):
            older = (b[_B_RACK_AT] - b[i + 1]) & _WRAP
            if older < _HALF and (older != 0 or b[i] < b[_B_RACK_END]):
                left = b[_B_RACK_RTT] + window - ((now - b[i + 1]) & _WRAP)
                if left <= 0:
                    b[i + 2] = state | _LOST
                    lost = 1
                elif left > wait:
                    wait = left
        i += 3
    if lost:
        return 0 - 1
    return wait


@micropython.viper
def lose_all(board, everything: int):
    """A timeout: what was not SACKed is lost (RFC 6675 5.1). `everything`: the rest is, too.

    A peer that SACKed the octet at SND.UNA without acknowledging it has dropped it: nothing that
    it SACKed can be trusted (RFC 2018 8).
    """
    b = ptr32(board)
    stop = _B_SIZE + b[_B_COUNT] * 3
    i = _B_SIZE
    if i < stop and b[i + 2] & _SACKED:
        everything = 1
    while i < stop:
        if everything or not (b[i + 2] & _SACKED):
            b[i + 2] = _LOST
        i += 3
    if everything:
        b[_B_FACK] = 0


@micropython.viper
def lose_none(board):
    """The timeout was no loss: what was not sent again is in flight as before."""
    b = ptr32(board)
    stop = _B_SIZE + b[_B_COUNT] * 3
    i = _B_SIZE
    while i < stop:
        b[i + 2] = b[i + 2] & (_SACKED | _RETRANSMITTED)
        i += 3
