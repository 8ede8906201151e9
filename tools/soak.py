#!/usr/bin/env python3
"""The long runs: `make soak`.

  soak.py gigabyte [--target unix64] [--size 1000] [--direction to|from] [--fault SPEC] [--seed N]
  soak.py day      [--target unix64] [--hours 24] [--seed N]
  soak.py          both, on every target

gigabyte: so many MB each way between the Linux kernel's TCP and smolmp over a TAP, through a
FaultInjector that loses, reorders, duplicates and corrupts in both directions; every octet is
compared: by SHA-256 what smolmp takes, page by page what it gives.
day: simulated hours of a busy small network whose hosts do everything at random, see
tools/sim/soak.py.

Both show how far they are, and write what they found to build/soak.jsonl.
"""

import argparse
import hashlib
import json
import os
import random
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import netlab  # noqa: E402

MB = 1000000
PORT = 5001
PAGE = 4096
FAULT = "drop=5,reorder=5,duplicate=1,corrupt=1"
TARGETS = ("unix64", "unix32")
PATIENCE = 180  # seconds without a single octet: stuck
SHOW = 10  # seconds between two words about the progress


def filling():
    """As soak_peer.py's."""
    text, octets = b"smolmp", b""
    while len(octets) < PAGE:
        text = hashlib.sha256(text).digest()
        octets += text
    return octets[4:PAGE]


def pages(first, count):
    """Octets of `count` pages from page `first` on."""
    end = filling()
    return b"".join([number.to_bytes(4, "big") + end for number in range(first, first + count)])


