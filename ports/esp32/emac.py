"""Emac: the original ESP32's own Ethernet MAC with a PHY on RMII, without firmware support.

    EXPERIMENTAL: NOT RUN ON HARDWARE. It was written from Espressif's headers and manuals and has
    only ever met the model of the chip in tests/models/esp32_emac.py.

    from ports.esp32.emac import Emac
    device = Emac("02:00:00:00:00:01", power=Pin(16, Pin.OUT))       # a WT32-ETH01
    iface = Interface(device, hardware_addr="02:00:00:00:00:01", ip_addrs=("192.168.69.1/24",))

What it takes
- An original ESP32: no other of the family has this MAC at this place, if it has one.
- 50 MHz into GPIO0 from the PHY or an oscillator. Boards where the ESP32 itself makes this clock
  (GPIO16 or GPIO17 as outputs) are out of reach: the audio PLL wants ROM functions.
- Buffers in internal RAM, which DMA reaches. Firmware with PSRAM keeps MicroPython's heap there:
  then the constructor says so and raises.
- network.LAN must stay unused: it drives the same MAC.

Frames are polled: there is no interrupt to be had from Python. At 100 Mbit/s the 8 buffers hold
1 ms of full-sized frames, or what a peer sends within its first window. Both rings and their
buffers are one bytearray of (rx + tx) * 1568 octets. Nothing is allocated per frame.

link() is asked once a second by the Interface; it also looks after the hardware: it reads the PHY,
sets speed and duplex, counts what was missed, and starts the DMA anew when that has stopped.
"""

import errno

import micropython
from micropython import const

from ports.esp32 import registers as reg
from ports.esp32.mdio import Phy
from ports.esp32.rings import build, first_ours, received, release, sent, transmit
from smolmp.phy.device import ETHERNET, Device
from smolmp.storage.kernels import copy
from smolmp.wire.address import format_mac, parse_mac

_DMA_TX_POLL = const(0x3FF69004)
_DMA_RX_POLL = const(0x3FF69008)

_DESCRIPTOR = const(32)  # octets
_WORDS = const(8)
_HEADER = const(14)
_TAG_AND_FCS = const(8)
_MTU = const(1500)  # a longer one is a giant frame to the MAC

_TICKS_MASK = const(0x3FFFFFFF)
_SERVICE_MS = const(400)  # link() looks at the hardware no more often
_STUCK_MS = const(1500)  # a frame that has not gone in this time never will

_LONGEST_MS = const(500)
_LOOK_US = const(100)

_RESET_MS = const(100)
_RESTART_MS = const(2)  # within a poll

_COUNTERS = (
    "dropped",
    "lost",
    "rx_errors",
    "tx_errors",
    "missed",
    "overflows",
    "starved",
    "underflows",
    "bus_errors",
    "resyncs",
    "restarts",
    "link_changes",
)


