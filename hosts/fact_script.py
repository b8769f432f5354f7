"""The one script that looks at a host: POSIX sh for the system, `hosts/probe.py` for what needs Python.

`sh -s -- NONCE ROOT PYTHON QUESTION PROBE`, with the script on stdin. It prints `name=value` lines between
two marker lines that hold the nonce, so that what a login shell prints around them is not taken for a fact.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

BEGIN = "ringrift-facts-begin"
END = "ringrift-facts-end"


@cache
def probe() -> str:
    """Return the text of the Python part."""
    return Path(__file__).with_name("probe.py").read_text(encoding="utf-8")


SCRIPT = r"""set -u
export LC_ALL=C
nonce=$1 root=$2 python=$3 question=$4 probe=$5
say() { printf '%s=' "$1"; printf '%s' "$2" | tr '\000-\037' ' '; printf '\n'; }
case $root in
  '~') root=$HOME ;;
  '~/'*) root=$HOME/${root#'~/'} ;;
esac
uid=$(id -u)
printf '\nringrift-facts-begin %s\n' "$nonce"
say os "$(uname -s)"
say arch "$(uname -m)"
say user "$(id -un)"
say uid "$uid"
say home "$HOME"
say root "$root"
above=$root
while [ ! -d "$above" ]; do above=$(dirname -- "$above"); done
say disk_free_kib "$(df -Pk -- "$above" | awk 'NR == 2 { print $4 }')"
if [ -w "$above" ]; then say writable yes; else say writable no; fi
systemd=none
if [ -d /run/systemd/system ] && command -v systemctl >/dev/null 2>&1; then
  if [ "$uid" = 0 ]; then
    systemd=system
  elif [ -e "/var/lib/systemd/linger/$(id -un)" ]; then
    XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-/run/user/$uid}
    export XDG_RUNTIME_DIR
    systemctl --user show-environment >/dev/null 2>&1 && systemd=user
  fi
fi
say systemd "$systemd"
look() { seen=$("$1" -I -c "$probe" "$question" "$root" "$systemd" </dev/null 2>/dev/null); }
named=no
own=no
base=
venv=no
seen=
if [ -n "$python" ]; then
  look "$python" && named=yes
elif look "$root/env/bin/python"; then
  own=yes
else
  for candidate in python3.13 python3.12 python3.11 python3 python; do
    found=$(command -v "$candidate" 2>/dev/null) || continue
    if look "$found"; then base=$found; break; fi
  done
  if [ -n "$base" ] && "$base" -I -c 'import venv, ensurepip' </dev/null >/dev/null 2>&1; then venv=yes; fi
fi
say base_python "$base"
say base_venv "$venv"
say own_python "$own"
say named_python "$named"
say probe "$seen"
printf 'ringrift-facts-end %s\n' "$nonce"
"""
