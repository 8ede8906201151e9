"""Loopback: a Device that receives what it sends."""

from smolmp.phy.device import ETHERNET
from smolmp.phy.queue import Rings, new_ring


class Loopback(Rings):
    """medium, mtu, checksums: as a Device (checksums=255: none is made and none is looked at).
    frames: how many can wait; size: octets for them, None: room for `frames` of the largest.

    A full Loopback is busy. dropped: frames longer than the receiver's buffer or the ring.
    """

    loopback = True

    def __init__(self, medium=ETHERNET, mtu=1500, frames=8, size=None, checksums=0):
        ring = new_ring(mtu, frames, size)
        super().__init__(ring, ring, medium, mtu, checksums)
