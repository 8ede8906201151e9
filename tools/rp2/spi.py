"""The emulated Pico's SPI, with the wire's own time, and DMA to and from it in one piece.

rp2040py exchanges an octet per alarm and knows one clk_peri. Here the PL022 (RP2040 datasheet 4.4)
is computed when someone looks: what is in the FIFOs now follows from when each octet was written,
and a DMA transfer is one exchange with the device, spread over its time when somebody asks how far
it is. clk_peri is what CLK_PERI_CTRL selects (2.15.7): 48 MHz after boot, 125 MHz when
machine.freq() was told so.

Not there: the block's own interrupts, words of more than 8 bits, DMA rings, byte swaps and
sniffing at the SPI. They raise NotModelled, as does a chip select that is released too early: a
real chip would lose what is still on the wire.
"""

from collections import deque

from rp2040py.peripherals import dma, spi
from rp2040py.peripherals.dma import DREQChannel
from rp2040py.peripherals.spi import RPSPI, ISPIDMAChannels

_DEPTH = 8  # of each FIFO
_SRAM, _SRAM_END = 0x20000000, 0x20042000
_FLASH, _FLASH_END = 0x10000000, 0x11000000
_BASE = (0x4003C, 0x40040)
_PERI_HZ = {0: 125e6, 1: 125e6, 2: 48e6, 4: 12e6}  # CLK_PERI_CTRL.AUXSRC: sys, pll_sys, usb, xosc
_DREQ = (
    ISPIDMAChannels(rx=DREQChannel.DREQ_SPI0_RX, tx=DREQChannel.DREQ_SPI0_TX),
    ISPIDMAChannels(rx=DREQChannel.DREQ_SPI1_RX, tx=DREQChannel.DREQ_SPI1_TX),
)


class NotModelled(RuntimeError):
    """The guest does what this model does not know, or what a real chip would not survive."""


class Spi(RPSPI):
    """SPI block `index` of `pico`. exchange(mosi) -> miso, bytes of one length: the device."""

    def __init__(self, pico, index, exchange):
        mcu = pico.mcu
        self._clock = pico.clock
        self.exchange = exchange
        self.octets = 0  # on the wire so far
        self._forget()
        super().__init__(mcu, f"SPI{index}", mcu.spi[index].irq, _DREQ[index])
        mcu.spi[index] = mcu.peripherals[_BASE[index]] = self
        for channel in mcu.dma.channels:
            _Channel(self, channel)

    def _forget(self):
        self.free = 0.0  # when the wire is
        self._starts = deque()  # when each octet written leaves the TX FIFO
        self._flying = deque()  # (when it is there, octet) of what is or was on the wire
        self._received = deque()
        self.transfer = None

    def reset(self):
        self._forget()
        super().reset()

    @property
    def clock_frequency(self):
        self.rp2040.clk_peri = _PERI_HZ.get((self.rp2040.clocks.peri_ctrl >> 5) & 7, 125e6)
        return super().clock_frequency

    def octet_nanos(self):
        """How long an octet takes on the wire."""
        hertz = self.clock_frequency
        if not hertz or not self.enabled or self.data_bits != 8:
            raise NotModelled(f"SPI at {hertz:g} Hz, {self.data_bits} bits, {self.enabled=}")
        return 8e9 / hertz

    def idle(self):
        """Is nothing on the wire?"""
        return self.free <= self._clock.nanos

    def _settle(self):
        now = self._clock.nanos
        while self._starts and self._starts[0] <= now:
            self._starts.popleft()
        while self._flying and self._flying[0][0] <= now:
            _, octet = self._flying.popleft()
            if len(self._received) < _DEPTH:
                self._received.append(octet)
            else:
                self._int_raw |= spi.SSPRORINTR

    def read_uint32(self, offset):
        if offset == spi.SSPDR:
            self._settle()
            return self._received.popleft() if self._received else 0
        if offset == spi.SSPSR:
            self._settle()
            queued, received = len(self._starts), len(self._received)
            return (
                (0 if self.idle() else spi.BSY)
                | (spi.RFF if received == _DEPTH else 0)
                | (spi.RNE if received else 0)
                | (spi.TNF if queued < _DEPTH else 0)
                | (0 if queued else spi.TFE)
            )
        return super().read_uint32(offset)

    def write_uint32(self, offset, value):
        if offset == spi.SSPDR:
            self._settle()
            if len(self._starts) < _DEPTH:
                self._write(value & 0xFF)
        elif offset == spi.SSPIMSC and value:
            raise NotModelled("interrupts of the SPI block")
        else:
            super().write_uint32(offset, value)

    def _write(self, octet):
        if self.transfer:
            raise NotModelled("the SPI's data register was written while DMA uses it")
        start = max(self.free, self._clock.nanos)
        self.free = start + self.octet_nanos()
        self._starts.append(start)
        self._flying.append((self.free, self.exchange(bytes((octet,)))[0]))
        self.octets += 1

    # --- DMA ---

    def dma_started(self, channel):
        if channel._data_size != 1 or channel._ring_mask or channel._ctrl & (dma.BSWAP):
            raise NotModelled(
                f"DMA channel {channel.index} at the SPI: only single octets, no ring"
            )
        self._settle()
        if not self.transfer:
            self.transfer = _Transfer(self)
        self.transfer.join(channel)

    def dma_over(self):
        """The transfer is: what nobody fetched goes the way of the FIFO."""
        left, self.transfer = self.transfer.left(), None
        for octet in left[:_DEPTH]:
            self._received.append(octet)
        if len(left) > _DEPTH:
            self._int_raw |= spi.SSPRORINTR


