"""A proxy: whatever address a client talks to, this program is there.

The example for the proxy of smolmp/phy/queue.py: packets for ANY destination arrive from a TUN.
Every TCP connection (five-tuple) gets an Interface of its own on a PacketQueue, with a set of one
socket that listens on the very destination the client meant. What comes out of the queue goes
back to the TUN; it could as well go into a tunnel.
"""

import os
import struct
import time

import command

USAGE = (
    """
usage: proxy.py TUN [options]

Takes the packets that are routed to TUN and answers HTTP for every address and port. Pings are
answered for every address, too. Try it, as root:

  ip tuntap add dev tun0 mode tun; ip addr add 10.99.0.1/24 dev tun0; ip link set tun0 up
  ip route add 203.0.113.0/24 dev tun0
  micropython ports/unix/programs/proxy.py tun0 &
  curl http://203.0.113.7/any/thing

options:
  --sessions N    connections at a time (default 64)
  --rx N, --tx N  octets of a connection's buffers (default 4096)
"""
    + command.DEVICE_OPTIONS
)

_TCP = 6
_SYN_ACK = 0x12
_SYN = 0x02


def answer(client, destination, request):
    """The function that everything is forwarded to: (status, body) for a client's (address,
    port), the (address, port) it believes to talk to, and the first line of its request."""
    body = "You asked %s port %d for:\n  %s\nThere is no such host. smolmp answers for it.\n"
    return b"200 OK", (body % (destination + (request.decode(),))).encode()


def tcp_key(packet, n):
    """(key of the five-tuple, is it a new connection's first packet?), None when not TCP over
    IPv4, or only a fragment of it"""
    if n < 40 or packet[0] >> 4 != 4 or packet[9] != _TCP:
        return None, False
    header = (packet[0] & 15) * 4
    if header < 20 or n < header + 20 or (packet[6] & 0x3F) or packet[7]:
        return None, False
    key = bytes(packet[12:20]) + bytes(packet[header : header + 4])
    return key, packet[header + 13] & _SYN_ACK == _SYN


class Session:
    """One Interface and its SocketSet behind a PacketQueue."""

    def __init__(self, tun, options):
        from smolmp.iface import Interface
        from smolmp.phy.queue import PacketQueue
        from smolmp.socket.set import SocketSet

        self.tun = tun
        self.queue = PacketQueue(tun.medium, tun.mtu, frames=16)
        self.iface = Interface(
            self.queue,
            any_ip=True,
            seed=os.urandom(16),
            now=time.ticks_ms(),
        )
        self.sockets = SocketSet(1)
        self.socket = None

    def open(self, key, options):
        """A socket that listens on the packet's destination (once: the session ends with its
        connection), and the service on it."""
        import services

        from smolmp.socket import tcp

        class Answer(services.Http):
            def page(self, request):
                return answer(self.socket.remote, self.socket.local, request)

        address = "%d.%d.%d.%d" % tuple(key[4:8])
        port = struct.unpack(">H", key[10:12])[0]
        self.socket = self.sockets.add(tcp.Socket(rx=options.rx, tx=options.tx))
        self.socket.time_wait = 1000
        self.socket.timeout = 30000
        self.socket.nagle = False
        self.socket.listen((address, port))
        Answer(self.socket)

    def step(self, buffer):
        """Polls, and moves what the stack sends to the TUN."""
        queue = self.queue
        while True:
            for socket in self.iface.poll(time.ticks_ms(), self.sockets):
                socket.service()
            n = queue.take_into(buffer)
            if not n:
                break
            while n:
                self.tun.send(buffer, 0, n)
                n = queue.take_into(buffer)

    def delay(self):
        return self.iface.poll_delay(time.ticks_ms(), self.sockets)

    def over(self):
        """Closed and, if it came that far, TIME-WAIT waited out."""
        return self.socket is not None and self.socket.state == "CLOSED"


def main():
    given, options = command.arguments(USAGE, 1, 1, sessions=(64, 1), rx=(4096, 1), tx=(4096, 1))
    options.tun = True
    tun = command.open_device(given[0], options)
    tun.plain()  # what comes goes on to another stack
    buffer = bytearray(tun.mtu + 1)
    sessions = {}
    everything_else = Session(tun, options)  # pings, ICMP errors, resets
    total = 0
    print("ready: proxy on %s, mtu %d" % (given[0], tun.mtu))
    while True:
        n = tun.recv(buffer)
        if n:
            key, begins = tcp_key(buffer, n)
            session = sessions.get(key)
            if session is None:
                session = everything_else
                if begins and len(sessions) < options.sessions:
                    session = Session(tun, options)
                    session.open(key, options)
                    sessions[key] = session
                    total += 1
            session.queue.inject(buffer, 0, n)
            session.step(buffer)
            continue
        wait = None
        for key in list(sessions):
            session = sessions[key]
            delay = session.delay()
            if delay == 0:
                session.step(buffer)
                delay = session.delay()
            if session.over():
                print("session %d of %d over" % (total - len(sessions) + 1, total))
                del sessions[key]
            elif delay is not None and (wait is None or delay < wait):
                wait = delay
        if wait != 0:
            tun.wait(wait, options.spin)


command.run(main)
