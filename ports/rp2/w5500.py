"""A W5500 on the SPI of an RP2040: the fast one, at the hardware's registers (bus.py).

    from ports.rp2.w5500 import W5500

    device = W5500("02:00:00:00:00:01")          # a W5500-EVB-Pico's wiring
    device = W5500(mac, spi=1, sck=10, mosi=11, miso=12, cs=13, rst=14, int=15)

Set-up, filters, cable and recovery are smolmp/phy/wiznet.py's. The bus is the chip's alone, since
reading runs ahead between two polls; `halt()` ends that until the next poll.
"""

from array import array
from time import sleep_ms, ticks_diff, ticks_ms, ticks_us

import machine
import micropython
from machine import idle
from micropython import const
from uctypes import addressof

from ports.rp2.bus import LONG, WORDS, alert, land, receive, run, transmit
from rp2 import DMA
from smolmp.phy.wiznet import Wiznet

_SIZE = const(1520)  # read at once at most: a length and the longest frame, VLAN tag included

# Words of bus.py.
_SPI = const(0)
_CLEAR = const(1)
_CS = const(2)
_SET = const(3)
_IN = const(4)
_INT = const(5)
_TRIGGER = const(6)
_DMA_RX = const(7)
_DMA_TX = const(8)
_BOTH = const(9)
_CTRL_FILL = const(10)
_CTRL_SINK = const(11)
_CTRL_TX = const(12)
_FLYING = const(13)
_HELD = const(14)
_AT = const(15)
_RX_RD = const(16)
_TX_WR = const(17)
_SENT = const(18)
_SIZE_AT = const(19)
_SINK = const(20)
_PAD = const(21)
_INTR = const(22)
_INTE = const(23)
_EDGE = const(24)
_LOOK = const(25)
_ROUSE = const(26)
_SINK_AT = const(27)
_RANG = const(28)  # 1: INT's edge has interrupted

_SAFETY = const(10)  # ms between looks while INT is high


def _bell(w):
    """Called when INT falls while the processor sleeps: that it wakes is what is wanted."""

    @micropython.native
    def rang(_, w=w):
        w[_RANG] = 1

    return rang