class _Channel:
    """Takes over a DMA channel while it is paced by this SPI."""

    def __init__(self, block, channel):
        self.block = block
        self.channel = channel
        self.start, self.read, self.abort = channel.start, channel.read_uint32, channel.abort
        channel.start, channel.read_uint32, channel.abort = self.started, self.asked, self.aborted

    def mine(self):
        return self.channel._treq_value in self.block.dreq

    def started(self):
        channel = self.channel
        if not self.mine():
            self.start()
        elif channel._ctrl & dma.EN and not channel._ctrl & dma.BUSY:
            channel._trans_count = channel._trans_count_reload
            if channel._trans_count:
                channel._ctrl |= dma.BUSY
                self.block.dma_started(channel)

    def asked(self, offset):
        # BUSY in CTRL falls by itself; programs ask for it again and again.
        if offset not in dma.CTRL_REGS and self.block.transfer and self.mine():
            self.block.transfer.progress()
        return self.read(offset)

    def aborted(self):
        if self.block.transfer and self.mine():
            self.block.transfer.stop(self.channel)
        self.abort()


class _Transfer:
    """Octets that a channel writes to the SPI, and the channel that fetches what comes back."""

    def __init__(self, block):
        self.block = block
        self.mcu = block.rp2040
        self.clock = block._clock
        self.tx = self.rx = None
        self.reply = b""
        self.began = 0.0
        self.fetched = 0
        self.tx_alarm = self.clock.create_alarm(self._tx_done)
        self.end_alarm = self.clock.create_alarm(self._over)

    def join(self, channel):
        if channel._treq_value == self.block.dreq.rx:
            if self.block._received or self.block._flying:
                raise NotModelled("DMA from the SPI begins with octets in the receive FIFO")
            self.rx = channel
        else:
            self.tx = channel
            self._begin()
        if self.tx and self.rx and self.rx._trans_count_reload != len(self.reply):
            raise NotModelled(
                f"{len(self.reply)} octets to the SPI, {self.rx._trans_count_reload} from it"
            )

    def _begin(self):
        block, count, read = self.block, self.tx._trans_count_reload, self.tx._read_addr
        if self.tx._ctrl & dma.INCR_READ:
            data = self._memory(read, count)
        else:
            data = self._memory(read, 1) * count
        self.nanos = block.octet_nanos()
        self.began = max(block.free, self.clock.nanos)
        block.free = self.began + count * self.nanos
        block.octets += count
        self.reply = block.exchange(data)
        now = self.clock.nanos
        # The channel is done when the last octet is in the FIFO, the wire later.
        in_fifo = self.began + max(0, count - _DEPTH - 1) * self.nanos
        self.tx_alarm.schedule(max(0, in_fifo - now))
        self.end_alarm.schedule(block.free - now)

    def _memory(self, address, count):
        if _SRAM <= address <= _SRAM_END - count:
            return bytes(self.mcu.sram[address - _SRAM : address - _SRAM + count])
        if _FLASH <= address <= _FLASH_END - count:
            return bytes(self.mcu.flash[address - _FLASH : address - _FLASH + count])
        raise NotModelled(f"DMA to the SPI from 0x{address:08x}")

    def progress(self):
        """Put into memory what came back so far."""
        if not self.reply:
            return
        done = min(len(self.reply), int((self.clock.nanos - self.began + 0.001) / self.nanos))
        if self.tx:
            ahead = min(len(self.reply), max(0, done) + _DEPTH)
            self.tx._trans_count = len(self.reply) - ahead
        if self.rx and done > self.fetched:
            octets = self.reply[self.fetched : done]
            at = self.rx._write_addr - _SRAM
            if self.rx._ctrl & dma.INCR_WRITE:
                if not 0 <= at <= _SRAM_END - _SRAM - len(octets):
                    raise NotModelled(f"DMA from the SPI to 0x{self.rx._write_addr:08x}")
                self.mcu.sram[at : at + len(octets)] = octets
                self.rx._write_addr += len(octets)
            else:
                self.mcu.sram[at] = octets[-1]
            self.fetched = done
            self.rx._trans_count = len(self.reply) - done

    def left(self):
        return b"" if self.rx else self.reply

    def _tx_done(self):
        tx = self.tx
        if tx._ctrl & dma.INCR_READ:
            tx._read_addr += len(self.reply)
        self.tx = None
        _finish(tx)

    def _over(self):
        if self.tx:
            self.tx_alarm.cancel()
            self._tx_done()
        self.progress()
        rx = self.rx
        self.block.dma_over()
        if rx:
            _finish(rx)

    def stop(self, channel):
        """A channel is aborted: the other goes on, but nothing more comes from the wire."""
        self.progress()
        self.tx_alarm.cancel()
        self.end_alarm.cancel()
        self.block.transfer = None
        self.block.free = self.clock.nanos
        other = self.rx if channel is self.tx else self.tx
        if other:
            other._ctrl &= ~dma.BUSY


def _finish(channel):
    channel._trans_count = 0
    channel._ctrl &= ~dma.BUSY
    if not channel._ctrl & dma.IRQ_QUIET:
        channel.dma.int_raw |= 1 << channel.index
        channel.dma.check_interrupts()
    if channel._chain_to != channel.index:
        channels = channel.dma.channels
        if channel._chain_to < len(channels):
            channels[channel._chain_to].start()
