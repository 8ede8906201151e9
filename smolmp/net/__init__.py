"""What MicroPython programs already speak: a stack that drives itself, and the socket module.

    from smolmp.net import Net

    net = Net(device, "192.168.1.5/24", gateway="192.168.1.1")
    net.install()               # from here on: import socket, asyncio, requests, ...
    print(net)                  # addresses, routes, neighbours, sockets, counters

stack.py is Net; socket.py what a program's socket does about waiting, time-outs and streams, over
the kinds of it in stream.py (TCP) and datagram.py (UDP, raw IP); module.py is what becomes
sys.modules["socket"]; names.py finds addresses.
"""

from smolmp.net.stack import Net  # noqa: F401
