"""A model of WIZnet's W5500, as a driver of MACRAW meets it through SPI (datasheet 1.0.9).

    chip = Chip(now_us)                 # now_us(): the time in microseconds
    chip.on_send = lambda frame: ...    # a frame leaves by the cable
    chip.on_interrupt = lambda high: ...  # an edge of the INT pin
    chip.receive(frame)                 # one comes; False: filtered, or no room
    chip.select(); chip.transfer(mosi, miso); chip.deselect()

What the datasheet leaves undefined and a driver must not do raises Undefined. Faults:

    chip.corrupt = 0xFFFE       the length in front of the next frame received
    chip.stuck = True           commands are not taken: Sn_CR keeps them
    chip.mute = True            frames go, but SENDOK never comes
    chip.lost_edges = 1         INT falls, and nobody is told
    chip.dead = 0xFF            nothing answers: MISO is stuck at that
    chip.reset()                as RST, or a brown-out, has it; also while a driver works
    chip.flip(block, at, mask)  bits of a register turn over
    chip.link = False           the cable is out

Plain Python for CPython and MicroPython alike.
"""

BUFFER = 16384  # octets, of all sockets together, each way
OCTET_NS = 80  # at 100 Mbit/s
AROUND = 24  # preamble, FCS and gap (IEEE 802.3 3.1.1, 4.4.2)
SHORTEST = 60  # without the FCS
LONGEST = 1514

MACRAW = 0x42
OPEN, CLOSE, SEND, RECV = 0x01, 0x10, 0x20, 0x40
SENDOK, RECEIVED = 0x10, 0x04

# Common registers.
MR, SHAR, INTLEVEL, IR, IMR, SIR, SIMR = 0x00, 0x09, 0x13, 0x15, 0x16, 0x17, 0x18
RTR, PHYCFGR, VERSIONR = 0x19, 0x2E, 0x39
# A socket's.
SN_MR, SN_CR, SN_IR, SN_SR = 0x00, 0x01, 0x02, 0x03
SN_RXBUF, SN_TXBUF, SN_TX_FSR, SN_TX_RD, SN_TX_WR = 0x1E, 0x1F, 0x20, 0x22, 0x24
SN_RX_RSR, SN_RX_RD, SN_RX_WR, SN_IMR = 0x26, 0x28, 0x2A, 0x2C

MFEN, NO_BROADCAST, NO_MULTICAST, NO_IPV6 = 0x80, 0x40, 0x20, 0x10

_READ_ONLY = (SN_SR, SN_TX_FSR, SN_TX_FSR + 1, SN_TX_RD, SN_TX_RD + 1, SN_RX_RSR, SN_RX_RSR + 1)
_READ_ONLY += (SN_RX_WR, SN_RX_WR + 1)


class Undefined(Exception):
    """A driver did what the datasheet does not define."""


