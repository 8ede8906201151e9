"""IPv4 in the Interface: whose a packet is, where one goes (RFC 791, RFC 1122 3.2.1, 3.3.1).

The interface's IPv4 addresses are words that the kernels scan (`iface.ipv4`): a header of 8, then
4 per address (address, netmask, subnet broadcast or 0, prefix length), then the multicast groups.
This module is a family as Interface's `FAMILIES` knows them: attach, add, remove, listing,
ingress, select_source, is_local, solicit, icmp_error; its sending stands in Interface.send().
"""

from array import array

import micropython
from micropython import const

from smolmp.counters import count
from smolmp.iface import arp, icmp
from smolmp.socket.protocols import HANDLERS
from smolmp.wire import address as addresses
from smolmp.wire.ipv4 import parse

_IPV4_COUNT = const(0)  # addresses
_IPV4_ANY = const(1)  # 1: every unicast address is ours
_IPV4_GROUPS = const(2)  # groups joined
_IPV4_LOOPED = const(3)  # 1: packets from our own address are no impostors
_IPV4_CAPACITY = const(4)
_IPV4_GROUP_CAPACITY = const(5)
_IPV4_ENTRIES = const(8)

_PROTO = const(1)
_NET = const(17)
_END = const(19)
_FRAGMENT = const(20)


_COUNT_IP_NOT_OURS = const(9)
_COUNT_IP_FRAGMENTS = const(13)
_COUNT_IP_NO_PROTOCOL = const(14)

_DST_UNREACHABLE = const(3)
_PROTOCOL_UNREACHABLE = const(2)


@micropython.viper
def classify(table: ptr32, neighbors: ptr32, rx: ptr8, rec: ptr32, now: int) -> int:
    """What the destination of the packet `rec` is to us, and whether its addresses may stand in
    a packet at all. Sets rec[_SCOPE]: 0 ours, 1 broadcast, 2 multicast group we are in.

    Returns that, or minus the number of the counter that says why the packet is dropped:
    9 not ours, 10 martian, 11 from our own address, 12 unicast in a link broadcast.
    A packet that came straight from a neighbour we know renews it.
    """
    source = rec[8]
    destination = rec[4]
    top = (source >> 24) & 0xFF
    # RFC 1122 3.2.1.3; a group or 255.255.255.255 as source is malformed to wire.parse() already.
    if top == 0 and source != 0:
        return -10
    scope = 3
    looped = 0  # we are 127.x.x.x ourselves
    i = 0
    while i < table[0]:
        entry = ptr32(int(table) + ((8 + (i << 2)) << 2))
        address = entry[0]
        if (address >> 24) & 0xFF == 127:
            looped = 1
        if destination == address:
            scope = 0
        if entry[2] != 0:
            if destination == entry[2] and scope == 3:
                scope = 1
            if source == entry[2]:
                return -10
        if source == address and table[3] == 0 and (address >> 24) & 0xFF != 127:
            return -11
        i += 1
    if scope == 3:
        top_to = (destination >> 24) & 0xFF
        if top_to == 0xFF and (destination & 0xFFFFFF) == 0xFFFFFF:
            scope = 1
        elif top_to & 0xF0 == 0xE0:
            # 224.0.0.1, all systems: every host is in that group (RFC 1112 4).
            if table[1] != 0 or destination & 0xFFFFFFF == 1:
                scope = 2
            else:
                at = 8 + (table[4] << 2)
                i = 0
                while i < table[2]:
                    if table[at + i] == destination:
                        scope = 2
                    i += 1
        elif top_to == 0 or top_to == 127:
            return -10
        elif table[1] != 0:
            scope = 0
    if scope == 3:
        rec[22] = 3
        return -9
    # 127/8 never leaves a host; 0.0.0.0 may only ask everybody (DHCP, IGMP): RFC 1122 3.2.1.3.
    if top == 127 and looped == 0:
        return -10
    if source == 0 and scope == 0:
        return -10
    if rec[15] != 0 and scope == 0:
        return -12
    rec[22] = scope
    if rec[16] != rec[17]:  # there is a link header, and its source at + 6
        mac = ptr8(int(rx) + rec[16] + 6)
        i = 0
        while i < neighbors[0]:
            entry = ptr32(int(neighbors) + ((16 + (i << 4)) << 2))
            if entry[2] == source and entry[0] == 2 and entry[1] == 4:
                known = ptr8(int(entry) + 24)
                if (
                    (entry[8] >> 30) & 1 == 0
                    and known[5] == mac[5]
                    and known[4] == mac[4]
                    and known[3] == mac[3]
                    and known[2] == mac[2]
                    and known[1] == mac[1]
                    and known[0] == mac[0]
                    and (now - entry[8]) & 0x3FFFFFFF >= 0x20000000
                ):
                    entry[8] = (now + neighbors[9]) & 0x3FFFFFFF
                return scope
            i += 1
    return scope


