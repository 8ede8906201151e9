"""The examples, as they stand, on an emulated Pico with MicroPython's own firmware: the tests are
those of tests/linux/test_examples.py."""

import netlab
import pytest
from test_dhcp import ARGS, Dnsmasq
from test_examples import (  # noqa: F401
    OPTIONS,
    test_bringup,
    test_capture,
    test_echo_server,
    test_http_client,
    test_mqtt_sensor,
    test_web,
)

from harness import targets

CLIENT = "/mha/umqtt/__init__.py"


@pytest.fixture
def target():
    return targets.Rp2.name


@pytest.fixture
def lan(pico, tmp_path, third_party):
    """The wire, with dnsmasq; lan.start() has a Pico run an example to its end."""
    if not netlab.has("dnsmasq"):
        pytest.skip("dnsmasq is missing: tools/setup system")

    def start(target, program, ready, env=None, cwd=None):
        files = {"board.mpy": "examples/board.py"}
        if env:  # more to be imported
            files["lib/umqtt/simple.mpy"] = third_party + CLIENT
        get = ["--get", f"capture.pcap={cwd}/capture.pcap"] if cwd else []
        return pico.board.start(program, files, ready, ["--once", *get])

    pico.start = start
    with Dnsmasq(pico, tmp_path, *OPTIONS, settings=ARGS.replace("--port=0", "")) as dnsmasq:
        pico.dnsmasq = dnsmasq
        yield pico
