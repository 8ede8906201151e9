"""What tools/pack.py makes. A list is complete: proven by installing it into an empty folder."""

import functools
import http.server
import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from harness import targets

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(1, str(ROOT / "tools"))

import lean  # noqa: E402
import pack  # noqa: E402

TREE = pack.repository()
# What this machine's interpreters can load: the ports' modules need the chip.
LOADABLE = ["package", *pack.PARTS]


@functools.cache
def lists(ports=pack.PORTS):
    return pack.lists(TREE, ports)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format, *arguments):
        pass


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """(folder like dist/, its address): with relative addresses in it, and below absolute/ with
    absolute ones."""
    folder = tmp_path_factory.mktemp("dist")
    handler = functools.partial(Quiet, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    url = f"http://127.0.0.1:{server.server_port}"
    pack.pack(TREE, "x64", folder / "x64")
    pack.copy_sources(TREE, folder / "py")
    pack.copy_sources(TREE, folder / "absolute/py", f"{url}/absolute/py/")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield folder, url
    server.shutdown()
    thread.join()


def micropython(target, code, *arguments, path=".frozen"):
    """What a fresh interpreter says; only `path` is its sys.path."""
    if target.missing():
        pytest.skip(f"target {target.label} is missing: {target.missing()}")
    environment = {**target.environment(), "MICROPYPATH": path}
    command = [target.program(), "-X", "heapsize=8m"]
    command += ["-c", code] if not arguments else [code, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def installed(target, url, name, folder):
    """Install a list with the interpreter's own mip; the files there are then."""
    code = f"import mip; mip.install({url + '/' + name + '.json'!r}, target={str(folder)!r})"
    assert micropython(target, code).rstrip().endswith("Done")
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def all_imported(target, folder, files):
    """Import each file's module in an interpreter of its own that sees nothing but `folder`."""
    modules = [re.sub(r"(/__init__)?\.m?py$", "", file).replace("/", ".") for file in files]
    code = "\n".join(f"import {module}" for module in modules if not module.startswith("ports."))
    micropython(target, code, path=f"{folder}:.frozen")


@pytest.mark.parametrize("name", LOADABLE)
def test_mpy_files_of_a_part_are_all_it_needs(served, tmp_path, name):
    target = targets.Unix64Wheel()
    files = installed(target, served[1] + "/x64", name, tmp_path)
    assert files == sorted(file[:-3] + ".mpy" for file in lists(())[name])
    all_imported(target, tmp_path, files)
    script = str(Path(__file__).with_name("smoke.py"))
    assert "smoke: ok" in micropython(target, script, name, path=f"{tmp_path}:.frozen")


@pytest.mark.parametrize("name", LOADABLE)
@pytest.mark.parametrize("target", [targets.Unix32(), targets.Unix64()], ids=lambda t: t.label)
def test_sources_of_a_part_are_all_it_needs(served, tmp_path, name, target):
    # Their mip is of MicroPython 1.25: it takes no relative addresses.
    files = installed(target, served[1] + "/absolute/py", name, tmp_path)
    assert files == lists()[name]
    all_imported(target, tmp_path, files)
    script = str(Path(__file__).with_name("smoke.py"))
    assert "smoke: ok" in micropython(target, script, name, path=f"{tmp_path}:.frozen")


@pytest.mark.parametrize("name", [*LOADABLE, *pack.PORTS])
def test_a_list_names_whatever_its_files_mention(served, name):
    """Also what is imported late, inside a function: no import statement leads outside."""
    folder = served[0] / "py"
    urls = json.loads((folder / f"{name}.json").read_text())["urls"]
    files = {path for path, _ in urls}
    for file in files:
        text = (folder / file).read_text()
        for match in re.finditer(
            r"^\s*(?:from|import) ((?:smolmp|ports)[\w.]*)(?: import (\w+))?", text, re.MULTILINE
        ):
            path = match[1].replace(".", "/")
            near = {f"{path}.py", f"{path}/__init__.py"}
            assert near & files, f"{file} imports {match[1]}, which {name}.json does not name"


@pytest.mark.parametrize("port", pack.PORTS)
def test_a_boards_own_list_is_enough_for_the_examples(port):
    """And for what the README has a program import."""
    readme = " ".join((ROOT / "README.md").read_text().split())
    shown = "\n".join(re.findall(r"`((?:from|import) [^`;]+)", readme))
    texts = {path.name: path.read_text() for path in (ROOT / "examples").glob("*.py")}
    assert len(texts) > 5 and "smolmp.net" in shown, texts.keys()
    for name, text in {**texts, "README.md": shown}.items():
        others = tuple(f"ports/{other}/" for other in pack.PORTS if other != port)
        wanted = {file for file in TREE.imported_by(text, name) if not file.startswith(others)}
        assert wanted <= set(lists()[port]), name


def test_every_architecture_has_every_module(tmp_path):
    without_code = {}
    for architecture in pack.ARCHITECTURES:
        pack.pack(TREE, architecture, tmp_path / architecture)
        for name in TREE.whole(pack.PORTS):
            file = (tmp_path / architecture / name).with_suffix(".mpy")
            assert file.exists() == TREE.compiles(name, architecture), file
            if file.exists() and not file.read_bytes()[2] >> 2:  # no architecture: bytecode
                without_code.setdefault(name, set()).add(file.read_bytes())
        listed = json.loads((tmp_path / architecture / "package.json").read_text())["urls"]
        assert all((tmp_path / architecture / url).is_file() for _, url in listed)
    assert "smolmp/iface/__init__.py" in without_code
    assert all(len(octets) == 1 for octets in without_code.values())


def test_the_repositorys_list_is_of_today():
    text = (ROOT / "package.json").read_text()
    assert text == pack.repository_list(TREE), "run `make mpy`: the list of modules has changed"
    assert all((ROOT / url).is_file() for _, url in json.loads(text)["urls"])


def test_a_part_without_modules_is_an_error(monkeypatch):
    monkeypatch.setitem(pack.PARTS, "nothing", ("", ("smolmp/no_such_thing*.py",), ()))
    with pytest.raises(pack.PackError, match="no_such_thing"):
        pack.lists(TREE, ())


def test_what_does_not_compile_is_named():
    with pytest.raises(pack.PackError, match=r"armv6m: (?s:.)*smolmp/x\.py(?s:.)*SyntaxError"):
        pack.compiled("def f(:\n", "smolmp/x.py", "armv6m")


def test_the_command_line_says_what_went_wrong(tmp_path):
    command = [sys.executable, str(ROOT / "tools/pack.py"), "--into", str(tmp_path)]
    done = subprocess.run([*command, "--arch", "z80"], capture_output=True, text=True)
    assert done.returncode == 2 and "no architecture z80" in done.stderr
    done = subprocess.run([*command, "--arch", "armv6m"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert sorted(os.listdir(tmp_path)) == ["armv6m"]


@pytest.mark.parametrize("architecture", pack.ARCHITECTURES)
def test_what_boards_do_not_need_is_left_out(architecture):
    """Line by line: a traceback's line is the source's."""
    for name in TREE.files:
        text = TREE.text(name)
        prepared = lean.prepared(name, text, architecture)
        before, after = text.split("\n"), prepared.split("\n")
        assert len(before) == len(after), name
        changed = {old.strip() for old, new in zip(before, after) if old != new}
        imports = {"from micropython import const", "import micropython"}
        for line in changed - imports:
            known = "wide" in line or line == "one = 1" or "  # not on a board: " in line
            assert known, (name, line)
        if architecture == "x64":
            assert changed <= imports, name
        else:
            assert not re.search(r"^[^#]*\bwide\b", prepared.split('"""')[-1], re.MULTILINE), name


def test_micropython_is_imported_where_it_is_used():
    source = "import micropython\n\n\n@micropython.native\ndef f():\n    return 1\n"
    assert "import" not in lean.prepared("f.py", source, "armv6m")
    for used in ("micropython.heap_lock()", "x = micropython", "f(micropython.mem_info)"):
        assert lean.prepared("f.py", f"{source}{used}\n", "armv6m").startswith(
            "import micropython"
        )
