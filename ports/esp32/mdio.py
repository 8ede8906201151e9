"""MDIO and the PHY behind it (IEEE 802.3 clause 22): identity, reset, auto-negotiation, link.

LAN8720 (and its family), IP101 and RTL8201 tell the mode they resolved in registers of their own;
any other PHY is asked by the book: the best of what both ends advertise.
Registers and identifiers: the data sheets, and esp-idf's components/esp_eth/src/phy.
"""

import errno

from micropython import const

from ports.esp32.registers import MAC_MII_ADDRESS, MAC_MII_DATA, MII_BUSY, MII_WRITE

_BMCR = const(0)
_BMSR = const(1)
_PHYID1 = const(2)
_PHYID2 = const(3)
_ANAR = const(4)
_ANLPAR = const(5)
_BMCR_RESET = const(0x8000)
_BMCR_100 = const(0x2000)
_BMCR_NEGOTIATE = const(0x1000)
_BMCR_RESTART = const(0x0200)
_BMCR_DUPLEX = const(0x0100)
_BMSR_LINK = const(0x0004)
_ABILITIES = const(0x01E1)  # 100 and 10 Mbit/s, full and half duplex; IEEE 802.3
_FULL_100 = const(0x0100)
_HALF_100 = const(0x0080)
_FULL_10 = const(0x0040)
_HALF_10 = const(0x0020)

_CLOCK_42 = const(0)  # MDC is the APB's 80 MHz / 42 = 1.9 MHz

# PHYID1 and PHYID2 without the revision.
_LAN8720 = const(0x0007C0F)
_LAN8740 = const(0x0007C11)
_LAN8741 = const(0x0007C12)
_LAN8742 = const(0x0007C13)
_IP101 = const(0x02430C5)
_RTL8201 = const(0x001CC81)
_NAMES = {
    _LAN8720: "LAN8720",
    _LAN8740: "LAN8740",
    _LAN8741: "LAN8741",
    _LAN8742: "LAN8742",
    _IP101: "IP101",
    _RTL8201: "RTL8201",
}
_LAN87XX = (_LAN8720, _LAN8740, _LAN8741, _LAN8742)
_LAN87XX_STATUS = const(31)  # PSCSR: bits 4:2
_IP101_PAGE = const(20)
_IP101_STATUS = const(30)  # on page 16: bits 2:0
_RTL8201_PAGE = const(31)
# Their code of the mode: bit 2 full duplex, then 1: 10 Mbit/s, 2: 100 Mbit/s.

_RESET_MS = const(500)  # IEEE 802.3 22.2.4.1.1


class Mdio:
    """The management bus, driven by the MAC."""

    def __init__(self, bus):
        self._bus = bus

    def read(self, phy: int, register: int) -> int:
        """A PHY's register; 0xFFFF where nobody answers. OSError: the bus hangs."""
        self._do(phy << 11 | register << 6 | _CLOCK_42 << 2 | MII_BUSY)
        return self._bus.read(MAC_MII_DATA, 0xFFFF)

    def write(self, phy: int, register: int, value: int):
        self._bus.write(MAC_MII_DATA, value)
        self._do(phy << 11 | register << 6 | _CLOCK_42 << 2 | MII_WRITE | MII_BUSY)

    def _do(self, command):
        bus = self._bus
        bus.write(MAC_MII_ADDRESS, command)
        for _ in range(100):  # 64 bits take 34 us
            if not bus.read(MAC_MII_ADDRESS, MII_BUSY):
                return
            bus.sleep_us(10)
        raise OSError(
            errno.ETIMEDOUT,
            "the MAC's MDIO stays busy: is its clock on (50 MHz at GPIO0)?",
        )


class Phy:
    """The PHY at `address`; None: the first one that answers.

    name, id: what it is. speed: 10 or 100, full_duplex: as far as update() knows.
    OSError: nobody answers.
    """

    def __init__(self, bus, address=None):
        self._bus = bus
        self._mdio = Mdio(bus)
        self.address = self._find() if address is None else address
        first = self._read(_PHYID1)
        if first == 0xFFFF or first == 0:
            raise OSError(
                errno.ENODEV,
                "no PHY at MDIO address %d: PHYID1 is 0x%04x. Look at mdc, mdio, the PHY's"
                " address, its power and reset pins" % (self.address, first),
            )
        self.id = first << 16 | self._read(_PHYID2)
        self._model = self.id >> 4
        self.name = _NAMES.get(self._model, "PHY")
        self.speed = 0
        self.full_duplex = False

    def _read(self, register):
        return self._mdio.read(self.address, register)

    def _write(self, register, value):
        self._mdio.write(self.address, register, value)

    def _find(self):
        for _ in range(3):
            for address in range(32):
                if self._mdio.read(address, _PHYID1) not in (0, 0xFFFF):
                    return address
            self._bus.sleep_us(1000)
        raise OSError(
            errno.ENODEV,
            "no PHY answers at any MDIO address: look at mdc, mdio, its power and reset pins",
        )

    def reset(self):
        """Its registers as after power-on, then it negotiates all that it can do."""
        bus = self._bus
        self._write(_BMCR, _BMCR_RESET)
        ms = 0
        while self._read(_BMCR) & _BMCR_RESET:
            if ms >= _RESET_MS:
                raise OSError(errno.ETIMEDOUT, "the %s stays in reset" % self.name)
            bus.sleep_us(1000)
            ms += 1
        # A reset leaves the LAN8720 advertising what its straps say, which may be less.
        self._write(_ANAR, _ABILITIES)
        self._write(_BMCR, _BMCR_NEGOTIATE | _BMCR_RESTART)

    def update(self) -> int:
        """0: the link is down; 1: it is up, as it was; 2: it is up and was not, or was down in
        between: speed and full_duplex are new."""
        before = self.speed
        status = self._read(_BMSR)
        if not status & _BMSR_LINK:  # it may be of the past: the bit stays low until it is read
            before = self.speed = 0
            status = self._read(_BMSR)
        if not status & _BMSR_LINK:
            self.speed = 0
            return 0
        if before:
            return 1
        self._resolve()
        return 2 if self.speed else 0

    def _resolve(self):
        if self._model in _LAN87XX:
            code = self._read(_LAN87XX_STATUS) >> 2 & 7
        elif self._model == _IP101:
            self._write(_IP101_PAGE, 16)
            code = self._read(_IP101_STATUS) & 7
        elif self._model == _RTL8201:
            self._write(_RTL8201_PAGE, 0)
            control = self._read(_BMCR)
            code = 2 if control & _BMCR_100 else 1
            if control & _BMCR_DUPLEX:
                code |= 4
        else:
            code = self._common()
        if not code & 3 or code & 3 == 3:
            code = self._common()
        self.speed = (0, 10, 100, 0)[code & 3]
        self.full_duplex = bool(code & 4)

    def _common(self):
        """IEEE 802.3 annex 28B.3: the best that both advertise."""
        both = self._read(_ANAR) & self._read(_ANLPAR)
        if both & _FULL_100:
            return 6
        if both & _HALF_100:
            return 2
        if both & _FULL_10:
            return 5
        return 1 if both & _HALF_10 else 0
