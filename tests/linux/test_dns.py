"""The DNS client and dnsmasq: resolve.py says what it found."""

import netlab
import pytest
from test_dhcp import Dnsmasq

SETTINGS = "--interface=tap0 --bind-interfaces --except-interface=lo --keep-in-foreground"
NAMES = (
    "--no-resolv",
    "--no-hosts",
    "--local-ttl=60",
    "--local=/lan/",
    "--host-record=host.lan,192.168.69.20,fd00::20",
    "--cname=alias.lan,host.lan",
    "--srv-host=_mqtt._tcp.lan,host.lan,1883,1,2",
    "--txt-record=small.lan,a=b,c",
    "--ptr-record=9.69.168.192.in-addr.arpa,pico.lan",
    "--log-queries",
    *["--txt-record=large.lan,%02d%s" % (i, "x" * 198) for i in range(12)],
)
KERNEL = "192.168.69.100"


@pytest.fixture(autouse=True)
def needs_dnsmasq():
    if not netlab.has("dnsmasq"):
        pytest.skip("dnsmasq is missing: tools/setup system")


def resolve(wire, target, servers, *arguments):
    """What resolve.py says; it ends by itself."""
    program = wire.start(
        target, "resolve.py", "tap0", wire.address, servers, *arguments, ready=None
    )
    program.wait(20)
    return program.output


def test_records_of_all_kinds(wire, target, tmp_path):
    wire.kernel.settle("tap0")
    with Dnsmasq(wire, tmp_path, *NAMES, settings=SETTINGS):
        text = resolve(wire, target, KERNEL, "host", "alias.lan", "ALIAS.lan", "--search", "lan")
        assert "host A 192.168.69.20\nalias.lan A 192.168.69.20\nALIAS.lan A" in text
        assert "asked 2, from the cache 1" in text
        if target == "unix64":
            assert "AAAA fd00::20" in resolve(wire, target, KERNEL, "host.lan", "--type", "AAAA")
            text = resolve(wire, target, KERNEL, "_mqtt._tcp.lan", "--type", "SRV")
            assert "SRV (1, 2, 1883, 'host.lan')" in text
            text = resolve(wire, target, KERNEL, "small.lan", "--type", "TXT")
            assert "TXT (b'a=b', b'c')" in text
            text = resolve(wire, target, KERNEL, "192.168.69.9", "--type", "PTR")
            assert "192.168.69.9 PTR pico.lan" in text
            text = resolve(wire, target, KERNEL, "nobody.lan", "small.lan")
            assert "nobody.lan A no such name" in text and "small.lan A no such record" in text
    wire.check(expect="dns.flags.rcode == 3 or dns.cname", dissect=True)


def test_large_answer_by_tcp(wire, target, tmp_path):
    with Dnsmasq(wire, tmp_path, *NAMES, settings=SETTINGS):
        text = resolve(wire, target, KERNEL, "large.lan", "--type", "TXT")
    for i in range(12):
        assert "large.lan TXT (b'%02d%s',)" % (i, "x" * 198) in text
    assert "by TCP 1" in text
    wire.check(expect="tcp.port == 53 and dns.resp.type == 16", dissect=True)


def test_other_servers(wire, tmp_path):
    """The first is silent, the second is no server at all, the third refuses, the last answers."""
    for i in (101, 102):
        wire.run("ip", "addr", "add", "192.168.69.%d/24" % i, "dev", "tap0")
    listen = SETTINGS.replace("--interface=tap0", "--listen-address=192.168.69.")
    with Dnsmasq(wire, tmp_path, *NAMES, settings=listen.replace("69. ", "69.102 ")):
        servers = "192.168.69.200," + KERNEL + ",192.168.69.102"
        text = resolve(wire, "unix64", servers, "host.lan", "--timeout", "300")
        assert "host.lan A 192.168.69.20" in text and "other servers 2" in text
        with Dnsmasq(
            wire, tmp_path, "--no-resolv", "--no-hosts", settings=listen.replace("69. ", "69.101 ")
        ):
            text = resolve(wire, "unix64", "192.168.69.101,192.168.69.102", "host.lan")
            assert "host.lan A 192.168.69.20" in text and "other servers 1" in text
    wire.check(expect="dns.flags.rcode == 5", dissect=True)
