"""TLS over smolmp's sockets: net/secure.py on one end, openssl's s_server and s_client on the
other."""

import contextlib
import hashlib
import os
import socket
import subprocess
import threading
import time

import netlab
import pytest

SETTINGS = """
[req]
distinguished_name = name
x509_extensions = authority
[name]
[authority]
basicConstraints = critical, CA:TRUE
subjectKeyIdentifier = hash
"""
PROGRAM = "tests/linux/net/secure.py"
SIZE = 100000
NAME = "server.test"


def octets(seed):
    parts = (hashlib.sha256(b"%s %d" % (seed, i)).digest() for i in range(SIZE // 32))
    return b"".join(parts)


UP, DOWN = octets(b"up"), octets(b"down")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """A folder: ca.pem, and NAME.pem, NAME.key of several servers."""
    if not netlab.has("openssl"):
        pytest.skip("openssl is missing: tools/setup system")
    folder = tmp_path_factory.mktemp("certificates")
    (folder / "openssl.cnf").write_text(SETTINGS)
    settings = {"PATH": netlab.search_path(), "OPENSSL_CONF": str(folder / "openssl.cnf")}
    environment = {**os.environ, **settings}

    def openssl(*arguments):
        argv = ["openssl", *arguments]
        subprocess.run(argv, cwd=folder, env=environment, check=True, capture_output=True)

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")

    def authority(name):
        files = ("-keyout", name + ".key", "-out", name + ".pem")
        openssl("req", "-x509", *curve, *files, "-days", "30", "-subj", "/CN=smolmp " + name)

    def server(file, name, issuer, days=10, key=curve):
        files = ("-keyout", file + ".key", "-out", file + ".csr")
        openssl("req", *key, *files, "-subj", "/CN=" + name)
        (folder / "names").write_text("subjectAltName=DNS:" + name)
        signed = ("-CA", issuer + ".pem", "-CAkey", issuer + ".key", "-CAcreateserial")
        request = ("-req", "-in", file + ".csr", "-days", str(days), "-extfile", "names")
        openssl("x509", *request, *signed, "-out", file + ".pem")

    authority("ca")
    authority("stranger")
    server(NAME, NAME, "ca")
    server("rsa", NAME, "ca", key=("-newkey", "rsa:2048", "-nodes"))
    server("second", "second.test", "ca")
    server("strange", NAME, "stranger")
    server("expired", NAME, "ca", days=-1)
    return folder


class Server:
    """openssl s_server in the wire's namespace: sends DOWN, keeps what comes."""

    def __init__(self, wire, folder, port, *options, file=NAME):
        argv = ["openssl", "s_server", "-accept", port, "-quiet", "-naccept", "9"]
        argv += ["-cert", folder / (file + ".pem"), "-key", folder / (file + ".key"), *options]
        self.got = bytearray()
        self.process = wire.kernel.popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        listening(wire, port)
        threading.Thread(target=self.read, daemon=True).start()
        # As it reads its own input only while somebody is connected, this waits until then.
        threading.Thread(target=self.write, daemon=True).start()

    def read(self):
        while True:
            data = self.process.stdout.read1(65536)
            if not data:
                return
            self.got += data

    def write(self):
        try:
            self.process.stdin.write(DOWN)
            self.process.stdin.flush()
        except OSError:
            pass  # nobody came

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(10)


def listening(wire, port):
    end = time.monotonic() + 10
    while ":%d " % port not in wire.run("ss", "-ltn"):
        assert time.monotonic() < end, "nobody listens at %d" % port
        time.sleep(0.02)


def run(wire, target, certificates, *parts):
    program = wire.start(target, PROGRAM, certificates, wire.kernel_ip, *parts, ready=None)
    assert program.wait(60) == 0, program.output
    return program.output.splitlines()


def test_client_exchanges(wire, target, certificates):
    """100 KB each way, by TLS 1.2 and 1.3, ECDSA and RSA."""
    parts = ["blocking", "by_tls", "by_poll", "by_asyncio", "not_verified"]
    wanted = []
    arguments = []
    with contextlib.ExitStack() as stack:
        servers = []
        for i, part in enumerate(parts):
            for port, *options in ((4400 + i, "-tls1_2"), (4500 + i, "-tls1_3")):
                file = "rsa" if port >= 4500 else NAME
                server = Server(wire, certificates, port, *options, file=file)
                servers.append(stack.enter_context(server))
                wanted.append("%s TLSv1.%d right" % (part.replace("_", " "), 2 + port // 4500))
                arguments.append("%s:%d" % (part, port))
        lines = run(wire, target, certificates, *arguments)
    assert lines.count("not verified: ETIMEDOUT") == 2
    lines = [line for line in lines if line != "not verified: ETIMEDOUT"]
    assert lines == [*wanted, "connections free: True"]
    assert all(server.got == UP for server in servers)
    wire.check()


def test_servers_that_a_client_refuses(wire, target, certificates):
    second = ("-servername", "second.test")
    second += ("-cert2", certificates / "second.pem", "-key2", certificates / "second.key")
    plain = wire.kernel.socket(socket.AF_INET, socket.SOCK_STREAM)
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    plain.bind((wire.kernel_ip, 4439))
    plain.listen()
    threading.Thread(target=no_tls, args=(plain,), daemon=True).start()
    quiet = wire.kernel.socket(socket.AF_INET, socket.SOCK_STREAM)
    quiet.bind((wire.kernel_ip, 4440))
    quiet.listen()
    with (
        Server(wire, certificates, 4433, *second),
        Server(wire, certificates, 4434, "-tls1_2", file="strange"),
        Server(wire, certificates, 4435, "-tls1_3", file="strange"),
        Server(wire, certificates, 4436, file="expired"),
        plain,
        quiet,
    ):
        parts = ["by_name:4433", "wrong_name:4433", "not_trusted:4434", "not_trusted:4435"]
        parts += ["expired:4436", "no_tls:4439", "silent:4440"]
        lines = run(wire, target, certificates, *parts)
    untrusted = "The certificate is not correctly signed by the trusted CA"
    assert lines == [
        "second name accepted",
        "first name accepted",
        "wrong name refused: The certificate Common Name (CN) does not match with the expected CN",
        "not trusted refused: " + untrusted,
        "not trusted refused: " + untrusted,
        "expired refused: The certificate validity has expired",
        "no TLS failed: an error of TLS",
        "silent failed: ETIMEDOUT",
        "connections free: True",
    ]
    wire.check()


def no_tls(listener):
    s, _ = listener.accept()
    s.sendall(b"220 this is no TLS at all\r\n")
    s.recv(1000)
    s.close()


def client(wire, certificates, *options, name=NAME, port=443):
    """What openssl s_client got from smolmp's server, to which it sent UP: octets, exit code."""
    argv = ["openssl", "s_client", "-connect", "%s:%d" % (wire.ip, port), "-quiet"]
    argv += ["-servername", name, "-verify_hostname", name, "-verify_return_error"]
    argv += ["-CAfile", certificates / "ca.pem", *options]
    process = wire.kernel.popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    got, _ = process.communicate(UP, 30)
    return got


def test_server_blocking(wire, target, certificates):
    program = wire.start(target, PROGRAM, certificates, wire.kernel_ip, "server:443")
    assert client(wire, certificates, "-tls1_2") == DOWN
    assert client(wire, certificates, "-tls1_3") == DOWN
    assert client(wire, certificates, name="other.test") == b"", "s_client verifies names"
    assert program.wait(20) == 0, program.output
    assert program.output.splitlines()[1:] == [
        "server TLSv1.2 right",
        "server TLSv1.3 right",
        "server OSError",
        "connections free: True",
    ]
    wire.check()


def test_server_by_asyncio(wire, target, certificates):
    """Two at once, by TLS 1.2 and 1.3, and one that hangs up on the certificate."""
    program = wire.start(target, PROGRAM, certificates, wire.kernel_ip, "asyncio_server:443")
    found = []
    clients = [
        threading.Thread(target=lambda v=v: found.append(client(wire, certificates, v)))
        for v in ("-tls1_2", "-tls1_3")
    ]
    for c in clients:
        c.start()
    assert client(wire, certificates, name="other.test") == b""
    for c in clients:
        c.join()
    assert found == [DOWN, DOWN]
    assert program.wait(20) == 0, program.output
    assert sorted(program.output.splitlines()[1:]) == [
        "asyncio server OSError",
        "asyncio server TLSv1.2 right",
        "asyncio server TLSv1.3 right",
        "connections free: True",
    ]
    wire.check()


def goodbyes(kernel, certificates):
    """What s_client says of the two connections of goodbye.py: first it waits for the server to
    close, then it closes itself."""
    found = []
    argv = ["openssl", "s_client", "-connect", netlab.STACK_IP + ":443", "-CAfile"]
    argv += [certificates / "ca.pem", "-verify_return_error", "-tls1_2"]
    for text, options in ((b"\n", ("-ign_eof",)), (b"you first\n", ("-no_ign_eof",))):
        process = kernel.popen(
            [*argv, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        said, _ = process.communicate(text, 30)
        assert b"a word" in said, said
        words = (b"unexpected eof while reading", b"closed", b"DONE", b"error")
        found.append([word.decode() for word in words if word in said.split(b"a word")[1]])
    return found


def test_no_close_notify_as_from_the_ports_own(laboratory, bare_wire, target, certificates):
    """MicroPython's tls ends a connection without a word (RFC 8446 6.1 wants one): whether the
    socket is the port's own or ours, the peer sees the same."""
    program = "tests/linux/net/goodbye.py"
    with netlab.Namespace() as other, netlab.Namespace() as near:
        netlab.veth(near, other)
        near.up("veth0", netlab.KERNEL_IP + "/24")
        other.up("veth0", netlab.STACK_IP + "/24")
        log = bare_wire.name + "-kernel.log"
        their = bare_wire.start(target, program, "kernel", certificates, namespace=other, log=log)
        theirs = goodbyes(near, certificates)
        assert their.wait(20) == 0, their.output
    bare_wire.tap()
    our = bare_wire.start(target, program, "smolmp", certificates)
    ours = goodbyes(bare_wire.kernel, certificates)
    assert our.wait(20) == 0, our.output
    assert ours == theirs
    assert our.output == their.output
    assert ours[0][0] == "unexpected eof while reading" and "b''" in our.output
    bare_wire.check()
