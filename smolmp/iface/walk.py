"""The walk of packets through an Interface: what time brings, frames in, frames out.

Functions, since a method of so large an object is searched for at every call.
"""

import micropython
from micropython import const

from smolmp.counters import count
from smolmp.iface import arp, ipv4
from smolmp.iface.ipv4 import ingress as ipv4_ingress
from smolmp.socket.set import clear_bit, next_bit, next_turn
from smolmp.wire.ethernet import parse as parse_ethernet

ETHERTYPES = {0x0800: ipv4.ingress, 0x0806: arp.ingress}  # -> ingress(iface, sockets)
VERSIONS = {4: ipv4.ingress}  # IP version -> ingress(iface, sockets), medium IP

_ETHERTYPE = const(14)
_CAST = const(15)
_LINK = const(16)
_NET = const(17)
_END = const(19)

_RX_NET = const(16)  # where the IP header stands in iface.rx
_RX_LINK = const(2)

_LAST = const(2)  # sent, and the socket has nothing else to send
_IDLE = const(0)
_BUSY = const(-1)
_BLOCKED = const(-2)

_TICKS_MASK = const(0x3FFFFFFF)
_TICKS_HALF = const(0x20000000)

_COUNT_RX_FRAMES = const(0)
_COUNT_RX_MALFORMED = const(5)
_COUNT_RX_UNSUPPORTED = const(7)


@micropython.native
def begin(iface, now, sockets):
    """Let time pass."""
    now &= _TICKS_MASK
    if now != iface.now:
        iface._tick(now)
    if iface.busy:  # to store an attribute costs more than to look at several: see class
        iface.busy = False
    if iface.neighbors.incomplete:
        iface.neighbors.run()
    if iface.tasks:
        iface._run_tasks(sockets)
    earliest = sockets.earliest
    if earliest >= 0 and (now - earliest) & _TICKS_MASK < _TICKS_HALF:
        sockets.run_timers(iface)


@micropython.native
def ingress(iface, sockets, budget, n) -> int:
    """Process up to `budget` frames, the first of them, if n > 0, the n octets that stand in
    iface.rx; what is left of the budget."""
    rx, rec, mac, counters, recv, view, ether, size = iface.inward
    while budget > 0:
        if n == 0:
            lane = sockets.lane
            if lane is None:
                n = recv(view)
            else:
                n = lane.drain(iface, budget)
                budget -= lane.taken
            if n <= 0:
                break
        budget -= 1
        count(counters, _COUNT_RX_FRAMES)
        if n > size:  # a broken device; all bounds rest on this
            count(counters, _COUNT_RX_MALFORMED)
        elif not ether:
            _packet(iface, sockets, n)
        else:
            n = parse_ethernet(rx, _RX_LINK, _RX_LINK + n, rec, mac)
            if n:
                count(counters, 3 - n)
            elif rec[_ETHERTYPE] == 0x0800:
                ipv4_ingress(iface, sockets)
            else:
                handler = ETHERTYPES.get(rec[_ETHERTYPE])
                if handler is None:
                    count(counters, _COUNT_RX_UNSUPPORTED)
                else:
                    handler(iface, sockets)
        n = 0
    iface.more[0] = budget <= 0
    return budget


@micropython.native
def egress(iface, sockets, budget, burst) -> int:
    """Send announcements and kept frames, then visit marked sockets, round robin: up to
    `budget` packets, at most 1 + `burst` a visit; how many of them were sent."""
    neighbors = iface.neighbors
    if sockets.neighbor_events != neighbors.events:
        sockets.neighbor_events = neighbors.events
        sockets.unblock()
    if neighbors.pending or iface._announcing >= 0:
        iface._link_egress()
    marks = sockets.marks
    slots = sockets.slots
    dispatchers = sockets.dispatchers
    turn = sockets.turn
    sent = 0
    if iface.busy:
        return 0
    while budget > 0:
        slot = next_turn(marks, turn, slots)
        if slot < 0:
            break
        budget -= 1
        room = burst
        if room:
            if room > budget:
                room = budget
            if next_bit(marks, slot + 1, slots) < 0 and next_bit(marks, 0, slot) < 0:
                room = budget  # nobody else waits for a turn
        if iface.burst != room:
            iface.burst = room
        code = settle(iface, sockets, slot, dispatchers[slot](iface))
        if code == _BUSY:
            turn = slot
            break
        turn = slot + 1
        if code > 0:
            sent += 1
            if room and iface.followed:
                budget -= iface.followed
                sent += iface.followed
                iface.followed = 0
            if room and iface.busy:
                break
    sockets.turn = turn
    return sent


@micropython.native
def settle(iface, sockets, slot, code) -> int:
    """The socket in `slot` was visited and answered `code`: has it still something to say?"""
    if code == _LAST or code == _IDLE:
        clear_bit(sockets.marks, slot)
    elif code == _BUSY:
        iface.busy = True
    elif code == _BLOCKED:
        sockets.block(slot)
    return code


def _packet(iface, sockets, n: int):
    """An IP packet of `n` bytes without a link header."""
    rec = iface.rec
    rec[_CAST] = 0
    rec[_LINK] = _RX_NET
    rec[_NET] = _RX_NET
    rec[_END] = _RX_NET + n
    handler = VERSIONS.get(iface.rx[_RX_NET] >> 4)
    if handler is None:
        count(iface.counters, _COUNT_RX_UNSUPPORTED)
    else:
        handler(iface, sockets)
