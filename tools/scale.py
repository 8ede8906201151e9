#!/usr/bin/env python3
"""What a packet costs when many sockets are open: TCP echo between two Interfaces in one
MicroPython process, with 1, 10, 100 and 1000 open connections in both sets; one of them talks, or
all in turn. Prints microseconds per round trip (six polls) and per frame, and the ratio to one
connection: processor time, and the least of REPEAT rounds, since others only make it slower.
With a thousand in turn a round trip is three frames and a timer instead of two frames: its last
ACK cannot wait for the next round.

  scale.py [unix64|unix32 ...]
"""

import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
ROUNDS = 4000
REPEAT = 4
COUNTS = (1, 10, 100, 1000)

PROGRAM = """
import sys
sys.path.insert(0, %(root)r)
sys.path.insert(0, %(root)r + "/tests/unit/tcp")
from time import clock
import scale_support
ticks = lambda: int(clock() * 1000000)
diff = lambda end, start: end - start
for count in %(counts)r * %(repeat)d:
    for every in (0, 1):
        us = scale_support.microseconds(count, every, %(rounds)d, ticks, diff)
        print(count, every, *us)
"""


def main(targets):
    sys.path.insert(0, HERE)
    import netlab

    results = {}
    for target in targets or ("unix64", "unix32"):
        try:
            interpreter = netlab.interpreter(target)
        except netlab.Unavailable as error:
            sys.exit(str(error))
        program = PROGRAM % {
            "root": ROOT,
            "counts": COUNTS,
            "rounds": ROUNDS,
            "repeat": REPEAT,
        }
        command = [interpreter, "-X", "heapsize=64m", "-c", program]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            sys.exit("scale.py: %s failed" % target)
        figures = [line.split() for line in done.stdout.splitlines()]
        print("%s: microseconds a round trip" % target)
        head = ("open sockets", "one talks", "a frame", "all in turn", "a frame")
        print("%12s %16s %16s %16s %16s" % head)
        table = results[target] = {}
        for count in COUNTS:
            row = []
            for every in ("0", "1"):
                rounds = [f[2:] for f in figures if f[:2] == [str(count), every]]
                row += [min([float(x) for x in column]) for column in zip(*rounds)]
            table[count] = row
            ratios = ["%.1f (%.2f)" % (x, x / y) for x, y in zip(row, table[1])]
            print("%12d %16s %16s %16s %16s" % (count, *ratios))
    path = os.path.join(ROOT, "build", "scale.json")
    with open(path, "w") as f:
        json.dump(results, f, indent=1)
    print("written: build/scale.json")


if __name__ == "__main__":
    main(sys.argv[1:])
