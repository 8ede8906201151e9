"""What goes wrong with a W5500, and what ports/rp2's driver makes of it: counted, and over.

    rp2_faults.py TEST          run by the emulator's Python (test_rp2_port.py), in simulated time

tests/unit/phy/test_w5500_faults.py asks the same of the driver that has a machine.SPI only. Here
the model of the chip is behind the emulated Pico's SPI; frames come and go by its cable.
"""

import ast
import sys

from ethernet import Ethernet

import pico as emulator

MAC = "02:00:00:00:00:01"
OURS, OTHER = bytes.fromhex("020000000001"), bytes.fromhex("020000000064")
WORDS = ("dropped", "lost", "corrupt", "late", "stuck", "missed", "reopened", "restarted")
BOARD = """
from time import ticks_diff, ticks_ms
from ports.rp2 import boards
device = boards.w5500_evb_pico("02:00:00:00:00:01")
buf = bytearray(1600)
def take():
    n = device.recv(buf)
    return bytes(buf[:n]) or None
def take_all():
    while device.recv(buf):
        pass
def send(frame):
    return device.send(frame, 0, len(frame))
def wait_and_take():
    start = ticks_ms()
    while True:
        device.wait(1000)
        n = device.recv(buf)
        if n:
            return ticks_diff(ticks_ms(), start), bytes(buf[:n])
"""


def frame(size, to=OURS, first=0):
    source = OTHER if to == OURS else OURS
    body = bytes((first + i) & 255 for i in range(size - 14))
    return to + source + b"\x08\x00" + body


class Rig:
    """A Pico whose program is BOARD, and its chip."""

    def __init__(self):
        self.pico = emulator.Pico(emulator.FROZEN)
        self.port = Ethernet(self.pico)
        self.chip = self.port.chip
        self.frames = []
        self.port.on_frame = self.frames.append
        self.pico.boot()
        self.before = [0] * len(WORDS)
        self.run(BOARD)

    def run(self, code):
        printed, error = self.pico.execute(code)
        assert not error, error.decode()
        return printed.decode()

    def ask(self, expression):
        return ast.literal_eval(self.run(f"print(repr({expression}))"))

    def receive(self, *frames):
        for one in frames:
            self.port.deliver(one)
        self.pass_ms(len(frames))

    def send(self, octets):
        assert self.ask(f"send({octets!r})")

    def pass_ms(self, ms):
        self.pico.run(ms * emulator.MS)

    def take(self):
        return self.ask("take()")

    def link(self):
        return self.ask("device.link()")

    def counted(self):
        """What was counted since this was asked last, {name: how often}."""
        now = self.ask("[%s]" % ", ".join("device." + word for word in WORDS))
        found = {w: n - b for w, n, b in zip(WORDS, now, self.before) if n != b}
        self.before = now
        return found

    def works(self):
        """A frame comes and one goes, as if nothing had been."""
        self.run("take_all()")
        self.frames.clear()
        self.receive(frame(700, first=9))
        assert self.take() == frame(700, first=9)
        self.send(frame(600, OTHER, 9))
        self.pass_ms(1)
        assert self.frames == [frame(600, OTHER, 9)]
        assert not self.counted()


def test_a_length_that_cannot_be():
    rig = Rig()
    rig.works()
    for length in (0, 1, 2, 15, 61, 1521, 0x7FFF, 0xFFFE, 0xFFFF):
        rig.link()
        rig.receive(frame(100))
        rig.chip.corrupt = length
        rig.receive(frame(100, first=1), frame(100, first=2))
        assert rig.take() == frame(100), length  # in front of it all is well
        rig.run("take_all()")
        assert rig.counted() == {"corrupt": 1}, length  # the rest is lost
        rig.works()
        # Again, before link() was asked: now the socket is opened anew.
        rig.chip.corrupt = length
        rig.receive(frame(100), frame(100))
        rig.run("take_all()")
        assert rig.counted() == {"corrupt": 1, "reopened": 1}, length
        rig.works()


def test_frames_that_are_too_long_for_the_stack():
    rig = Rig()
    rig.run("buf = bytearray(500)")
    rig.receive(frame(600), frame(1514), frame(400, first=3))
    assert rig.take() == frame(400, first=3)
    assert rig.counted() == {"dropped": 2}
    rig.run("buf = bytearray(1600)")
    rig.works()


