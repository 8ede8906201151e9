#!/usr/bin/env python3
"""How fast smolmp is on a TAP: starts ports/unix/programs/peer.py in each mode, measures it from
the kernel's side with probe.py, stops it.

  bench.py [--targets unix64,unix32] [--modes sink,source,echo,udpecho,icmp] [--rounds 3]
           [--secs 3] [--spin US] [--out build/bench.jsonl]
  bench.py --name other --cmd 'program {tap} {ip}/{plen} {mode} {port}' [--fd] ...

The second form measures any other program beside it (placeholders: {mode} {port} {tap} {ip}
{plen} {gw} {mtu}, {sizes}: peer.py's options for the mode; with --fd the open TAP is descriptor
3).  Modes echo-spin and udpecho-spin: the client never sleeps (trips.c).  Rounds are the outer
loop, so that a change of the machine's mood hits all alike.  Results go to a file of JSON lines;
report.py makes a table of them.  See README.md.
"""

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

import netlab  # noqa: E402
import rivals  # noqa: E402

PEER = os.path.join(netlab.ROOT, "ports", "unix", "programs", "peer.py")
STACK_CPU = os.environ.get("STACK_CPU", "1")
PROBE_CPU = os.environ.get("PROBE_CPU", "0")
MODES = ["sink", "source", "echo", "udpecho", "icmp"]
# What one poll moves shares its cost: buffers as large as a core's own cache bears, and a budget
# that empties them.
SIZES = {"sink": "--rx 393216 --budget 256", "source": "--tx 393216 --budget 256"}
SERVES = {"icmp": "echo", "crr": "echo", "check": "echo", "pattern": "source"}
SPINS = {"echo-spin": "echo", "udpecho-spin": "udpecho"}  # by a client that never sleeps
SERVES.update(SPINS)


def children(pid):
    out, todo = [], [pid]
    while todo:
        p = todo.pop()
        out.append(p)
        try:
            for t in os.listdir("/proc/%d/task" % p):
                with open("/proc/%d/task/%s/children" % (p, t)) as f:
                    todo += [int(x) for x in f.read().split()]
        except OSError:
            pass
    return out


def peak_kib(pids):
    n = 0
    for p in pids:
        try:
            with open("/proc/%d/status" % p) as f:
                n += next(int(line.split()[1]) for line in f if line.startswith("VmHWM"))
        except (OSError, StopIteration):
            pass
    return n


def pinned(cpu, command):
    cores = os.sched_getaffinity(0)
    if cpu == "any" or int(cpu) not in cores:
        return command
    return ["taskset", "-c", cpu, *command]


def foreign():
    """cores busy with processes that are none of ours, over a quarter of a second"""

    def read():
        with open("/proc/stat") as f:
            w = [int(x) for x in f.readline().split()[1:]]
        return w[0] + w[1] + w[2]

    a = read()
    time.sleep(0.25)
    return (read() - a) / os.sysconf("SC_CLK_TCK") / 0.25


def wait_quiet(limit, seconds):
    end = time.monotonic() + seconds
    while limit and foreign() > limit and time.monotonic() < end:
        pass


