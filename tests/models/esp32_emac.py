"""A model of the original ESP32's Ethernet MAC, DMA, pins and clocks, and of a PHY with a wire.

For tests: it stands where ports/esp32/registers.Bus stands, runs under MicroPython and CPython,
and is strict where the chip is unforgiving: what is not clocked does not answer, without 50 MHz no
reset ends, a pin that is not connected carries nothing, a descriptor outside of the memory is a
bus error, and a MAC that disagrees with its PHY on speed or duplex sends and receives nothing
whole.

    chip = Chip("lan8720")
    driver = Emac("02:00:00:00:00:01", bus=chip)
    chip.plug()                       # a cable; after chip.negotiation_ms the link is up
    chip.advance(2000)                # milliseconds
    chip.receive(frame)               # the wire delivers; True: it went into a descriptor
    chip.on_send = frames.append      # what leaves on the wire, padded to 60 octets

Sources: Espressif's register headers and the Technical Reference Manual; IEEE 802.3 clause 22; the
PHYs' data sheets. Nothing here was compared with hardware.
"""

BASE = 0x3FFC0000  # where the memory lies on the chip's bus, unless told otherwise

DPORT_WIFI_CLK_EN, DPORT_CORE_RST_EN = 0x3FF000CC, 0x3FF000D0
MUX, IN_SEL, OUT_SEL = 0x3FF49000, 0x3FF44130, 0x3FF44530
DMA, EXT, MAC = 0x3FF69000, 0x3FF69800, 0x3FF6A000
END = 0x3FF6B000

# Of the DMA's registers.
BUS_MODE, TX_POLL, RX_POLL, RX_BASE, TX_BASE, STATUS, OPERATION = 0, 4, 8, 12, 16, 20, 24
MISSED = 0x20
# Of the MAC's.
CONFIG, FILTER, MII_ADDRESS, MII_DATA, ADDRESS = 0, 4, 0x10, 0x14, 0x40

OWN = 1 << 31
BROADCAST = b"\xff" * 6

# What ends of a wire can do (the bits of ANAR).
FULL_100, HALF_100, FULL_10, HALF_10 = 0x100, 0x80, 0x40, 0x20
EVERYTHING = 0x1E1

IDENTITIES = {
    "lan8720": (0x0007, 0xC0F1),
    "ip101": (0x0243, 0x0C54),
    "rtl8201": (0x001C, 0xC816),
    "other": (0x2000, 0x5C90),  # a DP83848: asked by the book
}


class Phy:
    """Registers of a PHY at an MDIO address, and the link partner."""

    def __init__(self, kind, address, chip):
        self.kind = kind
        self.address = address
        self.chip = chip
        self.partner = 0  # what the other end advertises; 0: nobody is there
        self.straps = 0x0061 if kind == "lan8720" else EVERYTHING  # ANAR behind a reset
        self.linked_at = -1  # ms; -1: never
        self.latched = True  # the link was down since BMSR was read
        self.page = 0
        self.stays_in_reset = False
        self._power_on()

    def _power_on(self):
        self.anar = self.straps
        self.bmcr = 0x3100
        self.reset_at = -1

    def negotiate(self):
        """Begin anew: the link is down until that is over."""
        self.latched = True
        self.linked_at = self.chip.ms + self.chip.negotiation_ms if self.partner else -1

    def link(self):
        return self.partner != 0 and 0 <= self.linked_at <= self.chip.ms and self.mode() != 0

    def mode(self):
        """6: 100 full, 2: 100 half, 5: 10 full, 1: 10 half, 0: nothing in common."""
        both = self.anar & self.partner
        for bit, code in ((FULL_100, 6), (HALF_100, 2), (FULL_10, 5), (HALF_10, 1)):
            if both & bit:
                return code
        return 0

    def read(self, register):
        up = self.link()
        if register == 0:
            if self.reset_at >= 0:
                if self.stays_in_reset or self.chip.ms < self.reset_at + 3:
                    return 0x8000
                self.reset_at = -1
                self._power_on()
                self.negotiate()
            value = self.bmcr
            if self.kind == "rtl8201" and up:  # as resolved
                value &= ~0x2100
                value |= (0x2000 if self.mode() & 2 else 0) | (0x100 if self.mode() & 4 else 0)
            return value
        if register == 1:
            value = 0x7809 | (0x20 if up else 0) | (4 if up and not self.latched else 0)
            self.latched = not up
            return value
        if register in (2, 3):
            return IDENTITIES[self.kind][register - 2]
        if register == 4:
            return self.anar
        if register == 5:
            return self.partner if up else 1
        if self.kind == "lan8720" and register == 31:
            return self.mode() << 2 | 0x1000 if up else 0
        if self.kind == "ip101" and register == 30 and self.page == 16:
            return self.mode() | 0x100 if up else 0
        return 0

    def write(self, register, value):
        if register == 0:
            if value & 0x8000:
                self.reset_at = self.chip.ms
                return
            self.bmcr = value & ~0x0200
            if value & 0x1200 == 0x1200:
                self.negotiate()
        elif register == 4:
            self.anar = value
        elif register == (31 if self.kind == "rtl8201" else 20):
            self.page = value