class Progress:
    def __init__(self, name, size):
        self.name, self.size = name, size
        self.start = self.shown = time.monotonic()

    def show(self, done, last=False):
        now = time.monotonic()
        if last or now - self.shown >= SHOW:
            self.shown = now
            rate = done / MB / max(now - self.start, 0.001)
            text = "%s: %d of %d MB, %.1f s, %.2f MB/s"
            print(text % (self.name, done // MB, self.size // MB, now - self.start, rate))
            sys.stdout.flush()


def upload(s, size, progress):
    """The kernel sends."""
    block = random.Random(size).randbytes(1 << 20)
    digest, sent = hashlib.sha256(), 0
    while sent < size:
        part = block[: size - sent]
        s.sendall(part)
        digest.update(part)
        sent += len(part)
        progress.show(sent)
    s.shutdown(socket.SHUT_WR)
    answer = b""
    while True:
        piece = s.recv(1000)
        if not piece:
            break
        answer += piece
    want = [str(size), digest.hexdigest()]
    if answer.decode().split() != want:
        raise netlab.Failed("sent %s, arrived %s" % (want, answer.decode().split()))


def download(s, size, progress):
    """The kernel receives."""
    buffer = bytearray(PAGE * 64)
    view = memoryview(buffer)
    got = filled = 0
    while True:
        n = s.recv_into(view[filled:])
        got += n
        filled += n
        progress.show(got)
        if filled == len(buffer) or not n:
            want = pages((got - filled) // PAGE, filled // PAGE + 1)
            if view[:filled] != want[:filled]:
                raise netlab.Failed("wrong octets between %d and %d" % (got - filled, got))
            filled = 0
        if not n:
            break
    if got != size:
        raise netlab.Failed("%d octets came, not %d" % (got, size))


def transfer(target, direction, size, fault, seed):
    """One connection; a dictionary of what it took. Failed when anything went wrong."""
    name = "%s, %s smolmp" % (target, direction)
    progress = Progress(name, size)
    with netlab.Namespace() as kernel:
        kernel.tap()
        program = kernel.micropython(
            *(target, "tools/soak_peer.py", "tap0"),
            "%s/%d" % (netlab.STACK_IP, netlab.PREFIX_LEN),
            "take" if direction == "to" else "give",
            *(PORT, size, "--fault", fault, "--seed", seed),
            log="soak-%s-%s.log" % (direction, target),
        )
        program.wait_line("^ready")
        kernel.settle("tap0")
        with kernel.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
            s.settimeout(PATIENCE)
            s.connect((netlab.STACK_IP, PORT))
            (upload if direction == "to" else download)(s, size, progress)
        progress.show(size, True)
        seconds = time.monotonic() - progress.start
        code = program.wait(300)
        if code:
            raise netlab.Failed("%s ended with %d:\n%s" % (name, code, program.output))
        report = {}
        for line in program.output.splitlines():
            words = line.rsplit(" ", 1)
            if len(words) == 2 and words[1].isdigit():
                report[words[0]] = int(words[1])
        faults_happened(name, fault, report)
    return {
        "what": "gigabyte",
        "target": target,
        "direction": direction,
        "size": size,
        "fault": fault,
        "seed": seed,
        "seconds": round(seconds, 1),
        "mbit": round(size * 8 / seconds / MB, 2),
        **report,
    }


def faults_happened(name, fault, report):
    """The wire was as bad as it should be: within a fifth, in both directions."""
    counters = {
        "drop": "dropped",
        "reorder": "reordered",
        "duplicate": "duplicated",
        "corrupt": "corrupted",
    }
    for part in fault.split(","):
        key, value = part.split("=")
        for way in ("in", "out"):
            if key in counters and report[way + " frames"] > 20000:
                share = report["%s %s" % (way, counters[key])] / report[way + " frames"] * 100
                if not 0.8 * float(value) < share < 1.2 * float(value):
                    raise netlab.Failed("%s: %s %s: %.2f %%" % (name, way, key, share))


def keep(result):
    path = os.path.join(netlab.BUILD, "soak.jsonl")
    os.makedirs(netlab.BUILD, exist_ok=True)
    result["when"] = time.strftime("%Y-%m-%d %H:%M:%S")
    with open(path, "a") as f:
        f.write(json.dumps(result) + "\n")


def gigabyte(targets, a):
    for target in targets:
        for direction in [a.direction] if a.direction else ["to", "from"]:
            result = transfer(target, direction, a.size * MB, a.fault, a.seed)
            keep(result)
            print(
                "ok: %s, %s smolmp: %d MB, every octet right, in %.0f s (%.1f Mbit/s)"
                % (target, direction, a.size, result["seconds"], result["mbit"])
            )


def day(targets, a):
    """Simulated hours, a process per target; what they print goes on with the target's name."""

    def run(target):
        with netlab.Namespace() as nowhere:
            command = [netlab.interpreter(target), "-X", "heapsize=32m", "tools/sim/soak.py"]
            command += ["--hours", a.hours, "--seed", a.seed]
            process = nowhere.popen(
                command,
                env={"MICROPYPATH": netlab.ROOT + ":.frozen"},
                cwd=netlab.ROOT,
                stdout=-1,
                stderr=-2,
                text=True,
            )
            start = time.monotonic()
            last = ""
            for line in process.stdout:
                last = line.rstrip()
                print("%s: %s" % (target, last), flush=True)
            if process.wait():
                raise netlab.Failed("day: failed on " + target)
            seconds = round(time.monotonic() - start, 1)
            result = {"what": "day", "target": target, "hours": a.hours, "seed": a.seed}
            keep({**result, "seconds": seconds, "summary": last})

    with ThreadPoolExecutor(len(targets)) as pool:
        runs = [pool.submit(run, target) for target in targets]
    for one in runs:
        one.result()  # raises what it raised


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("what", nargs="?", choices=("gigabyte", "day"))
    p.add_argument("--target", action="append", choices=TARGETS)
    p.add_argument("--size", type=int, default=1000, help="MB each way")
    p.add_argument("--direction", choices=("to", "from"))
    p.add_argument("--fault", default=FAULT)
    p.add_argument("--hours", type=float, default=24)
    p.add_argument("--seed", type=int, default=1)
    a = p.parse_args()
    targets = a.target or TARGETS
    try:
        netlab.enter()
        if a.what != "day":
            gigabyte(targets, a)
        if a.what != "gigabyte":
            day(targets, a)
    except (netlab.Failed, netlab.Unavailable, OSError) as e:
        sys.exit("soak: FAILED: %s" % e)


if __name__ == "__main__":
    main()
