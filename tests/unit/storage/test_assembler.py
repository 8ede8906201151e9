# Assembler. The first 37 tests are those of smoltcp's storage/assembler.rs by name; where that
# writes contigs (hole size, data size), here stand ranges (start, end).
import random
from array import array

import micropython

from smolmp.storage.assembler import Assembler

HOLES = 4


def ranges(assembler):
    return [(assembler.range_start(i), assembler.range_end(i)) for i in range(assembler.count())]


def holding(*pairs, holes=HOLES):
    assembler = Assembler(holes)
    for start, end in pairs:
        assert assembler.add(start, end - start)
    assert ranges(assembler) == list(pairs)
    return assembler


def full():
    """As many ranges as fit, none of them at the front."""
    return holding(*[(10 * i, 10 * i + 3) for i in range(1, HOLES + 1)])


def adding(before, offset, size, after):
    assembler = holding(*before)
    assert assembler.add(offset, size) is True
    assert ranges(assembler) == after, ranges(assembler)


def test_new():
    assembler = Assembler()
    assert assembler.is_empty() and assembler.count() == 0 and assembler.peek_front() == 0


def test_empty_add_full():
    adding((), 0, 16, [(0, 16)])


def test_empty_add_front():
    adding((), 0, 4, [(0, 4)])


def test_empty_add_back():
    adding((), 12, 4, [(12, 16)])


def test_empty_add_mid():
    adding((), 4, 8, [(4, 12)])


def test_partial_add_front():
    adding(((4, 16),), 0, 4, [(0, 16)])


def test_partial_add_back():
    adding(((0, 12),), 12, 4, [(0, 16)])


def test_partial_add_front_overlap():
    adding(((4, 16),), 0, 8, [(0, 16)])


def test_partial_add_front_overlap_split():
    adding(((4, 16),), 2, 6, [(2, 16)])


def test_partial_add_back_overlap():
    adding(((0, 12),), 8, 8, [(0, 16)])


def test_partial_add_back_overlap_split():
    adding(((0, 12),), 10, 4, [(0, 14)])


def test_partial_add_both_overlap():
    adding(((4, 8),), 0, 16, [(0, 16)])


def test_partial_add_both_overlap_split():
    adding(((4, 8),), 2, 8, [(2, 10)])


def test_rejected_add_keeps_state():
    assembler = full()
    before = ranges(assembler)
    for offset, size in ((1, 3), (1, 8), (14, 5), (44, 1), (1000, 1000)):
        assert assembler.add(offset, size) is False
        assert ranges(assembler) == before
    # what joins a range needs no place
    assert assembler.add(13, 2) and assembler.add(43, 9)
    assert ranges(assembler) == [(10, 15), (20, 23), (30, 33), (40, 52)]


def test_empty_remove_front():
    assert Assembler().remove_front() == 0


def test_trailing_hole_remove_front():
    assembler = holding((0, 4))
    assert assembler.peek_front() == 4 and assembler.remove_front() == 4
    assert assembler.is_empty() and assembler.peek_front() == 0


def test_trailing_data_remove_front():
    assembler = holding((0, 4), (8, 12))
    assert assembler.remove_front() == 4
    assert ranges(assembler) == [(4, 8)]
    assert assembler.remove_front() == 0 and ranges(assembler) == [(4, 8)]


def test_boundary_case_remove_front():
    assembler = holding((0, 2), (3, 4), (5, 6), (7, 8))
    assert assembler.remove_front() == 2
    assert ranges(assembler) == [(1, 2), (3, 4), (5, 6)]


def test_shrink_next_hole():
    adding(((100, 110), (160, 170)), 110, 20, [(100, 130), (160, 170)])


def test_join_two():
    adding(((10, 20), (50, 60)), 15, 40, [(10, 60)])


def test_join_two_reversed():
    assembler = Assembler()
    assert assembler.add(50, 10) and assembler.add(10, 10) and assembler.add(15, 40)
    assert ranges(assembler) == [(10, 60)]


def test_join_two_overlong():
    adding(((10, 20), (50, 60)), 5, 70, [(5, 75)])


def test_iter_empty():
    assert ranges(Assembler()) == []


def test_iter_full():
    assert ranges(holding((0, 16))) == [(0, 16)]


def test_iter_one_front():
    assert ranges(holding((0, 4))) == [(0, 4)]


def test_iter_one_back():
    assert ranges(holding((12, 16))) == [(12, 16)]


def test_iter_one_mid():
    assert ranges(holding((4, 12))) == [(4, 12)]


def test_iter_one_trailing_gap():
    assert ranges(holding((4, 12), (16, 20))) == [(4, 12), (16, 20)]


def test_iter_two_split():
    assert ranges(holding((2, 8), (9, 12))) == [(2, 8), (9, 12)]


def test_iter_three_split():
    assert ranges(holding((2, 8), (9, 10), (12, 14))) == [(2, 8), (9, 10), (12, 14)]


def test_issue_694():
    assembler = Assembler()
    assert assembler.add(0, 1) and assembler.add(2, 1) and assembler.add(1, 1)
    assert ranges(assembler) == [(0, 3)]


