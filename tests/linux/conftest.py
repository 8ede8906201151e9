"""Fixtures of the integration tests: smolmp under MicroPython, Linux as the other host.

A test names what it needs: `target` (runs once per MicroPython interpreter), `wire` (a namespace
with a TAP, smolmp's end of which a program takes), `bare_wire` (the same, no device made yet),
`veth_wire` (a veth pair instead of the TAP).
Each leaves build/pcap/TEST.pcap and build/logs/TEST-PROGRAM.log.
"""

import os
import re
import sys
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
sys.path.insert(0, str(ROOT / "tests/linux"))

import netlab  # noqa: E402

PROGRAMS = "ports/unix/programs/"
TARGETS = ("unix64", "unix32")


def pytest_configure(config):
    config.addinivalue_line("markers", "targets(*names): interpreters that the test runs on")


def pytest_generate_tests(metafunc):
    """`target`: the interpreters of the test that --target has not excluded."""
    if "target" not in metafunc.fixturenames:
        return
    marker = metafunc.definition.get_closest_marker("targets")
    names = marker.args if marker else TARGETS
    given = metafunc.config.getoption("--target", default=[])
    chosen = [t for text in given for t in text.split(",") if t]
    if chosen:
        names = [name for name in names if name in chosen]
    metafunc.parametrize("target", names, indirect=True)


@pytest.fixture(scope="session")
def laboratory():
    try:
        netlab.enter()
    except netlab.Unavailable as e:
        pytest.skip("NO NETWORK NAMESPACES: %s" % e)


@pytest.fixture
def target(request):
    try:
        netlab.interpreter(request.param)
    except netlab.Unavailable as e:
        pytest.skip(str(e))
    return request.param


@pytest.fixture
def third_party():
    """the folder with MicroPython programs that others wrote (tools/third-party.txt)"""
    folder = ROOT / "build/third-party"
    if not (folder / "smolmp-setup").exists():
        pytest.skip("build/third-party is missing: tools/setup third-party")
    return str(folder)


@pytest.fixture
def name(request):
    """the test's name, fit for a file name"""
    return re.sub(r"[^A-Za-z0-9_.=-]+", "-", request.node.name).strip("-")


class Wire:
    """A TAP between Linux (the namespace `kernel`, 192.168.69.100) and smolmp (192.168.69.1)."""

    ip = netlab.STACK_IP
    kernel_ip = netlab.KERNEL_IP
    address = "%s/%d" % (netlab.STACK_IP, netlab.PREFIX_LEN)

    def __init__(self, name):
        self.name = name
        self.kernel = netlab.Namespace()
        self.captures = []
        self.devices = []
        self.programs = []

    def tap(self, mode="tap", device="tap0", mtu=1500, snap=0, quiet=True):
        address = "%s/%d" % (self.kernel_ip, netlab.PREFIX_LEN)
        self.kernel.tap(device, address, mtu, mode, quiet)
        self.devices.append(device)
        self.capture(device, snap)

    def capture(self, device, snap=0, namespace=None, suffix=""):
        path = "build/pcap/%s%s.pcap" % (self.name, suffix)
        self.captures.append((namespace or self.kernel).capture(device, path, snap))

    def start(self, target, program, *args, ready="^ready", namespace=None, **more):
        """Starts a program and waits until it says that it is ready."""
        path = program if "/" in program else PROGRAMS + program
        log = "%s-%s.log" % (self.name, os.path.basename(path).replace(".py", ""))
        more = {"log": log, **more}
        process = (namespace or self.kernel).micropython(target, path, *args, **more)
        self.programs.append(process)
        if ready:
            process.wait_line(ready)
            for device in self.devices:
                self.kernel.settle(device)
        return process

    def peer(self, target, mode, port=5001, *options, **more):
        return self.start(target, "peer.py", "tap0", self.address, mode, port, *options, **more)

    def run(self, *argv, **more):
        return self.kernel.run(*argv, **more)

    def connect(self, port=5001, timeout=20):
        import socket

        s = self.kernel.socket(socket.AF_INET, socket.SOCK_STREAM)
        s.settimeout(timeout)
        s.connect((self.ip, port))
        return s

    def stop(self):
        """Ends captures and programs. Failed: a program nobody waited for has ended by itself."""
        dead = [p for p in self.programs if p.process.returncode is None and not p.alive()]
        for capture in self.captures:
            capture.stop()
        for program in self.programs:
            program.stop()
        for program in dead:
            raise netlab.Failed("a program ended by itself:\n" + program.output)

    def check(self, but="", expect="", dissect=False):
        """Ends everything; Wireshark finds nothing wrong in what was captured.

        but: display filter of frames not to look at; expect: of frames that must be there;
        dissect: what TCP and UDP carry is looked at, too."""
        self.stop()
        if not netlab.has("tshark"):
            warnings.warn("tshark is missing: captures were not looked at", stacklevel=2)
            return
        for capture in self.captures:
            bad = netlab.bad_frames(capture.path, but)
            if dissect:
                bad += netlab.tshark(capture.path, "_ws.malformed", dissect=True)
            assert not bad, "\n".join([capture.path, *bad[:20]])
        if expect:
            found = netlab.tshark(self.captures[0].path, expect, dissect=dissect)
            assert found, "nothing matches " + expect

    def close(self):
        try:
            self.stop()
        finally:
            self.kernel.close()


@pytest.fixture
def bare_wire(laboratory, name):
    """a Wire whose devices the test makes itself"""
    wire = Wire(name)
    yield wire
    wire.close()


@pytest.fixture
def veth_wire(bare_wire):
    """a Wire that is a veth pair, for AF_PACKET: programs stand in the namespace wire.far"""
    with netlab.Namespace() as far:
        netlab.veth(bare_wire.kernel, far)
        bare_wire.kernel.up("veth0", bare_wire.kernel_ip + "/24")
        far.up("veth0")
        bare_wire.capture("veth0")
        bare_wire.far = far
        yield bare_wire
        bare_wire.stop()


@pytest.fixture
def wire(bare_wire):
    bare_wire.tap()
    return bare_wire
