"""What the examples run on: ethernet() gives the Device of this machine, whatever it is.

Copy it beside an example (`mpremote cp examples/board.py :`, smolmp below /lib), and change it
to what your board is: ports/rp2/boards.py and ports/esp32/boards.py have more. Under Linux it is
the TAP tap0, as `tools/netlab.py shell` makes it.
"""

import sys

if sys.platform == "linux":
    sys.path.insert(1, (sys.path[0] or ".") + "/..")  # smolmp is in the folder above
elif sys.platform == "rp2":
    try:
        from ports.rp2 import inplace

        inplace.begin()  # .mpy files run from the flash, where tools/flash.py has prepared that
    except ImportError:
        from ports.rp2 import resident  # smolmp is in the firmware

        resident.begin(True)


def ethernet():
    """The network interface of this machine. Where a chip filters addresses, it is told the one
    that Net will have."""
    if sys.platform == "linux":
        from ports.unix.tuntap import Tap

        return Tap("tap0")
    if sys.platform == "rp2":
        from ports.rp2 import boards
        from smolmp.net import names
        from smolmp.wire.address import format_mac

        return boards.w5500_evb_pico(format_mac(names.hardware_addr()))
    from ports.esp32 import boards as esp32
    from smolmp.net import names
    from smolmp.wire.address import format_mac

    return esp32.w5500(format_mac(names.hardware_addr()))
