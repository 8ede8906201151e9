# Slip.wait() on a stream that MicroPython's select can poll; CPython's polls descriptors only.
# targets: unix64 unix32 unix64-wheel rp2
import io

from phy_support import receive
from slip_support import Line, Uart

from smolmp.phy.slip import Slip


class Polled(io.IOBase):
    """A MicroPython stream that says what can be done with it."""

    def __init__(self, uart):
        self.uart = uart
        self.state = 0

    def ioctl(self, request, argument):
        if request != 3:  # MP_STREAM_POLL
            return -22  # or 0 would be its descriptor
        ready = self.state | (1 if self.uart.incoming.held else 0)
        if self.uart.outgoing.held < len(self.uart.outgoing.octets):
            ready |= 4
        return ready & (argument | 24)

    def readinto(self, buf, n=-1):
        return self.uart.readinto(buf, n)

    def write(self, buf, at=0, n=-1):
        return self.uart.write(buf, at, n)


def test_wait():
    uart = Uart(Line(), Line(60))
    device = Slip(Polled(uart), 100)
    assert device.wait(0) is False and device.wait(3) is False
    uart.incoming.put(b"abc\xc0def\xc0")
    assert device.wait(0) is True and receive(device) == b"abc"
    assert device.wait(None) is True  # more in its inbox
    assert receive(device) == b"def" and device.wait(0) is False
    assert device.send(bytes(100), 0, 100) is True
    assert device.wait(0) is False  # 42 octets are left, and the line takes none
    uart.outgoing.all()
    assert device.wait(0) is True  # it took the rest: more can be sent
    assert device.wait(0) is False and uart.outgoing.held == 42
    device.stream.state = 16  # POLLHUP
    try:
        device.wait(5)
    except OSError as e:
        assert e.errno == 19 and not device.link()
        return
    raise AssertionError("waited")
