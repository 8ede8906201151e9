#!/usr/bin/env python3
"""Puts smolmp on a board with MicroPython: the stack, who the board is, and a program that serves.

    tools/flash.py [PORT] [options]            run by .venv/bin/python; mpremote does the talking

    PORT              the board's serial port; not needed when one board is there
    --board NAME      which board it is: --board help lists them  (on a Pico: w5500_evb_pico)
                      none: no driver, no /host.py
    --wiring PINS     where it is wired otherwise, as in "cs=5 rst=None int=6" (GPIO numbers)
    --address A/P     the board's address and prefix length, as in 192.168.1.50/24   (by DHCP)
    --gateway A       the router's address                            (none, or by DHCP)
    --mac M           the board's hardware address     (made of the chip's own number)
    --part NAME       what of smolmp to bring besides the driver and what the program imports:
                      one of dist/ARCH/*.json                         (the port's: TCP and UDP)
    --main FILE       another program than ports/*/main.py; --main none: leave main.py alone
    --force           replace a main.py that somebody else wrote
    --dry-run         say what would be done, change nothing
    --watch SECONDS   how long to listen to the program in the end    (30, less when it is quiet)

On the board then: /lib/smolmp and /lib/ports compiled for its processor, /host.py with the
addresses and the wiring, /main.py. Files that are there already are not written again.
"""

import argparse
import ast
import functools
import ipaddress
import re
import sys
import time
from pathlib import Path

import board
import pack

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_BOARD = {"rp2": "w5500_evb_pico", None: "none"}
QUIET = 4  # seconds
NEEDED_HEAP = 100_000  # octets: smaller boards run out of it while they import
BUGGY = ((1, 26, 0), (1, 28, 0))  # from, to: their compiler for viper on Thumb (issue 18800)

HOST = '''"""Who this board is: written by tools/flash.py, change it as you like."""

BOARD = {board!r}  # a function of ports.{port}.boards
WIRING = {wiring!r}  # where it differs from that
MAC = {mac!r}
ADDRESSES = {addresses!r}  # None: by DHCP
GATEWAY = {gateway!r}
'''
# As ports/*/main.py does it, and is the cable in?
LINK = """
from time import sleep_ms
import host
from ports.{port} import boards
device = getattr(boards, host.BOARD)(host.MAC, **host.WIRING)
for _ in range(30):
    if device.link():
        break
    sleep_ms(100)
print('link', device.link())
"""
# Code that runs from the flash (ports/rp2/inplace.py) is laid out there anew.
INSTALL = """
from ports.{port} import inplace
inplace.install()
"""
UNIQUE = "import machine, binascii; print(binascii.hexlify(machine.unique_id()).decode())"


TOO_LARGE = board.BoardError(
    "the board has not enough memory to import all that",
    "Choose a smaller part with --part, or put a firmware with smolmp frozen in on the board"
    " (ports/*/manifest.py).",
)


@functools.cache
def boards(port):
    """{name: what it is} of the functions of ports/PORT/boards.py that give a board's device."""
    found = {}
    if port is not None:
        tree = ast.parse((ROOT / "ports" / port / "boards.py").read_text(encoding="utf-8"))
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and [a.arg for a in node.args.args][:1] == [
                "mac"
            ]:
                found[node.name] = ast.get_docstring(node).split("\n\n")[0].replace("\n", " ")
    return found


def pins(text):
    """{name: GPIO number or None} of "cs=5 rst=None"."""
    found = {}
    for word in text.split():
        match = re.fullmatch(r"([a-z]\w*)=(\d+|None)", word)
        if not match:
            raise argparse.ArgumentTypeError(f"{word}: write it as cs=5 or rst=None")
        found[match[1]] = ast.literal_eval(match[2])
    return found


def address(text):
    """An address with its prefix length: without one it would be alone in its network."""
    found = ipaddress.IPv4Interface(text)
    if found.network.num_addresses == 1 or found.ip.is_multicast or found.ip.is_unspecified:
        raise argparse.ArgumentTypeError(f"{text}: write it as 192.168.1.50/24")
    return found


def say(*words):
    print(*words, flush=True)


