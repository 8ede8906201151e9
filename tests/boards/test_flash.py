"""tools/flash.py puts smolmp on a board, and tells what to do when it cannot."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness import targets

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(1, str(ROOT / "tools"))

import board  # noqa: E402
import flash  # noqa: E402
import pack  # noqa: E402

TREE = pack.repository()
WORDS = {
    "name": "micropython",
    "version": (1, 28, 0, ""),
    "mpy": 3 << 8 | 6 | 4 << 10,
    "machine": "Raspberry Pi Pico with RP2040",
    "platform": "rp2",
    "path": ["", ".frozen", "/lib"],
    "flash": (4096, 350),
    "heap": 240000,
    "smolmp": None,
}


def facts(**changes):
    """A board that says about itself what WORDS and `changes` say."""
    return board.Facts(tuple({**WORDS, **changes}.values()))


LITTLE = ("--board", "none", "--part", "queue", "--main", "none")  # quick to compile


def plan(*arguments, **changes):
    return flash.Plan(flash.parse(list(arguments)), facts(**changes), "02:00:00:00:00:01")


def run(*arguments):
    """(exit status, what tools/flash.py says)"""
    command = [sys.executable, str(ROOT / "tools/flash.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """{name on a Pico's flash: file} of all modules."""
    folder = tmp_path_factory.mktemp("armv6m")
    pack.pack(TREE, "armv6m", folder)
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*.mpy")}
    return {f"lib/{name}": path for name, path in files.items()}


def test_a_board_gets_the_stack_its_addresses_and_a_program():
    files = plan("--address", "10.1.2.3/16", "--gateway", "10.1.0.1").files
    assert {"/host.py", "/lib/smolmp/socket/tcp/__init__.mpy"} <= set(files)
    assert "/lib/ports/rp2/w5500.mpy" in files
    assert files["/main.py"] == (ROOT / "ports/rp2/main.py").read_bytes()
    assert not any(path.startswith("/lib/ports/esp32") for path in files)
    host = {}
    exec(files["/host.py"], host)
    assert host["MAC"] == "02:00:00:00:00:01"
    assert (host["BOARD"], host["WIRING"]) == ("w5500_evb_pico", {})
    assert (host["ADDRESSES"], host["GATEWAY"]) == (("10.1.2.3/16",), "10.1.0.1")
    exec(plan().files["/host.py"], host)
    assert (host["ADDRESSES"], host["GATEWAY"]) == (None, None)  # by DHCP


def test_a_part_is_completed_by_what_the_program_imports(tmp_path):
    (tmp_path / "mine.py").write_text("from smolmp.socket import icmp\n")
    files = plan("--part", "core", "--main", str(tmp_path / "mine.py")).files
    assert "/lib/smolmp/socket/icmp.mpy" in files and "/lib/ports/rp2/w5500.mpy" in files
    assert "/lib/smolmp/socket/udp.mpy" not in files
    assert "/main.py" not in plan("--main", "none").files


BOARDS = [(port, name) for port in pack.PORTS for name in flash.boards(port)]


@pytest.mark.parametrize("port, name", BOARDS)
def test_each_board_is_one_that_its_port_knows(port, name):
    arguments = ("--board", name, "--part", "queue", "--main", "none", "--wiring", "rst=3")
    host = {}
    exec(plan(*arguments, platform=port, mpy=_mpy(port)).files["/host.py"], host)
    assert (host["BOARD"], host["WIRING"]) == (name, {"rst": 3})
    text = (ROOT / f"ports/{port}/boards.py").read_text()
    assert re.search(rf"^def {name}\(\s*mac\b", text, re.MULTILINE)


def test_a_board_of_another_port_is_refused():
    with pytest.raises(board.BoardError, match="--board wt32_eth01 is none for rp2") as raised:
        plan("--board", "wt32_eth01")
    assert "w5500_evb_pico" in raised.value.advice
    with pytest.raises(board.BoardError, match="which board is it?"):
        plan(platform="esp32", mpy=_mpy("esp32"))


def _mpy(port):
    native = {"rp2": "armv6m", "esp32": "xtensawin"}[port]
    return 3 << 8 | 6 | board.NATIVE.index(native) << 10


def test_a_firmware_with_smolmp_needs_no_modules():
    it = plan(smolmp="smolmp/__init__.py")
    assert not any(path.startswith("/lib/smolmp") for path in it.files)
    assert {"/host.py", "/main.py", "/lib/ports/rp2/w5500.mpy"} <= set(it.files)
    assert "part of this firmware" in it.notes[0]


def test_another_copy_is_told():
    assert (
        "/smolmp/__init__.py will be found" in plan(*LITTLE, smolmp="/smolmp/__init__.py").notes[0]
    )
    assert plan(*LITTLE, smolmp="/lib/smolmp/__init__.mpy").notes == []


@pytest.mark.parametrize("version", [(1, 26, 0), (1, 26, 1), (1, 27, 0)])
def test_the_releases_that_compile_viper_wrongly_are_told(version):
    assert "issue 18800" in plan(*LITTLE, version=version).notes[0]


def test_other_releases_are_not():
    assert (
        plan(*LITTLE, version=(1, 25, 0)).notes == []
        and plan(*LITTLE, version=(1, 28, 0)).notes == []
    )
    assert plan(*LITTLE, version=(1, 26, 0), platform="x", mpy=6 | 3 << 8 | 11 << 10).notes == []


def test_little_memory_is_told():
    assert "only 60000 octets of heap" in plan(*LITTLE, heap=60000).notes[0]


@pytest.mark.parametrize("mpy", [None, 5 | 3 << 8 | 4 << 10, 6 | 2 << 8 | 4 << 10])
def test_an_old_micropython_is_refused(mpy):
    with pytest.raises(board.BoardError, match="cannot load .mpy files of format 6.3") as raised:
        plan(mpy=mpy, version=(1, 18, 0))
    assert "1.23 or newer" in raised.value.advice


def test_a_wrong_architecture_is_refused():
    with pytest.raises(board.BoardError, match=r"not made for this processor \(armv7m\)"):
        plan(mpy=6 | 3 << 8 | board.NATIVE.index("armv7m") << 10)
    with pytest.raises(board.BoardError, match="runs no native code"):
        plan(mpy=6)


def test_a_part_that_is_not_there_is_refused():
    with pytest.raises(board.BoardError, match="no part is called ipv9") as raised:
        plan("--part", "ipv9")
    assert "ipv4-tcp" in raised.value.advice


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["--wiring", "cs=x"], "write it as"),
        (["--mac", "1:2"], "write it as 02:00"),
        (["--gateway", "10.0.0.1", "--address", "10.1.0.2/24"], "the network of 10.1.0.2/24"),
        (["--gateway", "10.0.0.1"], "--gateway needs --address"),
        (["--address", "10.0.0.1"], "write it as 192.168.1.50/24"),
        (["--main", "/no/such/file"], "no such file"),
        (["--address", "300.1.2.3"], "invalid"),
    ],
)
def test_arguments_that_make_no_sense_are_told(arguments, says):
    status, said = run(*arguments)
    assert status == 2 and says in said


