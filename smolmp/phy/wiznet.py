"""What a W5500 in MACRAW mode needs beside moving frames: set-up, filters, cable, recovery.

Whoever drives one derives from `Wiznet` and moves octets (w5500.py does so over machine.SPI,
ports/rp2 at the SPI's own registers). Facts are the datasheet's (WIZnet W5500, 1.0.9); what
else can go wrong is what drivers have reported since 2014.

    a length that cannot be   drop all there is once; at the second time open the socket anew
    SENDOK does not come      open the socket anew (it was seen stuck with Sn_IR = 0)
    the chip was reset        noticed by its registers once a second, or by the above: set it up
    nothing answers           the link is down, what is to be sent is lost; tried every second
"""

from time import sleep_ms, ticks_diff, ticks_ms

from micropython import const

from smolmp.phy.device import ETHERNET, Device
from smolmp.wire.address import format_mac, parse_mac

_MTU = const(1500)

# Control octets of an access: block << 3; 4 in them writes.
_COMMON = const(0x00)
_SOCKET = const(0x08)

_MR = const(0x0000)
_SHAR = const(0x0009)
_SIMR = const(0x0018)
_PHYCFGR = const(0x002E)
_VERSIONR = const(0x0039)
_SN_MR = const(0x00)
_SN_CR = const(0x01)
_SN_IR = const(0x02)
_SN_SR = const(0x03)
_SN_RXBUF_SIZE = const(0x1E)
_SN_TX_WR = const(0x24)
_SN_RX_RD = const(0x28)
_SN_RX_WR = const(0x2A)
_SN_IMR = const(0x2C)

_VERSION = const(0x04)
_MACRAW = const(0x42)
_MODE = const(0x04)
_MFEN = const(0x80)
_NO_MULTICAST = const(0x20)
_NO_IPV6 = const(0x10)
_OPEN = const(0x01)
_CLOSE = const(0x10)
_RECV = const(0x40)

_TRY_AGAIN = const(1000)  # ms between attempts to bring a silent chip back
_TRIES = const(10)  # and then the poll has waited long enough

# What may be wrong, for recover().
CORRUPT = const(-1)  # a length that cannot be
STUCK = const(-2)  # registers contradict each other
LATE = const(-4)  # SENDOK did not come


