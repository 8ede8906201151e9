#!/usr/bin/env python3
"""report.py [RESULTS.jsonl ...] [--max-foreign 0.25]: markdown tables of what bench.py measured
(build/bench.jsonl): median [least-most].  Runs during which other processes took more than that
many cores are left out, unless there is no other ("!" marks it)."""

import argparse
import collections
import json
import os
import statistics

COLUMNS = [
    ("sink", "mbit_s", "receive, Mbit/s"),
    ("source", "mbit_s", "send, Mbit/s"),
    ("echo", "trips_s", "TCP echo /s"),
    ("udpecho", "trips_s", "UDP echo /s"),
    ("echo-spin", "trips_s", "TCP, client spins /s"),
    ("udpecho-spin", "trips_s", "UDP, client spins /s"),
    ("icmp", "p50_us", "ping, median us"),
    ("crr", "trips_s", "connections/s"),
]
BUILD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "build")


def number(x):
    return "%.0f" % x if x >= 100 else "%.1f" % x if x >= 10 else "%.2f" % x


def cell(rows, key, limit):
    good = [r for r in rows if "error" not in r and key in r]
    if not good:
        return rows[-1].get("error", "?")[:30] if rows else "-"
    quiet = [r for r in good if r.get("foreign_cpu", 0) <= limit]
    v = [r[key] for r in quiet or good]
    mark = "" if quiet else " !"
    return "%s [%s-%s]%s" % (number(statistics.median(v)), number(min(v)), number(max(v)), mark)


def table(head, rows):
    print("| " + " | ".join(head) + " |")
    print("|---" * len(head) + "|")
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print()


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("files", nargs="*", default=[os.path.join(BUILD, "bench.jsonl")])
    p.add_argument("--max-foreign", type=float, default=0.25)
    a = p.parse_args()
    by = collections.OrderedDict()
    for path in a.files:
        with open(path) as f:
            for line in f:
                r = json.loads(line)
                modes = by.setdefault(r["stack"], collections.defaultdict(list))
                modes[r["mode"]].append(r)
    columns = [c for c in COLUMNS if any(c[0] in modes for modes in by.values())]
    rows = []
    for name, modes in by.items():
        rss = [r["peak_rss_kib"] for rs in modes.values() for r in rs if r.get("peak_rss_kib")]
        cells = [cell(modes.get(m, []), key, a.max_foreign) for m, key, _ in columns]
        rows.append([name, *cells, "%.1f" % (max(rss) / 1024) if rss else "-"])
    table(["stack", *[c[2] for c in columns], "peak RSS, MiB"], rows)

    rows = []
    for name, modes in by.items():
        for mode in ("sink", "source"):
            good = [r for r in modes.get(mode, []) if "error" not in r]
            good = [r for r in good if r.get("foreign_cpu", 0) <= a.max_foreign] or good
            if not good:
                continue

            def median(key, good=good):
                return statistics.median(r.get(key) or 0 for r in good)

            frames = median("frames_to_stack_s") + median("frames_from_stack_s")
            each = "%.2f" % (median("stack_cpu") * 1e6 / frames) if frames else "-"
            rows.append(
                [
                    name,
                    mode,
                    "%.0f" % median("frames_to_stack_s"),
                    "%.0f" % median("frames_from_stack_s"),
                    "%.2f" % median("stack_cpu"),
                    each,
                    "%d" % median("retrans"),
                ]
            )
    head = ["stack", "mode", "frames to stack /s", "from stack /s", "stack CPU, cores"]
    table([*head, "us of stack CPU per frame", "retransmitted"], rows)

    bad = {
        (name, mode, r.get("error") or "wrong data")
        for name, modes in by.items()
        for mode, rs in modes.items()
        for r in rs
        if "error" in r or r.get("ok") is False
    }
    for line in sorted(bad):
        print("- ERROR: %s, %s: %s" % line)


main()
