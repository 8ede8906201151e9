"""main.py of the emulated Pico in test_simulated.py: a name whose answer comes by TCP only."""

from ports.rp2 import boards
from smolmp.net import Net

net = Net(
    boards.w5500_evb_pico("02:00:00:00:00:01"),
    "192.168.69.1/24",
    dns=("192.168.69.100",),
    tcp=1,
    udp=1,
    rx=512,
    tx=512,
).install()

import socket  # noqa: E402

print("ready")
found = socket.getaddrinfo("large.test", 80, 0, socket.SOCK_STREAM)
print("found", len(found), found[0][4][0], found[-1][4][0])
print("by TCP", net.resolver().truncated, "failed over", net.resolver().failovers)