@micropython.viper
def next_hop(table: ptr32, routes: ptr32, neighbors: ptr32, flow: ptr32, now: int) -> int:
    """The neighbour entry to send a packet for flow[_REMOTE] to.

    -1: its link address is not known, the neighbour stands in neighbors' _HOP.
    -3: no route. A broadcast or a group goes to the entry behind the last.
    """
    remote = flow[8]
    index = neighbors[2]
    # On 32 bits -1 is -1, on 64 it is 0xffffffff: both fail this.
    if remote == neighbors[1] and index & 0xFFFF == index:
        entry = ptr32(int(neighbors) + ((16 + (index << 4)) << 2))
        due = entry[8]
        if entry[0] == 2 and ((due >> 30) & 1 or (now - due) & 0x3FFFFFFF >= 0x20000000):
            return index
    group = ptr8(int(neighbors) + ((16 + (neighbors[0] << 4) + 6) << 2))
    top = (remote >> 24) & 0xFF
    if top & 0xF0 == 0xE0:  # RFC 1112 6.4
        group[0] = 1
        group[1] = 0
        group[2] = 0x5E
        group[3] = (remote >> 16) & 0x7F
        group[4] = remote >> 8
        group[5] = remote
        return neighbors[0]
    broadcast = 0
    if top == 0xFF and remote & 0xFFFFFF == 0xFFFFFF:
        broadcast = 1
    hop = 0
    best = -1
    i = 0
    while i < table[0]:
        entry = ptr32(int(table) + ((8 + (i << 2)) << 2))
        if entry[2] != 0 and remote == entry[2]:
            broadcast = 1
        if (remote ^ entry[0]) & entry[1] == 0 and entry[3] > best:
            best = entry[3]
            hop = remote
        if remote == entry[0] and table[3] == 0 and top != 127:
            return -3  # ourselves: not to be found on the link
        i += 1
    if broadcast:
        i = 0
        while i < 6:
            group[i] = 0xFF
            i += 1
        return neighbors[0]
    i = 0
    while i < routes[0]:
        entry = ptr32(int(routes) + ((8 + (i << 4)) << 2))
        prefix = entry[1]
        if entry[0] == 4 and prefix > best:
            # Sign-extended or not, the shift leaves 0 exactly if the top bits agree.
            if prefix == 0 or (remote ^ entry[2]) >> (32 - prefix) == 0:
                best = prefix
                hop = entry[6]
                if hop == 0:
                    hop = remote
        i += 1
    if best < 0 or remote == 0:
        return -3
    i = 0
    while i < neighbors[0]:
        entry = ptr32(int(neighbors) + ((16 + (i << 4)) << 2))
        if entry[2] == hop and entry[0] == 2 and entry[1] == 4:
            due = entry[8]
            if (due >> 30) & 1 or (now - due) & 0x3FFFFFFF >= 0x20000000:
                neighbors[1] = remote
                neighbors[2] = i
                return i
        i += 1
    neighbors[3] = 4
    neighbors[4] = hop
    neighbors[5] = 0
    neighbors[6] = 0
    neighbors[7] = 0
    return -1


@micropython.viper
def emit(
    tx: ptr8, flow: ptr32, end: int, neighbors: ptr32, index: int, mac: ptr8, now: int
) -> int:
    """The IPv4 header at 44 and the Ethernet header before it, for the transport bytes in
    tx[64:end] and neighbour entry `index` (-1: its address is filled in when it is known).
    Not fragmented: identification 0, DF (RFC 6864 4.1).

    index -2: the entry that the last next_hop() found, if it is for flow[_REMOTE] and still good,
    and then 1; else 0, and nothing was written.
    """
    if index + 2 == 0:
        index = neighbors[2]
        if flow[8] != neighbors[1] or index & 0xFFFF != index or flow[0] != 4:
            return 0
        entry = ptr32(int(neighbors) + ((16 + (index << 4)) << 2))
        due = entry[8]
        if entry[0] != 2 or ((due >> 30) & 1 == 0 and (now - due) & 0x3FFFFFFF < 0x20000000):
            return 0
    p = ptr8(int(tx) + 30)
    to = ptr8(int(neighbors) + ((16 + (index << 4) + 6) << 2))
    p[0] = to[0]
    p[1] = to[1]
    p[2] = to[2]
    p[3] = to[3]
    p[4] = to[4]
    p[5] = to[5]
    p[6] = mac[0]
    p[7] = mac[1]
    p[8] = mac[2]
    p[9] = mac[3]
    p[10] = mac[4]
    p[11] = mac[5]
    p[12] = 8
    p[13] = 0
    p = ptr8(int(tx) + 44)
    total = end - 44
    tos = flow[13] & 0xFF
    hops = flow[12] & 0xFF
    protocol = flow[1] & 0xFF
    local = flow[4]
    remote = flow[8]
    s = 0x4500 + tos + total + 0x4000 + (hops << 8) + protocol
    s += (local & 0xFFFF) + ((local >> 16) & 0xFFFF)
    s += (remote & 0xFFFF) + ((remote >> 16) & 0xFFFF)
    s = (s & 0xFFFF) + (s >> 16)
    s = ((s & 0xFFFF) + (s >> 16)) ^ 0xFFFF
    p[0] = 0x45
    p[1] = tos
    p[2] = total >> 8
    p[3] = total
    p[4] = 0
    p[5] = 0
    p[6] = 0x40
    p[7] = 0
    p[8] = hops
    p[9] = protocol
    p[10] = s >> 8
    p[11] = s
    p[12] = local >> 24
    p[13] = local >> 16
    p[14] = local >> 8
    p[15] = local
    p[16] = remote >> 24
    p[17] = remote >> 16
    p[18] = remote >> 8
    p[19] = remote
    return 1


