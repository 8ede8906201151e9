"""mqtt_polled.py THIRD_PARTY BROKER: chumicro-mqtt, as its authors wrote it: it never blocks."""

import select
import sys

sys.path.insert(1, (sys.path[0] or ".") + "/../../..")
sys.path.append(sys.argv[1])

from ports.unix.tuntap import Tap
from smolmp.net import Net

net = Net(Tap("tap0"), "192.168.69.1/24", hosts={"broker": sys.argv[2]}).install()

from chumicro_mqtt import MQTTClient  # noqa: E402
from chumicro_sockets import connector  # noqa: E402
from chumicro_timing.ticks import ticks_diff, ticks_ms  # noqa: E402

client = MQTTClient(
    transport_factory=lambda: connector("broker", 1883),
    client_id="polled",
    keep_alive_seconds=2,
    will_topic="state",
    will_message=b"gone",
    will_retain=True,
    will_qos=1,
)


leaving = []


def heard(topic, payload):
    print("heard", topic, bytes(payload).decode())
    if bytes(payload) == b"leave":
        leaving.append(topic)


def connected(*_):
    print("connected")


client.on_message = heard
client.on_connect = connected
client.subscribe("to/#", 1, on_subscribe=lambda *_: print("ready"))
client.publish("state", b"here", retain=True)
client.publish("from/polled", b"at most once")
client.publish("from/polled", b"x" * 5000)
client.publish("from/polled", b"at least once", qos=1, on_publish=lambda *_: print("published"))
client.connect()
poll = select.poll()
while not leaving:
    now = ticks_ms()
    client.handle(now)
    due = client.next_deadline(now)
    wait = 50 if due is None else min(50, max(0, ticks_diff(due, now)))
    stream = client.io_socket
    if stream is None:
        net.sleep(wait)
    else:
        stream = getattr(stream, "sock", stream)
        poll.register(stream, client.io_interest(now))
        poll.poll(wait)
        poll.unregister(stream)
net.finish(0)  # without a word to the broker
