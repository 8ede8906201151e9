"""shown.py PEER: a busy host, and what print(net) shows of it."""

import sys

sys.path.insert(1, (sys.path[0] or ".") + "/../../..")

from ports.unix.tuntap import Tap
from smolmp.net import Net

PEER = sys.argv[1]

net = Net(Tap("tap0"), "192.168.69.1/24", PEER, dns=[PEER], search=["lan.test"], hostname="busy")
net.install()

import socket  # noqa: E402

listener = socket.socket()
listener.bind(("", 80))
listener.listen(2)
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagrams.bind(("", 7))
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
query = net.resolver().query("nobody.tells")
print("ready")
s, _ = listener.accept()
s.recv(1)
net.sleep(300)
print(net)
for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
    kept = []
    try:
        for _ in range(9):
            kept.append(socket.socket(socket.AF_INET, kind))
            if kind == socket.SOCK_STREAM:
                kept[-1].connect((PEER, 7004))
    except OSError as e:
        print(e.errno, len(kept), e)
