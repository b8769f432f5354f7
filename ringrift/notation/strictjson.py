"""JSON as its standard has it: finite numbers only, and no name twice in one object (RFC 8259)."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from ringrift.notation.fields import shown


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        _no_number(text[:60])
    return value


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{shown(name)} stands twice in one object")
        found[name] = value
    return found


_decode = json.JSONDecoder(
    object_pairs_hook=_unique_names, parse_constant=_no_number, parse_float=_finite
).decode


def read_json(text: bytes) -> Any:
    """Parse UTF-8; raise `ValueError` with one short line for anything else."""
    try:
        return _decode(text.decode("utf-8"))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg} at character {error.pos + 1}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"no UTF-8 at byte {error.start + 1}") from None
