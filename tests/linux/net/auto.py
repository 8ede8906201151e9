"""auto.py: a host that knows nothing: DHCP, DNS, a page by its name, and the lease given back."""

import sys
import time

sys.path.insert(1, (sys.path[0] or ".") + "/../../..")

from ports.unix.tuntap import Tap
from smolmp.net import Net

net = Net(Tap("tap0"), hostname="pico").install()
print("up", net.wait_up(), net.iface.ip_addrs[0].split("/")[1], net.dns, net.search)

import requests  # noqa: E402

print(requests.get("http://server.test:8000/hello.txt").text)
print(requests.get("http://short:8000/hello.txt").text)
try:
    requests.get("http://nothing.test:8000/")
except OSError as e:
    print("nothing.test:", e.errno)
start = time.ticks_ms()
net.down()
print("down", net.is_up(), net.dhcp.state, time.ticks_diff(time.ticks_ms(), start) < 300)
net.up()
print("up again", net.wait_up())
net.finish()
net.down()
