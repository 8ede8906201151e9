"""In simulated time, where a millisecond is one: the clock that SNTP sets, and the sleep that the
W5500's INT ends; and how deep in the C stack a name is found. The clock once more by chrony, whose
time is the wall's."""

import json
import subprocess
import time
from datetime import datetime, timezone

import netlab
import pytest
from test_sntp import Chrony

from harness import targets


def simulated(*what):
    """What tests/pico/simulated.py tells."""
    target = targets.Rp2()
    if target.missing():
        pytest.skip(f"target {target.name} is missing: {target.missing()}")
    argv = ["nice", target.program(), "tests/pico/simulated.py", *what]
    done = subprocess.run(argv, cwd=netlab.ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_sntp_sets_the_clock():
    """machine.RTC, which knows no fractions of a second, and time.time(), which is made of it."""
    told = simulated("clock")
    assert 0 <= told["truth"] - told["seconds"] < 0.1, told
    year, month, day, weekday, *rest, _ = told["fields"]
    shown = datetime(year, month, day, *rest, tzinfo=timezone.utc)
    assert 0 <= shown.timestamp() - told["seconds"] <= 1 and weekday == shown.weekday(), told
    assert abs(told["behind_ms"]) <= 20, told  # it was set at the beginning of a second


@pytest.mark.parametrize("kind", ["blocking", "asyncio"])
def test_an_idle_server_sleeps_until_the_interrupt(kind):
    told = simulated("idle", kind)
    # Whatever the board's timers (10 ms), whenever the frame comes.
    assert max(told["trips_ms"]) < 4.5, told
    # Between its milliseconds (USB's) it sleeps, and hardly looks at the chip.
    assert told["asleep"] > 0.8 * told["looks"] and told["accesses"] < 100, told


def test_a_name_whose_answer_comes_by_tcp():
    """What that needs is imported within a poll: of 8 KB of C stack enough is left for a program
    that asks from within functions of its own."""
    told = simulated("names")
    assert told["ends"] == ["10.0.0.0", "10.0.0.63"] and told["records"] == 64, told
    assert told["by_tcp"] == 1 and told["failovers"] == 0, told
    assert told["stack_left"] >= 1536, told


def test_sntp_by_chrony(pico, tmp_path):
    if not netlab.has("chronyd"):
        pytest.skip("chronyd is missing: tools/setup system")
    with Chrony(pico, tmp_path, pico.kernel_ip, "local stratum 7"):
        began = time.time()
        board = pico.board.start("tests/pico/clock.py", ready=r"^set True 7$")
        seconds = int(board.wait_line(r"^clock (\d+)$")[1])
        assert began - 1 <= seconds <= time.time(), board.output
        # Its time stands still where the machine is busy: by how much, bridge.py tells at the end.
        board.wait_line(r"^behind -?\d+$", 60)
    pico.check(expect="ntp.flags.mode == 3 and ntp.flags.vn == 4", dissect=True)
