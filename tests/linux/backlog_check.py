"""A server that is late: it accepts nobody for some seconds, then echoes. For test_listener.py."""

import sys

sys.path.insert(1, sys.path[0] + "/../../ports/unix/programs")

import time

import command

USAGE = """
usage: backlog_check.py TAP IP/PLEN PORT [--late MS] [--half-open N] [--timestamps]
"""


def main():
    given, options = command.arguments(USAGE, 3, 3, late=1200, half_open=2, timestamps=False)
    import services

    from smolmp.socket import tcp
    from smolmp.socket.set import SocketSet

    device = command.open_device(given[0], options)
    iface = command.interface(device, given[1], options)
    sockets = SocketSet()
    listener = sockets.add(
        tcp.Listener(2, 12, 4096, 4096, options.half_open, timestamps=options.timestamps)
    )
    server = services.Server(listener, int(given[2]), services.Echo)
    listener.service = lambda: None
    print("ready")
    begin = time.ticks_ms()

    def late():
        return time.ticks_diff(time.ticks_ms(), begin) > options.late

    command.loop(iface, sockets, device, 0, late, 50)
    print("waiting %d half-open %d" % (listener.waiting(), listener.half_open()))
    listener.service = server.run
    server.run()
    command.loop(iface, sockets, device, 0, None, 50)


command.run(main)
