"""`requests` and `mip`, which MicroPython carries, over smolmp, with TLS and without."""

import netlab
import pytest
from web_server import LARGE, Server, certificate

MIP = ("Installing", "Copying:", "Done")  # what mip says
PROGRAM = "tests/linux/net/install.py"


@pytest.fixture
def servers(wire, tmp_path):
    if not netlab.has("openssl"):
        pytest.skip("openssl is missing")
    plain = Server(wire.kernel, 8000)
    secure = Server(wire.kernel, 8443, certificate(tmp_path))
    yield plain, secure
    plain.close()
    secure.close()


@pytest.mark.targets("unix32")
def test_requests_and_mip(wire, target, servers, tmp_path):
    with wire.kernel.socket() as silent:
        silent.bind((netlab.KERNEL_IP, 8002))
        silent.listen(1)
        program = wire.start(target, PROGRAM, wire.kernel_ip, str(tmp_path), ready=None)
        assert program.wait(60) == 0, program.output
    said = [line for line in program.output.splitlines() if line.split()[0] not in MIP]
    told = []
    for scheme in ("http", "https"):
        told += [
            scheme + " blink helper",
            "%s 200 300000 %d" % (scheme, sum(LARGE)),
            scheme + " 200 {'a': [1, 2, 3]}",
            scheme + " 200 20000",
            "%s 200 %d" % (scheme, sum(len("part %d," % i) for i in range(50))),
            scheme + " 200 arrived",
            scheme + " 200",
        ]
    told += ["refused 111", "free (8, 8)", "silent 110"]
    assert said == told, program.output
    assert "error" not in servers[0].seen + servers[1].seen
    wire.check()
