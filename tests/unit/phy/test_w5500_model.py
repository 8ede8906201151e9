# The model of the W5500 by itself, octet by octet: what the datasheet (1.0.9) says of the chip.
from tests.models.w5500 import Chip, Undefined

OURS = b"\x02\0\0\0\0\x01"
OTHER = b"\x02\0\0\0\0\x02"
BROADCAST = b"\xff" * 6
GROUP = b"\x01\0\x5e\0\0\x01"
GROUP6 = b"\x33\x33\0\0\0\x01"
LLDP = b"\x01\x80\xc2\0\0\x0e"
COMMON, SOCKET, TX, RX = 0, 1, 2, 3  # blocks (2.2.2)


class Bench:
    """A chip, its clock in us, and what it did: frames that left, edges of INT (True: it rose)."""

    def __init__(self):
        self.us = 0
        self.chip = Chip(lambda: self.us)
        self.sent = []
        self.edges = []
        self.chip.on_send = self.sent.append
        self.chip.on_interrupt = self.edges.append

    def read(self, block, address, n=1):
        back = bytearray(3 + n)
        self.chip.select()
        self.chip.transfer(bytes((address >> 8, address & 255, block << 3)) + bytes(n), back)
        self.chip.deselect()
        return bytes(back[3:])

    def write(self, block, address, data):
        self.chip.select()
        self.chip.transfer(bytes((address >> 8, address & 255, block << 3 | 4)) + data)
        self.chip.deselect()

    def word(self, address):
        found = self.read(SOCKET, address, 2)
        return found[0] << 8 | found[1]

    def command(self, command):
        self.write(SOCKET, 0x01, bytes((command,)))

    def open(self, mode=0x84):
        for n in range(1, 8):
            self.write(4 * n + 1, 0x1E, b"\0\0")
        self.write(SOCKET, 0x1E, b"\x10\x10")
        self.write(COMMON, 0x09, OURS)
        self.write(SOCKET, 0x00, bytes((mode,)))
        self.command(0x01)
        assert self.read(SOCKET, 0x03) == b"\x42"
        return self

    def take(self):
        """The next frame as a driver has it: length, frame, pointer, RECV."""
        at = self.word(0x28)
        head = self.read(RX, at, 2)
        n = head[0] << 8 | head[1]
        frame = self.read(RX, at + 2 & 0xFFFF, n - 2)
        at = at + n & 0xFFFF
        self.write(SOCKET, 0x28, bytes((at >> 8, at & 255)))
        self.command(0x40)
        return frame

    def send(self, frame):
        at = self.word(0x24)
        self.write(TX, at, frame)
        at = at + len(frame) & 0xFFFF
        self.write(SOCKET, 0x24, bytes((at >> 8, at & 255)))
        self.command(0x20)


def frame(n, to=OURS, first=0):
    return (to + OTHER + b"\x88\xb5" + bytes([(first + i) & 255 for i in range(n - 14)]))[:n]


def refused(call, *arguments):
    """It does what the datasheet leaves undefined."""
    try:
        call(*arguments)
    except Undefined:
        return True
    return False


def test_values_after_reset():
    """Chapter 4: what the registers hold."""
    bench = Bench()
    assert bench.read(COMMON, 0x00) == b"\0"  # MR
    assert bench.read(COMMON, 0x09, 6) == bytes(6)  # SHAR
    assert bench.read(COMMON, 0x19, 3) == b"\x07\xd0\x08"  # RTR, RCR
    assert bench.read(COMMON, 0x39) == b"\x04"  # VERSIONR
    assert bench.read(COMMON, 0x2E)[0] & 0xF8 == 0xB8  # PHYCFGR
    for n in range(8):
        assert bench.read(4 * n + 1, 0x1E, 2) == b"\x02\x02"
        assert bench.read(4 * n + 1, 0x2C) == b"\xff"  # Sn_IMR
        assert bench.read(4 * n + 1, 0x03) == b"\0"  # closed
    assert not bench.chip.interrupt


