"""Staying awake for a moment where the next frame is near.

A sleeper is woken late: the kernel has to take a processor out of its idle state (a virtual
machine's out of the hypervisor), switch to it and warm its caches, 5 to 50 us. In a talk of
requests and answers each answer is followed by such a sleep, and it costs more than all the work.
So wait() and fetch() look again and again for a while before they go to sleep, if past sleeps
say that this pays. Linux does the same for idle virtual processors: "The KVM halt polling system"
(Documentation/virt/kvm/halt-polling.rst) and "Guest halt polling" (haltpoll.rst, cpuidle), of
which this is the first one, with a memory of what was in vain:

- `window` is how long it stays awake, in microseconds: 0 at first, `longest` at most.
- A sleep, begun at once, that a frame ended within `longest` was not worth while: from now on the
  window is twice what that sleep took.
- A frame that came in the window's second half widens it in the same way.
- Awake in vain, but the sleep that followed was short: the window was too small, and is doubled
  by the same rule, unless both together took longer than `longest`.
- Awake in vain otherwise: the window is 0 again, and it takes twice as many short sleeps as last
  time (`patience`, at most 256) to open it; a hit makes that 1 again.

So a stack without traffic, or whose frames come further apart than `longest`, never stays awake.
Time is spent in vain once a talk, for twice its round trip; where staying awake can bring nothing
(the peer needs this very processor) soon no more than twice in 256 sleeps. What a busy talk costs
is the processor: it is not idle while the peer thinks, if that takes less than `longest`.
"""

import time

import micropython
from micropython import const

LONGEST = const(100)  # us: what a wake-up costs, and the round trip of a quick peer

_LOOKS = const(2)  # between readings of the clock
_MOST_PATIENCE = const(256)

# The words of a state.
WINDOW = const(0)
PATIENCE = const(1)  # short sleeps that it takes to open the window
OWED = const(2)  # of these are left
HITS = const(3)  # frames that came while awake, modulo 2**30
MISSES = const(4)  # times that none did
WORDS = const(5)

_MASK = const(0x3FFFFFFF)


def dozer(state, poll, wanted, longest=LONGEST, clock=time.ticks_us, passed=time.ticks_diff):
    """doze(ms, look, a, b, c): sleep by poll(wanted, 1, ms), awake at first with look(a, b, c) as
    long as `state` says, an array of WORDS words, zeros at first.

    It returns what look() said when that is above 0; -1: poll() woke with events in `wanted`; 0:
    the time is over. poll: as poll(2), ms -1: for ever. longest: us, 0 (it never stays awake) to
    999: so it is late by less than a millisecond."""
    if not 0 <= longest < 1000:
        raise ValueError("longest: 0 to 999 microseconds")

    # Defaults are at hand; attributes and globals would be searched for.
    @micropython.native
    def doze(
        ms,
        look,
        a,
        b,
        c,
        state=state,
        poll=poll,
        wanted=wanted,
        longest=longest,
        clock=clock,
        passed=passed,
    ):
        if ms == 0:
            return look(a, b, c)
        window = state[WINDOW]
        start = clock()
        took = 0
        while took < window:
            for _ in range(_LOOKS):
                n = look(a, b, c)
                if n > 0:
                    state[HITS] = state[HITS] + 1 & _MASK
                    if state[PATIENCE] > 1:
                        state[PATIENCE] = 1
                    took += took
                    if took > window:
                        state[WINDOW] = took if took < longest else longest
                    return n
            took = passed(clock(), start)
        n = poll(wanted, 1, ms)
        took = passed(clock(), start)
        if window:
            state[MISSES] = state[MISSES] + 1 & _MASK
        if n > 0 and took < longest:
            if not window and state[OWED] > 1:
                state[OWED] -= 1
            else:
                took += took + 1
                state[WINDOW] = took if took < longest else longest
        elif window:
            state[WINDOW] = 0
            took = state[PATIENCE] << 1 or 2
            if took > _MOST_PATIENCE:
                took = _MOST_PATIENCE
            state[PATIENCE] = state[OWED] = took
        return -1 if n > 0 else 0

    return doze
