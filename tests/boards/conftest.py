"""Tests that need an emulated Pico are left out, and said to be, where it is not set up: setting
it up takes minutes and, once, root."""

from boards import emulated
from boards.emulated import picos  # noqa: F401


def pytest_collection_modifyitems(config, items):
    why = emulated.missing()
    if not why:
        return
    left_out = [item for item in items if "picos" in getattr(item, "fixturenames", ())]
    if left_out:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)
        print(f"TARGET MISSING: emulated Pico, {len(left_out)} tests left out: {why}")
