"""Hostile frames into an Interface under the shim, where every pointer that viper uses is checked.

The same generator and the same worlds as tests/unit/iface/test_hostile_frames.py, on words of 32
and of 64 bits: a seeded bulk, and hypothesis, which looks for short stories (frames, what the
program does, time that passes) and shrinks those that fail.

hypothesis is derandomized, so that a run is like the last one; `--hypothesis-seed=N` (or =random)
explores, and SMOLMP_FUZZ=N makes N times as many examples and frames.
"""

import os
import sys
import time
from pathlib import Path

import micropython
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path += [str(REPOSITORY / "tests" / "unit" / "iface")]

from hostile_frames import KINDS, Choices  # noqa: E402
from hostile_support import WORLDS, World  # noqa: E402

from smolmp.prng import Random  # noqa: E402

MORE = int(os.environ.get("SMOLMP_FUZZ", "1"))
FRAMES = 5500 * MORE  # of the bulk, per world and word: with the stories 100,000 in all
EXAMPLES = 300 * MORE  # of hypothesis, per word
STEPS = (*KINDS, "tcp", "tcp", "user", "user", "time", "wake", "settle")


class _Entropy:
    """The world's source of choices, changed from step to step."""

    def __init__(self):
        self.source = Choices(b"")

    def below(self, limit):
        return self.source.below(limit)


@pytest.fixture(params=[32, 64], ids=["word32", "word64"])
def word(request):
    before = micropython.set_word(request.param)
    yield request.param
    micropython.set_word(before)


def play(number, steps):
    """A story in WORLDS[number]: steps (what, bytes to choose from). How many frames it had."""
    entropy = _Entropy()
    world = World(entropy, canaries=False, **WORLDS[number])
    for what, data in steps:
        entropy.source = Choices(data)
        if what == "user":
            world.user()
        elif what == "time":
            world.time()
        elif what == "wake":
            world.wake()
        elif what == "settle":
            world.settle()
        else:
            world.frame_of(KINDS.index(what))
        world.check()
    entropy.source = Choices(b"")
    world.alive()
    world.check()
    return world.frames


stories = st.lists(
    st.tuples(st.sampled_from(STEPS), st.binary(max_size=24)), min_size=30, max_size=90
)


def explore(request):
    """Settings: the same examples every time unless a seed is given."""
    seeded = request.config.getoption("--hypothesis-seed", None) is not None
    return settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=not seeded,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def test_stories(word, request):
    frames = 0
    examples = 0
    started = time.monotonic()

    @explore(request)
    @given(number=st.integers(0, len(WORLDS) - 1), steps=stories)
    def story(number, steps):
        nonlocal frames, examples
        frames += play(number, steps)
        examples += 1

    story()
    seconds = time.monotonic() - started
    print(f"{examples} stories, {frames} frames in {seconds:.1f} s on words of {word} bits")
    assert examples >= 9 * EXAMPLES // 10 and frames >= 45 * examples


@pytest.mark.parametrize("number", range(len(WORLDS)))
def test_bulk(word, number):
    started = time.monotonic()
    world = World(Random(1000 * word + number), canaries=False, **WORLDS[number])
    for i in range(FRAMES):
        world.tick()
        world.frame()
        if i & 3 == 3:
            world.user()
        if i % 10 == 9:
            world.time()
        if i % 50 == 49:
            if world.below(2):
                world.settle()
            else:
                world.wake()
        if i % 10 == 9:
            world.check()
    assert world.frames == FRAMES
    world.alive()
    world.check()
    seconds = time.monotonic() - started
    print(f"{world.frames} frames in {seconds:.1f} s; {world.generator.aimed}")
