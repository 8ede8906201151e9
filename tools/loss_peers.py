#!/usr/bin/env python3
"""smolmp's TCP and the Linux kernel's through the same bad wire: `make loss-peers`.

  loss_peers.py [--loss 0.1,1,3,10] [--rtt 1,20,100] [--buffer 64] [--seeds 3] [--secs 6]
                [--target unix64] [--jobs 9] [--out build/loss_peers.json] [--svg FILE]

Three connections per cell and seed, each alone on a wire of 100 Mbit/s with a queue of 64 KiB
(tools/wire.py), both ends with the same buffers, both with CUBIC:

  kernel -> kernel     the yardstick
  smolmp -> kernel     our recovery from loss
  kernel -> smolmp     our acknowledgements and SACKs

Goodput is what the receiver's program got (with smolmp as the receiver, and in the kernel's run
it is compared with: what was acknowledged) in `secs` seconds from when the connection was open; at
1 ms of round trip in a third of that, at 100 ms and more in twice as much. A ratio is the median
over the seeds of smolmp's by the median of the kernel's. The kernel's windows are clamped to the
buffer's size; its send buffer is larger, since it counts its own bookkeeping, too.

The cell that is judged, 1 % at 20 ms, gets three times the seeds; the exit status is 1 when smolmp
sends less than 0.8 of what the kernel does there.
"""

import argparse
import json
import math
import os
import socket
import statistics
import struct
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import netlab  # noqa: E402
import wire as wires  # noqa: E402

RATE = 12500  # octets per ms: 100 Mbit/s
QUEUE = 65536
PORT = 5001
NEAR, FAR = netlab.KERNEL_IP, netlab.STACK_IP
RUNS = ("kernel -> kernel", "smolmp -> kernel", "kernel -> smolmp")
BLOCK = bytes(range(256)) * 256
JUDGED, BAR = (1, 20), 0.8
_SO_SNDBUFFORCE, _SO_RCVBUFFORCE = 32, 33
_TCPI_BYTES_ACKED, _TCPI_RETRANS = 120, 100  # where they stand in struct tcp_info


class Kernel:
    """A host of Linux's own at one end of the wire."""

    def __init__(self, address):
        self.space = netlab.Namespace()
        self.space.tap("tap0", "%s/%d" % (address, netlab.PREFIX_LEN))
        self.fd = self.space.open_tap()
        self.space.settle("tap0")

    def socket(self, buffer):
        s = self.space.socket(socket.AF_INET, socket.SOCK_STREAM)
        s.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 2 * buffer)
        s.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, 2 * buffer)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_WINDOW_CLAMP, buffer)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"cubic")
        s.settimeout(30)
        return s

    def close(self):
        os.close(self.fd)
        self.space.close()


def clamp(s, size):
    """Hold the window to `size`, once the first segments have come: until then the kernel guesses
    what a segment's bookkeeping costs, and forgets the clamp when it knows."""

    def later():
        time.sleep(0.3)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_WINDOW_CLAMP, size)

    threading.Thread(target=later).start()


def tcp_info(s):
    """(octets acknowledged, segments sent again)"""
    info = s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    return (
        struct.unpack_from("Q", info, _TCPI_BYTES_ACKED)[0],
        struct.unpack_from("I", info, _TCPI_RETRANS)[0],
    )


def pour(s, stop):
    """Sends until told to stop or the peer goes."""
    try:
        while not stop.is_set():
            s.send(BLOCK)
    except OSError:
        pass


def drain(s, seconds):
    """Octets received within `seconds`."""
    got = 0
    end = time.monotonic() + seconds
    buffer = bytearray(1 << 18)
    while True:
        left = end - time.monotonic()
        if left <= 0:
            return got
        s.settimeout(left)
        try:
            n = s.recv_into(buffer)
        except TimeoutError:
            return got
        if not n:
            raise netlab.Failed("the stream ended after %d octets" % got)
        got += n


