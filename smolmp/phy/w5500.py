"""A W5500 on any machine.SPI, as a Device (WIZnet W5500 datasheet 1.0.9; MACRAW on socket 0).

    spi = machine.SPI(0, 20_000_000, sck=Pin(18), mosi=Pin(19), miso=Pin(16))
    device = W5500(SpiBus(spi, Pin(17, Pin.OUT, value=1)), mac, int=Pin(21, Pin.IN, Pin.PULL_UP))

The chip bears 33.3 MHz, in mode 0 or 3. Receiving a frame takes four transactions: where the
chip's pointers stand; the frame, with its length in front and what follows it up to 1,520 octets;
the new pointer; the command. Small frames that came together share them. Sending takes five:
whether the last one went, and that this was seen; the frame; the pointer; the command. Nothing
waits: when the last frame is still on its way, the stack comes again.

With INT wired and high nothing is asked at all, but for a look every 10 ms: an edge, or the chip,
may get lost (and did, in drivers that trusted them).
"""

from time import sleep_ms, ticks_add, ticks_diff, ticks_ms, ticks_us

import micropython
from micropython import const

from smolmp.phy.wiznet import CORRUPT, LATE, STUCK, Wiznet
from smolmp.wire.checksum import copy_checksum

_SHORTEST = const(60)  # octets of a frame without its FCS
_CHUNK = const(64)
_CHUNKS = const(24)
_SIZE = const(1536)  # _CHUNKS * _CHUNK
_LEAST = const(62)  # a length and the shortest frame
_FRAME_MOST = const(1520)  # a length and the longest frame, VLAN tag included

_SOCKET_READ = const(0x08)
_SOCKET_WRITE = const(0x0C)
_TX_WRITE = const(0x14)
_RX_READ = const(0x18)

_SN_CR = const(0x01)
_SN_IR = const(0x02)
_SN_TX_WR = const(0x24)
_SN_RX_RSR = const(0x26)
_SN_RX_RD = const(0x28)
_SEND = const(0x20)
_RECV = const(0x40)
_SENDOK = const(0x10)
_RECEIVED = const(0x04)

_SAFETY = const(10)  # ms between looks while INT is high
_LATE = const(20)  # ms: a frame takes 1.2 at 10 Mbit/s
_READS = const(8)  # reads of pointers that do not agree

try:
    from machine import idle
except ImportError:  # not a board

    def idle():
        sleep_ms(1)


class SpiBus:
    """The chip behind a machine.SPI and a chip select Pin: one call is one transaction.

    `spi`: write(buf) and readinto(buf). `cs`: called with 0 and 1. The header is written out three
    times: a call for it would cost a Pico more than all the rest of a short transaction.
    """

    def __init__(self, spi, cs):
        self._write = spi.write
        self._readinto = spi.readinto
        self._cs = cs
        self._header = bytearray(3)
        cs(1)

    @micropython.native
    def read(self, control: int, address: int, view):
        """Fill `view` from the block that `control` names, from `address` on."""
        header = self._header
        header[0] = address >> 8
        header[1] = address & 0xFF
        header[2] = control
        self._cs(0)
        self._write(header)
        self._readinto(view)
        self._cs(1)

    @micropython.native
    def write(self, control: int, address: int, view):
        """Put all of `view` there (4 in `control` writes)."""
        header = self._header
        header[0] = address >> 8
        header[1] = address & 0xFF
        header[2] = control
        self._cs(0)
        self._write(header)
        self._write(view)
        self._cs(1)

    @micropython.native
    def copy(self, control: int, address: int, buf, start: int, end: int, piece):
        """As write(), of buf[start:end], by way of `piece`; up to its length more is written."""
        header = self._header
        header[0] = address >> 8
        header[1] = address & 0xFF
        header[2] = control
        self._cs(0)
        self._write(header)
        size = len(piece)
        while start < end:
            n = end - start
            if n > size:
                n = size
            copy_checksum(piece, 0, buf, start, n, 0)
            self._write(piece)
            start += n
        self._cs(1)


