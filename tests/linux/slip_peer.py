"""The other end of a serial line: a TUN of this machine's kernel behind sliplib (CPython).

slip_peer.py TUN PTY    both descriptors, inherited. Prints "slip peer: N in, N out, N bad" when
                        the line is hung up or it is ended.

The kernel's own SLIP is a tty line discipline (N_SLIP), which many kernels are built without. What
frames packets here is https://pypi.org/project/sliplib, written by Ruud de Jong; what answers them
is Linux.
"""

import os
import select
import signal
import sys

import sliplib


def main():
    tun, pty = int(sys.argv[1]), int(sys.argv[2])
    # As RFC 1055 has it: else noise before a packet, and there always is some where a packet has
    # waited for its retransmission, becomes a part of it.
    sliplib.config.USE_LEADING_END_BYTE = True
    driver = sliplib.Driver()
    came = went = bad = 0
    line = b""  # what the pty has not taken yet
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        while True:
            readers = [pty] if line else [pty, tun]
            readable, writable, _ = select.select(readers, [pty] if line else [], [])
            if pty in readable:
                driver.receive(os.read(pty, 4096))
                while True:
                    try:
                        packet = driver.get(block=False)
                    except sliplib.ProtocolError:
                        bad += 1
                        continue
                    if packet is None:
                        break
                    came += 1
                    try:
                        os.write(tun, packet)
                    except OSError:  # noise: no IP packet
                        bad += 1
            if tun in readable:
                line += driver.send(os.read(tun, 65536))
                went += 1
            if pty in writable:
                line = line[os.write(pty, line) :]
    except OSError:
        pass
    finally:
        print("slip peer: %d in, %d out, %d bad" % (came, went, bad), flush=True)


main()
