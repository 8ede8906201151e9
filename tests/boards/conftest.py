"""The emulated Picos of this room. Where they are not set up (that takes minutes and, once, root),
the tests that ask for one are skipped, and say so."""

from boards.emulated import picos  # noqa: F401
