"""A Device on a file descriptor that carries one frame per read and write: TAP, TUN, AF_PACKET.

Two ways to read, chosen by what the interpreter has:

- **ffi** (Debian's and Ubuntu's micropython): read(2), one frame a call, straight into the
  caller's buffer.
- **batch** (no ffi: the PyPI wheel): FileIO.readinto() reads on until nothing waits and glues the
  frames; where one ends follows from its own headers.  A frame whose length the headers do not
  tell hides the rest of its batch, and a full buffer cuts its last frame: both are counted.

Measured on one core of a 2-core x86-64 machine, 1514-byte frames fed by another core: ffi 750-870
thousand frames a second (i386: 600), batch 350-470 thousand, since the batch is copied once more
out of a buffer that no cache holds; 60-byte frames: both 600-750.  So ffi where there is ffi.

Writes are write(2) through ffi for the frame buffer that the stack announced (`prepare`),
writev(2) for any other, else FileIO.write(buf, offset, length).  Nothing allocates.  (A bytecode
function with more than 11 words of state, and every `try` counts 3 and its handler 6, takes its
frame from the heap at every call: where much lies on the heap, finding room has cost 100 us.  So
wait and what works without ffi have few locals.)

With ffi, recv and send are native functions made for this one descriptor. What they work with are
parameters with defaults: those lie on the C stack, whereas an attribute or a global is
searched for, through tables that the system call before has pushed out of the cache.
"""

import array
import errno
import os
import select
import socket
import struct
import sys
import time

from micropython import const

from ports.unix import awake
from smolmp.phy.device import Device

try:
    import ffi
except ImportError:
    ffi = None

_ETHERNET = const(1)
_IP = const(2)

_F_GETFL = const(3)
_F_SETFL = const(4)
_O_NONBLOCK = const(0o4000)
_POLLIN = const(1)
_REVENTS = const(6)  # where they stand in a struct pollfd; those asked for are below 256
_FOREVER = const(0x1FFFFFFF)
_LOOKS = const(8)

_ENETDOWN = const(100)  # the errno module has not all of them
_TUNGETIFF = 0x800454D2
_SIOCGIFMTU = const(0x8921)
_IFF_TAP = const(2)
_SIOCGIFFLAGS = const(0x8913)
_IFF_UP = const(1)
_IFF_RUNNING = const(64)

if ffi:
    libc = ffi.open(None)
    c_open = libc.func("i", "open", "si")
    c_close = libc.func("i", "close", "i")
    c_read = libc.func("i", "read", "ipI")
    c_recv = libc.func("i", "recv", "ipIi")
    c_write = libc.func("i", "write", "ipI")
    c_writev = libc.func("i", "writev", "ipi")
    c_fcntl = libc.func("i", "fcntl", "iii")
    c_poll = libc.func("i", "poll", "pii")
    c_ioctl = libc.func("i", "ioctl", "iLp")
    c_name_to_index = libc.func("i", "if_nametoindex", "s")


def raise_errno(what: str) -> None:
    code = os.errno()
    raise OSError(code, "%s: %s" % (what, errno.errorcode.get(code, "errno %d" % code)))


if sys.maxsize > 1 << 32:

    @micropython.viper
    def _aim(vector: ptr32, buf: ptr8, start: int, end: int):
        """vector: a struct iovec of buf[start:end]"""
        base = int(buf) + start
        vector[0] = base
        vector[1] = base >> 32
        vector[2] = end - start

else:

    @micropython.viper
    def _aim(vector: ptr32, buf: ptr8, start: int, end: int):
        vector[0] = int(buf) + start
        vector[1] = end - start


@micropython.viper
def _frame_length(frame: ptr8, at: int, end: int, ethernet: int) -> int:
    """bytes of the frame at frame[at:] as its headers tell, 0: they do not"""
    p = ptr8(int(frame) + at)
    n = end - at
    if ethernet:
        if n < 14:
            return 0
        kind = (p[12] << 8) | p[13]
        if kind == 0x0806:
            return 42
        if kind <= 1500:  # IEEE 802.3: a length stands there
            return 14 + kind
        if kind == 0x0800 and n >= 18:
            return 14 + ((p[16] << 8) | p[17])
        if kind == 0x86DD and n >= 20:
            return 54 + ((p[18] << 8) | p[19])
        return 0
    if n >= 4 and p[0] >> 4 == 4:
        return (p[2] << 8) | p[3]
    if n >= 6 and p[0] >> 4 == 6:
        return 40 + ((p[4] << 8) | p[5])
    return 0


