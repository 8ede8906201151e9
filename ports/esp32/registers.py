"""The original ESP32's Ethernet MAC: its registers, and the bus by which the driver reaches them.

Addresses and bits are those of Espressif's headers (esp-idf, components/soc/esp32: dport_reg.h,
io_mux_reg.h, gpio_reg.h, gpio_sig_map.h, emac_ext_struct.h, emac_dma_struct.h, emac_mac_struct.h)
and of the ESP32 Technical Reference Manual, chapter "Ethernet Media Access Controller". The core
is Synopsys's DesignWare GMAC, as on many other chips.

All addresses here and all internal RAM that the MAC's DMA reaches lie below 0x40000000, so that
they are small integers on a board.
"""

import time

import micropython
from micropython import const

# DPORT: what is clocked and what is in reset.
DPORT_WIFI_CLK_EN = const(0x3FF000CC)  # shared with Wi-Fi and Bluetooth
DPORT_CORE_RST_EN = const(0x3FF000D0)
CLK_EMAC = const(1 << 14)
RST_EMAC = const(1 << 7)

# IO_MUX, one word per pin; the GPIO matrix.
IO_MUX = const(0x3FF49000)
MUX_INPUT = const(1 << 9)  # FUN_IE
MUX_FUNCTION = const(7 << 12)  # MCU_SEL
MUX_EMAC = const(5 << 12)
MUX_GPIO = const(2 << 12)
MUX_AT = {  # GPIO: offset of its word
    0: 0x44,
    2: 0x40,
    4: 0x48,
    5: 0x6C,
    12: 0x34,
    13: 0x38,
    14: 0x30,
    15: 0x3C,
    16: 0x4C,
    17: 0x50,
    18: 0x70,
    19: 0x74,
    21: 0x7C,
    22: 0x80,
    23: 0x8C,
    25: 0x24,
    26: 0x28,
    27: 0x2C,
    32: 0x1C,
    33: 0x20,
}
GPIO_IN_SEL = const(0x3FF44130)  # + 4 * signal
GPIO_OUT_SEL = const(0x3FF44530)  # + 4 * pin; the peripheral drives the output enable
GPIO_IN_SEL_MATRIX = const(1 << 7)
SIGNAL_MDC = const(200)
SIGNAL_MDIO = const(201)
# RMII's pins are fixed (IO_MUX function 5).
RMII_OUTPUTS = (19, 21, 22)  # TXD0, TX_EN, TXD1
RMII_INPUTS = (25, 26, 27)  # RXD0, RXD1, CRS_DV
RMII_CLOCK = const(0)  # REF_CLK, 50 MHz, an input

# EMAC_EXT: clocks and interface of the MAC.
EXT_OSCCLK_CONF = const(0x3FF69804)
EXT_CLK_CTRL = const(0x3FF69808)
EXT_PHYINF_CONF = const(0x3FF6980C)
EXT_PD_SEL = const(0x3FF69810)
OSCCLK_EXTERNAL = const(1 << 24)
CLK_CTRL_EXT_EN = const(1)
CLK_CTRL_INT_EN = const(2)
CLK_CTRL_TX_EN = const(8)
CLK_CTRL_RX_EN = const(16)
CLK_CTRL_EN = const(32)
PHYINF_SELECT = const(7 << 13)
PHYINF_RMII = const(4 << 13)

# EMAC_DMA.
DMA_BUS_MODE = const(0x3FF69000)
DMA_TX_POLL = const(0x3FF69004)  # any write: look at the next descriptor again
DMA_RX_POLL = const(0x3FF69008)
DMA_RX_BASE = const(0x3FF6900C)
DMA_TX_BASE = const(0x3FF69010)
DMA_STATUS = const(0x3FF69014)
DMA_OPERATION = const(0x3FF69018)
DMA_INTERRUPTS = const(0x3FF6901C)
DMA_MISSED = const(0x3FF69020)  # cleared by reading it
BUS_RESET = const(1)
BUS_ALTERNATE = const(1 << 7)  # descriptors of 8 words
BUS_BURST_32 = const(32 << 8)
BUS_ALIGNED = const(1 << 25)
BUS_MIXED = const(1 << 26)
STATUS_JABBER = const(1 << 3)
STATUS_RX_OVERFLOW = const(1 << 4)
STATUS_TX_UNDERFLOW = const(1 << 5)
STATUS_RX_STARVED = const(1 << 7)  # receive buffer unavailable
STATUS_BUS_ERROR = const(1 << 13)
STATUS_EVENTS = const(0x1FFFF)  # written as 1 they are cleared
OPERATION_RX = const(1 << 1)
OPERATION_SECOND = const(1 << 2)  # fetch the next frame before the status of this one is there
OPERATION_TX = const(1 << 13)
OPERATION_FLUSH = const(1 << 20)
OPERATION_RX_WHOLE = const(1 << 25)  # receive store and forward

