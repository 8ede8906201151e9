"""The Interface: ingress, egress, neighbours, routes and what a host owes its network."""

# From the bottom upwards: an import inside an import costs C stack, of which a board has 8 KB.
import smolmp.wire.checksum  # noqa: I001
import smolmp.wire.icmpv4
import smolmp.iface.icmp
import smolmp.iface.arp
import smolmp.iface.ipv4
import smolmp.iface.path_mtu
import smolmp.iface.walk
from smolmp.iface.interface import Interface
