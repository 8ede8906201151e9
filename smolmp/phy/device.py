"""Device: the contract between the stack and whatever carries its frames. Write a driver here.

A driver is a class with two methods, recv and send, and four facts about the link. The stack
calls it from its poll and from nowhere else, so a driver needs no locks; what an interrupt
does is the driver's business.

    from smolmp.phy.device import ETHERNET, Device

    class Mine(Device):
        def __init__(self, spi):
            super().__init__(ETHERNET, 1500)
            self.spi = spi
            self.dropped = 0

        def recv(self, buf):
            n = self.waiting()              # length of the next frame, 0: none
            if n > len(buf):
                self.skip(n)
                self.dropped += 1
                return 0
            if n:
                self.read(buf, n)           # straight into buf, nothing kept, nothing allocated
            return n

        def send(self, buf, start, end):
            if self.room() < end - start:
                return False                # the stack tries again at a later poll
            self.write(buf, start, end)
            return True

Rules that the stack relies on:
- Neither method blocks, allocates, or keeps a reference to buf after it returned.
- Neither changes buf elsewhere than recv in buf[0:n].
- A frame is whole or not there. One that is longer than buf, or was damaged, is dropped and
  counted by the driver, never cut.
- A device that lets only frames to its own address pass has that, 6 octets, as `mac`.
- Errors of the hardware are counters and a link that is down. An exception goes through poll
  to the program: only for what it must know, such as a device that was unplugged.
"""

from micropython import const

# The medium: what a frame is.
ETHERNET = const(1)  # an Ethernet II frame from the destination address on, without the FCS
IP = const(2)  # a bare IPv4 or IPv6 packet (TUN, PPP, tunnels, proxies)
IEEE802154 = const(3)  # an IEEE 802.15.4 frame, without the FCS

# Checksums that the device does already, so that the stack need not: received packets with a
# wrong one are dropped by the device (RX), or it writes the right one into what is sent (TX).
RX_IPV4 = const(1)
RX_UDP = const(2)
RX_TCP = const(4)
RX_ICMP = const(8)
TX_IPV4 = const(16)
TX_UDP = const(32)
TX_TCP = const(64)
TX_ICMP = const(128)


class Device:
    """medium: ETHERNET, IP or IEEE802154. mtu: the largest IP packet in octets (the 14 octets
    of an Ethernet header are not part of it). checksums: the bits above that are done here."""

    loopback = False  # True: what the stack sends comes back to it
    # The largest TCP/IPv4 packet in octets, beyond the mtu, that recv may bring, put together from
    # several that came, and that cut() takes apart. 0: neither.
    segments = 0
    fetch = None  # fetch(buf, ms): wait(ms), then recv(buf), in one, where a device has that

    def __init__(self, medium: int = ETHERNET, mtu: int = 1500, checksums: int = 0):
        self.medium = medium
        self.mtu = mtu
        self.checksums = checksums

    def recv(self, buf) -> int:
        """Put the next frame at buf[0:n] and return n, its length; 0 when there is none now.

        buf: bytearray or memoryview. The stack gives one in which the IP header comes to lie
        on an address divisible by 4 (for Ethernet buf itself lies on 2 modulo 4).
        """
        raise NotImplementedError

    def send(self, buf, start: int, end: int) -> bool:
        """Send the frame buf[start:end], 0 <= start < end <= len(buf).

        True: taken; the stack may overwrite buf at once. False: busy, nothing was taken, the
        stack will come again. A frame that can never be sent (too long, link down) is taken,
        dropped and counted, or the stack would come for ever.
        """
        raise NotImplementedError

    def cut(self, buf, start: int, end: int, size: int) -> bool:
        """Send the frame buf[start:end] as send() would, but as TCP segments of `size` octets of
        text each, the last of what is left. For devices with `segments`.

        It is a TCP segment behind an IPv4 header of 20 octets that says its whole length; where
        its checksum belongs stands the sum of the pseudo header, not inverted (RFC 9293 3.1).
        """
        raise NotImplementedError

    def plain(self):
        """From now on frames are as a wire has them: none larger than the mtu (segments 0), each
        with its checksums. Who changes frames says so before the stack is there."""

    def prepare(self, buf, start: int):
        """Nearly all that send() will get is buf[start:end]. The stack says so at set-up, leaves
        the buffer where it is, and a device may allocate what it needs to be quick with it."""

    def link(self) -> bool:
        """Is the other end there (cable, association, open descriptor)? Asked at every poll."""
        return True

    def join(self, mac: bytes):
        """Let frames to the group address `mac` pass, too: a device with a filter has to be told.
        Each group is joined once; what has no filter ignores it."""

    def leave(self, mac: bytes):
        """Frames to `mac` need not pass any more."""

    def wait(self, ms=None, spin=0) -> bool:
        """Sleep until a frame may be there (True) or ms milliseconds are over (False).

        ms None: as long as it takes. spin: microseconds to look again and again before going
        to sleep, for those who care about the time it takes to wake. For the program's main
        loop; the stack never calls it. A device that cannot wait says True: poll again.
        """
        return True

    def rouse(self):
        """From now on a frame that comes wakes the processor also where it sleeps elsewhere than
        in wait(): in select.poll or asyncio. For devices that have an interrupt and would not."""
