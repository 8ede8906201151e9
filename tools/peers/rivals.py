"""The stacks that smolmp is measured beside: fetched and built below build/rivals, nothing of them
is in this project.

    lwIP    Debian's source package (the original tarball, by its sum), compiled with lwip_peer.c
            in two sizes: as MicroPython's boards configure it, and with 64 KiB windows
    PyTCP   pmd-pytcp from the Python package index, in a virtual environment of its own

and what no stack can be faster than in a round trip: reflect.c, which only swaps addresses, asleep
between frames or looking for them all the time.
"""

import hashlib
import importlib.machinery
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
HOME = os.path.join(ROOT, "build", "rivals")
LWIP = "pool/main/l/lwip/lwip_2.2.1+dfsg1.orig.tar.xz"
LWIP_SHA256 = "83729c274c499d3348e9fbbe043a3113f3fa8953e7efddc7c21c7fcbb1f2b7b1"
PYTCP = "pmd-pytcp==0.3.8"
SIZES = {"lwip-mpy-sizes": "mpy", "lwip-64k": "wide"}


class Missing(Exception):
    """A rival cannot be had here; the text says why."""


def mirror():
    """The Debian mirror that tools/setup uses."""
    loader = importlib.machinery.SourceFileLoader("setup", os.path.join(ROOT, "tools", "setup"))
    setup = importlib.util.module_from_spec(importlib.util.spec_from_loader("setup", loader))
    loader.exec_module(setup)
    try:
        return setup.mirror()
    except setup.Missing as error:
        raise Missing(str(error)) from None


def run(command, log):
    with open(os.path.join(HOME, log), "w") as out:
        if subprocess.run(command, stdout=out, stderr=out).returncode:
            raise Missing("%s failed, see build/rivals/%s" % (command[0], log))


def lwip_source():
    source = os.path.join(HOME, "lwip")
    if os.path.exists(os.path.join(source, "src", "core", "tcp.c")):
        return source
    print("bench: fetching lwIP's source, %s" % LWIP, flush=True)
    try:
        with urllib.request.urlopen("%s/%s" % (mirror(), LWIP), timeout=60) as response:
            data = response.read()
    except OSError as error:
        raise Missing("lwIP's source: %s" % error) from None
    if hashlib.sha256(data).hexdigest() != LWIP_SHA256:
        raise Missing("lwIP's source is not the file whose sum tools/peers/rivals.py has")
    tarball = os.path.join(HOME, "lwip.tar.xz")
    with open(tarball, "wb") as f:
        f.write(data)
    shutil.rmtree(source, ignore_errors=True)
    with tarfile.open(tarball) as tar:
        top = tar.getnames()[0].split("/")[0]
        tar.extractall(HOME)
    os.rename(os.path.join(HOME, top), source)
    return source


def lwip(name):
    """The program of lwIP in one of SIZES, compiled if it is older than its source."""
    program = os.path.join(HOME, name)
    options = os.path.join(HERE, "lwip", SIZES[name])
    ours = [os.path.join(HERE, "lwip", "lwip_peer.c"), os.path.join(options, "lwipopts.h")]
    if os.path.exists(program):
        if os.path.getmtime(program) > max(os.path.getmtime(each) for each in ours):
            return program
    source = lwip_source()
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        raise Missing("lwIP: no C compiler: apt-get install gcc libc6-dev")
    files = [ours[0], os.path.join(source, "src", "netif", "ethernet.c")]
    for folder in ("core", os.path.join("core", "ipv4")):
        folder = os.path.join(source, "src", folder)
        names = sorted(os.listdir(folder))
        files += [os.path.join(folder, each) for each in names if each.endswith(".c")]
    include = ["-I" + options, "-I" + os.path.join(source, "src", "include")]
    include.append("-I" + os.path.join(source, "contrib", "ports", "unix", "port", "include"))
    print("bench: compiling %s" % name, flush=True)
    run([compiler, "-O2", "-w", *include, "-o", program, *files], name + ".log")
    return program


def compiled(name):
    """The program of NAME.c, which stands here, compiled if it is older than its source."""
    program = os.path.join(HOME, name)
    source = os.path.join(HERE, name + ".c")
    if os.path.exists(program) and os.path.getmtime(program) > os.path.getmtime(source):
        return program
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        raise Missing("%s: no C compiler: apt-get install gcc libc6-dev" % name)
    os.makedirs(HOME, exist_ok=True)
    run([compiler, "-O2", "-o", program, source], name + ".log")
    return program


def pytcp():
    """A Python that has PyTCP."""
    python = os.path.join(HOME, "pytcp", "bin", "python")
    check = [python, "-c", "import pmd_pytcp"]
    if not os.path.exists(python) or subprocess.run(check, capture_output=True).returncode:
        print("bench: pip install %s" % PYTCP, flush=True)
        run([sys.executable, "-m", "venv", os.path.join(HOME, "pytcp")], "venv.log")
        run([python, "-m", "pip", "install", "-q", PYTCP], "pip.log")
        if subprocess.run(check, capture_output=True).returncode:
            raise Missing("PyTCP does not import under Python %d.%d" % sys.version_info[:2])
    return python


def stacks():
    """The rivals that can be had, as bench.py takes them. What cannot is said aloud."""
    os.makedirs(HOME, exist_ok=True)
    found = []
    for name in SIZES:
        try:
            program = shlex.quote(lwip(name))
            command = program + " {tap} {ip} {plen} {gw} {mode} {port}"
            found.append({"name": name, "cmd": command})
        except Missing as error:
            print("bench: MISSING %s: %s" % (name, error), flush=True)
    try:
        peer = shlex.quote(os.path.join(HERE, "pytcp_peer.py"))
        command = "%s -O %s {tap} {ip}/{plen} {mode} {port}" % (shlex.quote(pytcp()), peer)
        found.append({"name": "pytcp", "cmd": command, "boot": 20})
    except Missing as error:
        print("bench: MISSING pytcp: %s" % error, flush=True)
    try:
        for name, spin in (("c-reflector", 0), ("c-reflector-spin", 1)):
            command = "%s 3 %d" % (shlex.quote(compiled("reflect")), spin)
            modes = ["udpecho", "udpecho-spin", "icmp"]
            found.append({"name": name, "cmd": command, "fd": True, "modes": modes})
    except Missing as error:
        print("bench: MISSING reflector: %s" % error, flush=True)
    return found
