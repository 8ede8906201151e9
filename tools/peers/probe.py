#!/usr/bin/env python3
"""The kernel-side client: drives one server for a while and prints one JSON line.

  probe.py MODE IP PORT [--secs S] [--warm W] [--dev DEV] [--pids P,P] [--size N] [--wait S]

MODE
  sink     sends as fast as the peer accepts; bytes are counted when the peer has acknowledged
           them (TCP_INFO), so what still waits here does not count
  source   receives as fast as the peer sends
  echo     --size octets (1) there and back over one TCP connection, again and again
  udpecho  the same in UDP datagrams; both with --client PROGRAM: by that one (trips.c), which
           looks for the answer until it is there, where this one sleeps and has to be woken
  icmp     the same in ICMP echo requests (56 octets)
  crr      connect, one octet there and back, close: again and again
  check    sends --size pseudo-random octets to a TCP echo server, compares what comes back
  pattern  receives --size octets from a source and checks that octet i is i & 255
  ready    waits until the peer answers a ping

--pids: processes of the stack; their CPU time over the measured window is told, and so is the
time of every other process on the machine (foreign_cpu, in cores): a run with much of it is not
to be trusted.
"""

import argparse
import json
import os
import random
import select
import socket
import struct
import subprocess
import time

HZ = os.sysconf("SC_CLK_TCK")
NOW = time.perf_counter
LINGER_RESET = struct.pack("ii", 1, 0)


def cpu_of(pids):
    ticks = 0
    for pid in pids:
        try:
            with open("/proc/%d/stat" % pid) as f:
                words = f.read().rsplit(")", 1)[1].split()
            ticks += int(words[11]) + int(words[12])
        except OSError:
            pass
    return ticks / HZ


def cpu_all():
    """seconds that processes ran, and seconds of interrupt work, over all cores"""
    with open("/proc/stat") as f:
        w = [int(x) for x in f.readline().split()[1:]]
    return (w[0] + w[1] + w[2]) / HZ, (w[5] + w[6]) / HZ


def device_counters(device):
    """(frames to the stack, frames from it, frames dropped on the way to it)"""
    with open("/proc/net/dev") as f:
        for line in f:
            if line.strip().startswith(device + ":"):
                n = [int(x) for x in line.split(":", 1)[1].split()]
                return n[9], n[1], n[11]
    return 0, 0, 0


def tcp_info(s):
    b = s.getsockopt(socket.IPPROTO_TCP, 11, 256)
    acked, received, segs_out, segs_in = struct.unpack_from("QQII", b, 120)
    return {
        "acked": acked,
        "received": received,
        "segs_out": segs_out,
        "segs_in": segs_in,
        "retrans": struct.unpack_from("I", b, 100)[0],
        "rtt_us": struct.unpack_from("I", b, 68)[0],
        "snd_mss": struct.unpack_from("I", b, 16)[0],
    }


class Window:
    """what is read at the start and at the end of the measured time"""

    def __init__(self, a):
        self.a = a
        self.pids = [int(x) for x in a.pids.split(",") if x]
        self.start = self.snap()

    def snap(self):
        run, irq = cpu_all()
        t = os.times()
        device = device_counters(self.a.dev) if self.a.dev else (0, 0, 0)
        own = t.user + t.system + t.children_user + t.children_system
        return NOW(), run, irq, cpu_of(self.pids), own, device

    def end(self, out):
        t0, run0, irq0, stack0, probe0, device0 = self.start
        t1, run1, irq1, stack1, probe1, device1 = self.snap()
        dt = t1 - t0
        out["secs"] = round(dt, 3)
        out["stack_cpu"] = round((stack1 - stack0) / dt, 3)
        out["probe_cpu"] = round((probe1 - probe0) / dt, 3)
        foreign = (run1 - run0) / dt - out["stack_cpu"] - out["probe_cpu"]
        out["foreign_cpu"] = round(max(0.0, foreign), 3)
        out["irq_cpu"] = round((irq1 - irq0) / dt, 3)
        if self.a.dev:
            out["frames_to_stack_s"] = round((device1[0] - device0[0]) / dt)
            out["frames_from_stack_s"] = round((device1[1] - device0[1]) / dt)
            out["dropped"] = device1[2] - device0[2]
        return dt


def connect(a, nodelay=False):
    end = NOW() + a.wait
    while True:
        s = socket.socket()
        try:
            if a.cc:
                # the machine's default may pace what it sends
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, a.cc.encode())
            if a.sndbuf:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, a.sndbuf)
            if a.rcvbuf:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, a.rcvbuf)
            if nodelay:
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            s.settimeout(max(0.2, min(3, end - NOW())))
            s.connect((a.ip, a.port))
            return s
        except OSError as e:
            s.close()
            if NOW() > end:
                raise SystemExit(json.dumps({"error": "connect: %s" % e})) from None
            time.sleep(0.05)


