"""wrk: many clients at once that want much. SMOLMP_LOAD: for how many seconds (4)."""

import os
import re

import netlab
import pytest

NET = "tests/linux/net/"
SECONDS = int(os.environ.get("SMOLMP_LOAD", "4"))


@pytest.mark.targets("unix64")
@pytest.mark.parametrize("server", ["load", "web"])
def test_64_connections(bare_wire, target, third_party, server):
    """A bare asyncio server, whose connections stay, and microdot, which ends each: no error."""
    if not netlab.has("wrk"):
        pytest.skip("wrk is missing: tools/setup system")
    wire = bare_wire
    wire.kernel.tap()  # and no capture: it would be what is measured
    wire.devices.append("tap0")
    program = wire.start(target, NET + server + ".py", third_party, heap="32m")
    argv = ["wrk", "-t", "1", "-c", "64", "-d", "%ds" % SECONDS, "--latency"]
    said = wire.run(*argv, "http://192.168.69.1/", timeout=SECONDS + 30)
    assert "errors" not in said and "Non-2xx" not in said, said
    print(said)  # requests a second, latency: pytest -s shows it
    assert int(re.search(r"(\d+) requests in", said)[1]) > 64, said
    assert wire.run("curl", "-sS", "http://192.168.69.1/")  # it serves on
    assert program.alive() and "Traceback" not in program.output, program.output
