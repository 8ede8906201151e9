"""smolmp's objects in the flash of firmware that has smolmp frozen in: ports/rp2/resident.py."""

import json
import re
import struct
import subprocess
import sys

import pytest

from boards import emulated
from harness import targets

ROOT = emulated.ROOT
TOOLS = ROOT / "tools/rp2"
why = targets.Rp2Frozen().missing()
pytestmark = pytest.mark.skipif(bool(why), reason=f"MISSING: {why}")
sys.path.insert(1, str(TOOLS))

import uf2  # noqa: E402

IMAGE, END = 0x100B0000, 0x100C0000
RAM, RAM_END = 0x20000000, 0x20042000

HOST = """
import sys, pico
board = pico.Pico(pico.FROZEN)
exec(sys.argv[1])
board.boot()
for program in sys.stdin.read().split("# reset"):
    firmware = board.firmware
    printed, error = board.execute(program)
    sys.stdout.write(printed.decode() + error.decode())
    assert board.firmware == firmware, "something was written into the firmware"
    board.write(b"\\x04")  # a soft reset, in the raw REPL
    board.wait_for(b"soft reboot", 10 * pico.SECOND)
"""
BEGIN = """
from ports.rp2 import resident
print(resident.begin())
import gc, sys
import smolmp.iface.walk
from smolmp.iface import walk, Interface, ipv4
from smolmp.socket import tcp
from smolmp.socket.set import SocketSet
"""


