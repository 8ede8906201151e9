"""wrk: many clients at once that want much. SMOLMP_LOAD: for how many seconds (20)."""

import os
import re
from concurrent.futures import ThreadPoolExecutor

import netlab
import pytest

from linux.conftest import Wire

NET = "tests/linux/net/"
SECONDS = int(os.environ.get("SMOLMP_LOAD", "20"))


def load(name, target, server, third_party):
    """What wrk says of a server, in a namespace of its own."""
    wire = Wire(name)
    try:
        wire.kernel.tap()  # and no capture: it would be what is measured
        wire.devices.append("tap0")
        program = wire.start(target, NET + server + ".py", third_party, heap="32m")
        argv = ["wrk", "-t", "1", "-c", "64", "-d", "%ds" % SECONDS, "--latency"]
        said = wire.run(*argv, "http://192.168.69.1/", timeout=SECONDS + 30)
        assert wire.run("curl", "-sS", "http://192.168.69.1/")  # it serves on
        assert program.alive() and "Traceback" not in program.output, program.output
        return said
    finally:
        wire.close()


@pytest.mark.targets("unix64")
def test_64_connections(laboratory, name, target, third_party):
    """A bare asyncio server, whose connections stay, and microdot, which ends each, at the same
    time: no error."""
    if not netlab.has("wrk"):
        pytest.skip("wrk is missing: tools/setup system")
    servers = ("load", "web")
    with ThreadPoolExecutor() as pool:
        loads = [pool.submit(load, f"{name}-{s}", target, s, third_party) for s in servers]
    for server, one in zip(servers, loads):
        said = one.result()
        print(server, said)  # requests a second, latency: pytest -s shows it
        assert "errors" not in said and "Non-2xx" not in said, said
        assert int(re.search(r"(\d+) requests in", said)[1]) > 64, said
