# The bus itself, on memory of ours where registers would be: what the model stands in for.
# targets: unix64 unix32 unix64-wheel
from array import array

import micropython

from ports.esp32 import registers
from ports.esp32.registers import Bus


def test_reads_and_writes_words_at_addresses():
    words = array("I", [0x12345678, 0, 0xFFFFFFFF])
    bus = Bus()
    at = bus.address(words)
    assert bus.read(at, 0xFFFF) == 0x5678 and bus.read(at + 8, 1 << 29) == 1 << 29
    bus.write(at + 4, 0x80000100)
    assert words[1] == 0x80000100
    bus.write(at + 4, 1 << 31 | 0xFFFF)
    assert words[1] == 0x8000FFFF and words[0] == 0x12345678 and words[2] == 0xFFFFFFFF


def test_updates_only_what_it_should():
    words = array("I", [0xF0F0F0F0])
    bus = Bus()
    at = bus.address(words)
    bus.update(at, 0xFF00, 0x1200)
    assert words[0] == 0xF0F012F0
    bus.update(at, 1 << 14, 1 << 14)
    assert words[0] == 0xF0F052F0
    bus.update(at, 1 << 24 | 1, 0)
    assert words[0] == 0xF0F052F0 & ~(1 << 24 | 1)


def test_what_the_driver_asks_in_a_poll_allocates_nothing():
    words = array("I", [0xFFFFFFFF, 0])
    bus = Bus()
    at = bus.address(words)
    other = at + 4  # a large integer here, a small one on the chip
    write = bus.write
    micropython.heap_lock()
    try:
        for _ in range(10):
            write(other, 0)
            bus.read(at, registers.STATUS_EVENTS)
            bus.read(at, 0x0FFFFFFF)
            bus.update(at, 0xFF, 1)
    finally:
        micropython.heap_unlock()


def test_every_address_is_a_small_integer_on_a_board():
    for name in dir(registers):
        value = getattr(registers, name)
        if isinstance(value, int):
            assert value < 1 << 30, name


def test_time():
    bus = Bus()
    before = bus.ticks_ms()
    bus.sleep_us(3000)
    assert 2 <= (bus.ticks_ms() - before) & 0x3FFFFFFF < 1000
