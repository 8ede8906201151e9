"""Path MTUs: the largest packets that reach a destination whole (RFC 1191; RFC 8201's rules fit).

What is sent carries DF, so a router that can't pass a packet on says so by ICMP, with the MTU of
the next hop. Whoever sent the packet judges whether to believe it (socket/tcp/icmp_errors.py by
the SEQ quoted, RFC 5927); what is believed is kept here for 10 minutes, then forgotten: so larger
packets are tried again (RFC 1191 6.3). The cache is small; when it is full the oldest gives way.

Words that a kernel scans: [0] how many entries, then from word 8 on 8 per destination: family,
MTU, when to forget it (ms mod 2**30), unused, the address (4 words).

It is a task of the Interface only while something is in it, and an Interface with an empty one
does not look into it: `iface.clear_end` is as far as a packet may reach in iface.tx unasked.
"""

from array import array

import micropython
from micropython import const

from smolmp.counters import count
from smolmp.socket.protocols import PATHS_GREW
from smolmp.wire import address as addresses

_FAMILY = const(0)
_REMOTE = const(8)
_PAYLOAD = const(23)
_CODE = const(44)
_ICMP_SEQ = const(46)
_TYPE = const(43)

_NOWHERE = const(1)  # four words that are always 0
_PATHS = const(8)  # where the entries begin
_PATH_WORDS = const(8)
_PATH_MTU = const(1)
_PATH_EXPIRY = const(2)
_PATH_ADDRESS = const(4)

_UNREACHABLE_TYPE = const(3)
_FRAGMENTATION_NEEDED = const(4)
_TX_IPV4 = const(44)

_WRAP = const(0x3FFFFFFF)
_HALF = const(0x20000000)

_COUNT_PATH_MTU_LOWERED = const(57)
_COUNT_PATH_MTU_FORGOTTEN = const(58)

# What links have, for routers that do not tell theirs (RFC 1191 7).
_PLATEAUS = (32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296, 68)


@micropython.viper
def _find(words: ptr32, family: int, remote: ptr32, at: int) -> int:
    """The word where the entry for the address in remote[at:at + 4] begins, 0: there is none."""
    i = _PATHS
    stop = _PATHS + words[0] * _PATH_WORDS
    while i < stop:
        if (
            words[i + 4] == remote[at]
            and words[i + 5] == remote[at + 1]
            and words[i + 6] == remote[at + 2]
            and words[i + 7] == remote[at + 3]
            and words[i] == family
        ):
            return i
        i += _PATH_WORDS
    return 0


@micropython.viper
def _copy(words: ptr32, to: int, source: ptr32, at: int, n: int):
    i = 0
    while i < n:
        words[to + i] = source[at + i]
        i += 1


@micropython.viper
def _quoted_length(frame: ptr8, at: int) -> int:
    """The total length in the IPv4 header quoted at frame[at:]: parse_quote has seen that it is
    there."""
    return frame[at + 2] << 8 | frame[at + 3]


