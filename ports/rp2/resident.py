"""smolmp's functions and classes in flash, as they are once imported: what a TCP server's imports
take of the heap is then a sixth of what it is in firmware with smolmp frozen in.

    from ports.rp2 import resident
    resident.begin()            # at every start, before the other imports; True: it is so
    import smolmp.iface ...

For firmware that `make setup-rp2` built (build/rp2/pico.uf2): tools/rp2/snapshot.py tells what may
be in flash and what cannot, and has put it there.

What one must know: a module in flash cannot be changed. To store into one, or into a class of it,
raises AttributeError; packages can be stored into, and what smolmp itself changes. And flash is
slower than RAM: this costs a program 3 to 7 % of its speed. ports/rp2/hot.py still helps, by the
code of functions: those that it knows have their objects in RAM.

From 0x100B0000 on is what the tools wrote: a magic number; the firmware's identity; the address
of the structure in the firmware with the same identity (tools/rp2/firmware/resident.c); that of a
tuple; how many words, behind this head, belong to the firmware's places in RAM; and the address of
the first place behind those. The tuple has a pair for each of begin()'s two ways: of what changes,
copies go to the places; and the modules.
"""

import sys

import micropython
from micropython import const

_HEAD = const(16)  # octets of a dict or a list: their type, and where all else is


@micropython.viper
def _find(root: int) -> int:
    """Write the address of the image's tuple to `root`; the address of the first place. 0: there
    is no image, or it is not this firmware's."""
    image = ptr32(0x100B0000)
    if image[0] != 0x314F4D53 or image[1] != 0x31534552:
        return 0
    firmware = ptr32(image[4])
    if image[2] != firmware[2] or image[3] != firmware[3]:
        return 0
    ptr32(root)[0] = image[5]
    return image[7]


@micropython.viper
def _fill():
    """What is to be in RAM from the beginning."""
    image = ptr32(0x100B0000)
    firmware = ptr32(image[4])
    to = ptr32(firmware[4])
    n = image[6]
    i = 0
    while i < n:
        to[i] = image[i + 8]
        i += 1


@micropython.viper
def _copy(source: int, to: int):
    a = ptr32(source)
    b = ptr32(to)
    i = 0
    while i < 4:
        b[i] = a[i]
        i += 1


@micropython.viper
def _items(a_list: int) -> int:
    return ptr32(a_list)[3]


def begin(net=False) -> bool:
    """Have smolmp's modules in flash: what a TCP server needs, and with `net` smolmp.net beside,
    which brings UDP, DHCP and DNS. False: this firmware has none, or other modules than these are
    imported already; everything is imported as ever then."""
    root = [None]
    place = _find(_items(id(root)))
    if not place:
        return False
    groups = root[0]
    changing, modules = groups[1 if net else 0]  # type: ignore[index]
    if "smolmp" in sys.modules:
        return all(sys.modules.get(name) is modules[name] for name in modules)
    _fill()
    for prototype in changing:
        if isinstance(prototype, dict):
            copy = prototype.copy()
        else:
            copy = list(prototype) if isinstance(prototype, tuple) else prototype[:]
        _copy(id(copy), place)
        place += _HEAD
    sys.modules.update(modules)
    return True
