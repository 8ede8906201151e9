#!/bin/bash
# Builds MicroPython's RPI_PICO (RP2040) firmware from Debian's own source packages, with smolmp
# frozen in, or as it is.
#
#   build_firmware.sh OUT.uf2 WORKDIR
#
# OUT.uf2   where the UF2 goes; next to it are written OUT.versions (what was built from what) and
#           OUT.symbols (the address of all that is in it).
# WORKDIR   the sources and the build, kept: a second run freezes anew what changed, in 20 s.
#
# Environment:
#   FREEZE       the manifest.py to freeze beside MicroPython's own modules, empty: none
#                                                           (default: ports/rp2/manifest.py)
#   MANIFEST     a manifest.py to freeze instead of all that
#   MPY_CROSS    the compiler for what is frozen, 1.28 or newer: older ones destroy the index of
#                viper's `pointer[index]` on Thumb (micropython issue 18800)
#   MP_SUITE     Debian suite of MicroPython's source               (default: trixie)
#   LIB_SUITE    suite of pico-sdk, tinyusb and mbedtls             (default: trixie)
#   JOBS         parallel make jobs                                 (default: nproc)
#
# Needs Debian, its mirror reachable by apt, and either root (missing build tools are apt-get
# installed) or the tools already there. The system's /etc/apt is not touched: a private apt
# configuration is written in WORKDIR, with the mirror of /etc/apt/sources.list.d/debian.sources.
set -Eeuo pipefail
export LC_ALL=C
umask 022

die() { printf 'build_firmware: %s\n' "$*" >&2; exit 1; }
say() { printf '== [%4ds] %s\n' "$SECONDS" "$*"; }
trap 'st=$?; printf "build_firmware: line %s failed (exit %s): %s\n" "$LINENO" "$st" "$BASH_COMMAND" >&2' ERR