class Plan:
    """What is to be put on a board. options: parsed; facts: board.Facts; mac: text."""

    def __init__(self, options, facts, mac):
        self.facts = facts
        self.options = options
        self.notes = []
        self.architecture = architecture(facts)
        self.port = facts.platform if facts.platform in pack.PORTS else None
        self.look()
        part = options.part or self.port or "ipv4-tcp"
        tree = pack.repository()
        lists = pack.lists(tree, pack.ARCHITECTURES[self.architecture][1])
        if part not in lists:
            raise board.BoardError(
                f"no part is called {part}", f"There are: {', '.join(sorted(lists))}."
            )
        self.part = part
        self.board_files = {**self.config(mac), **self.program()}
        names = set(lists[part])
        if "/host.py" in self.board_files:
            # start.py, and with it the socket module, comes when the program asks for it.
            folder = f"ports/{self.port}/"
            own = [n for n in tree.files if n.startswith(folder) and n != folder + "start.py"]
            names.update(tree.closure(own))
        if "/main.py" in self.board_files:
            # Also what a program of the user's own needs.
            text = self.board_files["/main.py"].decode()
            names.update(tree.closure(tree.imported_by(text, "main.py")))
        if facts.frozen:
            names = {name for name in names if name.startswith("ports/")}
        self.modules = {}
        library = facts.library()
        for name, octets in pack.octets_of(tree, sorted(names), self.architecture).items():
            self.modules[f"{library}/{name.removesuffix('.py')}.mpy"] = octets
        self.files = {**self.modules, **self.board_files}

    def look(self):
        """What can be told before anything is copied."""
        facts = self.facts
        if facts.frozen:
            self.notes.append(
                "smolmp is part of this firmware, and what is in the firmware is found first: the"
                " stack itself is not brought"
            )
        elif facts.smolmp and not facts.smolmp.startswith(facts.library()):
            self.notes.append(
                f"{facts.smolmp} will be found before what is installed now: remove that folder"
                " (`mpremote fs rm -r`)"
            )
        thumb = self.architecture in pack.THUMB
        if thumb and BUGGY[0] <= facts.version < BUGGY[1]:
            self.notes.append(
                f"MicroPython {facts.release} compiles viper wrongly on this processor (its issue"
                " 18800). The .mpy files are right, they were compiled here; never copy smolmp's"
                " .py files to this board"
            )
        if facts.heap < NEEDED_HEAP:
            self.notes.append(
                f"only {facts.heap} octets of heap are free: importing all of it may end in a"
                " MemoryError; a smaller part, or a firmware with smolmp frozen in, takes less"
            )

    def config(self, mac):
        options = self.options
        name = options.board or DEFAULT_BOARD.get(self.port)
        if name == "none":
            return {}
        if name is None or name not in boards(self.port):
            raise board.BoardError(
                f"which board is it? --board {name or 'NAME'} is none for {self.facts.platform}",
                f"There are: {', '.join([*boards(self.port), 'none'])}.",
            )
        self.board = name
        text = HOST.format(
            port=self.port,
            board=name,
            wiring=options.wiring,
            mac=options.mac or mac,
            addresses=(str(options.address),) if options.address else None,
            gateway=str(options.gateway) if options.gateway else None,
        )
        return {"/host.py": text.encode()}

    def program(self):
        if self.options.main == "none":
            return {}
        if self.options.main:
            return {"/main.py": Path(self.options.main).read_bytes()}
        mine = ROOT / "ports" / str(self.port) / "main.py"
        return {"/main.py": mine.read_bytes()} if mine.exists() else {}

    def room(self, have):
        """Octets of flash that the new files take beyond what they take now."""
        new = [data for path, data in self.files.items() if have[path] is None]
        return sum(self.facts.room(len(data)) for data in new)


def architecture(facts):
    """mpy-cross's name of the board's processor; BoardError when smolmp cannot run there."""
    wanted = ".".join(map(str, board.MPY))
    if facts.mpy and facts.mpy[0] == board.MPY[0] and not facts.architecture:
        raise board.BoardError(
            f"this MicroPython ({facts.machine}) runs no native code, and smolmp's kernels are"
        )
    if facts.mpy is None or facts.mpy[0] != board.MPY[0] or facts.mpy[1] < board.MPY[1]:
        raise board.BoardError(
            f"{facts.name} {facts.release} cannot load .mpy files of format {wanted}",
            "Put MicroPython 1.23 or newer on the board (micropython.org/download).",
        )
    if facts.architecture not in pack.ARCHITECTURES:
        raise board.BoardError(
            f"smolmp is not made for this processor ({facts.architecture})",
            f"It is for {', '.join(pack.ARCHITECTURES)}; for another one add it to"
            " ARCHITECTURES in tools/pack.py.",
        )
    return facts.architecture


def mac_of(unique):
    """A locally administered hardware address made of a chip's number in hexadecimal."""
    octets = bytes.fromhex(unique)[-5:].rjust(5, b"\0")
    return ":".join(f"{octet:02x}" for octet in b"\x02" + octets)


def others_main(it, plan):
    """Is there a main.py that did not come from here?"""
    if "/main.py" not in plan.files:
        return False
    try:
        text = it.run("print(open('/main.py').read(), end='')")
    except board.Failed:
        return False
    return bool(text.strip()) and text.encode() != plan.files["/main.py"] and "smolmp" not in text


