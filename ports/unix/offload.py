"""Offload: a TAP or TUN whose kernel leaves checksums, and the cutting of TCP, to the last moment.

Every frame then stands behind a struct virtio_net_hdr (linux/virtio_net.h, OASIS virtio 1.2
5.1.6), in the machine's own byte order. Two things follow, and both cost the kernel nothing:

- What the kernel sends itself comes with its TCP or UDP checksum not filled in (NEEDS_CSUM: only
  the pseudo header's sum stands there), since nobody between could damage it. Such a frame and one
  that it has verified (DATA_VALID) need no second look; any other, such as one that it forwards
  from elsewhere, is verified here: `damaged` counts those that were dropped.
- One read brings as much of a TCP connection as is due, up to 64 KiB, one write takes as much
  (GSO): `segments` and cut(), see smolmp/phy/device.py.

What passes is not what a wire would carry: a capture has segments larger than the MTU in it, and
checksums that are only begun (Wireshark's "checksum offload"). Whoever sends such frames on to
somewhere else has to finish them, or calls plain(), after which they are like any other's.
"""

import errno
import os
import struct

import micropython
from micropython import const

import smolmp.socket.tcp.segments  # noqa: F401 - TCP makes use of cut()
from ports.unix import awake, descriptor, kernels, tuntap
from ports.unix.descriptor import Descriptor, _aim
from smolmp.phy.device import RX_TCP, RX_UDP
from smolmp.wire.checksum import checksum

_ETHERNET = const(1)
_IP = const(2)

_IFF_TUN = const(1)
_IFF_TAP = const(2)
_IFF_NO_PI = const(0x1000)
_IFF_VNET_HDR = const(0x4000)
_TUNSETOFFLOAD = 0x400454D0
_TUNSETVNETHDRSZ = 0x400454D8
_TUN_F_CSUM = const(1)
_TUN_F_TSO4 = const(2)

_HEAD = const(10)  # octets of a struct virtio_net_hdr: flags, gso_type, hdr_len, gso_size,
_NEEDS_CSUM = const(1)  # csum_start, csum_offset
_DATA_VALID = const(2)
_GSO_TCPV4 = const(1)
_MOST = const(65535)  # octets of an IP packet
_FOREVER = const(0x1FFFFFFF)
_POLLIN = const(1)
_REVENTS = const(6)


c_readv = descriptor.libc.func("i", "readv", "ipi") if descriptor.ffi else None


@micropython.viper
def verified(head: ptr8, frame, n: int, link: int) -> int:
    """Is the frame of n octets, its IP packet at frame[link:], one to be handed out? 0: it is of a
    kind that nobody asked for; -1: its TCP or UDP checksum is wrong.

    A packet that is not whole, or is malformed, is not judged: the stack says so itself."""
    if head[1] & 0x7F > _GSO_TCPV4:
        return 0
    if head[0] & (_NEEDS_CSUM | _DATA_VALID) or n < link + 28:
        return 1
    p = ptr8(frame)
    if link != 0 and (p[12] != 8 or p[13] != 0):
        return 1
    p = ptr8(int(p) + link)
    header = (p[0] & 15) << 2
    length = (p[2] << 8 | p[3]) - header
    if p[0] >> 4 != 4 or header < 20 or length < 8 or link + header + length > n:
        return 1
    if (p[6] << 8 | p[7]) & 0x3FFF:  # a fragment
        return 1
    if p[9] == 17:
        u = ptr8(int(p) + header)
        if u[6] | u[7] == 0 or (u[4] << 8 | u[5]) < 8 or (u[4] << 8 | u[5]) > length:
            return 1
        length = u[4] << 8 | u[5]
    elif p[9] != 6:
        return 1
    s = p[9] + length
    i = 12
    while i < 20:
        s += p[i] << 8 | p[i + 1]
        i += 2
    link += header
    if int(checksum(frame, link, link + length, s)) == 0xFFFF:
        return 1
    return -1


@micropython.viper
def describe(head, frame: ptr8, start: int, size: int, link: int):
    """The virtio_net_hdr of the TCP segment whose frame stands at frame[start:], to be cut into
    pieces of `size` octets; its IPv4 header, 20 octets, at `link` from there."""
    p = ptr8(head)
    q = ptr16(head)
    link += 20
    p[0] = _NEEDS_CSUM
    p[1] = _GSO_TCPV4
    q[1] = link + (frame[start + link + 12] >> 4 << 2)
    q[2] = size
    q[3] = link
    q[4] = 16  # where the checksum stands in a TCP header


def _vectors(head):
    """(two struct iovec of which the first is `head`, the second of them)"""
    size = struct.calcsize("PP")
    vector = bytearray(2 * size)
    _aim(vector, head, 0, _HEAD)
    return vector, memoryview(vector)[size:]


