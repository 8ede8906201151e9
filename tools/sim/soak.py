"""Simulated hours of a busy small network: `make soak`. Runs inside MicroPython:

    MICROPYPATH=.:.frozen micropython -X heapsize=32m tools/sim/soak.py [--hours H] [--seed N]
        [--verbose]

Two pairs of hosts (tools/sim/network.py), one on Ethernet and one on bare IP, hold conversations
over wires whose weather changes: loss, reordering, duplication, corruption, delay, rate; outages;
addresses that are taken away for a while. talk.py tells what the ends of a conversation do.
Clocks of the hosts pass the wrap of ticks_ms at different times within the day.

All along it is checked that
- nothing raises, no poll() goes on for ever, no clock spins;
- whatever arrives is what was sent, to the last octet before an end of stream;
- a conversation that nobody disturbed ends well, and every one ends in time: no stuck socket;
- control blocks are sound, at every change (seats.check_socket).

Every two hours nothing new begins for a while. Then every socket must come to rest, with no timer
and no mark left; counters must add up, frame by frame; and memory must be what it was the last
time.

The same seed gives the same run on every target. A failure names seed, step and time.
"""

import gc
import sys
from time import ticks_diff, ticks_ms

from smolmp.phy.device import ETHERNET, IP
from smolmp.prng import Random
from tools.sim.network import MS, SECOND, Host, Network
from tools.sim.seats import Failure, Reception, Seat
from tools.sim.talk import Conversation

HOUR = 3600 * SECOND
CLIENTS = SERVERS = 6  # sockets of each kind, per host
ROUND = 2 * HOUR  # between lulls
LONGEST = 4000 * SECOND  # that a lull may take: see talk.PATIENCE, and the last outage
WRAP = 1 << 30

LOSS = (0, 0, 10, 100, 300, 1000)  # hundredths of a percent, as the others
REORDER = (0, 0, 100, 1000)
DUPLICATE = (0, 0, 50, 300)
CORRUPT = (0, 0, 50, 200)
DELAY = (0, 200, 1000, 5000, 20000, 150000)  # us
RATE = (0, 20, 1250, 12500)  # octets per ms, with a queue of 16 KiB


