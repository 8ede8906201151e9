# RingBuffer. The first 15 tests are those of smoltcp's storage/ring_buffer.rs by name, where
# "one" is one octet and "with" (a closure over a slice) is access in place.
import random
from array import array

import micropython
from storage_support import canaries_alive, guarded, noise

from smolmp.storage.ring import RingBuffer


def ring_of(n):
    return RingBuffer(bytearray(n))


def take(ring, n):
    out = bytearray(n)
    return bytes(out[: ring.read_into(out, 0, n)])


def look(ring, offset, n):
    out = bytearray(n)
    return bytes(out[: ring.peek_into(out, 0, offset, n)])


def put(ring, data):
    return ring.write(data, 0, len(data))


def put_in_place(ring, data):
    n = min(ring.contiguous_free(), len(data))
    at = ring.write_at()
    ring.buffer[at : at + n] = data[:n]
    return ring.commit(n)


def take_in_place(ring, n):
    n = min(ring.contiguous(), n)
    at = ring.read_at()
    data = bytes(ring.buffer[at : at + n])
    assert ring.discard(n) == n
    return data


def test_buffer_length_changes():
    ring = ring_of(2)
    assert ring.is_empty() and not ring.is_full() and not ring
    assert ring.length() == len(ring) == 0
    assert ring.capacity() == ring.free() == 2
    put(ring, b"a")
    assert not ring.is_empty() and not ring.is_full() and ring
    assert len(ring) == 1 and ring.capacity() == 2 and ring.free() == 1
    put(ring, b"b")
    assert not ring.is_empty() and ring.is_full()
    assert len(ring) == 2 and ring.capacity() == 2 and ring.free() == 0


def test_buffer_enqueue_dequeue_one_with():
    ring = ring_of(5)
    assert take_in_place(ring, 1) == b""
    assert put_in_place(ring, b"e") == 1
    assert len(ring) == 1 and not ring.is_empty()
    for i in range(1, 5):
        assert put_in_place(ring, bytes([i])) == 1
    assert ring.is_full() and put_in_place(ring, b"x") == 0
    assert take_in_place(ring, 1) == b"e"
    for i in range(1, 5):
        assert take_in_place(ring, 1) == bytes([i])
    assert ring.is_empty() and take_in_place(ring, 1) == b""


def test_buffer_enqueue_dequeue_one():
    ring = ring_of(5)
    assert take(ring, 1) == b""
    for i in range(5):
        assert len(ring) == i and put(ring, bytes([i])) == 1
    assert ring.is_full() and put(ring, b"x") == 0
    for i in range(5):
        assert len(ring) == 5 - i and take(ring, 1) == bytes([i])
    assert ring.is_empty() and take(ring, 1) == b""


def test_buffer_enqueue_many_with():
    ring = ring_of(12)
    assert put_in_place(ring, b"ab") == 2 and len(ring) == 2
    assert bytes(ring.buffer) == b"ab" + bytes(10)
    assert put_in_place(ring, b"cdXX"[:2]) == 2
    assert put_in_place(ring, b"efghijkl") == 8 and ring.is_full()
    assert take(ring, 4) == b"abcd"
    # the free space starts over at 0
    assert ring.write_at() == 0 and ring.contiguous_free() == 4
    assert put_in_place(ring, b"mnop") == 4 and ring.is_full()
    assert bytes(ring.buffer) == b"mnopefghijkl"
    assert put_in_place(ring, b"x") == 0


def test_buffer_enqueue_many():
    ring = ring_of(12)
    assert ring.contiguous_free() == 12
    put_in_place(ring, b"abcdefgh")
    assert ring.contiguous_free() == 4
    put_in_place(ring, b"ijkl")
    assert ring.contiguous_free() == 0
    assert bytes(ring.buffer) == b"abcdefghijkl"


def test_buffer_enqueue_slice():
    ring = ring_of(12)
    assert put(ring, b"abcdefgh") == 8 and len(ring) == 8
    assert take(ring, 4) == b"abcd"
    # over the wrap, and as much as fits
    assert put(ring, b"ijklabcd") == 8
    assert bytes(ring.buffer) == b"abcdefghijkl"
    assert put(ring, b"zz") == 0


