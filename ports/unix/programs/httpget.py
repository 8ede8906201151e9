"""Fetches a page by HTTP and prints it."""

import sys

import command

USAGE = (
    """
usage: httpget.py TAP IP/PLEN http://ADDRESS[:PORT]/PATH [options]

options:
  --head          print the header too
  --timeout N     seconds without progress after which to give up (default 10)
"""
    + command.DEVICE_OPTIONS
)


def split(url, options):
    """(address, port, path); the address must be a number: there is no resolver yet"""
    if not url.startswith("http://"):
        options.wrong("only http://")
    host, _, path = url[7:].partition("/")
    if host.endswith("]") or ":" not in host:
        port = 80
    else:
        host, port = host.rsplit(":", 1)
        port = command.number(port, options, 1)
    return host.strip("[]"), port, "/" + path


def main():
    given, options = command.arguments(USAGE, 3, 3, head=False, timeout=10)
    name, address, url = given
    host, port, path = split(url, options)

    from smolmp.socket import tcp
    from smolmp.socket.set import SocketSet

    device = command.open_device(name, options)
    iface = command.interface(device, address, options)
    sockets = SocketSet()
    socket = sockets.add(tcp.Socket(rx=32768, tx=1024))
    socket.timeout = options.timeout * 1000
    request = "GET %s HTTP/1.0\r\nHost: %s\r\nConnection: close\r\n\r\n" % (path, host)
    buffer = bytearray(4096)
    state = {"asked": False, "done": False, "head": b""}
    errors = []

    def show(data):
        if state["head"] is not None:
            state["head"] += data
            head, found, data = state["head"].partition(b"\r\n\r\n")
            if not found:
                return
            state["head"] = None
            state["status"] = head.split(b"\r\n")[0].decode()
            if options.head:
                print(head.decode() + "\n")
        sys.stdout.write(data)  # octets, as they are

    def serve():
        try:
            if not state["asked"]:
                if not socket.may_send():
                    if not socket.is_open():
                        socket.send(b"")  # raises the reason
                    return
                state["asked"] = True
                socket.send(request.encode())
            while True:
                n = socket.recv_into(buffer)
                if not n:
                    break
                show(bytes(buffer[:n]))
            if n == 0:
                socket.close()
                state["done"] = True
        except OSError as e:
            errors.append(e)
            state["done"] = True

    socket.service = serve
    socket.connect(iface, (host, port))
    command.loop(iface, sockets, device, options.spin, lambda: state["done"], 1000)
    command.finish(iface, sockets, device, socket)
    if errors:
        command.fail("httpget: %s" % command.reason(errors[0]))
    if state["head"] is not None:
        command.fail("httpget: the answer has no header")
    if " 200" not in state["status"]:
        command.fail("httpget: " + state["status"])


command.run(main)
