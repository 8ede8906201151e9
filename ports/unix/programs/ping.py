"""Pings a host and tells round-trip times and losses."""

import sys
import time

import command

USAGE = (
    """
usage: ping.py TAP IP/PLEN HOST [options]

options:
  --count N       how many (default 4; 0: until interrupted)
  --interval MS   between two requests (default 1000)
  --timeout MS    wait this long for the last answers (default 5000)
  --size N        octets of data (default 56)
"""
    + command.DEVICE_OPTIONS
)


def main():
    given, options = command.arguments(
        USAGE, 3, 3, count=4, interval=1000, timeout=5000, size=(56, 8, 65507)
    )
    name, address, host = given
    host = command.host(host, options)

    from smolmp.socket import icmp
    from smolmp.socket.set import SocketSet

    device = command.open_device(name, options)
    command.number(options.size, options, 8, device.mtu - 28, "--size")
    iface = command.interface(device, address, options)
    sockets = SocketSet()
    socket = sockets.add(icmp.Socket(rx=8192, tx=8192))
    ident = command.random_seed(options) & 0xFFFF
    socket.bind(icmp.Endpoint.ident(ident))
    print("PING %s from %s: %d data bytes" % (host, address, options.size))

    sent_at = {}  # sequence number -> ticks_us
    times = []
    state = {"sent": 0, "got": 0, "next": time.ticks_ms(), "end": None}
    fill = bytes(range(256)) * (options.size // 256 + 1)

    def serve():
        while True:
            got = socket.recv()
            if got is None:
                return
            message, meta = got
            kind = message[0]
            sequence = message[6] << 8 | message[7]
            now = time.ticks_us()
            if kind != 0:
                continue  # our own request, seen by ourselves
            if message[8:] != fill[: options.size]:
                print("%s: seq %d: the data differs" % (meta.address, sequence))
                continue
            start = sent_at.pop(sequence, None)
            if start is None:
                print("%s: seq %d: duplicate" % (meta.address, sequence))
                continue
            state["got"] += 1
            us = time.ticks_diff(now, start)
            times.append(us)
            print(
                "%d bytes from %s: icmp_seq=%d ttl=%d time=%d.%03d ms"
                % (len(message), meta.address, sequence, meta.hop_limit, us // 1000, us % 1000)
            )

    def done():
        """sends what is due; all sent and answered, or waited long enough?"""
        now = time.ticks_ms()
        more = options.count == 0 or state["sent"] < options.count
        if more and time.ticks_diff(now, state["next"]) >= 0:
            sequence = (state["sent"] + 1) & 0xFFFF
            state["next"] = time.ticks_add(now, options.interval)
            # None: the queue is full, as while the neighbour is still being looked for
            if socket.send_echo(host, sequence, fill[: options.size]) is not None:
                state["sent"] += 1
                sent_at[sequence] = time.ticks_us()
            if state["sent"] == options.count:
                state["end"] = time.ticks_add(now, options.timeout)
        if state["end"] is None:
            return False
        return not sent_at or time.ticks_diff(now, state["end"]) >= 0

    socket.service = serve
    try:
        command.loop(
            iface,
            sockets,
            device,
            options.spin,
            done,
            lambda: (
                max(0, min(200, time.ticks_diff(state["next"], time.ticks_ms())))
                if state["end"] is None
                else 200
            ),
        )
    except KeyboardInterrupt:
        pass
    lost = state["sent"] - state["got"]
    print("--- %s ping statistics ---" % host)
    print(
        "%d packets transmitted, %d received, %d%% packet loss"
        % (state["sent"], state["got"], 100 * lost // max(1, state["sent"]))
    )
    if times:
        times.sort()
        mean = sum(times) // len(times)
        print(
            "rtt min/median/mean/max = %d/%d/%d/%d us"
            % (times[0], times[len(times) // 2], mean, times[-1])
        )
    if socket.tx_dropped:
        command.fail("no way to %s: --gateway?" % host)
    if lost:
        sys.exit(1)


command.run(main)
