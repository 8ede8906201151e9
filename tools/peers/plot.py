#!/usr/bin/env python3
"""plot.py [--out build/performance.svg]: smolmp's TCP beside a bare TAP read/write loop, frames a
second, from build/bench.jsonl (bench.py) and build/rawrate.jsonl (rawrate.py) of one session."""

import argparse
import json
import os
import statistics

BUILD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "build")
BARS = (  # label, file, key to select by, its value, field, colour
    ("bare read, %s", "rawrate", "what", "%s read, queue kept full", "frames_s", "#b8c4ce"),
    ("smolmp receives TCP, %s", "bench", "sink", "smolmp %s", "frames_to_stack_s", "#1f6f8b"),
    ("bare write, %s", "rawrate", "what", "%s write", "frames_s", "#b8c4ce"),
    ("smolmp sends TCP, %s", "bench", "source", "smolmp %s", "frames_from_stack_s", "#e08e45"),
)
ROW, LEFT, WIDTH = 26, 250, 460


def rows(name):
    with open(os.path.join(BUILD, name + ".jsonl")) as f:
        return [json.loads(line) for line in f]


def median(results, label, key, value, field):
    if key == "what":
        found = [r[field] for r in results if r.get("what") == value and r.get("len") == 1514]
    else:
        found = [r[field] for r in results if r["mode"] == key and r["stack"] == value]
    if not found:
        raise SystemExit("nothing measured for %r: run bench.py and rawrate.py first" % label)
    return statistics.median(found)


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--out", default=os.path.join(BUILD, "performance.svg"))
    a = p.parse_args()
    results = {name: rows(name) for name in ("bench", "rawrate")}
    bars = []
    for target in ("unix64", "unix32"):
        for label, name, key, value, field, colour in BARS:
            value = value % target
            n = median(results[name], label % target, key, value, field)
            bars.append((label % target, n, colour))
    most = max(n for _, n, _ in bars)
    height = ROW * len(bars) + 50
    out = [
        '<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif"'
        ' font-size="13">' % (LEFT + WIDTH + 70, height),
        '<rect width="100%" height="100%" fill="white"/>',
        '<text x="10" y="20" font-weight="bold">Full frames a second, thousands, one core</text>',
    ]
    for i, (label, n, colour) in enumerate(bars):
        y = 36 + i * ROW
        out.append('<text x="%d" y="%d" text-anchor="end">%s</text>' % (LEFT - 8, y + 15, label))
        width = n / most * WIDTH
        out.append(
            '<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>'
            % (LEFT, y, width, ROW - 6, colour)
        )
        out.append('<text x="%.1f" y="%d">%.0f</text>' % (LEFT + width + 6, y + 15, n / 1000))
    out.append("</svg>\n")
    with open(a.out, "w") as f:
        f.write("\n".join(out))
    print(a.out)


if __name__ == "__main__":
    main()