class W5500(Wiznet):
    """`mac`: text. `rst`, `int`: GPIO numbers, None when not wired; without INT each poll asks the
    chip, 8 us. `baudrate`: 31.25 MHz is what a clock of 125 MHz allows, and the chip up to 33.3;
    the peripheral clock is to be the processor's (boards.py sees to it).

    OSError: the chip does not answer; the text tells what was read and what to look at.
    """

    def __init__(
        self,
        mac,
        spi=0,
        sck=18,
        mosi=19,
        miso=16,
        cs=17,
        rst=20,
        int=21,
        baudrate=31_250_000,
        promiscuous=False,
    ):
        pin = machine.Pin
        super().__init__(mac, None if rst is None else pin(rst, pin.OUT, value=1), promiscuous)
        self._held = bytearray(_SIZE)
        self._pad = bytearray(60)
        self._script = bytearray(32)
        self._w = array("i", bytes(4 * WORDS))
        self._cs = pin(cs, pin.OUT, value=1)
        self._int = None if int is None else pin(int, pin.IN, pin.PULL_UP)
        self._spi = machine.SPI(
            spi,
            baudrate=baudrate,
            polarity=0,
            phase=0,
            sck=pin(sck),
            mosi=pin(mosi),
            miso=pin(miso),
        )
        self._channels = (DMA(), DMA())
        self._wire(spi, cs, int)
        self._inward = (self._w, self._script, self._held)
        self._view = None
        self._room = 0
        self.start()
        for name in ("recv", "send"):
            setattr(self, name, getattr(self, name))

    def _wire(self, spi, cs, interrupt):
        """The addresses of registers and what is written there (RP2040 datasheet 2.3.1, 2.5.7)."""
        w = self._w
        rx, tx = (channel.channel for channel in self._channels)
        sio = -0x30000000
        w[_SPI] = 0x4003C000 + 0x4000 * spi
        w[_IN] = sio + 0x04
        w[_SET] = sio + 0x14
        w[_CLEAR] = sio + 0x18
        w[_CS] = 1 << cs
        w[_INT] = 0 if interrupt is None else 1 << interrupt
        w[_TRIGGER] = 0x50000430
        w[_DMA_RX] = 0x50000000 + 0x40 * rx
        w[_DMA_TX] = 0x50000000 + 0x40 * tx
        w[_BOTH] = 1 << rx | 1 << tx
        # IRQ_QUIET, TREQ, chained to itself: not at all, HIGH_PRIORITY, EN; INCR_WRITE, INCR_READ
        quiet = 1 << 21 | 3
        w[_CTRL_SINK] = quiet | (17 + 2 * spi) << 15 | rx << 11
        w[_CTRL_FILL] = w[_CTRL_SINK] | 1 << 5
        w[_CTRL_TX] = quiet | (16 + 2 * spi) << 15 | tx << 11 | 1 << 4
        if interrupt is not None:
            bank = 0x40014000 + 4 * (interrupt >> 3)
            w[_INTR] = bank + 0xF0
            w[_INTE] = bank + 0x100
            w[_EDGE] = 4 << 4 * (interrupt & 7)
            self._int.irq(_bell(w), machine.Pin.IRQ_FALLING, hard=True)
            alert(w, 0)  # only while wait() sleeps
        w[_SIZE_AT] = _SIZE
        w[_SINK] = addressof(w) + 4 * _SINK_AT
        w[_PAD] = addressof(self._pad)

    # The registers, at leisure.

    def read(self, control, address, n=1):
        """`n` octets (at most 24) of the block that `control` names; n up to 3: as a number."""
        script = self._script
        land(self._w)
        script[0] = 3 + n
        script[1] = address >> 8
        script[2] = address & 0xFF
        script[3] = control
        script[4 + n] = 0
        run(self._w, script)
        found = bytes(script[4 : 4 + n])
        return int.from_bytes(found, "big") if n < 4 else found

    def write(self, control, address, data):
        """`data`: octets (at most 24)."""
        script = self._script
        land(self._w)
        n = len(data)
        script[0] = 3 + n
        script[1] = address >> 8
        script[2] = address & 0xFF
        script[3] = control | 4
        script[4 : 4 + n] = data
        script[4 + n] = 0
        run(self._w, script)

    def halt(self):
        """The bus rests, whatever DMA was at."""
        w = self._w
        land(w)
        if w[_FLYING]:  # it does not move
            w[_FLYING] = 0
            self._cs(1)

    def opened(self, rx_rd, tx_wr):
        w = self._w
        w[_SENT] = 0
        w[_TX_WR] = tx_wr
        self.skipped(rx_rd)

    def skipped(self, rx_rd):
        w = self._w
        w[_HELD] = w[_AT] = 0
        w[_RX_RD] = rx_rd

    # What the stack calls.

    @micropython.native
    def recv(self, buf) -> int:
        if buf is not self._view:
            self._view = buf
            self._room = len(buf)
        w, script, held = self._inward
        n = receive(w, script, held, buf, self._room)
        while n == LONG:
            self.dropped += 1
            n = receive(w, script, held, buf, self._room)
        if n >= 0:
            return n
        self._trouble(n)
        return 0

    @micropython.native
    def send(self, buf, start: int, end: int) -> bool:
        if end - start > 1518:
            self.dropped += 1
        elif not self.ready:
            self.lost += 1
        else:
            w, script, held = self._inward
            n = transmit(w, script, buf, start, end)
            if n <= 0:
                self.lost += 1
                self._trouble(n)
        return True

    def _trouble(self, code):
        """recover() from what bus.py reports; not while the chip is being tried once a second."""
        if self.ready:
            self.recover(code)

    @micropython.native
    def wait(self, ms=None, spin=0) -> bool:
        """Sleep until INT falls or `ms` are over; without INT a millisecond at most. The processor
        sleeps and wakes by the interrupt."""
        w = self._w
        if not w[_INT]:
            if (ms is None or ms > 0) and not w[_FLYING] and w[_HELD] == w[_AT]:
                sleep_ms(1)
            return True
        if ms == 0:
            return alert(w, w[_ROUSE]) != 0
        if spin:
            until = ticks_us() + spin
            while ticks_diff(until, ticks_us()) > 0:
                if alert(w, w[_ROUSE]):
                    return True
        start = ticks_ms()
        w[_RANG] = 0
        came = alert(w, 1)
        while not came:
            passed = ticks_diff(ticks_ms(), start)
            if ms is not None and passed >= ms:
                break
            if passed >= _SAFETY:
                w[_LOOK] = came = 1  # an edge may get lost: look, whatever INT says
                break
            idle()
            came = alert(w, 1)
            if came and not w[_RANG]:
                self.missed += 1
        if not w[_ROUSE]:
            alert(w, 0)
        return came != 0

    def rouse(self):
        if self._w[_INT]:
            self._w[_ROUSE] = 1
            alert(self._w, 1)

    def link(self) -> bool:
        self._w[_LOOK] = 1
        return super().link()
