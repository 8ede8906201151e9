"""Runs under MicroPython: batch_check.py FD. Reads what waits there in batches of 20,000 octets
(13 whole frames of 1514 and a part of the next), tells how many frames came out whole."""

import sys

from ports.unix.descriptor import Descriptor

device = Descriptor(int(sys.argv[1]), batch=20000)
buffer = bytearray(1600)
whole = 0
while device.wait(300):
    n = device.recv(buffer)
    if n:
        assert n == 1514, n
        whole += 1
print("whole", whole, "dropped", device.dropped)
