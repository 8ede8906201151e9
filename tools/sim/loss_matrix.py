"""Goodput over loss, round-trip time and buffer, in simulated time. Runs inside MicroPython:

    MICROPYPATH=.:.frozen micropython -X heapsize=16m tools/sim/loss_matrix.py [--write FILE]
        [--svg FILE]

Each cell is one stream of at most 8 MB or 60 s over a wire of 100 Mbit/s whose queue holds 64 KiB;
data and ACKs are lost alike. The figures are those of the seeds: exact, on every target.
--write keeps the table as a snapshot (tests/unit/tcp/loss_matrix.txt is the one that is tested),
--svg draws it.
"""

import sys

from tools.sim.network import SECOND, Bulk, Network

LOSS = (0, 10, 100, 300, 1000)  # hundredths of a percent
RTT = (1, 20, 100)  # ms
BUFFER = (4, 64, 256)  # KiB
RATE = 12500  # octets per ms: 100 Mbit/s
QUEUE = 65536
SIZE = 8000000
TIME = 60 * SECOND
HEADER = "loss %  rtt ms  KiB   Mbit/s"


def cell(loss, rtt, buffer):
    """Goodput in kbit/s."""
    net = Network()
    a = net.host("10.0.0.1", seed=1, clock=(1 << 30) - 3000)
    b = net.host("10.0.0.2", seed=2, clock=(1 << 30) - 7000)
    net.join(a, b, seed=3, rate=RATE, delay=rtt * 500, queue=QUEUE, loss=loss)
    bulk = Bulk(a, b, 1, SIZE, buffer * 1024)
    net.run(TIME, bulk.finished)
    got = bulk.receiver.got
    assert bulk.finished() == (got == SIZE), "the stream ended after %d octets" % got
    return got * 8 // (net.now // 1000)


def line(loss, rtt, buffer, kbit):
    percent = "%d.%d" % (loss // 100, loss // 10 % 10)
    mbit = "%d.%03d" % (kbit // 1000, kbit % 1000)
    return "%6s  %6d  %3d  %7s" % (percent, rtt, buffer, mbit)


def parse(text):
    """A snapshot's {(loss, rtt, buffer): kbit/s}."""
    cells = {}
    for row in text.split("\n")[1:]:
        if row:
            loss, rtt, buffer, mbit = row.split()
            whole, tenths = loss.split(".")
            key = int(whole) * 100 + int(tenths) * 10, int(rtt), int(buffer)
            cells[key] = int(mbit.replace(".", ""))
    return cells


COLOURS = {4: "#b8c4ce", 64: "#1f6f8b", 256: "#e08e45"}
_FLOOR = 10  # kbit/s, the plots' lowest


def svg(cells):
    """Three plots, one per round-trip time: goodput (logarithmic) over loss, a line per buffer."""
    import math

    width, height, top = 240, 220, 40
    out = [
        '<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif"'
        ' font-size="12"><rect width="100%%" height="100%%" fill="white"/>' % (840, 310),
        '<text x="10" y="18" font-weight="bold">Goodput over loss, 100 Mbit/s wire</text>',
    ]
    for i, rtt in enumerate(RTT):
        left = 50 + i * (width + 25)
        out.append('<text x="%d" y="%d">rtt %d ms</text>' % (left, top - 6, rtt))
        for power in range(1, 6):
            y = top + height - height * (power - 1) // 4
            out.append('<path d="M%d %dh%d" stroke="#ddd"/>' % (left, y, width))
            if i == 0:
                name = "%g" % (10**power / 1000)
                out.append('<text x="44" y="%d" text-anchor="end">%s</text>' % (y + 4, name))
        for j, loss in enumerate(LOSS):
            x = left + width * j // (len(LOSS) - 1)
            out.append(
                '<text x="%d" y="%d" text-anchor="middle">%g %%</text>'
                % (x, top + height + 16, loss / 100)
            )
        for buffer in BUFFER:
            points = []
            for j, loss in enumerate(LOSS):
                value = max(cells[loss, rtt, buffer], _FLOOR)
                y = top + height - height * math.log(value / _FLOOR) / math.log(10000)
                points.append("%d,%.1f" % (left + width * j // (len(LOSS) - 1), y))
            out.append(
                '<polyline fill="none" stroke-width="2" stroke="%s" points="%s"/>'
                % (COLOURS[buffer], " ".join(points))
            )
    for i, buffer in enumerate(BUFFER):
        out.append(
            '<text x="%d" y="300" fill="%s">%d KiB</text>' % (60 + 80 * i, COLOURS[buffer], buffer)
        )
    out.append('<text x="320" y="300">Mbit/s</text></svg>\n')
    return "\n".join(out)


def main(arguments):
    files = {}
    while arguments:
        if len(arguments) < 2 or arguments[0] not in ("--write", "--svg"):
            print("loss_matrix.py [--write FILE] [--svg FILE]")
            return 2
        files[arguments[0]] = arguments[1]
        arguments = arguments[2:]
    rows = [HEADER]
    cells = {}
    print(HEADER)
    for rtt in RTT:
        for buffer in BUFFER:
            for loss in LOSS:
                cells[loss, rtt, buffer] = cell(loss, rtt, buffer)
                rows.append(line(loss, rtt, buffer, cells[loss, rtt, buffer]))
                print(rows[-1])
    if "--write" in files:
        with open(files["--write"], "w") as f:
            f.write("\n".join(rows) + "\n")
    if "--svg" in files:
        with open(files["--svg"], "w") as f:
            f.write(svg(cells))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
