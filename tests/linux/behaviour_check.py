"""Runs under MicroPython: one end of the connections that test_behaviour.py looks at.

behaviour_check.py TAP IP/PLEN TASK [--timestamps] [--sockets N] [--fault SPEC ...]
TASK, on port 5001:
  digest, source  as peer.py
  half            says hello, ends its half, reads on: prints how many octets came
  linger          takes a line and closes with linger 0
  deaf            takes a line and shuts both halves; prints the state after that
  alive           keep-alive: 600 ms, then every 100, 4 times; prints why the connection ended
  first           answers a line and closes: TIME-WAIT is here; listens again only when it is over
  again HOST      connects from port 5002 to HOST:7000, ten times, and closes first
  stats           takes what comes until the peer ends, then prints what socket.stats() says
"""

import sys

sys.path.insert(1, "ports/unix/programs")

import command
import services

from smolmp.socket import tcp
from smolmp.socket.set import SocketSet
from smolmp.socket.tcp import SHUT_RDWR


class Line(services.Service):
    """Waits for a line, then act()s once; reads on. Tells why the connection ended."""

    def begin(self):
        self.got = 0
        self.acted = False

    def serve(self):
        n = 1
        while n:
            n = self.socket.recv_into(services.BUFFER)
            if n:
                self.got += n
        if self.got and not self.acted:
            self.acted = True
            self.act()
        elif n == 0:
            self.over()

    def act(self):
        pass

    def over(self):
        self.socket.close()

    def run(self):
        super().run()
        if not self.begun:
            print("closed", self.socket.error)


class Half(Line):
    def begin(self):
        super().begin()
        self.acted = True
        self.socket.send(b"hello\n")
        self.socket.close()

    def over(self):
        print("octets", self.got)


class Linger(Line):
    def act(self):
        self.socket.linger = 0
        self.socket.close()


class Deaf(Line):
    def act(self):
        self.socket.fin_wait_2 = 1000
        self.socket.shutdown(SHUT_RDWR)

    def run(self):
        super().run()
        print("state", self.socket.state)


class Alive(Line):
    def act(self):
        self.socket.keep_alive_interval = 100
        self.socket.keep_alive_count = 4
        self.socket.keep_alive = 600  # Linux answers two in a second


class First(Line):
    """One socket that listens by itself."""

    def __init__(self, socket):
        super().__init__(socket)
        socket.listen(5001)

    def act(self):
        self.socket.send(b"bye\n")
        self.socket.close()

    def run(self):
        super().run()
        if self.socket.state == "TIME-WAIT":
            print("time-wait")
        elif self.socket.state == "CLOSED":
            self.socket.listen(5001)


class Stats(Line):
    def over(self):
        print("stats", self.socket.stats())
        super().over()


def again(iface, sockets, device, host, timestamps):
    s = [sockets.add(tcp.Socket(timestamps=timestamps)) for _ in range(2)]
    for i in range(10):
        socket = s[i & 1]  # the other one is in TIME-WAIT
        socket.service = lambda: None
        socket.connect(iface, (host, 7000), 5002)

        def done(socket=socket, i=i):
            if socket.state == "ESTABLISHED":
                socket.send(b"%d\n" % i)
                socket.close()
            return socket.state in ("TIME-WAIT", "CLOSED")

        command.loop(iface, sockets, device, 0, done, 100)
        print("connection", i, socket.state, socket.error)


def main():
    given, options = command.arguments(
        "TAP IP/PLEN TASK [HOST]", 3, 4, timestamps=False, sockets=1
    )
    name, address, task = given[:3]
    device = command.open_device(name, options)
    iface = command.interface(device, address, options)
    sockets = SocketSet()
    if task == "again":
        print("ready")
        again(iface, sockets, device, given[3], options.timestamps)
        return
    make = {
        "digest": services.Digest,
        "source": services.Source,
        "half": Half,
        "linger": Linger,
        "deaf": Deaf,
        "alive": Alive,
        "first": First,
        "stats": Stats,
    }[task]
    options_of = dict(rx=1 << 16, tx=1 << 16, timestamps=options.timestamps)
    if task == "first":
        for _ in range(options.sockets):
            make(sockets.add(tcp.Socket(**options_of)))
    else:
        services.Server(sockets.add(tcp.Listener(**options_of)), 5001, make)
    print("ready")
    command.loop(iface, sockets, device)


command.run(main)
