"""PcapWriter: a Device that writes what passes it to a stream, in the classic pcap format
(libpcap's savefile, draft-ietf-opsawg-pcap): Wireshark, tshark and tcpdump open it.
"""

import struct

import micropython
from micropython import const

from smolmp.phy.device import ETHERNET, IEEE802154, IP
from smolmp.phy.middleware import Middleware

_PCAP_MAGIC = const(0xA1B2)  # and 0xc3d4: microseconds; the two halves, since it has 32 bits
_PCAP_MAGIC_LOW = const(0xC3D4)
_LINKTYPE_ETHERNET = const(1)
_LINKTYPE_RAW = const(101)
_LINKTYPE_IEEE802154_NOFCS = const(230)
_TICKS_MASK = const(0x3FFFFFFF)


@micropython.viper
def _stamp(head: ptr32, elapsed: int, kept: int, length: int):
    """The next packet header, from the last: seconds, microseconds, octets kept, octets."""
    micros = head[1] + elapsed
    head[0] = head[0] + micros // 1000000
    head[1] = micros % 1000000
    head[2] = kept
    head[3] = length


class PcapWriter(Middleware):
    """stream: anything with write(): a file opened "wb", io.BytesIO, a socket, a UART.
    clock: called without arguments, microseconds as time.ticks_us gives them (its wrap at 2**30
    is followed, provided that frames come less than 17 minutes apart).
    rx, tx: which directions to write. snaplen: octets kept of a frame. epoch: the time of the
    first clock reading, in seconds since 1970.

    A frame is written when it was received, or when the inner device took it: as it then is, so
    that what the device is to cut is written whole, and what is not checksummed is not. Nothing is
    allocated per frame when the stream's write is MicroPython's own (files, sockets, BytesIO).
    """

    def __init__(self, inner, stream, clock, rx=True, tx=True, snaplen=65535, epoch=0):
        super().__init__(inner, True)
        if inner.medium == ETHERNET:
            linktype = _LINKTYPE_ETHERNET
        elif inner.medium == IP:
            linktype = _LINKTYPE_RAW
        elif inner.medium == IEEE802154:
            linktype = _LINKTYPE_IEEE802154_NOFCS
        else:
            raise ValueError("medium")
        self.stream = stream
        self.frames = 0  # written
        self._clock = clock
        self._last = clock()
        self._rx = rx
        self._tx = tx
        self._snaplen = snaplen
        self._head = bytearray(struct.pack("<IIII", epoch, 0, 0, 0))
        header = struct.pack(
            "<HHHHiIII", _PCAP_MAGIC_LOW, _PCAP_MAGIC, 2, 4, 0, 0, snaplen, linktype
        )
        # write(buffer, offset, length) is an extension of MicroPython's streams
        self._ranges = True
        try:
            stream.write(header, 0, len(header))
        except TypeError:
            self._ranges = False
            stream.write(header)

    def recv(self, buf) -> int:
        n = self.inner.recv(buf)
        if n and self._rx:
            self._write(buf, 0, n)
        return n

    def send(self, buf, start: int, end: int) -> bool:
        if not self.inner.send(buf, start, end):
            return False
        if self._tx:
            self._write(buf, start, end - start)
        return True

    def cut(self, buf, start: int, end: int, size: int) -> bool:
        if not self.inner.cut(buf, start, end, size):
            return False
        if self._tx:
            self._write(buf, start, end - start)
        return True

    def _write(self, buf, start, n):
        now = self._clock()
        kept = n if n < self._snaplen else self._snaplen
        _stamp(self._head, (now - self._last) & _TICKS_MASK, kept, n)
        self._last = now
        self.stream.write(self._head)
        if self._ranges:
            self.stream.write(buf, start, kept)
        else:
            self.stream.write(memoryview(buf)[start : start + kept])
        self.frames += 1

    def flush(self):
        """Write out what the stream still holds back."""
        self.stream.flush()
