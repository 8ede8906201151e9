"""Slip: a Device that carries IP packets over a serial line (RFC 1055).

    uart = machine.UART(1, 115200, tx=4, rx=5, timeout=0, rxbuf=2048, txbuf=2048)
    iface = Interface(Slip(uart), ip_addrs=("192.168.69.1/24",))

The other end is Linux's `slattach -p slip -s 115200 /dev/ttyUSB0`, then `ip addr add ... dev sl0`
and `ip link set sl0 up mtu 1006`, or another Slip. Packets go bare, without a checksum of the
line's own: what noise did to them is for IP, TCP and UDP to find. Compressed headers (RFC 1144)
are not spoken.

The stream is anything with MicroPython's readinto() and write(buf, offset, length) that does not
wait: a UART with timeout=0, a descriptor with O_NONBLOCK. `any()` is asked where there is one.
Between two polls a UART keeps what fits its rxbuf: at 115200 baud 2048 octets are 0.17 s. On the
ESP32 write() waits until all is in txbuf: make that 2 * mtu + 2, or a poll lasts as long as a
packet takes on the line.
"""

import errno
import select
from array import array

import micropython
from micropython import const

from smolmp.phy.device import IP, Device
from smolmp.storage.kernels import copy

# RFC 1055: "octal" 300, 333, 334, 335.
_SLIP_END = const(0xC0)
_SLIP_ESC = const(0xDB)
_SLIP_ESC_END = const(0xDC)
_SLIP_ESC_ESC = const(0xDD)

# Words of the decoder.
_SLIP_AT = const(0)  # the next octet of the inbox
_SLIP_FILLED = const(1)  # and the end of what was read into it
_SLIP_LENGTH = const(2)  # octets of the packet so far
_SLIP_STATE = const(3)

_SLIP_ESCAPED = const(1)  # the last octet was ESC
_SLIP_DAMAGED = const(2)  # behind an ESC came neither ESC_END nor ESC_ESC: skip to END
_SLIP_OVERSIZE = const(4)  # longer than the MTU: skip to END

_POLLIN = const(1)
_POLLOUT = const(4)


@micropython.viper
def decode(inbox: ptr8, packet: ptr8, words: ptr32, room: int) -> int:
    """decode(inbox, packet, words, room) -> length, 0, -1 or -2

    Takes octets inbox[words[0]:words[1]], 0 <= words[0] <= words[1] <= len(inbox), until a packet
    ends: its length, it is packet[0:length]; -1: it was longer than `room` (<= len(packet));
    -2: it was damaged. 0: all octets are taken and no packet has ended. Empty packets are none:
    senders put an END in front to flush noise.
    """
    at = words[_SLIP_AT]
    n = words[_SLIP_LENGTH]
    state = words[_SLIP_STATE]
    filled = words[_SLIP_FILLED]
    while at < filled:
        c = inbox[at]
        at += 1
        if c == _SLIP_END:
            if n | state:
                words[_SLIP_AT] = at
                words[_SLIP_LENGTH] = 0
                words[_SLIP_STATE] = 0
                if state == 0:
                    return n
                if state & _SLIP_OVERSIZE:
                    return -1
                return -2
        elif state <= _SLIP_ESCAPED:
            if state:
                state = 0
                if c == _SLIP_ESC_END:
                    c = _SLIP_END
                elif c == _SLIP_ESC_ESC:
                    c = _SLIP_ESC
                else:
                    state = _SLIP_DAMAGED
            elif c == _SLIP_ESC:
                state = _SLIP_ESCAPED
            if state == 0:
                if n < room:
                    packet[n] = c
                    n += 1
                else:
                    state = _SLIP_OVERSIZE
    words[_SLIP_AT] = at
    words[_SLIP_LENGTH] = n
    words[_SLIP_STATE] = state
    return 0


@micropython.viper
def encode(outbox: ptr8, packet: ptr8, at: int, end: int) -> int:
    """encode(outbox, packet, at, end) -> octets written to outbox, at most 2 * (end - at) + 2

    packet[at:end] between two ENDs: the first makes a packet of its own of what noise there was.
    """
    outbox[0] = _SLIP_END
    n = 1
    while at < end:
        c = packet[at]
        at += 1
        if c == _SLIP_END:
            outbox[n] = _SLIP_ESC
            n += 1
            c = _SLIP_ESC_END
        elif c == _SLIP_ESC:
            outbox[n] = _SLIP_ESC
            n += 1
            c = _SLIP_ESC_ESC
        outbox[n] = c
        n += 1
    outbox[n] = _SLIP_END
    return n + 1


