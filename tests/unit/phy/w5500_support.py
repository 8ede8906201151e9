"""A W5500 on the model of its chip, in time that only goes on when it is told to."""

from time import ticks_add

from smolmp.phy.w5500 import W5500, SpiBus
from tests.models.spi import Spi
from tests.models.w5500 import Chip

MAC = "02:00:00:00:00:01"
OURS = b"\x02\0\0\0\0\x01"
OTHER = b"\x02\0\0\0\0\x02"
_COUNTING = bytes(range(256)) * 7


class Rig:
    """chip, spi (the pins and the bus), device, and what has left by the cable: frames."""

    def __init__(self, int=True, rst=True, **options):
        self.us = 0
        self.chip = Chip(lambda: self.us)
        self.spi = Spi(self.chip)
        self.frames = []
        self.chip.on_send = self.frames.append
        self.device = W5500(
            SpiBus(self.spi, self.spi.cs),
            MAC,
            rst=self.spi.rst if rst else None,
            int=self.spi.int if int else None,
            ticks=self.ticks,
            **options,
        )

    def ticks(self):
        return ticks_add(0, self.us // 1000 - 500)  # wraps soon

    def pass_ms(self, ms):
        self.us += 1000 * ms

    def pass_us(self, us=200):
        """Long enough for a frame to leave."""
        self.us += us

    def take(self, size=1518):
        buf = bytearray(size)
        n = self.device.recv(buf)
        return bytes(buf[:n]) if n else None

    def take_all(self):
        found = []
        frame = self.take()
        while frame is not None:
            found.append(frame)
            frame = self.take()
        return found

    def send(self, data):
        """True: taken. As the stack sends, from the middle of a buffer."""
        buf = bytearray(30) + data
        return self.device.send(buf, 30, 30 + len(data))

    def counters(self):
        d = self.device
        return (d.dropped, d.corrupt, d.late, d.stuck, d.reopened, d.restarted)


def frame(n=60, to=OURS, first=0):
    """A frame of n octets with a type of nobody's."""
    first &= 255
    return (to + OTHER + b"\x88\xb5" + _COUNTING[first : first + max(0, n - 14)])[:n]
