"""A device that gives what it is told to, and keeps what it was given."""

from smolmp.phy.device import ETHERNET, Device


class Wire(Device):
    def __init__(self, medium=ETHERNET, mtu=100, checksums=0):
        super().__init__(medium, mtu, checksums)
        self.incoming = []
        self.sent = []
        self.busy = False
        self.up = True
        self.waited = []

    def recv(self, buf):
        if not self.incoming:
            return 0
        frame = self.incoming.pop(0)
        buf[: len(frame)] = frame
        return len(frame)

    def send(self, buf, start, end):
        if self.busy:
            return False
        self.sent.append(bytes(buf[start:end]))
        return True

    def link(self):
        return self.up

    def wait(self, ms=None, spin=0):
        self.waited.append((ms, spin))
        return bool(self.incoming)

    def fileno(self):
        return 42


class Counter(Device):
    """Gives numbered frames without end, counts what is sent; allocates nothing."""

    def __init__(self, size=40, mtu=100):
        super().__init__(ETHERNET, mtu)
        self.size = size
        self.given = 0
        self.sent = 0

    def recv(self, buf):
        buf[0] = self.given & 255
        buf[1] = self.given >> 8 & 255
        self.given += 1
        return self.size

    def send(self, buf, start, end):
        self.sent += 1
        return True


class Clock:
    """Milliseconds; starts shortly before the wrap of ticks_ms."""

    def __init__(self, now=(1 << 30) - 50):
        self.now = now

    def __call__(self):
        return self.now & 0x3FFFFFFF


def numbered(i, size=20):
    return bytes([i >> 8 & 255, i & 255]) + bytes([0x55] * (size - 2))


def number_of(frame):
    return frame[0] << 8 | frame[1]


def receive(device, size=200):
    buf = bytearray(size)
    n = device.recv(buf)
    return bytes(buf[:n]) if n else None


def receive_all(device, calls=100000):
    """Frames until there are none."""
    frames = []
    while calls:
        frame = receive(device)
        if frame is None:
            break
        frames.append(frame)
        calls -= 1
    return frames