class Pin:
    """An output that switches something of the chip's surroundings."""

    def __init__(self, changed):
        self.changed = changed
        self.level = None

    def value(self, level):
        self.level = level
        self.changed(level)


class Chip:
    """kind, phy_address: of the PHY. clock: 50 MHz come in at GPIO0 (power_pin can switch it).
    mdc, mdio: the GPIOs that the PHY's management bus is soldered to."""

    negotiation_ms = 1500

    def __init__(self, kind="lan8720", phy_address=1, clock=True, mdc=23, mdio=18, base=BASE):
        self.us = 0
        self.base = base
        self.memory = None
        self.clock = clock
        self.power_pin = Pin(self._power)
        self.reset_pin = Pin(self._reset)
        self.mdc, self.mdio = mdc, mdio
        self.registers = {DPORT_WIFI_CLK_EN: 0x7F, DPORT_CORE_RST_EN: RESET_OTHERS}
        self.phy = Phy(kind, phy_address, self)
        self.on_send = None
        self.sent = 0  # frames that left whole
        self.unheard = 0  # sent or delivered while MAC and PHY disagreed, or with no link
        self.filtered = 0
        self.polls = 0  # receive poll demands
        self.tx_failing = 0  # the next so many frames end with a carrier error
        self.underflow = False  # the next frame
        self.frozen = False  # the transmit DMA does nothing any more
        self._busy_until = -1
        self._reset_until = -1
        self._cold()

    def _cold(self):
        """The MAC and its DMA behind a reset."""
        for address in list(self.registers):
            if DMA <= address < EXT or MAC <= address < END:
                del self.registers[address]
        self.rx_current = self.tx_current = 0
        self.dead = False  # a bus error
        self.missed = self.overflowed = 0
        self.tx_suspended = False

    def _power(self, level):
        self.clock = bool(level)

    def _reset(self, level):
        if level:
            self.phy._power_on()
            self.phy.negotiate()

    # The driver's side: what registers.Bus has.

    def address(self, memory):
        self.memory = memory
        return self.base

    def sleep_us(self, us):
        self.us += us

    def ticks_ms(self):
        return self.ms & 0x3FFFFFFF

    @property
    def ms(self):
        return self.us // 1000

    def advance(self, ms):
        self.us += 1000 * ms

    def read(self, address, mask):
        self.us += 1
        if address >= DMA and not self._clocked():
            return 0
        if address == DMA + BUS_MODE and self._reset_until >= 0:
            if self._running_clock() and self.us >= self._reset_until:
                self._reset_until = -1
                self._cold()
        if address == MAC + MII_ADDRESS and 0 <= self._busy_until <= self.us:
            self._busy_until = -1
            self.registers[address] &= ~1
        value = self.registers.get(address, 0)
        if address == DMA + MISSED:
            value = self.missed | self.overflowed << 17
            self.missed = self.overflowed = 0
        return value & mask

    def update(self, address, mask, value):
        self.write(address, (self.read(address, 0xFFFFFFFF) & ~mask) | value)

    def write(self, address, value):
        self.us += 1
        value &= 0xFFFFFFFF
        if address >= DMA and not self._clocked():
            return
        if address == DPORT_CORE_RST_EN and value & 0x80:
            self._cold()
        if address == DMA + STATUS:
            value = self.registers.get(address, 0) & ~(value & 0x1FFFF)
        elif address == MAC + MII_ADDRESS:
            self._manage(value)
        elif address == DMA + BUS_MODE and value & 1:
            self._reset_until = self.us + 50
        elif address == DMA + RX_BASE:
            self.rx_current = value
        elif address == DMA + TX_BASE:
            self.tx_current = value
        elif address == DMA + OPERATION:
            value &= ~(1 << 20)  # a flush is over at once
        self.registers[address] = value
        if address == DMA + TX_POLL:
            self.tx_suspended = False
            self._transmit()
        elif address == DMA + RX_POLL:
            self.polls += 1

    # What has to be right before anything moves.

    def _get(self, address):
        return self.registers.get(address, 0)

    def _clocked(self):
        on = self._get(DPORT_WIFI_CLK_EN) & (1 << 14)
        return on and not self._get(DPORT_CORE_RST_EN) & 0x80

    def _pin(self, offset, function, receives):
        word = self._get(MUX + offset)
        return word >> 12 & 7 == function and (not receives or word & (1 << 9))

    def _running_clock(self):
        """The 50 MHz reach the MAC."""
        chosen = self._get(EXT + 0x0C) >> 13 & 7 == 4 and self._get(EXT + 4) & (1 << 24)
        enabled = self._get(EXT + 8) & 0x23 == 0x21 and not self._get(EXT + 0x10) & 3
        return self.clock and chosen and enabled and self._pin(0x44, 5, True)

    def _managed(self):
        """MDC and MDIO reach the PHY."""
        mdc, mdio = self.mdc, self.mdio
        return (
            self._pin(OFFSETS[mdc], 2, False)
            and self._pin(OFFSETS[mdio], 2, True)
            and self._get(OUT_SEL + 4 * mdc) == 200
            and self._get(OUT_SEL + 4 * mdio) == 201
            and self._get(IN_SEL + 4 * 201) == mdio | 0x80
        )

    def _agree(self):
        """MAC and PHY speak alike, and there is somebody at the other end."""
        config = self._get(MAC + CONFIG)
        mode = self.phy.mode()
        wanted = (1 << 15) | ((1 << 14) if mode & 2 else 0) | ((1 << 11) if mode & 4 else 0)
        return self.phy.link() and config & 0xC800 == wanted and self._running_clock()

    def _manage(self, command):
        self._busy_until = self.us + 34 if self._running_clock() else 1 << 60
        phy, register = command >> 11 & 31, command >> 6 & 31
        here = self._managed() and phy == self.phy.address
        if command & 2:
            if here:
                self.phy.write(register, self._get(MAC + MII_DATA) & 0xFFFF)
        else:
            self.registers[MAC + MII_DATA] = self.phy.read(register) if here else 0xFFFF

    # Memory, as the DMA sees it.

    def _at(self, address, n):
        """Offset in the memory; -1, and the DMA is dead, where it reaches none."""
        at = address - self.base
        if at < 0 or at + n > len(self.memory):
            self._event(13)
            self.dead = True
            return -1
        return at

    def _word(self, address):
        at = self._at(address, 4)
        if at < 0 or address & 3:
            return 0
        m = self.memory
        return m[at] | m[at + 1] << 8 | m[at + 2] << 16 | m[at + 3] << 24

    def _store(self, address, value):
        at = self._at(address, 4)
        if at >= 0:
            for i in range(4):
                self.memory[at + i] = value >> 8 * i & 255

    def _event(self, bit):
        self.registers[DMA + STATUS] = self._get(DMA + STATUS) | 1 << bit

    # Sending.

    def _transmit(self):
        while self._transmit_one():
            pass

    def _transmit_one(self):
        running = self._get(DMA + OPERATION) & (1 << 13) and self._get(MAC + CONFIG) & 8
        if not running or self.dead or self.frozen or self.tx_suspended:
            return False
        at = self.tx_current
        flags = self._word(at)
        if not flags & OWN:
            self._event(2)
            return False
        n = self._word(at + 4) & 0x1FFF
        source = self._at(self._word(at + 8), n)
        if source < 0:
            return False
        assert flags >> 28 & 3 == 3, "one frame, one descriptor"
        frame = bytes(self.memory[source : source + n])
        status = 0
        if self.underflow:
            self.underflow = False
            self.tx_suspended = True
            self._event(5)
            status = 0x8002
        elif self.tx_failing:
            self.tx_failing -= 1
            status = 0x8400
        elif not self._agree() or not self._connected():
            self.unheard += 1
        else:
            self.sent += 1
            if self.on_send:
                self.on_send(frame + bytes(max(0, 60 - n)))
        assert flags & (1 << 20), "chained"
        self.tx_current = self._word(at + 12)
        self._store(at, (flags & ~OWN & ~0x8402) | status)
        return True

    def _connected(self):
        transmits = self._pin(0x74, 5, False) and self._pin(0x7C, 5, False)
        receives = self._pin(0x24, 5, True) and self._pin(0x28, 5, True)
        return transmits and self._pin(0x80, 5, False) and receives and self._pin(0x2C, 5, True)

    # Receiving.

    def _passes(self, frame):
        control = self._get(MAC + FILTER)
        to = bytes(frame[:6])
        if control & 1 or to == BROADCAST:
            return True
        for n in range(8):
            high = self._get(MAC + ADDRESS + 8 * n)
            low = self._get(MAC + ADDRESS + 8 * n + 4)
            address = bytes([low >> 8 * i & 255 for i in range(4)] + [high & 255, high >> 8 & 255])
            if high & OWN and address == to:
                return True
        return bool(to[0] & 1 and control & 0x10)

    def receive(self, frame, status=0):
        """The wire delivers a frame (without FCS). status: error bits of RDES0 (with bit 15) that
        its descriptor shall have. False: filtered, not heard, or no descriptor: counted."""
        if not self._agree() or not self._connected() or not self._get(MAC + CONFIG) & 4:
            self.unheard += 1
            return False
        if not self._passes(frame):
            self.filtered += 1
            return False
        if not self._get(DMA + OPERATION) & 2 or self.dead:
            return False
        data = bytes(frame) + b"\xfc\x5c\xfc\x5c"  # an FCS of some kind
        left = data
        first = True
        while True:
            at = self.rx_current
            if not self._word(at) & OWN:
                self._event(7)
                self.missed += 1
                return False
            size = self._word(at + 4) & 0x1FFF
            piece, left = left[:size], left[size:]
            target = self._at(self._word(at + 8), size)
            if target < 0:
                return False
            self.memory[target : target + len(piece)] = piece
            word = (1 << 9) if first else 0
            if not left:
                word |= 1 << 8 | len(data) << 16 | status
            assert self._word(at + 4) & (1 << 14), "chained"
            self.rx_current = self._word(at + 12)
            self._store(at, word)
            self._event(6)
            if self.dead:
                return False
            first = False
            if not left:
                return True

    # Faults, and the cable.

    def plug(self, partner=EVERYTHING):
        self.phy.partner = partner
        self.phy.negotiate()

    def unplug(self):
        self.phy.partner = 0
        self.phy.latched = True
        self.phy.linked_at = -1

    def bus_error(self):
        self._event(13)
        self.dead = True

    def skip_rx_descriptor(self):
        """The DMA goes on with the next descriptor, and leaves one unfilled."""
        self.rx_current = self._word(self.rx_current + 12)

    def overflow(self, frames):
        """The receive FIFO had no room for so many frames."""
        self.overflowed += frames
        self._event(4)


RESET_OTHERS = 0x100  # a bit of somebody else's in DPORT_CORE_RST_EN: it must stay
OFFSETS = {
    18: 0x70,
    23: 0x8C,
    16: 0x4C,
    17: 0x50,
    32: 0x1C,
    33: 0x20,
}
