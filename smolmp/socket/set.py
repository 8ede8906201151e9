"""SocketSet: the sockets that one program polls together, and what is to be done about each.

A socket lives in a slot. For every slot there are, in words that viper scans:

    a demux key    which packets are its own                        (bind, unbind, find)
    a mark         it has something to send: egress visits it       (mark)
    a deadline     its earliest timer                               (deadline)
    a change       it is to be reported by the poll                 (changed)

so a poll costs what there is to do, not what there are sockets. Slots are reused; a handle is a
slot with a generation, so that one that outlived its socket is told from its successor.
Memory is allocated by add() only.
"""

from array import array

import micropython
from micropython import const

from smolmp.socket import demux
from smolmp.socket.deadlines import Deadlines, place

_TICKS_MASK = const(0x3FFFFFFF)
_TICKS_HALF = const(0x20000000)
_SLOT_BITS = const(12)
_GENERATIONS = const(0x1FFFF)


class _All:
    def __getitem__(self, index):
        return index


ALL = _All()[:]  # a slice object made once: `del list[ALL]` allocates nothing


@micropython.viper
def set_bit(bits: ptr32, slot: int):
    i = slot >> 5
    bits[i] = bits[i] | (1 << (slot & 31))


@micropython.viper
def clear_bit(bits: ptr32, slot: int):
    i = slot >> 5
    bits[i] = bits[i] & ((1 << (slot & 31)) ^ -1)


@micropython.viper
def next_bit(bits: ptr32, start: int, end: int) -> int:
    """The first set bit in start..end (end excluded), -1 if none."""
    while start < end:
        word = bits[start >> 5] >> (start & 31)
        # On 32 bits the shift copies the sign downwards: those copies stand beyond the word.
        if word == 0:
            start = ((start >> 5) + 1) << 5
        else:
            while word & 1 == 0:
                word >>= 1
                start += 1
            if start < end:
                return start
            return -1
    return -1


@micropython.viper
def next_turn(bits: ptr32, start: int, end: int) -> int:
    """The first set bit in start..end, else in 0..start, -1 if none: round robin."""
    i = start
    stop = end
    while True:
        while i < stop:
            word = bits[i >> 5] >> (i & 31)
            if word == 0:
                i = ((i >> 5) + 1) << 5
            else:
                while word & 1 == 0:
                    word >>= 1
                    i += 1
                if i < stop:
                    return i
        if stop < end or start == 0:
            return -1
        i = 0
        stop = start
        end = start + 1


@micropython.viper
def take_bit(bits: ptr32, start: int, end: int) -> int:
    """As next_bit, and the bit is cleared."""
    while start < end:
        i = start >> 5
        word = bits[i] >> (start & 31)
        if word == 0:
            start = (i + 1) << 5
        else:
            while word & 1 == 0:
                word >>= 1
                start += 1
            if start >= end:
                return -1
            bits[i] = bits[i] & ((1 << (start & 31)) ^ -1)
            return start
    return -1


@micropython.viper
def lone_bit(bits: ptr32, words: int) -> int:
    """The only set bit; -1 there is none, -2 there are several."""
    found = -1
    i = 0
    while i < words:
        word = bits[i]
        if word != 0:
            if found >= 0 or word & (word - 1) != 0:
                return -2
            found = i << 5
            while word & 1 == 0:
                word >>= 1
                found += 1
        i += 1
    return found


@micropython.viper
def take_lone(bits: ptr32, hidden: ptr32, words: int) -> int:
    """What is hidden is cleared; then as lone_bit, and the lone bit is cleared, too."""
    found = -1
    several = 0
    i = 0
    while i < words:
        word = bits[i]
        if word != 0:
            word &= hidden[i] ^ -1
            bits[i] = word
            if word != 0:
                if found >= 0 or word & (word - 1) != 0:
                    several = 1
                found = i << 5
                while word & 1 == 0:
                    word >>= 1
                    found += 1
        i += 1
    if several:
        return -2
    if found >= 0:
        bits[found >> 5] = 0
    return found


@micropython.viper
def move_bits(to: ptr32, bits: ptr32, words: int):
    """Set in `to` what is set in `bits`, and clear it there."""
    i = 0
    while i < words:
        to[i] = to[i] | bits[i]
        bits[i] = 0
        i += 1


@micropython.viper
def drop_bits(bits: ptr32, others: ptr32, words: int):
    """Clear in `bits` what is set in `others`."""
    i = 0
    while i < words:
        bits[i] = bits[i] & (others[i] ^ -1)
        i += 1


@micropython.viper
def count_bits(bits: ptr32, words: int) -> int:
    n = 0
    i = 0
    while i < words:
        word = bits[i]
        k = 0
        while k < 32:
            n += (word >> k) & 1
            k += 1
        i += 1
    return n


