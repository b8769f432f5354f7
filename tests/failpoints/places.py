"""Finds in the source what can be killed at: the names of commits and side effects, and what has none."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("ringrift/control", "hosts", "ringrift/cli")
"""Rooms whose code runs in the controller's process, or beside it on its home."""
APART = ("ringrift/control/bench", "ringrift/cli/demo", "ringrift/cli/boards")
"""Measures, demonstrates and plays with throw-away state; nothing of it is in a controller."""

COMMITS = ("write", "submit")
"""Methods of the store whose first argument is a name."""
_BY_MODULE = {
    "os": {"replace", "rename", "unlink", "write", "fsync", "remove", "link", "truncate", "ftruncate"},
    "shutil": {"rmtree", "move", "copyfile", "copyfileobj"},
    "httpx": {"post", "put", "request", "AsyncClient"},
    "urllib.request": {"urlopen"},
}
_FILES = {"replace", "rename", "unlink", "rmdir", "write_bytes", "write_text"}
_HOSTS = {"provision", "restart_agent", "deploy", "stage", "check", "execute", "upload"}
"""Methods of the fleet, and of a connection to a host, that change the host."""


@dataclass(frozen=True)
class Place:
    """One named place: where its name stands in the source, and whether a transaction commits there."""

    name: str
    where: str
    commit: bool


@dataclass(frozen=True)
class Effect:
    """A call that changes something outside the store: `module.py:function` and what it calls."""

    where: str
    call: str
    line: int


def modules(*rooms: str) -> Iterator[tuple[str, ast.Module]]:
    """Yield the path and the tree of every module of some rooms."""
    for room in rooms:
        for path in sorted((ROOT / room).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if not name.startswith(APART):
                yield name, _parsed(path)


@cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def places(*rooms: str) -> list[Place]:
    """Return every named place; one whose name is no literal has the name `?`."""
    found = []
    for module, tree in modules(*(rooms or ROOMS)):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and (kind := _kind(node)) is not None:
                name = _literal(node.args[0]) if node.args else "?"
                found.append(Place(name, f"{module}:{node.lineno}", kind == "commit"))
    return found


def names() -> list[str]:
    """Return every name once, sorted."""
    return sorted({place.name for place in places() if place.name != "?"})


def _kind(call: ast.Call) -> str | None:
    target = call.func
    if isinstance(target, ast.Name):
        return {"converge": "commit", "side_effect": "effect"}.get(target.id)
    if isinstance(target, ast.Attribute) and target.attr in COMMITS and _is_store(target.value):
        return "commit"
    return None


def _is_store(node: ast.expr) -> bool:
    return (isinstance(node, ast.Name) and node.id == "store") or (
        isinstance(node, ast.Attribute) and node.attr == "store"
    )


def _literal(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else "?"


def effects(*rooms: str) -> list[Effect]:
    """Return every call that changes something outside the store and stands in no `side_effect`."""
    found: list[Effect] = []
    for module, tree in modules(*rooms):
        _Finder(module, found).visit(tree)
    return found


class _Finder(ast.NodeVisitor):
    """Walks a module and keeps in mind in which function, and whether inside a side effect, it is."""

    def __init__(self, module: str, found: list[Effect]) -> None:
        self._module, self._found = module, found
        self._function, self._inside = "", 0

    def _visit_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        outer, self._function = self._function, node.name
        self.generic_visit(node)
        self._function = outer

    visit_FunctionDef = visit_AsyncFunctionDef = _visit_function

    def visit_With(self, node: ast.With) -> None:
        marked = any(_is_side_effect(item.context_expr) for item in node.items)
        self._inside += marked
        self.generic_visit(node)
        self._inside -= marked

    def visit_Call(self, node: ast.Call) -> None:
        # What is handed to a thread is called there.
        for part in (node.func, *node.args):
            if not self._inside and (what := _effect(part, node)):
                self._found.append(Effect(f"{self._module}:{self._function}", what, node.lineno))
        self.generic_visit(node)


def _is_side_effect(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "side_effect"


def _effect(part: ast.expr, call: ast.Call) -> str:
    """Return what a call changes, as `object.method`; empty when it is nothing that we know."""
    if not isinstance(part, ast.Attribute):
        return ""
    owner, method = ast.unparse(part.value), part.attr
    if owner in _BY_MODULE:
        known = method in _BY_MODULE[owner]
    elif method == "replace":
        # Of a text it takes two arguments, of a path one.
        known = len(call.args) == 1 and not call.keywords
    else:
        last = owner.rpartition(".")[2]
        known = method in _FILES or (method in _HOSTS and last in ("fleet", "remote", "_remote", "files"))
    return f"{owner}.{method}" if known else ""
