"""Numbers of the protocols by name, for programs that make or read packets themselves. The stack
repeats what it needs, so that names take no memory of a board.
"""

from micropython import const

# Protocols (IANA), and flags of the IPv4 header (RFC 791).
ICMP = const(1)
TCP = const(6)
UDP = const(17)
DONT_FRAGMENT = const(0x4000)
MORE_FRAGMENTS = const(0x2000)

# Types of ICMP messages (RFC 792, 1256).
ECHO_REPLY = const(0)
UNREACHABLE = const(3)
REDIRECT = const(5)
ECHO_REQUEST = const(8)
ROUTER_ADVERT = const(9)
ROUTER_SOLICIT = const(10)
TIME_EXCEEDED = const(11)
PARAM_PROBLEM = const(12)
TIMESTAMP = const(13)
TIMESTAMP_REPLY = const(14)

# Codes of UNREACHABLE that a host sends or heeds.
NET_UNREACHABLE = const(0)
HOST_UNREACHABLE = const(1)
PROTO_UNREACHABLE = const(2)
PORT_UNREACHABLE = const(3)
FRAG_REQUIRED = const(4)

# Flags of the TCP header (RFC 9293 3.1, RFC 3168).
FIN = const(1)
SYN = const(2)
RST = const(4)
PSH = const(8)
ACK = const(16)
URG = const(32)
ECE = const(64)
CWR = const(128)

# Which options a TCP header has, as tcp.parse() tells.
MSS = const(1)
SCALE = const(2)
SACK_PERMITTED = const(4)
SACK = const(8)
TIMESTAMPS = const(16)
USER_TIMEOUT = const(32)

# Messages of DHCPv4 (RFC 2132 9.6).
DHCPDISCOVER = const(1)
DHCPOFFER = const(2)
DHCPREQUEST = const(3)
DHCPDECLINE = const(4)
DHCPACK = const(5)
DHCPNAK = const(6)
DHCPRELEASE = const(7)
DHCPINFORM = const(8)
