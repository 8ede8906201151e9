"""Frames on an inherited TAP descriptor with nothing done to them, for CPython and MicroPython
alike: rawtap.py FD MODE SECS LEN

MODE   write   one frame a call
       read    one frame a call: FileIO.readinto of the frame's very length, os.read in CPython
       batch   MicroPython: FileIO.readinto of a large buffer, which takes all that waits
       ffi     MicroPython: read(2) through ffi, one frame a call
       device, device-write: ports/unix/descriptor.py, as smolmp reads and writes
       drain-* the same reads (read, batch, ffi, device), but only 450 frames at a time of a queue
               that is kept full meanwhile: the reader's own rate, whatever the feeder's is
"""

import select
import sys
import time

fd, mode, secs, size = int(sys.argv[1]), sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
MICROPYTHON = sys.implementation.name == "micropython"
frame = bytearray(size)
frame[0:6] = b"\xff" * 6
frame[6:12] = b"\x02\0\0\0\0\x09"
frame[12:14] = b"\x88\xb5"
poll = select.poll()
DRAIN = 450


def micropython_reader(kind):
    """(function that takes what it can and tells the octets, frames per call at most)"""
    if kind == "device":
        from ports.unix.descriptor import Descriptor

        device = Descriptor(fd)
        view = memoryview(bytearray(size + 64))[2 : size + 18]
        poll.register(device._stream, select.POLLIN)
        recv = device.recv
        return lambda: recv(view), 1
    f = open(fd, "r+b")
    poll.register(f, select.POLLIN)
    if kind == "ffi":
        import ffi

        read = ffi.open(None).func("i", "read", "ipI")
        buf = bytearray(size + 16)
        return lambda: max(0, read(fd, buf, size + 16)), 1
    buf = bytearray(size if kind == "read" else size * 90)
    readinto = f.readinto
    return lambda: readinto(buf) or 0, 1 if kind == "read" else 90


def cpython_reader(kind):
    import os

    poll.register(fd, select.POLLIN)

    def read():
        try:
            return len(os.read(fd, 2048))
        except BlockingIOError:
            return 0

    return read, 1


def micropython_writer(kind):
    if kind == "device-write":
        from ports.unix.descriptor import Descriptor

        send = Descriptor(fd).send
        return lambda: send(frame, 0, size)
    write = open(fd, "r+b").write
    return lambda: write(frame)


def cpython_writer(kind):
    import os

    block = bytes(frame)
    return lambda: os.write(fd, block)


def now():
    return time.ticks_us() if MICROPYTHON else int(time.perf_counter() * 1e6)


def since(start):
    return time.ticks_diff(time.ticks_us(), start) if MICROPYTHON else now() - start


def main():
    us = int(secs * 1e6)
    octets = 0
    if mode.endswith("write"):
        write = (micropython_writer if MICROPYTHON else cpython_writer)(mode)
        start = now()
        while since(start) < us:
            for _ in range(64):
                write()
            octets += 64 * size
        return octets, since(start)
    drain = mode.startswith("drain-")
    kind = mode[6:] if drain else mode
    read, most = (micropython_reader if MICROPYTHON else cpython_reader)(kind)
    if drain:
        used = 0
        poll.poll(5000)  # the feeder starts
        for _ in range(int(secs * 50)):
            time.sleep(0.01)
            start = now()
            for _ in range(DRAIN // most):
                octets += read()
            used += since(start)
        return octets, used
    while read():
        pass
    poll.poll(5000)
    start = now()
    while since(start) < us:
        for _ in range(64):
            n = read()
            octets += n
            if not n:
                poll.poll(100)
    return octets, since(start)


octets, us = main()
print(
    '{"frames_s": %d, "mbit_s": %.1f, "us_each": %.3f}'
    % (octets / size * 1e6 / us, octets * 8 / us, us / max(1, octets / size))
)