def test_a_frame_with_a_vlan_tag():
    """IEEE 802.3 3.2.7: four octets more, no reason to take the chain of lengths for lost."""
    rig = Rig()
    sys.modules[type(rig.chip).__module__].LONGEST = 1518
    rig.receive(frame(1518), frame(1518, first=5), frame(100, first=7))
    for expected in (frame(1518), frame(1518, first=5), frame(100, first=7)):
        assert rig.take() == expected
    rig.run("buf = bytearray(1514)")  # as the stack has it
    rig.receive(frame(1518), frame(400, first=3))
    assert rig.take() == frame(400, first=3)
    assert rig.counted() == {"dropped": 1}
    rig.works()


def test_sendok_never_comes():
    rig = Rig()
    rig.chip.mute = True
    rig.send(frame(100, OTHER))
    rig.send(frame(101, OTHER))
    assert rig.counted() == {"lost": 1, "late": 1, "reopened": 1}
    rig.chip.mute = False
    rig.works()


def test_commands_are_not_taken():
    rig = Rig()
    rig.chip.stuck = True
    rig.port.excuse()
    rig.send(frame(100, OTHER))
    rig.send(frame(100, OTHER))
    found = rig.counted()
    assert found["late"] == 1 and found["lost"] == 1, found
    assert not rig.frames
    rig.chip.stuck = False
    rig.pass_ms(1000)
    assert rig.link()
    rig.counted()
    rig.works()


def test_the_chip_is_reset():
    rig = Rig()
    assert rig.link()
    rig.receive(frame(100))
    rig.port.excuse()
    rig.chip.reset()
    assert rig.take() is None
    assert rig.link()
    assert rig.counted()["restarted"] == 1
    rig.works()
    # Noticed by a frame that does not leave, too.
    rig.pass_ms(1000)
    rig.port.excuse()
    rig.chip.reset()
    rig.send(frame(100, OTHER))
    rig.send(frame(100, OTHER))
    found = rig.counted()
    assert found["late"] == 1 and found["restarted"] == 1, found
    rig.works()


def test_the_chip_is_reset_while_dma_reads_from_it():
    rig = Rig()
    for _ in range(5):
        rig.pass_ms(1000)
        rig.port.excuse()
        rig.receive(*[frame(1514, first=i) for i in range(4)])
        assert rig.take() == frame(1514)  # the second one is on its way by then
        rig.chip.reset()
        rig.run("take_all()")
        assert rig.link()
        assert rig.counted()["restarted"] == 1
        rig.works()


def test_registers_that_turn_over():
    rig = Rig()
    for block, at, mask in ((0, 0x09, 0x10), (0, 0x0E, 0x80), (1, 0x03, 0x42), (1, 0x29, 0x04)):
        rig.pass_ms(1000)
        rig.port.excuse()
        rig.chip.flip(block, at, mask)
        rig.receive(frame(100))
        rig.run("take_all()")
        assert rig.link()
        found = rig.counted()
        assert found.get("restarted", 0) + found.get("reopened", 0) == 1, (at, found)
        rig.works()


def test_the_bus_dies_and_comes_back():
    for dead in (0x00, 0xFF):
        rig = Rig()
        assert rig.link()
        rig.port.excuse(4 * emulator.SECOND)
        rig.chip.dead = dead
        rig.receive(frame(100))
        for _ in range(3):
            assert rig.take() is None
            rig.pass_ms(20)
        rig.send(frame(100, OTHER))
        rig.send(frame(100, OTHER))
        assert not rig.link()
        assert "link down" in rig.run("print(device)")
        assert rig.counted()["restarted"] > 0
        rig.chip.dead = None
        rig.chip.reset()
        rig.pass_ms(1000)
        assert rig.link()
        rig.counted()
        rig.works()


def test_the_cable():
    rig = Rig()
    assert rig.link() and rig.ask("device.speed()") == (100, True)
    rig.chip.link = False
    assert not rig.link() and rig.ask("device.speed()") is None
    assert "link down" in rig.run("print(device)")
    rig.chip.link = True
    assert rig.link()
    rig.works()


