# The copying kernels of the ring against plain Python: every alignment, wrap and parity, with
# canaries around both buffers.
import random

from slow import rounds
from storage_support import canaries_alive, guarded, guards_alive, noise, ring_state, slow_sum

from smolmp.storage.kernels import (
    ring_commit,
    ring_discard,
    ring_read,
    ring_read_sum,
    ring_rewind,
    ring_write,
    ring_write_sum,
)


def write_case(capacity, skew, read_at, length, offset, soff, n, acc, sums):
    whole, ring = guarded(capacity, skew)
    words, at = ring_state(capacity, read_at, length)
    src = noise(soff + max(n, 0) + 3)
    expected = bytearray(whole)
    fits = offset >= 0 and n >= 0 and offset + n <= capacity - length
    if sums:
        got = ring_write_sum(ring, words, at, offset, src, soff, n, acc)
        assert got == (slow_sum(src[soff : soff + n], acc) if fits else -1), (got, n)
        count = n if fits else 0
    else:
        count = max(0, min(n, capacity - length - offset)) if offset >= 0 else 0
        assert ring_write(ring, words, at, offset, src, soff, n) == count
    for i in range(count):
        expected[4 + skew + (read_at + length + offset + i) % capacity] = src[soff + i]
    assert whole == expected
    assert words[2] == capacity and words[3] == read_at and words[4] == length
    assert guards_alive(words)


def read_case(capacity, skew, read_at, length, offset, doff, n, acc, sums):
    whole, ring = guarded(capacity, skew)
    ring[:] = noise(capacity)
    before = bytes(whole)
    words, at = ring_state(capacity, read_at, length)
    size = doff + max(n, 0) + 3
    outer, dst = guarded(size, doff & 3)
    fits = offset >= 0 and n >= 0 and offset + n <= length
    content = bytes([ring[(read_at + offset + i) % capacity] for i in range(max(n, 0))])
    if sums:
        got = ring_read_sum(ring, words, at, offset, dst, doff, n, acc)
        assert got == (slow_sum(content, acc) if fits else -1), (got, n)
        count = n if fits else 0
    else:
        count = max(0, min(n, length - offset)) if offset >= 0 else 0
        assert ring_read(ring, words, at, offset, dst, doff, n) == count
    assert bytes(dst[doff : doff + count]) == content[:count]
    untouched = 0xA5
    for i in range(size):
        assert doff <= i < doff + count or dst[i] == untouched
    assert canaries_alive(outer, size, doff & 3)
    assert bytes(whole) == before and guards_alive(words)


def test_every_alignment():
    for skew in range(4):
        for soff in range(4):
            for n in (0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 40, 67, 68, 69, 100):
                write_case(101, skew, 0, 0, 0, soff, n, 0, False)
                write_case(101, skew, 0, 0, 0, soff, n, 0, True)
                read_case(101, skew, 0, 101, 0, soff, n, 0, False)
                read_case(101, skew, 0, 101, 0, soff, n, 0, True)


def test_every_wrap():
    # the wrap at every place of a 41-octet copy: all parities of the first piece
    for first in range(42):
        for skew in (0, 1):
            write_case(64, skew, (64 - first) % 64, 0, 0, 1, 41, 0, True)
            write_case(64, skew, (64 - first) % 64, 0, 0, 2, 41, 0, False)
            read_case(64, skew, (64 - first) % 64, 64, 0, 1, 41, 0, True)
            read_case(64, skew, (64 - first) % 64, 64, 0, 3, 41, 0, False)


def test_random_writes():
    random.seed(1)
    for i in range(rounds(1500)):
        capacity = random.randrange(1, 130)
        write_case(
            capacity,
            random.randrange(4),
            random.randrange(capacity),
            random.randrange(capacity + 1),
            random.randrange(-1, capacity + 2),
            random.randrange(6),
            random.randrange(-1, capacity + 9),
            random.randrange(1 << 29) if i & 2 else 0,
            i & 1,
        )


