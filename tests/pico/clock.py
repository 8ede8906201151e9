"""main.py of the emulated Pico in test_simulated.py: the time by SNTP, and the clock set to it."""

import time

from machine import RTC

from ports.rp2 import boards
from smolmp.net import Net, sntp

MAC = "02:00:00:00:00:01"
SERVERS = ("192.168.69.100",)
net = Net(
    boards.w5500_evb_pico(MAC), "192.168.69.1/24", hardware_addr=MAC, tcp=1, udp=1, rx=512, tx=512
)
print("before", RTC().datetime()[0])
found = sntp.sync(net, SERVERS)
print("set", found.is_set, found.stratum)
print("clock", time.time())
print("rtc", RTC().datetime())
print("behind", sntp.sync(net, SERVERS, set_clock=False).offset)