[ $# -eq 2 ] || die "usage: $0 OUT.uf2 WORKDIR"
OUT=$(realpath -m -- "$1")
WORK=$(realpath -m -- "$2")
[[ $OUT == *.uf2 ]] || die "the output path must end in .uf2: $OUT"
ROOT=$(realpath -- "$(dirname -- "${BASH_SOURCE[0]}")/../..")
MP_SUITE=${MP_SUITE:-trixie}
LIB_SUITE=${LIB_SUITE:-trixie}
JOBS=${JOBS:-$(nproc)}
[ -x "${MPY_CROSS:-}" ] || die "MPY_CROSS must name mpy-cross 1.28 or newer"
MP=$WORK/micropython
READY=$WORK/.firmware-sources
mkdir -p -- "$(dirname -- "$OUT")"

if [ ! -e "$READY" ]; then
if [ -d "$WORK" ]; then
    # Only wipe what an earlier run of this script made.
    [ -e "$WORK/.firmware-workdir" ] || [ -z "$(ls -A -- "$WORK")" ] ||
        die "WORKDIR $WORK exists and is not one of this script's: refusing to wipe it"
    rm -rf -- "$WORK"
fi
mkdir -p -- "$WORK"
: > "$WORK/.firmware-workdir"

# --- 1. build tools (from the machine's own suite) ---------------------------------------------
need=()
for p in gcc:gcc make:make cmake:cmake python3:python3 xz:xz-utils bzip2:bzip2 \
         arm-none-eabi-gcc:gcc-arm-none-eabi; do
    command -v "${p%%:*}" >/dev/null || need+=("${p##*:}")
done
for p in libnewlib-arm-none-eabi libstdc++-arm-none-eabi-newlib libstdc++-arm-none-eabi-dev libc6-dev; do
    dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || need+=("$p")
done
if [ ${#need[@]} -gt 0 ]; then
    say "installing ${need[*]}"
    [ "$(id -u)" = 0 ] || die "not root, and these packages are missing: ${need[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -y --no-install-recommends "${need[@]}" > "$WORK/apt-install.log" 2>&1 ||
        { apt-get update > "$WORK/apt-install.log" 2>&1 &&
          apt-get install -y --no-install-recommends "${need[@]}" >> "$WORK/apt-install.log" 2>&1; } ||
        { tail -n 30 "$WORK/apt-install.log" >&2; die "apt-get install failed"; }
fi
arm-none-eabi-gcc --version >/dev/null || die "arm-none-eabi-gcc does not run"

# --- 2. a private apt that reaches the two suites ----------------------------------------------
SRC=/etc/apt/sources.list.d/debian.sources
[ -r "$SRC" ] || die "$SRC is not readable: cannot tell this machine's Debian mirror"
# The first URI of the first stanza that is not a security archive.
MIRROR=$(awk 'tolower($1)=="uris:" { for (i = 2; i <= NF; i++) if ($i !~ /security/) { print $i; exit } }' "$SRC")
[ -n "$MIRROR" ] || die "no URIs: line for the main archive in $SRC"
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
[ -r "$KEYRING" ] || die "$KEYRING is missing (package debian-archive-keyring)"

A=$WORK/apt
mkdir -p "$A/etc" "$A/lists/partial" "$A/cache/archives/partial" "$A/state"
: > "$A/state/status"
{
    for s in $(printf '%s\n' "$MP_SUITE" "$LIB_SUITE" | sort -u); do
        echo "deb-src [signed-by=$KEYRING] $MIRROR $s main"
    done
    echo "deb [signed-by=$KEYRING] $MIRROR $LIB_SUITE main"
} > "$A/etc/sources.list"
cat > "$A/apt.conf" <<CONF
Dir::Etc::SourceList "$A/etc/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Dir::State "$A/state";
Dir::State::Lists "$A/lists";
Dir::State::status "$A/state/status";
Dir::Cache "$A/cache";
APT::Sandbox::User "root";
APT::Get::List-Cleanup "false";
Acquire::Languages "none";
Acquire::Retries "3";
CONF
apt_() { APT_CONFIG="$A/apt.conf" apt-get -q "$@"; }

say "package lists ($(printf '%s\n' "$MP_SUITE" "$LIB_SUITE" | sort -u | paste -sd+))"
apt_ update > "$WORK/apt-update.log" 2>&1 || { cat "$WORK/apt-update.log" >&2; die "apt-get update failed"; }
! grep -qE '^(Err|E:)' "$WORK/apt-update.log" || { cat "$WORK/apt-update.log" >&2; die "apt-get update had errors"; }

say "sources"
D=$WORK/dl
mkdir -p "$D"
(
    cd "$D"
    apt_ source --download-only "micropython/$MP_SUITE"
    apt_ source --download-only "mbedtls/$LIB_SUITE"
    apt_ download "pico-sdk-source/$LIB_SUITE" "tinyusb-source/$LIB_SUITE"
) > "$WORK/apt-fetch.log" 2>&1 || { cat "$WORK/apt-fetch.log" >&2; die "fetching the sources failed"; }

one() { # the single file that matches, or die
    local f=("$@")
    [ ${#f[@]} -eq 1 ] && [ -f "${f[0]}" ] || die "expected exactly one file, got: ${f[*]}"
    printf '%s\n' "${f[0]}"
}
MP_ORIG=$(one "$D"/micropython_*.orig.tar.*[!c])
TLS_ORIG=$(one "$D"/mbedtls_*.orig.tar.*[!c])
SDK_DEB=$(one "$D"/pico-sdk-source_*.deb)
USB_DEB=$(one "$D"/tinyusb-source_*.deb)

# --- 3. the source tree ------------------------------------------------------------------------
say "unpacking"
MP=$WORK/micropython
mkdir -p "$MP" "$WORK/sdk" "$WORK/usb"
tar -xf "$MP_ORIG" --strip-components=1 -C "$MP"     # Debian's patches are for its unix build only
dpkg-deb -x "$SDK_DEB" "$WORK/sdk"
dpkg-deb -x "$USB_DEB" "$WORK/usb"
rm -rf "$MP/lib/pico-sdk" "$MP/lib/tinyusb" "$MP/lib/mbedtls"
mv "$WORK/sdk/usr/src/pico-sdk" "$MP/lib/pico-sdk"
mv "$WORK/usb/usr/src/tinyusb" "$MP/lib/tinyusb"
mkdir "$MP/lib/mbedtls"
tar -xf "$TLS_ORIG" --strip-components=1 -C "$MP/lib/mbedtls"
# micropython-lib is not in Debian; the build only insists on this file being there.
mkdir -p "$MP/lib/micropython-lib"
echo "stub: micropython-lib is not packaged in Debian" > "$MP/lib/micropython-lib/README.md"
for f in lib/pico-sdk/pico_sdk_init.cmake lib/tinyusb/src/tusb.h lib/mbedtls/library/ssl_tls.c \
         lib/littlefs/lfs2.c ports/rp2/boards/RPI_PICO/mpconfigboard.cmake tools/uf2conv.py; do
    [ -f "$MP/$f" ] || die "missing in the assembled tree: $f"
done
# Frozen native functions stand at even addresses, but the runtime reads words in front of them,
# which a Cortex-M0+ refuses there.
sed -i 's/__attribute__ ((aligned (2)))/__attribute__ ((aligned (4)))/' "$MP/tools/mpy-tool.py"
grep -q 'aligned (4)' "$MP/tools/mpy-tool.py" || die "mpy-tool.py changed: no alignment found"
: > "$READY"
fi

if [ -n "${MANIFEST:-}" ]; then
    MANIFEST=$(realpath -e -- "$MANIFEST")
else
    # boards/manifest.py without the four drivers it takes from micropython-lib
    # (onewire, ds18x20, dht, neopixel), and FREEZE.
    MANIFEST=$WORK/manifest.py
    cat > "$MANIFEST" <<PY
freeze("\$(PORT_DIR)/modules")
include("\$(MPY_DIR)/extmod/asyncio")
PY
    FREEZE=${FREEZE-$ROOT/ports/rp2/manifest.py}
    if [ -n "$FREEZE" ]; then
        echo "include(\"$(realpath -e -- "$FREEZE")\")" >> "$MANIFEST"
        # Names of modules that are made at run time, made beforehand: objects in flash have them.
        echo "def names():" > "$WORK/smolmp_names.py"
        (cd "$ROOT" && find smolmp ports/rp2 -name '*.py' | LC_ALL=C sort) |
            sed 's,\(/__init__\)\?\.py$,,; s,/,.,g; s,.*,    import & as module,' >> "$WORK/smolmp_names.py"
        echo "module(\"smolmp_names.py\", base_path=\"$WORK\", opt=3)" >> "$MANIFEST"
    fi
fi

# Firmware with smolmp has places for its objects (firmware/resident.c) and, so that there is room for
# the others, a smaller file system. Only one file of MicroPython's is compiled anew for that.
FLASH_C=$MP/ports/rp2/rp2_flash.c
grep -q smolmp_storage.h "$FLASH_C" || sed -i '/^#define BLOCK_SIZE_BYTES/i #include "smolmp_storage.h"' "$FLASH_C"
grep -q smolmp_storage.h "$FLASH_C" || die "rp2_flash.c changed: no BLOCK_SIZE_BYTES found"
STORAGE=$((1408 * 1024)) MODULES='' CHANGE=''
if [ -n "${FREEZE:-}" ]; then
    STORAGE=$((1280 * 1024)) MODULES=$ROOT/tools/rp2/firmware/micropython.cmake
    CHANGE="#undef MICROPY_HW_FLASH_STORAGE_BYTES
#define MICROPY_HW_FLASH_STORAGE_BYTES ($STORAGE)"
fi
echo "$CHANGE" | cmp -s - "${FLASH_C%/*}/smolmp_storage.h" || echo "$CHANGE" > "${FLASH_C%/*}/smolmp_storage.h"

ver() { awk -v k="$1" '$2 == k { print $3; exit }' "$MP/py/mpconfig.h"; }
MP_VERSION=$(ver MICROPY_VERSION_MAJOR).$(ver MICROPY_VERSION_MINOR).$(ver MICROPY_VERSION_MICRO)
# A date that belongs to the source, so that the same sources give the same bytes; and the version
# told outright, so that a git checkout above WORKDIR is never asked for its tags.
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(stat -c %Y "$MP/py/mpconfig.h")}
export MICROPY_GIT_TAG="v$MP_VERSION" MICROPY_GIT_HASH="debian"

# --- 4. build ------------------------------------------------------------------------------------
export MICROPY_MPYCROSS=$MPY_CROSS
unset PICO_SDK_PATH PICO_BOARD PICO_PLATFORM CFLAGS CXXFLAGS ASMFLAGS CPPFLAGS LDFLAGS CC CXX
run() { # run LOG cmd...
    local log=$WORK/$1; shift
    "$@" > "$log" 2>&1 || { tail -n 40 "$log" >&2; die "failed: $* (log: $log)"; }
}
say "configuring RPI_PICO"
B=$WORK/build
# CMake's cache holds absolute paths: a checkout that was moved or copied begins anew.
if ! grep -qsx "CMAKE_HOME_DIRECTORY:INTERNAL=$MP/ports/rp2" "$B/CMakeCache.txt"; then rm -rf "$B"; fi
# What is frozen is another thing each time, and make may not see it: written anew.
rm -f "$B/frozen_content.c"
# PICO_NO_PICOTOOL: SDK 2.x otherwise wants picotool (git fetch) just to write the UF2.
# -ffile-prefix-map: no WORKDIR path in the image or its debug information. It goes in through the
# environment, which CMake adds to the toolchain's own flags; -DCMAKE_C_FLAGS would replace those
# (and with them -mcpu=cortex-m0plus -mthumb).
MAP="-ffile-prefix-map=$WORK=."
CFLAGS=$MAP CXXFLAGS=$MAP ASMFLAGS=$MAP run cmake.log cmake -S "$MP/ports/rp2" -B "$B" \
    -DMICROPY_BOARD=RPI_PICO \
    -DMICROPY_BOARD_DIR="$MP/ports/rp2/boards/RPI_PICO" \
    -DMICROPY_FROZEN_MANIFEST="$MANIFEST" \
    -DUSER_C_MODULES="$MODULES" \
    -DPICO_NO_PICOTOOL=1
rm -f -- "$B/frozen_content.c"  # make does not look into manifests
say "building (make -j$JOBS)"
make -C "$B" -j"$JOBS" > "$WORK/make.log" 2>&1 || {
    { grep -m 6 -nE 'error:|Error [0-9]' "$WORK/make.log" | cut -c1-300 || true; } >&2
    die "the build failed (log: $WORK/make.log). MicroPython $MP_VERSION from $MP_SUITE may want another pico-sdk than
  $LIB_SUITE's. Known good: 1.25.0 (trixie) and 1.26.1 (sid) with pico-sdk 2.1.1 (trixie). Known bad:
  pico-sdk 2.2.0 (sid) with 1.26.1."
}
[ -s "$B/firmware.bin" ] || die "the build left no firmware.bin"
# The file system begins there, and nothing else would notice.
ROOM=$((2048 * 1024 - STORAGE))
SIZE=$(stat -c %s "$B/firmware.bin")
[ "$SIZE" -le "$ROOM" ] || die "the firmware, $SIZE octets, reaches into the flash's file system at $ROOM"
say "$SIZE octets of $ROOM"

# What tells this firmware from all others (firmware/resident.c).
if [ -n "$MODULES" ]; then
    AT=$(arm-none-eabi-nm "$B/firmware.elf" | awk '$3 == "smolmp_resident" { print $1 }')
    python3 - "$B/firmware.bin" "$((0x$AT - 0x10000000 + 8))" <<'PY'
import hashlib, sys
name, at = sys.argv[1], int(sys.argv[2])
octets = bytearray(open(name, "rb").read())
octets[at : at + 8] = hashlib.sha256(octets).digest()[:8]
open(name, "wb").write(octets)
PY
fi

# --- 5. UF2 ----------------------------------------------------------------------------------------
say "UF2"
run uf2.log python3 "$MP/tools/uf2conv.py" -c -b 0x10000000 -f RP2040 -o "$WORK/firmware.uf2" "$B/firmware.bin"
python3 - "$WORK/firmware.uf2" "$B/firmware.bin" <<'PY'
import struct, sys
uf2, ref = open(sys.argv[1], "rb").read(), open(sys.argv[2], "rb").read()
assert uf2 and len(uf2) % 512 == 0, "UF2 size"
img, n = bytearray(), len(uf2) // 512
for i in range(n):
    m0, m1, fl, addr, size, no, tot, fam = struct.unpack_from("<8I", uf2, 512 * i)
    assert (m0, m1) == (0x0A324655, 0x9E5D5157) and struct.unpack_from("<I", uf2, 512 * i + 508)[0] == 0x0AB16F30
    assert fl & 0x2000 and fam == 0xE48BFF56, "not the RP2040 family"
    assert (no, tot, addr) == (i, n, 0x10000000 + 256 * i) and size == 256
    img += uf2[512 * i + 32:512 * i + 32 + size]
assert img[:len(ref)] == ref and not any(img[len(ref):]), "payload differs from firmware.bin"
PY
install -m 644 "$WORK/firmware.uf2" "$OUT"
arm-none-eabi-nm "$B/firmware.elf" > "${OUT%.uf2}.symbols"
{
    echo "micropython $MP_VERSION board RPI_PICO"
    (cd "$WORK/dl" && printf '%s\n' *.orig.tar.*[!c] *.deb)
    echo "frozen by   $("$MPY_CROSS" --version)"
    echo "compiler    $(arm-none-eabi-gcc --version | head -n 1)"
    echo "cmake       $(cmake --version | head -n 1)"
    arm-none-eabi-size "$B/firmware.elf" 2>/dev/null || true
    (cd "$(dirname "$OUT")" && sha256sum "$(basename "$OUT")")
} > "${OUT%.uf2}.versions"
cat "${OUT%.uf2}.versions"
say "done: $OUT"