@micropython.viper
def choose_source(table: ptr32, routes: ptr32, flow: ptr32) -> int:
    """Fill flow[_LOCAL] with the address of ours to speak to flow[_REMOTE] from: the one in the
    same subnet, else the one in the gateway's subnet, else the first (RFC 1122 3.3.4.3). 0: we
    have none."""
    remote = flow[8]
    hop = remote
    chosen = 0
    found = 0
    turn = 0
    while turn < 2:
        best = -1
        i = 0
        while i < table[0]:
            entry = ptr32(int(table) + ((8 + (i << 2)) << 2))
            if (hop ^ entry[0]) & entry[1] == 0 and entry[3] > best:
                best = entry[3]
                chosen = entry[0]
                found = 1
            i += 1
        if found:
            turn = 2
        else:
            turn += 1
            i = 0
            while i < routes[0]:
                entry = ptr32(int(routes) + ((8 + (i << 4)) << 2))
                prefix = entry[1]
                if entry[0] == 4 and prefix > best:
                    if prefix == 0 or (remote ^ entry[2]) >> (32 - prefix) == 0:
                        best = prefix
                        if entry[6] != 0:
                            hop = entry[6]
                i += 1
    i = 0
    while found == 0 and i < table[0]:
        entry = ptr32(int(table) + ((8 + (i << 2)) << 2))
        # 127.x.x.x is no source for a packet that leaves the host.
        if (entry[0] >> 24) & 0xFF != 127:
            chosen = entry[0]
            found = 1
        i += 1
    if found:
        flow[4] = chosen
        flow[5] = 0
        flow[6] = 0
        flow[7] = 0
    return found


@micropython.viper
def is_own(table: ptr32, words: ptr32, at: int) -> int:
    """1 if the address in words[at] is one of ours; any_ip does not count."""
    i = 0
    while i < table[0]:
        if table[8 + (i << 2)] == words[at]:
            return 1
        i += 1
    return 0


# The walk of a packet.


@micropython.native
def ingress(iface, sockets):
    """The IPv4 packet in iface.rx, from rec[_NET] to rec[_END] at most."""
    rec = iface.rec
    rx = iface.rx
    code = parse(rx, rec[_NET], rec[_END], rec, iface.verify_ip)
    if code:
        count(iface.counters, 3 - code)
        return
    code = classify(iface.ipv4, iface.neighbors.words, rx, rec, iface.now)
    if code < 0:
        if code == -_COUNT_IP_NOT_OURS and iface.stranger is not None:
            iface.stranger(iface, sockets)
        else:
            count(iface.counters, -code)
    elif not rec[_FRAGMENT]:
        proto = rec[_PROTO]
        if sockets.raw or proto not in HANDLERS:
            deliver(iface, sockets)
        else:
            HANDLERS[proto](iface, sockets)
    elif iface.reassemble is not None:
        iface.reassemble(iface, sockets)
    else:
        count(iface.counters, _COUNT_IP_FRAGMENTS)


def deliver(iface, sockets):
    """The whole datagram in iface.rx and iface.rec is ours: raw sockets, then its protocol."""
    raw = sockets.raw
    if raw:
        iface.offer_raw(raw)
    handler = HANDLERS.get(iface.rec[_PROTO])
    if handler is not None:
        handler(iface, sockets)
    elif not iface.raw_handled:
        count(iface.counters, _COUNT_IP_NO_PROTOCOL)
        iface.icmp_error(_DST_UNREACHABLE, _PROTOCOL_UNREACHABLE)
    if raw:
        iface.raw_handled = False