class W5500(Wiznet):
    """`bus`: an SpiBus, or what does the same. `mac`: text. `rst`, `int`: Pins, None when not
    wired. `ticks`: the clock, in ms (tests have one of their own).

    OSError: the chip does not answer; the text tells what was read and what to look at.
    """

    def __init__(self, bus, mac, rst=None, int=None, promiscuous=False, ticks=ticks_ms):
        super().__init__(mac, rst, promiscuous, ticks)
        self._bus = bus
        self._int = int
        # Read into at its very front: where DMA wants words, the buffer lies on one.
        self._held = bytearray(_SIZE)
        whole = memoryview(self._held)
        self._views = [whole[: _CHUNK * (i + 1)] for i in range(_CHUNKS)]
        self._prepared = None  # the stack's own frame
        self._prepared_at = 0
        self._prepared_views = self._views
        self._piece = bytearray(_CHUNK)
        self._short = bytearray(_SHORTEST)
        self._short_end = 0  # behind it there are zeros
        self._pointers = bytearray(6)
        self._word = bytearray(2)
        self._octet = bytearray(1)
        self._at = self._end = 0  # where the next frame stands in `held`, and what is there
        self._rx_rd = self._tx_wr = 0
        self._sent = False  # a frame went out, and its SENDOK was not seen yet
        self._sent_at = 0
        self._looked = ticks_add(ticks(), -_SAFETY)  # when nothing was there
        self._again = False  # look, whatever INT says: RECV may have cleared other frames' call
        if int is not None:
            int.irq(_woken, int.IRQ_FALLING)
        self.start()

    # Registers at leisure.

    def read(self, control, address, n=1):
        buf = bytearray(n)
        self._bus.read(control, address, buf)
        if n > 3:
            return bytes(buf)
        value = 0
        for octet in buf:
            value = value << 8 | octet
        return value

    def write(self, control, address, data):
        self._bus.write(control | 4, address, data)

    def opened(self, rx_rd, tx_wr):
        self._tx_wr = tx_wr
        self._sent = False
        self.skipped(rx_rd)

    def skipped(self, rx_rd):
        self._rx_rd = rx_rd
        self._at = self._end = 0

    # What the stack calls.

    def prepare(self, buf, start: int):
        whole = memoryview(buf)
        size = len(buf) - start
        self._prepared = buf
        self._prepared_at = start
        self._prepared_views = [
            whole[start : start + min(size, _CHUNK * (i + 1))] for i in range(_CHUNKS)
        ]

    @micropython.native
    def recv(self, buf) -> int:
        room = len(buf)
        while True:
            if self._at >= self._end and not self._fill():
                return 0
            held = self._held
            at = self._at
            n = (held[at] << 8 | held[at + 1]) - 2
            self._at = at + n + 2
            if self._at >= self._end:
                self._done()
            if n <= room:
                copy_checksum(buf, 0, held, at + 2, n, 0)
                return n
            self.dropped += 1

    @micropython.native
    def _fill(self) -> bool:
        """Read what has come: whole frames stand in held[0:_end]. False: there is none."""
        pin = self._int
        asked = False  # though INT is high
        if pin is not None and not self._again and pin():
            if ticks_diff(self.ticks(), self._looked) < _SAFETY:
                return False
            asked = True
        if not self.ready:
            self._again = False
            return False
        bus = self._bus
        pointers = self._pointers
        tries = _READS
        quiet = False
        while True:
            bus.read(_SOCKET_READ, _SN_RX_RSR, pointers)
            size = pointers[0] << 8 | pointers[1]
            at = pointers[2] << 8 | pointers[3]
            # They belong together, or were read while a frame came; and the chip's RX_RD is what
            # was written there, or that got lost and old frames would be read as new ones.
            if at == self._rx_rd and size == ((pointers[4] << 8 | pointers[5]) - at) & 0xFFFF:
                if size or quiet or pin is None or pin():
                    break
                # INT is low for nothing. Look once more behind that: what came before it was
                # cleared makes no edge any more.
                self._octet[0] = _RECEIVED
                bus.write(_SOCKET_WRITE, _SN_IR, self._octet)
                quiet = True
            tries -= 1
            if not tries:
                self.recover(STUCK)
                return False
        if not size:
            self._again = False
            self._looked = self.ticks()
            return False
        if size > 16384:
            self.recover(STUCK)
            return False
        if asked and pin():
            self.missed += 1
        if size > _SIZE:
            size = _SIZE
        bus.read(_RX_READ, self._rx_rd, self._views[(size - 1) // _CHUNK])
        # How many whole frames is that?
        held = self._held
        at = 0
        while at + 2 <= size:
            n = held[at] << 8 | held[at + 1]
            if n < _LEAST or n > _FRAME_MOST:
                if at:
                    break  # what is in front of it can still be had
                self.recover(CORRUPT)
                return False
            if at + n > size:
                break
            at += n
        if not at:
            self.recover(CORRUPT)  # a frame is there whole, or not at all
            return False
        self._at = 0
        self._end = at
        return True

    def _done(self):
        """All that was held is handed out: the chip may use the room."""
        self._rx_rd = (self._rx_rd + self._end) & 0xFFFF
        self._at = self._end = 0
        word = self._word
        word[0] = self._rx_rd >> 8
        word[1] = self._rx_rd & 0xFF
        self._bus.write(_SOCKET_WRITE, _SN_RX_RD, word)
        # Sn_CR, and Sn_IR beside it: a frame that comes from here on lets INT fall again, one
        # that came before is seen by the next look.
        word[0] = _RECV
        word[1] = _RECEIVED
        self._bus.write(_SOCKET_WRITE, _SN_CR, word)
        self._again = True

    @micropython.native
    def send(self, buf, start: int, end: int) -> bool:
        n = end - start
        if n > 1518:
            self.dropped += 1
            return True
        if self._sent and not self._went():
            return False
        if not self.ready:
            self.lost += 1
            return True
        bus = self._bus
        if n < _SHORTEST:
            # IEEE 802.3 3.2.8. With zeros: nobody is to see what stood there before.
            short = self._short
            copy_checksum(short, 0, buf, start, n, 0)
            i = self._short_end
            self._short_end = n
            while i > n:
                i -= 1
                short[i] = 0
            bus.write(_TX_WRITE, self._tx_wr, short)
            n = _SHORTEST
        elif buf is self._prepared and start == self._prepared_at:
            # More than the frame is written, and not sent.
            bus.write(_TX_WRITE, self._tx_wr, self._prepared_views[(n - 1) // _CHUNK])
        else:
            bus.copy(_TX_WRITE, self._tx_wr, buf, start, end, self._piece)
        self._tx_wr = (self._tx_wr + n) & 0xFFFF
        word = self._word
        word[0] = self._tx_wr >> 8
        word[1] = self._tx_wr & 0xFF
        bus.write(_SOCKET_WRITE, _SN_TX_WR, word)
        self._octet[0] = _SEND
        bus.write(_SOCKET_WRITE, _SN_CR, self._octet)
        self._sent = True
        self._sent_at = self.ticks()
        return True

    def _went(self) -> bool:
        """Has the last frame left? Looks at SENDOK, and clears it."""
        octet = self._octet
        self._bus.read(_SOCKET_READ, _SN_IR, octet)
        if octet[0] & _SENDOK:
            octet[0] = _SENDOK
            self._bus.write(_SOCKET_WRITE, _SN_IR, octet)
            self._sent = False
            return True
        if ticks_diff(self.ticks(), self._sent_at) > _LATE:
            self._sent = False
            self.recover(LATE)
            return True
        return False

    def wait(self, ms=None, spin=0) -> bool:
        """Sleep until INT falls or `ms` are over; without INT a millisecond at most."""
        if self._at < self._end or self._again:
            return True
        pin = self._int
        if pin is None:
            if ms is None or ms > 0:
                sleep_ms(1)
            return True
        if spin:
            start = ticks_us()
            while ticks_diff(ticks_us(), start) < spin:
                if not pin():
                    return True
        start = ticks_ms()
        while pin():
            passed = ticks_diff(ticks_ms(), start)
            if ms is not None and passed >= ms:
                return False
            if passed >= _SAFETY:
                return True  # for recv() to look, whatever INT says
            idle()
        return True


def _woken(_):
    """INT has fallen: that the processor wakes is all that is wanted."""
