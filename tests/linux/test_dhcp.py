"""The DHCP client and dnsmasq. dhcp.py tells every change of state."""

import subprocess
import time

import netlab
import pytest

ARGS = "--interface=tap0 --bind-interfaces --except-interface=lo --port=0 --keep-in-foreground"
RANGE = "--dhcp-range=192.168.69.50,192.168.69.60,255.255.255.0,120"


class Dnsmasq:
    """dnsmasq in the wire's namespace; its leases in a file that outlives it."""

    def __init__(self, wire, folder, *options, leases="leases", settings=ARGS):
        self.log = folder / "dnsmasq.log"
        self.file = self.log.open("ab")
        argv = ["dnsmasq", "--conf-file=/dev/null", "--user=", "--pid-file", "--no-ping"]
        argv += [*settings.split(), "--log-facility=-", "--log-dhcp", "--dhcp-authoritative"]
        argv += ["--dhcp-leasefile=%s" % (folder / leases), *options]
        self.process = wire.kernel.popen(argv, stdout=self.file, stderr=subprocess.STDOUT)

    def wait(self, text, seconds=10):
        end = time.monotonic() + seconds
        while text not in self.log.read_text():
            assert self.process.poll() is None and time.monotonic() < end, self.log.read_text()
            time.sleep(0.02)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.file.close()


@pytest.fixture(autouse=True)
def needs_dnsmasq():
    if not netlab.has("dnsmasq"):
        pytest.skip("dnsmasq is missing: tools/setup system")


@pytest.mark.targets("unix32")
def test_lease_renewed_and_released(wire, target, tmp_path):
    """dnsmasq gives no lease of less than 2 minutes; a client that believes 10 s renews in 5."""
    options = ("--dhcp-option=3,192.168.69.100",)
    more = ("--dhcp-option=42,192.168.69.100", "--domain=lan", "--dhcp-option=119,lan,b.lan")
    more += ("--dhcp-option=121,10.9.0.0/16,192.168.69.99,0.0.0.0/0,192.168.69.100",)
    with Dnsmasq(wire, tmp_path, RANGE, *options, *more) as server:
        client = wire.start(target, "dhcp.py", "tap0", "--hostname", "pico", "--longest=10")
        line = client.wait_line(r"dhcpv4 BOUND.*192\.168\.69\.\d+/24")
        text = client.output
        assert "ntp 192.168.69.100, search lan b.lan" in text, (line, text)
        assert "routes 10.9.0.0/16 via 192.168.69.99 0.0.0.0/0 via 192.168.69.100" in text
        assert " pico " in (tmp_path / "leases").read_text()
        address = (tmp_path / "leases").read_text().split()[2]
        assert wire.run("ping", "-c", "1", "-W", "2", address)
        before = server.log.read_text().count("DHCPACK")
        end = time.monotonic() + 9
        while server.log.read_text().count("DHCPACK") == before:
            assert time.monotonic() < end, server.log.read_text()
            time.sleep(0.05)
        client.process.send_signal(2)
        server.wait("DHCPRELEASE")
        assert client.wait(10) == 0
    wire.check(expect="dhcp.option.dhcp == 7", dissect=True)


def test_server_that_forgot_us_says_no(wire, tmp_path):
    """Swapped for one of another range: NAK, and an address of its own."""
    with Dnsmasq(wire, tmp_path, RANGE):
        client = wire.start("unix64", "dhcp.py", "tap0", "--longest=10")
        client.wait_line(r"BOUND 192\.168\.69\.5\d/24")
    other = "--dhcp-range=192.168.69.150,192.168.69.160,255.255.255.0,120"
    with Dnsmasq(wire, tmp_path, other, leases="other"):
        client.wait_line(r"BOUND 192\.168\.69\.15\d/24")
        assert " addresses 192.168.69.5" not in client.output.splitlines()[-1]
    wire.check(expect="dhcp.option.dhcp == 6", dissect=True)


def test_occupied_address_is_declined(wire, tmp_path):
    """A host that dnsmasq knows nothing of has the address that it offers."""
    with netlab.Namespace() as other:
        # dnsmasq would know a second address of its own host: a bridge, and another one.
        wire.run("ip", "link", "add", "br0", "type", "bridge")
        wire.run("ip", "addr", "flush", "dev", "tap0")
        wire.run("ip", "link", "set", "tap0", "master", "br0")
        netlab.veth(wire.kernel, other, "veth0", "veth0")
        wire.run("ip", "link", "set", "veth0", "master", "br0")
        wire.kernel.up("br0", "192.168.69.100/24")
        wire.kernel.up("veth0")
        other.up("veth0", "192.168.69.50/24")
        settings = ARGS.replace("tap0", "br0")
        only = "--dhcp-range=192.168.69.50,192.168.69.51,255.255.255.0,120"
        with Dnsmasq(wire, tmp_path, only, "--dhcp-sequential-ip", settings=settings) as server:
            client = wire.start("unix64", "dhcp.py", "tap0")
            client.wait_line(r"dhcpv4 WAITING")
            server.wait("DHCPDECLINE")
            client.wait_line(r"BOUND 192\.168\.69\.51/24")
            assert "192.168.69.50/24" not in client.output
    wire.check(expect="dhcp.option.dhcp == 4", dissect=True)


def test_reboot_and_inform(wire, tmp_path):
    with Dnsmasq(wire, tmp_path, RANGE, "--dhcp-option=6,192.168.69.53") as server:
        client = wire.start("unix32", "dhcp.py", "tap0", "--last", "192.168.69.57", "--once")
        client.wait_line(r"BOUND 192\.168\.69\.57/24")
        assert client.wait(10) == 0 and "SELECTING" not in client.output
        client = wire.start("unix32", "dhcp.py", "tap0", "--inform", "192.168.69.9/24", "--once")
        client.wait_line(r"INFORMED.*dns 192\.168\.69\.53")
        assert client.wait(10) == 0
        server.wait("DHCPINFORM")
    wire.check(expect="dhcp.option.dhcp == 8", dissect=True)
