"""What MicroPython programs already speak: a stack that drives itself, and the socket module.

    from smolmp.net import Net

    net = Net(device, "192.168.1.5/24", gateway="192.168.1.1")
    net.install()               # from here on: import socket, asyncio, requests, ...
    print(net)                  # addresses, routes, neighbours, sockets, counters

stack.py is Net, pool.py what it has of sockets; socket.py what a program's socket does about
waiting, time-outs and streams, over the kinds of it in stream.py (TCP) and datagram.py (UDP, raw
IP); module.py is what becomes sys.modules["socket"]; names.py finds addresses.
"""

# From the bottom upwards: an import inside an import costs C stack, of which a board has 8 KB.
import smolmp.iface  # noqa: F401, I001
import smolmp.socket.set  # noqa: F401
import smolmp.socket.tcp  # noqa: F401
import smolmp.socket.udp  # noqa: F401
import smolmp.net.names  # noqa: F401
import smolmp.net.stream  # noqa: F401
import smolmp.net.socket  # noqa: F401
import smolmp.net.pool  # noqa: F401
from smolmp.net.stack import Net  # noqa: F401