def test_buffer_dequeue_many_with():
    ring = ring_of(12)
    put(ring, b"abcdefghijkl")
    assert take_in_place(ring, 4) == b"abcd" and len(ring) == 8
    assert take_in_place(ring, 4) == b"efgh"
    assert put(ring, b"mnop") == 4
    # a contiguous run ends at the end of the buffer
    assert ring.contiguous() == 4 and take_in_place(ring, 8) == b"ijkl"
    assert ring.contiguous() == 4 and take_in_place(ring, 8) == b"mnop"
    assert ring.is_empty()


def test_buffer_dequeue_many():
    ring = ring_of(12)
    put(ring, b"abcdefghijkl")
    assert take_in_place(ring, 8) == b"abcdefgh"
    assert put(ring, b"xy") == 2
    assert take_in_place(ring, 8) == b"ijkl" and take_in_place(ring, 8) == b"xy"


def test_buffer_dequeue_slice():
    ring = ring_of(12)
    put(ring, b"abcdefghijkl")
    assert take(ring, 8) == b"abcdefgh" and len(ring) == 4
    put(ring, b"abcd")
    assert take(ring, 8) == b"ijklabcd" and ring.is_empty()


def test_buffer_get_unallocated():
    # in place, behind the end: write_at() is where offset 0 stands
    ring = ring_of(12)
    assert ring.contiguous_free() == 12
    put(ring, b"abcd")
    assert ring.write_at() == 4 and ring.contiguous_free() == 8
    ring.discard(3)
    put(ring, b"efghijkl")
    assert ring.write_at() == 0 and ring.contiguous_free() == 3
    put(ring, b"mno")
    assert ring.contiguous_free() == 0 and ring.free() == 0


def test_buffer_write_unallocated():
    ring = ring_of(12)
    put(ring, b"abcd")
    assert ring.write_unallocated(0, b"efgh", 0, 4) == 4 and len(ring) == 4
    assert bytes(ring.buffer[:8]) == b"abcdefgh"
    assert ring.commit(4) == 4
    ring.discard(4)
    assert ring.write_unallocated(0, b"ijkl", 0, 4) == 4
    # over the wrap, at an offset, a part of the source, and what does not fit is left out
    assert ring.write_unallocated(3, b"__LABCD__", 2, 5) == 5
    assert bytes(ring.buffer) == b"ABCDefghijkL"
    assert ring.write_unallocated(6, b"xyz", 0, 3) == 2
    assert ring.write_unallocated(8, b"xyz", 0, 3) == 0
    assert ring.write_unallocated(9, b"xyz", 0, 3) == 0
    assert ring.commit(99) == 8 and take(ring, 12) == b"efghijkLABxy"


def test_buffer_get_allocated():
    ring = ring_of(12)
    assert ring.contiguous() == 0
    put(ring, b"abcd")
    assert (ring.read_at(), ring.contiguous()) == (0, 4)
    put(ring, b"efghijkl")
    ring.discard(4)
    put(ring, b"ABCD")
    assert (ring.read_at(), ring.contiguous()) == (4, 8)


def test_buffer_read_allocated():
    ring = ring_of(12)
    put(ring, b"abcdefghijkl")
    assert look(ring, 0, 6) == b"abcdef"
    assert look(ring, 4, 20) == b"efghijkl"
    ring.discard(4)
    put(ring, b"mnop")
    assert look(ring, 4, 8) == b"ijklmnop" and look(ring, 6, 3) == b"klm"
    assert look(ring, 12, 8) == b"" and look(ring, 99, 1) == b"" and len(ring) == 12


def test_buffer_with_no_capacity():
    ring = ring_of(0)
    assert ring.capacity() == ring.free() == len(ring) == 0
    assert ring.is_empty() and ring.is_full()
    assert put(ring, b"a") == 0 and take(ring, 1) == b"" and look(ring, 0, 1) == b""
    assert ring.write_unallocated(0, b"a", 0, 1) == 0
    assert ring.commit(1) == ring.discard(1) == 0
    assert ring.contiguous() == ring.contiguous_free() == 0
    assert ring.write_at() == ring.read_at() == 0


def test_buffer_write_wholly():
    # an emptied ring starts at 0 again: all of it in one piece
    ring = ring_of(8)
    assert put(ring, b"ab") == 2 and put(ring, b"cd") == 2
    assert ring.contiguous_free() == 4
    assert take(ring, 4) == b"abcd"
    assert put(ring, b"efghijkl") == 8
    assert (ring.read_at(), ring.contiguous()) == (0, 8)