class Slip(Device):
    """stream: see above. mtu: 1006 is RFC 1055's, Linux's is 296 unless told otherwise; both ends
    should have the same. chunk: octets read at once. It keeps 3 * mtu + chunk + 2 octets.

    Counters: `oversize` packets longer than the MTU and `damaged` ones (an escape that is none),
    `dropped` ones longer than the caller's buffer, `lost` ones not sent (too long, or the stream
    raised). link(): False from when the stream raised until it takes or gives octets again.
    """

    def __init__(self, stream, mtu: int = 1006, chunk: int = 256):
        if mtu < 68 or mtu > 65535 or chunk < 1:
            raise ValueError("mtu must be 68 to 65535, chunk at least 1")
        super().__init__(IP, mtu)
        self.stream = stream
        self.oversize = 0
        self.damaged = 0
        self.dropped = 0
        self.lost = 0
        self._packet = bytearray(mtu)
        self._outbox = bytearray(2 * mtu + 2)
        self._inbox = bytearray(chunk)
        self._words = array("i", bytes(16))
        self._out = 0  # the outbox still holds `left` octets from here on
        self._left = 0
        self._up = True
        # A line that never pauses: how often one recv() reads, enough for the largest packet.
        self._reads = 2 * mtu // chunk + 2
        self._readinto = stream.readinto
        self._write = stream.write
        self._any = getattr(stream, "any", None)
        self._poll = None

    def recv(self, buf) -> int:
        if self._left:
            self._flush()
        reads = self._reads
        while True:
            n = decode(self._inbox, self._packet, self._words, self.mtu)
            if n > 0:
                if n <= len(buf):
                    copy(buf, 0, self._packet, 0, n)
                    return n
                self.dropped += 1
            elif n == 0:
                if not reads or not self._fill():
                    return 0
                reads -= 1
            elif n == -1:
                self.oversize += 1
            else:
                self.damaged += 1

    def _fill(self) -> int:
        """Read what there is into the inbox, which is empty; how many octets."""
        inbox = self._inbox
        n = len(inbox)
        try:
            if self._any is not None:
                waiting = self._any()
                if waiting < n:
                    n = waiting
            if n:
                n = self._readinto(inbox, n) or 0
                if n:
                    self._up = True
        except OSError:
            self._up = False
            n = 0
        words = self._words
        words[_SLIP_AT] = 0
        words[_SLIP_FILLED] = n
        return n

    def send(self, buf, start: int, end: int) -> bool:
        if self._left and not self._flush():
            return False
        if end - start > self.mtu:
            self.lost += 1
            return True
        self._out = 0
        self._left = encode(self._outbox, buf, start, end)
        self._flush()
        return True

    def _flush(self) -> bool:
        """Write what the stream takes of the outbox; True: it is empty."""
        try:
            n = self._write(self._outbox, self._out, self._left)
        except OSError:
            self._up = False
            self._left = 0
            self.lost += 1
            return True
        if n:
            self._up = True
            self._out += n
            self._left -= n
        return not self._left

    def link(self) -> bool:
        return self._up

    def wait(self, ms=None, spin=0) -> bool:
        """As Device says; True also when the line has taken the last of a packet. Raises ENODEV
        when the stream is gone."""
        words = self._words
        if words[_SLIP_AT] < words[_SLIP_FILLED]:
            return True
        if self._poll is None:
            self._poll = select.poll()
            self._poll.register(self.stream, _POLLIN)
        while True:
            self._poll.modify(self.stream, _POLLIN | _POLLOUT if self._left else _POLLIN)
            ready = 0
            for event in self._poll.ipoll(-1 if ms is None else ms):
                ready = event[1]
            if not ready:
                return False
            if ready & ~(_POLLIN | _POLLOUT):  # the other end hung up
                self._up = False
                raise OSError(errno.ENODEV)
            if ready & _POLLIN or self._flush():
                return True
