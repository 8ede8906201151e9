"""SocketSet and its demux: slots and handles, keys, marks, deadlines, reports."""

from array import array

from support import locked

from smolmp.socket import demux
from smolmp.socket.set import SocketSet, handle_of, lone_bit, next_bit, set_bit, take_lone

UDP = 17
TCP = 6
WRAP = 0x3FFFFFFF


class Fake:
    kind = "udp"
    handle = property(handle_of)

    def __init__(self, name=None):
        self.sockets = None
        self.name = name
        self.timers = 0
        self.attaches = 0

    def attached(self):
        self.attaches += 1

    def detached(self):
        self.attaches -= 1

    def on_timer(self, iface):
        self.timers += 1


class Clock:
    def __init__(self):
        self.now = 0


def key(protocol=TCP, local=0, lport=80, remote=0, rport=0, family=4):
    """A flow; addresses are small numbers here."""
    flow = array("i", bytes(56))
    flow[0] = family
    flow[1] = protocol
    flow[2] = lport
    flow[3] = rport
    flow[4] = local
    flow[8] = remote
    return flow


def filled(n, capacity=8):
    sockets = SocketSet(capacity, 12345)
    return sockets, [sockets.add(Fake(i)) for i in range(n)]


# Slots and handles.


def test_add_gives_slot_handle_and_set():
    sockets = SocketSet(2)
    a = Fake()
    assert sockets.add(a) is a
    assert a.sockets is sockets and a.slot == 0 and a.attaches == 1
    assert sockets[a.handle] is a and a in sockets
    assert len(sockets) == 1 and list(sockets) == [a]


def test_add_twice_is_refused():
    sockets, (a,) = filled(1)
    for other in (sockets, SocketSet()):
        try:
            other.add(a)
            raise AssertionError("taken twice")
        except ValueError:
            pass
    assert len(sockets) == 1


def test_grows_by_doubling_and_keeps_everything():
    sockets, all_of_them = filled(3, 2)
    assert sockets.slots == 4
    sockets.bind(1, key(lport=81))
    sockets.mark(2)
    sockets.changed(0)
    sockets.deadline(1, 50)
    for i in range(200):
        sockets.add(Fake(3 + i))
    assert sockets.slots == 256 and len(sockets) == 203
    assert sockets.find(key(lport=81, remote=5, rport=9, local=1)) == 1
    assert sockets.next_marked(0, sockets.slots) == 2
    assert [s.name for s in sockets.take_changed()] == [0]
    assert sockets.delay(40) == 10


def test_stale_handle():
    sockets, (a, b) = filled(2)
    stale = a.handle
    assert sockets.remove(a) is a
    assert a.sockets is None and a.slot == -1 and a.attaches == 0
    c = sockets.add(Fake())
    assert c.slot == 0 and c.handle != stale
    for wrong in (stale, -1, 99, 1 << 28):
        try:
            sockets[wrong]
            raise AssertionError(wrong)
        except KeyError:
            pass
    assert sockets[c.handle] is c and sockets[b.handle] is b


def test_handles_stay_small_after_many_generations():
    sockets = SocketSet(1)
    seen = set()
    for _ in range(300):
        s = sockets.add(Fake())
        assert s.slot == 0 and s.handle < 1 << 29 and s.handle not in seen
        seen.add(s.handle)
        sockets.remove(s.handle)


def test_remove_forgets_everything():
    sockets, (a, b) = filled(2)
    sockets.bind(0, key())
    sockets.mark(0)
    sockets.changed(0)
    sockets.deadline(0, 10)
    sockets.block(0)
    sockets.remove(a)
    assert sockets.find(key()) == -1
    sockets.unblock()
    assert not sockets.has_marks() and not sockets.has_changes()
    assert sockets.delay(0) == -1
    assert sockets.take_changed() == []
    try:
        sockets.remove(a)
        raise AssertionError("removed twice")
    except KeyError:
        pass


def test_kinds_have_their_lists():
    sockets = SocketSet()
    raw = Fake()
    raw.kind = "raw"
    icmp = Fake()
    icmp.kind = "icmp"
    for s in (raw, icmp, Fake()):
        sockets.add(s)
    assert sockets.raw == [raw] and sockets.icmp == [icmp]
    sockets.remove(raw)
    assert sockets.raw == [] and sockets.icmp == [icmp]


