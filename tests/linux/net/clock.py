"""clock.py [SERVERS]: the time, by SNTP; without SERVERS the DHCP lease tells whom to ask."""

import sys

sys.path.insert(1, (sys.path[0] or ".") + "/../../..")

from ports.unix.tuntap import Tap
from smolmp.net import Net, sntp

device = Tap("tap0")
if len(sys.argv) > 1:
    net = Net(device, "192.168.69.1/24", hosts={"time.test": "192.168.69.100"})
else:
    net = Net(device, hostname="pico")
    net.wait_up()
print("ready")
try:
    found = sntp.sync(net, sys.argv[1].split(",") if len(sys.argv) > 1 else ())
    print(found)
    print("right", -100 < found.offset < 100, found.datetime()[:3], found.is_set)
    print("kissed", found.kissed)
except OSError as e:
    print("nobody", e.errno)
net.finish()
net.down()
