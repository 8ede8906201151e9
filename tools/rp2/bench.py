"""How fast smolmp is on a Pico with a W5500, emulated: RP2040 at 125 MHz, SPI at 31.25 MHz, misses
of the flash cache modelled. `make bench-rp2`.

    bench.py [--rows NAME,...] [--only NAME,...] [--json FILE]

The other end of the cable is smolmp, too, under CPython, and takes no time at all. Time is the
emulated chip's, so every run gives the same figures.

    receive_mbit, send_mbit   TCP payload, 8 KiB buffers, after slow start
    tcp_echo                  64 octets there and back, a second, one at a time
    ping_us                   64 octets of data, the median, from the first bit on the cable to the
                              last one of the answer
    segment_us                two full segments arrive while the board sleeps: from the edge of INT
                              to the SEND of the ACK that covers both, halved. So it holds all that
                              a segment costs, its share of waking up and of the ACK included.

There are six rows: "frozen", smolmp in the firmware; "resident", with its objects, too
(ports/rp2/resident.py); and "stock", MicroPython's own firmware and smolmp's .mpy files on the
flash, from which their functions run (ports/rp2/inplace.py); each of them also with what is hot
copied to RAM ("frozen-hot" ...; ports/rp2/hot.py). In the file, the figures of the first one stand
in front, those of all under "rows".

The table tells in whose code that time passes: the program counter is looked at each half
microsecond. What the interpreter and the runtime do is put down to who called them last.
"""

import argparse
import bisect
import collections
import json
import statistics
import struct
from pathlib import Path

import installed
from ethernet import Ethernet
from peer import Peer

import pico as emulator
from smolmp.socket import tcp

HERE = Path(__file__).resolve().parent
ROOT = emulator.ROOT
BOARD = "192.168.69.1"
OURS = bytes.fromhex("020000000064")
THEIRS = bytes.fromhex("020000000001")
SAMPLE = 504  # ns, no multiple of a loop's length
LONGEST = 2048  # octets of a function's code
ROWS = ("frozen-hot", "frozen", "stock-hot", "stock", "resident-hot", "resident")

# Whose code: the first that fits. What fits none is "the rest of the walk".
KINDS = (
    ("SPI: registers, DMA and waiting for it", ("ports.rp2.bus.",)),
    ("driver, in Python", ("W5500.",)),
    ("copy and checksum", ("ports.rp2.kernels.", "smolmp.storage.", ".checksum")),
    ("parse, check, place (one kernel)", (".lane", "smolmp.wire.", ".classify", ".predict")),
    ("ACK: build and send", ("transmit.", ".emit", ".announce", "Interface.send", ".next_hop")),
    ("TCP's state", ("smolmp.socket.tcp.", "smolmp.socket.", "Express.", "Socket", "Demux")),
    ("the walk", ("smolmp.iface.", "Interface.", "smolmp.counters.")),
)


