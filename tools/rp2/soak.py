"""Simulated minutes of everything between an emulated Pico and a peer in its time: `make soak`.

    soak.py [--minutes 10] [--loss 2] [--seed 1] [--faults 5] [--kind stock|frozen]

The Pico runs tests/pico/host.py. The peer connects and reconnects: TCP echoes of all sizes,
a page, octets for a digest, datagrams; pauses between them; sometimes it resets. The wire loses
`--loss` frames in a hundred each way, and every `--faults` seconds something happens to the chip
(tests/models/w5500.py). Every octet is compared. At the end the host must have given back all that
it took, and answer.

One line of JSON tells what happened; exit status 1 and a sentence when something was wrong.
"""

import argparse
import hashlib
import json
import random
import sys

import installed
from bridge import files
from ethernet import Ethernet
from peer import Peer

import pico as emulator
from smolmp.socket import tcp, udp

HOST = "192.168.69.1"
PATIENCE = 120 * emulator.SECOND  # for one talk
WARM = 20 * emulator.SECOND  # by then every buffer was used once
MAIN = emulator.ROOT / "tests" / "pico" / "host.py"
ECHO, DIGEST, PAGE = 7, 9, 80


class Wrong(Exception):
    """What the soak found."""


class Talk:
    """A connection to a port, what goes there, and what must come back."""

    def __init__(self, soak, port, data):
        self.soak = soak
        self.port = port
        self.data = data
        self.sent = 0
        self.got = bytearray()
        self.began = soak.pico.now
        self.over = False
        self.resets_at = soak.random.randrange(len(data)) if soak.random.random() < 0.05 else -1
        self.socket = soak.idle.pop()
        self.socket.talk = self
        self.socket.timeout = 60_000
        self.socket.connect(soak.peer.iface, f"{HOST}:{port}")

    def serve(self):
        socket, soak = self.socket, self.soak
        try:
            while self.sent < len(self.data) and socket.can_send():
                self.sent += socket.send(self.data, self.sent) or 0
                if self.sent > self.resets_at >= 0:
                    soak.count("reset")
                    socket.abort()
                    return self.end()
            if self.sent == len(self.data) and socket.may_send():
                socket.close()
            while True:
                n = socket.recv_into(soak.buffer)
                if not n:
                    break
                self.got += soak.buffer[:n]
        except OSError as error:
            soak.count(f"error {error.errno}")
            return self.end()
        if n == 0 or (not socket.is_open() and self.sent == len(self.data)):
            self.check()
            self.end()

    def check(self):
        if self.port == ECHO:
            right = self.got == self.data
        elif self.port == DIGEST:
            digest = hashlib.sha256(self.data).hexdigest()
            right = self.got.decode() == f"{len(self.data)} {digest}\n"
        else:
            right = self.got.startswith(b"HTTP/1.0 200 OK")
            self.soak.page = dict(
                line.split() for line in self.got.decode().splitlines() if line.count(" ") == 1
            )
        if not right:
            raise Wrong(f"port {self.port}: {len(self.data)} octets came back wrong")
        self.soak.count(f"talk {self.port}")

    def end(self):
        self.over = True
        self.soak.ended(self)