class Emac(Device):
    """mac: our address, "02:00:00:00:00:01". phy: the PHY's MDIO address, None: look for it.
    mdc, mdio: GPIO numbers. power, reset: Pin objects, outputs; power is high when on, reset is
    low in reset. rx, tx: frames that can wait. memory: a buffer for rings and frames, of
    Emac.octets(rx, tx), None: a new one. promiscuous: as set_promiscuous() says. bus: tests give a
    model of the chip.

    Counters: `dropped` (frames longer than the caller's buffer or than the link's), `lost` (not
    sent: link down, too long, in a ring that was started anew), `rx_errors`, `tx_errors`; as the
    MAC counts them `missed` (frames that found no buffer) and `overflows` (no room in its FIFO);
    events: `starved` (it ran out of buffers), `underflows`, `bus_errors`, `resyncs` (the driver
    had lost the DMA's place in the ring), `restarts`, `link_changes`.
    OSError at set-up: the text says what does not answer, and what to look at.
    """

    def __init__(
        self,
        mac,
        phy=None,
        mdc=23,
        mdio=18,
        power=None,
        reset=None,
        rx=8,
        tx=4,
        memory=None,
        promiscuous=False,
        bus=None,
    ):
        super().__init__(ETHERNET, _MTU)
        if rx < 2 or tx < 2 or rx > 64 or tx > 64:
            raise ValueError("rx and tx: 2 to 64 frames")
        for pin in (mdc, mdio):
            if pin not in reg.MUX_AT or pin in reg.RMII_OUTPUTS + reg.RMII_INPUTS + (0,):
                raise ValueError("GPIO%s cannot be mdc or mdio" % pin)
        self.mac = parse_mac(mac)
        if self.mac[0] & 1:
            raise ValueError("not a unicast hardware address: " + mac)
        self.dropped = self.lost = self.rx_errors = self.tx_errors = 0
        self.missed = self.overflows = self.starved = self.underflows = 0
        self.bus_errors = self.resyncs = self.restarts = self.link_changes = 0
        self._bus = bus = bus or reg.Bus()
        self._write = bus.write
        self._rx, self._tx = rx, tx
        self._size = (_HEADER + _MTU + _TAG_AND_FCS + 31) & ~31
        self._pool = memory or bytearray(Emac.octets(rx, tx))
        self._base = self._place(bus)
        self._rx_buffers = (rx + tx) * _DESCRIPTOR
        self._tx_buffers = self._rx_buffers + rx * self._size
        self._joined = {}  # group: how often
        self._promiscuous = promiscuous
        self._up = False
        self._broken = False  # a restart has failed
        self._began = self._serviced = 0
        self._tx_seen = -1
        if power is not None:
            power.value(1)
            bus.sleep_us(10000)
        reg.enable(bus)
        reg.connect_pins(bus, mdc, mdio)
        if reset is not None:  # IP101 and RTL8201 want 10 ms, and 150 ms before they answer
            reset.value(0)
            bus.sleep_us(10000)
            reset.value(1)
            bus.sleep_us(150000)
        self._reset_dma(_RESET_MS)
        self.phy = Phy(bus, phy)
        self.phy.reset()
        self._start()
        self._serviced = (bus.ticks_ms() - _SERVICE_MS) & _TICKS_MASK

    @staticmethod
    def octets(rx=8, tx=4) -> int:
        """Of the memory that so many frames need."""
        return (rx + tx) * (_DESCRIPTOR + ((_HEADER + _MTU + _TAG_AND_FCS + 31) & ~31))

    def _place(self, bus):
        """The bus address of the pool; OSError where DMA does not reach it."""
        size = Emac.octets(self._rx, self._tx)
        if len(self._pool) < size:
            raise ValueError("memory: %d octets are needed" % size)
        base = bus.address(self._pool)
        if base & 3 or base < reg.DMA_RAM_FIRST or base > reg.DMA_RAM_LAST - size + 1:
            raise OSError(
                errno.ENOMEM,
                "the buffers lie at 0x%x: the MAC's DMA reaches only internal RAM (0x3ffae000 to"
                " 0x3fffffff), at addresses divisible by 4. With PSRAM MicroPython's heap lies"
                " outside: use a firmware without it, or a W5500" % base,
            )
        return base

    # Set-up, and all of it again after a failure.

    def _reset_dma(self, limit):
        """The MAC and its DMA as after power-on, in at most `limit` ms. They need the 50 MHz to
        come out of that."""
        bus = self._bus
        bus.write(reg.DMA_BUS_MODE, reg.BUS_RESET)
        ms = 0
        while bus.read(reg.DMA_BUS_MODE, reg.BUS_RESET):
            if ms >= limit:
                raise OSError(
                    errno.ETIMEDOUT,
                    "the MAC stays in reset: no 50 MHz at GPIO0? Look at the oscillator's enable"
                    " or power pin, and whether the board feeds GPIO0 at all",
                )
            bus.sleep_us(1000)
            ms += 1

    def _start(self):
        """From reset to running, link or none: with speed and duplex of the PHY so far."""
        bus = self._bus
        bus.write(reg.MAC_INTERRUPT_MASK, 0x7FF)
        bus.write(reg.MAC_FLOW, 0)  # no pause frames
        self._configure_mac(False)
        self._write_address(0, self.mac)
        self._write_filter()
        mode = reg.BUS_MIXED | reg.BUS_ALIGNED | reg.BUS_BURST_32 | reg.BUS_ALTERNATE
        bus.write(reg.DMA_BUS_MODE, mode)
        bus.write(reg.DMA_INTERRUPTS, 0)
        pool, size, rx = self._pool, self._size, self._rx
        build(pool, 0, rx, self._rx_buffers, size, self._base, 1)
        build(pool, rx * _WORDS, self._tx, self._tx_buffers, size, self._base, 0)
        bus.write(reg.DMA_RX_BASE, self._base)
        bus.write(reg.DMA_TX_BASE, self._base + rx * _DESCRIPTOR)
        self._receive_at(0)
        self._send_at(0)
        self._tx_seen = -1
        operation = reg.OPERATION_RX_WHOLE | reg.OPERATION_SECOND
        bus.write(reg.DMA_OPERATION, operation | reg.OPERATION_FLUSH)
        for _ in range(100):  # no other write to it until the flush is done
            if not bus.read(reg.DMA_OPERATION, reg.OPERATION_FLUSH):
                break
            bus.sleep_us(10)
        bus.write(reg.DMA_STATUS, reg.STATUS_EVENTS)
        # The MAC's transmitter before the DMA's (esp-idf found it to hang in the databook's
        # order), and its receiver last.
        bus.update(reg.MAC_CONFIG, reg.CONFIG_TX, reg.CONFIG_TX)
        bus.write(reg.DMA_OPERATION, operation | reg.OPERATION_TX | reg.OPERATION_RX)
        bus.update(reg.MAC_CONFIG, reg.CONFIG_RX, reg.CONFIG_RX)

    def _configure_mac(self, running):
        value = reg.CONFIG_MII
        if self.phy.speed != 10:
            value |= reg.CONFIG_100
        if self.phy.full_duplex or not self.phy.speed:
            value |= reg.CONFIG_DUPLEX
        if running:
            value |= reg.CONFIG_TX | reg.CONFIG_RX
        self._write(reg.MAC_CONFIG, value)

    def _write_address(self, n, mac):
        """Address n of the MAC: 0 is ours, the others are groups. The low word takes effect."""
        # Bit 31, address enable, is written for 0 as well: esp-hal's driver found that it must.
        at = reg.MAC_ADDRESS + 8 * n
        self._write(at, 1 << 31 | mac[5] << 8 | mac[4])
        self._write(at + 4, mac[3] << 24 | mac[2] << 16 | mac[1] << 8 | mac[0])

    def _write_filter(self):
        """Ours and broadcasts pass; groups by the seven further addresses that the MAC compares.
        (The core's hash table is not there: Espressif's headers have its registers reserved.) More
        groups than seven: all of them pass."""
        value = 0
        if self._promiscuous:
            value |= reg.FILTER_PROMISCUOUS
        groups = list(self._joined)
        if len(groups) >= reg.MAC_ADDRESSES:
            value |= reg.FILTER_ALL_MULTICAST
        for n in range(1, reg.MAC_ADDRESSES):
            if n <= len(groups):
                self._write_address(n, groups[n - 1])
            else:
                self._write(reg.MAC_ADDRESS + 8 * n, 0)
                self._write(reg.MAC_ADDRESS + 8 * n + 4, 0)
        self._write(reg.MAC_FILTER, value)

    def set_promiscuous(self, on: bool):
        """True: every frame on the wire is received."""
        self._promiscuous = bool(on)
        self._write_filter()

    def join(self, mac):
        """Let the group's link address `mac` (6 octets) pass, as often joined as left."""
        mac = bytes(mac)
        if not mac[0] & 1:
            raise ValueError("not a group's address: " + format_mac(mac))
        self._joined[mac] = self._joined.get(mac, 0) + 1
        self._write_filter()

    def leave(self, mac):
        mac = bytes(mac)
        left = self._joined.get(mac, 0) - 1
        if left > 0:
            self._joined[mac] = left
        elif left == 0:
            del self._joined[mac]
            self._write_filter()

    # Frames.

    def _receive_at(self, index):
        self._rx_index = index
        self._rx_at = index * _WORDS
        self._rx_buffer = self._rx_buffers + index * self._size

    def _send_at(self, index):
        self._tx_index = index
        self._tx_at = (self._rx + index) * _WORDS
        self._tx_buffer = self._tx_buffers + index * self._size

    @micropython.native
    def recv(self, buf) -> int:
        pool = self._pool
        left = self._rx
        while left:
            at = self._rx_at
            n = received(pool, at)
            if n == 0:
                return 0
            good = 0
            if n < 0 or n > self._size:
                if n == -2:
                    self.dropped += 1
                else:
                    self.rx_errors += 1
            elif n > len(buf):
                self.dropped += 1
            else:
                copy(buf, 0, pool, self._rx_buffer, n)
                good = n
            release(pool, at)
            index = self._rx_index + 1
            self._receive_at(index if index < self._rx else 0)
            self._write(_DMA_RX_POLL, 0)  # it may have found no descriptor and be waiting
            if good:
                return good
            left -= 1
        return 0

    @micropython.native
    def send(self, buf, start: int, end: int) -> bool:
        n = end - start
        if not self._up or n > _HEADER + _MTU:
            self.lost += 1
            return True
        pool = self._pool
        at = self._tx_at
        state = sent(pool, at)
        if state > 0:
            return False
        if state < 0:
            self.tx_errors += 1
        copy(pool, self._tx_buffer, buf, start, n)
        transmit(pool, at, n)
        index = self._tx_index + 1
        self._send_at(index if index < self._tx else 0)
        self._write(_DMA_TX_POLL, 0)
        return True

    def wait(self, ms=None, spin=0) -> bool:
        """As Device says. True after half a second at the latest: link() wants to be asked."""
        bus = self._bus
        pool = self._pool
        began = bus.ticks_ms()
        while True:
            if received(pool, self._rx_at):
                return True
            elapsed = (bus.ticks_ms() - began) & _TICKS_MASK
            if ms is not None and elapsed >= ms:
                return False
            if elapsed >= _LONGEST_MS:
                return True
            bus.sleep_us(_LOOK_US)

    # Looking after the hardware.

    def link(self) -> bool:
        bus = self._bus
        now = bus.ticks_ms()
        elapsed = (now - self._serviced) & _TICKS_MASK
        if elapsed >= _SERVICE_MS:
            self._serviced = now
            self._service(now)
        return self._up

    def _service(self, now):
        bus = self._bus
        events = bus.read(reg.DMA_STATUS, reg.STATUS_EVENTS)
        self._write(reg.DMA_STATUS, events)
        missed = bus.read(reg.DMA_MISSED, 0x0FFFFFFF)
        self.missed += missed & 0xFFFF
        self.overflows += missed >> 17
        broken = self._broken or events & (reg.STATUS_BUS_ERROR | reg.STATUS_JABBER)
        # Stopped, or reset by somebody: we never do.
        running = reg.OPERATION_TX | reg.OPERATION_RX
        broken = broken or bus.read(reg.DMA_OPERATION, running) != running
        if events & reg.STATUS_BUS_ERROR:
            self.bus_errors += 1
        if events & reg.STATUS_TX_UNDERFLOW:  # sending is suspended
            self.underflows += 1
            self._write(reg.DMA_TX_POLL, 0)
        if events & reg.STATUS_RX_STARVED:
            self.starved += 1
            self._write(reg.DMA_RX_POLL, 0)
        if broken or self._stuck(now):
            self._restart()
        else:
            self._resync()
        try:
            changed = 0 if self._broken else self.phy.update()
        except OSError:  # the MAC has lost its clock
            changed = 0
        if changed == 2:
            self._configure_mac(True)
        if bool(changed) != self._up or changed == 2:
            self._up = bool(changed)
            self.link_changes += 1

    def _stuck(self, now) -> bool:
        """Has the oldest frame been waiting to go for too long?"""
        index = self._oldest()
        if index < 0 or index != self._tx_seen:
            self._tx_seen = index
            self._began = now
            return False
        return (now - self._began) & _TICKS_MASK >= _STUCK_MS

    def _oldest(self) -> int:
        """The oldest transmit descriptor that is the DMA's, -1: none."""
        index = self._tx_index
        for _ in range(self._tx):
            if sent(self._pool, (self._rx + index) * _WORDS) > 0:
                return index
            index = index + 1 if index + 1 < self._tx else 0
        return -1

    def _resync(self):
        """The DMA fills descriptors in order, so when ours is still empty, so are all. If not, we
        have lost its place, and would wait for a whole turn of the ring."""
        index = first_ours(self._pool, 0, self._rx, self._rx_index)
        if index >= 0 and index != self._rx_index and not received(self._pool, self._rx_at):
            self.resyncs += 1
            self._receive_at(index)

    def _restart(self):
        """The DMA has stopped, or a frame does not go: all from reset. What the rings held is
        lost."""
        self.restarts += 1
        for i in range(self._tx):
            if sent(self._pool, (self._rx + i) * _WORDS) > 0:
                self.lost += 1
        try:
            self._reset_dma(_RESTART_MS)
        except OSError:  # no clock: perhaps the next time
            self._broken = True
            return
        self._broken = False
        self._start()

    def __repr__(self):
        phy = self.phy
        lines = [
            "Emac %s (EXPERIMENTAL: not run on hardware)" % format_mac(self.mac),
            "  PHY   %s at %d, id 0x%08x" % (phy.name, phy.address, phy.id),
            "  link  down",
        ]
        if self._up:
            duplex = "full" if phy.full_duplex else "half"
            lines[2] = "  link  up, %d Mbit/s, %s duplex" % (phy.speed, duplex)
        counts = ["%s %d" % (name, getattr(self, name)) for name in _COUNTERS]
        lines.append("  " + " ".join([text for text in counts if not text.endswith(" 0")]))
        return "\n".join(lines).rstrip()
