#!/usr/bin/env python3
"""make bench: smolmp, lwIP and PyTCP side by side over TAPs, in one run; rounds are the outer
loop.

  compare.py [--rounds 3] [--secs 2] [--only smolmp,lwip-64k] [--modes echo,udpecho]

Prints a table with ratios to lwIP in MicroPython's sizes, and writes build/bench.json (medians:
{stack: {receive_mbit, send_mbit, tcp_echo, udp_echo, ...}}), build/bench.svg and, for report.py,
every measurement (build/bench.jsonl). The rows:

- `smolmp`, `smolmp-i386`: peer.py as it is. It stays awake where frames follow each other closely
  (ports/unix/awake.py), and pays with processor time: *_cpu_us is what an echo took of it, what
  the kernel did for the stack included.
- `smolmp-sleeping`: it goes to sleep at once after each answer, as lwIP does (--sleep).
- `smolmp-busy-poll`: it never sleeps within a talk (--spin).
- `smolmp-offload`, `smolmp-offload-i386`: peer.py --offload, on a TAP whose kernel leaves
  checksums out and moves up to 64 KiB of a connection per read and write (ports/unix/offload.py),
  as it does for virtual machines. No other row has that, lwIP's neither: it tells what a program
  gets, while `smolmp` beside it, frame by frame, tells what the stacks do.
- `smolmp-sockets`, `smolmp-asyncio`: echo servers as programs have them, of smolmp.net's sockets
  that block and of asyncio's streams (net_peer.py).
- `bare-tap`: a MicroPython loop that only reads, or only writes, full frames: nobody in
  MicroPython can be faster.
- `c-reflector`: a C program that swaps the addresses of a frame and sends it back: no stack that
  sleeps answers sooner; `c-reflector-spin` never sleeps, the ceiling of `smolmp-busy-poll`.

The *_spin figures are those of a client that looks for the answer instead of sleeping, so that
what the stack takes counts and not the client's waking up.
"""

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys

import bench
import netlab
import rivals

JSON = os.path.join(netlab.BUILD, "bench.json")
LINES = os.path.join(netlab.BUILD, "bench.jsonl")
PLOT = os.path.join(netlab.BUILD, "bench.svg")
NET_PEER = os.path.join(bench.HERE, "net_peer.py")
BASE = "lwip-mpy-sizes"
FIGURES = (  # name in bench.json, probe's mode, its field, heading
    ("receive_mbit", "sink", "mbit_s", "receive Mbit/s"),
    ("send_mbit", "source", "mbit_s", "send Mbit/s"),
    ("tcp_echo", "echo", "trips_s", "TCP echo /s"),
    ("udp_echo", "udpecho", "trips_s", "UDP echo /s"),
    ("tcp_echo_cpu_us", "echo", "trip_cpu_us", "TCP CPU us"),
    ("udp_echo_cpu_us", "udpecho", "trip_cpu_us", "UDP CPU us"),
    ("tcp_echo_spin", "echo-spin", "trips_s", "TCP, client spins /s"),
    ("udp_echo_spin", "udpecho-spin", "trips_s", "UDP, client spins /s"),
    ("ping_us", "icmp", "p50_us", "ping us"),
)
FRAME_BITS = 1514 * 8
SPIN_US = 1000  # of the busy-poll row


def smolmp():
    """Our rows: Debian's MicroPython on amd64 and i386; sleeping at once; never sleeping."""
    rows = []
    for name, target, how in (
        ("smolmp", "unix64", ""),
        ("smolmp-i386", "unix32", ""),
        ("smolmp-sleeping", "unix64", "--sleep"),
        ("smolmp-i386-sleeping", "unix32", "--sleep"),
        ("smolmp-busy-poll", "unix64", "--spin %d" % SPIN_US),
        ("smolmp-offload", "unix64", "--offload"),
        ("smolmp-offload-i386", "unix32", "--offload"),
    ):
        command = [netlab.interpreter(target), "-X", "heapsize=16m", bench.PEER]
        line = "%s {tap} {ip}/{plen} {mode} {port} {sizes} %s" % (shlex.join(command), how)
        rows.append({"name": name, "cmd": line, "offload": how == "--offload"})
    modes = ["echo", "udpecho", "echo-spin", "udpecho-spin"]
    rows[3]["modes"] = modes  # what a talk costs asleep
    command = [netlab.interpreter("unix64"), "-X", "heapsize=16m", NET_PEER]
    line = shlex.join(command) + " {tap} {ip}/{plen} {mode} {port}"
    rows.append({"name": "smolmp-sockets", "cmd": line, "modes": modes})
    rows.append({"name": "smolmp-asyncio", "cmd": line + " asyncio", "modes": modes[::2]})
    return rows


def medians(lines):
    """{stack: {figure: median}} of bench.py's measurements, errors left out."""
    table = {}
    for name, mode, field, _ in FIGURES:
        for stack in dict.fromkeys(line["stack"] for line in lines):
            values = [
                line[field]
                for line in lines
                if line["stack"] == stack and line["mode"] == mode and field in line
            ]
            if values:
                table.setdefault(stack, {})[name] = round(statistics.median(values), 1)
    return table


