"""Boards with an ESP32, S2, S3 or C3 and Ethernet, and how they are wired. Each function gives
the Device.

    from ports.esp32 import boards

    device = boards.t_eth_lite_s3()
    device = boards.w5500(sck=18, mosi=23, miso=19, cs=5, int=4, spi=2)  # any module
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


# A W5500 on a SPI. Its interrupt (`int`) spares a question per poll, and wakes the processor; its
# reset (`rst`) helps a chip that hangs. Either may be None: not connected.


def w5500(
    mac=None,
    sck=18,
    mosi=23,
    miso=19,
    cs=5,
    rst=None,
    int=None,
    spi=1,
    baudrate=20_000_000,
    **more,
):
    """Any W5500. spi: 1 is there on every chip, 2 on ESP32, S2 and S3.

    baudrate: 80 MHz divided by a whole number. 20 MHz is what jumper wires carry; 26.7 is the most
    at which an ESP32 reads through its GPIO matrix; the W5500 bears 33.3.
    """
    from smolmp.phy.w5500 import W5500, SpiBus

    pin = machine.Pin
    select = pin(cs, pin.OUT, value=1)
    pins = {"sck": pin(sck), "mosi": pin(mosi), "miso": pin(miso)}
    bus = SpiBus(machine.SPI(spi, baudrate=baudrate, polarity=0, phase=0, **pins), select)
    if rst is not None:
        rst = pin(rst, pin.OUT, value=1)
    if int is not None:
        # GPIO34 to 39 of the original ESP32 have no pull-up; the chip drives INT both ways anyway.
        int = pin(int, pin.IN) if 34 <= int <= 39 else pin(int, pin.IN, pin.PULL_UP)
    return W5500(bus, mac or hardware_addr(), rst=rst, int=int, **more)


def esp32(mac=None, **more):
    """An ESP32 and a module at the pins of its VSPI: SCK 18, MOSI 23, MISO 19, CS 5."""
    return w5500(mac, sck=18, mosi=23, miso=19, cs=5, spi=2, **more)


def esp32_s2_s3(mac=None, **more):
    """An ESP32-S2 or -S3 and a module at the pins of FSPI: SCK 12, MOSI 11, MISO 13, CS 10."""
    return w5500(mac, sck=12, mosi=11, miso=13, cs=10, **more)


def esp32_c3(mac=None, **more):
    """An ESP32-C3 and a module at the pins of FSPI: SCK 6, MOSI 7, MISO 2, CS 10."""
    return w5500(mac, sck=6, mosi=7, miso=2, cs=10, **more)


def t_eth_lite_s3(mac=None, **more):
    """LilyGO T-ETH-Lite with an ESP32-S3 (LilyGO-T-ETH-Series, utilities.h)."""
    return w5500(mac, sck=10, mosi=12, miso=11, cs=9, rst=14, int=13, **more)


def t_lite_w5500(mac=None, **more):
    """LilyGO TTGO T-Lite W5500, an ESP32 (ESP3D's page of it)."""
    return w5500(mac, sck=18, mosi=19, miso=23, cs=5, rst=4, **more)


def esp32_s3_eth(mac=None, **more):
    """Waveshare ESP32-S3-ETH (its schematic)."""
    return w5500(mac, sck=13, mosi=11, miso=12, cs=14, rst=9, int=10, **more)


def m5_atom_poe(mac=None, **more):
    """M5Stack Atom on the AtomPoE base (Nuki Hub's table)."""
    return w5500(mac, sck=22, mosi=33, miso=23, cs=19, **more)


def m5_atoms3_poe(mac=None, **more):
    """M5Stack AtomS3 on the AtomPoE base (Nuki Hub's table)."""
    return w5500(mac, sck=5, mosi=8, miso=7, cs=6, **more)


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
