"""Runs under MicroPython: does with a Device what test_devices.py asks for, without a stack.

device_check.py KIND NAME|FD TASK
KIND: tap, tapbatch (a TAP read in batches), tun, fd, packet, offload, offloadtun
TASK: echo N   takes N frames and sends an answer to each, with the heap locked
      small    takes frames with a buffer of 128 octets
      down     sends a frame each 20 ms, tells when the link changes
      wait     tells how long wait(ms, spin) took
      fetch N  fetches N frames, then N more, and tells of each N how often it stayed awake
"""

import sys
import time

import micropython

from ports.unix import awake
from ports.unix.descriptor import Descriptor
from ports.unix.packet_socket import PacketSocket
from ports.unix.tuntap import Tap, Tun


def echo(device, want):
    buffer = memoryview(bytearray(1600))[2:]
    answer = bytearray(100)
    if device.medium == 1:
        answer[14:20] = b"\xff" * 6
        answer[20:26] = b"\x02\0\0\0\0\x05"
        answer[26:28] = b"\x88\xb5"
    else:
        answer[14:34] = b"\x45\0\0\x4a\0\0\0\0\x40\xfd\0\0\xc0\xa8\x45\x01\xc0\xa8\x45\x64"
    recv, send, wait = device.recv, device.send, device.wait
    frames = octets = 0
    micropython.heap_lock()
    while frames < want:
        n = recv(buffer)
        if n:
            frames += 1
            octets += n
            send(answer, 14, 88)
        elif not wait(5000, 50):
            break
    micropython.heap_unlock()
    print("got", frames, octets)


def allocating(device, want):
    """as echo, for the AF_PACKET of an interpreter without ffi, which allocates"""
    buffer = memoryview(bytearray(1600))[2:]
    answer = b"\xff" * 6 + b"\x02\0\0\0\0\x05\x88\xb5" + bytes(60)
    frames = octets = 0
    while frames < want:
        n = device.recv(buffer)
        if n:
            frames += 1
            octets += n
            device.send(answer, 0, 74)
        elif not device.wait(5000):
            break
    print("got", frames, octets)


def small(device):
    buffer = bytearray(128)
    sizes = []
    while device.wait(1000):
        n = device.recv(buffer)
        if n:
            sizes.append(n)
    print("sizes", sizes, "dropped", device.dropped)


def down(device):
    frame = b"\xff" * 6 + b"\x02\0\0\0\0\x05\x88\xb5" + bytes(60)
    up = None
    for _ in range(500):
        assert device.send(frame, 0, len(frame)), "busy"
        if device.link() != up:
            up = device.link()
            print("link", up)
        try:
            device.wait(20)
            while device.recv(bytearray(1600)):
                pass
        except OSError as e:
            print("gone", e.errno)
            return


def wait(device):
    # With spin: it looks again and again at first, never for longer than ms.
    for ms, spin in ((0, 0), (1, 0), (30, 0), (200, 0), (0, 20000), (1, 20000), (30, 5000)):
        start = time.ticks_us()
        found = device.wait(ms, spin)
        print("waited", ms, time.ticks_diff(time.ticks_us(), start), found)


def fetch(device, want):
    buffer = memoryview(bytearray(1600))[2:]
    state = device.awake
    wait = device.fetch
    for _ in range(2):
        hits, misses = state[awake.HITS], state[awake.MISSES]
        with open("/proc/self/schedstat") as f:
            before = int(f.read().split()[0])
        octets = 0
        micropython.heap_lock()
        for _ in range(want):
            n = 0
            while not n:
                n = wait(buffer, 5000)
            octets += n
        micropython.heap_unlock()
        with open("/proc/self/schedstat") as f:
            us = (int(f.read().split()[0]) - before) // 1000
        hits, misses = state[awake.HITS] - hits, state[awake.MISSES] - misses
        print("fetched %d hits %d misses %d CPU %d us" % (octets, hits, misses, us))


def main():
    kind, name, task = sys.argv[1:4]
    if kind == "tap":
        device = Tap(name)
    elif kind == "tapbatch":
        device = Tap(name, batch=1 << 18)
    elif kind == "tun":
        device = Tun(name)
    elif kind.startswith("offload"):
        from ports.unix.offload import Offload

        device = Offload(name, tun=kind == "offloadtun")
    elif kind == "packet":
        device = PacketSocket(name)
    else:
        device = Descriptor(int(name))
    print("ready", device.medium, device.mtu, device.name)
    if task == "echo":
        (allocating if kind == "packet" and not has_ffi else echo)(device, int(sys.argv[4]))
    else:
        globals()[task](device, *[int(word) for word in sys.argv[4:]])
    print("dropped", device.dropped, "lost", device.lost)
    if kind.startswith("offload"):
        print("damaged", device.damaged)


try:
    import ffi

    has_ffi = ffi is not None
except ImportError:
    has_ffi = False

main()
