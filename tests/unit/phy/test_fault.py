# FaultInjector: each fault alone does what it says at its rate, all together lose nothing
# unaccounted, and with all off it is not there.
import micropython
from phy_support import Clock, Counter, Wire, number_of, numbered, receive, receive_all
from slow import BOARD, rounds

from smolmp.phy.device import ETHERNET, IP, RX_TCP
from smolmp.phy.fault import FaultInjector

FRAMES = 300 if BOARD else 4000  # kept in a list


def balance(faults):
    """What came and was made is what went, was lost by a counted fault, or is held."""
    lost = faults.dropped + faults.oversize + faults.throttled + faults.overflow
    assert faults.frames + faults.duplicated == faults.passed + lost + faults.held()


def through_rx(count, **faults):
    """(device, frames that came out) of `count` numbered frames received."""
    wire = Wire()
    device = FaultInjector(wire, **faults)
    wire.incoming = [numbered(i) for i in range(count)]
    out = []
    while wire.incoming:
        out += receive_all(device)
    balance(device.rx)
    return device, out


def through_tx(count, **faults):
    wire = Wire()
    device = FaultInjector(wire, **faults)
    for i in range(count):
        assert device.send(numbered(i), 0, 20) is True
    balance(device.tx)
    return device, wire.sent


def near(count, expected):
    """Within four standard deviations of a rare event's count."""
    return (count - expected) ** 2 <= 16 * expected


def bits_changed(a, b):
    assert len(a) == len(b)
    return sum([bin(x ^ y).count("1") for x, y in zip(a, b)])


def test_all_off_is_transparent():
    wire = Wire(IP, 77, RX_TCP)
    device = FaultInjector(wire, clock=Clock())
    assert device.medium == IP and device.mtu == 77
    assert device.checksums == 0  # or a corrupted frame would be believed
    frames = [numbered(i, 2 + i % 70) for i in range(200)]
    wire.incoming = list(frames)
    assert receive_all(device) == frames
    for frame in frames:
        assert device.send(b"_" + frame + b"_", 1, 1 + len(frame)) is True
    assert wire.sent == frames
    wire.busy = True
    assert device.send(b"abc", 0, 3) is False
    wire.up = False
    assert not device.link()
    for faults in (device.rx, device.tx):
        counters = faults.counters()
        assert counters.pop("frames") == 200 and counters.pop("passed") == 200
        assert not any(counters.values()) and len(counters) == 9
        balance(faults)
    assert device.poll_delay() is None
    assert device.wait(5, 1) is False and wire.waited == [(5, 1)]


def test_faults_befall_plain_frames():
    class Cutting(Wire):
        segments = 65535

        def plain(self):
            self.segments = 0

    wire = Cutting(ETHERNET, 100, RX_TCP)
    device = FaultInjector(wire)
    assert wire.segments == 0 and device.segments == 0 and device.checksums == 0


def test_the_stacks_own_buffer_is_filled_in_place():
    seen = []

    class Watching(Wire):
        def recv(self, buf):
            seen.append(buf)
            return Wire.recv(self, buf)

    wire = Watching()
    buf = bytearray(100)
    for faults in ({}, {"reorder": 50, "duplicate": 50}):
        device = FaultInjector(wire, **faults)
        wire.incoming = [numbered(i) for i in range(20)]
        while wire.incoming or device.rx.held():
            n = device.recv(buf)
            assert n in (0, 20) and (not n or bytes(buf[2:20]) == b"\x55" * 18)
    assert len(seen) >= 40 and not [s for s in seen if s is not buf]


