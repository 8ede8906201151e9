"""Measures what tools/costs/table.py prints. Runs inside MicroPython: MICROPYPATH=.:.frozen
micropython -X heapsize=16m tools/costs/parts.py [GROUP].

Prints "group | part | microseconds". Each figure is the least of several runs over the same frames
from memory, so that the machine's other work is left out; what the wire itself takes is measured
and subtracted.
"""

import sys

sys.path.insert(1, "ports/unix/programs")

from time import ticks_diff, ticks_us

from micropython import heap_lock, heap_unlock

from ports.unix.programs import command, services
from smolmp.iface import steady
from smolmp.iface.ipv4 import classify, emit, next_hop
from smolmp.socket import tcp, udp
from smolmp.socket.demux import find
from smolmp.socket.tcp import kernels
from smolmp.storage.kernels import ring_read_sum, ring_write
from smolmp.wire import ethernet, ipv4
from smolmp.wire import tcp as wire_tcp
from smolmp.wire.checksum import checksum, copy_checksum
from tools.costs import sockets as programs
from tools.costs import wire as outside
from tools.costs.wire import PORT, Server, ping
from tools.costs.wire import udp as udp_packet

TRIPS = 2000
RUNS = 7
SEGMENT = 1460


def show(group, part, us):
    print("%s | %s | %.2f" % (group, part, us))


def least(function, n):
    """Microseconds of one of the n things that function(n) does."""
    best = None
    for _ in range(RUNS):
        heap_lock()
        start = ticks_us()
        function(n)
        us = ticks_diff(ticks_us(), start)
        heap_unlock()
        if best is None or us < best:
            best = us
    return best / n


def empty():
    pass


def call(function):
    """What function() does, the call itself left out."""

    def many(n):
        for _ in range(n):
            function()

    us = least(many, 2000)
    return us if function is empty else us - call(empty)


class Parts:
    """Times the parts of a loop: mark(i) adds what passed since the last mark to part i."""

    def __init__(self, n):
        self.sums = [0] * n
        self.last = 0
        self.marks = 0

    def start(self):
        self.last = ticks_us()

    @micropython.native
    def mark(self, i):
        now = ticks_us()
        self.sums[i] += ticks_diff(now, self.last)
        self.last = ticks_us()


def parts_of(names, group, trip, trips=TRIPS):
    """trip(parts) marks the parts `names`; prints the least of each and what they sum to."""
    best = None
    for _ in range(RUNS):
        parts = Parts(len(names))
        heap_lock()
        for _ in range(trips):
            trip(parts)
        heap_unlock()
        if best is None or sum(parts.sums) < sum(best):
            best = parts.sums
    for name, us in zip(names, best):
        show(group, name, us / trips)
    return sum(best) / trips


def program(server):
    """What command.loop() does from one sleep to the next; and the same in parts."""
    iface = server.iface
    sockets = server.sockets
    wire = server.wire

    @micropython.native
    def ticks(server=server):
        return server.now

    turn = command.turner(iface, sockets, wire.fetch, ticks)
    kit = (wire, sockets, turn, iface.poll_delay) + steady.bind(iface, sockets)

    # Of few captured names: see docs/performance.md.
    def turns(n):
        wire, sockets, turn, delay, poll, answer = kit
        for i in range(n):
            if i & 15 == 0:
                server.tick()
            wire.waiting = 1
            turn(1, 1, 1, False)
            turn(64, 1, 0, False)
            delay(server.now, sockets)

    def trip(parts):
        wire, sockets, turn, delay, poll, answer = kit
        now = server.now
        wire.waiting = 1
        parts.start()
        changed = poll(now, 1)
        parts.mark(0)
        for socket in changed:
            socket.service()
        parts.mark(1)
        answer(now)
        parts.mark(2)
        poll(now)
        delay(now, sockets)
        parts.mark(3)

    return turns, trip


PARTS = ("poll: one frame", "the program", "answer", "until the next sleep")


