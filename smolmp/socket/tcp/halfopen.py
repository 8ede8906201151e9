"""The half-open queue of a listener: connections in SYN-RECEIVED (RFC 9293 3.3.2), without a
socket. A demux table of its own holds the ends of each, an array these words:

    0 ISS   1 RCV.NXT   2 TS.Recent     3 MSS | shift of its window << 16
    4 flags, as in a control block, and _FLAG_PENDING, _FLAG_HELD, _FLAG_DOOMED
    5 SYN+ACKs sent again               6 when the only one was sent, or -1
    7 when the last challenge was sent, or -1

The deadlines of the records are numbers 0.. of `deadlines`; the listener keeps others behind them.
"""

from array import array

import micropython
from micropython import const

from smolmp.socket import demux
from smolmp.socket.deadlines import Deadlines

_TABLE_SEED = const(2)
_TABLE_ENTRIES = const(16)
_KEY_WORDS = const(12)

_FAMILY = const(0)
_SND_UNA = const(15)
_RCV_NXT = const(16)
_SND_WL1 = const(20)
_MSS_OUT = const(29)
_SCALES = const(30)
_FLAGS = const(32)
_TS_RECENT = const(33)

_HALF_WORDS = const(8)
_HALF_ISS = const(0)
_HALF_RCV_NXT = const(1)
_HALF_TS_RECENT = const(2)
_HALF_MSS = const(3)
_HALF_FLAGS = const(4)
_HALF_TRIES = const(5)
_HALF_RTT_AT = const(6)
_HALF_CHALLENGE = const(7)

_FLAG_PENDING = const(1 << 24)  # something is to be sent
_FLAG_HELD = const(1 << 25)  # it was acknowledged while no connection was free
_FLAG_DOOMED = const(1 << 26)  # an RST is to be sent: the listener was closed
_WRAP = const(0x3FFFFFFF)


@micropython.viper
def _save(words: ptr32, at: int, block: ptr32):
    words[at + _HALF_ISS] = block[_SND_UNA]
    words[at + _HALF_RCV_NXT] = block[_RCV_NXT]
    words[at + _HALF_TS_RECENT] = block[_TS_RECENT]
    words[at + _HALF_MSS] = block[_MSS_OUT] | (block[_SCALES] << 16)
    words[at + _HALF_FLAGS] = block[_FLAGS]


@micropython.viper
def _load(words: ptr32, at: int, table: ptr32, i: int, block: ptr32):
    key = _TABLE_ENTRIES + (i << 4)
    k = 0
    while k < _KEY_WORDS:
        block[k] = table[key + k]
        k += 1
    block[_SND_UNA] = words[at + _HALF_ISS]
    block[_RCV_NXT] = words[at + _HALF_RCV_NXT]
    block[_SND_WL1] = words[at + _HALF_RCV_NXT] - 1
    block[_TS_RECENT] = words[at + _HALF_TS_RECENT]
    block[_MSS_OUT] = words[at + _HALF_MSS] & 0xFFFF
    block[_SCALES] = words[at + _HALF_MSS] >> 16
    block[_FLAGS] = words[at + _HALF_FLAGS] & 0xFFFFFF


class HalfOpen:
    """Room for `capacity` records, and deadlines for so many and `others`. Allocates here only."""

    def __init__(self, capacity: int, others: int):
        self.capacity = capacity
        self.table = demux.new_table(capacity, 0)
        self.words = array("i", bytes(4 * _HALF_WORDS * capacity))
        self.deadlines = Deadlines()
        self.deadlines.grow(capacity + others)
        self._free = array("i", range(capacity))
        self._used = array("b", bytes(capacity))
        self.spare = capacity  # records without a connection
        self.pending = 0  # records with _FLAG_PENDING

    def find(self, rec) -> int:
        """The record of the segment's connection, -1: there is none."""
        if self.spare == self.capacity:
            return -1
        return demux.find(self.table, rec, -1)

    @micropython.native
    def add(self, block, iface) -> int:
        """Take a record (there must be a spare one) for the connection in `block`."""
        if self.spare == self.capacity:
            self.table[_TABLE_SEED] = iface.random.bits(29)  # nobody shall aim at one chain
        self.spare -= 1
        i = self._free[self.spare]
        self._used[i] = 1
        at = i * _HALF_WORDS
        _save(self.words, at, block)
        self.words[at + _HALF_TRIES] = 0
        self.words[at + _HALF_RTT_AT] = -1
        self.words[at + _HALF_CHALLENGE] = -1
        demux.insert(self.table, i, block)
        return i

    def remove(self, i: int):
        self.settle(i)
        self.deadlines.set(i, -1)
        demux.remove(self.table, i)
        self._used[i] = 0
        self._free[self.spare] = i
        self.spare += 1

    def load(self, i: int, block):
        """The connection of record `i`, in the words of a control block's beginning."""
        _load(self.words, i * _HALF_WORDS, self.table, i, block)

    def used(self, i: int) -> bool:
        return self._used[i] != 0

    def flags(self, i: int) -> int:
        return self.words[i * _HALF_WORDS + _HALF_FLAGS]

    def pend(self, i: int):
        """Something is to be sent for record `i`."""
        at = i * _HALF_WORDS + _HALF_FLAGS
        if not self.words[at] & _FLAG_PENDING:
            self.words[at] |= _FLAG_PENDING
            self.pending += 1

    def settle(self, i: int):
        """It was."""
        at = i * _HALF_WORDS + _HALF_FLAGS
        if self.words[at] & _FLAG_PENDING:
            self.words[at] &= ~_FLAG_PENDING
            self.pending -= 1

    def doom(self):
        """Every connection is to be reset."""
        for i in range(self.capacity):
            if self._used[i]:
                self.pend(i)
                self.words[i * _HALF_WORDS + _HALF_FLAGS] |= _FLAG_DOOMED
                self.deadlines.set(i, -1)

    def hold(self, i: int):
        """The connection's ACK found no room."""
        self.words[i * _HALF_WORDS + _HALF_FLAGS] |= _FLAG_HELD

    def unhold(self) -> bool:
        """There is room again: ask for the ACKs that found none. False: there was no such one."""
        found = False
        for i in range(self.capacity):
            at = i * _HALF_WORDS + _HALF_FLAGS
            if self._used[i] and self.words[at] & _FLAG_HELD:
                self.words[at] &= ~_FLAG_HELD
                self.words[at - _HALF_FLAGS + _HALF_RTT_AT] = -1
                self.pend(i)
                found = True
        return found

    def clear(self):
        """Forget every connection."""
        for i in range(self.capacity):
            if self._used[i]:
                self.remove(i)

    def arm(self, i: int, now: int, ms: int):
        """Let deadline `i` come in `ms` (< 2**29) from `now`."""
        self.deadlines.set(i, (now - (_WRAP - ms) - 1) & _WRAP)

    @micropython.native
    def next_pending(self, start: int) -> int:
        """The first record from `start` on with something to send, -1: none."""
        words = self.words
        for i in range(start, self.capacity):
            if words[i * _HALF_WORDS + _HALF_FLAGS] & _FLAG_PENDING:
                return i
        return -1
