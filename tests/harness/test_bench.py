"""tools/peers: what the comparison makes of measurements. (That it measures is `make bench`.)"""

import sys
import xml.etree.ElementTree
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINES = [
    {"stack": "smolmp", "mode": "sink", "mbit_s": 300},
    {"stack": "smolmp", "mode": "sink", "mbit_s": 100},
    {"stack": "smolmp", "mode": "sink", "mbit_s": 200},
    {"stack": "smolmp", "mode": "sink", "error": "not ready"},
    {"stack": "smolmp", "mode": "echo", "trips_s": 50.04, "trip_cpu_us": 12.34},
    {"stack": "smolmp", "mode": "udpecho-spin", "trips_s": 80},
    {"stack": "lwip-mpy-sizes", "mode": "udpecho-spin", "trips_s": 40},
    {"stack": "lwip-mpy-sizes", "mode": "sink", "mbit_s": 400},
    {"stack": "lwip-mpy-sizes", "mode": "source", "mbit_s": 40},
    {"stack": "pytcp", "mode": "udpecho", "error": "ended"},
]


@pytest.fixture
def compare(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools" / "peers"))
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import compare

    yield compare
    for name in ("compare", "rivals", "bench"):
        sys.modules.pop(name, None)


def test_medians_leave_errors_out(compare):
    assert compare.medians(LINES) == {
        "smolmp": {
            "receive_mbit": 200,
            "tcp_echo": 50.0,
            "tcp_echo_cpu_us": 12.3,
            "udp_echo_spin": 80,
        },
        "lwip-mpy-sizes": {"receive_mbit": 400, "send_mbit": 40, "udp_echo_spin": 40},
    }


def test_ratios_stand_beside_the_figures(compare):
    text = compare.text(compare.medians(LINES))
    row = next(line.split() for line in text.splitlines() if line.split()[0] == "smolmp")
    assert row == "smolmp 200 (0.50) - 50 - 12 - - 80 (2.00) -".split()
    assert "times lwip-mpy-sizes" in text


def test_the_ceiling_stands_beside_busy_poll(compare):
    table = {
        "smolmp-busy-poll": {"udp_echo": 60, "udp_echo_spin": 80},
        "c-reflector-spin": {"udp_echo": 80, "udp_echo_spin": 100},
        "lwip-mpy-sizes": {"udp_echo": 50},
    }
    line = (
        "to a client that sleeps: smolmp-busy-poll 1.20, no stack at all 1.60 times lwip-mpy-sizes"
    )
    assert compare.ceilings(table) == "UDP, %s: 0.75\n" % line
    assert compare.ceilings({"smolmp": {"udp_echo": 60}}) == ""


def test_bare_tap_is_a_rate_of_full_frames(compare):
    lines = [
        {"what": "unix64 ffi read, queue kept full", "len": 1514, "frames_s": 1e6},
        {"what": "unix64 ffi read, queue kept full", "len": 60, "frames_s": 5e6},
        {"what": "unix64 write", "len": 1514, "frames_s": 5e5},
    ]
    assert compare.bare_tap(lines) == {"receive_mbit": 12112.0, "send_mbit": 6056.0}


def test_the_plot_is_svg_with_a_bar_for_each(compare):
    root = xml.etree.ElementTree.fromstring(compare.plot(compare.medians(LINES)))
    bars = [e for e in root.iter("{http://www.w3.org/2000/svg}rect") if "fill" in e.attrib]
    assert len(bars) == 1 + 3  # the background; two that receive, one that sends
    assert max(float(bar.get("width")) for bar in bars[1:]) == 480


def test_a_tarball_with_another_sum_is_refused(compare, tmp_path, monkeypatch):
    import rivals

    monkeypatch.setattr(rivals, "HOME", str(tmp_path))
    monkeypatch.setattr(rivals, "mirror", lambda: tmp_path.as_uri())
    (tmp_path / "it.tar.xz").write_bytes(b"something else")
    monkeypatch.setattr(rivals, "LWIP", "it.tar.xz")
    with pytest.raises(rivals.Missing, match="not the file whose sum"):
        rivals.lwip_source()
    monkeypatch.setattr(rivals, "LWIP", "absent.tar.xz")
    with pytest.raises(rivals.Missing, match="lwIP's source"):
        rivals.lwip_source()