def finish(s, drain=2.0):
    """polite end: half-close, read what is left for a while, reset if it lasts"""
    try:
        s.shutdown(socket.SHUT_WR)
        s.settimeout(0.5)
        end = NOW() + drain
        while NOW() < end:
            if not s.recv(1 << 18):
                break
        else:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
    except OSError:
        try:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
        except OSError:
            pass
    s.close()


def sink(a):
    s = connect(a)
    block = memoryview(random.Random(1).randbytes(1 << 18))
    s.setblocking(False)
    p = select.poll()
    p.register(s, select.POLLOUT)
    t0 = NOW()
    warm, end, window, before = t0 + a.warm, t0 + a.warm + a.secs, None, None
    at = 0
    out = {"mode": "sink"}
    while True:
        t = NOW()
        if window is None and t >= warm:
            before = tcp_info(s)
            window = Window(a)
        elif t >= end:
            after = tcp_info(s)
            dt = window.end(out)
            break
        p.poll(max(0, min(20, 1000 * ((warm if window is None else end) - t))))
        try:
            for _ in range(8):
                at = (at + s.send(block[at:])) % len(block)
        except BlockingIOError:
            pass
        except OSError as e:
            return {"mode": "sink", "error": str(e)}
    n = after["acked"] - before["acked"]
    out.update(
        bytes=n,
        mbit_s=round(n * 8e-6 / dt, 3),
        segs_out_s=round((after["segs_out"] - before["segs_out"]) / dt),
        segs_in_s=round((after["segs_in"] - before["segs_in"]) / dt),
        retrans=after["retrans"] - before["retrans"],
        rtt_us=after["rtt_us"],
        mss=after["snd_mss"],
    )
    finish(s, drain=5)
    return out


def source(a):
    s = connect(a)
    buf = bytearray(1 << 18)
    t0 = NOW()
    warm, end, window, n, before = t0 + a.warm, t0 + a.warm + a.secs, None, 0, None
    out = {"mode": "source"}
    s.settimeout(0.1)
    while True:
        t = NOW()
        if window is None and t >= warm:
            window, n, before = Window(a), 0, tcp_info(s)
        elif t >= end:
            after = tcp_info(s)
            dt = window.end(out)
            break
        try:
            k = s.recv_into(buf)
            if not k:
                return {"mode": "source", "error": "closed early", "bytes": n}
            n += k
        except TimeoutError:
            pass
        except OSError as e:
            return {"mode": "source", "error": str(e), "bytes": n}
    out.update(
        bytes=n,
        mbit_s=round(n * 8e-6 / dt, 3),
        segs_out_s=round((after["segs_out"] - before["segs_out"]) / dt),
        segs_in_s=round((after["segs_in"] - before["segs_in"]) / dt),
    )
    finish(s)
    return out


