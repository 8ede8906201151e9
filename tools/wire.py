#!/usr/bin/env python3
"""A bad wire between two descriptors that carry Ethernet frames: a TAP's end, or a socket's.

  wire.py FD FD [--delay US] [--rate OCTETS/MS] [--queue OCTETS] [--loss PERCENT] [--seed N]

In each direction a frame waits its turn on a line of `rate` (at the tail of a full `queue` it is
lost), then travels for `delay`. Each frame is lost with the same chance, ARP and SYNs excepted: a
second or three of waiting at the start would only blur what is measured. The n-th frame of a
direction that may be lost has the same fate for the same seed. Ends by SIGTERM, and says then
what it carried, from the first descriptor and from the second: frames, those lost by chance and
those at a full queue's tail, and how many us too late a frame was on average.

It asks for a real-time priority: a wire does not wait until the machine has time.
"""

import argparse
import os
import random
import select
import signal
from collections import deque
from time import monotonic

MOST = 2048  # octets of a frame
SYN = 2


class Way:
    """One direction."""

    def __init__(self, source, target, a, seed):
        self.source, self.target = source, target
        self.delay = a.delay / 1e6
        self.rate = a.rate * 1000.0  # octets a second
        self.queue = a.queue
        self.loss = a.loss / 100
        self.chance = random.Random(seed).random
        self.free = 0.0  # when the last octet in the queue will have left
        self.flying = deque()  # (when it arrives, frame)
        self.frames = self.lost = self.overflow = 0
        self.given, self.late = 0, 0.0  # frames handed over, and the sum of seconds too late

    def take(self, now):
        """Everything that waits at the source goes on its way."""
        while True:
            try:
                frame = os.read(self.source, MOST)
            except BlockingIOError:
                return
            self.frames += 1
            if self.rate:
                start = self.free if self.free > now else now
                if self.queue and (start - now) * self.rate + len(frame) > self.queue:
                    self.overflow += 1
                    continue
                self.free = start + len(frame) / self.rate
            else:
                self.free = now
            if is_data(frame) and self.chance() < self.loss:
                self.lost += 1
                continue
            self.flying.append((self.free + self.delay, frame))

    def give(self, now):
        """What has arrived is handed over; a target that is busy gets it later."""
        flying = self.flying
        while flying and flying[0][0] <= now:
            try:
                os.write(self.target, flying[0][1])
            except BlockingIOError:
                return
            self.given += 1
            self.late += now - flying.popleft()[0]

    def due(self):
        return self.flying[0][0] if self.flying else None


def is_data(frame):
    """May it be lost? Not ARP, not a SYN (IPv4 without options)."""
    if frame[12:14] != b"\x08\x00":
        return False
    return not (frame[23] == 6 and len(frame) > 47 and frame[47] & SYN)


def urgent(pid):
    """Real-time priority for a process, where that is allowed."""
    try:
        os.sched_setscheduler(pid, os.SCHED_RR, os.sched_param(1))
    except OSError:
        pass


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("ends", type=int, nargs=2)
    p.add_argument("--delay", type=int, default=0, help="us, one way")
    p.add_argument("--rate", type=int, default=0, help="octets per ms; 0: no limit")
    p.add_argument("--queue", type=int, default=0, help="octets; 0: no limit")
    p.add_argument("--loss", type=float, default=0, help="percent")
    p.add_argument("--seed", type=int, default=1)
    a = p.parse_args()
    one, two = a.ends
    ways = [Way(one, two, a, 2 * a.seed), Way(two, one, a, 2 * a.seed + 1)]
    for fd in a.ends:
        os.set_blocking(fd, False)

    def report(*_):
        # Within a signal handler nothing but this is sure to end quietly.
        words = []
        for way in ways:
            words += [way.frames, way.lost, way.overflow, int(way.late * 1e6 / (way.given or 1))]
        print(*words, flush=True)
        os._exit(0)

    urgent(0)
    signal.signal(signal.SIGTERM, report)
    print("ready", flush=True)
    while True:
        due = [t for t in (way.due() for way in ways) if t is not None]
        wait = max(0.0, min(due) - monotonic()) if due else None
        ready = select.select(a.ends, (), (), wait)[0]
        now = monotonic()
        for way in ways:
            if way.source in ready:
                way.take(now)
            way.give(now)


if __name__ == "__main__":
    main()
