"""The SNTP client and chrony's server, whose clock is the one that MicroPython's port shows."""

import subprocess
import time

import netlab
import pytest
from test_dhcp import RANGE, Dnsmasq

CLOCK = "tests/linux/net/clock.py"


class Chrony:
    """chronyd in the wire's namespace, which leaves this machine's clock alone (-x)."""

    def __init__(self, wire, folder, address, *lines):
        config = folder / ("chrony-%s.conf" % address)
        files = {"pidfile": "pid", "driftfile": "drift"}
        lines += tuple("%s %s/%s-%s" % (k, folder, v, address) for k, v in files.items())
        lines += ("allow all", "bindaddress " + address, "cmdport 0", "bindcmdaddress /")
        config.write_text("\n".join(lines) + "\n")
        self.log = folder / ("chrony-%s.log" % address)
        with self.log.open("wb") as log:
            argv = ["chronyd", "-x", "-d", "-u", "root", "-f", config]
            self.process = wire.kernel.popen(argv, stdout=log, stderr=subprocess.STDOUT)
        end = time.monotonic() + 10
        while "%s:123 " % address not in wire.run("ss", "-lun"):
            assert self.process.poll() is None and time.monotonic() < end, self.log.read_text()
            time.sleep(0.02)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)


@pytest.fixture(autouse=True)
def needs_chrony():
    if not netlab.has("chronyd"):
        pytest.skip("chronyd is missing: tools/setup system")


def asked(wire, target, *arguments):
    program = wire.start(target, CLOCK, *arguments)
    assert program.wait(30) == 0, program.output
    return program.output.splitlines()[1:]


def test_time_by_name(wire, target, tmp_path):
    with Chrony(wire, tmp_path, wire.kernel_ip, "local stratum 7"):
        lines = asked(wire, target, "nothing.test,time.test")
    assert lines[0].startswith("sntp 192.168.69.100 stratum 7 delay "), lines
    today = time.gmtime()
    assert lines[1:] == ["right True (%d, %d, %d) False" % today[:3], "kissed {}"]
    wire.check(expect="ntp.flags.mode == 3 and ntp.flags.vn == 4", dissect=True)


def test_servers_that_are_no_help(wire, tmp_path):
    """The first does not exist, the second is not synchronised, on the third nobody listens."""
    for i in (101, 102, 103):
        wire.run("ip", "addr", "add", "192.168.69.%d/24" % i, "dev", "tap0")
    unsynchronised = Chrony(wire, tmp_path, "192.168.69.101")
    with unsynchronised, Chrony(wire, tmp_path, "192.168.69.103", "local stratum 9"):
        servers = "192.168.69.200,192.168.69.101,192.168.69.102,192.168.69.103"
        lines = asked(wire, "unix64", servers)
        assert lines[0].startswith("sntp 192.168.69.103 stratum 9"), lines
        assert asked(wire, "unix32", "192.168.69.101,192.168.69.102") == ["nobody 110"]
    wire.check(expect="ntp.flags.li == 3 and ntp.flags.mode == 4", dissect=True)


def test_servers_of_the_lease(wire, tmp_path):
    """DHCP's option 42."""
    option = "--dhcp-option=42,192.168.69.100"
    with Dnsmasq(wire, tmp_path, RANGE, option):
        with Chrony(wire, tmp_path, wire.kernel_ip, "local stratum 7"):
            lines = asked(wire, "unix32")
    assert lines[0].startswith("sntp 192.168.69.100 stratum 7 delay "), lines
    wire.check(dissect=True)
