"""What a Net's poll(), wait() and push() become where its device waits and reads in one: fetch().

They are Net's own, on iface/steady.py and without what a talk of one frame at a time need not do:
a program that waits is given the frame that came before anybody looks for a second one, and what
it says goes out without looking for one. Once a millisecond all is looked at, as Net does it.
"""

import micropython
from micropython import const

from smolmp.iface import steady
from smolmp.socket.set import lone_bit
from smolmp.socket.udp_express import Express

_SECOND = const(1000)  # ms, as Net.delay() has it
_BUDGET = const(64)  # as Interface has it


def bind(net, fetch, nets):
    """(poll, wait, push) of `net`, one of `nets`; fetch(buf, ms) is its device's."""
    iface, sockets = net.iface, net.sockets
    if sockets.datagrams is None:
        sockets.datagrams = Express()
    step, answer = steady.bind(iface, sockets)

    # Defaults are at hand; attributes and globals would be searched for.
    @micropython.native
    def poll(net=net, iface=iface, step=step, clock=net.clock, watched=net._watched):
        if net.dirty:
            net.dirty = False
        now = clock()
        if now != net.polled:
            net.polled = now
        changed = step(now, _BUDGET)
        if iface._link is not net._cable:
            net._cable_moved()
        if changed:
            if net.waiting is not None:
                net.waiting.note(changed)
            if watched:
                changed = net._call_back(changed)
        return changed

    @micropython.native
    def wait(
        ms=None,
        net=net,
        iface=iface,
        poll=poll,
        slow=net.wait,
        nets=nets,
        clock=net.clock,
        sockets=sockets,
        changes=sockets.changes,
        answer=answer,
        delay=iface.poll_delay,
        more=iface.more,
        view=iface.view,
        fetch=fetch,
        step=step,
        lone=lone_bit,
        watched=net._watched,
        budget=[1],  # noqa: B006 - that of the next frame
        size=len,
    ):
        if size(nets) > 1:
            return slow(ms)
        now = clock()
        if net.dirty:
            net.dirty = False
            answer(now)
        if now != net.polled or lone(changes, sockets.words) != -1:
            if poll():
                budget[0] = _BUDGET  # while frames are there before anybody waits for them
                return None
        left = delay(now, sockets)
        if left is None or left > _SECOND:
            left = _SECOND
        if ms is not None and ms < left:
            left = ms
        n = fetch(view, left)
        now = clock()
        many = budget[0]
        changed = step(now, many, n)
        if many == 1:
            more[0] = False  # whether there is more the next fetch() will know
        else:
            lane = sockets.lane
            if lane is None or lane.taken <= 1:
                budget[0] = 1
        if now != net.polled:
            net.polled = now
            if iface._link is not net._cable:
                net._cable_moved()
        if changed:
            if net.waiting is not None:
                net.waiting.note(changed)
            if watched:
                net._call_back(changed)
        return None

    @micropython.native
    def push(net=net, poll=poll, answer=answer, clock=net.clock):
        now = clock()
        if now != net.polled:
            poll()
        else:
            if net.dirty:
                net.dirty = False
            answer(now)

    return poll, wait, push