class Bench:
    """A board that serves tools/rp2/bench_board.py, and its peer. kind: installed.KINDS."""

    def __init__(self, kind, hot):
        files = {"main.py": (HERE / "bench_board.py").read_bytes()}
        if hot:
            files["hot"] = b""
        self.pico = installed.board(kind, files, xip_miss=emulator.XIP_MISS)
        self.port = Ethernet(self.pico)
        self.pico.boot()
        text = self.pico.wait_for(b"ready").decode()
        self.hot = int(text.split("hot ")[1].split()[0]) if hot else 0
        self.free = int(self.pico.wait_for(b"\n").split()[-1])
        self.symbols = symbols(text)
        self.peer = Peer(self.port, "192.168.69.100/24", announce=False)
        self.port.on_frame, self._arrived = self._heard, self.port.on_frame
        self.watch = None
        self.buffer = bytearray(65536)
        self.data = bytes(range(256)) * 256
        self.connected = None

    def _heard(self, frame):
        if self.watch:
            self.watch(frame)
        self._arrived(frame)

    def connect(self, what):
        """A connection on which the board does `what`."""
        sockets = self.peer.sockets
        if self.connected is not None:
            self.connected.abort()
            self.peer.poll()
            self.pico.run(50 * emulator.MS)
            sockets.remove(self.connected)
        socket = self.connected = sockets.add(tcp.Socket(rx=bytearray(65536), tx=bytearray(65536)))
        socket.connect(self.peer.iface, (BOARD, 5001))
        self.peer.poll()
        self.pico.run_until(socket.may_send, 5 * emulator.SECOND)
        socket.send(what)
        self.peer.poll()
        self.pico.run(50 * emulator.MS)
        return socket

    def receive(self, octets=400_000, lead=100_000):
        """Mbit/s from the peer to the board's program; measured when `lead` octets are through."""
        socket = self.connect(b"R")
        state = {"sent": 0}

        def serve(_=None):
            while state["sent"] < octets:
                n = socket.send(self.data, 0, min(len(self.data), octets - state["sent"]))
                if not n:
                    break
                state["sent"] += n
            acked = state["sent"] - socket.w[28]
            if acked >= lead and "from" not in state:
                state["from"] = (acked, self.pico.now)
            if acked:
                state["to"] = (acked, self.pico.now)

        self.peer.serve = serve
        serve()
        self.peer.poll()
        self.pico.run_until(lambda: state["to"][0] == octets if "to" in state else False)
        self.peer.serve = None
        return mbit(state)

    def send(self, octets=400_000, lead=100_000):
        """Mbit/s from the board's program to the peer."""
        socket = self.connect(b"")
        state = {"got": 0}

        def serve(_):
            while True:
                n = socket.recv_into(self.buffer) if socket.can_recv() else 0
                if not n:
                    break
                state["got"] += n
                if state["got"] >= lead and "from" not in state:
                    state["from"] = (state["got"], self.pico.now)
                state["to"] = (state["got"], self.pico.now)

        self.peer.serve = serve
        socket.send(b"S")
        self.peer.poll()
        self.pico.run_until(lambda: state["got"] >= octets)
        self.peer.serve = None
        return mbit(state)

    def echo(self, trips=200, size=64):
        """Round trips a second."""
        socket = self.connect(b"")
        text = self.data[:size]
        state = {"got": 0, "trips": 0, "at": []}

        def serve(_):
            while socket.can_recv():
                n = socket.recv_into(self.buffer)
                if not n:
                    return
                state["got"] += n
            if state["got"] >= size:
                state["got"] -= size
                state["at"].append(self.pico.now)
                if len(state["at"]) <= trips:
                    socket.send(text)

        self.peer.serve = serve
        socket.send(b"E")
        self.peer.poll()
        self.pico.run(20 * emulator.MS)
        socket.send(text)
        self.peer.poll()
        self.pico.run_until(lambda: len(state["at"]) > trips)
        self.peer.serve = None
        at = state["at"]
        return (len(at) - 1) * 1e9 / (at[-1] - at[0])

    def ping(self, times=40):
        """Median of `times` round trips in microseconds, the board asleep before each."""
        self.connect(b"")
        trips = []
        answers = []
        self.watch = lambda frame: frame[23] == 1 and answers.append(self.pico.now)
        for n in range(times):
            self.pico.run(7_300_000 + n * 13_000)  # at any point of the board's milliseconds
            answers.clear()
            began = self.pico.now
            self.port.deliver(echo_request(n))
            self.pico.run_until(lambda: answers, 100 * emulator.MS, 5_000)
            trips.append((answers[0] - began) / 1000)
        self.watch = None
        return statistics.median(trips)

    def segment(self, pairs=20):
        """(microseconds, table: {kind: microseconds}) of a full segment."""
        socket = self.connect(b"R")
        board = self.pico
        profile = Profile(board, self.symbols)
        sent = []
        on_send = self.port.chip.on_send

        def seen(frame):
            sent.append(board.now)
            profile.stop()
            on_send(frame)

        self.port.chip.on_send = seen
        raised = self.port.chip.on_interrupt

        def interrupt(level):
            if self.port.chip.interrupt and not profile.running and armed:
                armed.clear()
                profile.start()
                began.append(board.now)
            raised(level)

        self.port.chip.on_interrupt = interrupt
        armed, began, spent = [], [], []
        for n in range(pairs + 4):
            board.run(20 * emulator.MS + n * 37_000)
            sent.clear()
            began.clear()
            armed.append(True)
            if n == 4:
                profile.clear()  # the first ones were slow start's, acknowledged one by one
            socket.send(self.data, 0, 2920)
            self.peer.poll()
            board.run_until(lambda: not socket.w[28], 100 * emulator.MS, 5_000)
            if n >= 4:
                spent.append((sent[0] - began[0]) / 2000)
        self.port.chip.on_send, self.port.chip.on_interrupt = on_send, raised
        return statistics.mean(spent), profile.table(2 * pairs)


