"""Loopback: a Device that receives what it sends."""

from smolmp.phy.device import ETHERNET, Device
from smolmp.phy.queue import receive_from
from smolmp.storage.packets import PacketRing


class Loopback(Device):
    """medium, mtu, checksums: as a Device (checksums=255: none is made and none is looked at).
    frames: how many can wait; size: octets for them, None: room for `frames` of the largest.

    A full Loopback is busy. dropped: frames longer than the receiver's buffer or the ring.
    """

    def __init__(self, medium=ETHERNET, mtu=1500, frames=8, size=None, checksums=0):
        super().__init__(medium, mtu, checksums)
        if size is None:
            size = frames * (mtu + 18)
        self.ring = PacketRing(bytearray(size), frames, 0)
        self.dropped = 0

    def recv(self, buf) -> int:
        while True:
            n = receive_from(self.ring, buf)
            if n >= 0:
                return n
            self.dropped += 1

    def send(self, buf, start: int, end: int) -> bool:
        if start >= end:
            return True
        if end - start > self.ring.payload_capacity():
            self.dropped += 1
            return True
        return self.ring.push(buf, start, end - start)

    def wait(self, ms=None, spin=0) -> bool:
        return not self.ring.is_empty()
