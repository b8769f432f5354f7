"""The one script that looks at a host: POSIX sh finds an interpreter, `hosts/probe.py` does the looking.

`sh -s -- NONCE ROOT PYTHON QUESTION PROBE`, with the script on stdin. It prints `name=value` lines between
two marker lines that hold the nonce, so that what a login shell prints around them is not taken for a fact.
Only a host without a Python >= 3.11 is described by the shell itself, and then just enough to say so.
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
export LC_ALL=C PATH="$PATH:/usr/local/bin:/opt/homebrew/bin"
nonce=$1 root=$2 python=$3 question=$4 probe=$5
case $root in
  '~') root=$HOME ;;
  '~/'*) root=$HOME/${root#'~/'} ;;
esac
look() { "$1" -I -c "$probe" "$question" "$root" "$2" </dev/null 2>/dev/null; }
say() { printf '%s=' "$1"; printf '%s' "$2" | tr '\000-\037' ' '; printf '\n'; }
find() {
  if [ -n "$python" ]; then look "$python" named; return; fi
  look "$root/env/bin/python" own && return
  for candidate in python3.13 python3.12 python3.11 python3 python; do
    found=$(command -v "$candidate" 2>/dev/null) && look "$found" base && return
  done
  return 1
}
printf '\nringrift-facts-begin %s\n' "$nonce"
if ! find; then
  say os "$(uname -s)"
  say arch "$(uname -m)"
  say user "$(id -un)"
  say uid "$(id -u)"
  say home "$HOME"
  say root "$root"
fi
printf 'ringrift-facts-end %s\n' "$nonce"
"""
