"""main.py of the emulated Pico for `make bench-rp2`: one connection at a time, port 5001.

The first octet of a connection says what it is for: R, what comes is read and dropped; S, as much
is sent as goes; E, what comes goes back. 8 KiB buffers. Answering pings is the stack's business.
A file /hot: what is hot is copied to RAM (ports/rp2/hot.py).
"""

import gc
import os
import sys
from time import ticks_ms

import machine

from ports.rp2 import boards
from smolmp.iface import Interface
from smolmp.socket import tcp
from smolmp.socket.set import SocketSet

buffer = bytearray(8192)
device = boards.w5500_evb_pico("02:00:00:00:00:01")
iface = Interface(
    device, hardware_addr="02:00:00:00:00:01", ip_addrs=("192.168.69.1/24",), announce=False
)
sockets = SocketSet()
socket = sockets.add(tcp.Socket(rx=bytearray(8192), tx=bytearray(8192)))
socket.time_wait = 10


def functions():
    """Where the code of each function stands, for the table of where the time goes."""
    kind = type(functions)
    for module_name in sorted(sys.modules):
        if not module_name.startswith(("smolmp", "ports")):
            continue
        module = sys.modules[module_name]
        for name in dir(module):
            thing = getattr(module, name)
            if isinstance(thing, type):
                for method in dir(thing):
                    function = getattr(thing, method)
                    if isinstance(function, kind) or "function" in str(type(function)):
                        print("@", thing.__name__ + "." + method, *places(function))
            elif "function" in str(type(thing)):
                print("@", module_name + "." + name, *places(thing))


def places(function):
    """The words that may be its code's address: it depends on how it was compiled."""
    at = id(function)
    return machine.mem32[at + 8] & 0x3FFFFFFF, machine.mem32[at + 12] & 0x3FFFFFFF


def serve():
    """Never ends."""
    todo = 0
    poll = iface.poll
    poll_delay = iface.poll_delay
    wait = device.wait
    while True:
        changed = poll(ticks_ms(), sockets)
        for one in changed:
            if one.can_recv():
                if not todo:
                    todo = one.recv(1)[0]
                n = one.recv_into(buffer)
                if todo == 69:
                    if n:
                        one.send(buffer, 0, n)
                    continue
            if todo == 83 and one.can_send():
                one.send(buffer)
            elif one.may_send() and not one.may_recv():
                one.close()
            if not one.is_open():
                todo = 0
                one.listen(5001)
        if not changed:  # else there is most likely something to send
            wait(poll_delay(ticks_ms(), sockets))


socket.listen(5001)
gc.collect()
if "hot" in os.listdir("/"):
    from ports.rp2 import hot

    print("hot", hot.warm())
functions()
gc.collect()
print("ready", gc.mem_free())
serve()