def bare_tap(lines):
    """The ceiling, of rawrate.py's lines: {receive_mbit, send_mbit}."""
    row = {}
    for name, what in (
        ("receive_mbit", "unix64 ffi read, queue kept full"),
        ("send_mbit", "unix64 write"),
    ):
        rates = [r["frames_s"] for r in lines if r.get("what") == what and r.get("len") == 1514]
        if rates:
            row[name] = round(statistics.median(rates) * FRAME_BITS / 1e6, 1)
    return row


def text(table):
    """The table that people read: a figure, and how many times lwIP's it is."""
    base = table.get(BASE, {})
    head = ["stack"] + [heading for *_, heading in FIGURES]
    rows = [head]
    for stack, figures in table.items():
        row = [stack]
        for name, *_ in FIGURES:
            value = figures.get(name)
            if value is None:
                row.append("-")
            elif base.get(name):
                row.append("%.0f (%.2f)" % (value, value / base[name]))
            else:
                row.append("%.0f" % value)
        rows.append(row)
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines = ["  ".join(cell.rjust(w) for cell, w in zip(row, widths)) for row in rows]
    return "\n".join(lines) + "\n(in brackets: times %s in this run)\n" % BASE


def ceilings(table):
    """How near the stack that never sleeps comes to a program without a stack that never does."""
    ours, none, base = [table.get(x, {}) for x in ("smolmp-busy-poll", "c-reflector-spin", BASE)]
    lines = []
    for name, client in (("udp_echo", "that sleeps"), ("udp_echo_spin", "that spins")):
        if ours.get(name) and none.get(name) and base.get(name):
            ratios = [x / base[name] for x in (ours[name], none[name])] + [ours[name] / none[name]]
            line = (
                "UDP, to a client %s: smolmp-busy-poll %.2f, no stack at all %.2f times %s: %.2f\n"
            )
            lines.append(line % (client, ratios[0], ratios[1], BASE, ratios[2]))
    return "".join(lines)


def plot(table):
    """Bars of what every stack receives and sends, as SVG."""
    bars = []
    for name, label, colour in (
        ("receive_mbit", "receives", "#1f6f8b"),
        ("send_mbit", "sends", "#e08e45"),
    ):
        for stack, figures in table.items():
            if name in figures:
                bars.append(("%s %s" % (stack, label), figures[name], colour))
    most = max(value for _, value, _ in bars)
    out = [
        '<svg xmlns="http://www.w3.org/2000/svg" width="800" height="%d"'
        ' font-family="sans-serif" font-size="13">' % (26 * len(bars) + 44),
        '<rect width="100%" height="100%" fill="white"/>',
        '<text x="10" y="20" font-weight="bold">TCP over a TAP, Mbit/s</text>',
    ]
    for i, (label, value, colour) in enumerate(bars):
        y = 34 + 26 * i
        width = 480 * value / most
        out.append('<text x="222" y="%d" text-anchor="end">%s</text>' % (y + 15, label))
        out.append(
            '<rect x="230" y="%d" width="%.1f" height="20" fill="%s"/>' % (y, width, colour)
        )
        out.append('<text x="%.1f" y="%d">%.0f</text>' % (236 + width, y + 15, value))
    return "\n".join(out) + "\n</svg>\n"


def main():
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--secs", type=float, default=2)
    p.add_argument("--only", default="", help="these stacks, separated by commas")
    modes = ",".join(dict.fromkeys(mode for _, mode, *_ in FIGURES))
    p.add_argument("--modes", default=modes, help="these measurements of " + modes)
    a = p.parse_args()
    only = [name for name in a.only.split(",") if name]
    try:
        netlab.enter()
        stacks = [s for s in smolmp() + rivals.stacks() if not only or s["name"] in only]
    except netlab.Unavailable as error:
        sys.exit(str(error))
    if os.path.exists(LINES):
        os.unlink(LINES)
    options = [
        "--targets",
        "",
        "--modes",
        a.modes,
        "--rounds",
        str(a.rounds),
        "--secs",
        str(a.secs),
    ]
    options += ["--trip-secs", str(a.secs / 2), "--out", LINES]
    good = bench.main(options, stacks)
    with open(LINES) as f:
        lines = [json.loads(line) for line in f]
    table = {}
    if not only or "bare-tap" in only:
        raw = os.path.join(netlab.BUILD, "rawrate.jsonl")
        if os.path.exists(raw):
            os.unlink(raw)
        script = os.path.join(bench.HERE, "rawrate.py")
        size = ["--secs", "1", "--len", "1514", "--rounds", "1"]
        done = subprocess.run([sys.executable, script, *size], stdout=subprocess.DEVNULL)
        if done.returncode == 0:
            with open(raw) as f:
                table["bare-tap"] = bare_tap([json.loads(line) for line in f])
    table.update(medians(lines))
    with open(JSON, "w") as f:
        json.dump(table, f, indent=1)
        f.write("\n")
    written = [JSON]
    if any("receive_mbit" in row or "send_mbit" in row for row in table.values()):
        written.append(PLOT)
        with open(PLOT, "w") as f:
            f.write(plot(table))
    print("\n" + text(table) + ceilings(table))
    print("written: " + ", ".join(os.path.relpath(path, netlab.ROOT) for path in written))
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
