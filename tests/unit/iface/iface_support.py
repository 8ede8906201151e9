"""Sender: a socket that does nothing but send, for tests of the poll family."""

from array import array

from support import PEER_IP, payload

from smolmp.socket.set import handle_of
from smolmp.wire import address as addresses

SENT, IDLE, BUSY, BLOCKED, UNREACHABLE = 1, 0, -1, -2, -3


class Sender:
    """A socket with `left` packets for `to`; it notes what iface.send() said."""

    kind = "test"
    handle = property(handle_of)

    def __init__(self, to=PEER_IP, left=1):
        self.sockets = None
        self.slot = -1
        self.left = left
        self.codes = []
        self.timers = []
        self.flow = array("i", bytes(56))
        self.flow[0] = 4
        self.flow[1] = 253
        self.flow[12] = 64
        addresses.to_words(addresses.parse_address(to), self.flow, 8)

    def attached(self):
        pass

    def detached(self):
        pass

    def dispatch(self, iface):
        if not self.left:
            return IDLE
        iface.tx[64:68] = bytes([self.slot, self.left, 0, 0])
        iface.select_source(self.flow)
        code = iface.send(self.flow, 68)
        self.codes.append(code)
        if code not in (BUSY, BLOCKED):
            self.left -= 1
        return code

    def on_timer(self, iface):
        self.timers.append(iface.now)


def senders(net, *lefts):
    result = []
    for left in lefts:
        socket = net.sockets.add(Sender(left=left))
        net.sockets.mark(socket.slot)
        result.append(socket)
    return result


def order(out):
    """(slot, left) of the packets that senders sent."""
    return [(payload(f)[3][0], payload(f)[3][1]) for f in out]