def _reader(device, fd):
    """recv of a device that reads by ffi"""

    @micropython.native
    def recv(buf, me=device, fd=fd, read=c_read, size=len, why=os.errno, nothing=errno.EAGAIN):
        room = size(buf)
        n = read(fd, buf, room)
        if 0 < n < room:
            return n
        if n < 0 and why() == nothing:
            return 0
        return me._unusual(buf, room, n)

    return recv


def _writer(device, fd, buf, start, slow):
    """send of a device that writes by ffi: frames at buf[start:]; `slow` sends those elsewhere"""
    view = memoryview(buf)[start:]

    @micropython.native
    def send(
        frame, at, end, me=device, fd=fd, buf=buf, start=start, view=view, write=c_write, slow=slow
    ):
        if frame is not buf or at != start:
            return slow(frame, at, end)
        if write(fd, view, end - start) < 0:
            return me._refused(os.errno())
        me._up = True
        return True

    return send


def _waiter(wanted, doze, slow):
    """wait of a device that waits by ffi: `wanted` is its struct pollfd; what is not just to wait
    until a frame comes does `slow`"""

    @micropython.native
    def wait(ms=None, spin=0, wanted=wanted, doze=doze, slow=slow, poll=c_poll):
        if ms is None:
            ms = -1
        if spin or ms > _FOREVER:
            return slow(ms, spin)
        if doze(ms, poll, wanted, 1, 0):
            return wanted[_REVENTS] == _POLLIN or slow(0, 0)
        return False

    return wait


@micropython.viper
def _copy(target: ptr8, source: ptr8, at: int, n: int):
    """target[0:n] = source[at:at+n]; this port's processors load words from any address"""
    s = ptr32(int(source) + at)
    d = ptr32(int(target))
    words = n >> 2
    i = 0
    while i + 8 <= words:
        d[i] = s[i]
        d[i + 1] = s[i + 1]
        d[i + 2] = s[i + 2]
        d[i + 3] = s[i + 3]
        d[i + 4] = s[i + 4]
        d[i + 5] = s[i + 5]
        d[i + 6] = s[i + 6]
        d[i + 7] = s[i + 7]
        i += 8
    while i < words:
        d[i] = s[i]
        i += 1
    i <<= 2
    while i < n:
        target[i] = source[at + i]
        i += 1


def _fetcher(device, fd, wanted, doze, slow):
    """fetch(buf, ms) of a device that reads and waits by ffi: wait(ms), then recv(buf), in one:
    while it stays awake, to read is to look"""

    @micropython.native
    def fetch(
        buf, ms=None, me=device, fd=fd, wanted=wanted, doze=doze, slow=slow, read=c_read, size=len
    ):
        if ms is None:
            ms = -1
        elif ms > _FOREVER:
            ms = _FOREVER
        room = size(buf)
        n = doze(ms, read, fd, buf, room)
        if n < 0 and ms:
            if wanted[_REVENTS] != _POLLIN:
                slow(0, 0)
            n = read(fd, buf, room)
        return n if 0 < n < room else me._unusual(buf, room, n)

    return fetch


def _poller(ipoll):
    """poll(2) where there is no ffi, of the one descriptor that select.poll was told"""

    def poll(wanted, _, ms):
        for event in ipoll(ms):
            wanted[_REVENTS] = event[1]
            return 1
        return 0

    return poll