def test_software_reset_and_the_pin():
    for reset in (lambda b: b.write(COMMON, 0, b"\x80"), lambda b: b.chip.reset()):
        bench = Bench().open()
        bench.chip.receive(frame(100))
        assert bench.chip.resets == 0
        reset(bench)
        assert bench.chip.resets == 1
        assert bench.read(COMMON, 0) == b"\0"  # RST clears itself
        assert bench.read(COMMON, 0x09, 6) == bytes(6)
        assert bench.read(SOCKET, 0x03) == b"\0" and bench.word(0x26) == 0


def test_one_access_in_any_pieces():
    """2.3.1: variable length mode, CS is the frame; the address goes on by itself."""
    bench = Bench()
    whole = bytes((0, 0x09, 0x04)) + OURS
    for size in (1, 2, 3, 4, 5, 9):
        bench.write(COMMON, 0x09, bytes(6))
        bench.chip.select()
        for i in range(0, len(whole), size):
            bench.chip.transfer(whole[i : i + size])
        bench.chip.deselect()
        assert bench.read(COMMON, 0x09, 6) == OURS, size
        bench.chip.select()
        back = b""
        for i in range(0, 9, size):
            back += bench.chip.transfer(bytes((0, 9, 0, 0, 0, 0, 0, 0, 0))[i : i + size])
        bench.chip.deselect()
        assert back[3:] == OURS, size
    # A header and nothing behind it changes nothing.
    bench.chip.select()
    bench.chip.transfer(bytes((0, 0x09, 0x04)))
    bench.chip.deselect()
    assert bench.read(COMMON, 0x09, 6) == OURS


def test_what_a_driver_must_not_do():
    bench = Bench()
    assert refused(bench.chip.transfer, b"\0")  # without chip select
    for control in (0x01, 0x02, 0x03):  # fixed lengths are for a CS that is tied low
        bench.chip.select()
        assert refused(bench.chip.transfer, bytes((0, 0, control, 0)))
        bench.chip.deselect()
    assert refused(bench.read, 4, 0)  # a reserved block
    bench.chip.deselect()
    bench.write(SOCKET, 0, b"\x04")
    bench.write(SOCKET, 0x1E, b"\x10\x10")
    assert refused(bench.command, 0x01)  # 16 and seven times 2 KiB
    bench = Bench().open()
    assert refused(bench.write, RX, 0, b"\0")
    bench.chip.deselect()
    assert refused(bench.command, 0x99)
    bench.chip.deselect()
    bench.write(SOCKET, 0x28, b"\x00\x10")
    assert refused(bench.command, 0x40)  # nothing was received there


def test_a_frame_comes():
    """4.2 and the MACRAW chapter: two octets of length that count themselves, in front."""
    bench = Bench().open()
    assert bench.chip.receive(frame(100))
    assert bench.word(0x26) == bench.word(0x2A) == 102 and bench.word(0x28) == 0
    assert bench.read(RX, 0, 102) == b"\0\x66" + frame(100)
    assert bench.take() == frame(100)
    assert bench.word(0x26) == 0 and bench.word(0x28) == bench.word(0x2A) == 102


def test_sn_rx_rd_counts_from_recv_on():
    bench = Bench().open()
    bench.chip.receive(frame(100))
    bench.write(SOCKET, 0x28, b"\0\x66")
    assert bench.word(0x26) == 102
    bench.command(0x40)
    assert bench.word(0x26) == 0
    assert bench.read(SOCKET, 0x01) == b"\0"  # the command was taken


def test_what_is_short_was_padded_and_what_is_long_is_none():
    bench = Bench().open()
    assert bench.chip.receive(frame(20))
    assert bench.take() == frame(20) + bytes(40)
    assert bench.chip.receive(frame(1514)) and not bench.chip.receive(frame(1515))


