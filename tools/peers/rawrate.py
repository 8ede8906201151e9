#!/usr/bin/env python3
"""How many frames a second a program gets through a bare TAP descriptor, nothing done to them:
C, CPython, and MicroPython in the ways that it has (rawtap.py tells which).

  rawrate.py [--targets unix64,unix32] [--secs 2] [--len 1514,60] [--rounds 3]
             [--out build/rawrate.jsonl]

Reads are fed by udpblast (C, sendmmsg) on the other core.  Where the reader keeps up with it the
figure is the feeder's and not the reader's: "drain" takes 450 frames at a time from a queue that
is kept full, and counts the time of that alone.  Needs a C compiler for the two helpers (into
build/peers/).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys

import bench
from bench import HERE, PROBE_CPU, STACK_CPU, netlab, pinned, wait_quiet

BIN = os.path.join(netlab.BUILD, "peers")
RAWTAP = os.path.join(HERE, "rawtap.py")


def build():
    os.makedirs(BIN, exist_ok=True)
    for name in ("udpblast", "rawtap"):
        source, program = os.path.join(HERE, name + ".c"), os.path.join(BIN, name)
        old = os.path.exists(program) and os.path.getmtime(program) > os.path.getmtime(source)
        if not old:
            compiler = os.environ.get("CC", "cc")
            subprocess.run([compiler, "-O2", "-Wall", "-o", program, source], check=True)


def last(process):
    out, _ = process.communicate(timeout=60)
    try:
        return json.loads(out.strip().splitlines()[-1])
    except (ValueError, IndexError):
        return {"error": out[-300:] or "nothing said"}


def one(command, fed, secs, size):
    wait_quiet(0.3, 30)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with netlab.Namespace() as namespace:
        namespace.tap("tap0")
        # a fixed neighbour: the kernel shall not wait for an ARP answer that never comes
        neighbour = ("ip", "neigh", "replace", netlab.STACK_IP, "lladdr", "02:00:00:00:00:01")
        namespace.run(*neighbour, "dev", "tap0")
        fd = namespace.open_tap("tap0")
        command = [str(fd) if word == "FD" else word for word in command]
        program = namespace.popen(
            pinned(STACK_CPU, command),
            pass_fds=[fd],
            env={"MICROPYPATH": netlab.ROOT + ":.frozen"},
            **pipes,
        )
        os.close(fd)
        feeder = None
        if fed:
            blast = [os.path.join(BIN, "udpblast"), netlab.STACK_IP, "9", size - 42, secs + 1.5]
            feeder = namespace.popen(pinned(PROBE_CPU, [str(w) for w in blast]), **pipes)
        result = last(program)
        if feeder is not None:
            feeder.terminate()
            feeder.wait()
        return result


def jobs(targets, secs, size):
    s, n = str(secs), str(size)
    c = os.path.join(BIN, "rawtap")
    yield "C write", [c, "FD", "write", s, n], False
    yield "C read, queue kept full", [c, "FD", "drain", s, n], True
    yield "C read, live", [c, "FD", "read", s, n], True
    for what, mode in (("write", "write"), ("read, queue kept full", "drain-read")):
        command = [sys.executable, RAWTAP, "FD", mode, s, n]
        yield "CPython " + what, command, mode != "write"
    for target in targets:
        head = [netlab.interpreter(target), "-X", "heapsize=8m", RAWTAP, "FD"]
        ways = [("write", "write"), ("smolmp's device write", "device-write")]
        for kind in ("read", "batch", "ffi", "device"):
            if kind == "ffi" and target == "unix64-wheel":
                continue
            name = "smolmp's device read" if kind == "device" else kind + " read"
            name = name.replace("read read", "read")
            ways.append((name + ", queue kept full", "drain-" + kind))
            ways.append((name + ", live", kind))
        for what, mode in ways:
            yield "%s %s" % (target, what), [*head, mode, s, n], not mode.endswith("write")


def main():
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--targets", default="unix64,unix32")
    p.add_argument("--secs", type=float, default=2)
    p.add_argument("--len", default="1514,60")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--out", default=os.path.join(netlab.BUILD, "rawrate.jsonl"))
    a = p.parse_args()
    try:
        netlab.enter()
        build()
        rates = {}
        with open(a.out, "a") as out:
            for _ in range(a.rounds):
                for size in (int(x) for x in a.len.split(",")):
                    for name, command, fed in jobs(a.targets.split(","), a.secs, size):
                        result = one(command, fed, a.secs, size)
                        result.update(what=name, len=size)
                        out.write(json.dumps(result) + "\n")
                        out.flush()
                        rates.setdefault(name, {}).setdefault(size, [])
                        if "error" in result:
                            print("%-48s %5d  %s" % (name, size, result["error"]))
                            continue
                        rates[name][size].append(result["frames_s"])
                        figures = (name, size, result["frames_s"], result["mbit_s"])
                        print("%-48s %5d %9d frames/s %8.0f Mbit/s" % figures, flush=True)
    except (netlab.Unavailable, OSError, subprocess.CalledProcessError) as e:
        sys.exit(str(e))
    sizes = [int(x) for x in a.len.split(",")]
    print()
    head = ["thousand frames a second, one core", *["%d octets" % size for size in sizes]]
    print("| " + " | ".join(head) + " |")
    print("|---" * len(head) + "|")
    for name, by in rates.items():
        cells = []
        for size in sizes:
            v = [x / 1000 for x in by.get(size, [])]
            if v:
                cells.append("%.0f [%.0f-%.0f]" % (statistics.median(v), min(v), max(v)))
            else:
                cells.append("-")
        print("| " + " | ".join([name, *cells]) + " |")


assert bench  # also makes tools/ importable
if __name__ == "__main__":
    main()
