#!/usr/bin/env python3
"""make profile: where each microsecond goes. Runs parts.py inside MicroPython and prints what a
received and a sent segment, a TCP and a UDP echo, a ping and an idle poll cost, in parts.

  table.py [--targets unix64,unix32] [--only echo] [--runs 3] [--markdown]

Everything happens in memory, with frames that are the same every time; a figure is the least of
several runs, in microseconds. --only: groups that hold this text. Also writes build/profile.json.
"""

import argparse
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

import netlab  # noqa: E402

PARTS = os.path.join(HERE, "parts.py")
JSON = os.path.join(netlab.BUILD, "profile.json")


def measure(target, only):
    """{(group, part): microseconds} of one run."""
    command = [netlab.interpreter(target), "-X", "heapsize=16m", PARTS, only]
    environment = dict(os.environ, MICROPYPATH=netlab.ROOT + ":.frozen")
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment)
    if done.returncode:
        sys.exit("table.py: parts.py failed on %s" % target)
    rows = {}
    for line in done.stdout.splitlines():
        group, part, figure = line.split(" | ")
        rows[group, part] = float(figure)
    return rows


def main():
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--targets", default="unix64,unix32")
    p.add_argument("--only", default="")
    p.add_argument("--runs", type=int, default=3)
    p.add_argument("--markdown", action="store_true", help="a table for docs/performance.md")
    a = p.parse_args()
    targets = a.targets.split(",")
    columns = []
    try:
        for target in targets:
            runs = [measure(target, a.only) for _ in range(a.runs)]
            columns.append({key: min(run[key] for run in runs) for key in runs[0]})
    except netlab.Unavailable as error:
        sys.exit(str(error))
    if not columns[0]:
        sys.exit("table.py: no such group: " + a.only)
    with open(JSON, "w") as f:
        table = [[*key, *(column[key] for column in columns)] for key in columns[0]]
        json.dump({"targets": targets, "rows": table}, f, indent=1)
    group = None
    for key in columns[0]:
        figures = ["%.2f" % column[key] for column in columns]
        if a.markdown:
            if group is None:
                print("| | | %s |\n|---|---|%s" % (" | ".join(targets), "---|" * len(targets)))
            print(
                "| %s | %s | %s |"
                % (key[0] if key[0] != group else "", key[1], " | ".join(figures))
            )
        else:
            if key[0] != group:
                print("\n%-48s%s" % (key[0], "".join(target.rjust(10) for target in targets)))
            print("  %-46s%s" % (key[1], "".join(figure.rjust(10) for figure in figures)))
        group = key[0]


if __name__ == "__main__":
    main()