class SoakHost(Host):
    """A host whose sockets each have a Seat, which serves those that changed."""

    def poll(self):
        now = self.ticks()
        iface = self.iface
        for _ in range(1000):
            for socket in iface.poll(now, self.sockets):
                socket.seat.serve()
            delay = iface.poll_delay(now, self.sockets)
            if delay != 0:
                break
        else:
            raise Failure("poll() never comes to rest")
        self.wake = -1 if delay is None else (self.net.now // MS + delay) * MS
        self.polls += 1


class Pair:
    """Two hosts and the wires between them."""

    def __init__(self, world, number, medium):
        self.world = world
        self.disturbed = 0  # until when: an outage, an address that was away
        self.away = None
        net = world.net
        self.hosts = []
        for i in (0, 1):
            address = "10.0.%d.%d" % (number, i + 1)
            # One clock wraps in the first minutes, the others some hours later.
            clock = WRAP - 200000 - (2 * number + i) * 5 * 3600000
            host = SoakHost(net, address, 10 * world.seed + 2 * number + i, medium, clock, 20)
            host.polls = 0
            host.pair = self
            net.hosts.append(host)
            self.hosts.append(host)
        a, b = self.hosts
        net.join(a, b, seed=world.seed + number)
        self.wires = [a.wires[2], b.wires[1]]
        for host in self.hosts:
            host.clients = [Seat(host, world) for _ in range(CLIENTS)]
            host.servers = [Seat(host, world, 1000 + i) for i in range(SERVERS)]
            host.receptions = [Reception(host, world, 1000 + SERVERS)]
            host.poll()

    def weather(self, random):
        """Another state of the wires."""
        loss, reorder, duplicate, corrupt, delay, rate = [
            choices[random.below(len(choices))]
            for choices in (LOSS, REORDER, DUPLICATE, CORRUPT, DELAY, RATE)
        ]
        for wire in self.wires:
            wire.loss, wire.reorder, wire.duplicate, wire.corrupt = (
                loss,
                reorder,
                duplicate,
                corrupt,
            )
            wire.delay = delay
            wire.line.rate = rate
            wire.line.queue = 16384
        facts = loss, reorder, duplicate, corrupt, delay, rate
        return "loss %d reorder %d duplicate %d corrupt %d delay %d rate %d" % facts

    def disturb(self, seconds):
        end = self.world.net.now + seconds * SECOND
        if end > self.disturbed:
            self.disturbed = end

    def outage(self, seconds):
        self.disturb(seconds)
        for wire in self.wires:
            wire.down = True

        def over():
            for wire in self.wires:
                wire.down = False

        self.world.net.at(seconds * SECOND, over)

    def lose_address(self, host, seconds):
        self.disturb(seconds)
        self.away = host
        host.iface.remove_ip_addr(host.address)
        host.wake = self.world.net.now

        def back():
            self.away = None
            host.iface.add_ip_addr(host.address + "/24")
            host.wake = self.world.net.now

        self.world.net.at(seconds * SECOND, back)


class World:
    def __init__(self, seed, say=None):
        self.seed = seed
        self.say = say or (lambda text: None)
        self.random = Random(seed)
        self.net = Network()
        self.steps = 0
        self.talks = []
        self.begun = 0
        self.outcomes = {}
        self.octets = 0
        self.pairs = [Pair(self, 0, ETHERNET), Pair(self, 1, IP)]
        self.lulls = []  # memory at each
        self.quiet = False
        for pair in self.pairs:
            pair.weather(self.random)
        self.net.at(SECOND, self.next)

    def count(self, outcome):
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1

    # One step: something happens.

    def step(self):
        self.steps += 1
        random = self.random
        pair = self.pairs[random.below(2)]
        dice = random.below(1000)
        what = ""
        if dice < 60:
            what = pair.weather(random)
        elif dice < 65 and self.net.now >= pair.disturbed:
            seconds = 1 + random.below(20 if dice < 63 else 900)
            pair.outage(seconds)
            what = "outage of %d s" % seconds
        elif dice < 67 and self.net.now >= pair.disturbed and pair.away is None:
            seconds = 1 + random.below(300)
            host = pair.hosts[random.below(2)]
            pair.lose_address(host, seconds)
            what = "%s away for %d s" % (host.address, seconds)
        elif dice < 75:
            what = self.replace(pair.hosts[random.below(2)])
        else:
            what = self.converse(pair)
        if what:
            self.say("step %d, %d s: %s" % (self.steps, self.net.now // SECOND, what))
        self.net.at(random.below(5000) * MS, self.next)

    def next(self):
        if not self.quiet:
            self.step()

    def converse(self, pair):
        """Two free sockets begin to talk, if there are any."""
        random = self.random
        i = random.below(2)
        near, far = pair.hosts[i], pair.hosts[1 - i]
        client = [seat for seat in near.clients if seat.is_free()]
        simultaneous = random.below(20) == 0
        server = [
            seat for seat in (far.clients if simultaneous else far.servers) if seat.is_free()
        ]
        if client and not simultaneous and random.below(3) == 0:
            server = [guest for guest in [one.guest() for one in far.receptions] if guest]
        if not client or not server:
            return ""
        self.begun += 1
        client = client[random.below(len(client))]
        server = server[random.below(len(server))]
        talk = Conversation(self, pair, self.begun, client, server, simultaneous)
        self.talks.append(talk)
        return repr(talk)

    def replace(self, host):
        """A free client's socket gives way to another one: slots and handles are used again."""
        for seat in host.clients:
            if seat.is_free():
                seat.new_socket()
                return "a new socket for %s" % host.address
        return ""

    # Checks.

    def watch(self):
        """Once a minute: whoever ended is done with, whoever makes no progress is looked at."""
        for talk in self.talks:
            talk.watch()
        self.talks = [talk for talk in self.talks if not talk.over]

    def lull(self):
        """Nothing new begins; all must come to rest."""
        self.quiet = True
        end = self.net.now + LONGEST
        while self.talks or not self.at_rest():
            if self.net.now > end:
                left = [repr(talk) for talk in self.talks]
                left += [repr(seat) for seat in self.seats() if not seat.is_free()]
                raise Failure("no rest within %d s: %s" % (LONGEST // SECOND, ", ".join(left)))
            self.run(10 * SECOND)
            self.watch()
        for pair in self.pairs:
            self.add_up(pair)
        for wire in [wire for pair in self.pairs for wire in pair.wires]:
            wire.line.free = 0
        self.net.pool.clear()
        self.net._events.clear()
        gc.collect()
        gc.collect()
        self.lulls.append(gc.mem_alloc())
        self.quiet = False
        self.net.at(SECOND, self.next)

    def seats(self):
        for pair in self.pairs:
            for host in pair.hosts:
                yield from host.clients
                yield from host.servers
                yield from host.receptions

    def at_rest(self):
        """Every socket is closed or listens, no frame is under way, nobody has anything to do."""
        if self.net._events:
            return False
        for seat in self.seats():
            if not seat.is_free():
                return False
        for pair in self.pairs:
            for host in pair.hosts:
                sockets = host.sockets
                if sockets.has_marks() or sockets.has_blocked():
                    return False
                if sockets.deadlines.running():
                    return False
        return True

    def add_up(self, pair):
        """No frame is unaccounted for."""
        for i in (0, 1):
            wire = pair.wires[i]
            sender, receiver = pair.hosts[i].iface.stats(), pair.hosts[1 - i].iface.stats()
            lost = wire.lost + wire.line.overflow
            facts = (
                ("frames on the wire", wire.frames, sender["tx_frames"]),
                ("frames received", wire.frames - lost + wire.doubled, receiver["rx_frames"]),
            )
            for what, one, other in facts:
                if (one - other) & 0xFFFFFFFF:
                    raise Failure("%s: %d, but %d" % (what, one, other))
            if receiver["rx_bad_checksum"] > wire.damaged:
                raise Failure("more wrong checksums than damage")
            if sender["tx_busy"] or sender["ip_too_big"]:
                raise Failure("a device of this network is never busy, nor a packet too big")

    def check_memory(self):
        """It may settle during the first lulls; from then on it stays."""
        if len(self.lulls) > 2 and abs(self.lulls[-1] - self.lulls[1]) > 2048:
            raise Failure("memory: %s" % self.lulls)

    def run(self, us):
        """`us` of simulated time; a watch every minute."""
        end = self.net.now + us
        polls = self.polls()
        frames = self.net.events
        start = self.net.now
        while self.net.now < end:
            self.net.run(min(end, self.net.now + 60 * SECOND))
            self.watch()
        # Between frames and steps only timers wake a host, and those count in ms.
        spent = (self.net.now - start) // MS
        if self.polls() - polls > 4 * (self.net.events - frames) + 4 * spent + 100:
            raise Failure("%d polls in %d ms" % (self.polls() - polls, spent))

    def polls(self):
        return sum([host.polls for pair in self.pairs for host in pair.hosts])


def soak(hours, seed, say, verbose=False):
    """So many hours (and the lulls between them), in three rounds at least.

    Raises what was wrong, after `say` was told seed, step and time; returns the last report.
    """
    world = World(seed, say if verbose else None)
    start = ticks_ms()
    rounds = max(3, int(hours * HOUR) // ROUND)
    try:
        for i in range(rounds):
            world.run(int(hours * HOUR) // rounds)
            world.lull()
            world.check_memory()
            text = "round %d of %d: %s" % (i + 1, rounds, report(world))
            text += ", %d s" % (ticks_diff(ticks_ms(), start) // 1000)
            say(text)
    except Exception:
        place = "seed %d, step %d, %d ms" % (seed, world.steps, world.net.now // MS)
        say("FAILED: " + place)
        raise
    return text


def report(world):
    now = world.net.now
    hosts = [host for pair in world.pairs for host in pair.hosts]
    return (
        "%d.%02d h, %d conversations (%s), %d MB, %d frames, %d segments sent again, memory %d"
    ) % (
        now // HOUR,
        now % HOUR * 100 // HOUR,
        world.begun,
        ", ".join(["%d %s" % (n, k) for k, n in sorted(world.outcomes.items())]),
        world.octets // 1000000,
        sum([wire.frames for pair in world.pairs for wire in pair.wires]),
        sum([host.iface.stats()["tcp_retransmitted"] for host in hosts]),
        world.lulls[-1],
    )


def main(arguments):
    hours, seed, verbose = 24.0, 1, False
    while arguments:
        word = arguments.pop(0)
        if word == "--verbose":
            verbose = True
        elif word in ("--hours", "--seed") and arguments:
            value = arguments.pop(0)
            if word == "--hours":
                hours = float(value)
            else:
                seed = int(value)
        else:
            print("soak.py [--hours H] [--seed N] [--verbose]")
            return 2
    try:
        soak(hours, seed, print, verbose)
    except Failure as e:
        print(e)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