def test_the_boards_are_listed():
    status, said = run("--board", "help")
    assert status == 0 and len(said.splitlines()) == len(BOARDS)
    assert "rp2    w5500_evb_pico" in said and "WT32-ETH01" in said


def test_without_a_board(monkeypatch, capsys):
    monkeypatch.setattr(board, "ports", lambda: [])
    assert "no board found" in flash.main([])
    monkeypatch.setattr(board, "ports", lambda: [("/dev/a", "Board A"), ("/dev/b", "Board B")])
    said = flash.main([])
    assert "/dev/a  Board A" in said and "Name one of them" in said


def test_a_port_that_is_not_there():
    status, said = run("/dev/ttyNone")
    assert status == 1 and "not there" in said and "plugged in" in said


def test_a_program_of_somebody_elses_stays(picos, packed, tmp_path):
    (tmp_path / "theirs.py").write_text("print('theirs')\n")
    (tmp_path / "mine.py").write_text("print('mine')\n")
    pico = picos({**packed, "main.py": tmp_path / "theirs.py"})
    status, said = run(pico.port, "--part", "core", "--main", str(tmp_path / "mine.py"))
    assert status == 1 and "a main.py on the board already" in said and "--force" in said
    with board.Board(pico.port) as it:
        assert it.run("print(open('/main.py').read())") == "print('theirs')\n\n"