def run(program, before=""):
    """What `program` prints on a fresh board; parts of it are separated by `# reset`."""
    done = subprocess.run(
        [str(emulated.PYTHON), "-c", HOST, before],
        cwd=TOOLS,
        input=program,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_tcp_server_takes_at_most_12_kb(tmp_path):
    out = tmp_path / "size.json"
    command = [str(emulated.PYTHON), str(TOOLS / "size.py"), "--only", "resident"]
    done = subprocess.run([*command, "--json", str(out)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text())
    print(found)
    # Octets are exact: the bars are a little above what was measured last.
    assert found["tcp_server_heap_frozen"] <= 4.75 * 1024  # 12 KB are promised
    assert found["net_heap_frozen"] <= 1.75 * 1024


def test_the_image_holds_no_address_in_ram_but_of_its_places():
    address, octets = uf2.memory(uf2.read((ROOT / "build/rp2/pico.uf2").read_bytes()))
    image = octets[IMAGE - address :]
    words = struct.unpack(f"<{len(image) // 4}I", image)
    assert len(image) <= END - IMAGE
    (structure,) = words[4:5]
    places, n = struct.unpack_from("<2I", octets, structure - address + 16)
    in_ram = [word for word in words if RAM <= word < RAM_END]
    assert in_ram and all(places <= word < places + 16 * n for word in in_ram)
    in_flash = [word for word in words if IMAGE <= word < END]
    assert len(in_flash) > 1000 and max(in_flash) < IMAGE + len(image)


def test_what_is_imported_is_in_flash_and_what_changes_is_not():
    out = run(
        BEGIN
        + """
print([id(thing) >> 28 for thing in (walk, Interface, tcp.Socket, ipv4.ingress, Interface.send)])
print(sorted(walk.ETHERTYPES), smolmp.iface.walk is walk, resident.begin(), resident.begin(True))
for store in (lambda: setattr(walk, "x", 1), lambda: setattr(tcp.Socket, "x", 1)):
    try:
        store()
    except AttributeError as error:
        print(error)
try:
    exec("ipv4 = 1", walk.__dict__)
except TypeError as error:
    print("TypeError")
import smolmp.socket.udp  # that is not
from smolmp.socket.protocols import HANDLERS
print(id(smolmp.socket.udp) >> 28, sorted(HANDLERS), tcp.HANDLERS is HANDLERS)
"""
    )
    assert out.splitlines() == [
        "True",
        "[1, 1, 1, 2, 2]",  # ports/rp2/hot.py may move the last two
        "[2048, 2054] True True False",
        "'module' object has no attribute 'x'",
        "'type' object has no attribute 'x'",
        "TypeError",
        "2 [1, 6, 17] True",
    ]


def test_its_classes_can_be_subclassed_and_collections_spare_what_changes():
    out = run(
        BEGIN
        + """
class Mine(tcp.Socket):
    def __init__(self, size):
        super().__init__(rx=size, tx=size)
    def can_recv(self):
        return "mine"
kept = dict(walk.ETHERTYPES)
for i in range(700):
    Mine(300)                     # many times the heap
gc.collect()
mine = Mine(512)
mine.listen(80)
print(mine, mine.can_recv(), walk.ETHERTYPES == kept, sorted(smolmp.iface.__dict__)[:1])
"""
    )
    assert out.splitlines()[0] == "True"
    assert "LISTEN" in out and " mine True " in out, out


def test_it_begins_anew_after_a_soft_reset():
    out = run(f"{BEGIN}\nwalk.ETHERTYPES[1] = 2\n# reset{BEGIN}\nprint(sorted(walk.ETHERTYPES))")
    assert out.splitlines() == ["True", "True", "[2048, 2054]"]


@pytest.mark.parametrize("what", ("identity", "magic"))
def test_of_another_firmware_it_takes_nothing(what):
    """As after another firmware was written, to which the objects in flash do not belong."""
    at = IMAGE - 0x10000000 + (8 if what == "identity" else 0)
    program = BEGIN + "print(id(walk) >> 28, sorted(walk.ETHERTYPES), tcp.Socket(rx=64, tx=64))"
    out = run(program, before=f"board.mcu.flash[{at}] ^= 1")
    assert out.splitlines() == ["False", "2 [2048, 2054] <tcp CLOSED None -> None>"]


def test_imported_already_it_stays_as_it_is():
    out = run("import smolmp.iface.walk\n" + BEGIN + "print(id(walk) >> 28)")
    assert out.splitlines() == ["False", "2"]


def test_it_echoes_through_a_w5500():
    """With what is hot copied to RAM, too: ports/rp2/hot.py finds that."""
    program = (
        "from bench import Bench; bench = Bench('resident', True);"
        "print(bench.hot > 40_000, bench.echo(trips=20) > 0)"
    )
    done = subprocess.run(
        [str(emulated.PYTHON), "-c", program],
        cwd=TOOLS,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.stdout == "True True\n", done.stdout + done.stderr


def test_smolmp_net_is_in_flash_when_wanted():
    program = BEGIN.replace("begin()", "begin(True)")
    program += """
import smolmp.net.stack, smolmp.socket.udp, smolmp.socket.dns, smolmp.socket.dhcpv4
from smolmp.socket.protocols import HANDLERS
print([id(m) >> 28 for m in (smolmp.net.stack, smolmp.socket.udp, smolmp.socket.dns)])
print(sorted(HANDLERS))
from smolmp.net import module, socket
module.use("that")  # stores into its globals, and into a class
print(id(module) >> 28, module._net, socket.socket.default)
import smolmp.net.aio
print(id(smolmp.net.aio) >> 28)
"""
    assert run(program).splitlines() == ["True", "[1, 1, 1]", "[1, 6, 17]", "1 that that", "2"]


def test_unit_tests_pass_with_objects_in_flash():
    """Of one file; `pytest tests/unit --target rp2-resident` runs all, in seven minutes."""
    file = ROOT / "tests/unit/tcp/test_half_close.py"
    names = re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)[:8]
    done = subprocess.run(
        [str(emulated.PYTHON), str(TOOLS / "unit.py"), "resident", str(ROOT), str(file), *names],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    passed = re.findall(r"^@@smolmp@@ pass (\w+)", done.stdout, re.MULTILINE)
    assert passed == ["import", *names], done.stdout + done.stderr
