"""Configuration: what a program sets up in an Interface, and what people see of it.

Addresses are text here. All of it may allocate; none of it is called by a poll.
"""

from array import array

from micropython import const

from smolmp.counters import NUMBER
from smolmp.iface import arp, ipv4
from smolmp.iface.neighbors import Neighbors
from smolmp.iface.path_mtu import PathMtus
from smolmp.iface.routes import Routes
from smolmp.socket.protocols import READDRESSED
from smolmp.wire import address as addresses

FAMILIES = {4: ipv4}  # IP family -> an object with the functions that ipv4.py lists

_MEDIUM_ETHERNET = const(1)
_MEDIUM_IP = const(2)
_ETHERNET_HEADER = const(14)
_MINIMUM_MTU = const(68)  # RFC 791 3.2


class _Readdressing:
    """A task of the next poll: tell the protocols that an address was given up."""

    def __init__(self, iface):
        self.deadline = iface.now
        iface.tasks.append(self)

    def run(self, iface, sockets):
        iface.tasks.remove(self)
        for readdressed in READDRESSED:
            readdressed(iface, sockets)


class Configuration:
    """The part of Interface that is in no packet's way: its tables, and how they are set up."""

    def __init__(self, device, sizes, announce):
        """sizes: (neighbors, waiting, routes, addrs, groups, paths)."""
        neighbors, waiting, routes, self._addrs, self._groups, paths = sizes
        ether = device.medium == _MEDIUM_ETHERNET
        # Ethernet, or packets as they are; whatever else there is brings its own Interface.
        if not ether and device.medium != _MEDIUM_IP:
            raise ValueError("unknown medium")
        if device.mtu < _MINIMUM_MTU:
            raise ValueError("MTU below 68")
        self.device = device
        self.medium = device.medium
        self.mtu = device.mtu
        self.mac = bytearray(6)
        self.counters = array("I", bytes(4 * NUMBER))
        self.tasks = []
        self.arp_watchers = []  # see arp.py
        if ether:
            size = _ETHERNET_HEADER + device.mtu
            self.neighbors = Neighbors(self, neighbors, waiting, size)
        else:
            self.neighbors = Neighbors(self, 0, 0, 0)
        self.routes = Routes(routes, self.neighbors.forget_hint)
        self.paths = PathMtus(self, paths)
        self.families = {}  # those in use: IPv4 always, others with their first address
        self.ipv4 = array("i")
        self._family(4)
        self.announce = announce and ether
        self._announcing = -1  # the next address to announce, -1: none
        self._link = bool(device.link())

    @property
    def hardware_addr(self) -> str:
        return addresses.format_mac(self.mac)

    def set_hardware_addr(self, text: str):
        mac = addresses.parse_mac(text)
        if mac[0] & 1 or not any(mac):
            raise ValueError("not a unicast hardware address: " + text)
        self.mac[:] = mac
        self.bind()
        self._announce_from(0)

    @property
    def ip_addrs(self):
        """Our addresses as CIDR texts, in the order in which they were added."""
        result = []
        for family in sorted(self.families):
            for address, prefix in self.families[family].listing(self):
                result.append(addresses.format_cidr(address, prefix))
        return result

    @property
    def ipv4_addr(self):
        """The first IPv4 address as text, None if there is none."""
        for address, _ in ipv4.listing(self):
            return addresses.format_address(address)
        return None

    def add_ip_addr(self, cidr: str):
        """Take an address ("192.168.69.1/24") and announce it. OverflowError: no room."""
        address, prefix = addresses.parse_cidr(cidr)
        family = 4 if len(address) == 4 else 6
        i = self._family(family).add(self, address, prefix)
        # Who is on the link is there as before, and what waits for them shall go; but for a host
        # whose address is ours now.
        self.neighbors.remove(cidr.split("/")[0])
        self.neighbors.forget_hint()
        self.bind()
        if family == 4:
            self._announce_from(i)

    def remove_ip_addr(self, text: str) -> bool:
        """Give an address ("192.168.69.1", with or without a prefix length) up.

        Connections from it end with the next poll, in silence, unless it is back by then.
        """
        address = addresses.parse_address(text.split("/")[0])
        removed = self._family(4 if len(address) == 4 else 6).remove(self, address)
        self.neighbors.flush()
        self.bind()
        if self._announcing >= 0:  # the others moved up: all of them anew
            self._announcing = -1
            self._announce_from(0)
        if removed:
            self._readdressed()
        return removed

    def probe_ip_addr(self, words, at: int) -> bool:
        """Ask the link whether somebody has the IPv4 address in words[at] (RFC 5227 2.1.1); what
        is answered, arp_watchers hear. False: the device is busy. Allocates nothing."""
        return arp.probe(self, words, at)

    def announce_ip_addr(self, text: str):
        """Tell the link (again) that an IPv4 address is ours, and those behind it: with the next
        poll, whatever `announce` says."""
        address = addresses.parse_address(text.split("/")[0])
        for i, (own, _) in enumerate(ipv4.listing(self)):
            if own == address and (self._announcing < 0 or i < self._announcing):
                self._announcing = i

    def set_ip_addrs(self, cidrs):
        """Have these addresses and no others."""
        for cidr in self.ip_addrs:
            self.remove_ip_addr(cidr)
        for cidr in cidrs:
            self.add_ip_addr(cidr)

    def has_ip_addr(self, text: str) -> bool:
        """Is the address ours? Always True under any_ip."""
        words = array("i", bytes(16))
        family = addresses.to_words(addresses.parse_address(text), words, 0)
        return self.is_local(words, 0, family)

    @property
    def any_ip(self) -> bool:
        return self.ipv4[1] != 0

    @any_ip.setter
    def any_ip(self, on: bool):
        if self.any_ip and not on:
            self._readdressed()
        self.ipv4[1] = 1 if on else 0
        self.neighbors.forget_hint()
        self.bind()

    def bind(self):
        """What is known about packets to come (Interface.inward) is to be found anew."""

    def _readdressed(self):
        if not any(isinstance(task, _Readdressing) for task in self.tasks):
            _Readdressing(self)

    def join_multicast_group(self, group: str) -> bool:
        """Accept packets for `group`; False if it was joined already."""
        address = addresses.parse_address(group)
        return self._family(4 if len(address) == 4 else 6).join(self, address)

    def leave_multicast_group(self, group: str) -> bool:
        address = addresses.parse_address(group)
        return self._family(4 if len(address) == 4 else 6).leave(self, address)

    def _family(self, family: int):
        if family not in FAMILIES:
            raise ValueError("IPv%d is not imported" % family)
        if family not in self.families:
            FAMILIES[family].attach(self, self._addrs, self._groups)
            self.families[family] = FAMILIES[family]
        return FAMILIES[family]

    def is_local(self, words, at: int, family: int = 4) -> bool:
        """Is the address in words[at:at + 4] ours? Under any_ip every unicast address is."""
        own = self.families.get(family)
        return own is not None and own.is_local(self, words, at)

    def is_unicast(self, words, at: int, family: int = 4) -> bool:
        """Can the address in words[at:at + 4] be one host's (no group's, no broadcast)?"""
        own = self.families.get(family)
        return own is not None and own.is_unicast(self, words, at)

    def path_mtu(self, address: str) -> int:
        """The largest packet, in octets, that is known to reach `address` whole."""
        flow = array("i", bytes(4 * 14))
        flow[0] = addresses.to_words(addresses.parse_address(address), flow, 8)
        return self.paths.mtu(flow)

    def _announce_from(self, i: int):
        if self.announce and self.ipv4[0] and (self._announcing < 0 or i < self._announcing):
            self._announcing = i

    def stats(self):
        """The counters by name."""
        from smolmp.iface.report import stats

        return stats(self)

    def __repr__(self):
        from smolmp.iface.report import text

        return text(self)