class Profile:
    """Where the program counter is, between start() and stop()."""

    def __init__(self, board, known):
        self.clock = board.clock
        self.core = board.mcu.core
        self.starts = [start for start, _ in known]
        self.names = [name for _, name in known]
        self.alarm = board.clock.create_alarm(self._look)
        self.running = False
        self.clear()

    def clear(self):
        self.counts = collections.Counter()
        self.last = "asleep: waiting and waking up"

    def start(self):
        self.running = True
        self.last = "asleep: waiting and waking up"
        self.alarm.schedule(SAMPLE)

    def stop(self):
        if self.running:
            self.running = False
            self.alarm.cancel()

    def _look(self):
        if not self.running:
            return
        i = bisect.bisect(self.starts, self.core.pc) - 1
        if i >= 0 and self.names[i]:
            self.last = self.names[i]
        self.counts[self.last] += 1
        self.alarm.schedule(SAMPLE)

    def table(self, segments):
        """{kind: us a segment}, and {function: us a segment}."""
        kinds = collections.Counter()
        for name, n in self.counts.items():
            kind = next((k for k, parts in KINDS if any(p in name for p in parts)), name)
            kinds[kind] += n
        scale = SAMPLE / 1000 / segments
        return (
            {name: round(n * scale, 1) for name, n in kinds.most_common()},
            {name: round(n * scale, 1) for name, n in self.counts.most_common()},
        )


def symbols(text):
    """[(address, name)], sorted: the functions the board told of, and "" where a gap begins."""
    found = {}
    for line in text.splitlines():
        if line.startswith("@ "):
            _, name, a, b = line.split()
            for address in (int(a), int(b)):
                if 0x10000000 <= address < 0x10200000 or 0x20000000 <= address < 0x20042000:
                    found.setdefault(address & ~1, name)
                    break
    known = sorted(found.items())
    for (start, _), (after, _) in zip(known, [*known[1:], (1 << 32, "")]):
        if after - start > LONGEST:
            found[start + LONGEST] = ""  # the runtime, or data
    return sorted(found.items())


def mbit(state):
    (a, begin), (b, end) = state["from"], state["to"]
    return (b - a) * 8000 / (end - begin)


def add(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def echo_request(n, size=64):
    data = struct.pack("!BBHHH", 8, 0, 0, 77, n) + bytes(range(size))
    data = data[:2] + struct.pack("!H", add(data)) + data[4:]
    header = bytes.fromhex("4500") + struct.pack("!HHHBBH", 20 + len(data), n, 0, 64, 1, 0)
    header += bytes((192, 168, 69, 100, 192, 168, 69, 1))
    header = header[:10] + struct.pack("!H", add(header)) + header[12:]
    return THEIRS + OURS + b"\x08\x00" + header + data


MEASURES = (
    ("receive", "receive_mbit", 2, "Mbit/s", ">= 8"),
    ("send", "send_mbit", 2, "Mbit/s", ">= 7"),
    ("echo", "tcp_echo", 0, "trips/s", "> 500"),
    ("ping", "ping_us", 0, "us", "< 1000"),
    ("segment", "segment_us", 0, "us", "< 1200"),
)


def row(name, only, lines):
    """{key: figure} of the row `name`, printed as they come."""
    kind, _, hot = name.partition("-")
    bench = Bench(kind, hot)
    found = {"firmware": kind, "heap_free": bench.free, "hot_octets": bench.hot}
    print(
        f"RP2040 at 125 MHz, SPI at 31.25 MHz, firmware {kind}, {bench.hot} octets of code"
        f" copied to RAM, {bench.free} octets of heap free"
    )
    for measure, key, digits, unit, bar in MEASURES:
        if measure not in only:
            continue
        value = getattr(bench, measure)()
        table = functions = None
        if measure == "segment":
            value, (table, functions) = value
        found[key] = round(value, digits) if digits else round(value)
        print(f"{key:14} {found[key]:8} {unit:8} bar {bar}", flush=True)
        if table:
            found["segment_table"] = table
            for what, us in table.items():
                print(f"    {us:7.1f} us  {what}")
            for function, us in list(functions.items())[:lines]:
                print(f"        {us:7.1f} us  {function}")
    return found


def main():
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--rows", default=",".join(ROWS))
    p.add_argument("--only", default="receive,send,echo,ping,segment")
    p.add_argument("--functions", type=int, default=0, help="print so many lines of them")
    p.add_argument("--json", default=str(ROOT / "build" / "bench-rp2.json"))
    a = p.parse_args()
    rows = {name: row(name, a.only.split(","), a.functions) for name in a.rows.split(",")}
    found = {**next(iter(rows.values())), "rows": rows}
    Path(a.json).parent.mkdir(parents=True, exist_ok=True)
    Path(a.json).write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
