# The whole interface on a W5500: what it asks of the chip, and what comes through.
from io import BytesIO

from slow import rounds
from talk_support import Pair
from w5500_support import MAC, Rig, frame

from smolmp.iface import Interface
from smolmp.phy.device import ETHERNET
from smolmp.phy.pcap import PcapWriter
from smolmp.phy.queue import PacketQueue
from smolmp.prng import Random


def test_the_interface_sets_the_filter():
    rig = Rig()
    group = frame(60, b"\x01\x00\x5e\x7f\xff\xfa")
    iface = Interface(PcapWriter(rig.device, BytesIO(), lambda: 0), MAC)
    assert not rig.chip.receive(group)
    assert iface.join_multicast_group("239.255.255.250")
    assert not iface.join_multicast_group("239.255.255.250")
    assert rig.chip.receive(group)
    assert iface.leave_multicast_group("239.255.255.250")
    assert not rig.chip.receive(group)


def two_hosts(interrupt):
    """Ping, and a TCP conversation, of an interface on the chip with one on a queue."""
    rig = Rig(int=interrupt)
    far = PacketQueue(ETHERNET, 1500)

    def between():
        rig.pass_us(500)
        for f in rig.frames:
            far.inject(f)
        del rig.frames[:]
        out = far.take()
        while out is not None:
            rig.chip.receive(out)
            out = far.take()

    pair = Pair(rig.device, far, between)
    assert pair.ping() == 3
    data = bytes([i * 7 & 255 for i in range(rounds(20000))])
    assert pair.echo(data) == data
    assert rig.counters() == (0, 0, 0, 0, 0, 0)


# not from .mpy files: two interfaces and the chip do not fit
def test_two_hosts_through_the_chip():
    two_hosts(True)


# not from .mpy files: two interfaces and the chip do not fit
def test_two_hosts_through_the_chip_without_its_interrupt():
    two_hosts(False)


# not on a board: minutes of conversations
def test_tcp_gets_through_faults_at_random():
    """Conversations with every fault of the model in between: all octets come, in order."""
    rig = Rig()
    far = PacketQueue(ETHERNET, 1500)
    random = Random(11)
    chip = rig.chip
    heal = [0]
    seen = [0] * 8

    def between():
        rig.pass_us(1000 * pair.step // 2)
        if heal[0]:
            heal[0] -= 1
            if not heal[0]:
                chip.mute = chip.stuck = False
                chip.dead = None
        elif random.bits(9) == 0:
            what = random.bits(3)
            seen[what] += 1
            heal[0] = 5 + random.bits(4)
            if what == 0:
                chip.corrupt = random.bits(16)
            elif what == 1:
                chip.mute = True
            elif what == 2:
                chip.reset()
            elif what == 3:
                chip.lost_edges = 1
            elif what == 4:
                chip.flip(0, 9 + random.bits(2), 1 << random.bits(3))
            elif what == 5:
                chip.stuck = True
            elif what == 6:
                chip.dead = 0xFF if random.bits(1) else 0
            else:
                chip.flip(1, 0x28 + random.bits(1), 1 << random.bits(3))
        for f in rig.frames:
            far.inject(f)
        del rig.frames[:]
        out = far.take()
        while out is not None:
            chip.receive(out)
            out = far.take()

    pair = Pair(rig.device, far, between)
    pair.step = 4
    data = bytes([i * 7 + (i >> 8) & 255 for i in range(10000)])
    while min(seen) < 2:
        assert pair.echo(data, polls=30000) == data
        for _ in range(100):
            pair.poll()
    counters = rig.counters()
    assert all(counters[1:]), counters
    chip.mute = chip.stuck = False
    chip.dead = chip.corrupt = None
    rig.pass_ms(1100)
    assert rig.device.link()
    heal[0] = 1 << 29  # no more of it
    assert pair.ping() == 3
