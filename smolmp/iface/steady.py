"""For a loop that polls one set for ever: poll() and poll_egress() that find what they work with
once. Of use where looking things up is most of what a round trip costs; else do without.

    poll, answer = steady.bind(iface, sockets)
    for socket in poll(now, budget): ...            # as iface.poll(now, sockets, budget)
    device.wait(ms)
    n = device.recv(iface.view)                     # what one has received already is the first
    for socket in poll(now, budget, n): ...         # frame of the poll
    answer(now)                                     # as iface.poll_egress(now, sockets): not 0
                                                    # when something was sent or changed

They do what is plain: a lane is set, and the ms is the one of the last poll, so that time brought
nothing. All else is Interface's; what its neighbours and tasks set up within the same ms waits for
the next one.
"""

import micropython
from micropython import const

from smolmp.iface.walk import begin, egress, ingress, settle
from smolmp.socket.set import ALL, clear_bit, lone_bit, next_bit, take_lone

_BURST = const(15)  # as Interface has it
_LAST = const(2)
_BUSY = const(-1)
_TICKS_MASK = const(0x3FFFFFFF)


def bind(iface, sockets):
    """(poll, answer) of this interface and this set."""
    whole, rest, more = iface.poll, iface.poll_egress, iface.more
    marks, changes, hidden = sockets.marks, sockets.changes, sockets.hidden
    report, objects, dispatchers = sockets.report, sockets.objects, sockets.dispatchers

    # Defaults are at hand; attributes and globals would be searched for.
    @micropython.native
    def poll(
        now,
        budget=64,
        n=0,
        iface=iface,
        sockets=sockets,
        whole=whole,
        more=more,
        marks=marks,
        changes=changes,
        hidden=hidden,
        report=report,
        objects=objects,
        next=next_bit,
        take=take_lone,
        every=ALL,
    ):
        lane = sockets.lane
        if lane is None or now & _TICKS_MASK != iface.now:
            if n <= 0:
                return whole(now, sockets, budget)
            begin(iface, now, sockets)
            lane = sockets.lane
            left = budget
            if lane is not None:
                n = lane.drain(iface, budget, n)
                left -= lane.taken
            if n or lane is None:
                ingress(iface, sockets, left, n)
            else:
                more[0] = left <= 0
            egress(iface, sockets, budget, _BURST)
            return sockets.take_changed()
        n = lane.drain(iface, budget, n)
        left = budget - lane.taken
        if n:
            ingress(iface, sockets, left, n)
        else:
            more[0] = left <= 0
        words = sockets.words
        if n or next(marks, 0, words << 5) >= 0:
            egress(iface, sockets, budget, _BURST)
        if report:
            del report[every]
        slot = take(changes, hidden, words)
        if slot >= 0:
            report.append(objects[slot])
        elif slot != -1:
            return sockets.take_changed()
        return report

    @micropython.native
    def answer(
        now,
        iface=iface,
        sockets=sockets,
        rest=rest,
        marks=marks,
        dispatchers=dispatchers,
        lone=lone_bit,
        clear=clear_bit,
    ):
        slot = lone(marks, sockets.words)
        if slot < 0 or iface.burst or now & _TICKS_MASK != iface.now:
            return rest(now, sockets)
        code = dispatchers[slot](iface)
        if code == _BUSY:
            sockets.turn = slot
        else:
            sockets.turn = slot + 1
        if code == _LAST:
            clear(marks, slot)
            return 1
        return 1 if settle(iface, sockets, slot, code) > 0 else 0

    return poll, answer
