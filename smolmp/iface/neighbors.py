"""The neighbour cache: link addresses of the hosts on our link (RFC 826, RFC 1122 2.3.2).

One cache serves ARP and, when it is plugged in, neighbour discovery. A neighbour is INCOMPLETE
while it is asked for (at most 3 requests, one a second, each neighbour on its own clock), then
REACHABLE for 60 s, which every packet from it renews. While it is INCOMPLETE one frame waits for
it, so that the first packet of a conversation is not lost; whoever has a second one is told to
come back. A full cache gives up the neighbour that would expire first; one being asked for only
when somebody who really is there needs the place.

Words: 16 of header, then one entry of 16 per neighbour, then one entry that only holds the link
address of the group or broadcast being sent to.
"""

from array import array

import micropython
from micropython import const

from smolmp.counters import count
from smolmp.wire import address as addresses
from smolmp.wire.checksum import copy_checksum

_NEIGHBORS = const(16)  # where the entries begin
_NEIGHBOR_WORDS = const(16)
# The header: [0] how many entries there are, and
_HINT_REMOTE = const(1)  # the destination that the last lookup was for (IPv4 word)
_HINT_INDEX = const(2)  # and what it found, -1: nothing
_HOP_FAMILY = const(3)  # the next hop that a lookup did not find: family, 4 words
_HOP = const(4)
_NEIGHBOR_LIFETIME = const(9)  # in ms
# An entry:
_NEIGHBOR_STATE = const(0)
_NEIGHBOR_FAMILY = const(1)
_NEIGHBOR_ADDRESS = const(2)  # 4 words
_NEIGHBOR_MAC = const(6)  # 6 bytes in 2 words
_NEIGHBOR_DUE = const(8)  # REACHABLE: expiry (-1: never); INCOMPLETE: the next request
_NEIGHBOR_TRIES = const(9)
_NEIGHBOR_WAITING = const(10)  # the place of the waiting frame, -1: none
_NEIGHBOR_END = const(11)  # where that frame ends

_FREE = const(0)
_INCOMPLETE = const(1)
_REACHABLE = const(2)

_TICKS_MASK = const(0x3FFFFFFF)
_TICKS_HALF = const(0x20000000)
_REQUEST_INTERVAL = const(1000)
_REQUEST_TRIES = const(3)

_SENT = const(1)
_BLOCKED = const(-2)

_COUNT_TX_FRAMES = const(1)
_COUNT_TX_BUSY = const(2)
_COUNT_NEIGHBOR_FAILED = const(19)
_COUNT_NEIGHBOR_CHANGED = const(20)
_COUNT_NEIGHBOR_BLOCKED = const(22)
_COUNT_NEIGHBOR_EVICTED = const(23)

_STATES = ("free", "incomplete", "reachable")


@micropython.viper
def _lookup(words: ptr32, family: int, address: ptr32, at: int) -> int:
    """The entry for the address in words address[at:at + 4], in any state; -1 if none."""
    i = 0
    while i < words[0]:
        entry = ptr32(int(words) + ((16 + (i << 4)) << 2))
        if (
            entry[0] != 0
            and entry[1] == family
            and entry[2] == address[at]
            and entry[3] == address[at + 1]
            and entry[4] == address[at + 2]
            and entry[5] == address[at + 3]
        ):
            return i
        i += 1
    return -1


@micropython.viper
def _place(words: ptr32, now: int, alive: int) -> int:
    """An entry for a new neighbour: a free one, else the REACHABLE one that expires first and
    has no frame waiting; -1 if there is none. A permanent one is never given up.

    alive: the new neighbour spoke to us. Then, before it is turned away, the one that has been
    asked again most often goes: addresses that nobody has must not keep out who is there.
    """
    best = -1
    soonest = 0
    silent = -1
    tries = 1
    i = 0
    while i < words[0]:
        entry = ptr32(int(words) + ((16 + (i << 4)) << 2))
        if entry[0] == 0:
            return i
        if entry[0] == 2 and (entry[8] >> 30) & 1 == 0 and (entry[10] >> 30) & 1:
            left = (entry[8] - now) & 0x3FFFFFFF
            if left >= 0x20000000:
                left = 0
            if best < 0 or left < soonest:
                best = i
                soonest = left
        if entry[0] == 1 and entry[9] > tries:
            silent = i
            tries = entry[9]
        i += 1
    if best < 0 and alive:
        return silent
    return best


