# PacketRing. The first 13 tests are those of smoltcp's storage/packet_buffer.rs by name. There a
# packet is contiguous and padding fills the tail; here it wraps. So where smoltcp tests padding
# and contiguous windows, the test shows what replaces it: the octets are the only limit.
import random
from array import array

import micropython
from storage_support import canaries_alive, guarded, noise

from smolmp.storage.packets import PacketRing


def meta_of(*values):
    return array("i", values)


def ring_of(n=16, slots=4, meta_words=1):
    return PacketRing(bytearray(n), slots, meta_words)


def push(ring, data, meta=0):
    return ring.push(data, 0, len(data), meta_of(meta))


def pop(ring):
    out = bytearray(64)
    meta = meta_of(-1)
    n = ring.pop_into(out, 0, 64, meta)
    return None if n < 0 else (bytes(out[:n]), meta[0])


def peek(ring):
    out = bytearray(64)
    meta = meta_of(-1)
    n = ring.peek_into(out, 0, 64, meta)
    return None if n < 0 else (bytes(out[:n]), meta[0])


def test_simple():
    ring = ring_of()
    assert push(ring, b"abcdef", 1) is True
    assert push(ring, b"0123456789X") is False
    assert len(ring) == 1 and ring.bytes_used() == 6
    assert pop(ring) == (b"abcdef", 1)
    assert pop(ring) is None and ring.is_empty()


def test_peek():
    ring = ring_of()
    assert peek(ring) is None and ring.peek_length() == -1
    assert push(ring, b"abcdef", 5)
    assert peek(ring) == (b"abcdef", 5) and peek(ring) == (b"abcdef", 5)
    assert ring.peek_length() == 6 and len(ring) == 1
    assert pop(ring) == (b"abcdef", 5)
    assert peek(ring) is None


def test_padding():
    # smoltcp: 10 octets at 6..16 need padding. Here a datagram wraps, and nothing is wasted
    ring = ring_of()
    assert push(ring, b"abcdef") and push(ring, b"01234567")
    assert pop(ring) == (b"abcdef", 0)
    assert push(ring, b"abcdefgh", 7)
    assert ring.bytes_used() == 16 and len(ring) == 2
    assert pop(ring) == (b"01234567", 0)
    assert pop(ring) == (b"abcdefgh", 7)
    assert len(ring) == 0


def test_padding_with_large_payload():
    ring = ring_of()
    assert push(ring, b"abcdefghijkl")
    assert pop(ring) == (b"abcdefghijkl", 0)
    assert push(ring, b"ABCDEFGHIJKLMNOP")
    assert pop(ring) == (b"ABCDEFGHIJKLMNOP", 0)


def test_dequeue_with():
    # smoltcp: look, and take it only if it could be used; here peek_into, then discard
    ring = ring_of()
    assert push(ring, b"abcdef", 1) and push(ring, b"01234567", 2)
    out = bytearray(b"........")
    meta = meta_of(-1)
    assert ring.peek_into(out, 2, 3, meta) == 6
    assert out == b"..abc..." and meta[0] == 1 and len(ring) == 2
    assert ring.peek_into(out, 0, 0, meta) == 6 and out == b"..abc..."
    assert ring.discard() == 6 and pop(ring) == (b"01234567", 2)
    assert ring.discard() == -1


def test_metadata_full_empty():
    ring = ring_of()
    assert ring.is_empty() and not ring.is_full() and not ring
    for i in range(4):
        assert push(ring, b"a", i)
    assert ring.is_full() and not ring.is_empty() and ring and len(ring) == 4
    assert push(ring, b"a") is False and ring.bytes_used() == 4
    assert not ring.has_room(0)
    for i in range(4):
        assert pop(ring) == (b"a", i)
    assert ring.is_empty()


def test_window_too_small():
    ring = ring_of()
    assert push(ring, b"0123456789A")
    assert not ring.has_room(6) and push(ring, b"012345") is False
    assert len(ring) == 1
    assert ring.has_room(5) and push(ring, b"01234")


