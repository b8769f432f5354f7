"""Strict reading of JSON objects: every surprise is a `BadInput` that names the field."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from ringrift.errors import BadInput


@cache
def snake_case(name: str) -> str:
    """Return `currentPlayer` as `current_player`."""
    return re.sub(r"[A-Z]", lambda letter: "_" + letter[0].lower(), name)


def shown(value: object) -> str:
    """Return a value for an error message, shortened."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # integers beyond the digit limit, endless nesting
        text = type(value).__name__
    return text if len(text) <= 60 else text[:57] + "..."


class Fields:
    """A JSON object and its place in the document; names in camelCase or snake_case; null is absence."""

    def __init__(self, value: object, path: str) -> None:
        if not isinstance(value, dict):
            raise BadInput(f"{path or 'state'}: expected an object, found {shown(value)}")
        self.value: dict[str, Any] = value
        self.path = path

    def at(self, name: str) -> str:
        """Return the path of a field."""
        return f"{self.path}.{name}" if self.path else name

    def wrong(self, name: str, problem: str) -> BadInput:
        """Return the error to raise about a field."""
        return BadInput(f"{self.at(name)}: {problem}")

    def get(self, name: str) -> Any:
        """Return the raw value, None when absent."""
        value, other = self.value.get(name), self.value.get(snake_case(name))
        if value is None or other is None:
            return other if value is None else value
        if value is not other and (isinstance(value, dict | list) or value != other):
            raise self.wrong(name, f"{shown(value)}, but {snake_case(name)} is {shown(other)}")
        return value

    def has(self, name: str) -> bool:
        return self.get(name) is not None

    def _required(self, name: str) -> Any:
        value = self.get(name)
        if value is None:
            raise self.wrong(name, "missing")
        return value

    def integer(self, name: str, low: int, high: int) -> int:
        value = self._required(name)
        if type(value) is not int:
            raise self.wrong(name, f"expected an integer, found {shown(value)}")
        if not low <= value <= high:
            raise self.wrong(name, f"{shown(value)} is not in {low}..{high}")
        return value

    def choice(self, name: str, known: tuple[str, ...]) -> str:
        value = self._required(name)
        if not isinstance(value, str) or value not in known:
            raise self.wrong(name, f"{shown(value)} is not one of {', '.join(known)}")
        return value

    def text(self, name: str) -> str:
        value = self._required(name)
        if not isinstance(value, str):
            raise self.wrong(name, f"expected text, found {shown(value)}")
        return value

    def flag(self, name: str) -> bool:
        """Return a boolean, False when absent."""
        value = self.get(name)
        if value is None:
            return False
        if not isinstance(value, bool):
            raise self.wrong(name, f"expected true or false, found {shown(value)}")
        return value

    def object(self, name: str) -> Fields:
        return Fields(self._required(name), self.at(name))

    def optional_object(self, name: str) -> Fields:
        """Return an object, an empty one when absent."""
        return self.object(name) if self.has(name) else Fields({}, self.at(name))

    def array(self, name: str) -> list[Any]:
        value = self._required(name)
        if not isinstance(value, list):
            raise self.wrong(name, f"expected an array, found {shown(value)}")
        return value

    def optional_array(self, name: str) -> list[Any]:
        """Return an array, an empty one when absent."""
        return self.array(name) if self.has(name) else []

    def entries(self, name: str) -> list[Fields]:
        """Return an optional array of objects."""
        return [Fields(value, f"{self.at(name)}[{n}]") for n, value in enumerate(self.optional_array(name))]