@micropython.viper
def _store(words: ptr32, i: int, family: int, address: ptr32, at: int):
    entry = ptr32(int(words) + ((16 + (i << 4)) << 2))
    entry[1] = family
    entry[2] = address[at]
    entry[3] = address[at + 1]
    entry[4] = address[at + 2]
    entry[5] = address[at + 3]


@micropython.viper
def _store_mac(words: ptr32, i: int, mac: ptr8, off: int) -> int:
    """Note the link address mac[off:off + 6]; 1 if it is another one than before."""
    at = ptr8(int(words) + ((16 + (i << 4) + 6) << 2))
    different = 0
    j = 0
    while j < 6:
        if at[j] != mac[off + j]:
            different = 1
            at[j] = mac[off + j]
        j += 1
    return different


@micropython.viper
def _find_zero(places: ptr8, n: int) -> int:
    i = 0
    while i < n:
        if places[i] == 0:
            return i
        i += 1
    return -1


@micropython.viper
def _next_due(words: ptr32, now: int, state: int, start: int) -> int:
    """The first entry from `start` on in `state` whose time has come, -1 if none."""
    i = start
    while i < words[0]:
        entry = ptr32(int(words) + ((16 + (i << 4)) << 2))
        due = entry[8]
        if entry[0] == state and (due >> 30) & 1 == 0 and (now - due) & 0x3FFFFFFF < 0x20000000:
            return i
        i += 1
    return -1


@micropython.viper
def _request_delay(words: ptr32, now: int) -> int:
    """Milliseconds to the next request that is to be sent, -1 if nobody is being asked for."""
    best = -1
    i = 0
    while i < words[0]:
        entry = ptr32(int(words) + ((16 + (i << 4)) << 2))
        if entry[0] == 1:
            d = (entry[8] - now) & 0x3FFFFFFF
            if d >= 0x20000000:
                return 0
            if best < 0 or d < best:
                best = d
        i += 1
    return best


