"""The heap of deadlines, against a list that is searched from end to end."""

from slow import rounds

from smolmp.prng import Random
from smolmp.socket.deadlines import Deadlines

WRAP = (1 << 30) - 1


def before(a, b):
    return (a - b) & WRAP > WRAP >> 1


def first(model):
    """The earliest of a dict's deadlines, -1."""
    best = -1
    for t in model.values():
        if best < 0 or before(t, best):
            best = t
    return best


def check(d, model):
    n = d.running()
    assert n == len(model)
    seen = set()
    for i in range(1, n + 1):
        slot = d.heap[i]
        assert d.places[slot] == i and d.times[slot] == model[slot]
        assert i == 1 or not before(d.times[slot], d.times[d.heap[i >> 1]])
        seen.add(slot)
    assert len(seen) == n
    assert d.earliest() == first(model)


def test_empty():
    d = Deadlines()
    d.grow(4)
    assert d.earliest() == -1 and d.take_due(7) == -1 and d.running() == 0
    assert d.set(2, -1) == -1


def test_one():
    d = Deadlines()
    d.grow(1)
    assert d.set(0, 100) == 100
    assert d.take_due(99) == -1
    assert d.take_due(100) == 0
    assert d.earliest() == -1
    assert d.times[0] == -1


def test_order():
    d = Deadlines()
    d.grow(8)
    for slot, t in enumerate((50, 10, 40, 10, 90, 20, 30, 70)):
        d.set(slot, t)
    order = []
    while d.running():
        order.append(d.take_due(1000))
    assert [(50, 10, 40, 10, 90, 20, 30, 70)[slot] for slot in order] == [
        10,
        10,
        20,
        30,
        40,
        50,
        70,
        90,
    ]


def test_across_the_wrap():
    d = Deadlines()
    d.grow(3)
    d.set(0, 5)
    assert d.set(1, WRAP - 5) == WRAP - 5
    d.set(2, 0)
    assert d.take_due(WRAP - 6) == -1
    assert d.take_due(WRAP) == 1
    assert d.take_due(WRAP) == -1
    assert d.take_due(3) == 2
    assert d.earliest() == 5


def test_growing_keeps_what_runs():
    d = Deadlines()
    d.grow(2)
    d.set(1, 9)
    d.grow(5)
    assert d.set(4, 3) == 3
    check(d, {1: 9, 4: 3})


def test_any_sequence():
    for seed, slots in ((1, 1), (2, 3), (3, 8), (4, 33), (5, 100)):
        random = Random(seed)
        d = Deadlines()
        d.grow(slots)
        model = {}
        now = WRAP - 4000
        for _ in range(rounds(600)):
            slot = random.bits(20) % slots
            kind = random.bits(3)
            if kind < 5:
                t = (now + random.bits(12)) & WRAP
                model[slot] = t
                assert d.set(slot, t) == first(model)
            elif kind == 5:
                model.pop(slot, None)
                assert d.set(slot, -1) == first(model)
            else:
                now = (now + random.bits(7)) & WRAP
                due = d.take_due(now)
                if due >= 0:
                    t = model.pop(due)
                    assert not before(now, t)
                    assert not before(first(model), t) or not model
                else:
                    assert not model or before(now, first(model))
            check(d, model)
