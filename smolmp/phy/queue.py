"""PacketQueue: a Device whose other end is the program. For tunnels, proxies and tests.

    queue = PacketQueue(IP, 1500)
    queue.inject(packet)                  # from anywhere, for the stack
    iface.poll(now, sockets)
    while True:                           # from the stack, for anywhere
        packet = queue.take()
        if packet is None:
            break
        tunnel.write(packet)

Packets lie in two rings made at set-up. inject, take_into and the Device methods allocate
nothing; take makes a new bytes object of each packet.
"""

from smolmp.phy.device import IP, Device
from smolmp.storage.packets import PacketRing

_len = len  # found faster than the builtin


class Rings(Device):
    """A device between two PacketRings: the stack receives from one and sends to the other.

    to_stack, from_stack: the rings, with len() and clear(). A full one is a busy device.
    dropped: frames that were longer than the buffer they should have gone to, or than the ring.
    """

    def __init__(self, to_stack, from_stack, medium, mtu, checksums):
        super().__init__(medium, mtu, checksums)
        self.to_stack = to_stack
        self.from_stack = from_stack
        self.dropped = 0

    def _receive(self, ring, buf) -> int:
        """Move the next frame of the ring to buf[0:n]; 0: there is none."""
        while True:
            n = ring.peek_length()
            if n < 0:
                return 0
            if n <= _len(buf):
                return ring.pop_into(buf, 0, n)
            ring.discard()
            self.dropped += 1

    def recv(self, buf) -> int:
        return self._receive(self.to_stack, buf)

    def send(self, buf, start: int, end: int) -> bool:
        if start >= end:
            return True  # 0 octets are no frame
        if end - start > self.from_stack.payload_capacity():
            self.dropped += 1
            return True
        return self.from_stack.push(buf, start, end - start)

    def wait(self, ms=None, spin=0) -> bool:
        """Nothing to wait for: the program itself is the other end."""
        return not self.to_stack.is_empty()


def new_ring(mtu: int, frames: int, size):
    """A ring for `frames` frames; size: its octets, None: as many as the largest frames take."""
    return PacketRing(bytearray(frames * (mtu + 18) if size is None else size), frames, 0)


class PacketQueue(Rings):
    """medium, mtu, checksums: as a Device. frames: how many can wait in each direction.
    size: octets of either ring; None: room for `frames` frames of the largest kind.

    up: what link() says.
    """

    def __init__(self, medium=IP, mtu=1500, frames=8, size=None, checksums=0):
        to_stack = new_ring(mtu, frames, size)
        super().__init__(to_stack, new_ring(mtu, frames, size), medium, mtu, checksums)
        self.up = True

    def inject(self, packet, start=0, end=None) -> bool:
        """Hand packet[start:end] to the stack. False: the queue is full, nothing was taken."""
        if end is None:
            end = _len(packet)
        if start >= end:
            return True
        return self.to_stack.push(packet, start, end - start)

    def take_into(self, buf) -> int:
        """Move the next frame that the stack sent to buf[0:n]. 0: there is none.

        A frame that is longer than buf is dropped and counted.
        """
        return self._receive(self.from_stack, buf)

    def take(self):
        """The next frame that the stack sent as bytes, or None."""
        n = self.from_stack.peek_length()
        if n < 0:
            return None
        frame = bytearray(n)
        self.from_stack.pop_into(frame, 0, n)
        return bytes(frame)

    def link(self) -> bool:
        return self.up
