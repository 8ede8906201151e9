"""Longer ways through a network laboratory: routers with narrow links, and a wire that meddles.

    far = netpath.chain(kernel, 1280, 600, 1500)    # three routers' links behind the namespace
    with netpath.Cable(kernel, "tap0", change) as cable:
        kernel.micropython(target, program, "tap0", address, "--fd", cable.fd, fds=[cable.fd])

Part of netlab.py's house: CPython, standard library only.
"""

import os
import select
import socket
import threading

import netlab

TO_KERNEL, TO_STACK = 0, 1
_FRAME = 65536


def chain(first, *mtus):
    """Puts hosts in a row behind `first`; link i has mtus[i] and the addresses 10.0.i.1 (nearer)
    and 10.0.i.2. All but the last forward, and everyone finds everyone. The list of those made."""
    row = [first]
    for i, mtu in enumerate(mtus):
        near, host = row[-1], netlab.Namespace()
        row.append(host)
        netlab.veth(near, host, "down%d" % i, "up%d" % i)
        near.up("down%d" % i, "10.0.%d.1/24" % i, mtu)
        host.up("up%d" % i, "10.0.%d.2/24" % i, mtu)
        near.sysctl("net.ipv4.ip_forward", 1)
        host.run("ip", "route", "add", "default", "via", "10.0.%d.1" % i)
        for j, nearer in enumerate(row[:-2]):
            nearer.run("ip", "route", "add", "10.0.%d.0/24" % i, "via", "10.0.%d.2" % j)
    return row[1:]


class Cable:
    """The wire between the kernel's TAP and a program that inherits `fd`: each frame passes
    change(frame, direction), a function that returns it (a bytearray, changed or not) or None:
    then it is lost."""

    def __init__(self, namespace, device="tap0", change=None):
        self._change = change
        self._tap = namespace.open_tap(device)
        self._ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (self._ours, self._theirs):
            end.setblocking(False)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        self.fd = self._theirs.fileno()
        self.lost = 0  # frames that found no room: a wire that is too slow drops
        self._stop, self._stopped = os.pipe()
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    def _carry(self):
        ours = self._ours.fileno()
        ends = ((self._tap, ours, TO_STACK), (ours, self._tap, TO_KERNEL))
        poll = select.poll()
        for source, _, _ in ends:
            poll.register(source, select.POLLIN)
        poll.register(self._stop, select.POLLIN)
        while True:
            ready = [fd for fd, _ in poll.poll()]
            if self._stop in ready:
                return
            for source, target, direction in ends:
                if source in ready and not self._pass(source, target, direction):
                    return

    def _pass(self, source, target, direction):
        """Carries what waits at source; False: that end is gone."""
        while True:
            try:
                frame = bytearray(os.read(source, _FRAME))
            except BlockingIOError:
                return True
            except OSError:
                return False
            if not frame:
                return False
            if self._change is not None:
                frame = self._change(frame, direction)
            if frame is not None:
                try:
                    os.write(target, frame)
                except OSError:
                    self.lost += 1

    def stop(self):
        os.write(self._stopped, b"x")
        self._thread.join(5)
        for fd in (self._tap, self._stop, self._stopped):
            os.close(fd)
        self._ours.close()
        self._theirs.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


# What a router on the way does to frames of IPv4 over Ethernet.


def is_ipv4(frame):
    return len(frame) >= 34 and frame[12:14] == b"\x08\0"


def drop_too_big(frame, direction):
    """A black hole: the routers' "fragmentation needed" never gets through to the stack."""
    if direction == TO_STACK and is_ipv4(frame) and frame[23] == 1:
        at = 14 + ((frame[14] & 15) << 2)
        if frame[at : at + 2] == b"\3\4":
            return None
    return frame


class Marker:
    """Marks every n-th packet that is ECN-capable (RFC 3168 5); counts them by direction."""

    def __init__(self, n):
        self.n = n
        self.capable = [0, 0]
        self.marked = [0, 0]

    def __call__(self, frame, direction):
        if is_ipv4(frame) and frame[15] & 3 in (1, 2):
            self.capable[direction] += 1
            if self.capable[direction] % self.n == 0:
                self.marked[direction] += 1
                old = frame[14] << 8 | frame[15]
                frame[15] |= 3
                # RFC 1624: HC' = ~(~HC + ~m + m')
                total = (frame[24] << 8 | frame[25]) ^ 0xFFFF
                total += (old ^ 0xFFFF) + (frame[14] << 8 | frame[15])
                while total >> 16:
                    total = (total & 0xFFFF) + (total >> 16)
                total ^= 0xFFFF
                frame[24:26] = bytes([total >> 8, total & 255])
        return frame