# Demux.


def test_find_nothing_in_an_empty_set():
    assert SocketSet().find(key()) == -1


def test_exact_before_bound_before_wildcard():
    sockets, _ = filled(4)
    sockets.bind(0, key())
    packet = key(local=7, remote=9, rport=1000)
    assert sockets.find(packet) == 0
    sockets.bind(1, key(local=7))
    assert sockets.find(packet) == 1
    sockets.bind(2, key(remote=9, rport=1000))
    assert sockets.find(packet) == 2
    sockets.bind(3, key(local=7, remote=9, rport=1000))
    assert sockets.find(packet) == 3
    # and in that order when one asks on
    assert [sockets.find_next(packet, i) for i in (3, 2, 1, 0)] == [2, 1, 0, -1]
    # another peer has only the open ones
    assert sockets.find(key(local=7, remote=9, rport=1001)) == 1
    assert sockets.find(key(local=8, remote=8, rport=1000)) == 0


def test_every_part_of_the_key_counts():
    sockets, _ = filled(1)
    sockets.bind(0, key(local=7, remote=9, rport=1000))
    assert sockets.find(key(local=7, remote=9, rport=1000)) == 0
    for other in (
        key(protocol=UDP, local=7, remote=9, rport=1000),
        key(lport=81, local=7, remote=9, rport=1000),
        key(local=6, remote=9, rport=1000),
        key(local=7, remote=8, rport=1000),
        key(local=7, remote=9, rport=1001),
        key(local=7, remote=9, rport=1000, family=6),
    ):
        assert sockets.find(other) == -1
    for word in (5, 6, 7, 9, 10, 11):
        other = key(local=7, remote=9, rport=1000)
        other[word] = 1
        assert sockets.find(other) == -1


def test_family_zero_serves_both():
    sockets, _ = filled(2)
    sockets.bind(0, key(family=0))
    for family in (4, 6):
        assert sockets.find(key(local=1, remote=2, rport=3, family=family)) == 0
    sockets.bind(1, key(family=6))
    assert sockets.find(key(local=1, remote=2, rport=3, family=4)) == 0
    assert sockets.find_next(key(local=1, remote=2, rport=3, family=4), 0) == -1


def test_equal_keys_are_found_in_order_of_binding():
    sockets, _ = filled(5)
    for slot in (3, 0, 4):
        sockets.bind(slot, key(UDP, lport=5353))
    packet = key(UDP, local=1, lport=5353, remote=2, rport=5353)
    found = []
    slot = sockets.find(packet)
    while slot >= 0:
        found.append(slot)
        slot = sockets.find_next(packet, slot)
    assert found == [3, 0, 4]
    sockets.unbind(0)
    assert sockets.find(packet) == 3 and sockets.find_next(packet, 3) == 4
    sockets.unbind(0)  # twice does no harm
    sockets.bind(3, key(UDP, lport=5353))  # again: behind the others now
    assert sockets.find(packet) == 4


def test_bind_again_replaces_the_key():
    sockets, _ = filled(1)
    sockets.bind(0, key())
    sockets.bind(0, key(local=7, remote=9, rport=1000))  # a listener that became a connection
    assert sockets.find(key(local=7, remote=9, rport=1001)) == -1
    assert sockets.find(key(local=7, remote=9, rport=1000)) == 0


def test_addresses_above_the_sign_bit():
    sockets, _ = filled(1)
    flow = key(lport=80)
    flow[4] = -0x3F57BAFF  # 192.168.69.1
    flow[8] = -0x3F57BAFE
    flow[3] = 65535
    sockets.bind(0, flow)
    packet = key(lport=80, rport=65535)
    packet[4] = -0x3F57BAFF
    packet[8] = -0x3F57BAFE
    assert sockets.find(packet) == 0


