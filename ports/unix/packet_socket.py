"""PacketSocket: a Device on an existing network interface (AF_PACKET, packet(7)).

Needs CAP_NET_RAW.  The kernel stays on the interface as well: give it no address there (or
another one), or it resets what it does not know.  The interface's receive offloads must be off
(`ethtool -K NAME gro off lro off`, at a veth's other end `tx off`), or frames come merged
(dropped and counted here) or with checksums that were never filled in.
"""

import socket
import struct

from micropython import const

from ports.unix import awake, descriptor
from ports.unix.descriptor import Descriptor

_ETHERNET = const(1)
_AF_PACKET = const(17)
_SOCK_RAW = const(3)
_SOL_PACKET = const(263)
_PACKET_ADD_MEMBERSHIP = const(1)
_PACKET_MR_PROMISC = const(1)
_PACKET_IGNORE_OUTGOING = const(23)
_MSG_TRUNC = const(0x20)
_ALL = const(0x0300)  # ETH_P_ALL in network order


def _index(name):
    if descriptor.ffi:
        index = descriptor.c_name_to_index(name)
        if index > 0:
            return index
    else:
        # /proc/net is the network namespace's own, /sys may be another's
        for line in descriptor.lines("/proc/net/dev_mcast"):
            words = line.split()
            if words[1] == name:
                return int(words[0])
        for line in descriptor.lines("/sys/class/net/%s/ifindex" % name):
            return int(line)
    raise OSError("no network interface " + name)


class PacketSocket(Descriptor):
    """`PacketSocket("eth1")`.  promiscuous: take in frames for any address, which a station with
    an address of its own beside the kernel's needs on real hardware.  outgoing: also those that
    the kernel sends there (for those who watch)."""

    _reads = False

    def __init__(self, name, mtu=None, promiscuous=True, outgoing=False, longest=awake.LONGEST):
        index = _index(name)
        s = socket.socket(_AF_PACKET, _SOCK_RAW, 0)  # protocol 0: nothing comes before bind()
        if not outgoing:
            try:
                s.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
            except OSError:
                pass  # before Linux 4.20
        if promiscuous:
            request = struct.pack("iHH8s", index, _PACKET_MR_PROMISC, 0, b"")
            s.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, request)
        s.bind(struct.pack("HHiHBB8s", _AF_PACKET, _ALL, index, 0, 0, 0, b""))
        s.setblocking(False)
        self._recv = s.recv
        super().__init__(s, _ETHERNET, mtu or descriptor.device_mtu(name), 0, longest)
        self.name = name

    def _receiver(self):
        return self._recv_one

    if descriptor.ffi:

        def _recv_one(self, buf) -> int:
            n = descriptor.c_recv(self._fd, buf, len(buf), _MSG_TRUNC)
            if n > len(buf):  # its true length: it was cut
                self.dropped += 1
                return 0
            if n > 0:
                return n
            self._nothing(n)
            return 0

    else:
        allocates = True

        def _recv_one(self, buf) -> int:
            # one bytes object a frame: this interpreter offers nothing else that keeps frames
            # apart here, where short ones may be padded
            try:
                frame = self._recv(len(buf) + 1)
            except OSError:
                return 0
            n = len(frame)
            if n > len(buf):
                self.dropped += 1
                return 0
            buf[:n] = frame
            return n
