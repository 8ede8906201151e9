# The contract's defaults, Loopback, PacketQueue, Middleware.
import micropython
from phy_support import Wire, numbered, receive, receive_all

from smolmp.phy.device import ETHERNET, IEEE802154, IP, RX_TCP, TX_UDP, Device
from smolmp.phy.loopback import Loopback
from smolmp.phy.middleware import Middleware
from smolmp.phy.queue import PacketQueue


def test_device_defaults():
    device = Device()
    assert (device.medium, device.mtu, device.checksums) == (ETHERNET, 1500, 0)
    assert device.link() is True and device.wait(0) is True
    for call in (lambda: device.recv(bytearray(1)), lambda: device.send(b"a", 0, 1)):
        try:
            call()
        except NotImplementedError:
            continue
        raise AssertionError("implemented")


def test_middleware_hands_everything_through():
    wire = Wire(IEEE802154, 120, RX_TCP | TX_UDP)
    device = Middleware(Middleware(wire))
    assert (device.medium, device.mtu, device.checksums) == (3, 120, RX_TCP | TX_UDP)
    wire.incoming = [b"abc"]
    assert receive(device) == b"abc" and receive(device) is None
    assert device.send(b"xabcx", 1, 4) is True and wire.sent == [b"abc"]
    wire.busy = True
    assert device.send(b"xabcx", 1, 4) is False
    wire.up = False
    assert device.link() is False
    assert device.wait(7) is False and device.wait(None, 3) is False
    assert wire.waited == [(7, 0), (None, 3)]
    assert device.fileno() == 42
    try:
        device.nothing_of_that_name
    except AttributeError:
        return
    raise AssertionError("found")


def test_middleware_that_knows_no_segments_has_plain_frames():
    told = []

    class Cutting(Wire):
        segments = 65535

        def plain(self):
            told.append(True)
            self.segments = 0

        def cut(self, buf, start, end, size):
            told.append((start, end, size))
            return True

    inner = Cutting()
    device = Middleware(Middleware(inner, True), True)
    assert device.segments == 65535 and not told
    assert device.cut(b"", 1, 2, 3) is True and told == [(1, 2, 3)]
    assert Middleware(device).segments == 0 and told[1:] == [True]
    assert inner.segments == 0 and device.segments == 0
    assert Device.segments == 0 and Device().plain() is None


def test_prepare_comes_through_and_is_no_duty():
    heard = []

    class Hearing(Device):
        def prepare(self, buf, start):
            heard.append((buf, start))

    frame = bytearray(9)
    Middleware(Middleware(Hearing())).prepare(frame, 4)
    assert len(heard) == 1 and heard[0][0] is frame and heard[0][1] == 4
    assert Device().prepare(frame, 4) is None


def test_loopback():
    device = Loopback(IP, 50, frames=2)
    assert device.medium == IP and device.mtu == 50 and device.link()
    assert receive(device) is None and not device.wait(0)
    assert device.send(b"__one__", 2, 5) and device.send(b"two", 0, 3)
    assert device.send(b"three", 0, 5) is False  # busy
    assert device.wait(0)
    assert receive_all(device) == [b"one", b"two"]
    assert device.send(b"three", 0, 5) and receive(device) == b"three"
    assert device.dropped == 0


def test_loopback_drops_and_counts_what_cannot_be():
    device = Loopback(ETHERNET, 50, frames=4, size=30)
    assert device.send(bytes(31), 0, 31) is True and device.dropped == 1
    assert device.send(b"12345678", 0, 8) and device.send(b"abc", 0, 3)
    # never cut: too long for the buffer is dropped, the next one comes
    buf = bytearray(b".....")
    assert device.recv(buf) == 3 and buf == b"abc.." and device.dropped == 2
    assert device.send(b"a", 1, 1) is True and receive(device) is None


def test_queue_between_program_and_stack():
    queue = PacketQueue(frames=2)
    assert queue.medium == IP and queue.mtu == 1500 and queue.link()
    assert queue.inject(b"one") and queue.inject(b"__two", 2) and not queue.inject(b"three")
    assert len(queue.to_stack) == 2 and queue.wait(0)
    assert receive_all(queue) == [b"one", b"two"] and not queue.wait(0)
    assert queue.inject(b"_three_", 1, 6) and receive(queue) == b"three"
    assert queue.take() is None and queue.take_into(bytearray(1)) == 0
    assert queue.send(b"..four", 2, 6) and queue.send(b"five", 0, 4)
    assert queue.send(b"six", 0, 3) is False
    assert len(queue.from_stack) == 2
    assert queue.take() == b"four"
    buf = bytearray(b"......")
    assert queue.take_into(buf) == 4 and buf == b"five.." and queue.take() is None
    queue.up = False
    assert not queue.link() and queue.dropped == 0


def test_queue_drops_and_counts_what_cannot_be():
    queue = PacketQueue(IP, 100, frames=3, size=40)
    assert queue.inject(b"12345678") and queue.inject(b"ab")
    buf = bytearray(4)
    assert queue.recv(buf) == 2 and bytes(buf[:2]) == b"ab" and queue.dropped == 1
    assert queue.send(b"12345678", 0, 8) and queue.send(b"cd", 0, 2)
    assert queue.take_into(buf) == 2 and bytes(buf[:2]) == b"cd" and queue.dropped == 2
    assert queue.inject(bytes(41)) is False and queue.send(bytes(41), 0, 41) is True
    assert queue.dropped == 3
    assert queue.inject(b"") and queue.send(b"", 0, 0) and not queue.to_stack
    assert receive(queue) is None and queue.take() is None


def test_queue_keeps_order_over_many_wraps():
    queue = PacketQueue(IP, 100, frames=5, size=97)
    for i in range(400):
        assert queue.inject(numbered(i, 3 + i % 17))
        if i & 1:
            assert receive_all(queue) == [numbered(n, 3 + n % 17) for n in (i - 1, i)]


def test_allocates_nothing():
    queue = PacketQueue(IP, 100, frames=4)
    loop = Loopback(ETHERNET, 100, frames=4)
    through = Middleware(loop)
    frame = bytearray(90)
    view = memoryview(frame)[2:]

    def cycle():
        queue.inject(frame)
        queue.inject(frame, 2, 60)
        queue.recv(view)
        queue.recv(view)
        queue.recv(view)
        queue.send(frame, 3, 70)
        queue.take_into(frame)
        through.send(frame, 2, 50)
        through.send(frame, 2, 51)
        through.link()
        through.recv(view)
        through.recv(view)
        through.recv(view)

    cycle()
    micropython.heap_lock()
    try:
        for _ in range(50):
            cycle()
    finally:
        micropython.heap_unlock()