class Soak:
    def __init__(self, a):
        self.random = random.Random(a.seed)
        self.said = bytearray()
        self.counts = {}
        self.buffer = bytearray(65536)
        self.page = {}
        self.ending = False
        self.memory = 0  # octets of the board's heap in use when all was used once
        self.talks = set()
        self.pico = installed.board(
            a.kind, files(a.put, MAIN), xip_miss=emulator.XIP_MISS, output=self.said.extend
        )
        self.port = Ethernet(self.pico)
        self.pico.boot()
        self.pico.wait_for(b"ready", 60 * emulator.SECOND)
        self.peer = Peer(self.port, "192.168.69.100/24")
        self.idle = []
        for _ in range(4):
            self.idle.append(self.peer.sockets.add(tcp.Socket(rx=65536, tx=65536)))
        for socket in self.idle:
            socket.time_wait = 1000
        self.datagrams = self.peer.sockets.add(udp.Socket(rx=8192, tx=8192))
        self.datagrams.bind(9999)
        self.expected = []
        self.peer.serve = self.serve
        self.port.lossy(a.loss, a.seed)
        self.fault_nanos = int(a.faults * emulator.SECOND)
        self.pico.at(self.pico.now, self.next)
        if self.fault_nanos:
            self.pico.at(self.pico.now + self.fault_nanos, self.fault)

    def count(self, what):
        self.counts[what] = self.counts.get(what, 0) + 1

    def serve(self, socket):
        if socket is self.datagrams:
            n = socket.recv_into(self.buffer)
            while n is not None:
                if bytes(self.buffer[:n]) not in self.expected:
                    raise Wrong(f"a datagram of {n} octets that nobody sent came back")
                self.count("datagram")
                n = socket.recv_into(self.buffer)
            return
        talk = getattr(socket, "talk", None)
        if talk and not talk.over:
            talk.serve()

    def next(self):
        """One thing more to do, and another one later."""
        if self.ending:
            return
        kind = self.random.random()
        if kind < 0.25:
            data = self.random.randbytes(self.random.randrange(1400))
            self.expected = [*self.expected[-50:], data]
            meta = udp.UdpMetadata((HOST, ECHO))
            self.datagrams.send(data, len(data), meta)
        elif self.idle and self.idle[-1].is_open():
            self.idle.insert(0, self.idle.pop())  # still in TIME-WAIT
        elif self.idle:
            port = ECHO if kind < 0.7 else DIGEST if kind < 0.9 else PAGE
            data = b"GET / HTTP/1.0\r\n\r\n"
            if port != PAGE:
                data = self.random.randbytes(self.random.choice((1, 64, 1460, 5000, 20000)))
            self.talks.add(Talk(self, port, data))
        self.pico.at(self.pico.now + int(self.random.expovariate(2) * emulator.SECOND), self.next)
        self.peer.poll()

    def ended(self, talk):
        self.talks.discard(talk)
        talk.socket.talk = None
        self.idle.insert(0, talk.socket)

    def fault(self):
        if self.ending:
            return
        self.count("fault " + self.port.fault(self.random))
        self.pico.at(self.pico.now + self.fault_nanos, self.fault)

    def run(self, seconds):
        end = self.pico.now + int(seconds * emulator.SECOND)
        warm = self.pico.now + WARM
        while self.pico.now < end:
            self.pico.run(emulator.SECOND // 10)
            for talk in self.talks:
                if self.pico.now - talk.began > PATIENCE:
                    raise Wrong(f"port {talk.port}: nothing more since {talk.began / 1e9:g} s")
            if b"Traceback" in self.said:
                raise Wrong("an exception:\n" + self.said.decode(errors="replace"))
            if not self.memory and self.pico.now > warm and "memory" in self.page:
                self.memory = int(self.page["memory"])

    def finish(self):
        """A good wire again: all talks come to their end, and the host tells about itself."""
        self.port.lossy(0)
        self.ending = True
        self.page = {}
        end = self.pico.now + PATIENCE
        while self.talks and self.pico.now < end:
            self.pico.run(emulator.SECOND // 10)
        if self.talks:
            raise Wrong(f"{len(self.talks)} talks did not end on a good wire")
        self.pico.run(5 * emulator.SECOND)
        self.talks.add(Talk(self, PAGE, b"GET / HTTP/1.0\r\n\r\n"))
        self.peer.poll()
        self.pico.run(5 * emulator.SECOND)
        if "memory" not in self.page:
            raise Wrong("the host does not answer any more")
        if self.memory and int(self.page["memory"]) > self.memory + 256:
            raise Wrong(f"a leak: {self.memory} octets after a while, {self.page['memory']} now")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--minutes", type=float, default=10)
    p.add_argument("--loss", type=float, default=2)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--faults", type=float, default=5)
    p.add_argument("--kind", choices=installed.KINDS, default="frozen")
    p.add_argument("--put", action="append", default=[])
    a = p.parse_args()
    soak = Soak(a)
    wrong = None
    try:
        soak.run(a.minutes * 60)
        soak.finish()
    except (Wrong, emulator.Stuck) as error:
        wrong = str(error)
    told = {**soak.counts, "simulated_s": soak.pico.now / 1e9, "lost": soak.port.lost, **soak.page}
    print(json.dumps(told))
    if wrong:
        sys.exit(f"soak: {wrong}")


if __name__ == "__main__":
    main()
