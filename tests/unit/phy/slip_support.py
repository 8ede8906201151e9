"""A serial line for tests of Slip, and streams on its ends."""

from smolmp.phy.slip import Slip


class Line:
    """One direction of a serial line: a ring that takes what fits. Allocates nothing."""

    def __init__(self, size=8192):
        self.octets = bytearray(size)
        self.at = 0
        self.held = 0

    def put(self, data, at=0, n=-1):
        if n < 0:
            n = len(data) - at
        i = 0
        while i < n and self.held < len(self.octets):
            self.octets[(self.at + self.held) % len(self.octets)] = data[at + i]
            self.held += 1
            i += 1
        return i

    def take(self, buf, n):
        i = 0
        while i < n and self.held:
            buf[i] = self.octets[self.at]
            self.at = (self.at + 1) % len(self.octets)
            self.held -= 1
            i += 1
        return i

    def all(self):
        buf = bytearray(self.held)
        self.take(buf, len(buf))
        return bytes(buf)


class Uart:
    """A stream with any(), as machine.UART; `incoming` and `outgoing` are Lines."""

    def __init__(self, incoming=None, outgoing=None):
        self.incoming = incoming or Line()
        self.outgoing = outgoing or Line()
        self.fails = False

    def any(self):
        return self.incoming.held

    def readinto(self, buf, n=-1):
        if self.fails:
            raise OSError(5)
        return self.incoming.take(buf, len(buf) if n < 0 else n) or None

    def write(self, buf, at=0, n=-1):
        if self.fails:
            raise OSError(5)
        return self.outgoing.put(buf, at, n) or None


class Bare:
    """The same without any(), as a descriptor."""

    def __init__(self, uart):
        self.readinto = uart.readinto
        self.write = uart.write


def line(mtu=1006, chunk=256, size=8192):
    uart = Uart(Line(size), Line(size))
    return uart, Slip(uart, mtu, chunk)


def pair(mtu=1006, chunk=256, size=8192):
    one, other = Line(size), Line(size)
    return Slip(Uart(one, other), mtu, chunk), Slip(Bare(Uart(other, one)), mtu, chunk)