def test_emptying_keeps_unallocated_data_in_its_place():
    # a TCP receiver: data behind a hole, then the application empties what is in front
    ring = ring_of(16)
    put(ring, b"abcd")
    ring.write_unallocated(4, b"IJKL", 0, 4)
    assert take(ring, 4) == b"abcd" and ring.is_empty()
    ring.write_unallocated(0, b"efgh", 0, 4)
    ring.commit(8)
    assert take(ring, 16) == b"efghIJKL"


def test_slices_outside_the_other_buffer_are_refused():
    ring = ring_of(8)
    put(ring, b"abc")
    out = bytearray(4)
    for call in (
        lambda: ring.write(out, 1, 4),
        lambda: ring.write(out, -1, 2),
        lambda: ring.write(out, 0, -1),
        lambda: ring.write_unallocated(0, out, 3, 2),
        lambda: ring.read_into(out, 2, 3),
        lambda: ring.peek_into(out, 5, 0, 0),
    ):
        try:
            call()
        except ValueError:
            continue
        raise AssertionError("accepted")
    assert ring.write(out, 4, 0) == 0 and len(ring) == 3


def test_state_in_the_words_of_the_owner():
    words = array("i", [-7] * 8)
    ring = RingBuffer(bytearray(6), words, 3)
    put(ring, b"abcde")
    take(ring, 2)
    assert list(words) == [-7, -7, -7, 6, 2, 3, -7, -7]
    ring.clear()
    assert list(words) == [-7, -7, -7, 6, 0, 0, -7, -7]
    for at in (-1, 6):
        try:
            RingBuffer(bytearray(6), words, at)
        except ValueError:
            continue
        raise AssertionError("accepted")


def test_random_against_a_list():
    random.seed(3)
    for capacity, skew in ((1, 0), (2, 1), (7, 3), (64, 0), (97, 2)):
        whole, view = guarded(capacity, skew)
        ring = RingBuffer(view)
        model = b""  # the data
        ahead = {}  # offset behind the end -> octet
        out = bytearray(128)
        for _ in range(700):
            n = random.randrange(capacity + 3)
            data = noise(n + 2)
            what = random.randrange(6)
            if what == 0 and not ahead:
                free = capacity - len(model)
                assert ring.write(data, 1, n) == min(n, free)
                model += data[1 : 1 + min(n, free)]
            elif what == 1:
                offset = random.randrange(capacity + 2)
                count = max(0, min(n, capacity - len(model) - offset))
                assert ring.write_unallocated(offset, data, 1, n) == count
                for i in range(count):
                    ahead[offset + i] = data[1 + i]
            elif what == 2:
                # commit what is there without a hole
                count = 0
                while count in ahead:
                    count += 1
                assert ring.commit(count) == count
                model += bytes([ahead[i] for i in range(count)])
                ahead = {k - count: ahead[k] for k in ahead if k >= count}
            elif what == 3:
                assert ring.read_into(out, 1, n) == min(n, len(model))
                assert bytes(out[1 : 1 + min(n, len(model))]) == model[:n]
                model = model[n:]
            elif what == 4:
                offset = random.randrange(capacity + 2)
                count = max(0, min(n, len(model) - offset))
                assert ring.peek_into(out, 2, offset, n) == count
                assert bytes(out[2 : 2 + count]) == model[offset : offset + count]
            else:
                assert ring.discard(n) == min(n, len(model))
                model = model[n:]
            assert len(ring) == len(model) and ring.free() == capacity - len(model)
            at = ring.read_at()
            run = ring.contiguous()
            assert bytes(view[at : at + run]) == model[:run]
            assert run == len(model) or at + run == capacity
        assert canaries_alive(whole, capacity, skew)


def test_allocates_nothing():
    ring = ring_of(100)
    data = noise(64)
    out = bytearray(64)

    def cycle():
        ring.write(data, 3, 60)
        ring.write_unallocated(5, data, 0, 20)
        ring.peek_into(out, 1, 7, 20)
        ring.commit(25)
        ring.read_into(out, 0, 50)
        ring.contiguous()
        ring.contiguous_free()
        ring.read_at()
        ring.write_at()
        ring.is_full()
        ring.free()
        ring.discard(35)
        len(ring)

    cycle()
    micropython.heap_lock()
    try:
        for _ in range(50):
            cycle()
    finally:
        micropython.heap_unlock()