def test_a_program_starts_and_is_listened_to(picos, packed, tmp_path):
    (tmp_path / "mine.py").write_text("import smolmp\nprint('version', smolmp.__version__)\n")
    here = dict(packed)
    del here["lib/smolmp/wire/arp.mpy"]  # to be brought
    here["lib/smolmp/wire/icmpv4.mpy"] = packed["lib/smolmp/wire/arp.mpy"]  # an older one, say
    here["lib/smolmp/wire/arp.py"] = ROOT / "README.md"  # which hides the compiled one
    pico = picos(here)
    mine = ["--board", "none", "--part", "core", "--main", str(tmp_path / "mine.py")]
    status, said = run(pico.port, *mine, "--dry-run")
    assert status == 0 and "would remove /lib/smolmp/wire/arp.py" in said
    writes = [line.split()[2] for line in said.splitlines() if line.startswith("would write")]
    assert writes == ["/lib/smolmp/wire/arp.mpy", "/lib/smolmp/wire/icmpv4.mpy", "/main.py"]
    status, said = run(pico.port, *mine, "--watch", "3")
    assert status == 0, said
    assert "removed /lib/smolmp/wire/arp.py" in said and "  | version 0.1.0" in said
    with board.Board(pico.port) as it:
        compiled = packed["lib/smolmp/wire/arp.mpy"].read_bytes()
        found = it.hashes(["/lib/smolmp/wire/arp.mpy", "/lib/smolmp/wire/arp.py"])
        assert list(found.values()) == [board.digest(compiled), None]


def test_a_program_that_fails_is_told(picos, packed, tmp_path):
    pico = picos(packed)
    mine = ["--board", "none", "--part", "queue", "--main", str(tmp_path / "mine.py")]
    for text, says in (("1 / 0", "main.py came to an end"), ("bytes(10**6)", "enough memory")):
        (tmp_path / "mine.py").write_text(f"import smolmp\n{text}\n")
        status, said = run(pico.port, *mine)
        assert status == 1 and "  | Traceback" in said and says in said


def test_a_board_whose_chip_does_not_answer(picos, packed):
    pico = picos(packed)
    status, said = run(pico.port, "--address", "192.168.9.9/24")
    assert status == 1
    assert "all files are on the board, but the chip does not answer: OSError" in said
    assert "-> It was looked for as `w5500_evb_pico` is wired" in said
    with board.Board(pico.port) as it:
        assert it.run("import host; print(host.ADDRESSES)") == "('192.168.9.9/24',)\n"


def test_a_board_serves(picos):
    """With smolmp in its firmware: host.py and main.py come, and the chip is there."""
    why = targets.Rp2Frozen().missing()
    if why:
        pytest.skip(why)
    pico = picos(options=["--chip", "--firmware", str(ROOT / "build/rp2/pico.uf2")])
    status, said = run(
        pico.port,
        "--address",
        "192.168.9.9/24",
        "--board",
        "pico",
        "--wiring",
        "int=None rst=None",
    )
    assert status == 0, said
    assert "the chip answers; the cable is in" in said
    assert "  | smolmp is at 192.168.9.9" in said


def test_a_board_with_the_stock_firmware_serves(picos, packed):
    status, said = run(picos(packed, ["--chip"]).port)
    assert status == 0, said
    assert "  | smolmp waits for an address from a DHCP server" in said


def test_a_flash_that_is_too_full(picos, tmp_path):
    (tmp_path / "fill").write_bytes(bytes(4096 * 330))
    status, said = run(picos({"fill": tmp_path / "fill"}).port)
    assert status == 1 and "flash is too full" in said and "--part" in said
