"""Runs under MicroPython: what a program learns of its path, as test_path.py asks for."""

import sys
import time

sys.path.insert(1, (sys.path[0] or ".") + "/../../ports/unix/programs")

import command

from smolmp.socket import tcp, udp
from smolmp.socket.set import SocketSet

USAGE = """
path_check.py TAP ADDRESS TASK HOST PORT [options]
TASK: connect   tells how it ended
      digest N  asks for ECN, sends N octets, tells the peer's answer (a line)
      reason    sends until the connection times out (2 s), tells why
      udp N     sends datagrams, the largest first, until one of at most N octets comes back
Prints "key: value" lines; the counters at the end.
"""

PATTERN = bytes(range(256)) * 257


def why(function, *args):
    try:
        function(*args)
        return "nothing"
    except OSError as e:
        return str(e.errno)


def loop(iface, sockets, device, done, ms):
    """Drives the stack until done() or for `ms`."""
    end = time.ticks_add(time.ticks_ms(), ms)

    def until():
        return done() or time.ticks_diff(end, time.ticks_ms()) <= 0

    command.loop(iface, sockets, device, 0, until, 20)


class Task:
    """A socket to HOST, a deadline, and what was found."""

    def __init__(self, iface, sockets, device, ecn="accept"):
        self.iface = iface
        self.sockets = sockets
        self.device = device
        self.done = False
        self.socket = sockets.add(tcp.Socket(rx=4096, tx=131072))
        self.socket.ecn = ecn
        self.socket.service = self.service
        self.left = 0
        self.sent = 0
        self.answer = b""

    def run(self, to, ms=60000):
        self.socket.connect(self.iface, to)
        loop(self.iface, self.sockets, self.device, lambda: self.done, ms)

    def service(self):
        s = self.socket
        if s.may_send() and self.sent == 0:
            print("connected: mss %d" % s.mss)
        while s.can_send() and self.left:
            phase = self.sent & 255
            n = s.send(PATTERN, phase, min(self.left, len(PATTERN) - phase))
            self.sent += n
            self.left -= n
            if not self.left:
                s.close()
        while s.can_recv():
            self.answer += s.recv()
        self.done = b"\n" in self.answer or not s.is_open()


def datagrams(iface, sockets, device, to, least):
    s = sockets.add(udp.Socket(8192, 8192))
    s.bind(6969)
    s.connect(to)
    s.service = lambda: None
    errors = []
    answer = None
    n = 1472
    end = time.ticks_add(time.ticks_ms(), 20000)
    while answer is None and time.ticks_diff(end, time.ticks_ms()) > 0:
        try:
            s.send(bytes(n))
        except OSError as e:
            errors.append(e.errno)
            n = iface.path_mtu(to[0]) - 28
            continue
        loop(iface, sockets, device, lambda: s.can_recv() or s.error, 300)
        try:
            answer = s.recv()
        except OSError as e:
            errors.append(e.errno)
    print("errors:", sorted(set(errors)))
    print("answered:", answer is not None and len(answer[0]) == n and n >= least)


def main():
    given, options = command.arguments(USAGE + command.DEVICE_OPTIONS, 5, 6)
    name, address, task, host, port = given[:5]
    number = int(given[5]) if len(given) > 5 else 0
    device = command.open_device(name, options)
    iface = command.interface(device, address, options)
    sockets = SocketSet()
    to = (host, int(port))
    print("ready")
    if task == "udp":
        datagrams(iface, sockets, device, to, number)
    elif task == "connect":
        t = Task(iface, sockets, device)
        t.run(to, 10000)
        print("ended:", why(t.socket.send, b""))
    elif task == "reason":
        t = Task(iface, sockets, device)
        t.socket.timeout = 2000
        t.left = 1 << 30
        t.run(to)
        print("ended:", why(t.socket.send, b"x"))
    elif task == "digest":
        t = Task(iface, sockets, device, "request")
        t.left = number
        t.run(to)
        print("answer:", t.answer.decode().strip())
        loop(iface, sockets, device, lambda: not t.socket.is_open(), 2000)  # to say goodbye
    print("path mtu:", iface.path_mtu(host))
    for key, value in sorted(iface.stats().items()):
        if value:
            print("%s: %d" % (key, value))


command.run(main)
