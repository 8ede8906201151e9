"""What a connection did: octets both ways, and what the sender believes.

Octets cost nothing while nobody asks: they are the distances of SND.UNA and RCV.NXT from where the
stream began. Beyond 2**32 somebody has to notice the laps: half laps are counted, whenever the top
bit of the distance is not what the count's last bit says, by kernels that move the two anyway; the
express lane, which does not, is looked after once a second.
"""

import micropython
from micropython import const

_SND_UNA = const(15)
_RCV_NXT = const(16)
_OUT_BASE = const(81)
_IN_BASE = const(82)
_LAPS = const(83)  # half laps of SND.UNA, 15 bits, and above them those of RCV.NXT


@micropython.viper
def begin(block):
    """The connection is open: no octet has been sent or received."""
    w = ptr32(block)
    w[_OUT_BASE] = w[_SND_UNA]
    w[_IN_BASE] = w[_RCV_NXT]
    w[_LAPS] = 0


@micropython.viper
def lap(block):
    """Notice that RCV.NXT went half round."""
    w = ptr32(block)
    if (((w[_RCV_NXT] - w[_IN_BASE]) >> 31) ^ (w[_LAPS] >> 15)) & 1:
        w[_LAPS] = (w[_LAPS] + 0x8000) & 0x3FFFFFFF
