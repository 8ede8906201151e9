"""The beginning of what `make soak` and `make loss-peers` do at length: through a FaultInjector
that is worse than test_tcp.py's, and through the lossy wire, between Linux and smolmp.
"""

import subprocess
import sys

import loss_peers
import netlab
import pytest
import soak


@pytest.mark.parametrize("direction", ["to", "from"])
def test_through_faults(laboratory, target, direction):
    """5 % lost, 5 % reordered, 1 % duplicated and corrupted, both ways; every octet compared."""
    result = soak.transfer(target, direction, 5 * soak.MB, soak.FAULT, 5)
    assert result["in dropped"] > 50 and result["out dropped"] > 50
    assert result["in reordered"] > 50 and result["out corrupted"] > 10
    if direction == "from":
        assert result["retransmitted"] >= result["out dropped"] // 2


@pytest.mark.parametrize("run", loss_peers.RUNS)
def test_wire(laboratory, run):
    """Each pair over 2 % of loss and 10 ms: the wire loses what it should, the data goes on."""
    result = loss_peers.measure(run, 2, 10, 64, 1, 2.0, "unix64")
    octets = result["received" if run != loss_peers.RUNS[2] else "acked"]
    frames, lost = result["wire"][:2]
    assert octets > 500000
    assert frames > octets // 1460
    assert 0.005 < lost / frames < 0.04, (lost, frames)


def test_wire_without_loss(laboratory):
    """64 KiB in flight every 10 ms are 52 Mbit/s, and nobody gets more."""
    result = loss_peers.measure(loss_peers.RUNS[1], 0, 10, 64, 1, 1.0, "unix64")
    assert result["wire"][1] == 0
    assert 2e6 < result["received"] < 65536 * 105, result


def test_pages_are_what_soak_peer_sends():
    assert soak.pages(0x01020304, 1)[:4] == b"\1\2\3\4"
    assert len(soak.pages(7, 3)) == 3 * soak.PAGE
    assert soak.pages(7, 3)[soak.PAGE :] == soak.pages(8, 2)


@pytest.mark.parametrize("what", ["day", "gigabyte"])
def test_a_soak_that_cannot_run_fails(laboratory, what):
    """No interpreter: no success, whichever thread notices it."""
    program = netlab.ROOT + "/tools/soak.py"
    done = subprocess.run(
        [sys.executable, program, what, "--target", "unix64", "--hours", "0.01", "--size", "1"],
        env={"PATH": netlab.search_path(), "SMOLMP_UNIX64": "/nonexistent"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "soak: FAILED: no MicroPython for target unix64" in done.stderr, done.stderr