# not from .mpy files: hundreds of frames in lists
def test_drop():
    for through in (through_rx, through_tx):
        n = 2 * FRAMES
        device, out = through(n, drop=3)
        faults = device.rx if through is through_rx else device.tx
        assert near(faults.dropped, n * 3 // 100), faults.dropped
        assert len(out) == n - faults.dropped == faults.passed
        numbers = [number_of(frame) for frame in out]
        assert numbers == sorted(numbers)
        device, out = through(50, drop=100)
        assert out == []


def test_percentages_may_be_fractions():
    frame = bytes(20)
    n = rounds(20000)
    for share, expected in ((0.25, 50), (0.01, 2)):
        device = FaultInjector(Counter(), drop=share * 20000 / n)
        for _ in range(n):
            device.send(frame, 0, 20)
        assert device.tx.dropped and near(device.tx.dropped, expected), device.tx.dropped
        balance(device.tx)
    assert FaultInjector(Counter(), drop=0.01).tx.drop == 1
    for bad in (-1, 100.5):
        try:
            device.set(drop=bad)
        except ValueError:
            continue
        raise AssertionError("accepted")


# not from .mpy files: hundreds of frames in lists
def test_corrupt_received():
    n = FRAMES
    device, out = through_rx(n, corrupt=2)
    assert near(device.rx.corrupted, n // 50), device.rx.corrupted
    changed = [bits_changed(frame, numbered(i)) for i, frame in enumerate(out)]
    assert len(out) == n and max(changed) == 1 and sum(changed) == device.rx.corrupted


def test_corrupt_sent_really_is_and_leaves_the_callers_buffer_alone():
    # smoltcp flips the bit before the frame is written: no effect
    wire = Wire()
    device = FaultInjector(wire, corrupt=100)
    places = set()
    for i in range(600):
        whole = numbered(i)
        frame = bytearray(b"__" + whole + b"__")
        before = bytes(frame)
        assert device.send(frame, 2, 22) is True
        assert frame == before
        frame = wire.sent.pop()
        assert not wire.sent and bits_changed(frame, whole) == 1
        for at in range(20):
            if frame[at] != whole[at]:
                places.add((at, frame[at] ^ whole[at]))
    assert device.tx.corrupted == 600
    # 160 bits, 600 throws: nearly all were met
    assert len(places) > 140, len(places)


# not from .mpy files: hundreds of frames in lists
def test_duplicate():
    for through in (through_rx, through_tx):
        n = FRAMES
        device, out = through(n, duplicate=1)
        faults = device.rx if through is through_rx else device.tx
        assert near(faults.duplicated, n // 100), faults.duplicated
        assert len(out) == n + faults.duplicated
        numbers = [number_of(frame) for frame in out]
        assert numbers == sorted(numbers)  # the copy follows at once
        assert sorted(set(numbers)) == list(range(n))
        assert out == [numbered(n) for n in numbers]
        _, out = through(30, duplicate=100)
        assert [number_of(frame) for frame in out] == [i // 2 for i in range(60)]


# not from .mpy files: hundreds of frames in lists
def test_reorder():
    for through in (through_rx, through_tx):
        n = FRAMES
        device, out = through(n, reorder=3)
        faults = device.rx if through is through_rx else device.tx
        assert near(faults.reordered, n * 3 // 100), faults.reordered
        numbers = [number_of(frame) for frame in out]
        # all are there (the last may be held back), each held one after 1 to 3 later ones
        assert len(numbers) + faults.held() == n and len(set(numbers)) == len(numbers)
        late = []
        for at in range(len(numbers)):
            overtook = len([n for n in numbers[max(0, at - 8) : at] if n > numbers[at]])
            if overtook:
                late.append(overtook)
        assert len(late) == faults.reordered - faults.held()
        # (one more when two are let go at the same time)
        assert {1, 2, 3} <= set(late) and max(late) <= 4, late


def test_reorder_never_holds_for_ever():
    clock = Clock()
    wire = Wire()
    device = FaultInjector(wire, clock=clock, reorder=100, reorder_limit=30)
    assert device.send(numbered(1), 0, 20)
    wire.incoming = [numbered(2)]
    assert receive(device) is None and wire.sent == []
    assert device.rx.held() == device.tx.held() == 1 and device.poll_delay() == 30
    clock.now += 29
    assert receive(device) is None and wire.sent == []
    assert device.wait() is True and device.wait(99) is True and device.wait(0) is False
    assert wire.waited == [(1, 0), (1, 0), (0, 0)]
    clock.now += 1
    assert device.poll_delay() == 0
    assert receive(device) == numbered(2) and wire.sent == [numbered(1)]
    assert device.poll_delay() is None


def test_reorder_without_a_clock_counts_polls():
    wire = Wire()
    device = FaultInjector(wire, reorder=100)
    wire.incoming = [numbered(1)]
    assert device.send(numbered(2), 0, 20)
    assert receive(device) is None and device.poll_delay() == 1
    for _ in range(30):
        frame = receive(device)
        if frame:
            break
    assert frame == numbered(1) and wire.sent == [numbered(2)]
    for bad in ({"delay": 1}, {"jitter": 1}, {"rate_limit": 1}):
        try:
            device.set(**bad)
        except ValueError:
            continue
        raise AssertionError("accepted")


def test_reorder_everything():
    for through in (through_rx, through_tx):
        device, out = through(500, reorder=100)
        faults = device.rx if through is through_rx else device.tx
        balance(faults)
        assert faults.reordered == 500


def test_delay():
    clock = Clock()
    wire = Wire()
    device = FaultInjector(wire, clock=clock, delay=40)
    arrivals = {}
    for ms in range(200):
        if ms < 100 and ms % 5 == 0:
            wire.incoming.append(numbered(ms))
            assert device.send(numbered(ms), 0, 20)
        for frame in receive_all(device):
            assert number_of(frame) == ms - 40
            arrivals[ms] = frame
        assert len(wire.sent) == min(20, (ms - 35) // 5 if ms >= 40 else 0), (ms, len(wire.sent))
        clock.now += 1
    assert len(arrivals) == 20 and device.rx.delayed == device.tx.delayed == 20
    assert wire.sent == [numbered(ms) for ms in range(0, 100, 5)]
    balance(device.rx)
    balance(device.tx)


def test_delay_with_jitter():
    clock = Clock()
    wire = Wire()
    device = FaultInjector(wire, clock=clock, frames=32, delay=20, jitter=15)
    seen = []
    for ms in range(700):
        if ms < 600 and ms % 2 == 0:
            wire.incoming.append(numbered(ms))
        for frame in receive_all(device):
            seen.append((number_of(frame), ms - number_of(frame)))
        clock.now += 1
    assert sorted([n for n, _ in seen]) == list(range(0, 600, 2))
    waits = [wait for _, wait in seen]
    assert min(waits) == 5 and max(waits) == 35, (min(waits), max(waits))
    assert abs(sum(waits) / len(waits) - 20) < 2
    numbers = [n for n, _ in seen]
    assert numbers != sorted(numbers)


def test_delay_of_more_frames_than_places_is_counted():
    clock = Clock()
    wire = Wire()
    device = FaultInjector(wire, clock=clock, frames=4, delay=10)
    for i in range(7):
        assert device.send(numbered(i), 0, 20) is True
    assert device.tx.overflow == 3 and device.tx.held() == 4
    balance(device.tx)
    clock.now += 10
    receive(device)
    assert [number_of(frame) for frame in wire.sent] == [0, 1, 2, 3]


def test_faults_turned_off_let_held_frames_go():
    clock = Clock()
    wire = Wire()
    device = FaultInjector(wire, clock=clock, delay=10)
    wire.incoming = [numbered(1)]
    assert receive(device) is None and device.send(numbered(2), 0, 20)
    device.set(delay=0)
    clock.now += 10
    assert receive(device) == numbered(1) and wire.sent == [numbered(2)]
    assert device.poll_delay() is None


def test_size_limit():
    wire = Wire()
    device = FaultInjector(wire, size_limit=50)
    for n in (2, 49, 50, 51, 99):
        assert device.send(numbered(n, n), 0, n) is True
        wire.incoming.append(numbered(n, n))
    assert [len(frame) for frame in wire.sent] == [2, 49, 50]
    assert [len(frame) for frame in receive_all(device)] == [2, 49, 50]
    assert device.rx.oversize == device.tx.oversize == 2
    balance(device.rx)


def test_rate_limit():
    # what passes in 10 s is the rate, and at once no more than the burst
    for rate, burst in ((12345, 500), (700, 100), (2000000, 5000)):
        clock = Clock()
        wire = Counter()
        device = FaultInjector(wire, clock=clock, rate_limit=rate, burst=burst)
        n = 50
        for _ in range(2 * burst // n):
            device.send(bytes(n), 0, n)
        assert wire.sent == burst // n
        balance(device.tx)
        if rate > 100000:
            continue
        for _ in range(10000):
            clock.now += 1
            device.send(bytes(n), 0, n)
        passed = n * wire.sent
        assert abs(passed - rate * 10 - burst) <= 2 * n, (passed, rate)
        assert device.tx.throttled == device.tx.frames - wire.sent
        # the bucket does not fill over its brim
        clock.now += 1000000
        before = wire.sent
        for _ in range(2 * burst // n):
            device.send(bytes(n), 0, n)
        assert wire.sent - before == burst // n


def test_directions_are_separate():
    clock = Clock()
    wire = Wire()
    device = FaultInjector(wire, clock=clock)
    device.rx.set(drop=100)
    device.tx.set(delay=5)
    wire.incoming = [numbered(1), numbered(2)]
    assert receive(device) is None and device.send(numbered(3), 0, 20)
    assert device.rx.dropped == 2 and device.tx.held() == 1 and device.tx.dropped == 0
    device.rx.set(drop=0)
    wire.incoming = [numbered(4)]
    assert receive(device) == numbered(4) and wire.sent == []


def test_same_seed_same_faults():
    faults = {"drop": 10, "corrupt": 10, "duplicate": 10, "reorder": 10}
    one = through_rx(200, seed=7, **faults)[1]
    assert one == through_rx(200, seed=7, **faults)[1]
    assert one != through_rx(200, seed=8, **faults)[1]
    assert one != through_tx(200, seed=7, **faults)[1]


def test_a_busy_device_loses_nothing():
    wire = Wire()
    device = FaultInjector(wire, clock=Clock(), frames=3, duplicate=100)
    wire.busy = True
    assert device.send(numbered(0), 0, 20) is True  # held, and its duplicate
    assert device.send(numbered(1), 0, 20) is False
    assert device.send(numbered(1), 0, 20) is False
    assert wire.sent == [] and device.poll_delay() == 1
    wire.busy = False
    assert device.send(numbered(1), 0, 20) is True
    assert [number_of(frame) for frame in wire.sent] == [0, 0, 1, 1]
    assert device.tx.frames == 2
    balance(device.tx)


def test_a_held_frame_longer_than_the_buffer_is_dropped():
    clock = Clock()
    wire = Wire()
    device = FaultInjector(wire, clock=clock, delay=1)
    wire.incoming = [numbered(1, 60), numbered(2)]
    assert receive(device) is None
    clock.now += 1
    assert receive(device, 30) == numbered(2) and device.rx.oversize == 1
    balance(device.rx)


def test_frames_larger_than_the_mtu_pass_without_being_held():
    wire = Wire(ETHERNET, 40)
    device = FaultInjector(wire, corrupt=100, duplicate=100, reorder=100)
    assert device.send(bytes(59), 0, 59) and wire.sent == [bytes(59)]
    assert device.send(bytes(58), 0, 58)  # the header of a tagged frame, and the MTU
    assert device.tx.held() == 1 and len(wire.sent) == 2
    assert bits_changed(wire.sent[1], bytes(58)) == 1


def test_everything_at_once_is_accounted():
    for seed in range(rounds(6)):
        clock = Clock()
        wire = Wire()
        device = FaultInjector(
            wire,
            seed,
            clock,
            frames=6,
            drop=5,
            corrupt=5,
            duplicate=5,
            reorder=10,
            delay=3 if seed & 1 else 0,
            jitter=2 if seed & 2 else 0,
            size_limit=90,
            rate_limit=20000,
            burst=200,
        )
        received = 0
        for i in range(700):
            n = 2 + (i * 37) % 98
            wire.incoming.append(numbered(i, n))
            wire.busy = i % 11 == 0
            device.send(numbered(i, n), 0, n)
            if i & 1:
                received += len(receive_all(device, 5))
            balance(device.rx)
            balance(device.tx)
            assert received == device.rx.passed and len(wire.sent) == device.tx.passed
            clock.now += i % 3
        wire.busy = False
        for _ in range(100):
            clock.now += 1
            received += len(receive_all(device))
        assert device.rx.held() == device.tx.held() == 0 and received == device.rx.passed
        assert device.rx.frames == 700
        for name in ("dropped", "corrupted", "duplicated", "reordered", "oversize", "throttled"):
            assert getattr(device.rx, name) and getattr(device.tx, name), name


def test_delay_through_the_wrap_of_the_clock():
    clock = Clock((1 << 30) - 100)
    wire = Wire()
    device = FaultInjector(wire, clock=clock, delay=50)
    for ms in range(300):
        assert device.send(numbered(ms), 0, 20)
        if wire.sent:
            assert number_of(wire.sent[-1]) == ms - 8  # 7 ms apart
        clock.now += 7
    assert device.tx.overflow == 0 and len(wire.sent) > 280


def test_a_wall_of_lost_frames_does_not_hold_up_recv():
    device = FaultInjector(Counter(), drop=100)
    assert device.recv(bytearray(100)) == 0
    assert 0 < device.inner.given < 100


def test_allocates_nothing():
    clock = Clock(5)
    inner = Counter()
    device = FaultInjector(
        inner,
        1,
        clock,
        drop=5,
        corrupt=30,
        duplicate=30,
        reorder=30,
        delay=2,
        jitter=2,
        size_limit=90,
        rate_limit=100000,
        burst=2000,
    )
    frame = bytearray(100)

    def cycle():
        device.recv(frame)
        device.send(frame, 2, 70)
        device.poll_delay()
        device.link()
        clock.now += 1

    cycle()
    micropython.heap_lock()
    try:
        for _ in range(400):
            cycle()
    finally:
        micropython.heap_unlock()
    assert inner.sent > 100 and device.rx.corrupted > 10


def test_late_frames_go_in_the_order_of_their_times():
    clock = Clock()
    wire = Wire()
    device = FaultInjector(wire, clock=clock, frames=8, delay=30)
    for i, delay in enumerate((30, 10, 20, 10, 40, 5)):
        device.set(delay=delay)
        wire.incoming.append(numbered(i))
        assert receive(device) is None and device.send(numbered(i), 0, 20)
    assert device.poll_delay() == 5
    clock.now += 300  # nobody looked for a while
    assert device.poll_delay() == 0
    frames = receive_all(device)
    assert [number_of(frame) for frame in frames] == [5, 1, 3, 2, 0, 4] and wire.sent == frames


def test_the_token_bucket_has_a_brim():
    clock = Clock()
    wire = Wire()
    device = FaultInjector(wire, clock=clock, rate_limit=1000, burst=100)
    assert device.send(bytes(40), 0, 40)
    clock.now += 90  # 60 tokens and 90 are not 150
    for _ in range(20):
        device.send(bytes(10), 0, 10)
    assert len(wire.sent) == 1 + 10
