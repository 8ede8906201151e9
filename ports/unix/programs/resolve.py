"""Looks names up by DNS and tells what was found."""

import time

import command

USAGE = (
    """
usage: resolve.py TAP IP/PLEN SERVERS NAME... [options]

SERVERS: addresses of name servers, with commas in between ("" for names in .local only).

options:
  --type T        A (default), AAAA, CNAME, NS, PTR, SRV or TXT; PTR takes an address, too
  --search NAMES  domains to look in, with commas in between
  --timeout MS    until the next server is asked (default 2000)
"""
    + command.DEVICE_OPTIONS
)


def main():
    given, options = command.arguments(USAGE, 4, 99, type="A", search="", timeout=(2000, 1))
    from smolmp.socket import dns, tcp  # noqa: F401 - TCP is for answers that are large
    from smolmp.socket.set import SocketSet
    from smolmp.wire.address import parse_address

    kinds = ("A", "AAAA", "CNAME", "NS", "PTR", "SRV", "TXT")
    if options.type not in kinds:
        options.wrong("--type: one of %s, not %s" % (" ".join(kinds), options.type))
    servers = [text for text in given[2].split(",") if text]
    for server in servers:
        try:
            parse_address(server)
        except ValueError as e:
            options.wrong(str(e))
    device = command.open_device(given[0], options)
    iface = command.interface(device, given[1], options, now=time.ticks_ms())
    sockets = SocketSet()
    search = [text for text in options.search.split(",") if text]
    client = dns.Client(iface, sockets, servers, search, timeout=options.timeout)
    print("ready")
    missing = False
    for name in given[3:]:
        kind = getattr(dns, options.type)
        where = name
        if kind == dns.PTR and name[-1:].isdigit():
            where = dns.reverse(name)
        query = client.query(where, kind)
        while not query.done:
            iface.poll(time.ticks_ms(), sockets)
            if not query.done:
                device.wait(iface.poll_delay(time.ticks_ms(), sockets))
        for record in query.records:
            print(name, options.type, record)
        if query.error:
            missing = True
            why = {dns.NONAME: "no such name", dns.NODATA: "no such record"}
            print(name, options.type, why.get(query.error, "no answer"))
    print(
        "asked %d, from the cache %d, by TCP %d, other servers %d"
        % (client.asked, client.hits, client.truncated, client.failovers)
    )
    if missing:
        raise SystemExit(1)


command.run(main)
