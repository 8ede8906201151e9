"""options.py PEER: what the port's own sockets cannot be asked: raw IP, the callback option, and
that a socket's options end with it."""

import struct
import sys

sys.path.insert(1, (sys.path[0] or ".") + "/../../..")

from ports.unix.tuntap import Tap
from smolmp.net import Net

PEER = sys.argv[1]
ECHO, RESETTER, CALLER, UDP_ECHO = 7001, 7003, 7006, 7008

# One of each: whoever opens one gets what the last one had.
net = Net(Tap("tap0"), "192.168.69.1/24", tcp=2, udp=1).install()

import socket  # noqa: E402


def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    total = (total & 0xFFFF) + (total >> 16)
    return (total & 0xFFFF) + (total >> 16) ^ 0xFFFF


def ping():
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    s.settimeout(5)
    message = struct.pack("!BBHHH", 8, 0, 0, 77, 1) + b"smolmp"
    message = message[:2] + struct.pack("!H", checksum(message)) + message[4:]
    s.sendto(message, (PEER, 0))
    packet, source = s.recvfrom(1000)
    s.close()
    print("ping", source[0], packet[20], packet[24:])


def options_end_with_the_socket():
    s = socket.socket()
    s.connect((PEER, ECHO))
    s.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 7)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 3)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 2)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    first = s._end.core
    was = first.hop_limit, first.nagle, first.keep_alive_interval, first.linger
    s.close()  # by an RST
    net.sleep(50)
    kept = []
    for _ in range(2):
        s = socket.socket()
        s.connect((PEER, ECHO))
        kept.append(s)
    core = [k._end.core for k in kept if k._end.core is first][0]
    print("tcp", was, core.hop_limit, core.nagle, core.keep_alive_interval, core.keep_alive_count)
    print("tcp", core.keep_alive, core.linger)
    for s in kept:
        s.close()
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    u.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 7)
    u.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 8)
    try:
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    except OSError as e:
        print("all in use", e.errno)
    u.close()
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    print("udp", u._end.core.flow[12], u._end.core.flow[13])
    u.close()


def left_behind():
    """More connections than there are, none of them closed: all were told that they broke."""
    kept = []
    told = []
    for _ in range(5):
        s = socket.socket()
        s.connect((PEER, RESETTER))
        kept.append(s)
        s.send(b"x")
        try:
            s.recv(1)
        except OSError as e:
            told.append(e.errno)
    print("left", told)
    try:
        kept[0].recv(1)
    except OSError as e:
        print("gone", e.errno)
    for s in kept:
        s.close()


def sendall():
    """The unix port's own sockets have none: blocking, all of it; else an error when no more fits,
    as upstream's."""
    s = socket.socket()
    s.connect((PEER, ECHO))
    data = bytes(range(250)) * 12
    print("sendall", s.sendall(data), s.read(len(data)) == data)
    s.sendall(b"text, too")
    print(s.read(9))
    s.setblocking(False)
    try:
        while True:
            s.sendall(data)
    except OSError as e:
        print("no more", e.errno)
    s.close()


def callbacks():
    heard = []

    def accept(s):
        s.settimeout(0)
        try:
            while True:
                heard.append(s.accept()[0])  # which polls within the poll that calls us
        except OSError:
            pass

    s = socket.socket()
    s.bind(("", 8080))
    s.listen(1)
    s.setsockopt(socket.SOL_SOCKET, 20, accept)
    call = socket.socket()
    call.connect((PEER, CALLER))
    call.send(struct.pack("!H", 8080))
    for _ in range(100):
        if heard:
            break
        net.sleep(20)
    heard[0].settimeout(5)
    print("called", heard[0].recv(100))
    for one in (heard[0], call, s):
        one.close()


ping()
left_behind()
net.finish()
options_end_with_the_socket()
net.finish()
sendall()
net.finish()
callbacks()
net.finish()
