"""Slip's kernels under the shim, beside sliplib, which nobody here wrote: what one writes the
other reads, whatever is in it and wherever it is cut; noise leaves every pointer in its buffer."""

import os
from array import array

import micropython
import pytest
import sliplib
from hypothesis import given, settings
from hypothesis import strategies as st

from smolmp.phy.slip import Slip, decode, encode

EXAMPLES = 300 * int(os.environ.get("SMOLMP_FUZZ", "1"))

octets = st.one_of(
    st.binary(min_size=1, max_size=300),
    st.lists(st.sampled_from([0xC0, 0xDB, 0xDC, 0xDD, 0]), min_size=1, max_size=300).map(bytes),
)
examples = settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None)


@pytest.fixture(params=[32, 64], autouse=True)
def word(request):
    before = micropython.set_word(request.param)
    yield
    micropython.set_word(before)


class Stream:
    """Gives pieces, keeps what is written."""

    def __init__(self, pieces=()):
        self.pieces = list(pieces)
        self.written = b""

    def readinto(self, buf, n=-1):
        if not self.pieces:
            return None
        n = len(buf) if n < 0 else n
        piece = self.pieces[0]
        buf[: min(n, len(piece))] = piece[:n]
        self.pieces[0] = piece[n:]
        if not self.pieces[0]:
            self.pieces.pop(0)
        return min(n, len(piece))

    def write(self, buf, at, n):
        self.written += bytes(buf[at : at + n])
        return n


def received(device):
    packets = []
    buf = bytearray(400)
    while device.stream.pieces:
        while n := device.recv(buf):
            packets.append(bytes(buf[:n]))
    return packets


@examples
@given(st.lists(octets, min_size=1, max_size=5))
def test_what_we_send_sliplib_receives(packets):
    stream = Stream()
    device = Slip(stream, 300)
    for packet in packets:
        assert device.send(b"#" + packet, 1, 1 + len(packet))
    driver = sliplib.Driver()
    driver.receive(stream.written)
    got = []
    while (packet := driver.get(block=False)) is not None:
        got.append(packet)
    assert got == packets


@examples
@given(st.lists(octets, min_size=1, max_size=5), st.integers(1, 300), st.integers(1, 70))
def test_what_sliplib_sends_we_receive(packets, piece, chunk):
    line = b"".join(sliplib.Driver().send(packet) for packet in packets)
    pieces = [line[i : i + piece] for i in range(0, len(line), piece)]
    device = Slip(Stream(pieces), 300, chunk)
    assert received(device) == packets
    assert (device.oversize, device.damaged, device.dropped) == (0, 0, 0)


@examples
@given(octets)
def test_the_octets_are_the_same(packet):
    out = bytearray(2 * len(packet) + 2)
    n = encode(out, packet, 0, len(packet))
    assert out[:n] == b"\xc0" + sliplib.encode(packet).strip(b"\xc0") + b"\xc0"


@examples
@given(octets, st.integers(0, 64), st.integers(1, 64))
def test_noise_stays_within_bounds(noise, room, chunk):
    packet = bytearray(room)
    words = array("i", [0, 0, 0, 0])
    for i in range(0, len(noise), chunk):
        piece = noise[i : i + chunk]
        words[0], words[1] = 0, len(piece)
        while True:
            n = decode(piece, packet, words, room)
            assert -2 <= n <= room
            if n == 0:
                break
        assert words[0] == len(piece) and 0 <= words[2] <= room