def test_contiguous_window_too_small():
    # smoltcp refuses this one: the free octets are not in one piece
    ring = ring_of()
    assert push(ring, b"abcdefgh") and push(ring, b"01234")
    assert pop(ring) == (b"abcdefgh", 0)
    assert push(ring, b"zyxwvutsrqp", 3)
    assert ring.bytes_used() == 16
    assert pop(ring) == (b"01234", 0) and pop(ring) == (b"zyxwvutsrqp", 3)


def test_contiguous_window_wrap():
    ring = ring_of()
    assert push(ring, b"abcdefghijklmno")
    assert pop(ring) == (b"abcdefghijklmno", 0)
    assert push(ring, b"abcdefghijklmno")
    assert pop(ring) == (b"abcdefghijklmno", 0)


def test_capacity_too_small():
    ring = ring_of()
    assert push(ring, bytes(17)) is False and push(ring, bytes(32)) is False
    assert len(ring) == 0 and ring.bytes_used() == 0
    assert push(ring, bytes(16)) is True


def test_contig_window_prioritized():
    # smoltcp prefers the tail; here an empty ring starts at 0, aligned and in one piece
    ring = ring_of()
    assert push(ring, b"abc") and pop(ring) == (b"abc", 0)
    assert push(ring, b"0123456789")
    assert bytes(ring.buffer[:10]) == b"0123456789"


def test_enqueue_fallible_full_metadata_fn_not_called():
    # smoltcp: the closure that would write is not called. Here: not one octet is written
    ring = ring_of(16, 1)
    assert push(ring, b"abc", 9)
    before = bytes(ring.buffer)
    words = bytes(ring.words)
    assert push(ring, b"XYZ") is False
    assert bytes(ring.buffer) == before and bytes(ring.words) == words
    assert pop(ring) == (b"abc", 9)


def test_clear():
    ring = ring_of()
    push(ring, b"abc")
    push(ring, b"abc")
    pop(ring)
    ring.clear()
    assert ring.is_empty() and ring.bytes_used() == 0 and pop(ring) is None
    assert push(ring, b"0123456789abcdef", 4)
    assert pop(ring) == (b"0123456789abcdef", 4)


def test_no_twice_the_largest_rule():
    # a buffer of exactly two datagrams holds two, whatever came before
    for size in range(1, 41):
        ring = ring_of(80, 2, 0)
        for skew in (1, 3, 7):
            assert ring.push(noise(skew), 0, skew)
            first = noise(size)
            assert ring.push(first, 0, size)
            ring.discard()
            second = noise(80 - size)
            assert ring.push(second, 0, 80 - size)
            assert ring.bytes_used() == 80
            assert pop(ring)[0] == first and ring.peek_length() == 80 - size
            out = bytearray(80)
            assert ring.pop_into(out, 0, 80) == 80 - size
            assert bytes(out[: 80 - size]) == second


def test_short_room_cuts():
    ring = ring_of()
    push(ring, b"abcdef", 1)
    push(ring, b"gh", 2)
    out = bytearray(b"......")
    meta = meta_of(0)
    assert ring.pop_into(out, 1, 4, meta) == 6
    assert out == b".abcd." and meta[0] == 1
    # the rest is lost, the next is whole
    assert ring.pop_into(out, 0, 6, meta) == 2 and bytes(out[:2]) == b"gh"
    assert ring.pop_into(out, 0, 6, meta) == -1


def test_empty_datagrams_count():
    ring = ring_of(0, 3)
    assert push(ring, b"", 1) and push(ring, b"", 2) and push(ring, b"", 3)
    assert push(ring, b"", 4) is False
    assert [pop(ring) for _ in range(4)] == [(b"", 1), (b"", 2), (b"", 3), None]
    assert PacketRing(bytearray(9), 0).push(b"", 0, 0) is False