def tcp_echo():
    server = Server()
    socket = server.sockets.add(tcp.Socket(1 << 15, 1 << 15))
    services.Echo(socket)
    socket.nagle = False
    socket.listen(PORT)
    server.open(socket)
    turns, trip = program(server)
    outside.tcp(server.wire, 24, b"x")
    server.wire.waiting = 1
    server.poll()
    for changed in server.poll():
        changed.service()
    turns(100)
    before = server.wire.sent
    turns(100)
    show("TCP echo, 1 octet", "frames out a trip", (server.wire.sent - before) / 100)
    parts_of(PARTS, "TCP echo, 1 octet", trip)
    show("TCP echo, 1 octet", "all", least(turns, TRIPS))


def udp_echo():
    server = Server()
    socket = server.sockets.add(udp.Socket(1 << 16, 1 << 16, rx_slots=64, tx_slots=64))
    services.UdpEcho(socket, PORT, udp.UdpMetadata())
    server.wire.set(udp_packet(b"x"))
    turns, trip = program(server)
    turns(100)
    before = server.wire.sent
    turns(100)
    show("UDP echo, 1 octet", "frames out a trip", (server.wire.sent - before) / 100)
    parts_of(PARTS, "UDP echo, 1 octet", trip)
    show("UDP echo, 1 octet", "all", least(turns, TRIPS))


def icmp_echo():
    server = Server()
    server.wire.set(ping(bytes(56)))
    turns, trip = program(server)
    turns(100)
    show("ping, 56 octets", "all", least(turns, TRIPS))


def socket_echo(make, group):
    """A program's echo, whose turn is to be compared with that of the group above."""
    host, turns = make()
    turns(100)
    before = host.wire.sent
    turns(100)
    show(group, "frames out a trip", (host.wire.sent - before) / 100)
    show(group, "all", least(turns, TRIPS))


def socket_echoes():
    socket_echo(programs.tcp, "TCP echo by the socket module")
    socket_echo(programs.udp, "UDP echo by the socket module")


def idle():
    server = Server()
    socket = server.sockets.add(tcp.Socket(1 << 12, 1 << 12))
    services.Echo(socket)
    socket.nagle = False
    socket.listen(PORT)
    server.open(socket)
    server.poll()
    iface, sockets = server.iface, server.sockets
    show("nothing to do", "poll", call(lambda: iface.poll(server.now, sockets)))
    show("nothing to do", "poll_delay", call(lambda: iface.poll_delay(server.now, sockets)))
    show("nothing to do", "the wire's recv", call(lambda: server.wire.recv(iface.view)))


def received():
    """Full segments to a sink, 16 a poll."""
    server = Server()
    socket = server.sockets.add(tcp.Socket(1 << 17, 1 << 11))
    services.Sink(socket)
    socket.nagle = False
    socket.listen(PORT)
    server.open(socket)
    outside.tcp(server.wire, 24, bytes(range(256)) * 6)
    outside.tcp(server.wire, 16, (bytes(range(256)) * 6)[:SEGMENT])
    wire, iface, sockets = server.wire, server.iface, server.sockets

    def polls(n):
        for _ in range(n >> 4):
            server.tick()
            wire.waiting = 16
            for changed in iface.poll(server.now, sockets):
                changed.service()
            iface.poll_egress(server.now, sockets)

    def trip(parts):
        server.tick()
        wire.waiting = 16
        parts.start()
        changed = iface.poll(server.now, sockets)
        parts.mark(0)
        for socket in changed:
            socket.service()
        parts.mark(1)
        iface.poll_egress(server.now, sockets)
        parts.mark(2)

    polls(160)
    group = "received, 16 full segments a poll: a segment"
    names = ("poll", "the program", "poll_egress")
    best = None
    for _ in range(RUNS):
        parts = Parts(3)
        heap_lock()
        for _ in range(200):
            trip(parts)
        heap_unlock()
        if best is None or sum(parts.sums) < sum(best):
            best = parts.sums
    for name, us in zip(names, best):
        show(group, name, us / 3200)
    show(group, "all", least(polls, 3200))
    show(group, "of that the wire", of_wire(server))


def of_wire(server):
    wire = server.wire
    view = server.iface.view
    wire.waiting = 1 << 28
    kept = wire.words[0]
    us = call(lambda: wire.recv(view))
    wire.words[0] = kept
    wire.waiting = 0
    return us