class Chip:
    """See above. Counters: `filtered`, `overflowed` (no room for a frame), `resets`."""

    def __init__(self, now_us):
        self.now_us = now_us
        self.on_send = None
        self.on_interrupt = None
        self.link = True
        self.corrupt = None
        self.stuck = False
        self.mute = False
        self.lost_edges = 0
        self.dead = None
        self.filtered = self.overflowed = self.resets = 0
        self.interrupt = False  # the INT pin is low
        self._header = None  # of the access under way; None: not selected
        self.tx = bytearray(BUFFER)
        self.rx = bytearray(BUFFER)
        self.reset()
        self.resets = 0

    def reset(self):
        """RST, or MR's: registers as the datasheet's chapter 4 has them, buffers as they are."""
        self.common = bytearray(0x3A)
        self.common[RTR : RTR + 2] = b"\x07\xd0"
        self.common[0x1B] = 8
        self.common[PHYCFGR] = 0xB8
        self.common[VERSIONR] = 4
        self.sockets = [bytearray(0x30) for _ in range(8)]
        for registers in self.sockets:
            registers[SN_RXBUF] = registers[SN_TXBUF] = 2
            registers[0x16] = 0x80
            registers[SN_IMR] = 0xFF
        self._rx_read = 0  # as of the last RECV
        self._rx_write = 0
        self._tx_read = 0
        self._sending = None  # when SENDOK is due
        self._raised = 0  # when INT may fall again, in us
        self.resets += 1
        self._level()

    # The wire.

    def receive(self, frame):
        """The cable brings a frame (no FCS). False: it was filtered, or there is no room."""
        registers = self.sockets[0]
        n = max(len(frame), SHORTEST)
        if not self.link or registers[SN_SR] != MACRAW or n > LONGEST or not self._passes(frame):
            self.filtered += 1
            return False
        size = registers[SN_RXBUF] << 10
        if n + 2 > size - (self._rx_write - self._rx_read & 0xFFFF):
            self.overflowed += 1
            return False
        told = n + 2  # the length counts itself
        if self.corrupt is not None:
            told = self.corrupt
            self.corrupt = None
        self._store(bytes((told >> 8, told & 255)), size)
        self._store(frame, size)
        if len(frame) < n:
            self._store(bytes(n - len(frame)), size)
        registers[SN_IR] |= RECEIVED
        self._level()
        return True

    def _store(self, data, size):
        at = self._rx_write & size - 1
        head = min(len(data), size - at)
        self.rx[at : at + head] = data[:head]
        self.rx[: len(data) - head] = data[head:]
        self._rx_write = self._rx_write + len(data) & 0xFFFF

    def _passes(self, frame):
        """The filters of Sn_MR: without MFEN all that is on the wire passes."""
        mode = self.sockets[0][SN_MR]
        if not mode & MFEN:
            return True
        to = bytes(frame[:6])
        if to == b"\xff" * 6:
            return not mode & NO_BROADCAST
        if to[:3] == b"\x01\x00\x5e":
            return not mode & NO_MULTICAST
        if to[:2] == b"\x33\x33":
            return not mode & NO_IPV6
        return to == bytes(self.common[SHAR : SHAR + 6])  # other groups do not pass: no LLDP

    # SPI.

    def select(self):
        """CS falls."""
        self._header = b""

    def deselect(self):
        """CS rises. A header that stays alone does nothing."""
        self._header = None

    def transfer(self, mosi, miso=None):
        """Octets go over SPI; what comes back fills `miso`, and is returned."""
        n = len(mosi)
        back = bytearray(n)
        if self._header is None:
            raise Undefined("SPI without chip select")
        i = 0
        while len(self._header) < 3 and i < n:
            self._header += bytes((mosi[i],))
            i += 1
            if len(self._header) == 3:
                self._begin()
        if self.dead is not None:
            back = bytearray(bytes((self.dead,)) * n)
        elif i < n:
            self._access(mosi, back, i, n - i)
        if miso is not None:
            miso[:] = back
        return back

    def _begin(self):
        """The header is there: offset address, block, direction, mode (datasheet 2.2)."""
        self._at = self._header[0] << 8 | self._header[1]
        control = self._header[2]
        self._block = control >> 3
        self._writes = control & 4
        if control & 3:
            raise Undefined("fixed-length mode while CS is driven")
        if self._block & 3 == 0 and self._block:
            raise Undefined("reserved block %d" % self._block)
        if self.dead is None:
            self._refresh()

    def _access(self, mosi, back, i, n):
        block, at = self._block, self._at
        self._at = at + n & 0xFFFF
        if block & 3 < 2:
            registers = self.sockets[block >> 2] if block else self.common
            for k in range(n):
                if at + k >= len(registers):
                    if self._writes:
                        raise Undefined("write to register 0x%x" % (at + k))
                elif self._writes:
                    self._put(block, registers, at + k, mosi[i + k])
                else:
                    back[i + k] = registers[at + k]
            return
        registers = self.sockets[block >> 2]
        buffer = self.tx if block & 3 == 2 else self.rx
        size = registers[SN_TXBUF if block & 3 == 2 else SN_RXBUF] << 10
        if block >> 2 or not size:
            raise Undefined("buffer of socket %d with %d octets" % (block >> 2, size))
        at &= size - 1
        head = min(n, size - at)
        if n > size:
            raise Undefined("%d octets of a buffer of %d" % (n, size))
        if not self._writes:
            back[i : i + head] = buffer[at : at + head]
            back[i + head :] = buffer[: n - head]
        elif block & 3 == 3:
            raise Undefined("write to the RX buffer")
        else:
            data = memoryview(mosi)[i:]
            buffer[at : at + head] = data[:head]
            buffer[: n - head] = data[head:]

    def _put(self, block, registers, at, value):
        if not block:
            if at == MR and value & 0x80:
                self.reset()
            elif at == IR:
                registers[at] &= ~value
            elif at == PHYCFGR:
                registers[at] = registers[at] & 7 | value & 0xF8
            elif at != VERSIONR and at != SIR:
                registers[at] = value
        elif at == SN_IR:
            registers[at] &= ~value & 255
        elif at == SN_CR:
            registers[at] = value
            if not self.stuck:
                registers[at] = 0
                self._command(block >> 2, registers, value)
        elif at not in _READ_ONLY:
            registers[at] = value
        self._level()

    # Commands.

    def _command(self, number, registers, command):
        if number:
            raise Undefined("command for socket %d: MACRAW is socket 0's" % number)
        if command == OPEN:
            if registers[SN_MR] & 15 != 4:
                raise Undefined("OPEN in mode 0x%02x" % registers[SN_MR])
            for which in (SN_RXBUF, SN_TXBUF):
                if sum(s[which] for s in self.sockets) > 16:
                    raise Undefined("more than 16 KiB of buffers")
            registers[SN_SR] = MACRAW
            for pointer in (SN_TX_WR, SN_RX_RD):
                registers[pointer] = registers[pointer + 1] = 0
            self._rx_read = self._rx_write = self._tx_read = 0
            self._sending = None
        elif command == CLOSE:
            registers[SN_SR] = 0
            self._sending = None
        elif registers[SN_SR] != MACRAW:
            return  # the chip was reset, and who commands does not know yet
        elif command == RECV:
            self._rx_read = _word(registers, SN_RX_RD)
            if self._rx_write - self._rx_read & 0xFFFF > registers[SN_RXBUF] << 10:
                raise Undefined("Sn_RX_RD beyond what was received")
        elif command == SEND:
            self._send(registers)
        else:
            raise Undefined("command 0x%02x" % command)

    def _send(self, registers):
        if self._sending is not None:
            raise Undefined("SEND before the last one's SENDOK")
        size = registers[SN_TXBUF] << 10
        n = _word(registers, SN_TX_WR) - self._tx_read & 0xFFFF
        if not 0 < n <= LONGEST + 4:
            raise Undefined("a frame of %d octets" % n)
        at = self._tx_read & size - 1
        frame = bytes(self.tx[at : at + n])
        frame += bytes(self.tx[: n - len(frame)])
        self._tx_read = self._tx_read + n & 0xFFFF
        octets = max(n, SHORTEST) + AROUND
        self._sending = self.now_us() + (octets * OCTET_NS + 999) // 1000
        if self.link and self.on_send is not None:
            self.on_send(frame)

    # What time and the wire change.

    def _refresh(self):
        registers = self.sockets[0]
        if self._sending is not None and self.now_us() >= self._sending and not self.mute:
            self._sending = None
            registers[SN_IR] |= SENDOK
        self.common[PHYCFGR] = self.common[PHYCFGR] & 0xF8 | (7 if self.link else 0)
        _put_word(registers, SN_RX_RSR, self._rx_write - self._rx_read & 0xFFFF)
        _put_word(registers, SN_RX_WR, self._rx_write)
        _put_word(registers, SN_TX_RD, self._tx_read)
        used = _word(registers, SN_TX_WR) - self._tx_read & 0xFFFF
        _put_word(registers, SN_TX_FSR, max(0, (registers[SN_TXBUF] << 10) - used))
        self._level()

    def _level(self):
        """The INT pin (datasheet 4.1, SIR, SIMR and INTLEVEL)."""
        asking = 0
        for number, registers in enumerate(self.sockets):
            if registers[SN_IR] & registers[SN_IMR]:
                asking |= 1 << number
        self.common[SIR] = asking
        low = bool(asking & self.common[SIMR] or self.common[IR] & self.common[IMR])
        if low == self.interrupt:
            return
        if low and self.now_us() < self._raised:
            return  # not before INTLEVEL is over
        if not low:
            pause = _word(self.common, INTLEVEL)
            self._raised = self.now_us() + (4 * pause // 150 if pause else 0)
        self.interrupt = low
        if low and self.lost_edges:
            self.lost_edges -= 1
        elif self.on_interrupt is not None:
            self.on_interrupt(not low)

    def flip(self, block, at, mask):
        """Bits of a register turn over: block 0, or 4 n + 1."""
        registers = self.sockets[block >> 2] if block else self.common
        registers[at] ^= mask


def _word(registers, at):
    return registers[at] << 8 | registers[at + 1]


def _put_word(registers, at, value):
    registers[at] = value >> 8
    registers[at + 1] = value & 255