def select_source(iface, flow) -> bool:
    """Fill flow[_LOCAL] for flow[_REMOTE]; False: we have no address."""
    return bool(choose_source(iface.ipv4, iface.routes.words, flow))


def is_local(iface, words, at: int) -> bool:
    """Is the address in words[at:at + 4] ours? Under any_ip every address is."""
    return bool(iface.ipv4[_IPV4_ANY] or is_own(iface.ipv4, words, at))


def is_unicast(iface, words, at: int) -> bool:
    """Can the address in words[at] be one host's? Not a group's, and no broadcast known here."""
    if not addresses.is_unicast(addresses.from_words(4, words, at)):
        return False
    table = iface.ipv4
    for i in range(_IPV4_ENTRIES, _IPV4_ENTRIES + 4 * table[_IPV4_COUNT], 4):
        if table[i + 2] and table[i + 2] == words[at]:
            return False
    return True


icmp_error = icmp.error
solicit = arp.solicit


# Set-up.


def attach(iface, capacity: int, groups: int):
    """Give `iface` its table of IPv4 addresses."""
    table = array("i", bytes(4 * (_IPV4_ENTRIES + 4 * capacity + groups)))
    table[_IPV4_CAPACITY] = capacity
    table[_IPV4_GROUP_CAPACITY] = groups
    iface.ipv4 = table


def add(iface, address: bytes, prefix: int) -> int:
    """Take `address`/`prefix` as ours; its number. OverflowError: no room."""
    if not addresses.is_unicast(address):
        raise ValueError("not a unicast address: " + addresses.format_address(address))
    table = iface.ipv4
    for i in range(table[_IPV4_COUNT]):
        if addresses.from_words(4, table, _IPV4_ENTRIES + 4 * i) == address:
            break
    else:
        i = table[_IPV4_COUNT]
        if i == table[_IPV4_CAPACITY]:
            raise OverflowError("no room for another address")
        table[_IPV4_COUNT] = i + 1
    at = _IPV4_ENTRIES + 4 * i
    words = array("i", bytes(16))
    broadcast = addresses.broadcast(address, prefix) or bytes(4)
    for j, value in enumerate((address, addresses.netmask(prefix), broadcast)):
        addresses.to_words(value, words, 0)
        table[at + j] = words[0]
    table[at + 3] = prefix
    return i


def remove(iface, address: bytes) -> bool:
    """Give `address` up; False: it was not ours."""
    table = iface.ipv4
    for i in range(table[_IPV4_COUNT]):
        at = _IPV4_ENTRIES + 4 * i
        if addresses.from_words(4, table, at) == address:
            last = _IPV4_ENTRIES + 4 * (table[_IPV4_COUNT] - 1)
            while at < last:
                table[at] = table[at + 4]
                at += 1
            table[_IPV4_COUNT] -= 1
            return True
    return False


def listing(iface):
    """Our addresses: [(bytes, prefix length)], in the order in which they were added."""
    table = iface.ipv4
    return [
        (addresses.from_words(4, table, _IPV4_ENTRIES + 4 * i), table[_IPV4_ENTRIES + 4 * i + 3])
        for i in range(table[_IPV4_COUNT])
    ]


def join(iface, group: bytes) -> bool:
    """Accept packets for `group`; False: it was joined already. OverflowError: no room."""
    table = iface.ipv4
    words = array("i", bytes(16))
    addresses.to_words(group, words, 0)
    if not addresses.is_multicast(group):
        raise ValueError("not a group: " + addresses.format_address(group))
    at = _IPV4_ENTRIES + 4 * table[_IPV4_CAPACITY]
    n = table[_IPV4_GROUPS]
    for i in range(n):
        if table[at + i] == words[0]:
            return False
    if n == table[_IPV4_GROUP_CAPACITY]:
        raise OverflowError("no room for another group")
    table[at + n] = words[0]
    table[_IPV4_GROUPS] = n + 1
    iface.device.join(addresses.group_mac(group))
    return True


def leave(iface, group: bytes) -> bool:
    """Accept packets for `group` no longer; False: it was not joined."""
    table = iface.ipv4
    words = array("i", bytes(16))
    addresses.to_words(group, words, 0)
    at = _IPV4_ENTRIES + 4 * table[_IPV4_CAPACITY]
    n = table[_IPV4_GROUPS]
    for i in range(n):
        if table[at + i] == words[0]:
            table[at + i] = table[at + n - 1]
            table[_IPV4_GROUPS] = n - 1
            iface.device.leave(addresses.group_mac(group))
            return True
    return False
