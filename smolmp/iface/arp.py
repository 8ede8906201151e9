"""ARP in the Interface: RFC 826, with the care of RFC 5227.

What is learned from whom:

    a request for us            its sender, taken in if it is on our link
    a reply to us               only a neighbour that we know or are asking for
    a gratuitous packet         the same: an announcement never creates an entry, so a flood of
    (sender = target)           them cannot fill the cache
    a probe (sender 0.0.0.0)    nothing; it is answered if the address is ours, even so
    anything else               nothing

Whoever speaks with an address of ours as sender is counted as a conflict and not listened to.
Before that, iface.arp_watchers have heard(iface, mac_at): those who probe or defend an address.
"""

import micropython
from micropython import const

from smolmp.counters import count
from smolmp.wire import arp as wire
from smolmp.wire import ethernet

_LOCAL = const(4)
_REMOTE = const(8)
_NET = const(17)
_END = const(19)
_OPERATION = const(47)

_ARP_TX_LINK = const(2)  # in iface.arp_tx: Ethernet header, ARP packet, end
_ARP_TX_NET = const(16)
_ARP_TX_END = const(44)
_ARP_SENDER_MAC = const(8)

_ARP_OURS = const(1)  # bits of _judge(): the target is an address of ours
_ARP_ANY = const(2)  # it is not, but any_ip makes it so
_ARP_CONFLICT = const(4)  # the sender has an address of ours
_ARP_PROBE = const(8)
_ARP_ON_LINK = const(16)  # the sender is in a subnet of ours
_ARP_GRATUITOUS = const(32)

_COUNT_TX_FRAMES = const(1)
_COUNT_TX_BUSY = const(2)
_COUNT_TX_DROPPED = const(3)
_COUNT_NEIGHBOR_REQUESTS = const(17)
_COUNT_NEIGHBOR_REPLIES = const(18)
_COUNT_NEIGHBOR_CONFLICTS = const(21)

_NOBODY = bytes(6)
_EVERYBODY = b"\xff\xff\xff\xff\xff\xff"


@micropython.viper
def _judge(table: ptr32, rec: ptr32) -> int:
    """What the ARP packet's sender rec[_REMOTE] and target rec[_LOCAL] are to us."""
    sender = rec[8]
    target = rec[4]
    verdict = 0
    i = 0
    while i < table[0]:
        entry = ptr32(int(table) + ((8 + (i << 2)) << 2))
        address = entry[0]
        if target == address:
            verdict |= 1
        if sender == address and table[3] == 0 and (address >> 24) & 0xFF != 127:
            verdict |= 4
        if (sender ^ address) & entry[1] == 0 and sender != entry[2]:
            verdict |= 16
        i += 1
    if sender == 0:
        return (verdict & 1) | 8
    if sender == target and (verdict & 1 == 0 or verdict & 4):
        verdict |= 32
    top = (target >> 24) & 0xFF
    if table[1] and verdict & 33 == 0 and top != 0 and top & 0xE0 != 0xE0:
        verdict |= 2
    return verdict


@micropython.native
def ingress(iface, sockets):
    """The ARP packet in iface.rx, from rec[_NET] to rec[_END]."""
    rec = iface.rec
    code = wire.parse(iface.rx, rec[_NET], rec[_END], rec)
    if code:
        count(iface.counters, 3 - code)
        return
    verdict = _judge(iface.ipv4, rec)
    mac_at = rec[_NET] + _ARP_SENDER_MAC
    watchers = iface.arp_watchers
    i = len(watchers)
    while i:  # from the end: who hears something may go
        i -= 1
        watchers[i].heard(iface, mac_at)
    if verdict & _ARP_CONFLICT:
        count(iface.counters, _COUNT_NEIGHBOR_CONFLICTS)
    elif verdict & _ARP_GRATUITOUS:
        iface.neighbors.learn(4, rec, _REMOTE, iface.rx, mac_at, False)
    elif verdict & (_ARP_OURS | _ARP_ANY):
        request = rec[_OPERATION] == wire.REQUEST
        if not verdict & _ARP_PROBE:
            create = bool(request and verdict & _ARP_ON_LINK)
            iface.neighbors.learn(4, rec, _REMOTE, iface.rx, mac_at, create)
        if request:
            _reply(iface, rec, mac_at)


def _reply(iface, rec, mac_at: int):
    # The sender of the request stands where the target of the reply does: no swapping.
    tx = iface.arp_tx
    wire.emit(tx, _ARP_TX_NET, wire.REPLY, iface.mac, rec, iface.arp_sender)
    ethernet.emit(tx, _ARP_TX_LINK, iface.rx, mac_at, iface.mac, ethernet.ARP)
    if _send(iface):
        count(iface.counters, _COUNT_NEIGHBOR_REPLIES)
    else:
        count(iface.counters, _COUNT_TX_DROPPED)


@micropython.viper
def _copy_word(to: ptr32, at: int, words: ptr32, i: int):
    to[at] = words[i]


def solicit(iface, index: int) -> bool:
    """Ask for neighbour entry `index`; False: the device is busy."""
    flow = iface.arp_flow
    _copy_word(flow, _REMOTE, iface.neighbors.words, 16 + 16 * index + 2)
    flow[_LOCAL] = 0
    iface.select_source(flow)
    return _request(iface, flow)


def announce(iface, i: int) -> bool:
    """Tell everybody our address number `i` (RFC 5227 2.3); False: the device is busy."""
    flow = iface.arp_flow
    _copy_word(flow, _LOCAL, iface.ipv4, 8 + 4 * i)
    _copy_word(flow, _REMOTE, iface.ipv4, 8 + 4 * i)
    return _request(iface, flow)


def probe(iface, words, at: int) -> bool:
    """Ask, as nobody, who has the address in words[at] (RFC 5227 2.1.1); False: the device is
    busy."""
    flow = iface.arp_flow
    flow[_LOCAL] = 0
    _copy_word(flow, _REMOTE, words, at)
    return _request(iface, flow)


def _request(iface, flow) -> bool:
    tx = iface.arp_tx
    wire.emit(tx, _ARP_TX_NET, wire.REQUEST, iface.mac, flow, _NOBODY)
    ethernet.emit(tx, _ARP_TX_LINK, _EVERYBODY, 0, iface.mac, ethernet.ARP)
    if not _send(iface):
        return False
    count(iface.counters, _COUNT_NEIGHBOR_REQUESTS)
    return True


def _send(iface) -> bool:
    if iface.device.send(iface.arp_tx, _ARP_TX_LINK, _ARP_TX_END):
        count(iface.counters, _COUNT_TX_FRAMES)
        return True
    count(iface.counters, _COUNT_TX_BUSY)
    iface.busy = True
    return False
