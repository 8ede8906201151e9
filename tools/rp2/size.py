"""What smolmp takes of a Pico's heap, measured on the emulated one: `make size`.

    size.py [--json FILE] [--only KIND]
    size.py --run FILE          nothing of that: a program, on a board that has the files

Exact and repeatable to the octet: the heap in use after a collection, before and after an import
or a construction. There are four ways to have smolmp on a board:

    mpy       .mpy files on the flash of MicroPython's stock firmware; all code goes to the heap
    inplace   the same files; functions run from the flash (ports/rp2/inplace.py)
    frozen    in the firmware (build/rp2/pico.uf2)
    resident  the same, and functions and classes are in the flash (ports/rp2/resident.py); what
              the firmware keeps of the RAM for that, which the heap does not have, is counted

Of the first only the modules one by one: together they leave no room for a program. In the file
"frozen" is what a board can have, the last one; "frozen_imported" is that before it.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import lean  # noqa: E402
import pack  # noqa: E402

import pico  # noqa: E402

ROOT = HERE.parents[1]
BUILD = ROOT / "build" / "rp2"
STOCK = BUILD / "stock.uf2"
FROZEN = BUILD / "pico.uf2"
ARCHITECTURE = "armv6m"
SECONDS = 600

# What a TCP server imports, in this order.
SERVER = ("smolmp.iface", "smolmp.socket.tcp", "smolmp.socket.set", "ports.rp2.boards")
# What of that is imported when it is asked for.
LATER = (
    "smolmp/iface/report.py",
    *(
        f"smolmp/socket/tcp/{name}.py"
        for name in ("active", "report", "listener", "passive", "halfopen", "cookie")
    ),
)

# What an import left on the C stack may look like a pointer to what is garbage since: it is
# painted over before.
BEGIN = """
import gc
def paint(n):
    a = b = c = d = n
    return a + b + c + d + paint(n - 1) if n else 0
def measured():
    gc.collect(); gc.collect()
    return gc.mem_alloc()
def used():
    paint(12)
    return measured()
def cost(name, make):
    before = used()
    kept = make()
    print(name, used() - before)
    return kept
def load(name):
    before = used()
    __import__(name)
    print(name, used() - before)
used()
load("gc")
"""
INPLACE = """
from ports.rp2 import inplace
inplace.install()
assert inplace.begin()
"""

RESIDENT = """
load("ports.rp2.resident")
from ports.rp2 import resident
cost("begin", lambda: resident.begin({}))
import machine
print("reserved", 16 * machine.mem32[machine.mem32[0x100B0010] + 20])
"""

# Octets beyond the buffers: what a program names as sizes, and the interface's frames.
OBJECTS = """
print("free", gc.mem_free())
from smolmp.iface import Interface
from smolmp.socket import tcp
from smolmp.socket.set import SocketSet
class Device:
    medium = 1
    mtu = 1514
    checksums = 0
    def recv(self, buf): return 0
    def send(self, buf, start, end): return True
    def link(self): return True
    def prepare(self, buf, start): pass
    def skip(self): pass
device = Device()
Interface(device); tcp.Socket(rx=512, tx=512)
iface = cost("interface", lambda: Interface(device, ip_addrs=("192.168.69.1/24",)))
print("interface_frames", len(iface.rx) + len(iface.tx) + len(iface.neighbors._frames))
sockets = cost("socket_set", lambda: SocketSet(4))
sockets.add(tcp.Socket(rx=512, tx=512))
rx, tx = bytearray(2048), bytearray(2048)
socket = cost("tcp_socket", lambda: sockets.add(tcp.Socket(rx=rx, tx=tx)))
cost("tcp_listening", lambda: socket.listen(80))
cost("listener_heap", lambda: tcp.Listener)
load("smolmp.socket.udp")
from smolmp.socket import udp
sockets.add(udp.Socket(rx=64, tx=64))
print("udp_buffers", 2 * 1024)
cost("udp_socket", lambda: sockets.add(udp.Socket(rx=1024, tx=1024)))
print("listener_buffers", 2 * 2 * 1024)
cost("listener", lambda: sockets.add(tcp.Listener(backlog=4, pool=2, rx=1024, tx=1024)))
"""

WORDS = {"inplace": "mpy", "frozen": "frozen_imported", "resident": "frozen"}  # in the file

# The socket module with all it may import, on top of the above.
NET = (
    "smolmp.socket.dhcpv4",
    "smolmp.socket.dns",
    "smolmp.net",
    "smolmp.net.datagram",
    "smolmp.net.module",
)


def image(tree, names, empty=()):
    """{name on the flash: octets}; the modules of `empty` without a line."""

    def one(name):
        text = "" if name in empty else lean.prepared(name, tree.text(name), ARCHITECTURE)
        return "lib/" + name[:-3] + ".mpy", pack.compiled(text, name, ARCHITECTURE)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(pool.map(one, names))


async def run(firmware, files, code):
    """{name: octets} that `code` prints on a board with `files` on its flash."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "flash")
        pico.flash(files, path, firmware)
        board = pico.device(firmware, path)
        await board.astart(SECONDS)
        try:
            out, errors = await board.aexec(code, SECONDS)
        finally:
            board.stop()
    if errors:
        raise SystemExit(out.decode() + errors.decode())
    words = out.decode().split()
    return {name: int(octets) for name, octets in zip(words[::2], words[1::2])}