def test_pointers_run_round_the_buffer_and_over_65536():
    bench = Bench().open()
    octets = i = 0
    while octets < 70000:
        n = 60 + i * 463 % 1455
        assert bench.chip.receive(frame(n, first=i)) and bench.take() == frame(n, first=i), i
        bench.send(frame(n, OTHER, i))
        bench.us += 200
        assert bench.read(SOCKET, 2)[0] & 0x10
        bench.write(SOCKET, 2, b"\x10")
        assert bench.sent.pop() == frame(n, OTHER, i), i
        octets += n
        i += 1
    assert bench.word(0x20) == 16384  # all is free again


def test_a_full_buffer_loses_whole_frames():
    bench = Bench().open()
    n = 0
    while bench.chip.receive(frame(1000, first=n)):
        n += 1
    assert n == 16384 // 1002 and bench.chip.overflowed == 1
    assert bench.chip.receive(frame(60))  # a small one still fits
    for i in range(n):
        assert bench.take() == frame(1000, first=i)
    assert bench.take() == frame(60) and bench.word(0x26) == 0


def test_smaller_buffers():
    bench = Bench().open()
    bench.command(0x10)
    bench.write(SOCKET, 0x1E, b"\x02\x02")
    bench.command(0x01)
    assert bench.chip.receive(frame(1514)) and not bench.chip.receive(frame(1000))
    assert bench.take() == frame(1514)
    assert bench.chip.receive(frame(1000, first=7)) and bench.take() == frame(1000, first=7)


def test_a_frame_leaves_and_takes_its_time():
    """SENDOK when it is out: preamble, FCS and gap are on the wire, too; 80 ns an octet."""
    bench = Bench().open()
    for n, us in ((60, 7), (1514, 124)):
        bench.send(frame(n, OTHER))
        assert bench.sent.pop() == frame(n, OTHER)
        assert bench.read(SOCKET, 0x01) == b"\0"
        bench.us += us - 2
        assert not bench.read(SOCKET, 2)[0] & 0x10
        bench.us += 2
        assert bench.read(SOCKET, 2)[0] & 0x10
        bench.write(SOCKET, 2, b"\x10")
        assert not bench.read(SOCKET, 2)[0] & 0x10
    bench.send(frame(60, OTHER))
    bench.write(TX, bench.word(0x24), frame(60, OTHER))
    bench.write(SOCKET, 0x24, bytes((bench.word(0x24) + 60 >> 8, bench.word(0x24) + 60 & 255)))
    assert refused(bench.command, 0x20)  # before SENDOK


def test_closed_it_neither_takes_nor_sends():
    bench = Bench().open()
    bench.command(0x10)
    assert bench.read(SOCKET, 3) == b"\0"
    assert not bench.chip.receive(frame(60))
    bench.command(0x20)
    assert not bench.sent
    bench.command(0x01)
    assert bench.word(0x28) == bench.word(0x24) == 0 and bench.chip.receive(frame(60))


def test_filters():
    """Sn_MR: 0x80 MFEN, 0x40 BCASTB, 0x20 MMB, 0x10 MIP6B; without MFEN all pass."""
    everybody = (OURS, OTHER, BROADCAST, GROUP, GROUP6, LLDP)
    for mode, passes in (
        (0x04, everybody),
        (0x84, (OURS, BROADCAST, GROUP, GROUP6)),
        (0xC4, (OURS, GROUP, GROUP6)),
        (0xA4, (OURS, BROADCAST, GROUP6)),
        (0x94, (OURS, BROADCAST, GROUP)),
        (0xF4, (OURS,)),
    ):
        bench = Bench().open(mode)
        for to in everybody:
            assert bench.chip.receive(frame(60, to)) == (to in passes), (mode, to)
        assert bench.chip.filtered == len(everybody) - len(passes)
        for to in passes:
            assert bench.take()[:6] == to