def measure(run, loss, rtt, buffer, seed, secs, target, capture=None):
    """A dictionary: received, acked (octets, where known), retransmitted, what the wire did."""
    closing = []
    try:
        near = Kernel(NEAR)
        closing.append(near.close)
        if run == "kernel -> kernel":
            far = Kernel(FAR)
            closing.append(far.close)
            fd = far.fd
        else:
            inner, outer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            closing += [inner.close, outer.close]
            fd = outer.fileno()
        # The sender's end first: then the same seed loses the same data segments in all runs.
        ends = (near.fd, fd) if run == "kernel -> smolmp" else (fd, near.fd)
        if capture:
            near.space.capture("tap0", capture, 128)
        wire = near.space.popen(
            [sys.executable, os.path.join(HERE, "wire.py"), *ends]
            + ["--delay", rtt * 500, "--rate", RATE, "--queue", QUEUE]
            + ["--loss", loss, "--seed", seed],
            pass_fds=(near.fd, fd),
            stdout=-1,
            text=True,
        )
        closing.append(lambda: netlab.end(wire))
        wire.stdout.readline()
        size = buffer * 1024
        result = {}
        if run == "kernel -> kernel":
            with far.socket(size) as listener:
                listener.bind((FAR, PORT))
                listener.listen(1)
                with near.socket(size) as receiver:
                    receiver.connect((FAR, PORT))
                    sender, _ = listener.accept()
                    with sender:
                        clamp(receiver, size)
                        result["received"] = flow(sender, receiver, secs)
                        result["acked"], result["retransmitted"] = tcp_info(sender)
        else:
            mode = "source" if run == "smolmp -> kernel" else "sink"
            options = ["--fd", inner.fileno(), "--mtu", 1500, "--rx", size, "--tx", size]
            address = "%s/%d" % (FAR, netlab.PREFIX_LEN)
            program = near.space.micropython(
                *(target, "ports/unix/programs/peer.py", "wire", address, mode, PORT, *options),
                fds=(inner.fileno(),),
                log="loss-peers-%s-%g-%d-%d-%d.log" % (mode, loss, rtt, buffer, seed),
            )
            closing.append(program.stop)
            program.wait_line("^ready")
            wires.urgent(program.pid)
            with near.socket(size) as s:
                s.connect((FAR, PORT))
                if mode == "source":
                    clamp(s, size)
                    result["received"] = drain(s, secs)
                else:
                    flow(s, None, secs)
                    result["acked"], result["retransmitted"] = tcp_info(s)
            if not program.alive():
                raise netlab.Failed("smolmp ended:\n" + program.output)
        wire.terminate()
        words = [int(word) for word in wire.stdout.readline().split()]
        result["wire"] = words
        return result
    finally:
        for close in reversed(closing):
            close()


def flow(sender, receiver, secs):
    """Data flows for so long: what arrived at the kernel's receiver, if there is one."""
    stop = threading.Event()
    thread = threading.Thread(target=pour, args=(sender, stop))
    thread.start()
    try:
        if receiver:
            return drain(receiver, secs)
        time.sleep(secs)
    finally:
        stop.set()
        sender.settimeout(0.001)
        try:
            sender.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        thread.join()


def mbit(octets, secs):
    return octets * 8 / secs / 1e6


def cell(results, secs):
    """Goodputs and ratios of one cell: {run: [result per seed]}."""

    def median(run, key):
        return mbit(statistics.median([r[key] for r in results[run]]), secs)

    yard, send, take = RUNS
    out = {
        "kernel": median(yard, "received"),
        "kernel_acked": median(yard, "acked"),
        "smolmp_sends": median(send, "received"),
        "smolmp_receives": median(take, "acked"),
        "runs": results,
    }
    out["send_ratio"] = out["smolmp_sends"] / out["kernel"]
    out["receive_ratio"] = out["smolmp_receives"] / out["kernel_acked"]
    return out


HEAD = ("loss %", "rtt ms", "KiB", "kernel", "smolmp sends", "ratio", "receives", "ratio")
COLOURS = (
    ("kernel", "#b8c4ce", "kernel to kernel"),
    ("smolmp_sends", "#e08e45", "smolmp to kernel"),
    ("smolmp_receives", "#1f6f8b", "kernel to smolmp"),
)
_FLOOR, _DECADES = 0.1, 3  # Mbit/s, the plots' lowest; 100 at the top


