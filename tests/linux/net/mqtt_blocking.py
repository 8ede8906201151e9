"""mqtt_blocking.py THIRD_PARTY BROKER: umqtt, which blocks, as its authors wrote it."""

import sys

sys.path.insert(1, (sys.path[0] or ".") + "/../../..")
sys.path.append(sys.argv[1])

from ports.unix.tuntap import Tap
from smolmp.net import Net

# Two connections, and it leaves open what broke: the third one is the first again.
net = Net(Tap("tap0"), "192.168.69.1/24", hosts={"broker": sys.argv[2]}, tcp=2).install()

from mha.umqtt import MQTTClient  # noqa: E402


def heard(topic, message):
    print("heard", topic.decode(), message.decode())


MQTTClient.DELAY = 0.1  # s between attempts to connect
client = MQTTClient("blocking", "broker", keepalive=1)
client.set_callback(heard)
client.set_last_will(b"state", b"gone", retain=True, qos=1)
client.connect(False)  # a session that outlives the broker
client.subscribe(b"to/#", 1)
client.publish(b"state", b"here", retain=True)
client.publish(b"from/blocking", b"at most once")
client.publish(b"from/blocking", b"x" * 5000)
client.publish(b"from/blocking", b"at least once", qos=1)
print("ready")
n = 0
while True:
    n += 1
    if n % 5 == 0:
        client.ping()
    if client.check_msg() is None:
        net.sleep(100)
