"""smolmp.prng: deterministic, of full width, the same on every target."""

from array import array

from support import locked

from smolmp.prng import Random


def test_the_same_seed_gives_the_same_numbers_on_every_target():
    random = Random(5)
    assert [random.bits(16) for _ in range(5)] == [55469, 8620, 65157, 32248, 30189]


def test_seeds_of_every_kind_differ():
    firsts = set()
    for seed in (0, 1, 2, -1, 1 << 31, 1 << 40, 1 << 127, b"", b"x", b"y" * 40, b"y" * 41):
        firsts.add(Random(seed).bits(29))
    assert len(firsts) == 11


def test_bits_and_below_stay_in_range():
    random = Random(1)
    for n in range(30):
        top = 0
        for _ in range(50):
            value = random.bits(n)
            assert 0 <= value < 1 << n
            top |= value
        assert top == (1 << n) - 1  # every bit was set once
    counts = [0] * 7
    for _ in range(7000):
        counts[random.below(7)] += 1
    assert min(counts) > 850 and max(counts) < 1150


def test_fill_uses_all_32_bits():
    random = Random(2)
    words = array("I", bytes(12))
    ones = 0
    for _ in range(50):
        random.fill(words, 1)
        ones |= words[1]
    assert ones == 0xFFFFFFFF and words[0] == words[2] == 0
    words = array("i", bytes(4))
    locked(lambda: random.fill(words, 0))
    locked(lambda: random.bits(29))


def test_turn_hides_the_state_before():
    """Another state, which depends on every word of the old one and on the key."""
    seen = set()
    for seed in range(4):
        for key in (1, 2):
            r = Random(seed)
            secret = array("i", (key, 0, 0, 0, 0, 0, 0))
            before = bytes(r._state)
            r.turn(secret)
            after = bytes(r._state)
            assert all(before[4 * i : 4 * i + 4] != after[4 * i : 4 * i + 4] for i in range(4))
            seen.add(after)
    assert len(seen) == 8
