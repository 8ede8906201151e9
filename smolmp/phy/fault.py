"""FaultInjector: a Device that treats frames as a bad network does.

    device = FaultInjector(Tap("tap0"), seed=1, clock=ticks_ms, drop=3, reorder=3)
    device.rx.set(drop=0.5)                    # each direction for itself
    device.tx.set(delay=40, jitter=5)

A frame meets the faults in this order; each counts what it did:

    size_limit   longer than this (octets): lost                               oversize
    drop         lost                                                          dropped
    rate_limit   over the token bucket (octets per second): lost               throttled
    corrupt      one random bit of one random octet is flipped                 corrupted
    delay        held for delay +- jitter ms (jitter reorders)                 delayed
    reorder      held until 1 to 3 later frames have passed, at most
                 reorder_limit ms longer than the delay                        reordered
    duplicate    sent once more, by itself                                     duplicated

Nothing is lost unaccounted. In each direction, at any time:

    frames + duplicated == passed + oversize + dropped + throttled + overflow + held()

where overflow counts frames lost since all places to hold one were taken. All chances come from
one seeded generator: the same seed, frames and times give the same faults.
"""

from micropython import const

from smolmp.phy.device import ETHERNET
from smolmp.phy.hold import Hold
from smolmp.phy.middleware import Middleware
from smolmp.prng import Random

_TICKS_MASK = const(0x3FFFFFFF)
_TICKS_SIGN = const(0x20000000)
_WHOLE = const(10000)  # chances are kept as hundredths of a percent

# What judge() decides; 0: the frame is lost
_FATE_PASS = const(1)
_FATE_HOLD = const(2)
_FATE_CORRUPT = const(4)
_FATE_DUPLICATE = const(8)

# One call of recv looks at so many frames of the inner device, if none of them passes.
_RECV_MOST = const(32)

_len = len  # found faster than the builtin


def _hundredths(percent):
    if not 0 <= percent <= 100:
        raise ValueError("0 to 100 percent")
    return int(percent * 100 + 0.5)


