"""Be a host: an address by DHCP, a name looked up, and what the stack says about itself."""

import board

from smolmp.net import Net

# DHCP tells the address, the gateway and the name servers. Without DHCP:
# Net(board.ethernet(), "192.168.1.5/24", gateway="192.168.1.1", dns=["192.168.1.1"])
# `tcp` connections at a time, each with `rx` and `tx` octets of buffer, and `udp` sockets.
net = Net(board.ethernet(), hostname="pico", tcp=4, udp=2, rx=2048, tx=2048)
net.install()  # from here on, `import socket` finds this stack
if not net.wait_up():
    raise OSError("no cable, or no DHCP server")
print(net)

import socket  # noqa: E402

print("example.org is", socket.getaddrinfo("example.org", 80)[0][-1][0])

net.sleep(1000)  # as time.sleep_ms(), but the stack lives on: it answers pings meanwhile
net.down()  # gives the address back
