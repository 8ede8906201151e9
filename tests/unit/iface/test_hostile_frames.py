"""100,000 random and mutated frames: no exception, no hang, no heap growth, no canary touched.

Seven worlds (hostile_support.WORLDS: Ethernet and IP, MTUs from 100 to 1500, checksums verified
or left to the device, any_ip), each with TCP sockets in all states, UDP, ICMP and raw ones, a
program that uses them and a clock that wraps. Every poll runs with the heap locked.
"""

# targets: unix64 unix32 unix64-wheel
# timeout: 300
import gc

from hostile_support import WORLDS, World

from smolmp.prng import Random

FRAMES = 20000
BATCH = 50


def attack(number, seed, frames=FRAMES):
    world = World(Random(seed), **WORLDS[number])
    batches(world, 1000)
    before = used()
    batches(world, frames)
    after = used()
    # The collector is conservative: a stale word on the C stack may keep an object alive. One
    # block lost per frame would be 320,000 octets.
    assert after < before + 1024, "the heap grew from %d to %d octets" % (before, after)
    world.alive()
    assert min(world.generator.aimed[2:]) >= 5, world.generator.aimed
    print("%d frames in, %d out" % (world.frames, world.device.sent))
    print(world.generator.aimed)
    print(world.iface)
    return world


def batches(world, frames):
    below = world.below
    for _ in range(frames // BATCH):
        for i in range(BATCH):
            world.tick()
            world.frame()
            if i & 3 == 3:
                world.user()
            if i % 10 == 9:
                world.time()
        if below(2):
            world.settle()
        else:
            world.wake()
        world.check()


def used():
    gc.collect()
    gc.collect()
    return gc.mem_alloc()


def test_ethernet():
    attack(0, 101)


def test_ip_with_a_raw_socket_for_everything():
    attack(1, 202)


def test_small_mtu_and_few_neighbors():
    attack(2, 303)


def test_checksums_left_to_the_device():
    attack(3, 404)


def test_any_ip_without_checksums():
    attack(4, 505)


def test_tiny_mtu():
    attack(5, 606)


def test_any_ip_on_ethernet():
    attack(6, 707)