# EMAC_MAC.
MAC_CONFIG = const(0x3FF6A000)
MAC_FILTER = const(0x3FF6A004)
MAC_MII_ADDRESS = const(0x3FF6A010)
MAC_MII_DATA = const(0x3FF6A014)
MAC_FLOW = const(0x3FF6A018)
MAC_INTERRUPT_MASK = const(0x3FF6A03C)
MAC_ADDRESS = const(0x3FF6A040)  # + 8 * n: high, low of address n
MAC_ADDRESSES = const(8)  # 0 is ours, 1..7 are filters
CONFIG_RX = const(1 << 2)
CONFIG_TX = const(1 << 3)
CONFIG_DUPLEX = const(1 << 11)
CONFIG_100 = const(1 << 14)
CONFIG_MII = const(1 << 15)
FILTER_PROMISCUOUS = const(1)
FILTER_ALL_MULTICAST = const(1 << 4)
MII_BUSY = const(1)
MII_WRITE = const(2)

# What DMA reaches (soc.h: SOC_DMA_LOW and, below 2**30, the last octet before SOC_DMA_HIGH).
DMA_RAM_FIRST = const(0x3FFAE000)
DMA_RAM_LAST = const(0x3FFFFFFF)


class Bus:
    """The chip's own bus. The driver knows no other way to registers, time and addresses, so that
    a test can put a model of the chip here."""

    @staticmethod
    @micropython.viper
    def read(address: int, mask: int) -> int:
        """The register's bits under `mask`; a mask below 2**30 keeps it from allocating."""
        return ptr32(address)[0] & mask

    @staticmethod
    @micropython.viper
    def write(address: int, value: int):
        ptr32(address)[0] = value

    @staticmethod
    @micropython.viper
    def update(address: int, mask: int, value: int):
        """The bits under `mask` become those of `value`, the others stay."""
        p = ptr32(address)
        p[0] = (p[0] & ~mask) | value

    @staticmethod
    def address(memory) -> int:
        """Where a buffer lies; it stays there as long as it is referred to."""
        import uctypes

        return uctypes.addressof(memory)

    @staticmethod
    def sleep_us(us: int):
        time.sleep_us(us)

    @staticmethod
    def ticks_ms() -> int:
        return time.ticks_ms()


def enable(bus):
    """Clock on, a reset, RMII with the 50 MHz that come in at GPIO0. What stands in DPORT belongs
    to Wi-Fi, too: a change of theirs between our reading and writing would be lost, so this is
    done once, at set-up (and before Wi-Fi is switched on)."""
    _settled(bus, DPORT_WIFI_CLK_EN, CLK_EMAC)
    bus.update(DPORT_WIFI_CLK_EN, CLK_EMAC, CLK_EMAC)
    bus.update(DPORT_CORE_RST_EN, RST_EMAC, RST_EMAC)
    bus.update(DPORT_CORE_RST_EN, RST_EMAC, 0)
    bus.update(EXT_PHYINF_CONF, PHYINF_SELECT, PHYINF_RMII)
    bus.update(EXT_OSCCLK_CONF, OSCCLK_EXTERNAL, OSCCLK_EXTERNAL)
    on = CLK_CTRL_EXT_EN | CLK_CTRL_TX_EN | CLK_CTRL_RX_EN | CLK_CTRL_EN
    bus.update(EXT_CLK_CTRL, on | CLK_CTRL_INT_EN, on)
    bus.write(EXT_PD_SEL, 0)  # its memories are powered


def _settled(bus, address, mask):
    """Chips before revision 3 may misread DPORT while the other core reads elsewhere (errata
    CPU-3.10): read until twice the same comes."""
    before = bus.read(address, mask)
    for _ in range(10):
        now = bus.read(address, mask)
        if now == before:
            return
        before = now


def connect_pins(bus, mdc, mdio):
    """RMII's fixed pins to the MAC, and its management bus to `mdc` and `mdio` (GPIO numbers)."""
    for pin in RMII_OUTPUTS:
        bus.update(IO_MUX + MUX_AT[pin], MUX_FUNCTION, MUX_EMAC)
    for pin in RMII_INPUTS + (RMII_CLOCK,):
        bus.update(IO_MUX + MUX_AT[pin], MUX_FUNCTION | MUX_INPUT, MUX_EMAC | MUX_INPUT)
    bus.update(IO_MUX + MUX_AT[mdc], MUX_FUNCTION, MUX_GPIO)
    bus.write(GPIO_OUT_SEL + 4 * mdc, SIGNAL_MDC)
    bus.update(IO_MUX + MUX_AT[mdio], MUX_FUNCTION | MUX_INPUT, MUX_GPIO | MUX_INPUT)
    bus.write(GPIO_OUT_SEL + 4 * mdio, SIGNAL_MDIO)
    bus.write(GPIO_IN_SEL + 4 * SIGNAL_MDIO, mdio | GPIO_IN_SEL_MATRIX)
