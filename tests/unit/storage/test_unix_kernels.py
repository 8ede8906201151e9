# ports/unix/kernels.py: long copies by memcpy, where there is one to call.
# targets: unix64 unix32 unix64-wheel
import sys

import micropython

from ports.unix import descriptor, kernels
from smolmp.storage import kernels as storage
from smolmp.storage.ring import RingBuffer


def test_installed_where_it_can_be():
    before = storage.copy
    wide = sys.maxsize > 1 << 32
    assert kernels.install() is bool(descriptor.ffi and wide)
    assert (storage.copy is kernels.copy) or storage.copy is before
    assert kernels.install() is bool(descriptor.ffi and wide)  # once more does no harm


def test_every_length_and_place():
    kernels.install()
    source = bytes([(i * 7) & 255 for i in range(256)]) * 40
    for n in (0, 1, 63, 4095, 4096, 4097, 9999):
        for k in range(4):
            for soff in range(3):
                target = bytearray(10010)
                storage.copy(target, k, source, soff, n)
                assert target[k : k + n] == source[soff : soff + n], (n, k, soff)
                assert not any(target[:k]) and not any(target[k + n :])
                view = memoryview(bytearray(10010))[3:]
                storage.copy(view, k, memoryview(source)[5:], soff, n)
                assert view[k : k + n] == source[5 + soff : 5 + soff + n]
                assert not any(view[:k]) and not any(view[k + n :])


def test_ring_that_wraps_allocates_nothing():
    kernels.install()
    ring = RingBuffer(bytearray(10001))
    data = bytes([(i * 5) & 255 for i in range(256)]) * 40
    got = bytearray(9000)
    for i in range(60):
        micropython.heap_lock()
        try:
            n = ring.write(data, i, 9000)
            m = ring.read_into(got, 0, 9000)
        finally:
            micropython.heap_unlock()
        assert n == m == 9000 and got == data[i : i + 9000]
