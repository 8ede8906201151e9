"""Boards with smolmp on them: frozen into the firmware, or installed on MicroPython's own.

Installed as tools/flash.py does it: the .mpy files that tools/pack.py makes, below /lib, and
ports/rp2/inplace.py's file of their code, so that their functions run from the flash. The board
lays that file out itself, which takes it two seconds and us fifteen; so its flash is kept, in
build/rp2/installed.flash, until smolmp changes.
"""

import fcntl
import hashlib
import sys
from pathlib import Path

import pico

sys.path.append(str(pico.ROOT / "tools"))

import lean  # noqa: E402
import pack  # noqa: E402

FLASH = pico.BUILD / "installed.flash"
ARCHITECTURE = "armv6m"
INSTALL = "from ports.rp2 import inplace; inplace.install()"
# What a program says before its other imports, so that they run from the flash.
BEGIN = "from ports.rp2 import inplace\nassert inplace.begin()\n"
RESIDENT = "from ports.rp2 import resident\nassert resident.begin()\n"
KINDS = ("stock", "frozen", "resident")


def image(files=None):
    """The octets of the flash's file system, with `files`, {name: octets}, beside smolmp."""
    tree = pack.Tree()
    names = tree.whole(("rp2",))
    octets = _kept(tree, names)
    return pico.image(files, octets) if files else octets


def board(kind, files=None, **keywords):
    """A pico.Pico with smolmp and `files`: "frozen", in its firmware; "resident", with all its
    objects, and main.py begins with RESIDENT; "stock", installed on MicroPython's own, and main.py
    begins with BEGIN. keywords: Pico's."""
    files = dict(files or {})
    begin = {"frozen": "", "resident": RESIDENT, "stock": BEGIN}[kind]
    if "main.py" in files:
        files["main.py"] = begin.encode() + files["main.py"]
    if kind != "stock":
        return pico.Pico(pico.FROZEN, files, **keywords)
    it = pico.Pico(pico.STOCK, **keywords)
    it.filesystem = image(files)
    return it


def _kept(tree, names):
    digest = _digest(tree, names).encode()
    FLASH.parent.mkdir(parents=True, exist_ok=True)
    with open(FLASH, "ab+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # several processes come at a time
        file.seek(0)
        kept = file.read()
        if not kept.endswith(digest):
            kept = _install(tree, names) + digest
            file.truncate(0)
            file.write(kept)
    return kept[: -len(digest)]


def _digest(tree, names):
    digest = hashlib.sha256(pico.STOCK.read_bytes())
    for source in (__file__, pack.__file__, lean.__file__):
        digest.update(Path(source).read_bytes())
    for name in names:
        digest.update(f"{name}\n{tree.text(name)}".encode())
    return digest.hexdigest()


def _install(tree, names):
    compiled = pack.octets_of(tree, names, ARCHITECTURE)
    board = pico.Pico(
        pico.STOCK, {f"lib/{name[:-3]}.mpy": octets for name, octets in compiled.items()}
    )
    board.boot()
    printed, error = board.execute(INSTALL)
    if error:
        raise RuntimeError((printed + error).decode(errors="replace"))
    return board.filesystem
