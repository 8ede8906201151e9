"""Prints the frames that arrive at a device, one line each, or those of a pcap file."""

import struct
import sys
import time

import command

USAGE = """
usage: tcpdump.py INTERFACE [options]      what passes an interface (AF_PACKET)
       tcpdump.py --read FILE              the frames of a pcap file

options:
  --count N       end after N frames
  --write FILE    write the frames to a pcap file as well
  --tap           INTERFACE is a TAP to be opened instead (with --tun: a TUN)
  --fd N          INTERFACE is open already, at descriptor N
"""


def shown(us, frame, n, medium):
    from smolmp.wire.pretty import format_frame

    s = us // 1000000
    print(
        "%02d:%02d:%02d.%06d %s"
        % (s // 3600 % 24, s // 60 % 60, s % 60, us % 1000000, format_frame(frame, 0, n, medium))
    )


def read_file(path, count):
    with command.open_file(path, "rb") as f:
        head = f.read(24)
        if len(head) < 24:
            command.fail(path + ": not a pcap file")
        for order in "<>":
            magic, link = struct.unpack(order + "I16xI", head)
            if magic in (0xA1B2C3D4, 0xA1B23C4D):
                break
        else:
            command.fail(path + ": not a pcap file")
        divide = 1 if magic == 0xA1B2C3D4 else 1000
        medium = {1: 1, 101: 2, 228: 2, 229: 2}.get(link)
        if medium is None:
            command.fail("%s: link type %d is unknown" % (path, link))
        n = 0
        while count <= 0 or n < count:
            head = f.read(16)
            if len(head) < 16:
                break
            s, part, kept, _ = struct.unpack(order + "IIII", head)
            frame = f.read(kept)
            if len(frame) < kept:
                break
            shown(s * 1000000 + part // divide, frame, kept, medium)
            n += 1


def main():
    given, options = command.arguments(USAGE, 0, 1, count=0, read="", write="", tap=False)
    if options.read:
        read_file(options.read, options.count)
        return
    if not given:
        options.wrong("which interface?")
    options.outgoing = True
    options.packet = not (options.tap or options.tun)
    device = command.open_device(given[0], options)
    if options.write:
        device = command.write_pcap(device, options.write)
    frame = bytearray(65536)
    print("listening on %s, mtu %d" % (given[0], device.mtu))
    n = 0
    while options.count <= 0 or n < options.count:
        size = device.recv(frame)
        if not size:
            device.wait()
            continue
        shown(time.time_ns() // 1000, frame, size, device.medium)
        n += 1
    sys.exit(0)


command.run(main)