class Server:
    """One stack, serving one mode in a namespace of its own."""

    def __init__(self, stack, mode, port, log):
        self.namespace = netlab.Namespace()
        self.namespace.tap("tap0", quiet=not stack.get("offload"))
        fds = []
        facts = {
            "mode": mode,
            "port": port,
            "tap": "tap0",
            "ip": netlab.STACK_IP,
            "plen": netlab.PREFIX_LEN,
            "gw": netlab.KERNEL_IP,
            "mtu": 1500,
            "sizes": SIZES.get(mode, ""),
        }
        command = shlex.split(stack["cmd"].format(**facts))
        if stack.get("fd"):
            fds.append(self.namespace.open_tap("tap0"))
            # the program wants it as number 3
            shell = (
                'exec 3<&%d %d<&-; exec "$@"' % (fds[0], fds[0]) if fds[0] != 3 else 'exec "$@"'
            )
            command = ["sh", "-c", shell, "sh", *command]
        self.process = self.namespace.popen(
            pinned(STACK_CPU, command),
            pass_fds=fds,
            env={"MICROPYPATH": netlab.ROOT + ":.frozen"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        for fd in fds:
            os.close(fd)

    def pids(self):
        return children(self.process.pid)

    def probe(self, *args, timeout=180):
        argv = pinned(PROBE_CPU, [sys.executable, os.path.join(HERE, "probe.py")])
        out = self.namespace.run(*argv, *map(str, args), check=False, timeout=timeout)
        try:
            return json.loads(out.strip().splitlines()[-1])
        except (ValueError, IndexError):
            return {"error": out[-300:] or "nothing said"}

    def stop(self):
        for sig in (signal.SIGTERM, signal.SIGKILL):
            if self.process.poll() is None:
                self.process.send_signal(sig)
                try:
                    self.process.wait(3)
                except subprocess.TimeoutExpired:
                    pass
        self.namespace.close()


def measure_once(stack, mode, a, log):
    server = Server(stack, SERVES.get(mode, mode), a.port, log)
    try:
        boot = max(a.boot, stack.get("boot", 0))
        r = server.probe("ready", netlab.STACK_IP, a.port, "--wait", boot)
        if "error" in r:
            return {"mode": mode, "error": "not ready: " + r["error"]}
        if server.process.poll() is not None:
            return {"mode": mode, "error": "server ended with %s" % server.process.returncode}
        checks = mode in ("check", "pattern")
        secs = 60 if checks else a.secs if mode in ("sink", "source") else a.trip_secs
        args = [SPINS.get(mode, mode), netlab.STACK_IP, a.port]
        args += ["--secs", secs, "--warm", a.warm, "--dev", "tap0"]
        args += ["--pids", ",".join(map(str, server.pids()))]
        if checks:
            args += ["--size", a.check_bytes]
        elif mode in SPINS:
            args += ["--client", rivals.compiled("trips")]
        elif a.size:
            args += ["--size", a.size]
        result = server.probe(*args)
        result["peak_rss_kib"] = peak_kib(server.pids())
        if result.get("trips_s"):
            result["trip_cpu_us"] = round(1e6 * result["stack_cpu"] / result["trips_s"], 2)
        if server.process.poll() is not None:
            result["error"] = "server ended with %s" % server.process.returncode
        return result
    except netlab.Failed as e:
        return {"mode": mode, "error": str(e)[:300]}
    finally:
        server.stop()


def measure(stack, mode, a, log, out):
    wait_quiet(a.quiet, a.quiet_wait)
    attempt = 0
    while attempt < a.tries:
        attempt += 1
        result = measure_once(stack, mode, a, log)
        result.setdefault("mode", mode)
        if "error" not in result and result.get("foreign_cpu", 0) <= a.max_foreign:
            break
    result.update(stack=stack["name"], at=round(time.time(), 1), tries=attempt)
    out.write(json.dumps(result) + "\n")
    out.flush()
    figure = result.get("error") or result.get("mbit_s") or result.get("trips_s")
    if "ok" in result:
        figure = "%s %s" % ("ok" if result["ok"] else "WRONG", figure)
    print(
        "%-18s %-8s %-14s rss %6s KiB  cpu %s  foreign %s"
        % (
            stack["name"],
            mode,
            figure,
            result.get("peak_rss_kib"),
            result.get("stack_cpu"),
            result.get("foreign_cpu"),
        ),
        flush=True,
    )
    return "error" not in result and result.get("ok", True)


def main(argv=None, stacks=()):
    """Measure `stacks` and those that argv names; True: all went well."""
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--targets", default="unix64,unix32")
    more = "also: crr, check, pattern, " + ", ".join(SPINS)
    p.add_argument("--modes", default=",".join(MODES), help=more)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--secs", type=float, default=3)
    p.add_argument("--trip-secs", type=float, default=2)
    p.add_argument("--warm", type=float, default=0.5)
    p.add_argument("--port", type=int, default=5001)
    p.add_argument("--size", type=int, default=0, help="octets of an echo (1)")
    p.add_argument("--spin", type=int, default=0, help="peer.py --spin, microseconds")
    p.add_argument("--peer", default="", help="more options for peer.py")
    p.add_argument("--check-bytes", type=int, default=2000000)
    p.add_argument("--out", default=os.path.join(netlab.BUILD, "bench.jsonl"))
    p.add_argument("--name", default="other")
    p.add_argument("--cmd")
    p.add_argument("--fd", action="store_true")
    p.add_argument("--boot", type=float, default=10)
    p.add_argument("--quiet", type=float, default=0.3, help="wait while busier (cores); 0: never")
    p.add_argument("--quiet-wait", type=float, default=60)
    p.add_argument("--max-foreign", type=float, default=0.25, help="measure again above (cores)")
    p.add_argument("--tries", type=int, default=3)
    a = p.parse_args(argv)
    stacks = list(stacks)
    try:
        netlab.enter()
        for target in a.targets.split(",") if a.targets else ():
            command = [netlab.interpreter(target), "-X", "heapsize=16m", PEER, "{tap}"]
            command += ["{ip}/{plen}", "{mode}", "{port}", "--spin", str(a.spin)]
            name = "smolmp " + target + (" spin" if a.spin else "")
            stack = {"name": name, "cmd": shlex.join(command) + " {sizes} " + a.peer}
            if target == "unix64-wheel":
                stack["cmd"] += " --fd 3"
                stack["fd"] = True
            stacks.append(stack)
    except netlab.Unavailable as e:
        sys.exit(str(e))
    if a.cmd:
        stacks.append({"name": a.name, "cmd": a.cmd, "fd": a.fd})
    os.makedirs(os.path.dirname(os.path.abspath(a.out)), exist_ok=True)
    good = True
    with open(a.out + ".log", "ab") as log, open(a.out, "a") as out:
        for _ in range(a.rounds):
            for stack in stacks:
                for mode in a.modes.split(","):
                    if mode in stack.get("modes", [mode]):
                        good = measure(stack, mode, a, log, out) and good
    return good


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
