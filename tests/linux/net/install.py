"""install.py PEER TARGET: the `mip` and `requests` that MicroPython carries, over smolmp, from a
server with a package, over HTTP and HTTPS."""

import sys

sys.path.insert(1, (sys.path[0] or ".") + "/../../..")

from ports.unix.tuntap import Tap
from smolmp.net import Net

net = Net(Tap("tap0"), "192.168.69.1/24", hosts={"server.test": sys.argv[1]}).install()

import mip  # noqa: E402
import requests  # noqa: E402

TARGET = sys.argv[2]

for scheme, port in (("http", 8000), ("https", 8443)):
    where = "%s://server.test:%d" % (scheme, port)
    folder = TARGET + "/" + scheme
    # A package by its address, what it depends on from an index.
    mip.install(where + "/package.json", index=where + "/index", target=folder)
    sys.path.append(folder)
    import blink  # type: ignore[import-not-found]

    print(scheme, blink.NAME, blink.helper.NAME)
    for name in ("blink", "helper"):
        del sys.modules[name]
    sys.path.remove(folder)

    r = requests.get(where + "/large.bin", headers={"X-Who": "smolmp"}, timeout=10)
    print(scheme, r.status_code, len(r.content), sum(r.content))
    r = requests.post(where + "/echo", json={"a": [1, 2, 3]})
    print(scheme, r.status_code, r.json())
    r = requests.put(where + "/echo", data=b"x" * 20000)
    print(scheme, r.status_code, len(r.content))

    def parts():
        for i in range(50):
            yield b"part %d," % i

    r = requests.post(where + "/echo", data=parts())  # chunked
    print(scheme, r.status_code, len(r.content))
    r = requests.get(where + "/moved")
    print(scheme, r.status_code, r.text)
    r = requests.get(where + "/secret", auth=("user", "word"))
    print(scheme, r.status_code)
    r.close()
try:
    requests.get("http://server.test:8001/")
except OSError as error:
    print("refused", error.errno)
net.sleep(300)
print("free", net.count_streams())
try:
    requests.get("http://server.test:8002/", timeout=0.2)
except OSError as error:
    print("silent", error.errno)
net.finish(100)
