"""Text of an inventory -> entries. YAML is read strictly: no key twice, no aliases, plain values only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml  # type: ignore[import-untyped]
from pydantic import BaseModel, TypeAdapter, ValidationError

from ringrift.control.domain.inventory_file import SECTIONS, VERSION, Credential, Entry, Word
from ringrift.errors import BadInput
from ringrift.protocol.types import Name

LARGEST = 4 << 20
"""Characters of a file."""
MOST_HOSTS = 10_000
_DEEPEST = 16
_LONGEST = 3000
"""Characters of one value: an RSA key of 16384 bits; and a number of so many can still be told."""
_MOST = 500_000
"""Events of the parser, one or two for each value."""


@dataclass(frozen=True)
class ReadEntry:
    """An entry by its name, or the errors that make it unusable, each naming its field."""

    name: str
    entry: Entry | None
    errors: tuple[str, ...] = ()


@dataclass(frozen=True)
class InventoryFile:
    """What a file says: entries in its order, and its credentials."""

    entries: tuple[ReadEntry, ...]
    credentials: Mapping[str, Credential]


class _Loader(yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader):  # type: ignore[misc]
    """Refuses a mapping that names a key twice, of which YAML would silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
                raise yaml.MarkedYAMLError(problem="a name must be text", problem_mark=key.start_mark)
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"{key.value[:80]!r} is there twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping


class _Dumper(yaml.CSafeDumper if yaml.__with_libyaml__ else yaml.SafeDumper):  # type: ignore[misc]
    """Writes values out where they are used, never as aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def read_inventory(text: str) -> InventoryFile:
    """Read a file; `BadInput` when it is none as a whole, errors by entry when only entries are wrong."""
    document = _document(text)
    unknown = sorted(set(document) - SECTIONS)
    if unknown:
        raise BadInput(f"inventory: unknown section {unknown[0][:80]!r}", hint=_one_of(sorted(SECTIONS)))
    if document.get("schema_version") is not VERSION:
        raise BadInput(f"inventory: schema_version must be {VERSION}", hint="begin with `schema_version: 1`")
    hosts = document.get("hosts")
    if not isinstance(hosts, dict) or not 0 < len(hosts) <= MOST_HOSTS:
        raise BadInput(f"inventory: `hosts` must name 1 to {MOST_HOSTS} hosts, each with its fields")
    credentials = _credentials(document.get("credentials") or {})
    return InventoryFile(tuple(_entry(name, hosts[name], credentials) for name in hosts), credentials)


def write_inventory(document: Mapping[str, Any]) -> str:
    """Return a document as text that `read_inventory` reads."""
    text: str = yaml.dump(dict(document), Dumper=_Dumper, sort_keys=False, width=100)
    return text


def _document(text: str) -> dict[str, Any]:
    if len(text) > LARGEST:
        raise BadInput(f"inventory: it has more than {LARGEST >> 20} MiB")
    try:
        _require_plain(text)
        document = yaml.load(text, Loader=_Loader)  # noqa: S506 - it is a safe loader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}: " if mark else ""
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or type(error).__name__
        raise BadInput(f"inventory: {place}{problem}", hint="it must be YAML") from None
    if not isinstance(document, dict):
        raise BadInput("inventory: it must be YAML with `schema_version` and `hosts`")
    return document


def _require_plain(text: str) -> None:
    """Refuse what would grow or take long when it is made into values."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=_Loader)):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent):
            raise BadInput("inventory: aliases (*name) are not allowed", hint="write the values out")
        long = isinstance(event, yaml.ScalarEvent) and len(event.value) > _LONGEST
        if long or depth > _DEEPEST or count > _MOST:
            what = f"a value of more than {_LONGEST} characters" if long else "too much in it"
            raise BadInput(f"inventory: line {event.start_mark.line + 1}: {what}", hint="it lists hosts only")


def _credentials(section: Any) -> dict[str, Credential]:
    try:
        return TypeAdapter(dict[Word, Credential]).validate_python(section, strict=True)
    except ValidationError as problem:
        first = next(_lines(problem))
        raise BadInput(f"inventory: credentials.{first}") from None


def _entry(name: str, value: Any, credentials: Mapping[str, Credential]) -> ReadEntry:
    errors: list[str] = []
    try:
        TypeAdapter(Name).validate_python(name)
    except ValidationError:
        errors.append(f"name: {name[:60]!r} is not allowed (lower-case letters, digits and inner dashes)")
    if not isinstance(value, dict):
        return ReadEntry(name, None, (*errors, "host: its fields are missing"))
    try:
        entry = Entry.model_validate(value)
    except ValidationError as problem:
        return ReadEntry(name, None, (*errors, *_lines(problem)))
    wanted = entry.ssh.credential
    if wanted is not None and wanted not in credentials:
        errors.append(f"ssh.credential: {wanted!r} is not in `credentials`, add it there")
    return ReadEntry(name, None if errors else entry, tuple(errors))


def _lines(problem: ValidationError) -> Iterator[str]:
    """Tell each wrong field on a line: where, what was given, what is allowed."""
    for error in problem.errors():
        where = ".".join(ascii(part)[1:-1] if isinstance(part, str) else str(part) for part in error["loc"])
        if error["type"] == "extra_forbidden":
            yield f"{where or 'host'}: there is no such field, remove it or mend its name"
        elif error["type"] == "missing":
            yield f"{where or 'host'}: it is missing"
        elif isinstance(error["input"], (dict, list, BaseModel)):
            yield f"{where or 'host'}: {error['msg'].removeprefix('Value error, ')}"
        else:
            told = error["msg"].removeprefix("Value error, ")
            yield f"{where or 'host'}: {ascii(error['input'])[:80]} is not allowed ({told})"


def _one_of(words: list[str]) -> str:
    return f"use {', '.join(words)}"
