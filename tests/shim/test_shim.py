"""The shim against viper's own rules, and against MicroPython itself where that is at hand."""

import subprocess
import sys
import textwrap
import time
from array import array
from pathlib import Path

import micropython
import pytest
from micropython import OutOfBounds

# The shim puts these into builtins; so named they also read well to linters.
ptr8, ptr16, ptr32 = micropython.ptr8, micropython.ptr16, micropython.ptr32
uint = micropython.uint
REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def word64():
    before = micropython.set_word(64)
    yield
    micropython.set_word(before)


def test_the_shim_wins_over_the_wheel():
    assert Path(micropython.__file__).parent == Path(__file__).parent
    assert micropython.const(7) == 7


@micropython.viper
def get(p: ptr8, i: int) -> int:
    return p[i]


@micropython.viper
def put(p: ptr8, i: int, value: int):
    p[i] = value


@micropython.viper
def get16(p: ptr16, i: int) -> int:
    return p[i]


@micropython.viper
def get32(p: ptr32, i: int) -> int:
    return p[i]


@micropython.viper
def put32(p: ptr32, i: int, value: int):
    p[i] = value


@pytest.mark.parametrize("kind", [bytes, bytearray, lambda b: memoryview(bytearray(b))])
def test_bytes_like(kind):
    buffer = kind(b"\x01\x02\x03\xff")
    assert [get(buffer, i) for i in range(4)] == [1, 2, 3, 255]
    assert get16(buffer, 1) == 0xFF03


def test_array_and_str():
    words = array("i", [1, -1])
    assert get32(words, 1) == -1
    assert get(words, 4) == 255
    put32(words, 0, 0x80000000)
    assert words[0] == -0x80000000
    put(words, 0, 5)
    assert words[0] == 5 - 0x80000000
    assert get("AB", 1) == 66


@pytest.mark.parametrize("index", [4, -1, 1 << 20])
def test_bytes_out_of_range(index):
    with pytest.raises(OutOfBounds, match=r"get .*ptr8\[.*buffer of 4 bytes"):
        get(bytearray(4), index)
    with pytest.raises(OutOfBounds, match="store out of range"):
        put(bytearray(4), index, 0)


def test_a_word_that_hangs_over_the_end():
    assert get32(bytearray(8), 1) == 0
    with pytest.raises(OutOfBounds):
        get32(bytearray(7), 1)
    with pytest.raises(OutOfBounds):
        get16(bytearray(7), 3)
    with pytest.raises(OutOfBounds):
        put32(bytearray(7), 1, 1)


def test_store_truncates():
    buffer = bytearray(4)
    put(buffer, 0, 0x1FF)
    put(buffer, 1, -2)
    assert buffer == b"\xff\xfe\0\0"


def test_store_into_bytes_is_refused():
    with pytest.raises(OutOfBounds, match="read-only"):
        put(b"abcd", 0, 1)


def test_view_offset_and_alignment():
    base = bytearray(range(16))
    assert get(memoryview(base)[3:5], 1) == 4
    with pytest.raises(OutOfBounds):
        get(memoryview(base)[3:5], 2)
    assert get32(memoryview(base)[4:], 0) == 0x07060504
    with pytest.raises(OutOfBounds, match="unaligned"):
        get32(memoryview(base)[2:], 0)
    assert get16(memoryview(base)[2:], 0) == 0x0302
    with pytest.raises(OutOfBounds, match="unaligned"):
        get16(memoryview(base)[2:][1:], 0)


@micropython.viper
def through_address(buffer, offset: int, index: int) -> int:
    p = ptr8(int(ptr8(buffer)) + offset)
    return p[index]


@micropython.viper
def word_through_address(buffer, offset: int) -> int:
    p = ptr32(int(ptr8(buffer)) + offset)
    return p[0]


