"""Tells an MQTT broker what it measures. The client: `mpremote mip install umqtt.simple`."""

import gc

import board

from smolmp.net import Net

net = Net(board.ethernet(), hostname="pico", tcp=4, udp=2, rx=1024, tx=1024).install()
net.wait_up()

from umqtt.simple import MQTTClient  # noqa: E402

seconds = 10  # between measurements


def told(topic, message):
    global seconds
    seconds = int(message)


client = MQTTClient(net.hostname, "broker.lan", keepalive=60)
client.set_callback(told)
client.set_last_will(b"pico/state", b"gone", retain=True)  # says the broker when we don't
while True:
    try:
        client.connect()
        client.publish(b"pico/state", b"here", retain=True)
        client.subscribe(b"pico/seconds")
        tenths = 0
        while True:
            if tenths % (10 * seconds) == 0:
                client.publish(b"pico/free", b"%d" % gc.mem_free())
            net.sleep(100)  # as time.sleep_ms(), but the stack lives on
            client.check_msg()
            tenths += 1
    except OSError as error:
        print("the broker is away:", error)
        client.sock.close()
        net.sleep(1000)