def test_interrupts():
    """Sn_IR by Sn_IMR to SIR, SIR by SIMR to the pin; a 1 that is written clears."""
    bench = Bench().open()
    bench.write(SOCKET, 0x2C, b"\x04")
    bench.chip.receive(frame(60))
    assert bench.read(COMMON, 0x17) == b"\x01" and not bench.chip.interrupt
    bench.write(COMMON, 0x18, b"\x01")
    assert bench.chip.interrupt and bench.edges == [False]
    bench.chip.receive(frame(60))
    assert bench.edges == [False]  # it is low already
    bench.write(SOCKET, 2, b"\x10")
    assert bench.chip.interrupt
    bench.write(SOCKET, 2, b"\x04")
    assert not bench.chip.interrupt and bench.edges == [False, True]
    assert bench.read(COMMON, 0x17) == b"\0" and bench.word(0x26) == 124
    bench.send(frame(60, OTHER))
    bench.us += 50
    assert bench.read(SOCKET, 2) == b"\x10" and not bench.chip.interrupt  # SENDOK is masked
    bench.write(SOCKET, 0x2C, b"\x14")
    assert bench.chip.interrupt


def test_intlevel_keeps_the_pin_high_for_a_while():
    """(INTLEVEL + 1) * 4 clocks of 150 MHz between two times that INT is low."""
    bench = Bench().open()
    bench.write(SOCKET, 0x2C, b"\x04")
    bench.write(COMMON, 0x18, b"\x01")
    bench.write(COMMON, 0x13, b"\xff\xff")
    bench.chip.receive(frame(60))
    bench.write(SOCKET, 2, b"\x04")
    bench.chip.receive(frame(60))
    assert not bench.chip.interrupt
    bench.us += 1700
    bench.word(0x26)
    assert not bench.chip.interrupt
    bench.us += 60
    bench.word(0x26)
    assert bench.chip.interrupt


def test_phycfgr_and_the_cable():
    bench = Bench().open()
    assert bench.read(COMMON, 0x2E)[0] & 7 == 7  # full duplex, 100 Mbit/s, link
    bench.chip.link = False
    assert not bench.read(COMMON, 0x2E)[0] & 1
    assert not bench.chip.receive(frame(60))
    bench.send(frame(60, OTHER))
    assert not bench.sent
    bench.us += 50
    assert bench.read(SOCKET, 2) == b"\x10"  # it went, to nobody
    bench.write(SOCKET, 2, b"\x10")
    bench.chip.link = True
    assert bench.chip.receive(frame(60))


def test_faults_on_request():
    bench = Bench().open()
    bench.chip.corrupt = 0xABCD
    bench.chip.receive(frame(60))
    assert bench.read(RX, 0, 2) == b"\xab\xcd" and bench.chip.corrupt is None
    assert bench.word(0x26) == 62  # only what is told is wrong

    bench.chip.stuck = True
    bench.command(0x40)
    assert bench.read(SOCKET, 1) == b"\x40"  # for ever
    bench.chip.stuck = False

    bench.chip.mute = True
    bench.send(frame(60, OTHER))
    bench.us += 100000
    assert bench.sent and not bench.read(SOCKET, 2)[0] & 0x10
    bench.chip.mute = False

    for dead in (0x00, 0xFF):
        bench.chip.dead = dead
        assert bench.read(COMMON, 0x39, 4) == bytes((dead,)) * 4
        bench.write(COMMON, 0x09, OTHER)  # reaches nobody
    bench.chip.dead = None
    assert bench.read(COMMON, 0x09, 6) == OURS

    bench.chip.flip(0, 0x09, 0x80)
    assert bench.read(COMMON, 0x09) == b"\x82"

    bench = Bench().open()
    bench.write(SOCKET, 0x2C, b"\x04")
    bench.write(COMMON, 0x18, b"\x01")
    bench.chip.lost_edges = 1
    bench.chip.receive(frame(60))
    assert bench.chip.interrupt and bench.edges == []  # low, and nobody was told