def test_addresses():
    buffer = bytearray(range(8))
    assert through_address(buffer, 4, 3) == 7
    assert through_address(buffer, 4, -4) == 0
    assert through_address(buffer, 12, -5) == 7
    for offset, index in ((4, 4), (4, -5), (8, 0), (-1, 0), (100, 0), (3000, 0)):
        with pytest.raises(OutOfBounds, match="through_address"):
            through_address(buffer, offset, index)
    assert word_through_address(buffer, 4) == 0x07060504
    with pytest.raises(OutOfBounds, match="unaligned load: address is 2 modulo 4"):
        word_through_address(buffer, 2)
    with pytest.raises(OutOfBounds):
        word_through_address(buffer, 8)
    view = memoryview(buffer)[2:7]
    assert through_address(view, 1, 0) == 3
    with pytest.raises(OutOfBounds):
        through_address(view, 5, 0)
    with pytest.raises(OutOfBounds):
        word_through_address(view, 2)  # 3 bytes are left


def test_wild_pointers():
    with pytest.raises(OutOfBounds, match="wild"):
        get(0, 0)
    with pytest.raises(OutOfBounds, match="wild"):
        through_address(bytearray(4), 1 << 26, 0)
    for nothing in (None, 1.5, object()):
        with pytest.raises(TypeError):
            get(nothing, 0)


def test_many_buffers_have_their_own_addresses():
    kept = [bytearray([i & 255] * 3) for i in range(5000)]
    for i, buffer in enumerate(kept):
        assert through_address(buffer, 1, 1) == i & 255
    big = bytearray(300_000)
    big[299_999] = 9
    assert through_address(big, 299_999, 0) == 9
    with pytest.raises(OutOfBounds):
        through_address(big, 300_000, 0)
    for i in range(60_000):  # around the address space, twice
        assert through_address(bytes([i & 255]), 0, 0) == i & 255
    assert len(micropython._space.by_id) <= 1024
    assert through_address(big, 299_999, 0) == 9


def test_a_buffer_may_grow_between_calls():
    buffer = bytearray(4)
    assert through_address(buffer, 3, 0) == 0
    buffer += b"\x07"
    assert through_address(buffer, 4, 0) == 7


@micropython.viper
def add(a: int, b: int) -> int:
    return a + b


@micropython.viper
def difference_negative(a: int, b: int) -> int:
    if a - b < 0:
        return 1
    return 0


@micropython.viper
def carry_sum(p: ptr32, n: int) -> int:
    total = uint(0)
    i = 0
    while i < n:
        x = uint(p[i])
        total += x
        if total < x:
            total += uint(1)
        i += 1
    low = int(total & uint(0xFFFF)) + int(total >> uint(16))
    return (low & 0xFFFF) + (low >> 16)


@micropython.viper
def all_ones(x: int) -> int:
    mask = int(0xFFFFFFFF)
    return x & mask


@micropython.viper
def shifted(x: int, n: int) -> int:
    return x << n >> n


@micropython.viper
def flags(a: int) -> bool:
    return a & 6


@micropython.viper
def unsigned(a: int) -> uint:
    return uint(a)


def test_words_of_32_bits():
    assert add(0x7FFFFFFF, 1) == -0x80000000
    assert add(1 << 40, 5) == 5
    assert add(0xFFFFFFFF, 0) == -1
    assert difference_negative(-0x80000000, 1) == 0  # wrapped to 0x7fffffff
    assert difference_negative(0x7FFFFFFF, -1) == 1
    assert get32(b"\xff\xff\xff\xff", 0) == -1
    assert carry_sum(b"\xff\xff\xff\xff\x01\x00\x00\x00", 2) == 1
    assert all_ones(-5) == -5
    assert shifted(0x40000000, 1) == -0x40000000
    assert flags(4) is True and flags(1) is False
    assert unsigned(-1) == 0xFFFFFFFF


def test_words_of_64_bits(word64):
    assert add(0x7FFFFFFF, 1) == 0x80000000
    assert add((1 << 63) - 1, 1) == -(1 << 63)
    assert get32(b"\xff\xff\xff\xff", 0) == 0xFFFFFFFF
    assert all_ones(-5) == 0xFFFFFFFB
    assert shifted(0x40000000, 1) == 0x40000000
    assert unsigned(-1) == (1 << 64) - 1


