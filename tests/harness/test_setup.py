"""tools/setup: what can be seen of it without a network."""

import functools
import hashlib
import http.server
import importlib.machinery
import importlib.util
import os
import subprocess
import threading
import time
from pathlib import Path

import pytest

SETUP = Path(__file__).resolve().parents[2] / "tools" / "setup"


@pytest.fixture
def setup(tmp_path):
    loader = importlib.machinery.SourceFileLoader("smolmp_setup", str(SETUP))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    for name in ("BUILD", "MICROPYTHON", "SYSTEM", "LOGS"):
        setattr(module, name, tmp_path / name.lower())
    return module


def test_nothing_to_do_is_quick_and_silent():
    """Of the interpreters: .venv is what this test stands on."""
    here = Path(__file__).resolve().parents[2] / "build" / "micropython"
    if not all((here / f"micropython-{name}").exists() for name in ("amd64", "i386")):
        pytest.skip("no interpreters yet: run `make setup`")
    start = time.monotonic()
    done = subprocess.run([str(SETUP), "micropython"], capture_output=True, text=True)
    assert time.monotonic() - start < 3  # 0.2 s on a quiet machine
    assert done.returncode == 0, done.stdout
    assert done.stdout == ""


def test_without_apt_it_says_what_to_do(setup, capsys):
    setup.PATH = "/nonexistent"
    assert setup.main(["micropython"]) == 1
    said = capsys.readouterr().out
    assert "MISSING: micropython-amd64: needs Debian's or Ubuntu's apt-get and dpkg" in said
    assert "MISSING: micropython-i386" in said or "micropython-i386: needs" in said
    setup.CI = False
    assert setup.main(["system"]) == 1
    said = capsys.readouterr().out
    assert "missing ip, ping" in said
    assert (
        "or install them yourself: apt-get install chrony curl dnsmasq-base ethtool iproute2"
        in said
    )


def test_without_a_network_it_says_what_it_wanted(setup, capsys, monkeypatch):
    """A mirror that nobody answers for: the address is told, and what else would do."""
    if not setup.has_apt():
        pytest.skip("no apt here")
    monkeypatch.setenv("SMOLMP_DEBIAN_MIRROR", "http://127.0.0.1:1/debian")
    assert setup.main(["micropython"]) == 1
    said = capsys.readouterr().out
    for architecture, variable in (("amd64", "SMOLMP_UNIX64"), ("i386", "SMOLMP_UNIX32")):
        name = f"micropython-{architecture}: "
        assert (
            name + "apt fetches it from http://127.0.0.1:1/debian: is the network there?" in said
        )
        assert name + f"or name one that is here: {variable}=PATH" in said
    assert not list(setup.MICROPYTHON.glob("micropython-*"))


def test_a_tool_that_fails_is_quoted(setup):
    with pytest.raises(setup.Missing, match=r"(?s)it failed \(exit 3\).*last words"):
        setup.run(["sh", "-c", "echo last words; exit 3"], "it")
    with pytest.raises(setup.Missing, match="No such file"):
        setup.run(["/nonexistent/program"], "it")


def test_both_spellings_of_apt_sources(setup, tmp_path, monkeypatch):
    etc = tmp_path / "etc"
    (etc / "sources.list.d").mkdir(parents=True)
    (etc / "sources.list").write_text(
        "# deb http://no/debian bookworm main\n"
        "deb [arch=amd64 signed-by=/k.gpg] http://one/debian bookworm main # c\n"
        "deb-src http://no/debian bookworm main\n"
        "deb http://security/debian-security bookworm-security main\n"
    )
    (etc / "sources.list.d" / "debian.sources").write_text(
        "Types: deb\n# a comment\nURIs: http://two/debian\nSuites: trixie trixie-updates\n\n"
        "Types: deb-src\nURIs: http://no/debian\nSuites: trixie\n"
    )
    (etc / "sources.list.d" / "other.list").write_text("deb https://other/apt stable main\n")
    monkeypatch.setattr(setup, "Path", lambda p: Path(str(p).replace("/etc/apt", str(etc))))
    assert list(setup.sources()) == [
        (["trixie", "trixie-updates"], ["http://two/debian"]),
        (["bookworm"], ["http://one/debian"]),
        (["bookworm-security"], ["http://security/debian-security"]),
        (["stable"], ["https://other/apt"]),
    ]
    for release, mirror in (
        ({"ID": "debian", "VERSION_CODENAME": "bookworm"}, "http://one/debian"),
        ({"ID": "debian", "VERSION_CODENAME": "trixie"}, "http://two/debian"),
    ):
        monkeypatch.setattr(setup, "os_release", lambda release=release: release)
        assert setup.mirror() == mirror
    ubuntu = {"ID": "ubuntu", "VERSION_CODENAME": "noble"}
    monkeypatch.setattr(setup, "os_release", lambda: ubuntu)
    with pytest.raises(setup.Missing, match="SMOLMP_DEBIAN_MIRROR"):
        setup.mirror()
    monkeypatch.setitem(os.environ, "SMOLMP_DEBIAN_MIRROR", "http://mine/debian")
    assert setup.mirror() == "http://mine/debian"
    # The system's programs come from Ubuntu itself, where its keys are.
    keys = tmp_path / "ubuntu-archive-keyring.gpg"
    (etc / "sources.list").write_text("deb http://five/ubuntu noble main restricted\n")
    places = {"/etc/apt": str(etc), "/usr/share/keyrings": str(tmp_path)}

    def moved(path):
        for place, instead in places.items():
            path = str(path).replace(place, instead)
        return Path(path)

    monkeypatch.setattr(setup, "Path", moved)
    monkeypatch.setattr(setup, "keyring", lambda: "Debian's")
    assert setup.own_archive() == ("http://mine/debian", setup.SUITE, "main", "Debian's")
    keys.touch()
    assert setup.own_archive() == ("http://five/ubuntu", "noble", "main universe", keys)


def test_packages_by_their_sums(setup, tmp_path, monkeypatch, capsys):
    """What is fetched when a mirror's index is out of step, from a mirror on loopback."""
    served = tmp_path / "served"
    (served / "pool").mkdir(parents=True)
    (served / "pool" / "it_1_i386.deb").write_bytes(b"a package")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(served))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("SMOLMP_DEBIAN_MIRROR", f"http://127.0.0.1:{server.server_port}")
    (tmp_path / "tools").mkdir()
    setup.ROOT = tmp_path
    pins = tmp_path / "tools" / "micropython-debs.txt"
    right = hashlib.sha256(b"a package").hexdigest()
    try:
        pins.write_text(f"# sums\n{right} pool/it_1_i386.deb\n")
        assert setup.fetch_pinned(["it"], "i386", tmp_path)
        assert (tmp_path / "it_1_i386.deb").read_bytes() == b"a package"
        assert not setup.fetch_pinned(["it"], "amd64", tmp_path)
        assert not setup.fetch_pinned(["it", "more"], "i386", tmp_path)
        pins.write_text(f"{'0' * 64} pool/it_1_i386.deb\n")
        assert not setup.fetch_pinned(["it"], "i386", tmp_path)
        assert "not the file whose sum" in capsys.readouterr().out
        pins.write_text(f"{right} pool/gone_1_i386.deb\n")
        assert not setup.fetch_pinned(["gone"], "i386", tmp_path)
    finally:
        server.shutdown()
        server.server_close()


def test_unknown_words_get_the_usage(setup, capsys):
    assert setup.main(["nonsense"]) == 2
    assert "tools/setup venv" in capsys.readouterr().out
