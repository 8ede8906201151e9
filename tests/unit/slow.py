"""How often a test that draws lots draws them where Python is slow: on a board, in the shim."""

import sys

BOARD = sys.platform in ("rp2", "esp32")
_PART = 6 if BOARD else 3 if sys.implementation.name == "cpython" else 1


def rounds(n):
    """n on the unix port; a part of it, and at least one, elsewhere."""
    return max(n // _PART, 1)