def test_arguments():
    for wrong in (None, 1.5, "1"):
        with pytest.raises(TypeError):
            add(wrong, 1)
    with pytest.raises(TypeError):
        add(a=1, b=2)
    with pytest.raises(TypeError):
        add(1)
    with pytest.raises(OutOfBounds, match="shift by 32"):
        shifted(1, 32)
    with pytest.raises(TypeError):
        ptr8(bytearray(4)) + 1
    with pytest.raises(SyntaxError):

        @micropython.viper
        def default(a: int = 1) -> int:
            return a

    with pytest.raises(SyntaxError):

        @micropython.viper
        def unknown(a: bytes) -> int:
            return 0


class Kernels:
    base = 10

    @micropython.viper
    def method(self, x: int) -> int:
        return int(self.base) + x

    @staticmethod
    @micropython.viper
    def static(x: int) -> int:
        return x << 31


def test_methods():
    assert Kernels().method(5) == 15
    assert Kernels.static(1) == -0x80000000


def test_a_closure_runs_as_it_stands():
    buffer = bytearray(b"\x05")

    @micropython.viper
    def bound(x: int) -> int:
        p = ptr8(buffer)
        return p[0] + x

    assert bound(2) == 7


def test_line_numbers_are_kept():
    with pytest.raises(OutOfBounds) as caught:
        get(b"", 0)
    last = caught.traceback
    lines = [e.lineno + 1 for e in last if e.path == Path(__file__)]
    assert Path(__file__).read_text().splitlines()[lines[-1] - 1].strip() == "return p[i]"


def test_time():
    assert time.ticks_diff(5, (1 << 30) - 5) == 10
    assert time.ticks_add((1 << 30) - 1, 2) == 1
    assert 0 <= time.ticks_ms() < 1 << 30


KERNELS = """
import micropython
from micropython import const
from array import array

_LOW = const(0xffff)

@micropython.viper
def mix(p: ptr32, n: int, seed: int) -> int:
    h = seed
    i = 0
    while i < n:
        x = p[i] ^ h
        x ^= x << 13
        x ^= (x >> 17) & 0x7fff
        x ^= x << 5
        h = (h + x) * 31 - (x & _LOW)
        if h < 0:
            h = -h + i
        if (x - h) >> 31 & 1:
            h += 7
        i += 1
    return h & 0x3fffffff

@micropython.viper
def fold(p: ptr8, n: int) -> int:
    total = uint(0)
    i = 0
    while i < n:
        total = (total << uint(7)) + uint(p[i])
        total = total ^ (total >> uint(11))
        if total > uint(0x3fffffff):
            total -= uint(12345)
        i += 1
    return int(total & uint(0x3fffffff))

@micropython.viper
def mark(dst: ptr16, src: ptr8, n: int) -> int:
    i = 0
    while i < n:
        dst[i] = src[i] * 257 - 300 * i
        i += 1
    return dst[n - 1]

def results():
    words = array("i", [0, 1, -1, 0x7fffffff, -0x80000000, 123456789, -987654321, 42])
    data = bytes(range(7, 250, 3))
    out = bytearray(2 * len(data))
    found = []
    for n in range(1, 9):
        for seed in (0, 1, -1, 0x7ffffff, -99999999):
            found.append(mix(words, n, seed))
    for n in range(0, 80, 7):
        found.append(fold(data, n))
    found.append(mark(out, data, 80))
    return found, bytes(out)
"""


@pytest.mark.parametrize("bits, target", [(32, "Unix32"), (64, "Unix64")])
def test_kernels_give_what_micropython_gives(bits, target, tmp_path):
    from harness import targets

    interpreter = getattr(targets, target)()
    if interpreter.missing():
        pytest.skip(interpreter.missing())
    file = tmp_path / "shim_kernels.py"
    file.write_text(KERNELS)
    program = [interpreter.program(), "-c", "import shim_kernels as k; print(k.results())"]
    real = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, check=True)
    ours = subprocess.run(
        [
            sys.executable,
            "-c",
            textwrap.dedent(f"""
                import sys
                sys.path[:0] = [{str(Path(__file__).parent)!r}, {str(tmp_path)!r}]
                import micropython
                micropython.set_word({bits})
                import shim_kernels as k
                print(k.results())
            """),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ours.stdout == real.stdout
