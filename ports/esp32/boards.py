"""Boards with an ESP32 and Ethernet, and how they are wired. Each function gives the Device.

    from ports.esp32 import boards

    device = boards.wt32_eth01()                            # the chip's own MAC: experimental
    mac = boards.hardware_addr()
    iface = Interface(device, hardware_addr=mac, ip_addrs=("192.168.69.1/24",))

Pins are GPIO numbers, from what makers and others published (named at each); nothing was tried
here. mac: text, None: hardware_addr(). more: what else the driver takes.
"""

import machine


def hardware_addr() -> str:
    """A locally administered address of this chip's: its own number with bit 1 of the first octet
    set (IEEE 802). What Espressif gives to its interfaces is left to them."""
    octets = bytearray(machine.unique_id()[:6])
    octets[0] = (octets[0] | 2) & 0xFE
    return ":".join(["%02x" % octet for octet in octets])


# The original ESP32's own MAC (emac.py): EXPERIMENTAL, not run on hardware. Only boards that feed
# 50 MHz into GPIO0: where the ESP32 itself makes the PHY's clock (Olimex ESP32-POE and -GATEWAY,
# LilyGO T-Internet-POE, T-POE-Pro, T-INTER-COM), by a PLL out of MicroPython's reach, it is
# network.LAN that works.


def emac(mac=None, power=None, rst=None, **more):
    """Any board of that kind. power, rst: GPIOs that switch the PHY or its oscillator on (high)
    and reset it (low); None: there are none. more: phy (its MDIO address, None: look for it), mdc,
    mdio: Emac's."""
    from ports.esp32.emac import Emac

    pin = machine.Pin
    if power is not None:
        power = pin(power, pin.OUT, value=1)
    if rst is not None:
        rst = pin(rst, pin.OUT, value=1)
    return Emac(mac or hardware_addr(), power=power, reset=rst, **more)


def wt32_eth01(mac=None, **more):
    """Wireless-Tag WT32-ETH01: LAN8720 at 1, its oscillator enabled by GPIO16 (WLED, ESPHome)."""
    return emac(mac, phy=1, power=16, **more)


def wesp32(mac=None, **more):
    """Silicognition wESP32: LAN8720, from revision 7 on RTL8201, at 0 (WLED)."""
    return emac(mac, phy=0, mdc=16, mdio=17, **more)


def t_eth_lite(mac=None, **more):
    """LilyGO T-ETH-Lite with an ESP32: RTL8201 at 0 (LilyGO-T-ETH-Series, utilities.h). Its module
    has PSRAM: firmware without support for that is needed, see emac.py."""
    return emac(mac, phy=0, power=12, **more)


def esp32_ethernet_kit(mac=None, **more):
    """Espressif ESP32-Ethernet-Kit 1.1 and 1.2: IP101 at 1, reset by GPIO5 (esp-idf's guide). Its
    module has PSRAM, as above."""
    return emac(mac, phy=1, rst=5, **more)