def test_random_reads():
    random.seed(2)
    for i in range(rounds(1500)):
        capacity = random.randrange(1, 130)
        read_case(
            capacity,
            random.randrange(4),
            random.randrange(capacity),
            random.randrange(capacity + 1),
            random.randrange(-1, capacity + 2),
            random.randrange(6),
            random.randrange(-1, capacity + 9),
            random.randrange(1 << 29) if i & 2 else 0,
            i & 1,
        )


def test_sum_of_a_whole_ring_of_ones_bits():
    # the largest possible sum: carries reach the top of a 32-bit accumulator
    size = 65535
    ring = bytearray(size)
    for i in range(size):
        ring[i] = 0xFF
    dst = bytearray(size + 4)
    for read_at in (0, 1, 30001):
        for doff in (0, 1, 2, 3):
            words, at = ring_state(size, read_at, size)
            # 32767 halfwords 0xffff and a last octet 0xff as the high half
            got = ring_read_sum(ring, words, at, 0, dst, doff, size, 0)
            assert got == 0xFF00, hex(got)
            got = ring_read_sum(ring, words, at, 1, dst, doff, size - 1, 0)
            assert got == 0xFFFF, hex(got)
            words[at + 2] = 0
            got = ring_write_sum(ring, words, at, 0, dst, doff, size, 0xFFFF)
            assert got == 0xFF00, hex(got)


def test_sum_longer_than_a_datagram_is_refused():
    words, at = ring_state(70000, 0, 70000)
    ring = bytearray(70000)
    assert ring_read_sum(ring, words, at, 0, ring, 0, 65536, 0) == -1
    words[at + 2] = 0
    assert ring_write_sum(ring, words, at, 0, ring, 0, 65536, 0) == -1
    assert ring_write(ring, words, at, 0, bytes(70000), 0, 70000) == 70000


def test_empty_sum_is_the_accumulator():
    words, at = ring_state(8, 3, 2)
    ring = bytearray(8)
    assert ring_read_sum(ring, words, at, 0, ring, 0, 0, 0x12345) == 0x2346
    assert ring_write_sum(ring, words, at, 6, ring, 0, 0, 0) == 0


def test_extreme_arguments_are_harmless():
    big = 0x3FFFFFFF
    for capacity in (0, 8):
        whole, ring = guarded(capacity, 0)
        words, at = ring_state(capacity, 0, 0)
        for offset in (-big, -1, 1, 9, big):
            for n in (-big, -1, 9, 100, big):
                if offset == 1 and n > 0 and capacity:
                    continue
                assert ring_write(ring, words, at, offset, b"x", 0, n) == 0
                assert ring_write_sum(ring, words, at, offset, b"x", 0, n, 0) == -1
                assert ring_read(ring, words, at, offset, b"x", 0, n) == 0
                assert ring_read_sum(ring, words, at, offset, b"x", 0, n, 0) == -1
        assert ring_write(ring, words, at, 0, b"x", -1, 1) == 0
        assert ring_write_sum(ring, words, at, 0, b"x", -1, 1, 0) == -1
        assert ring_discard(words, at, big) == 0 and ring_discard(words, at, -big) == 0
        assert ring_commit(words, at, -big) == 0
        assert ring_commit(words, at, big) == capacity
        assert canaries_alive(whole, capacity, 0) and guards_alive(words)


def test_commit_and_discard_and_rewind():
    words, at = ring_state(10, 7, 0)
    assert ring_commit(words, at, 4) == 4 and words[at + 2] == 4
    ring_rewind(words, at)
    assert words[at + 1] == 7  # not empty: stays
    assert ring_discard(words, at, 3) == 3 and words[at + 1] == 0
    assert ring_commit(words, at, 99) == 9
    assert ring_discard(words, at, 9) == 9 and words[at + 1] == 9
    assert ring_discard(words, at, 99) == 1
    # uncommitted data may stand behind the end: emptying does not move it
    assert words[at + 1] == 0 and words[at + 2] == 0
    assert ring_commit(words, at, 5) == 5 and ring_discard(words, at, 5) == 5
    assert words[at + 1] == 5
    ring_rewind(words, at)
    assert words[at + 1] == 0 and guards_alive(words)