class Wiznet(Device):
    """`mac`: text, the station's address: the chip lets pass what is for it, and broadcasts.
    `rst`: a Pin, None when it is not wired. `ticks`: the clock, in ms.

    Counters: dropped (too long for the buffer or the wire), lost (sent while the chip was out of
    order), corrupt, late, stuck, missed (frames were there, and INT had not told), and what was
    done about them: reopened, restarted; link_changes.
    """

    def __init__(self, mac, rst=None, promiscuous=False, ticks=ticks_ms):
        super().__init__(ETHERNET, _MTU)
        self.mac = parse_mac(mac)
        self.promiscuous = promiscuous
        self.dropped = self.lost = self.corrupt = self.late = self.stuck = 0
        self.missed = self.reopened = self.restarted = self.link_changes = 0
        self.ready = False  # the socket is open, as far as is known
        self.ticks = ticks
        self._rst = rst
        self._groups = [0, 0]  # joined, of IPv4 and of IPv6
        self._up = self._told = False
        self._fresh = True  # no trouble since link() was asked last
        self._tried = None

    # What a driver of a bus provides.

    def read(self, control, address, n=1):
        """`n` octets of the block that `control` names, as a number if n < 4, else as bytes."""
        raise NotImplementedError

    def write(self, control, address, data):
        """Put the octets `data` there."""
        raise NotImplementedError

    def halt(self):
        """Whatever the bus is at, end it: registers are wanted."""

    def opened(self, rx_rd, tx_wr):
        """The socket is open and empty: the chip's pointers stand there, nothing is being sent."""
        raise NotImplementedError

    # Set-up.

    def start(self, tries=50):
        """Reset the chip and set it up (datasheet 5.5.1). tries: 2 ms each for it to answer.

        OSError: it does not answer; the text tells what was read and what to look at.
        """
        self.halt()
        self.ready = False
        if self._rst is not None:
            self._rst(0)
            sleep_ms(1)
            self._rst(1)
        else:
            self.write(_COMMON, _MR, b"\x80")
        sleep_ms(2)
        version = self.read(_COMMON, _VERSIONR)  # some chips read 0 for a while
        while version != _VERSION:
            tries -= 1
            if not tries:
                text = "W5500: version register reads 0x%02x, not 0x04%s"
                raise OSError(text % _advice(version))
            sleep_ms(2)
            version = self.read(_COMMON, _VERSIONR)
        self.write(_COMMON, _MR, b"\x10")  # never answer a ping itself
        for n in range(1, 8):
            self.write(_SOCKET | n << 5, _SN_RXBUF_SIZE, b"\x00\x00")
        self.write(_SOCKET, _SN_RXBUF_SIZE, b"\x10\x10")
        self.write(_COMMON, _SHAR, self.mac)
        self.write(_SOCKET, _SN_IMR, b"\x04")
        self.write(_COMMON, _SIMR, b"\x01")
        if not self.open():
            raise OSError("W5500: socket 0 does not open: a clock too fast for the wires?")

    def open(self) -> bool:
        """Open socket 0 as MACRAW, empty. True: it is open."""
        self.ready = False
        if not self.command(_CLOSE):
            return False
        self.write(_SOCKET, _SN_MR, bytes((self._mode(),)))
        self.write(_SOCKET, _SN_IR, b"\x04")  # before a frame may come
        if not self.command(_OPEN) or self.read(_SOCKET, _SN_SR) != _MACRAW:
            return False
        self.write(_SOCKET, _SN_IR, b"\x1b")  # what was being sent is over, too
        rx_rd = self.read(_SOCKET, _SN_RX_RD, 2)
        self.opened(rx_rd, self.read(_SOCKET, _SN_TX_WR, 2))
        self.ready = True
        return True

    def _mode(self):
        if self.promiscuous:
            return _MODE
        mode = _MODE | _MFEN
        if not self._groups[0]:
            mode |= _NO_MULTICAST  # a LAN full of it would keep a small host busy
        if not self._groups[1]:
            mode |= _NO_IPV6
        return mode

    def command(self, command) -> bool:
        """Sn_CR, and wait until it was taken: it reads 0 again."""
        self.write(_SOCKET, _SN_CR, bytes((command,)))
        for _ in range(100):
            if self.read(_SOCKET, _SN_CR) == 0:
                return True
        return False

    def join(self, mac):
        """Let the group's link address `mac` pass: with the first one all groups of its family
        do. What waited in the chip is lost then."""
        self._group(mac, 1)

    def leave(self, mac):
        self._group(mac, -1)

    def _group(self, mac, n):
        before = self._mode()
        self._groups[1 if mac[0] == 0x33 else 0] += n
        self._filter(before)

    def set_promiscuous(self, on: bool):
        """True: every frame on the wire is received. What waited in the chip is lost then."""
        before = self._mode()
        self.promiscuous = bool(on)
        self._filter(before)

    def _filter(self, before):
        if self._mode() != before:
            self.halt()
            self.open()

    # Recovery.

    def recover(self, code):
        """Do something about `code` (CORRUPT, STUCK, LATE). Called when a frame has shown it."""
        self.halt()
        if code == CORRUPT:
            self.corrupt += 1
            if self._fresh:
                # The chain of lengths is lost. Drop all there is, and begin where the chip is.
                self._fresh = False
                at = self.read(_SOCKET, _SN_RX_WR, 2)
                self.write(_SOCKET, _SN_RX_RD, bytes((at >> 8, at & 0xFF)))
                if self.command(_RECV):
                    self.skipped(at)
                    return
        elif code == LATE:
            self.late += 1
        else:
            self.stuck += 1
        self._revive()

    def skipped(self, rx_rd):
        """What was received is dropped: the chip's pointer stands there."""
        raise NotImplementedError

    def _revive(self):
        """Open the socket anew, or set up the chip if it does not answer as it should."""
        if self.read(_COMMON, _VERSIONR) == _VERSION and self._is_ours():
            self.reopened += 1
            if self.open():
                return
        now = self.ticks()
        self.ready = False
        if self._tried is not None and ticks_diff(now, self._tried) < _TRY_AGAIN:
            self._up = False
            return
        self._tried = now
        self.restarted += 1
        try:
            self.start(_TRIES)
        except OSError:
            self._up = False

    def link(self) -> bool:
        """Asked once a second: the cable, and whether the chip is still as it was set up."""
        self.halt()
        self._fresh = True
        if not self.ready or self.read(_SOCKET, _SN_SR) != _MACRAW or not self._is_ours():
            self._revive()
        up = self.ready and self.read(_COMMON, _PHYCFGR) & 1 != 0
        if up is not self._told:
            self._told = up
            self.link_changes += 1
        self._up = up
        return up

    def _is_ours(self):
        return self.read(_COMMON, _SHAR, 6) == self.mac

    def speed(self):
        """(Mbit/s, full duplex) of the cable, None while there is none."""
        self.halt()
        found = self.read(_COMMON, _PHYCFGR)
        if not found & 1:
            return None
        return 100 if found & 2 else 10, found & 4 != 0

    def __str__(self):
        return (
            "W5500 %s, link %s: %d dropped, %d lost, %d corrupt, %d late, %d stuck, %d missed;"
            " %d reopened, %d restarted, %d link changes"
        ) % (
            format_mac(self.mac),
            "up" if self._up else "down",
            self.dropped,
            self.lost,
            self.corrupt,
            self.late,
            self.stuck,
            self.missed,
            self.reopened,
            self.restarted,
            self.link_changes,
        )


def _advice(version):
    """The version that was read, and what to look at."""
    if version in (0, 0xFF):
        return version, ": look at power, MISO, MOSI, SCK and CS"
    return version, ": another chip, or a clock too fast for the wires"
