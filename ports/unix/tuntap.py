"""Tap and Tun: Linux's virtual network devices, opened through ffi.

The device is created when it does not exist (root, or a user namespace: `unshare -rn`); its
kernel end wants an address and `ip link set NAME up` from whoever owns the machine.  Without ffi
a launcher opens the device and the program takes the descriptor: see Descriptor.
"""

import struct

from micropython import const

from ports.unix import awake, descriptor
from ports.unix.descriptor import Descriptor

_ETHERNET = const(1)
_IP = const(2)

_O_RDWR_NONBLOCK = const(0o4002)
_TUNSETIFF = 0x400454CA
_IFF_TUN = const(1)
_IFF_TAP = const(2)
_IFF_NO_PI = const(0x1000)


def open_device(name, flags) -> int:
    """A descriptor of the TUN or TAP `name`; flags: IFF_TAP and so on (linux/if_tun.h)."""
    if descriptor.ffi is None:
        raise OSError(
            "this MicroPython has no ffi to open %s with: inherit a descriptor (--fd) or use"
            " Debian's micropython" % name
        )
    if not 0 < len(name) < 16:
        raise ValueError("a device name has 1 to 15 characters")
    fd = descriptor.c_open("/dev/net/tun", _O_RDWR_NONBLOCK)
    if fd < 0:
        descriptor.raise_errno("/dev/net/tun")
    request = bytearray(40)
    request[: len(name)] = name.encode()
    struct.pack_into("H", request, 16, flags)
    if descriptor.c_ioctl(fd, _TUNSETIFF, request) < 0:
        try:
            descriptor.raise_errno(name)
        finally:
            descriptor.c_close(fd)
    return fd


class Tap(Descriptor):
    """An Ethernet device: `Tap("tap0")`.  mtu None: what the kernel's end has."""

    def __init__(self, name="tap0", mtu=None, batch=None, longest=awake.LONGEST):
        fd = open_device(name, _IFF_TAP | _IFF_NO_PI)
        super().__init__(fd, _ETHERNET, mtu or descriptor.device_mtu(name), batch, longest)
        self.name = name


class Tun(Descriptor):
    """A device of bare IP packets: `Tun("tun0")`."""

    def __init__(self, name="tun0", mtu=None, batch=None, longest=awake.LONGEST):
        fd = open_device(name, _IFF_TUN | _IFF_NO_PI)
        super().__init__(fd, _IP, mtu or descriptor.device_mtu(name), batch, longest)
        self.name = name