class PathMtus:
    """The path MTUs that one Interface knows, `capacity` at most.

    minimum: none is believed to be smaller (octets; an attacker who forges ICMP could make every
    packet tiny, which is why Linux takes 552 as well; 68 is what RFC 791 allows); lifetime: of an
    entry, in seconds; black_holes: let TCP find out by itself that large segments are swallowed
    (tcp/path.py).
    """

    def __init__(self, iface, capacity: int):
        self.iface = iface
        self.capacity = capacity
        self.words = array("i", bytes(4 * (_PATHS + _PATH_WORDS * capacity)))
        self.minimum = 552
        self.lifetime = 600
        self.black_holes = True
        self.deadline = -1

    def mtu(self, flow) -> int:
        """The largest packet that may be sent to flow[_REMOTE], octets."""
        i = _find(self.words, flow[_FAMILY], flow, _REMOTE) if self.words[0] else 0
        return self.words[i + _PATH_MTU] if i else self.iface.mtu

    def learn(self) -> int:
        """The ICMP error in iface.rec is believed: remember what it says of the path of the packet
        in iface.quoted. The path's MTU, when that is smaller than it was, else 0."""
        iface = self.iface
        rec = iface.rec
        quoted = iface.quoted
        # The code says it again: IPv6 has a type of its own, and brings its own `learn`.
        if rec[_TYPE] != _UNREACHABLE_TYPE or rec[_CODE] != _FRAGMENTATION_NEEDED:
            return 0
        was = self.mtu(quoted)
        length = _quoted_length(iface.rx, rec[_PAYLOAD])
        mtu = rec[_ICMP_SEQ]
        if 0 < length <= mtu or 0 < length <= self.minimum:
            return 0  # it was not too large
        if mtu == 0:
            # A router of before RFC 1191: the next plateau below what was too large (5).
            mtu = length if 0 < length < was else was
            for plateau in _PLATEAUS:
                if plateau < mtu:
                    mtu = plateau
                    break
        if mtu < self.minimum:
            mtu = self.minimum
        if mtu >= was:
            return 0  # we know, or it makes no sense
        self.note(quoted, mtu)
        return mtu

    def note(self, flow, mtu: int):
        """From now on no packet to flow[_REMOTE] may have more than `mtu` octets."""
        self._enter(flow[_FAMILY], flow, _REMOTE, mtu)
        count(self.iface.counters, _COUNT_PATH_MTU_LOWERED)

    def doubt(self):
        """TCP makes its segments smaller on a path of which no router tells anything: let
        PATHS_GREW be called when that, too, is too old. An entry of no family stands for it."""
        self._enter(0, self.words, _NOWHERE, self.iface.mtu)

    def _enter(self, family, address, at, mtu):
        words = self.words
        if not self.capacity:
            return
        i = _find(words, family, address, at)
        if not i:
            if words[0] < self.capacity:
                i = _PATHS + _PATH_WORDS * words[0]
                words[0] += 1
            else:
                i = self._oldest()
            words[i] = family
            _copy(words, i + _PATH_ADDRESS, address, at, 4)
        words[i + _PATH_MTU] = mtu
        # now + lifetime without leaving 31 bits on the way.
        iface = self.iface
        words[i + _PATH_EXPIRY] = (iface.now - (_WRAP - self.lifetime * 1000) - 1) & _WRAP
        if self.deadline < 0:
            iface.tasks.append(self)
        self._review()

    def clear(self):
        """Forget everything, without telling the sockets: they keep to what they know."""
        self.words[0] = 0
        self._review()
        if self in self.iface.tasks:
            self.iface.tasks.remove(self)

    def run(self, iface, sockets):
        """The interface's call when the deadline has come: forget what is too old."""
        words = self.words
        i = _PATHS + _PATH_WORDS * (words[0] - 1)
        while i >= _PATHS:
            if (iface.now - words[i + _PATH_EXPIRY]) & _WRAP < _HALF:
                words[0] -= 1
                _copy(words, i, words, _PATHS + _PATH_WORDS * words[0], _PATH_WORDS)
                count(iface.counters, _COUNT_PATH_MTU_FORGOTTEN)
            i -= _PATH_WORDS
        self._review()
        if not words[0]:
            iface.tasks.remove(self)
        for grew in PATHS_GREW:
            grew(iface, sockets)

    def _oldest(self) -> int:
        words = self.words
        best = _PATHS
        i = _PATHS + _PATH_WORDS
        while i < _PATHS + _PATH_WORDS * words[0]:
            if (words[i + _PATH_EXPIRY] - words[best + _PATH_EXPIRY]) & _WRAP >= _HALF:
                best = i
            i += _PATH_WORDS
        return best

    def _review(self):
        """The entries changed: when the first is to be forgotten, and what may go unasked."""
        words = self.words
        iface = self.iface
        self.deadline = words[self._oldest() + _PATH_EXPIRY] if words[0] else -1
        least = iface.mtu
        i = _PATHS
        while i < _PATHS + _PATH_WORDS * words[0]:
            if words[i] == 4 and words[i + _PATH_MTU] < least:
                least = words[i + _PATH_MTU]
            i += _PATH_WORDS
        iface.clear_end = _TX_IPV4 + least

    def __len__(self):
        return self.words[0]

    def __iter__(self):
        """(address, MTU) of each destination."""
        words = self.words
        for i in range(_PATHS, _PATHS + _PATH_WORDS * words[0], _PATH_WORDS):
            if words[i]:
                address = addresses.from_words(words[i], words, i + _PATH_ADDRESS)
                yield addresses.format_address(address), words[i + _PATH_MTU]
