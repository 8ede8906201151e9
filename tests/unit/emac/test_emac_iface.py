# An Interface on an Emac, and another one at the other end of the model's wire: ping and TCP.
# targets: unix64 unix32 unix64-wheel shim
import micropython
from emac_support import MAC
from support import OUR_MAC, arp
from talk_support import Pair

from ports.esp32.emac import Emac
from smolmp.phy.device import ETHERNET
from smolmp.phy.queue import PacketQueue
from smolmp.prng import Random
from tests.models.esp32_emac import FULL_10, Chip

FAR_MAC = "02:00:00:00:00:02"
DATA = bytes([(i * 7 + (i >> 8)) & 255 for i in range(10000)])


def joined(near, far):
    """What one chip sends the other one hears."""
    near.on_send = far.receive
    far.on_send = near.receive


def two_chips(kind="lan8720", partner=0x1E1, **options):
    """(pair, chips): two hosts whose cable is plugged in after the interfaces are made."""
    chips = Chip(kind), Chip("rtl8201", phy_address=0)
    drivers = Emac(MAC, bus=chips[0], **options), Emac(FAR_MAC, bus=chips[1], **options)

    def pass_time():
        for chip in chips:
            chip.advance(1)

    pair = Pair(drivers[0], drivers[1], pass_time)
    joined(chips[0], chips[1])
    chips[0].plug(partner)
    chips[1].plug(partner)
    pair.until(lambda: drivers[0].link() and drivers[1].link())
    return pair, chips, drivers


def test_ping_and_tcp_between_two_of_them():
    pair, chips, drivers = two_chips()
    assert pair.ping((0, 56, 1472)) == 3
    assert pair.echo(DATA) == DATA
    for driver in drivers:
        assert (driver.dropped, driver.rx_errors, driver.tx_errors, driver.restarts) == (
            0,
            0,
            0,
            0,
        )
    assert "up, 100 Mbit/s" in repr(drivers[0])


def test_at_10_mbit_with_small_rings():
    pair, chips, drivers = two_chips("ip101", FULL_10, rx=2, tx=2)
    assert drivers[1].phy.speed == 10
    assert pair.echo(DATA) == DATA
    assert pair.ping((1472,) * 5) == 5


def test_with_any_other_device():
    """Frames come and go through a PacketQueue: the other interface knows nothing of a MAC."""
    chip = Chip()
    driver = Emac(MAC, bus=chip)
    queue = PacketQueue(ETHERNET, 1500, frames=16)
    chip.on_send = queue.inject

    def carry():
        chip.advance(1)
        frame = queue.take()
        while frame is not None:
            chip.receive(frame)
            frame = queue.take()

    pair = Pair(driver, queue, carry)
    chip.plug()
    pair.until(driver.link)
    assert pair.ping() == 3 and pair.echo(DATA) == DATA


def test_tcp_survives_what_the_hardware_does():
    pair, chips, drivers = two_chips()
    random = Random(3)
    pair.step = 50
    for chip in chips:
        chip.negotiation_ms = 200
    faults = 0

    def disturb():
        nonlocal faults
        for chip in chips:
            chip.advance(50)
        if random.bits(5):
            return
        chip = chips[random.bits(1)]
        kind = faults % 6
        faults += 1
        if kind == 0:
            chip.bus_error()
        elif kind == 1:
            chip.skip_rx_descriptor()
        elif kind == 2:
            chip.underflow = True
        elif kind == 3:
            chip.tx_failing += 2
        elif kind == 4:
            chip.plug()  # a flap: it negotiates again
        else:
            chip.overflow(1)

    pair.between = disturb
    assert pair.echo(DATA * 15, polls=200000) == DATA * 15
    assert faults > 12, faults
    pair.between = lambda: [chip.advance(50) for chip in chips]
    pair.until(lambda: drivers[0].link() and drivers[1].link())
    assert pair.ping((100,) * 4) == 4
    one, other = drivers
    assert one.bus_errors + other.bus_errors == one.restarts + other.restarts > 1
    assert one.resyncs + other.resyncs > 0 and one.underflows + other.underflows > 0
    assert one.tx_errors + other.tx_errors > 3 and one.link_changes + other.link_changes > 2


class Deaf:
    """A bus that takes writes and allocates nothing."""

    def __init__(self, chip):
        self.chip = chip

    def write(self, address, value):
        pass


def test_the_steady_state_allocates_nothing():
    """An ARP request from the ring to an answer in the ring, heap locked."""
    chip = Chip()
    driver = Emac(MAC, bus=chip)
    queue = PacketQueue(ETHERNET, 1500, frames=4)
    pair = Pair(driver, queue, lambda: chip.advance(1))
    chip.plug()
    pair.until(driver.link)
    for _ in range(50):
        pair.poll()  # announcements go
    iface, sockets = pair.near.iface, pair.near.sockets
    ask = arp(1, "192.168.69.2", b"\x02\0\0\0\0\x02", "192.168.69.1")
    sent = []
    chip.on_send = sent.append
    write = driver._write
    for i in range(3):
        assert chip.receive(ask)
        driver._write = Deaf(chip).write
        iface.bind()
        micropython.heap_lock()
        try:
            iface.poll(pair.now, sockets)
        finally:
            micropython.heap_unlock()
        driver._write = write
        write(0x3FF69004, 0)
        assert len(sent) == i + 1 and sent[-1][6:12] == OUR_MAC
