"""Long copies by libc's memcpy(3): what smolmp's copy kernel takes two and a half octets a cycle
for, the processor's widest registers do in a third of the time.

A call through ffi costs as much as some thousand octets, so short copies stay what they are. Where
a machine word has 32 bits an address is no small int: it would be allocated at every call, and
nothing is changed.
"""

import sys

import micropython
from micropython import const

from ports.unix import descriptor
from smolmp.storage import kernels

_LONG = const(4096)  # octets

_short = kernels.copy
_memcpy = descriptor.libc.func("v", "memcpy", "ppL") if descriptor.ffi else None


@micropython.viper
def copy(d, k: int, s, soff: int, n: int):
    """storage.kernels.copy: src[soff:soff + n] to dst[doff:]; the caller proves both."""
    if n < _LONG:
        _short(d, k, s, soff, n)
    else:
        _memcpy(int(ptr8(d)) + k, int(ptr8(s)) + soff, n)


def install() -> bool:
    """Put it in the place of the ring buffers' own. False: not on this interpreter."""
    if _memcpy is None or sys.maxsize < 1 << 32:
        return False
    kernels.copy = copy
    return True
