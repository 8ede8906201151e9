"""ports/*/manifest.py: complete, and a firmware made with one runs."""

import os
import runpy
import sys
from pathlib import Path

import pytest

from harness import targets

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(1, str(ROOT / "tools"))

import board  # noqa: E402
import pack  # noqa: E402


def frozen_by(manifest, monkeypatch):
    """The files that a manifest freezes, as MicroPython's tools/manifestfile.py finds them."""
    found = {}
    folder = manifest.parent

    def package(package_path, files=None, base_path=".", opt=None):
        base = (folder / base_path).resolve()
        if files is None:
            walk = os.walk(base / package_path)
            paths = [Path(place) / name for place, _, names in walk for name in names]
            paths = [path for path in paths if path.suffix == ".py"]
        else:
            paths = [base / package_path / name for name in files]
        found.update({path.relative_to(base).as_posix(): opt for path in paths})

    monkeypatch.chdir(folder)
    runpy.run_path(str(manifest), {"package": package})
    return found


@pytest.mark.parametrize("port", pack.PORTS)
def test_a_manifest_freezes_all_that_its_boards_need(port, monkeypatch):
    found = frozen_by(ROOT / "ports" / port / "manifest.py", monkeypatch)
    needless = {"ports/rp2/inplace.py", "ports/rp2/inplace_file.py"}  # it is in place already
    assert set(found) == set(pack.repository().whole((port,))) - needless
    assert set(found.values()) == {3}
    assert all((ROOT / name).is_file() for name in found)


def test_a_firmware_with_smolmp_frozen_in_runs(picos):
    """build/rp2/pico.uf2 is made by tools/rp2/build_firmware.sh with ports/rp2/manifest.py."""
    why = targets.Rp2Frozen().missing()
    if why:
        pytest.skip(why)
    pico = picos(options=["--firmware", str(ROOT / "build/rp2/pico.uf2")])
    with board.Board(pico.port) as it:
        facts = it.facts()
        assert facts.frozen and facts.smolmp == "smolmp/__init__.py"
        program = Path(__file__).with_name("smoke.py").read_text()
        assert "smoke: ok" in it.run(f"import sys; sys.argv[:] = ['', 'udp']\n{program}")
        assert "smoke: ok" in it.run(f"sys.argv[:] = ['', 'ipv4-tcp']\n{program}")
        # No file of it is on the board.
        assert it.run("import os; print(os.listdir('/'))") == "[]\n"