def sent():
    """Full segments from a source; an ACK for all comes with the next poll."""
    server = Server()
    socket = server.sockets.add(tcp.Socket(1 << 11, 1 << 17))
    services.Source(socket)
    socket.nagle = False
    socket.listen(PORT)
    server.open(socket)
    outside.tcp(server.wire, 16, b"")
    wire, iface, sockets = server.wire, server.iface, server.sockets

    def trip(parts):
        server.tick()
        wire.waiting = 1
        parts.start()
        changed = iface.poll(server.now, sockets)
        parts.mark(0)
        for socket in changed:
            socket.service()
        parts.mark(1)
        iface.poll_egress(server.now, sockets)
        parts.mark(2)

    socket.service()
    parts = Parts(3)
    for _ in range(200):
        trip(parts)
    best = None
    for _ in range(RUNS):
        parts = Parts(3)
        before = wire.sent
        heap_lock()
        for _ in range(100):
            trip(parts)
        heap_unlock()
        n = wire.sent - before
        figures = [us / n for us in parts.sums]
        if best is None or sum(figures) < sum(best):
            best = figures
    group = "sent, full segments: a segment"
    show(group, "segments a poll", n / 100)
    for name, us in zip(("poll: ACK in, segments out", "the program", "poll_egress"), best):
        show(group, name, us)
    show(group, "all", sum(best))


def steps(n):
    """The kernels that a segment of n octets passes on the long way, one by one."""
    server = Server()
    socket = server.sockets.add(tcp.Socket(1 << 17, 1 << 17))
    services.Sink(socket)
    socket.nagle = False
    socket.listen(PORT)
    server.open(socket)
    wire, iface, table = server.wire, server.iface, server.sockets.table
    outside.tcp(wire, 24, bytes(n))
    wire.waiting = 1
    end = 2 + wire.recv(iface.view)
    rx, tx, rec, w, mac, own = iface.rx, iface.tx, iface.rec, socket.w, iface.mac, iface.ipv4
    ring, buf = socket.rx_buffer, socket.tx_buffer
    known, routes, now = iface.neighbors.words, iface.routes.words, iface.now
    kernel = lambda name, f: show("kernels, a segment of %d octets" % n, name, call(f))  # noqa: E731
    kernel("ethernet.parse", lambda: ethernet.parse(rx, 2, end, rec, mac))
    kernel("ipv4.parse", lambda: ipv4.parse(rx, 16, end, rec, 1))
    kernel("classify", lambda: classify(own, known, rx, rec, now))
    kernel("tcp.parse", lambda: wire_tcp.parse(rx, 36, end, rec, 1))
    kernel("demux.find", lambda: find(table, rec, -1))
    kernel("relate", lambda: kernels.relate(rec, w))
    kernel("ring_write", lambda: ring_write(ring, w, 23, 0, rx, 56, n))
    w[28] = n
    kernel("ring_read_sum", lambda: ring_read_sum(buf, w, 26, 0, tx, 84, n, 0))
    w[28] = 0
    kernel("tcp.emit", lambda: kernels.emit(tx, w, 0, 20, n, 24, 0xFFFF, 0))
    kernel("next_hop", lambda: next_hop(own, routes, known, w, now))
    kernel("ipv4.emit", lambda: emit(tx, w, 84 + n, known, 0, mac, 0))
    kernel("checksum", lambda: checksum(rx, 56, 56 + n, 0))
    kernel("copy_checksum", lambda: copy_checksum(buf, 0, rx, 56, n, 0))


def kernels_of_segments():
    steps(1)
    steps(SEGMENT)


MEASURES = (
    ("nothing to do", idle),
    ("TCP echo", tcp_echo),
    ("UDP echo", udp_echo),
    ("sockets: echo", socket_echoes),
    ("ping", icmp_echo),
    ("received", received),
    ("sent", sent),
    ("kernels", kernels_of_segments),
)

if __name__ == "__main__":
    only = sys.argv[1] if len(sys.argv) > 1 else ""
    for name, measure in MEASURES:
        if only in name:
            measure()