def _reader(device, fd, head, vector, second, link):
    """recv of a device whose frames stand behind a head"""

    @micropython.native
    def recv(
        buf,
        me=device,
        fd=fd,
        head=head,
        vector=vector,
        second=second,
        link=link,
        aim=_aim,
        judge=verified,
        read=c_readv,
        size=len,
        why=os.errno,
        nothing=errno.EAGAIN,
    ):
        room = size(buf)
        aim(second, buf, 0, room)
        n = read(fd, vector, 2) - _HEAD
        if 0 < n < room and judge(head, buf, n, link) > 0:
            return n
        if n < 0 and why() == nothing:
            return 0
        return me._odd(buf, room, n)

    return recv


def _fetcher(device, fd, head, vector, second, link, wanted, doze, slow):
    """fetch of it, as descriptor.py has it"""

    @micropython.native
    def fetch(
        buf,
        ms=None,
        me=device,
        fd=fd,
        head=head,
        vector=vector,
        second=second,
        link=link,
        wanted=wanted,
        doze=doze,
        slow=slow,
        aim=_aim,
        judge=verified,
        read=c_readv,
        size=len,
    ):
        if ms is None:
            ms = -1
        elif ms > _FOREVER:
            ms = _FOREVER
        room = size(buf)
        aim(second, buf, 0, room)
        n = doze(ms, read, fd, vector, 2)
        if n < 0 and ms:
            if wanted[_REVENTS] != _POLLIN:
                slow(0, 0)
            n = read(fd, vector, 2)
        n -= _HEAD
        if 0 < n < room and judge(head, buf, n, link) > 0:
            return n
        return me._odd(buf, room, n)

    return fetch


class Offload(Descriptor):
    """`Offload("tap0")`: a TAP, or with tun=True a TUN, that is opened for this. mtu None: what
    the kernel's end has. ValueError, OSError: as Tap.

    Counters, beside a Descriptor's: `damaged` frames whose TCP or UDP checksum was wrong."""

    _reads = False

    def __init__(self, name="tap0", mtu=None, tun=False, longest=awake.LONGEST):
        kind = _IFF_TUN if tun else _IFF_TAP
        fd = tuntap.open_device(name, kind | _IFF_NO_PI | _IFF_VNET_HDR)
        size = bytearray(struct.pack("i", _HEAD))
        offered = _TUN_F_CSUM | _TUN_F_TSO4
        # Not TSO_ECN: a segment with CWR, which stands for one, comes by itself (RFC 3168 6.1.2).
        for request, value in ((_TUNSETVNETHDRSZ, size), (_TUNSETOFFLOAD, offered)):
            if descriptor.c_ioctl(fd, request, value) < 0:
                try:
                    descriptor.raise_errno(name)
                finally:
                    descriptor.c_close(fd)
        kernels.install()
        self._link_header = 0 if tun else 14
        medium = _IP if tun else _ETHERNET
        super().__init__(fd, medium, mtu or descriptor.device_mtu(name), 0, longest)
        self.name = name
        self.checksums = RX_TCP | RX_UDP
        self.segments = _MOST
        self.damaged = 0
        self._nothing_said = bytearray(_HEAD)
        self._plain, self._plain_frame = _vectors(self._nothing_said)
        self._cut_head = bytearray(_HEAD)
        self._cut, self._cut_frame = _vectors(self._cut_head)
        whole = Descriptor.wait
        head, vector, second, link = self._read

        def slow(ms, spin):
            whole(self, ms, spin)

        self.fetch = _fetcher(self, fd, head, vector, second, link, self._wanted, self._doze, slow)

    def _receiver(self):
        head = bytearray(_HEAD)
        vector, second = _vectors(head)
        self._read = (head, vector, second, self._link_header)
        return _reader(self, self._fd, *self._read)

    def _odd(self, buf, room, n) -> int:
        """readv(2) brought n octets into the `room` of buf: nothing, as many, or something odd"""
        if n <= 0:
            self._nothing(n + _HEAD)
            return 0
        if n >= room and not self._unusual(buf, room, room):
            return 0
        code = verified(self._read[0], buf, n, self._link_header)
        if code > 0:
            return n
        if code:
            self.damaged += 1
        else:
            self.dropped += 1
        return 0

    def prepare(self, buf, start: int):
        """A frame has its place in the vectors anew each time."""

    @micropython.native
    def send(self, buf, start: int, end: int) -> bool:
        _aim(self._plain_frame, buf, start, end)
        if descriptor.c_writev(self._fd, self._plain, 2) < 0:
            return self._refused(os.errno())
        self._up = True
        return True

    @micropython.native
    def cut(self, buf, start: int, end: int, size: int) -> bool:
        describe(self._cut_head, buf, start, size, self._link_header)
        _aim(self._cut_frame, buf, start, end)
        if descriptor.c_writev(self._fd, self._cut, 2) < 0:
            return self._refused(os.errno())
        self._up = True
        return True

    def plain(self):
        if descriptor.c_ioctl(self._fd, _TUNSETOFFLOAD, 0) < 0:
            descriptor.raise_errno(self.name)
        self.segments = 0
