"""Linux's end of web clients: http.server in a namespace, plain and with TLS, what it serves
chosen by what `requests` and `mip` do."""

import base64
import hashlib
import http.server
import json
import random
import socket
import ssl
import subprocess
import threading

import netlab

LARGE = random.Random(1).randbytes(300000)
BLINK = b"import helper\n\nNAME = 'blink'\n"
HELPER = b"NAME = 'helper'\n"
SHORT = hashlib.sha256(HELPER).hexdigest()[:8]
PACKAGE = {"urls": [], "deps": [["helper", "1.0"]], "version": "0.1"}
INDEX = {"hashes": [["helper.py", SHORT]], "v": 1, "version": "1.0"}


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def answer(self, body, status=200, **headers):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        here = "%s://server.test:%d" % (self.server.scheme, self.server.server_address[1])
        path = self.path
        self.server.seen.append(path)
        if path == "/package.json":
            package = {**PACKAGE, "urls": [["blink.py", here + "/blink.py"]]}
            self.answer(json.dumps(package).encode())
        elif path == "/blink.py":
            self.answer(BLINK)
        elif path.startswith("/index/package/") and path.endswith("/helper/1.0.json"):
            self.answer(json.dumps(INDEX).encode())
        elif path == "/index/file/%s/%s" % (SHORT[:2], SHORT):
            self.answer(HELPER)
        elif path == "/large.bin" and self.headers["X-Who"] == "smolmp":
            self.answer(LARGE)
        elif path == "/":
            self.answer(b"welcome")
        elif path == "/moved":
            self.answer(b"", 302, Location=here + "/arrived")
        elif path == "/arrived":
            self.answer(b"arrived")
        elif path == "/secret":
            right = "Basic " + base64.b64encode(b"user:word").decode()
            self.answer(b"", 200 if self.headers["Authorization"] == right else 401)
        else:
            self.answer(b"", 404)

    def body(self):
        if self.headers["Transfer-Encoding"] != "chunked":
            return self.rfile.read(int(self.headers["Content-Length"]))
        found = b""
        while True:
            n = int(self.rfile.readline(), 16)
            found += self.rfile.read(n)
            self.rfile.readline()
            if not n:
                return found

    def do_POST(self):
        self.answer(self.body())

    do_PUT = do_POST


class Server(http.server.ThreadingHTTPServer):
    """Serves in `namespace` until close(). `certificate`: (file, key file), for https."""

    def __init__(self, namespace, port, certificate=None):
        address = (netlab.KERNEL_IP, port)
        super().__init__(address, Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.server_bind()
        self.server_activate()
        self.seen = []
        self.scheme = "http"
        if certificate:
            self.scheme = "https"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.socket = context.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def handle_error(self, request, address):
        self.seen.append("error")

    def close(self):
        self.shutdown()
        self.server_close()


def certificate(folder, name="server.test"):
    """(certificate, key) in files of `folder`, signed by itself."""
    made = folder / "certificate.pem", folder / "key.pem"
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    argv += [
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=" + name,
        "-addext",
        "subjectAltName=DNS:" + name,
    ]
    argv += ["-out", str(made[0]), "-keyout", str(made[1])]
    subprocess.run(argv, check=True, capture_output=True)
    return made
