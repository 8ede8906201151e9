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


def receive_from(ring, buf) -> int:
    """Move the next frame of the ring to buf[0:n]. n > 0; 0: none; -1: dropped, it was longer
    than buf."""
    n = ring.peek_length()
    if n < 0:
        return 0
    if n > _len(buf):
        ring.discard()
        return -1
    return ring.pop_into(buf, 0, n)


class PacketQueue(Device):
    """medium, mtu, checksums: as a Device. frames: how many can wait in each direction.
    size: octets of either ring; None: room for `frames` frames of the largest kind.

    to_stack, from_stack: the two PacketRings, with len() and clear(). dropped: frames that were
    longer than the buffer they should have gone to. up: what link() says.
    """

    def __init__(self, medium=IP, mtu=1500, frames=8, size=None, checksums=0):
        super().__init__(medium, mtu, checksums)
        if size is None:
            size = frames * (mtu + 18)
        self.to_stack = PacketRing(bytearray(size), frames, 0)
        self.from_stack = PacketRing(bytearray(size), frames, 0)
        self.dropped = 0
        self.up = True

    # the program's side

    def inject(self, packet, start=0, end=None) -> bool:
        """Hand packet[start:end] to the stack. False: the queue is full, nothing was taken."""
        if end is None:
            end = _len(packet)
        if start >= end:
            return True  # 0 octets are no frame
        return self.to_stack.push(packet, start, end - start)

    def take_into(self, buf) -> int:
        """Move the next frame that the stack sent to buf[0:n]. 0: there is none.

        A frame that is longer than buf is dropped and counted.
        """
        while True:
            n = receive_from(self.from_stack, buf)
            if n >= 0:
                return n
            self.dropped += 1

    def take(self):
        """The next frame that the stack sent as bytes, or None."""
        n = self.from_stack.peek_length()
        if n < 0:
            return None
        frame = bytearray(n)
        self.from_stack.pop_into(frame, 0, n)
        return bytes(frame)

    # the stack's side

    def recv(self, buf) -> int:
        while True:
            n = receive_from(self.to_stack, buf)
            if n >= 0:
                return n
            self.dropped += 1

    def send(self, buf, start: int, end: int) -> bool:
        if start >= end:
            return True
        if end - start > self.from_stack.payload_capacity():
            self.dropped += 1
            return True
        return self.from_stack.push(buf, start, end - start)

    def link(self) -> bool:
        return self.up

    def wait(self, ms=None, spin=0) -> bool:
        """Nothing to wait for: the program itself is the other end."""
        return not self.to_stack.is_empty()