class Neighbors:
    """The neighbour cache of one Interface.

    `capacity` neighbours, `waiting` frames of `frame_size` bytes (link header included) kept at
    most for all of them.
    """

    def __init__(self, iface, capacity: int, waiting: int, frame_size: int):
        self.words = array("i", bytes(4 * (_NEIGHBORS + _NEIGHBOR_WORDS * (capacity + 1))))
        self.words[0] = capacity
        self.words[_HINT_INDEX] = -1
        for i in range(capacity + 1):
            self.words[_NEIGHBORS + _NEIGHBOR_WORDS * i + _NEIGHBOR_WAITING] = -1
        self.capacity = capacity
        self.words[_NEIGHBOR_LIFETIME] = 60000
        self.incomplete = 0  # how many entries are
        self.pending = 0  # frames whose neighbour is known, but which the device did not take
        self.events = 0  # counts what may let a blocked socket go on
        self._iface = iface
        # A frame waits with its IP header 4-aligned, as in iface.rx: Ethernet header at 2.
        self._stride = (2 + frame_size + 3) & ~3
        self._frames = bytearray(self._stride * waiting)
        self._taken = bytearray(waiting)
        self._waiting = waiting

    # The interface's side.

    def wait(self, frame, start: int, end: int) -> int:
        """Keep frame[start:end] for the neighbour that a lookup just left in _HOP, and ask for
        it: _SENT, or _BLOCKED if it must be brought again when `events` has changed."""
        words = self.words
        now = self._iface.now
        i = _lookup(words, words[_HOP_FAMILY], words, _HOP)
        if i < 0:
            i = self._new(words[_HOP_FAMILY], words, _HOP, 0)
            if i < 0:
                return self._blocked()
            self._ask(i, now)
        at = _NEIGHBORS + _NEIGHBOR_WORDS * i
        if words[at + _NEIGHBOR_STATE] == _REACHABLE:  # and expired since the last second
            if words[at + _NEIGHBOR_WAITING] >= 0:
                return self._blocked()
            self._ask(i, now)
        code = self._keep(at, frame, start, end)
        if not words[at + _NEIGHBOR_TRIES]:
            self._solicit(i)
        return code

    def _keep(self, at: int, frame, start: int, end: int) -> int:
        words = self.words
        place = _find_zero(self._taken, self._waiting)
        if words[at + _NEIGHBOR_WAITING] >= 0 or place < 0 or end - start > self._stride - 2:
            return self._blocked()
        self._taken[place] = 1
        offset = place * self._stride + 2
        copy_checksum(self._frames, offset, frame, start, end - start, 0)
        words[at + _NEIGHBOR_WAITING] = place
        words[at + _NEIGHBOR_END] = offset + end - start
        return _SENT

    def learn(self, family: int, address, at: int, mac, off: int, create: bool):
        """The host with the address in words address[at:at + 4] has the link address
        mac[off:off + 6] now. An unknown host is taken in only if `create`."""
        i = _lookup(self.words, family, address, at)
        if i < 0:
            if not create:
                return
            i = self._new(family, address, at, 1)
            if i < 0:
                return
        entry = _NEIGHBORS + _NEIGHBOR_WORDS * i
        words = self.words
        state = words[entry + _NEIGHBOR_STATE]
        if state == _REACHABLE and words[entry + _NEIGHBOR_DUE] < 0:
            return  # permanent
        if _store_mac(words, i, mac, off) and state == _REACHABLE:
            count(self._iface.counters, _COUNT_NEIGHBOR_CHANGED)
        words[entry + _NEIGHBOR_STATE] = _REACHABLE
        words[entry + _NEIGHBOR_DUE] = self._after(words[_NEIGHBOR_LIFETIME])
        if state == _INCOMPLETE:
            self.incomplete -= 1
            self._event()
            if words[entry + _NEIGHBOR_WAITING] >= 0:
                self.pending += 1
                self._send_waiting(i)

    def run(self):
        """Send the requests that are due; forget neighbours that did not answer the last."""
        iface = self._iface
        words = self.words
        i = _next_due(words, iface.now, _INCOMPLETE, 0)
        while i >= 0:
            if words[_NEIGHBORS + _NEIGHBOR_WORDS * i + _NEIGHBOR_TRIES] < _REQUEST_TRIES:
                if not self._solicit(i):
                    return  # busy: the rest would find it so, too
            else:
                self._free(i)
                count(iface.counters, _COUNT_NEIGHBOR_FAILED)
            self._event()
            i = _next_due(words, iface.now, _INCOMPLETE, i + 1)

    def flush_pending(self) -> bool:
        """Send the frames whose neighbour is known; False: the device is busy again."""
        words = self.words
        i = 0
        while self.pending and i < self.capacity:
            at = _NEIGHBORS + _NEIGHBOR_WORDS * i
            if words[at + _NEIGHBOR_STATE] == _REACHABLE and words[at + _NEIGHBOR_WAITING] >= 0:
                if not self._send_waiting(i):
                    return False
            i += 1
        return True

    def expire(self):
        """Forget neighbours not heard of for 60 s; called when iface.seconds advances."""
        now = self._iface.now
        i = _next_due(self.words, now, _REACHABLE, 0)
        while i >= 0:
            if self.words[_NEIGHBORS + _NEIGHBOR_WORDS * i + _NEIGHBOR_WAITING] < 0:
                self._free(i)
            i = _next_due(self.words, now, _REACHABLE, i + 1)

    def delay(self, now: int) -> int:
        """Milliseconds to the next request, 0: due, -1: nobody is being asked for."""
        return _request_delay(self.words, now) if self.incomplete else -1

    def forget_hint(self):
        """Routes or addresses changed: the last lookup's result is not to be trusted."""
        self.words[_HINT_INDEX] = -1

    def flush(self):
        """Forget every neighbour that is not permanent, and the frames that wait."""
        for i in range(self.capacity):
            at = _NEIGHBORS + _NEIGHBOR_WORDS * i
            state = self.words[at + _NEIGHBOR_STATE]
            if state == _INCOMPLETE or self.words[at + _NEIGHBOR_DUE] >= 0:
                self._free(i)
        self._event()

    # People's side.

    def add(self, address: str, mac: str):
        """A permanent neighbour: never asked for, never forgotten. OverflowError: no room."""
        words = array("i", bytes(16))
        family = addresses.to_words(addresses.parse_address(address), words, 0)
        self.remove(address)
        i = self._new(family, words, 0, 1)
        if i < 0:
            raise OverflowError("no room for another neighbour")
        _store_mac(self.words, i, addresses.parse_mac(mac), 0)
        at = _NEIGHBORS + _NEIGHBOR_WORDS * i
        self.words[at + _NEIGHBOR_STATE] = _REACHABLE
        self.words[at + _NEIGHBOR_DUE] = -1
        self._event()

    def remove(self, address: str) -> bool:
        """Forget a neighbour; False if it is unknown."""
        i = self._index(address)
        if i >= 0:
            self._free(i)
        self._event()
        return i >= 0

    def get(self, address: str):
        """The link address of a REACHABLE neighbour as text, else None."""
        i = self._index(address)
        if i < 0:
            return None
        at = _NEIGHBORS + _NEIGHBOR_WORDS * i
        if self.words[at + _NEIGHBOR_STATE] != _REACHABLE:
            return None
        due = self.words[at + _NEIGHBOR_DUE]
        if due >= 0 and (self._iface.now - due) & _TICKS_MASK < _TICKS_HALF:
            return None
        return self._mac(at)

    def __len__(self):
        return len(self.entries())

    def entries(self):
        """[(address, link address or None, state)] as text, for people."""
        words = self.words
        result = []
        for i in range(self.capacity):
            at = _NEIGHBORS + _NEIGHBOR_WORDS * i
            state = words[at + _NEIGHBOR_STATE]
            if state != _FREE:
                address = addresses.from_words(
                    words[at + _NEIGHBOR_FAMILY], words, at + _NEIGHBOR_ADDRESS
                )
                mac = self._mac(at) if state == _REACHABLE else None
                result.append((addresses.format_address(address), mac, _STATES[state]))
        return result

    def __repr__(self):
        return ", ".join(
            ["%s %s" % (address, mac or state) for address, mac, state in self.entries()]
        )

    # Entries.

    def _index(self, address: str) -> int:
        words = array("i", bytes(16))
        family = addresses.to_words(addresses.parse_address(address), words, 0)
        return _lookup(self.words, family, words, 0)

    def _mac(self, at: int) -> str:
        at = 4 * (at + _NEIGHBOR_MAC)
        mac = bytearray(6)
        copy_checksum(mac, 0, self.words, at, 6, 0)
        return addresses.format_mac(mac)

    def _after(self, ms: int) -> int:
        return (self._iface.now - (_TICKS_MASK - ms) - 1) & _TICKS_MASK

    def _event(self):
        self.events = (self.events + 1) & _TICKS_MASK

    def _blocked(self) -> int:
        count(self._iface.counters, _COUNT_NEIGHBOR_BLOCKED)
        return _BLOCKED

    def _new(self, family: int, address, at: int, alive: int) -> int:
        """An entry for a new neighbour, still free; -1: there is no place."""
        i = _place(self.words, self._iface.now, alive)
        if i >= 0:
            if self.words[_NEIGHBORS + _NEIGHBOR_WORDS * i + _NEIGHBOR_STATE] != _FREE:
                count(self._iface.counters, _COUNT_NEIGHBOR_EVICTED)
                self._free(i)
            _store(self.words, i, family, address, at)
        return i

    def _ask(self, i: int, now: int):
        at = _NEIGHBORS + _NEIGHBOR_WORDS * i
        self.words[at + _NEIGHBOR_STATE] = _INCOMPLETE
        self.words[at + _NEIGHBOR_TRIES] = 0
        self.words[at + _NEIGHBOR_DUE] = now
        self.incomplete += 1

    def _solicit(self, i: int) -> bool:
        words = self.words
        at = _NEIGHBORS + _NEIGHBOR_WORDS * i
        if not self._iface.solicit(words[at + _NEIGHBOR_FAMILY], i):
            return False
        words[at + _NEIGHBOR_TRIES] += 1
        words[at + _NEIGHBOR_DUE] = self._after(_REQUEST_INTERVAL)
        return True

    def _free(self, i: int):
        words = self.words
        at = _NEIGHBORS + _NEIGHBOR_WORDS * i
        state = words[at + _NEIGHBOR_STATE]
        place = words[at + _NEIGHBOR_WAITING]
        if place >= 0:
            self._taken[place] = 0
            words[at + _NEIGHBOR_WAITING] = -1
            if state == _REACHABLE:
                self.pending -= 1
        if state == _INCOMPLETE:
            self.incomplete -= 1
        words[at + _NEIGHBOR_STATE] = _FREE
        self.forget_hint()

    def _send_waiting(self, i: int) -> bool:
        iface = self._iface
        words = self.words
        at = _NEIGHBORS + _NEIGHBOR_WORDS * i
        place = words[at + _NEIGHBOR_WAITING]
        start = place * self._stride + 2
        copy_checksum(self._frames, start, words, 4 * (at + _NEIGHBOR_MAC), 6, 0)
        if not iface.device.send(self._frames, start, words[at + _NEIGHBOR_END]):
            count(iface.counters, _COUNT_TX_BUSY)
            iface.busy = True
            return False
        count(iface.counters, _COUNT_TX_FRAMES)
        self._taken[place] = 0
        words[at + _NEIGHBOR_WAITING] = -1
        self.pending -= 1
        return True