def install(options):
    port = options.port or board.find()
    with board.Board(port) as it:
        facts = it.facts()
        say(f"{port}: {facts}")
        plan = Plan(options, facts, mac_of(it.run(UNIQUE).strip()))
        for note in plan.notes:
            say(f"note: {note}")
        have = it.hashes(plan.files)
        room = plan.room(have)
        total = sum(map(len, plan.files.values()))
        say(
            f"{plan.part} for {plan.architecture}: {len(plan.files)} files, {total} octets; they"
            f" take {room} more of the flash"
        )
        if room > facts.free:
            raise board.BoardError(
                f"the board's flash is too full: {room} octets are needed, {facts.free} are free",
                "Remove files from it (`mpremote fs ls`, `mpremote fs rm`), or choose a smaller"
                " part with --part.",
            )
        if others_main(it, plan) and not options.force:
            raise board.BoardError(
                "there is a main.py on the board already, and it is not of smolmp",
                "--force replaces it, --main none leaves it alone.",
            )
        # MicroPython takes x.py before x.mpy.
        hiding = [path.removesuffix(".mpy") + ".py" for path in plan.modules]
        if options.dry_run:
            for path in it.there(hiding):
                say(f"would remove {path}: it hides the compiled one")
            for path, data in plan.files.items():
                if have[path] != board.digest(data):
                    say(f"would write {path} ({len(data)} octets)")
            return
        for path in it.remove(hiding):
            say(f"removed {path}: it hid the compiled one")
        it.write(plan.files, lambda path, octets: say(f"  {path} ({octets} octets)"))
        if "/lib/ports/rp2/inplace.mpy" in plan.files and not facts.frozen:
            it.run(INSTALL.format(port=plan.port))
        if "/host.py" in plan.files:
            check(it, plan)
        if "/main.py" in plan.files:
            say("main.py starts:")
            watch(it, options.watch)
        say("done.")


def check(it, plan):
    """Does the chip answer?"""
    try:
        said = it.run(LINK.format(port=plan.port))
    except board.Failed as failed:
        if str(failed).startswith("MemoryError"):
            raise TOO_LARGE from None
        if str(failed).startswith("OSError"):
            raise board.BoardError(
                f"all files are on the board, but the chip does not answer: {failed}",
                f"It was looked for as `{plan.board}` is wired: --board help lists others, and"
                " --wiring is for what differs. Look at power (3.3 V, 150 mA), ground, the wires.",
            ) from None
        raise
    say("the chip answers;", "the cable is in" if "link True" in said else "no cable is in yet")


def watch(it, seconds):
    """Let main.py begin, as after power-on, and print what it says until it has said something
    and then nothing more for a while."""
    transport = it.transport
    transport.exit_raw_repl()
    transport.serial.write(b"\x04")  # a soft reset, after which main.py runs
    end = time.monotonic() + seconds
    said = b""
    lines = []
    begun = False
    quiet = end
    while time.monotonic() < min(end, quiet):
        said += transport.serial.read(1)
        *more, said = said.split(b"\n")
        for line in more:
            lines.append(line.decode(errors="replace").rstrip())
            say("  |", lines[-1])
            if begun:
                quiet = time.monotonic() + QUIET
            begun = begun or "soft reboot" in lines[-1]
    if any(line.startswith("MemoryError") for line in lines):
        raise TOO_LARGE
    if any(line.startswith("Traceback") for line in lines):
        raise board.BoardError("main.py came to an end: see above")


def parse(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, add_help=True
    )
    parser.add_argument("port", nargs="?")
    parser.add_argument("--board")
    parser.add_argument("--wiring", type=pins, default={})
    parser.add_argument("--address", type=address)
    parser.add_argument("--gateway", type=ipaddress.IPv4Address)
    parser.add_argument("--mac")
    parser.add_argument("--part")
    parser.add_argument("--main")
    parser.add_argument("--force", action="store_true")
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--watch", type=float, default=30)
    options = parser.parse_args(arguments)
    if options.board == "help":
        for port in pack.PORTS:
            for name, words in boards(port).items():
                say(f"{port:6} {name:20} {words}")
        raise SystemExit(0)
    if options.mac and not re.fullmatch(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", options.mac):
        parser.error(f"--mac {options.mac}: write it as 02:00:00:00:00:01")
    if options.gateway and not options.address:
        parser.error("--gateway needs --address: else both come by DHCP")
    if options.gateway and options.gateway not in options.address.network:
        parser.error(f"--gateway {options.gateway} is not in the network of {options.address}")
    if options.main not in (None, "none") and not Path(options.main).is_file():
        parser.error(f"--main {options.main}: no such file")
    return options


def main(arguments):
    try:
        install(parse(arguments))
    except board.Failed as failed:
        say(failed.output, failed.trace)
        return f"flash: the board says {failed}"
    except board.BoardError as error:
        return f"flash: {error}" + (f"\n-> {error.advice}" if error.advice else "")
    except pack.PackError as error:
        return f"flash: {error}"
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