def handle_of(socket) -> int:
    """`socket.handle`, the property of every socket: how its set knows it; -1: it is in none."""
    sockets = socket.sockets
    slot = socket.slot
    return -1 if sockets is None else sockets.generations[slot] << _SLOT_BITS | slot


class SocketSet:
    """Sockets polled together.

    `capacity`: slots made at once; add() doubles them when they are used up, up to `limit`.
    `seed`: keys the demux hash, so that nobody outside can aim at one chain of it.
    """

    def __init__(self, capacity: int = 8, seed: int = 0, limit: int = 4096):
        self.objects = []  # slot -> socket or None
        self.dispatchers = []  # slot -> its dispatch: to look a method up at every visit is dear
        self.raw = []  # the sockets whose `kind` is "raw" / "icmp"
        self.icmp = []
        self.slots = 0
        self.table = demux.new_table(1, 0)
        self.deadlines = Deadlines()
        self.marks = array("I")
        self.blocked = array("I")
        self.changes = array("I")
        self.hidden = array("I")  # slots not to be reported: hide()
        self.generations = array("i")
        self.report = []  # what poll returns
        self._seed = seed
        self._count = 0
        self.words = 0
        self.limit = limit  # as many sockets and no more: add() raises OverflowError
        self.earliest = -1  # the earliest of them, -1: there is none
        self.express = None  # TCP's express lane, once there is a TCP socket
        self.datagrams = None  # UDP's, if udp_express.py was imported
        # The lane that is set for the next frames, None: there is none. Its drain(iface, budget)
        # receives as long as frames are for it, and answers with the length of one that is not.
        self.lane = None
        self.turn = 0  # where the next egress begins
        self.neighbor_events = 0  # of the interface, as last seen: see Interface
        self._grow(max(1, capacity))
        # To look a method up costs several times what an attribute does.
        setattr(self, "take_changed", self.take_changed)  # noqa: B010

    def _grow(self, slots: int):
        if slots > 1 << _SLOT_BITS:
            raise ValueError("more than 4096 sockets")
        extra = slots - self.slots
        table = demux.new_table(slots, self._seed)
        demux.copy_bindings(self.table, table)
        words = (slots + 31) // 32
        more = bytes(4 * (words - self.words))
        self.marks.extend(array("I", more))
        self.blocked.extend(array("I", more))
        self.changes.extend(array("I", more))
        self.hidden.extend(array("I", more))
        self.generations.extend(array("i", bytes(4 * extra)))
        self.deadlines.grow(slots)
        self.objects.extend([None] * extra)
        self.dispatchers.extend([None] * extra)
        # A list keeps its room when it is emptied in one go.
        report = [None] * slots
        for i, socket in enumerate(self.report):
            report[i] = socket
        kept = len(self.report)
        self.report.extend(report[kept:])
        del self.report[kept:]
        self.table = table
        self.words = words
        self.slots = slots

    # What the application calls.

    def add(self, socket):
        """Take `socket` in and return it. ValueError if it is in a set already, OverflowError if
        that would be more than `limit`."""
        if socket.sockets is not None:
            raise ValueError("socket is in a set already")
        if self._count >= self.limit:
            raise OverflowError("too many sockets")
        if self._count == self.slots:
            self._grow(min(2 * self.slots, 1 << _SLOT_BITS))
        slot = self.objects.index(None)
        self.objects[slot] = socket
        self.dispatchers[slot] = getattr(socket, "dispatch", None)
        self._count += 1
        socket.sockets = self
        socket.slot = slot
        kind = getattr(socket, "kind", None)
        if kind == "raw":
            self.raw.append(socket)
            self.lane = None  # it would take what is the raw socket's, too
        elif kind == "icmp":
            self.icmp.append(socket)
        socket.attached()
        return socket

    def remove(self, socket):
        """Forget `socket` (or a handle) and return it; its packets are nobody's from now on.
        KeyError if it is not here."""
        if isinstance(socket, int):
            socket = self[socket]
        elif socket.sockets is not self:
            raise KeyError(socket)
        slot = socket.slot
        socket.detached()
        self.unbind(slot)
        self.deadline(slot, -1)
        clear_bit(self.marks, slot)
        clear_bit(self.blocked, slot)
        clear_bit(self.changes, slot)
        self.show(slot)
        self.generations[slot] = (self.generations[slot] + 1) & _GENERATIONS
        if socket in self.raw:
            self.raw.remove(socket)
        if socket in self.icmp:
            self.icmp.remove(socket)
        self.objects[slot] = None
        self.dispatchers[slot] = None
        self._count -= 1
        socket.sockets = None
        socket.slot = -1
        return socket

    def __getitem__(self, handle: int):
        slot = handle & ((1 << _SLOT_BITS) - 1)
        if handle >= 0 and slot < self.slots:
            socket = self.objects[slot]
            if socket is not None and handle >> _SLOT_BITS == self.generations[slot]:
                return socket
        raise KeyError(handle)

    def __len__(self):
        return self._count

    def __iter__(self):
        for socket in self.objects:
            if socket is not None:
                yield socket

    def __contains__(self, socket):
        return socket.sockets is self

    def __repr__(self):
        return "SocketSet(%s)" % ", ".join([repr(socket) for socket in self])

    # What sockets call. None of it allocates.

    def bind(self, slot: int, flow):
        """Packets that match `flow`'s first 12 words are for `slot` from now on (again)."""
        self.lane = None  # what it takes may be this one's now
        demux.remove(self.table, slot)
        demux.insert(self.table, slot, flow)

    def unbind(self, slot: int):
        self.lane = None
        demux.remove(self.table, slot)

    @micropython.viper
    def mark(self, slot: int):
        """`slot` has something to send: egress will call its dispatch(iface)."""
        bits = ptr32(self.marks)
        i = slot >> 5
        bits[i] = bits[i] | (1 << (slot & 31))

    @micropython.viper
    def changed(self, slot: int):
        """Report `slot` in the poll's result."""
        bits = ptr32(self.changes)
        i = slot >> 5
        bits[i] = bits[i] | (1 << (slot & 31))

    def hide(self, slot: int):
        """Report `slot` no more, whatever happens to it, until show(slot)."""
        set_bit(self.hidden, slot)

    def show(self, slot: int):
        clear_bit(self.hidden, slot)

    def deadline(self, slot: int, t: int):
        """`slot`'s earliest timer is due at `t` (ms mod 2**30; -1: it has none)."""
        d = self.deadlines
        self.earliest = place(d.times, d.heap, d.places, slot, t)

    def find(self, rec) -> int:
        """The slot that packet (or flow) `rec` is for, -1 if nobody's. The hot path calls
        `demux.find(sockets.table, rec, -1)` itself."""
        return demux.find(self.table, rec, -1)

    def find_next(self, rec, slot: int) -> int:
        """The next slot after `slot` that `rec` also matches, -1 if there is none."""
        return demux.find(self.table, rec, slot)

    # What the interface calls.

    def run_timers(self, iface):
        """Call on_timer(iface) of every socket whose deadline has come. The interface calls it
        when `earliest` has."""
        deadlines = self.deadlines
        # What a timer sets to `now` again waits for the next poll: this one ends.
        for _ in range(deadlines.running()):
            slot = deadlines.take_due(iface.now)
            if slot < 0:
                break
            self.objects[slot].on_timer(iface)
        self.earliest = deadlines.earliest()

    def delay(self, now: int) -> int:
        """Milliseconds from `now` (mod 2**30) to the earliest deadline, 0: due, -1: none."""
        if self.earliest < 0:
            return -1
        d = (self.earliest - now) & _TICKS_MASK
        return d if d < _TICKS_HALF else 0

    def next_marked(self, start: int, end: int) -> int:
        """The first marked slot in start..end (end excluded), -1 if none."""
        return next_bit(self.marks, start, end)

    def unmark(self, slot: int):
        clear_bit(self.marks, slot)

    def block(self, slot: int):
        """`slot` cannot send before some neighbour's state changes."""
        clear_bit(self.marks, slot)
        set_bit(self.blocked, slot)

    def unblock(self):
        """Mark again everything that was blocked."""
        move_bits(self.marks, self.blocked, self.words)

    def has_marks(self) -> bool:
        return next_bit(self.marks, 0, self.slots) >= 0

    def has_blocked(self) -> bool:
        return next_bit(self.blocked, 0, self.slots) >= 0

    def count_marks(self) -> int:
        return count_bits(self.marks, self.words)

    def has_changes(self) -> bool:
        drop_bits(self.changes, self.hidden, self.words)
        return next_bit(self.changes, 0, self.slots) >= 0

    @micropython.native
    def take_changed(self):
        """The changed sockets, in slot order, each once: a list that the next call reuses."""
        report = self.report
        if report:
            del report[ALL]
        changes = self.changes
        slot = take_lone(changes, self.hidden, self.words)
        if slot >= 0:
            report.append(self.objects[slot])
        elif slot != -1:
            slots = self.slots
            slot = take_bit(changes, 0, slots)
            while slot >= 0:
                report.append(self.objects[slot])
                slot = take_bit(changes, slot + 1, slots)
        return report
