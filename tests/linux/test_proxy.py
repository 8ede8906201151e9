"""The proxy over TUN: curl fetches from addresses that do not exist."""

import re


def start(wire, target):
    wire.tap("tun", "tun0")
    wire.run("ip", "route", "add", "203.0.113.0/24", "dev", "tun0")
    return wire.start(target, "proxy.py", "tun0")


def test_curl_fetches_from_a_host_that_does_not_exist(bare_wire, target):
    wire = bare_wire
    program = start(wire, target)
    for host, port in (("203.0.113.7", 80), ("203.0.113.8", 80), ("203.0.113.7", 8080)):
        out = wire.run("curl", "-sS", "-m", "10", "http://%s:%d/some/thing" % (host, port))
        assert "You asked %s port %d for:\n  GET /some/thing HTTP" % (host, port) in out
    program.wait_line("session 3 of 3 over")
    wire.check(expect="ip.src == 203.0.113.7 && tcp.srcport == 8080")


def test_many_clients_at_once(bare_wire, target):
    wire = bare_wire
    start(wire, target)
    urls = ["http://203.0.113.%d/%d" % (10 + i % 5, i) for i in range(30)]
    out = wire.run("curl", "-sS", "-m", "20", "--parallel", "--parallel-max", "30", *urls)
    found = re.findall(r"asked (203\.0\.113\.\d+) port 80 for:\n  GET /(\d+) ", out)
    assert sorted((int(i), host) for host, i in found) == [
        (i, "203.0.113.%d" % (10 + i % 5)) for i in range(30)
    ]
    wire.check()


def test_every_address_answers_pings(bare_wire, target):
    wire = bare_wire
    start(wire, target)
    for host in ("203.0.113.1", "203.0.113.200"):
        out = wire.run("ping", "-c", "3", "-i", "0.05", host)
        assert " 0% packet loss" in out
    wire.check()
