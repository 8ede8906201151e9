"""Probe: is an IPv4 address free on this link, and does it stay ours? RFC 5227.

The owner has taken(iface): somebody else has the address.
"""

from array import array

import micropython
from micropython import const

from smolmp.wire.address import to_words

_TICKS_MASK = const(0x3FFFFFFF)
_DEFEND = const(10000)  # DEFEND_INTERVAL


@micropython.viper
def _is_conflict(rec: ptr32, words: ptr32, rx: ptr8, at: int, mac: ptr8, probing: int) -> int:
    """1 if the ARP packet `rec`, whose sender's MAC stands at rx[at], is another host's that has
    the address words[0] or, while we are probing, wants it, too (RFC 5227 2.1.1)."""
    address = words[0]
    if rec[8] != address and (probing == 0 or rec[8] != 0 or rec[4] != address):
        return 0
    i = 0
    while i < 6:
        if rx[at + i] != mac[i]:
            return 1
        i += 1
    return 0


class Probe:
    """`count` probes, `least` to `most` ms apart, and `last` ms of silence after them."""

    def __init__(self, owner, count: int, least: int, most: int, last: int):
        self.count = count
        self.conflicts = 0
        self._owner = owner
        self._times = (least, most, last)
        self._words = array("i", bytes(16))
        self._left = -1  # probes still to be sent, -1: they are over
        self._iface = None
        self._defended = -1

    def start(self, iface, address: bytes):
        """Begin with `address`, and listen until stop()."""
        self.stop()
        to_words(address, self._words, 0)
        self._left = self.count
        self._iface = iface
        self._defended = -1
        iface.arp_watchers.append(self)

    def stop(self):
        if self._iface is not None:
            self._iface.arp_watchers.remove(self)
            self._iface = None

    def step(self) -> int:
        """Send the next probe: ms until the next step; -1: nobody has the address."""
        if self._left <= 0:
            self._left = -1
            return -1
        iface = self._iface
        if not iface.probe_ip_addr(self._words, 0):
            return 1
        self._left -= 1
        least, most, last = self._times
        return least + iface.random.below(most - least + 1) if self._left else last

    def heard(self, iface, mac_at: int):
        """An ARP packet came."""
        probing = self._left >= 0
        if _is_conflict(iface.rec, self._words, iface.rx, mac_at, iface.mac, 1 if probing else 0):
            self.conflicts += 1
            self._owner.taken(iface)

    def defend(self, iface, text: str) -> bool:
        """Insist on an address that is ours and that somebody else uses: tell so, once in 10 s
        (RFC 5227 2.4 b). False: it has to be given up."""
        now = iface.now
        if 0 <= self._defended and (now - self._defended) & _TICKS_MASK < _DEFEND:
            return False
        self._defended = now
        iface.announce_ip_addr(text)
        return True