def test_add_then_remove_front():
    # in smoltcp's test the first range is not at the front: nothing is removed
    assembler = holding((50, 60))
    assert assembler.add_then_remove_front(10, 10) == 0
    assert ranges(assembler) == [(10, 20), (50, 60)]


def test_add_then_remove_front_at_front():
    assembler = holding((50, 60))
    assert assembler.add_then_remove_front(0, 10) == 10
    assert ranges(assembler) == [(40, 50)]


def test_add_then_remove_front_at_front_touch():
    assembler = holding((50, 60))
    assert assembler.add_then_remove_front(0, 50) == 60
    assert assembler.is_empty()


def test_add_then_remove_front_at_front_full():
    # not at the front, and no place: refused
    assembler = full()
    before = ranges(assembler)
    assert assembler.add_then_remove_front(1, 3) == -1
    assert ranges(assembler) == before


def test_add_then_remove_front_at_front_full_offset_0():
    assembler = full()
    assert assembler.add_then_remove_front(0, 3) == 3
    assert ranges(assembler) == [(7, 10), (17, 20), (27, 30), (37, 40)]
    # reaching over two ranges and into the third
    assert assembler.add_then_remove_front(0, 28) == 30
    assert ranges(assembler) == [(7, 10)]


class Octets:
    """The oracle: a plain set of the offsets that have arrived."""

    def __init__(self):
        self.octets = set()

    def ranges(self):
        out = []
        for i in sorted(self.octets):
            if out and out[-1][1] == i:
                out[-1] = (out[-1][0], i + 1)
            else:
                out.append((i, i + 1))
        return out

    def add(self, offset, size, holes):
        before = self.octets
        self.octets = before | set(range(offset, offset + size))
        if len(self.ranges()) > holes:
            self.octets = before
            return False
        return True

    def remove_front(self):
        n = 0
        while n in self.octets:
            n += 1
        self.octets = {i - n for i in self.octets if i >= n}
        return n


# not on a board: minutes of ranges
def test_random():
    random.seed(4)
    for holes in (1, 2, 3, 4, 8):
        words = array("i", [-7] * (2 + 2 * holes + 4))
        assembler = Assembler(holes, words, 2)
        oracle = Octets()
        for _ in range(800):
            offset = random.randrange(60)
            size = random.randrange(1, 12)
            if random.getrandbits(2) == 0:
                offset = 0
            what = random.randrange(8)
            if what < 5:
                assert assembler.add(offset, size) == oracle.add(offset, size, holes)
            elif what == 5:
                assert assembler.peek_front() == (oracle.ranges() or [(1, 1)])[0][1] or (
                    assembler.peek_front() == 0 and 0 not in oracle.octets
                )
                assert assembler.remove_front() == oracle.remove_front()
            else:
                # at the front there is always a place
                fits = oracle.add(offset, size, 99 if offset == 0 else holes)
                expected = oracle.remove_front() if fits else -1
                assert assembler.add_then_remove_front(offset, size) == expected
            assert ranges(assembler) == oracle.ranges()
            for i in (0, offset, offset + size):
                found = assembler.find(i)
                assert (found >= 0) == (i in oracle.octets)
                assert found < 0 or assembler.range_start(found) <= i < assembler.range_end(found)
            assert words[0] == words[1] == words[-1] == words[-2] == -7


def test_holes_are_configurable():
    for holes in (1, 2, 5, 40):
        assembler = Assembler(holes)
        for i in range(holes):
            assert assembler.add(5 + 2 * i, 1)
        assert not assembler.add(2, 1) and not assembler.add(5 + 2 * holes, 1)
        assert assembler.count() == holes
        assert assembler.add(0, 5 + 2 * holes) and assembler.count() == 1
    for bad in (0, -1):
        try:
            Assembler(bad)
        except ValueError:
            continue
        raise AssertionError("accepted")


def test_nothing_and_nonsense():
    assembler = holding((3, 5))
    assert assembler.add(9, 0) is True and ranges(assembler) == [(3, 5)]
    assert assembler.add_then_remove_front(0, 0) == 0
    assert assembler.add(-1, 4) is False and assembler.add(2, -1) is False
    assert ranges(assembler) == [(3, 5)]
    assert assembler.add(0x1FFFFFF0, 15) and assembler.range_end(1) == 0x1FFFFFFF
    for i in (-1, 2):
        try:
            assembler.range_start(i)
        except IndexError:
            continue
        raise AssertionError("accepted")
    assembler.clear()
    assert assembler.is_empty() and assembler.add(1, 1) and ranges(assembler) == [(1, 2)]


def test_allocates_nothing():
    assembler = Assembler(4)

    def cycle():
        assembler.add(10, 5)
        assembler.add(20, 5)
        assembler.add(12, 10)
        assembler.add(40, 1)
        assembler.find(41)
        assembler.count()
        assembler.range_start(1)
        assembler.range_end(0)
        assembler.add_then_remove_front(0, 10)
        assembler.add(0, 3)
        assembler.peek_front()
        assembler.remove_front()
        assembler.is_empty()
        assembler.clear()

    cycle()
    micropython.heap_lock()
    try:
        for _ in range(50):
            cycle()
    finally:
        micropython.heap_unlock()
