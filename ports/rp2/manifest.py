"""Freezes smolmp and this port into a firmware for the RP2040 or RP2350: as FROZEN_MANIFEST, or
included from a board's own manifest.py. Frozen code runs from flash: what it takes of the heap is
its globals.

Optimized as -O3: no line numbers in tracebacks.
"""

import os

package("smolmp", base_path="../..", opt=3)  # type: ignore[name-defined]
# What reads a manifest does so in the manifest's own folder. Frozen code is in place already.
others = ("manifest.py", "main.py", "inplace.py", "inplace_file.py")
modules = sorted(f for f in os.listdir() if f.endswith(".py"))
modules = [f"rp2/{f}" for f in modules if f not in others]
package("ports", files=modules, base_path="../..", opt=3)  # type: ignore[name-defined]