def svg(cells):
    """A plot per round-trip time and buffer: goodput (logarithmic) over loss, a line per run."""
    width, height, top = 240, 220, 40
    panels = sorted({(c["buffer"], c["rtt"]) for c in cells})
    losses = sorted({c["loss"] for c in cells})
    step = width / max(len(losses) - 1, 1)
    out = [
        '<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="310" font-family="sans-serif"'
        ' font-size="12"><rect width="100%%" height="100%%" fill="white"/>'
        % (60 + len(panels) * (width + 25)),
        '<text x="10" y="18" font-weight="bold">Goodput over loss, 100 Mbit/s wire, beside the'
        " kernel's TCP</text>",
    ]
    for i, (buffer, rtt) in enumerate(panels):
        left = 50 + i * (width + 25)
        title = '<text x="%d" y="%d">rtt %d ms, %d KiB</text>'
        out.append(title % (left, top - 6, rtt, buffer))
        for decade in range(_DECADES + 1):
            y = top + height - height * decade // _DECADES
            out.append('<path d="M%d %dh%d" stroke="#ddd"/>' % (left, y, width))
            if i == 0:
                name = "%g" % (_FLOOR * 10**decade)
                out.append('<text x="44" y="%d" text-anchor="end">%s</text>' % (y + 4, name))
        for j, loss in enumerate(losses):
            text = '<text x="%d" y="%d" text-anchor="middle">%g %%</text>'
            out.append(text % (left + step * j, top + height + 16, loss))
        for key, colour, _ in COLOURS:
            points = []
            for c in cells:
                if (c["buffer"], c["rtt"]) == (buffer, rtt):
                    high = math.log10(max(c[key], _FLOOR) / _FLOOR) / _DECADES
                    x = left + step * losses.index(c["loss"])
                    points.append("%d,%.1f" % (x, top + height - height * high))
            line = '<polyline fill="none" stroke-width="2" stroke="%s" points="%s"/>'
            out.append(line % (colour, " ".join(points)))
    for i, (_, colour, name) in enumerate(COLOURS):
        out.append('<text x="%d" y="300" fill="%s">%s</text>' % (60 + 140 * i, colour, name))
    out.append('<text x="490" y="300">Mbit/s</text></svg>\n')
    return "\n".join(out)


def numbers(text, kind):
    return [kind(word) for word in text.split(",")]


def span(secs, rtt):
    return secs / 3 if rtt <= 1 else secs * 2 if rtt >= 100 else secs


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--loss", default="0.1,1,3,10", type=lambda t: numbers(t, float))
    p.add_argument("--rtt", default="1,20,100", type=lambda t: numbers(t, int))
    p.add_argument("--buffer", default="64", type=lambda t: numbers(t, int))
    p.add_argument("--seeds", type=int, default=3)
    p.add_argument("--first", type=int, default=1, help="the first seed")
    p.add_argument("--secs", type=float, default=6)
    p.add_argument("--target", default="unix64")
    p.add_argument("--jobs", type=int, default=9, help="connections at a time (rtt 1 ms: 1)")
    p.add_argument("--out", default=os.path.join(netlab.BUILD, "loss_peers.json"))
    p.add_argument("--svg")
    p.add_argument("--capture", help="write FILE-RUN.pcap, of the last seed")
    return p.parse_args()


def run_cell(a, loss, rtt, buffer):
    secs = span(a.secs, rtt)

    def one(run, seed):
        capture = a.capture and "%s-%s.pcap" % (a.capture, run.replace(" ", ""))
        return measure(run, loss, rtt, buffer, seed, secs, a.target, capture)

    with ThreadPoolExecutor(a.jobs if rtt > 1 else 1) as pool:
        seeds = range(a.first, a.first + (3 * a.seeds if (loss, rtt) == JUDGED else a.seeds))
        asked = {run: [pool.submit(one, run, seed) for seed in seeds] for run in RUNS}
        results = {run: [f.result() for f in asked[run]] for run in RUNS}
    return {"loss": loss, "rtt": rtt, "buffer": buffer, "secs": secs, **cell(results, secs)}


def main():
    a = arguments()
    try:
        netlab.enter()
    except netlab.Unavailable as e:
        sys.exit(str(e))
    print("%7s %7s %5s %9s %13s %7s %9s %7s   Mbit/s" % HEAD)
    cells = []
    keys = ("kernel", "smolmp_sends", "send_ratio", "smolmp_receives", "receive_ratio")
    for buffer in a.buffer:
        for rtt in a.rtt:
            for loss in a.loss:
                c = run_cell(a, loss, rtt, buffer)
                cells.append(c)
                row = (loss, rtt, buffer, *[c[key] for key in keys])
                print("%7g %7d %5d %9.3f %13.3f %7.2f %9.3f %7.2f" % row, flush=True)
    with open(a.out, "w") as f:
        json.dump({"target": a.target, "cells": cells}, f, indent=1)
    if a.svg:
        with open(a.svg, "w") as f:
            f.write(svg(cells))
    for c in cells:
        if (c["loss"], c["rtt"]) == JUDGED and c["send_ratio"] < BAR:
            sys.exit(
                "loss-peers: %.2f of the kernel's goodput at 1 %% and 20 ms" % c["send_ratio"]
            )


if __name__ == "__main__":
    main()
