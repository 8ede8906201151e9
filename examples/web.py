"""A web server with asyncio, and something else that goes on beside it."""

import asyncio

import board

from smolmp.net import Net

net = Net(board.ethernet(), hostname="pico", tcp=8, udp=1, rx=1024, tx=1024).install()
if not net.wait_up():
    raise OSError("no cable, or no DHCP server")

PAGE = "<title>pico</title><h1>smolmp</h1><p>up for %d s</p><pre>%s</pre>\n"
seconds = 0


async def serve(reader, writer):
    try:
        request = (await asyncio.wait_for(reader.readline(), 5)).split(b" ")
        while await asyncio.wait_for(reader.readline(), 5) not in (b"\r\n", b""):
            pass
        status = "200 OK" if request[1:2] == [b"/"] else "404 Not Found"
        writer.write("HTTP/1.0 %s\r\nContent-Type: text/html\r\n\r\n" % status)
        writer.write(PAGE % (seconds, net))
        await writer.drain()
    except (OSError, asyncio.TimeoutError) as error:
        print("a client was lost:", error)
    await writer.wait_closed()


async def main():
    global seconds
    await asyncio.start_server(serve, "0.0.0.0", 80)
    print("http://%s/" % net.iface.ip_addrs[0].split("/")[0])
    while True:
        await asyncio.sleep(1)
        seconds += 1


asyncio.run(main())