def test_no_metadata_given_is_zeros():
    ring = PacketRing(bytearray(8), 2, 3)
    meta = meta_of(1, 2, 3)
    assert ring.push(b"a", 0, 1, meta)
    assert ring.peek_length() == 1 and ring.pop_into(bytearray(1), 0, 1) == 1
    assert ring.push(b"b", 0, 1)
    assert ring.pop_into(bytearray(1), 0, 1, meta) == 1 and list(meta) == [0, 0, 0]


def test_metadata_longer_than_wanted():
    # an interface record begins with a flow: the first words are taken, the rest stays out
    ring = PacketRing(bytearray(8), 2, 2)
    assert ring.push(b"a", 0, 1, meta_of(5, 6, 7))
    meta = meta_of(-1, -1, -1)
    assert ring.pop_into(bytearray(1), 0, 1, meta) == 1 and list(meta) == [5, 6, -1]


def test_outside_is_refused():
    ring = ring_of()
    out = bytearray(4)
    for call in (
        lambda: ring.push(out, 1, 4, meta_of(0)),
        lambda: ring.push(out, -1, 2, meta_of(0)),
        lambda: ring.push(out, 0, -1, meta_of(0)),
        lambda: ring.push(out, 0, 1, meta_of()),
        lambda: ring.pop_into(out, 1, 4),
        lambda: ring.peek_into(out, -1, 1),
        lambda: ring.peek_into(out, 0, 1, meta_of()),
        lambda: PacketRing(out, -1),
    ):
        try:
            call()
        except ValueError:
            continue
        raise AssertionError("accepted")
    assert ring.is_empty()


def test_random_against_a_list():
    random.seed(5)
    for capacity, slots, meta_words, skew in (
        (1, 1, 0, 0),
        (50, 3, 1, 1),
        (97, 9, 14, 3),
        (64, 20, 2, 0),
    ):
        whole, view = guarded(capacity, skew)
        ring = PacketRing(view, slots, meta_words)
        model = []
        outer, out = guarded(capacity + 8, 2)
        for _ in range(900):
            n = random.randrange(min(capacity + 2, 40))
            meta = array("i", [random.randrange(-(1 << 29), 1 << 29) for _ in range(meta_words)])
            what = random.randrange(7)
            if what < 3:
                data = noise(n + 3)
                used = sum([len(d) for d, _ in model])
                fits = len(model) < slots and used + n <= capacity
                assert ring.has_room(n) == fits
                assert ring.push(data, 2, n, meta) == fits
                if fits:
                    model.append((data[2 : 2 + n], list(meta)))
            elif what < 6:
                room = random.randrange(capacity + 3)
                call = ring.peek_into if what == 3 else ring.pop_into
                got = call(out, 3, room, meta)
                if not model:
                    assert got == -1
                    continue
                data, words = model[0]
                assert got == len(data) and list(meta) == words
                assert bytes(out[3 : 3 + min(room, got)]) == data[:room]
                if what != 3:
                    model.pop(0)
            else:
                assert ring.discard() == (len(model.pop(0)[0]) if model else -1)
            assert len(ring) == len(model)
            assert ring.bytes_used() == sum([len(d) for d, _ in model])
            assert ring.peek_length() == (len(model[0][0]) if model else -1)
        assert canaries_alive(whole, capacity, skew) and canaries_alive(outer, capacity + 8, 2)


def test_allocates_nothing():
    ring = PacketRing(bytearray(100), 4)
    meta = array("i", [-1] * 14)
    data = noise(40)
    out = bytearray(40)

    def cycle():
        ring.push(data, 1, 39, meta)
        ring.push(data, 0, 30)
        ring.push(data, 0, 40, meta)
        ring.has_room(3)
        ring.peek_length()
        ring.peek_into(out, 0, 10, meta)
        ring.pop_into(out, 0, 40, meta)
        ring.push(data, 0, 40, meta)
        ring.discard()
        ring.pop_into(out, 0, 40)
        ring.bytes_used()
        ring.is_full()
        len(ring)
        ring.clear()

    cycle()
    micropython.heap_lock()
    try:
        for _ in range(50):
            cycle()
    finally:
        micropython.heap_unlock()
