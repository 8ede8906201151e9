"""Puts smolmp's objects into the flash, for firmware that has smolmp frozen in.

    resident.py FROZEN.uf2 OUT.uf2 [--changing MODULE]...

FROZEN.uf2, made by build_firmware.sh, is booted in the emulator and imports smolmp; what its RAM
holds then (snapshot.py) goes to the end of OUT.uf2, where ports/rp2/resident.py finds it. Beside
FROZEN.uf2 are the addresses of what is in it, FROZEN.symbols.

--changing  a module into which a program will store, beside those that do it themselves
"""

import argparse
import ast
import os
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import size  # noqa: E402
import snapshot  # noqa: E402
import uf2  # noqa: E402

import pico  # noqa: E402

ROOT = HERE.parents[1]
IMAGE = 0x100B0000  # ports/rp2/resident.py has it, too
END = 0x100C0000  # there the file system begins
# In RAM before anything can be said about it, or about the RAM itself.
STAY = ("ports", "ports.rp2", "ports.rp2.resident")
# What a board does once, changing modules: done here.
PREPARE = "from ports.rp2 import kernels; kernels.install()"
# Parts that are imported when they are asked for, and whose import changes nothing else.
LATER = tuple(name[:-3].replace("/", ".") for name in size.LATER)
NET_LATER = (
    *(f"smolmp.net.{name}" for name in ("datagram", "program", "report")),
    "smolmp.socket.dhcpv4.report",
    "smolmp.socket.dns.stream",
)
GROUPS = (  # what is imported for each; ports/rp2/resident.py counts them
    (*size.SERVER, *LATER),
    ("smolmp.socket.udp", *size.NET, *NET_LATER),
)


def symbols(path):
    """{name: address} of what `nm` wrote."""
    words = (line.split() for line in path.read_text().splitlines())
    return {line[2]: int(line[0], 16) for line in words if len(line) == 3}


def hot():
    """(module, function) of all that ports/rp2/hot.py copies into RAM."""
    tree = ast.parse((ROOT / "ports/rp2/hot.py").read_text())
    what = next(
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "WHAT"
    )
    named = eval(compile(ast.Expression(what), "hot.py", "eval"), {"__builtins__": {}})
    return [(module, function) for module, functions in named.items() for function in functions]


def text(name):
    path = ROOT / name.replace(".", "/")
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return path.read_text()


def rebinds(name):
    """Does a function of the module rebind its globals?"""
    return re.search(r"^ +global ", text(name), re.MULTILINE) is not None


def stores(name):
    """What functions of the module store attributes into: (module, name there), ..."""
    found = re.findall(r"^ +(\w+)\.\w+ = ", text(name), re.MULTILINE)
    return [(name, thing) for thing in sorted(set(found))]


def is_ours(name):
    return name.startswith(("smolmp", "ports.")) and name not in STAY


def taken(firmware, names, changing):
    """A Snapshot of the groups, from a board with `firmware`."""
    board = pico.Pico(firmware)
    board.boot()
    _, flash = uf2.memory(uf2.read(Path(firmware).read_bytes()))
    shot, known = None, set()
    for group in GROUPS:
        lines = [f"import {name}" for name in group]
        lines += [PREPARE, "import gc, sys", "gc.collect()", "print(id(sys.modules))"]
        code = "\n".join(lines)
        printed, error = board.execute(code)
        if error:
            raise SystemExit(error.decode())
        names["sys.modules"] = int(printed)
        memory = snapshot.Memory(bytes(board.mcu.sram), flash, names)
        if shot is None:
            shot = snapshot.Snapshot(memory.words(names["smolmp_resident"] + 16, 2))
        modules = memory.modules(names["sys.modules"])
        new = {n: at for n, at in modules.items() if is_ours(n) and n not in known}
        known.update(new)
        rebound = [name for name in new if name in changing or rebinds(name)]
        stored = [pair for name in new for pair in stores(name)]
        shot.add(memory, new, rebound, stored, hot())
    return shot


def main(arguments):
    parser = argparse.ArgumentParser(description="see the top of tools/rp2/resident.py")
    parser.add_argument("frozen", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--changing", action="append", default=[])
    options = parser.parse_args(arguments)
    frozen = options.frozen
    names = symbols(frozen.with_suffix(".symbols"))
    pages = uf2.read(frozen.read_bytes())
    if max(pages) >= IMAGE:
        raise SystemExit(f"the firmware reaches to 0x{max(pages):08x}, beyond 0x{IMAGE:08x}")
    shot = taken(frozen, names, options.changing)
    at = names["smolmp_resident"]
    _, flash = uf2.memory(pages)
    octets = shot.image(IMAGE, at, flash[at - snapshot.FLASH + 8 :][:8])
    if len(octets) > END - IMAGE:
        raise SystemExit(f"{len(octets)} octets of objects, more than {END - IMAGE}")
    pages.update(uf2.pages(IMAGE, octets))
    part = options.out.with_suffix(".part")
    part.write_bytes(uf2.write(pages))
    os.replace(part, options.out)
    print(
        f"{len(octets)} octets of objects, {shot.used} of {16 * shot.most_places} in RAM:"
        f" {len(shot.moved)} for hot.py, {len(shot.places)} others"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