def test_an_edge_of_int_gets_lost():
    """The processor sleeps and is not told; it looks by itself now and then."""
    rig = Rig()
    for _ in range(3):
        rig.run("take_all()")
        rig.port.lose_edge()
        rig.pico.at(rig.pico.now + 30 * emulator.MS, lambda: rig.port.deliver(frame(100)))
        ms, found = rig.ask("wait_and_take()")
        assert found == frame(100) and 10 < ms < 50, ms
        assert rig.counted() == {"missed": 1}
        rig.works()


def test_nothing_answers_at_all():
    """The error says what was read and what to look at."""
    for dead in (0x00, 0xFF):
        rig = Rig()
        rig.chip.dead = dead
        rig.port.excuse(4 * emulator.SECOND)
        _, error = rig.pico.execute("boards.w5500_evb_pico('02:00:00:00:00:01')")
        said = (
            "OSError: W5500: version register reads 0x%02x, not 0x04: look at power, MISO" % dead
        )
        assert said in error.decode(), error


def test_nothing_is_allocated():
    """What moves frames on it runs with the heap locked: a poll, an answer, a sleep."""
    rig = Rig()
    rig.run(
        """
import micropython
from time import ticks_ms
from smolmp.iface import Interface
from smolmp.socket import udp
from smolmp.socket.set import SocketSet
iface = Interface(device, hardware_addr="02:00:00:00:00:01", ip_addrs=("10.0.0.1/8",))
sockets = SocketSet(2)
echo = sockets.add(udp.Socket(rx=4096, tx=4096))
echo.bind(7)
meta = udp.UdpMetadata()
data = bytearray(1500)
served = 0
def serve(until):
    global served
    while served < until:
        for socket in iface.poll(ticks_ms(), sockets):
            n = socket.recv_into(data, meta)
            while n is not None:
                socket.send(data, n, meta)
                served += 1
                n = socket.recv_into(data, meta)
        device.wait(iface.poll_delay(ticks_ms(), sockets))
    iface.poll(ticks_ms(), sockets)  # the last answer leaves
"""
    )
    rig.frames.clear()
    asked = [datagram(n) for n in (0, 1, 64, 1000, 1472) for _ in range(4)]

    def ask(left):
        rig.port.deliver(left.pop())
        if left:
            rig.pico.at(rig.pico.now + 3 * emulator.MS, lambda: ask(left))

    arp = bytes.fromhex("0001080006040001") + OTHER + bytes((10, 0, 0, 2)) + bytes(6)
    rig.receive(OURS + OTHER + b"\x08\x06" + arp + bytes((10, 0, 0, 1)))
    for locked in (False, True):
        rig.pico.at(rig.pico.now + 20 * emulator.MS, lambda: ask(list(asked)))
        lock, unlock = ("micropython.heap_%slock()" % u if locked else "pass" for u in ("", "un"))
        end = len(asked) * (1 + locked)
        rig.run(f"{lock}\ntry:\n    serve({end})\nfinally:\n    {unlock}\n")
        rig.pass_ms(10)
    answers = [f for f in rig.frames if f[12:14] == b"\x08\x00"]
    assert len(answers) == 2 * len(asked)
    assert sorted({len(f) for f in answers}) == [60, 106, 1042, 1514]


def datagram(n):
    """A UDP datagram of n octets from port 9 to 7, without a checksum."""
    data = bytes(i & 255 for i in range(n))
    body = bytes((0, 9, 0, 7)) + (8 + n).to_bytes(2, "big") + bytes(2) + data
    header = bytes((0x45, 0)) + (20 + len(body)).to_bytes(2, "big") + bytes((0, 0, 0, 0, 64, 17))
    addresses = bytes((10, 0, 0, 2, 10, 0, 0, 1))
    words = header + bytes(2) + addresses
    total = sum(int.from_bytes(words[i : i + 2], "big") for i in range(0, 20, 2))
    total = (total & 0xFFFF) + (total >> 16)
    check = (~((total & 0xFFFF) + (total >> 16)) & 0xFFFF).to_bytes(2, "big")
    return OURS + OTHER + b"\x08\x00" + header + check + addresses + body


if __name__ == "__main__":
    globals()[sys.argv[1]]()