# not on a board: a table of 72 KB
def test_one_thousand_connections():
    sockets, _ = filled(1000)
    for i in range(999):
        sockets.bind(i, key(local=7, remote=100 + i % 50, rport=1024 + i // 50))
    sockets.bind(999, key())
    for i in range(0, 999, 7):
        assert sockets.find(key(local=7, remote=100 + i % 50, rport=1024 + i // 50)) == i
    assert sockets.find(key(local=7, remote=99, rport=1024)) == 999
    # the chains stay short: that is what makes the cost flat
    table = sockets.table
    longest = 0
    for bucket in range(table[0] + 1):
        slot = table[table[1] + bucket]
        n = 0
        while slot:
            n += 1
            slot = table[16 + 16 * (slot - 1) + 14]
        longest = max(longest, n)
    assert longest <= 8, longest
    for i in range(0, 999, 2):
        sockets.unbind(i)
    for i in range(0, 999, 7):
        found = sockets.find(key(local=7, remote=100 + i % 50, rport=1024 + i // 50))
        assert found == (i if i & 1 else 999)


def test_random_bindings_agree_with_a_dictionary():
    from smolmp.prng import Random

    random = Random(3)
    sockets, _ = filled(40)
    bound = {}
    for step in range(2000):
        slot = random.below(40)
        local = random.below(3)
        remote = random.below(3)
        fields = (80 + random.below(2), local, remote, remote and 1 + random.below(2))
        if random.below(3):
            for other, taken in list(bound.items()):
                if taken == fields and other != slot:
                    sockets.unbind(other)  # here keys are kept different
                    del bound[other]
            bound[slot] = fields
            sockets.bind(slot, key(lport=fields[0], local=local, remote=remote, rport=fields[3]))
        else:
            sockets.unbind(slot)
            bound.pop(slot, None)
        want = (80 + random.below(2), 1 + random.below(2), 1 + random.below(2), 1)
        packet = key(lport=want[0], local=want[1], remote=want[2], rport=want[3])
        expected = -1
        for form in (
            want,
            (want[0], 0, want[2], want[3]),
            (want[0], want[1], 0, 0),
            (want[0], 0, 0, 0),
        ):
            for other, taken in bound.items():
                if taken == form and expected < 0:
                    expected = other
        assert sockets.find(packet) == expected, step


def test_find_with_a_hostile_after():
    sockets, _ = filled(1)
    for after in (0, 7, 8, 1000000):
        assert demux.find(sockets.table, key(), after) == -1


# Marks.


def test_marks_are_visited_in_slot_order():
    sockets, _ = filled(70)
    for slot in (0, 31, 32, 63, 64, 69):
        sockets.mark(slot)
    found = []
    slot = sockets.next_marked(0, 70)
    while slot >= 0:
        found.append(slot)
        slot = sockets.next_marked(slot + 1, 70)
    assert found == [0, 31, 32, 63, 64, 69]
    assert sockets.count_marks() == 6
    assert sockets.next_marked(1, 31) == -1 and sockets.next_marked(1, 32) == 31
    for slot in found:
        sockets.unmark(slot)
    assert not sockets.has_marks()


def test_blocked_sockets_come_back_together():
    sockets, _ = filled(40)
    for slot in (3, 31, 39):
        sockets.mark(slot)
    sockets.block(3)
    sockets.block(31)
    assert sockets.count_marks() == 1
    sockets.unblock()
    assert sockets.count_marks() == 3
    sockets.unmark(3)
    sockets.unblock()
    assert sockets.count_marks() == 2


# Deadlines.


def test_delay_is_to_the_earliest_deadline():
    sockets, _ = filled(3)
    assert sockets.delay(0) == -1
    sockets.deadline(0, 300)
    sockets.deadline(1, 200)
    sockets.deadline(2, 250)
    assert sockets.delay(100) == 100
    sockets.deadline(1, 400)  # the earliest moved away: nothing early is left behind
    assert sockets.delay(100) == 150
    sockets.deadline(2, -1)
    sockets.deadline(0, -1)
    assert sockets.delay(100) == 300
    sockets.deadline(1, -1)
    assert sockets.delay(100) == -1


def test_deadlines_across_the_wrap():
    sockets, _ = filled(2)
    now = WRAP - 100
    sockets.deadline(0, 50)  # behind the wrap
    sockets.deadline(1, WRAP - 20)
    assert sockets.delay(now) == 80
    sockets.deadline(1, -1)
    assert sockets.delay(now) == 151
    assert sockets.delay(60) == 0


def test_due_timers_run_once():
    sockets, all_of_them = filled(3)
    clock = Clock()
    sockets.deadline(0, WRAP - 10)
    sockets.deadline(1, 20)
    sockets.deadline(2, 500)
    clock.now = 30
    sockets.run_timers(clock)
    assert [s.timers for s in all_of_them] == [1, 1, 0]
    sockets.run_timers(clock)
    assert [s.timers for s in all_of_them] == [1, 1, 0]
    assert sockets.delay(30) == 470


def test_a_past_deadline_does_not_stay():
    """smoltcp 9.2: a deadline that stayed in the past made a busy loop."""
    sockets, (a,) = filled(1)
    clock = Clock()
    clock.now = 1000
    sockets.deadline(0, 10)
    assert sockets.delay(1000) == 0
    sockets.run_timers(clock)
    assert a.timers == 1 and sockets.delay(1000) == -1


# Reports.


def test_changed_reports_once_in_slot_order():
    sockets, all_of_them = filled(40)
    for slot in (39, 2, 2, 33):
        sockets.changed(slot)
    report = sockets.take_changed()
    assert [s.name for s in report] == [2, 33, 39]
    assert sockets.take_changed() is report and report == []


def test_nothing_here_allocates():
    sockets, all_of_them = filled(40)
    flow = key(local=7, remote=9, rport=1000)
    flow[4] = flow[8] = -0x3F57BAFF
    clock = Clock()

    def work():
        for slot in (39, 2, 33):
            sockets.bind(slot, flow)
            sockets.mark(slot)
            sockets.changed(slot)
            sockets.deadline(slot, 1000)
        assert sockets.find(flow) == 39
        assert sockets.find_next(flow, 39) == 2
        assert sockets.delay(WRAP - 100) == 1101
        clock.now = 1000
        sockets.run_timers(clock)
        assert sockets.count_marks() == 3
        sockets.block(2)
        sockets.unblock()
        for slot in (39, 2, 33):
            sockets.unmark(slot)
            sockets.unbind(slot)
        assert len(sockets.take_changed()) == 3

    locked(work)
    for slot in range(40):
        sockets.changed(slot)
    assert len(locked(sockets.take_changed)) == 40


def test_hidden_sockets_are_not_reported():
    sockets, all_of_them = filled(40, 8)
    for s in all_of_them[30:]:
        sockets.hide(s.slot)
    for s in all_of_them[28:]:
        sockets.changed(s.slot)
    assert sockets.take_changed() == all_of_them[28:30]
    assert not sockets.has_changes()
    sockets.changed(39)
    assert not sockets.has_changes()
    sockets.show(39)
    assert not sockets.has_changes()  # what happened meanwhile is past
    sockets.changed(39)
    assert locked(sockets.has_changes) and locked(sockets.take_changed) == [all_of_them[39]]


def test_hidden_follows_the_set():
    """Over growth; a slot's next socket is visible."""
    sockets, all_of_them = filled(2, 2)
    sockets.hide(1)
    more = [sockets.add(Fake()) for _ in range(60)]
    for slot in (1, 50):
        sockets.changed(slot)
    sockets.hide(51)
    sockets.changed(51)
    assert sockets.take_changed() == [more[48]]
    sockets.remove(all_of_them[1])
    other = sockets.add(Fake())
    sockets.changed(1)
    assert other.slot == 1 and sockets.take_changed() == [other]


def test_the_lone_bit():
    bits = array("I", [0, 0, 0])
    none = array("I", [0, 0, 0])
    assert lone_bit(bits, 3) == take_lone(bits, none, 3) == -1
    for slot in (0, 1, 30, 31, 32, 63, 64, 95):
        set_bit(bits, slot)
        assert lone_bit(bits, 3) == slot
        assert take_lone(bits, none, 3) == slot and not any(bits)
        for other in (0, 31, 33, 94):
            if other == slot:
                continue
            hidden = array("I", [0, 0, 0])
            set_bit(bits, slot)
            set_bit(bits, other)
            assert lone_bit(bits, 3) == take_lone(bits, hidden, 3) == -2
            assert next_bit(bits, 0, 96) == min(slot, other)
            set_bit(hidden, other)
            assert take_lone(bits, hidden, 3) == slot and not any(bits)
            set_bit(bits, other)
            assert take_lone(bits, hidden, 3) == -1 and not any(bits)