class Faults:
    """The faults of one direction: settings, counters and the frames held back."""

    def __init__(self, seed, clock, places, size, pad):
        self.random = Random(seed)
        self._clock = clock
        self.hold = Hold(places, size, pad)
        self.idle = True  # no fault is set
        self.number = 0
        self._due = 0
        self._soon = 0
        self._after = 0
        self.drop = self.corrupt = self.duplicate = self.reorder = 0
        self.delay = self.jitter = self.size_limit = self.rate_limit = self.burst = 0
        self.reorder_limit = 20
        self.reset_counters()

    def reset_counters(self):
        self.frames = 0  # came
        self.passed = 0  # went, duplicates included
        self.dropped = 0
        self.corrupted = 0
        self.duplicated = 0
        self.reordered = 0
        self.delayed = 0
        self.oversize = 0
        self.throttled = 0
        self.overflow = 0  # lost since there was no place to hold it

    def counters(self) -> dict:
        """All counters by name, and how many frames are held now."""
        names = "frames passed dropped corrupted duplicated reordered delayed oversize throttled"
        counters = {name: getattr(self, name) for name in (names + " overflow").split()}
        counters["held"] = self.hold.count
        return counters

    def held(self) -> int:
        """Frames held back now."""
        return self.hold.count

    def set(
        self,
        drop=None,
        corrupt=None,
        duplicate=None,
        reorder=None,
        delay=None,
        jitter=None,
        reorder_limit=None,
        size_limit=None,
        rate_limit=None,
        burst=None,
    ):
        """Change what is given, keep the rest.

        drop, corrupt, duplicate, reorder: percent, steps of 0.01. delay, jitter, reorder_limit:
        ms (reorder_limit without a clock: calls of recv). size_limit:
        octets, 0: none. rate_limit: octets per second, 0: none; burst: what may pass at once,
        octets, 0: as much as passes in 50 ms, at least two frames.
        """
        if drop is not None:
            self.drop = _hundredths(drop)
        if corrupt is not None:
            self.corrupt = _hundredths(corrupt)
        if duplicate is not None:
            self.duplicate = _hundredths(duplicate)
        if reorder is not None:
            self.reorder = _hundredths(reorder)
        if delay is not None:
            self.delay = self._ticks("delay", delay)
        if jitter is not None:
            self.jitter = self._ticks("jitter", jitter)
        if reorder_limit is not None:
            self.reorder_limit = self._ticks("reorder_limit", reorder_limit)
        if size_limit is not None:
            if size_limit < 0:
                raise ValueError("size_limit")
            self.size_limit = size_limit
        if rate_limit is not None:
            self.rate_limit = rate_limit
        if burst is not None:
            self.burst = burst
        if self._clock is None and (self.delay or self.jitter or self.rate_limit):
            raise ValueError("delay, jitter and rate_limit need a clock")
        if self.rate_limit:
            if not 0 < self.rate_limit < 1 << 29 or not 0 <= self.burst < 1 << 28:
                raise ValueError("rate_limit")
            self._per_ms = self.rate_limit // 1000
            self._per_s = self.rate_limit % 1000
            self._bucket = self.burst or max(self.rate_limit // 20, 2 * self.hold.size)
            self._fill_time = min(self._bucket * 1000 // self.rate_limit + 1, 1 << 20)
            self._tokens = self._bucket
            self._carry = 0
            self._filled = self._clock() & _TICKS_MASK
        chances = self.drop or self.corrupt or self.duplicate or self.reorder
        others = self.delay or self.jitter or self.size_limit or self.rate_limit
        self.idle = not (chances or others)

    def _ticks(self, name, ms):
        if not 0 <= ms < 1 << 24:
            raise ValueError(name)
        return ms

    def _chance(self, hundredths):
        return hundredths and self.random.bits(29) % _WHOLE < hundredths

    def _throttle(self, n, now):
        elapsed = (now - self._filled) & _TICKS_MASK
        if elapsed >= _TICKS_SIGN:
            elapsed = 0
        tokens = self._tokens
        if elapsed > self._fill_time:
            tokens = self._bucket
        else:
            part = elapsed * self._per_s + self._carry
            self._carry = part % 1000
            tokens += elapsed * self._per_ms + part // 1000
            if tokens > self._bucket:
                tokens = self._bucket
        self._filled = now
        if n > tokens:
            self._tokens = tokens
            return True
        self._tokens = tokens - n
        return False

    def judge(self, n, now):
        """What becomes of a frame of n octets that has just come: _FATE bits."""
        self.frames += 1
        self.number = (self.number + 1) & _TICKS_MASK
        if self.size_limit and n > self.size_limit:
            self.oversize += 1
            return 0
        if self._chance(self.drop):
            self.dropped += 1
            return 0
        if self.rate_limit and self._throttle(n, now):
            self.throttled += 1
            return 0
        fate = _FATE_PASS
        if n > self.hold.size:
            return fate
        if self._chance(self.corrupt):
            fate |= _FATE_CORRUPT
        self._after = 0
        wait = self.delay
        if self.jitter:
            wait += self.random.bits(29) % (2 * self.jitter + 1) - self.jitter
            if wait < 0:
                wait = 0
        self._due = self._soon = (now - (_TICKS_MASK - wait) - 1) & _TICKS_MASK
        if wait:
            fate |= _FATE_HOLD
            self.delayed += 1
        if self._chance(self.reorder):
            fate |= _FATE_HOLD
            self._after = 1 + self.random.bits(29) % 3
            self._due = (self._due - (_TICKS_MASK - self.reorder_limit) - 1) & _TICKS_MASK
            self.reordered += 1
        if self._chance(self.duplicate):
            fate |= _FATE_DUPLICATE
        return fate

    def flip(self, buf, start, n):
        """Corrupt buf[start:start + n]: one random bit of one random octet."""
        buf[start + self.random.bits(29) % n] ^= 1 << self.random.bits(3)
        self.corrupted += 1

    def put_aside(self, buf, start, n):
        """Hold the frame that was just judged, or lose it."""
        if not self.hold.put(buf, start, n, self._due, self._after, self.number):
            self.overflow += 1

    def put_duplicate(self, buf, start, n):
        """Hold a copy that goes as the frame would go without reordering, if there is room."""
        if self.hold.put(buf, start, n, self._soon, 0, self.number):
            self.duplicated += 1

    def went(self, number, now):
        """Frame `number` has passed."""
        self.passed += 1
        self.hold.passed(number, now)


class FaultInjector(Middleware):
    """seed: any int. clock: milliseconds when called without arguments (time.ticks_ms); None:
    then there is no delay and no rate limit, and calls of recv are counted instead.
    frames: how many can be held in each direction (delay: rate * delay of them).
    faults: as Faults.set has them, for both directions.

    With all faults off it is transparent, except that `checksums` is 0: a device that verifies
    them for the stack would let our corruption through. (One that writes them into what is sent
    still makes corrupted frames right again: switch that off at the device.) Nor are there frames
    larger than the mtu: a fault befalls what a wire would carry.
    """

    def __init__(self, inner, seed=1, clock=None, frames=16, **faults):
        super().__init__(inner)
        self.checksums = 0
        self._clock = clock
        self._polls = 0  # the clock of those who have none
        size = inner.mtu + 18  # an Ethernet header with a VLAN tag
        pad = 2 if inner.medium == ETHERNET else 0  # as the stack's own frames: fast to copy
        self.rx = Faults(2 * seed, clock, frames, size, pad)
        self.tx = Faults(2 * seed + 1, clock, frames, size, pad)
        self.set(**faults)

    def set(self, **faults):
        """Faults.set for both directions."""
        self.rx.set(**faults)
        self.tx.set(**faults)

    def _now(self):
        if self._clock is None:
            return self._polls
        return self._clock() & _TICKS_MASK

    def recv(self, buf) -> int:
        faults = self.rx
        if faults.idle and not faults.hold.count and not self.tx.hold.count:
            n = self.inner.recv(buf)
            if n:
                faults.frames += 1
                faults.passed += 1
            return n
        self._polls = (self._polls + 1) & _TICKS_MASK
        now = self._now()
        if self.tx.hold.count:
            self._flush(now)
        for _ in range(_RECV_MOST):
            i = faults.hold.due(now)
            if i >= 0:
                n = faults.hold.length(i)
                if n > _len(buf):
                    faults.oversize += 1
                    faults.hold.release(i)
                    continue
                faults.hold.read(i, buf, n)
                faults.went(faults.hold.release(i), now)
                return n
            n = self.inner.recv(buf)
            if n == 0:
                return 0
            fate = faults.judge(n, now)
            if fate & _FATE_CORRUPT:
                faults.flip(buf, 0, n)
            if fate & _FATE_DUPLICATE:
                faults.put_duplicate(buf, 0, n)
            if fate & _FATE_HOLD:
                faults.put_aside(buf, 0, n)
            elif fate:
                faults.went(faults.number, now)
                return n
        return 0

    def send(self, buf, start: int, end: int) -> bool:
        faults = self.tx
        if faults.idle and not faults.hold.count:
            if not self.inner.send(buf, start, end):
                return False
            faults.frames += 1
            faults.passed += 1
            return True
        now = self._now()
        if not self._flush(now):
            return False
        n = end - start
        fate = faults.judge(n, now)
        if fate & _FATE_CORRUPT:
            # the stack may need its frame again: the change is made in a copy
            start = faults.hold.copy_aside(buf, start, n)
            buf = faults.hold.store
            faults.flip(buf, start, n)
        if fate & _FATE_DUPLICATE:
            faults.put_duplicate(buf, start, n)
        if fate & _FATE_HOLD:
            faults.put_aside(buf, start, n)
        elif fate:
            if self.inner.send(buf, start, start + n):
                faults.went(faults.number, now)
            elif not faults.hold.put(buf, start, n, now, 0, faults.number):
                faults.overflow += 1
        self._flush(now)
        return True

    def _flush(self, now):
        """Send the held frames that are due. False: the device is busy."""
        faults = self.tx
        while True:
            i = faults.hold.due(now)
            if i < 0:
                return True
            at = faults.hold.index(i)
            if not self.inner.send(faults.hold.store, at, at + faults.hold.length(i)):
                return False
            faults.went(faults.hold.release(i), now)

    def poll_delay(self):
        """Milliseconds until a held frame is due, None when none is held."""
        now = self._now()
        rx = self.rx.hold.next_due(now)
        tx = self.tx.hold.next_due(now)
        if tx == 0:
            tx = 1  # the device is busy: not at once again
        if rx < 0 or 0 <= tx < rx:
            rx = tx
        if rx < 0:
            return None
        return 1 if self._clock is None else rx

    def wait(self, ms=None, spin=0) -> bool:
        """As the inner device waits, but not longer than until a held frame is due."""
        due = self.poll_delay()
        if due is None or (ms is not None and ms < due):
            return self.inner.wait(ms, spin)
        self.inner.wait(due, spin)
        return True