def spread(out, times, dt, lost=0):
    times.sort()
    if times:
        out.update(
            trips_s=round(len(times) / dt, 1),
            p50_us=round(times[len(times) // 2] * 1e6, 1),
            p99_us=round(times[int(len(times) * 0.99)] * 1e6, 1),
            min_us=round(times[0] * 1e6, 1),
        )
    else:
        out["error"] = "no answer"
    out["lost"] = lost
    return out


def trips(a, mode, once):
    """calls once() over and over; it returns False when the answer was lost"""
    t0 = NOW()
    while NOW() - t0 < min(a.warm, 0.3):
        once()
    window, times, lost = Window(a), [], 0
    end = NOW() + a.secs
    t = NOW()
    while t < end:
        good = once()
        u = NOW()
        if good:
            times.append(u - t)
        else:
            lost += 1
        t = u
    out = {"mode": mode}
    return spread(out, times, window.end(out), lost)


def echo(a):
    s = connect(a, nodelay=True)
    s.settimeout(5)
    message = b"x" * max(1, a.size)

    def once():
        s.sendall(message)
        got = 0
        while got < len(message):
            k = len(s.recv(65536))
            if not k:
                raise SystemExit(json.dumps({"mode": "echo", "error": "closed early"}))
            got += k
        return True

    try:
        out = trips(a, "echo", once)
    except OSError as e:
        return {"mode": "echo", "error": str(e)}
    finish(s)
    return out


def udpecho(a):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect((a.ip, a.port))
    s.settimeout(0.5)
    n = [0]

    def once():
        n[0] = n[0] + 1 & 255
        message = bytes([n[0]]) * max(1, a.size)
        try:
            s.send(message)
            while s.recv(65536) != message:
                pass  # a late one
            return True
        except OSError:
            return False

    t0 = NOW()
    while not once() and NOW() - t0 < a.wait:
        pass
    return trips(a, "udpecho", once)


def spinning(a, mode):
    """echo or udpecho by a client that never sleeps: a program of its own (trips.c)"""
    command = [a.client, "udp" if mode == "udpecho" else "tcp", a.ip, str(a.port)]
    for secs in (min(a.warm, 0.3), a.secs):  # the first one warms up
        window = Window(a)
        done = subprocess.run(command + [str(secs)], capture_output=True, text=True)
        out = {"mode": mode + "-spin"}
        if done.returncode:
            return {"mode": mode + "-spin", "error": done.stderr.strip()[:300]}
    window.end(out)
    n, secs, lost, least, median, most = (float(x) for x in done.stdout.split())
    out.update(
        trips_s=round(n / secs, 1), min_us=least, p50_us=median, p99_us=most, lost=int(lost)
    )
    if not n:
        out["error"] = "no answer"
    return out


def checksum(b):
    if len(b) & 1:
        b += b"\0"
    t = sum(struct.unpack("!%dH" % (len(b) // 2), b))
    t = (t >> 16) + (t & 65535)
    return ~(t + (t >> 16)) & 65535


def pinger(a):
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    s.connect((a.ip, 0))
    s.settimeout(0.5)
    ident, n, data = os.getpid() & 65535, [0], bytes(range(56))

    def once():
        n[0] = n[0] + 1 & 65535
        h = struct.pack("!BBHHH", 8, 0, 0, ident, n[0])
        h = h[:2] + struct.pack("!H", checksum(h + data)) + h[4:]
        try:
            s.send(h + data)
            while True:
                r = s.recv(2048)[20:]
                if r[0] == 0 and r[4:8] == h[4:8] and r[8:] == data:
                    return True
        except OSError:
            return False

    return s, once


def icmp(a):
    return trips(a, "icmp", pinger(a)[1])


def ready(a):
    t0 = NOW()
    s, once = pinger(a)
    s.settimeout(0.1)
    while NOW() < t0 + a.wait:
        if once():
            return {"mode": "ready", "after_s": round(NOW() - t0, 3)}
        time.sleep(0.02)
    return {"mode": "ready", "error": "no answer in %g s" % a.wait}


def crr(a):
    def once():
        s = socket.socket()
        s.settimeout(3)
        try:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            s.connect((a.ip, a.port))
            s.sendall(b"x")
            good = s.recv(16) == b"x"
            s.shutdown(socket.SHUT_WR)
            while s.recv(16):
                pass
            s.close()
            return good
        except OSError:
            s.close()
            return False

    return trips(a, "crr", once)


def check(a):
    s = connect(a)
    size = a.size or 2000000
    data = random.Random(7).randbytes(size)
    view, sent, got = memoryview(data), 0, bytearray()
    s.setblocking(False)
    t0 = NOW()
    while len(got) < size:
        if NOW() > t0 + a.secs:
            text = "only %d of %d octets back in %g s" % (len(got), size, a.secs)
            return {"mode": "check", "error": text}
        r, w, _ = select.select([s], [s] if sent < size else [], [], 0.2)
        try:
            if w:
                sent += s.send(view[sent : sent + 65536])
            if r:
                b = s.recv(1 << 18)
                if not b:
                    return {"mode": "check", "error": "closed after %d octets" % len(got)}
                got += b
        except BlockingIOError:
            pass
        except OSError as e:
            return {"mode": "check", "error": str(e)}
    dt = NOW() - t0
    finish(s)
    ok = bytes(got) == data
    return {"mode": "check", "ok": ok, "bytes": size, "mbit_s": round(size * 8e-6 / dt, 3)}


def pattern(a):
    s = connect(a)
    s.settimeout(5)
    size, n, want = a.size or 2000000, 0, bytes(range(256)) * 2049
    t0, ok = NOW(), True
    while n < size and ok and NOW() < t0 + a.secs:
        b = s.recv(1 << 18)
        if not b:
            break
        ok = b == want[n & 255 : (n & 255) + len(b)]
        n += len(b)
    dt = NOW() - t0
    finish(s)
    return {
        "mode": "pattern",
        "ok": ok and n >= size,
        "bytes": n,
        "mbit_s": round(n * 8e-6 / dt, 3),
    }


def main():
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    modes = (sink, source, echo, udpecho, icmp, crr, check, pattern, ready)
    p.add_argument("mode", choices=[f.__name__ for f in modes])
    p.add_argument("ip")
    p.add_argument("port", type=int, nargs="?", default=5001)
    p.add_argument("--secs", type=float, default=3)
    p.add_argument("--warm", type=float, default=0.5)
    p.add_argument("--dev", default="")
    p.add_argument("--pids", default="")
    p.add_argument("--size", type=int, default=0)
    p.add_argument("--wait", type=float, default=10)
    p.add_argument("--sndbuf", type=int, default=1 << 19)
    p.add_argument("--rcvbuf", type=int, default=0)
    p.add_argument("--cc", default="cubic")
    p.add_argument("--client", default="", help="of echo and udpecho: the program that spins")
    a = p.parse_args()
    if a.client:
        print(json.dumps(spinning(a, a.mode)), flush=True)
    else:
        print(json.dumps(globals()[a.mode](a)), flush=True)


main()
