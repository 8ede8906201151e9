"""Freezes smolmp into a firmware for the RP2040, as FROZEN_MANIFEST or included from a board's own
manifest.py. Frozen code runs from flash: what it takes of the heap is its globals.

Optimized as -O3: no line numbers in tracebacks.
"""

package("smolmp", base_path="../..", opt=3)  # type: ignore[name-defined]
