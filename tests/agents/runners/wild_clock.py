"""The agent on a host whose date jumps by years between any two looks at it."""

from __future__ import annotations

import itertools
import sys
import time

_YEARS = itertools.cycle([0, 40 * 365 * 86_400, -30 * 365 * 86_400])
_truth = time.time
time.time = lambda: _truth() + next(_YEARS)

from agents.__main__ import main  # noqa: E402

sys.exit(main(sys.argv[1:]))
