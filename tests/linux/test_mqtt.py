"""MQTT clients that nobody here wrote, over smolmp, and mosquitto at the other end."""

import time

import netlab
import pytest

NET = "tests/linux/net/"
CONFIGURATION = """
user root
listener 1883 %s
allow_anonymous true
persistence true
persistence_location %s/
log_type all
log_dest stderr
"""


@pytest.fixture(autouse=True)
def needs_mosquitto():
    for name in ("mosquitto", "mosquitto_pub"):
        if not netlab.has(name):
            pytest.skip("%s is missing: tools/setup system" % name)


class Broker:
    """mosquitto in the wire's namespace, and a client of its own that hears everything."""

    def __init__(self, wire, folder):
        self.wire = wire
        self.file = folder / "mosquitto.conf"
        self.file.write_text(CONFIGURATION % (wire.kernel_ip, folder))
        self.ears = self.server = None

    def start(self):
        kernel, name = self.wire.kernel, self.wire.name
        argv = ["mosquitto", "-c", str(self.file)]
        self.server = kernel.program(argv, name + "-mosquitto.log")
        self.server.wait_line(r"mosquitto version \S+ running")
        argv = ["mosquitto_sub", "-h", self.wire.kernel_ip, "-i", "ears", "-t", "#", "-q", "1"]
        self.ears = kernel.program([*argv, "-F", "%q%r %t %p"], name + "-ears.log")
        self.server.wait_line("Sending SUBACK to ears")

    def stop(self):
        for program in (self.ears, self.server):
            if program:
                program.stop()

    def publish(self, topic, message, *options):
        argv = ["mosquitto_pub", "-h", self.wire.kernel_ip, "-t", topic, "-m", message]
        self.wire.run(*argv, *options)


@pytest.fixture
def broker(wire, tmp_path):
    it = Broker(wire, tmp_path)
    it.start()
    yield it
    it.stop()


@pytest.mark.targets("unix32")
def test_a_client_that_blocks(wire, target, broker, third_party):
    converse(wire, target, broker, third_party, "blocking", 1, 3)


@pytest.mark.targets("unix64")
def test_a_client_that_never_blocks(wire, target, broker, third_party):
    converse(wire, target, broker, third_party, "polled", 2, 1)


def converse(wire, target, broker, third_party, client, keep_alive, restarts):
    """Quality 0 and 1 both ways, retained, keep-alive, the broker restarted, the last will."""
    broker.publish("to/start", "kept for whoever comes", "-r")
    program = wire.start(target, NET + "mqtt_%s.py" % client, third_party, wire.kernel_ip)
    program.wait_line("^heard to/start kept for whoever comes$")
    ears = broker.ears
    ears.wait_line("^00 state here$")
    ears.wait_line("^00 from/%s at most once$" % client)
    ears.wait_line("^00 from/%s x{5000}$" % client)
    ears.wait_line("^10 from/%s at least once$" % client)
    for quality in "01":
        broker.publish("to/it", "quality " + quality, "-q", quality)
        program.wait_line("^heard to/it quality %s$" % quality)
    broker.publish("to/it", "y" * 200)
    program.wait_line("^heard to/it y{200}$")
    broker.server.wait_line("Received PUBACK from " + client)
    broker.server.wait_line("Sending PINGRESP to " + client)
    time.sleep(1.6 * keep_alive)  # longer than the broker bears without a word
    assert program.alive() and "exceeded timeout" not in broker.server.output

    for n in range(restarts):
        broker.stop()
        time.sleep(0.3)
        assert program.alive(), program.output
        broker.start()
        broker.server.wait_line("Sending (SUBACK|CONNACK) to " + client)
        broker.publish("to/it", "welcome back %d" % n, "-q", "1")
        program.wait_line("^heard to/it welcome back %d$" % n)

    if client == "polled":
        broker.publish("to/it", "leave")  # by an RST
    else:
        program.process.kill()  # the broker waits for its keep-alive
    broker.ears.wait_line("^10 state gone$")
    program.wait()
    wire.run(*"mosquitto_sub -C 1 -W 5 -t state -h".split(), wire.kernel_ip)
    wire.check()
