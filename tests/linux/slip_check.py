"""Runs under MicroPython: a host behind a serial line, as test_slip.py asks for.

slip_check.py FD ADDRESS MTU    FD: a tty, raw, O_NONBLOCK
UDP 5002 echo; TCP 5001 echo, 5003 takes all and answers its length and SHA-256, 5004 sends.
"""

import sys

sys.path.insert(1, (sys.path[0] or ".") + "/../../ports/unix/programs")

import command
import services

from smolmp.iface import Interface
from smolmp.phy.slip import Slip
from smolmp.socket import tcp, udp
from smolmp.socket.set import SocketSet


def main():
    device = Slip(open(int(sys.argv[1]), "r+b"), int(sys.argv[3]))
    iface = Interface(device, ip_addrs=(sys.argv[2],), seed=1)
    sockets = SocketSet()
    echo = sockets.add(udp.Socket(rx=8192, tx=8192))
    services.UdpEcho(echo, 5002, udp.UdpMetadata())
    for port, make in ((5001, services.Echo), (5003, services.Digest), (5004, services.Source)):
        services.Server(sockets.add(tcp.Listener(2, rx=16384, tx=16384)), port, make)
    print("ready", device.mtu)
    try:
        command.loop(iface, sockets, device)
    except OSError as e:
        print("gone", e.errno)
    print("oversize", device.oversize, "damaged", device.damaged, "lost", device.lost)


main()
