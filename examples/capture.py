"""Write what passes the cable to a file that Wireshark opens: `mpremote cp :capture.pcap .`"""

import time

import board

from smolmp.net import Net
from smolmp.phy.pcap import PcapWriter

FRAMES = 50

with open("capture.pcap", "wb") as file:
    # A Device around the Device. 128 octets of each frame are enough for all headers.
    device = PcapWriter(board.ethernet(), file, time.ticks_us, snaplen=128)
    net = Net(device, hostname="pico", tcp=2, udp=1, rx=1024, tx=1024)
    if not net.wait_up():
        raise OSError("no cable, or no DHCP server")
    print("ping", net.iface.ip_addrs[0].split("/")[0])
    while device.frames < FRAMES:
        net.wait(1000)
    net.down()
    device.flush()
    print(device.frames, "frames in capture.pcap")
