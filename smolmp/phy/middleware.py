"""Middleware: a Device around a Device (device.py): tracers, faults and whatever else looks at
frames on their way."""

from smolmp.phy.device import Device


class Middleware(Device):
    """A Device around a Device, `inner`: hands everything through. Override what you change.

    recv gets the stack's own buffer and inner fills it: look at buf[0:n] there, change it there,
    keep a copy if you must, but hand it out in place. send gets the stack's frame, which may have
    to be sent again: never change it, copy first. What is not a Device's (fileno, close, ...) is
    found at inner.

    segments: True: it knows that frames can be larger than the mtu, and about cut(); else `inner`
    is told to keep to plain ones.
    """

    def __init__(self, inner, segments=False):
        if segments:
            self.segments = inner.segments
        else:
            inner.plain()
        super().__init__(inner.medium, inner.mtu, inner.checksums)
        self.inner = inner
        self.loopback = getattr(inner, "loopback", False)

    def recv(self, buf) -> int:
        return self.inner.recv(buf)

    def send(self, buf, start: int, end: int) -> bool:
        return self.inner.send(buf, start, end)

    def cut(self, buf, start: int, end: int, size: int) -> bool:
        return self.inner.cut(buf, start, end, size)

    def plain(self):
        self.inner.plain()
        self.segments = 0

    def prepare(self, buf, start: int):
        self.inner.prepare(buf, start)

    def link(self) -> bool:
        return self.inner.link()

    def join(self, mac: bytes):
        self.inner.join(mac)

    def leave(self, mac: bytes):
        self.inner.leave(mac)

    def wait(self, ms=None, spin=0) -> bool:
        return self.inner.wait(ms, spin)

    def rouse(self):
        self.inner.rouse()

    def __getattr__(self, name):
        if name == "inner":  # not set yet: or this would never end
            raise AttributeError(name)
        return getattr(self.inner, name)
