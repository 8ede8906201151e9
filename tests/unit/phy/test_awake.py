"""ports/unix/awake.py: when it stays awake, and what that costs, on a clock of our own."""

# targets: unix64 unix32 unix64-wheel shim
import time
from array import array

import micropython
from micropython import heap_lock, heap_unlock

from ports.unix import awake

LOOK = 1  # us that a look takes
WAKE = 25  # us that a sleeper is woken late


class Frames:
    """A descriptor to which frames come, and a clock: `at` is when the next one comes, -1: none
    does. shared: the peer needs our processor, and works for `shared` us while we sleep."""

    def __init__(self, longest=awake.LONGEST, shared=0):
        self.state = array("i", [0] * awake.WORDS)
        self.clock = time.ticks_add(0, -3000)  # wraps soon
        self.at = -1
        self.shared = shared
        self.looks = 0
        self.sleeps = 0
        self.signal = False
        self.begin = self.clock
        self.wanted = bytearray(8)
        self.doze = awake.dozer(self.state, self.poll, self.wanted, longest, self.now)

    def now(self):
        return self.clock

    def left(self):
        """us until the next frame is there"""
        return time.ticks_diff(self.at, self.clock)

    def follow(self, us):
        """The next frame comes in so many us."""
        self.at = time.ticks_add(self.clock, us)

    def look(self, a, b, c):
        assert (a, b, c) == (1, 2, 3)
        self.looks += 1
        self.clock = time.ticks_add(self.clock, LOOK)
        if self.shared or self.at == -1 or self.left() > 0:
            return -1  # as read(2) says that nothing is there
        self.at = -1
        return 60

    def poll(self, wanted, n, ms):
        assert wanted is self.wanted and n == 1
        self.sleeps += 1
        if self.signal:
            return -1
        if self.shared:
            self.clock = time.ticks_add(self.clock, self.shared)
        elif self.at == -1 or 0 <= 1000 * ms < self.left():
            assert ms >= 0, "for ever"
            self.clock = time.ticks_add(self.clock, 1000 * ms)
            return 0
        elif self.left() > 0:
            self.clock = time.ticks_add(self.at, WAKE)
        self.at = -1
        return 1

    def wait(self, ms=-1):
        return self.doze(ms, self.look, 1, 2, 3)

    def turn(self, us):
        """A frame comes `us` after the wait for it begins; (it came while awake, us waited)"""
        self.follow(us)
        start = self.clock
        n = self.wait()
        assert n in (60, -1), n
        return n == 60, time.ticks_diff(self.clock, start)

    @property
    def window(self):
        return self.state[awake.WINDOW]

    @property
    def hits(self):
        return self.state[awake.HITS]

    @property
    def misses(self):
        return self.state[awake.MISSES]


def test_who_is_idle_sleeps():
    f = Frames()
    for _ in range(100):
        assert f.wait(10) == 0
    assert (f.looks, f.sleeps, f.window) == (0, 100, 0)


def test_frames_that_come_far_apart_are_slept_for():
    f = Frames()
    for us in (100, 150, 1000, 20000, 300000):
        for _ in range(10):
            assert f.turn(us) == (False, us + WAKE)
    assert (f.looks, f.sleeps) == (0, 50)


def test_a_talk_is_had_awake():
    f = Frames()
    assert f.turn(20) == (False, 20 + WAKE)
    assert f.window == 2 * (20 + WAKE) + 1
    for _ in range(100):
        assert f.turn(20) == (True, 20)
    assert (f.sleeps, f.hits, f.misses) == (1, 100, 0)


def test_its_end_costs_one_window():
    f = Frames()
    for _ in range(50):
        f.turn(20)
    looks = f.looks
    window = f.window
    for _ in range(1000):
        assert f.wait(10) == 0
    assert f.misses == 1 and f.window == 0
    assert window <= (f.looks - looks) * LOOK <= window + 2
    assert f.turn(20) == (False, 20 + WAKE)  # twice as many short sleeps as before
    assert f.window == 0
    f.turn(20)
    assert f.window > 0 and f.turn(20) == (True, 20)


def test_a_slower_peer_widens_the_window_and_not_beyond_its_bound():
    f = Frames()
    f.turn(5)
    windows = [f.window]
    for us in (10, 50, 80, 90, 99, 99):
        assert f.turn(us) == (True, us), us
        windows.append(f.window)
    assert windows == sorted(windows) and windows[-1] == awake.LONGEST, windows
    assert f.sleeps == 1 and f.misses == 0


def test_a_window_that_was_too_small_is_doubled():
    f = Frames()
    f.state[awake.WINDOW] = 10
    assert f.turn(30) == (False, 30 + WAKE)
    assert f.window == 100 and f.misses == 1  # 2 * 55, at most 100
    assert f.turn(30) == (True, 30)


def test_where_it_is_in_vain_it_is_soon_left_alone():
    """The peer works on our processor, while we sleep: 30 us, each time."""
    f = Frames(shared=30)
    for _ in range(300):
        f.turn(0)
    first = f.misses
    assert first < 20, first
    f.looks = 0
    start = f.clock
    for _ in range(10000):
        f.turn(0)
    assert f.misses - first <= 2 * (10000 // 256 + 1), f.misses
    assert f.looks * LOOK < 0.03 * time.ticks_diff(f.clock, start), f.looks
    # One day it has a processor of its own.
    f.shared = 0
    turns = 0
    while not f.turn(10)[0]:
        turns += 1
    assert turns <= 256, turns
    assert f.state[awake.PATIENCE] == 1
    assert f.turn(10) == (True, 10)


def test_a_bound_of_0_sleeps_always():
    f = Frames(longest=0)
    for _ in range(50):
        assert f.turn(1) == (False, 1 + WAKE)
    assert f.looks == 0


def test_bounds_of_the_bound():
    for longest in (-1, 1000):
        try:
            Frames(longest=longest)
        except ValueError:
            continue
        raise AssertionError(longest)


def test_no_time_is_one_look():
    f = Frames()
    f.state[awake.WINDOW] = 50
    assert f.wait(0) == -1
    f.follow(0)
    assert f.wait(0) == 60
    assert (f.looks, f.sleeps) == (2, 0)


def test_a_timer_that_ends_the_sleep_is_late_by_less_than_a_millisecond():
    f = Frames(longest=999)
    f.state[awake.WINDOW] = 999
    start = f.clock
    assert f.wait(1) == 0
    assert 1000 <= time.ticks_diff(f.clock, start) < 2000 + 2 * LOOK
    assert f.window == 0


def test_a_signal_ends_the_sleep():
    f = Frames()
    f.signal = True
    assert f.wait(1000) == 0
    assert f.window == 0


def test_nothing_is_allocated():
    ticks = [0]

    @micropython.native
    def now(ticks=ticks):
        ticks[0] += 3
        return ticks[0]

    @micropython.native
    def poll(a, b, c, ticks=ticks):
        quiet = ticks[0] // 5000 & 1  # for a while frames come, for a while none does
        if c == 1000:  # to sleep
            ticks[0] += 500 if quiet else 20
            return 1
        return -1 if quiet or ticks[0] % 7 else 1

    state = array("i", [0] * awake.WORDS)
    doze = awake.dozer(state, poll, bytearray(8), 100, now)
    heap_lock()
    try:
        for _ in range(2000):
            doze(1000, poll, 0, 1, 2)
    finally:
        heap_unlock()
    assert state[awake.HITS] > 100 and state[awake.MISSES] > 3, state
