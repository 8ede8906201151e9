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
    """(address, port, path) of a URL"""
    if not url.startswith("http://"):
        options.wrong("only http://")
    host, _, path = url[7:].partition("/")
    port = "80"
    if ":" in host and not host.endswith("]"):
        host, port = host.rsplit(":", 1)
    host = command.host(host.strip("[]"), options)
    return host, command.number(port, options, 1), "/" + path


def main():
    given, options = command.arguments(USAGE, 3, 3, head=False, timeout=(10, 0, 1 << 18))
    name, address, url = given
    host, port, path = split(url, options)
    import services

    from smolmp.socket import tcp
    from smolmp.socket.set import SocketSet

    device = command.open_device(name, options)
    iface = command.interface(device, address, options)
    sockets = SocketSet()
    socket = sockets.add(tcp.Socket(rx=32768, tx=1024))
    socket.timeout = options.timeout * 1000
    request = b"GET %s HTTP/1.0\r\nHost: %s\r\nConnection: close\r\n\r\n"
    request %= (path.encode(), host.encode())
    buffer = bytearray(4096)

    class Get(services.Client):
        asked = 0  # octets of the request that are sent
        head = b""  # the header as far as it came; None: it is whole
        status = ""

        def serve(self):
            if self.asked < len(request):
                self.asked += socket.send(request, self.asked) or 0
            while True:
                n = socket.recv_into(buffer)
                if not n:
                    break
                self.show(bytes(buffer[:n]))
            if n == 0:
                self.close()

        def show(self, data):
            if self.head is not None:
                self.head += data
                head, found, data = self.head.partition(b"\r\n\r\n")
                if not found:
                    return
                self.head = None
                self.status = head.split(b"\r\n")[0].decode()
                if options.head:
                    print(head.decode() + "\n")
            sys.stdout.write(data)  # octets, as they are

    get = Get(socket)
    command.converse(iface, sockets, device, get, (host, port), options)
    if get.head is not None:
        command.fail("httpget: the answer has no header")
    if " 200" not in get.status:
        command.fail("httpget: " + get.status)


command.run(main)