class Descriptor(Device):
    """fd: an open descriptor, or an object with fileno(), write() and poll support (a socket).
    medium: 1 Ethernet, 2 IP; mtu: largest IP packet.  None: asked from the kernel, if it is a
    TAP or TUN.  batch: bytes of the batch buffer; None: 256 KiB without ffi, none with it.
    longest: us that wait() may stay awake where frames follow each other closely, see awake.py;
    0: it goes to sleep at once.

    Counters: `dropped` frames that came but could not be handed out whole (longer than the
    caller's buffer, cut at the end of a full batch, behind a header of unknown length: then
    the rest of the batch counts as one), `lost` frames sent while the device was down."""

    _reads = True  # frames come by read(2)

    def __init__(self, fd, medium=None, mtu=None, batch=None, longest=awake.LONGEST):
        self.name = None
        if isinstance(fd, int):
            self._fd = fd
            self._stream = None
        else:
            self._fd = fd.fileno()
            self._stream = fd
        if medium is None or mtu is None:
            asked_medium, asked_mtu = self._ask(medium)
            medium = medium or asked_medium
            mtu = mtu or asked_mtu
        if medium != _ETHERNET and medium != _IP:
            raise ValueError("medium must be 1 (Ethernet) or 2 (IP)")
        super().__init__(medium, mtu)
        self.dropped = 0
        self.lost = 0
        self._ethernet = 1 if medium == _ETHERNET else 0
        self._up = True
        self._ran = False
        self._flags = None
        if self._stream is None:
            self._make_nonblocking()
            self._stream = open(self._fd, "r+b")
        self._write = self._stream.write
        self._vector = bytearray(16)
        self._batch = None
        self._at = self._end = 0
        if batch is None and ffi is None:
            batch = 1 << 18
        if batch:
            self._batch = bytearray(batch)
            self._readinto = self._stream.readinto
        self._poll = select.poll()
        self._poll.register(self._stream, _POLLIN)
        self._wanted = bytearray(struct.pack("ihh", self._fd, _POLLIN, 0))  # a struct pollfd
        self._look = c_poll if ffi else _poller(self._poll.ipoll)
        self._look(self._wanted, 1, 0)  # ipoll's first call allocates
        self.awake = array.array("i", [0] * awake.WORDS)
        self._doze = awake.dozer(self.awake, self._look, self._wanted, longest)
        self.recv = self._receiver()  # type: ignore[method-assign]
        if ffi and self._batch is None:
            slow = self.wait
            self.wait = _waiter(self._wanted, self._doze, slow)  # type: ignore[method-assign]
            if self._reads:
                self.fetch = _fetcher(self, self._fd, self._wanted, self._doze, slow)

    def _ask(self, medium):
        name = None
        if ffi:
            request = bytearray(40)
            if c_ioctl(self._fd, _TUNGETIFF, request) == 0:
                name = bytes(request[:16]).rstrip(b"\0").decode()
                flags = struct.unpack_from("H", request, 16)[0]
                medium = _ETHERNET if flags & _IFF_TAP else _IP
        else:
            for line in lines("/proc/self/fdinfo/%d" % self._fd):
                if line.startswith("iff:"):
                    name = line[4:].strip()
            if name and medium is None:
                for line in lines("/sys/class/net/%s/tun_flags" % name):
                    medium = _ETHERNET if int(line, 16) & _IFF_TAP else _IP
        if name is None:
            return medium or _ETHERNET, 1500
        self.name = name
        return medium or _ETHERNET, device_mtu(name)

    def _make_nonblocking(self):
        if ffi:
            flags = c_fcntl(self._fd, _F_GETFL, 0)
            if flags < 0 or c_fcntl(self._fd, _F_SETFL, flags | _O_NONBLOCK) < 0:
                raise_errno("descriptor %d" % self._fd)
            return
        flags = None
        for line in lines("/proc/self/fdinfo/%d" % self._fd):
            if line.startswith("flags:"):
                flags = int(line[6:].strip(), 8)
        if flags is None:
            raise OSError(errno.EBADF, "descriptor %d is not open" % self._fd)
        if not flags & _O_NONBLOCK:
            raise OSError(
                errno.EINVAL,
                "descriptor %d blocks, and without ffi only its opener can change that"
                " (O_NONBLOCK)" % self._fd,
            )

    def fileno(self) -> int:
        return self._fd

    def close(self):
        self._poll.unregister(self._stream)
        self._stream.close()
        if self._flags is not None:
            self._asker.close()

    def link(self) -> bool:
        """Is the device up, and, once it had a carrier, has it one? Where the kernel cannot be
        asked (no ffi, no name): False from when it refuses a frame until it takes one."""
        if ffi and self.name:
            if self._flags is None:
                self._flags = bytearray(40)  # a struct ifreq
                self._flags[: len(self.name)] = self.name.encode()
                self._asker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            if c_ioctl(self._asker.fileno(), _SIOCGIFFLAGS, self._flags) == 0:
                flags = self._flags[16]
                if flags & _IFF_RUNNING:
                    self._ran = True  # the kernel tells of it some time after a TAP is opened
                self._up = bool(flags & _IFF_RUNNING if self._ran else flags & _IFF_UP)
        return self._up

    def _receiver(self):
        """what is to be `recv`"""
        return _reader(self, self._fd) if self._batch is None else self._recv_batch

    def _unusual(self, buf, room, n) -> int:
        """read(2) into the `room` octets of buf said n: nothing, or as many"""
        if n < room:
            self._nothing(n)
            return 0
        # as long as the buffer: the kernel cuts without a word, the headers know
        n = _frame_length(buf, 0, room, self._ethernet)
        if 0 < n <= room:
            return room
        self.dropped += 1
        return 0

    def _nothing(self, n):
        if n < 0 and os.errno() == errno.EAGAIN:
            return
        self._up = False

    def _recv_batch(self, buf) -> int:
        while self._at < self._end or self._fill():
            n = _frame_length(self._batch, self._at, self._end, self._ethernet)
            if n == 0 or self._at + n > self._end:
                # cut by the end of the buffer, or no telling where the next one begins
                self._at = self._end
            else:
                self._at += n
                if n <= len(buf):
                    _copy(buf, self._batch, self._at - n, n)
                    return n
            self.dropped += 1
        return 0

    def _fill(self):
        """Reads what waits into the batch: true when that is anything."""
        self._at = self._end = 0
        try:
            self._end = self._readinto(self._batch) or 0
        except OSError:  # the device is down or gone
            self._up = False
        return self._end

    if ffi:

        def prepare(self, buf, start: int):
            self.send = _writer(  # type: ignore[method-assign]
                self, self._fd, buf, start, self.send
            )

        def send(self, buf, start: int, end: int) -> bool:
            _aim(self._vector, buf, start, end)
            if c_writev(self._fd, self._vector, 1) < 0:
                return self._refused(os.errno())
            self._up = True
            return True

    else:

        def send(self, buf, start: int, end: int) -> bool:
            try:
                if self._write(buf, start, end - start) is None:
                    return False
            except OSError as e:
                return self._refused(e.errno)
            self._up = True
            return True

    def _refused(self, code):
        if code == errno.EAGAIN:
            return False
        if code == errno.ENOBUFS or code == errno.ENOMEM:
            return False
        # EIO: the device is down.  As with a cable that is out the frame is gone; "try later"
        # would make the caller spin
        if code == errno.EIO or code == _ENETDOWN:
            self._up = False
        self.lost += 1
        return True

    def wait(self, ms=None, spin=0) -> bool:
        """Waits until a frame is there (True) or ms milliseconds are over; None: for ever.
        spin: microseconds to look again and again before going to sleep: a sleeper is woken
        some 25 us late.  Raises ENODEV when the device was removed."""
        if self._at < self._end:
            return True
        if ms is None or ms < 0:
            ms = -1
        elif ms > _FOREVER:
            ms = _FOREVER
        if 0 <= ms < spin // 1000:
            spin = 1000 * ms
        events = 0
        if spin:
            events = self._spin(spin)
            if ms > 0:
                ms -= spin // 1000
        if not events and self._doze(ms, self._look, self._wanted, 1, 0):
            events = self._wanted[_REVENTS]
        if events and not events & _POLLIN:
            self._up = False
            raise OSError(errno.ENODEV)
        return events != 0

    def _spin(self, us):
        """The events that come within so many microseconds. The clock is read now and then only:
        what it takes, nobody looks."""
        us = time.ticks_add(time.ticks_us(), us)
        while time.ticks_diff(us, time.ticks_us()) > 0:
            for _ in range(_LOOKS):
                if self._look(self._wanted, 1, 0) > 0:
                    return self._wanted[_REVENTS]
        return 0


def device_mtu(name: str) -> int:
    """MTU of a network device; 1500 when the kernel does not tell."""
    if ffi:
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        request = bytearray(40)
        request[: len(name)] = name.encode()
        done = c_ioctl(s.fileno(), _SIOCGIFMTU, request)
        s.close()
        if done == 0:
            return struct.unpack_from("i", request, 16)[0]
    # /proc/sys/net is the network namespace's own, /sys may be another's
    for path in ("/proc/sys/net/ipv6/conf/%s/mtu", "/sys/class/net/%s/mtu"):
        for line in lines(path % name):
            return int(line)
    return 1500


def lines(path):
    try:
        with open(path) as f:
            return f.read().split("\n")[:-1]
    except OSError:
        return ()