def order(tree, roots):
    """The modules that `roots` import, each behind those that it needs itself."""
    found, seen = [], set()

    def visit(name):
        if name not in seen:
            seen.add(name)
            for other in sorted(tree.imports(name)):
                if not other.endswith("__init__.py"):
                    visit(other)
            found.append(name)

    seen.update(LATER)
    for root in roots:
        visit(root)
    return found


async def modules(tree):
    """{module: (octets of its .mpy file, octets of heap)}, each one after those it needs."""
    whole = tree.whole(("rp2",))
    inits = [name for name in whole if name.endswith("__init__.py")]
    files = order(tree, [tree.file(name) for name in SERVER])
    names = [name[:-3].replace("/", ".") for name in files if name not in inits]
    # The packages are empty here, so that a module brings only itself.
    data = image(tree, whole, inits)
    each = await run(STOCK, data, BEGIN + "\n".join(f"load({name!r})" for name in names))
    return {name: (len(data[f"lib/{name.replace('.', '/')}.mpy"]), each[name]) for name in names}


async def objects(kind, tree):
    """{what: octets of heap} of all ways but "mpy": the imports, and what a program makes."""
    firmware = STOCK if kind == "inplace" else FROZEN
    files = image(tree, tree.whole(("rp2",))) if kind == "inplace" else {}
    begin = {"inplace": INPLACE + BEGIN, "frozen": BEGIN, "resident": BEGIN + RESIDENT}[kind]
    server = "\n".join(f"load({name!r})" for name in SERVER)
    net = "\n".join(f"load({name!r})" for name in NET)
    found = await run(firmware, files, begin.format("") + server + OBJECTS + net)
    with_net = sum(found[name] for name in NET)
    if kind == "resident":
        own = ("ports.rp2.resident", "begin", "reserved")
        whole = await run(firmware, files, begin.format("True") + server + "\n" + net)
        found[SERVER[0]] += sum(found[name] for name in own)
        with_net = sum(whole.values()) - whole["gc"] - sum(found[name] for name in SERVER)
    return {
        "tcp_server_heap": sum(found[name] for name in SERVER),
        "net_heap": with_net,
        "listener_heap": found["listener_heap"],
        "udp_heap": found["smolmp.socket.udp"],
        "free_then": found["free"],
        "interface_bytes": found["interface"] - found["interface_frames"],
        "socket_set_bytes": found["socket_set"],
        "tcp_socket_bytes": found["tcp_socket"] + found["tcp_listening"],
        "udp_socket_bytes": found["udp_socket"] - found["udp_buffers"],
        "listener_bytes": found["listener"] - found["listener_buffers"],
    }


def main(arguments):
    parser = argparse.ArgumentParser(description="see the top of tools/rp2/size.py")
    parser.add_argument("--json", type=Path, default=ROOT / "build" / "size.json")
    parser.add_argument("--only", choices=("mpy", *WORDS))
    parser.add_argument("--run", type=Path)
    options = parser.parse_args(arguments)
    tree = pack.Tree()
    if options.run:
        print(asyncio.run(run(STOCK, image(tree, tree.whole(("rp2",))), options.run.read_text())))
        return
    result = {}
    if options.only in (None, "mpy"):
        each = asyncio.run(modules(tree))
        result["modules"] = {name: dict(zip(("mpy", "heap"), pair)) for name, pair in each.items()}
        result["tcp_server_heap_copied"] = sum(heap for _, heap in each.values())
        result["tcp_server_mpy_octets"] = sum(octets for octets, _ in each.values())
        print(f"{'.mpy':>8} {'heap':>8}")
        for name, (octets, heap) in each.items():
            print(f"{octets:8} {heap:8}  {name}")
    for kind, word in WORDS.items():
        if options.only in (None, kind):
            found = asyncio.run(objects(kind, tree))
            for name in ("tcp_server", "listener", "udp", "net"):
                result[f"{name}_heap_{word}"] = found.pop(f"{name}_heap")
            result[f"free_after_{word}"] = found.pop("free_then")
            result.update(found)
    for name, octets in result.items():
        if name != "modules":
            print(f"{octets:8}  {name}")
    options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
