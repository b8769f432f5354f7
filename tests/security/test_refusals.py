"""What the code must never do, searched for in all of it; each search is shown to find what it is for."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
ROOMS = ("ringrift", "hosts", "agents", "inference", "tui", "alembic")
Rule = Callable[[ast.Module], Iterator[ast.AST]]


@cache
def calls(tree: ast.AST) -> list[tuple[str, ast.Call]]:
    """Return every call with the dotted name of what is called."""
    return [(dotted(node.func), node) for node in ast.walk(tree) if isinstance(node, ast.Call)]


def dotted(node: ast.expr) -> str:
    """Return `a.b.c`; to unparse it takes ten times as long."""
    if isinstance(node, ast.Name):
        return node.id
    return f"{dotted(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else ast.unparse(node)


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((item.value for item in call.keywords if item.arg == name), None)


def texts(tree: ast.AST) -> Iterator[ast.Constant]:
    """Yield the strings that are no docstrings."""
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            yield node


def unknown_hosts(tree: ast.Module) -> Iterator[ast.AST]:
    """No host key is taken unseen."""
    for name, call in calls(tree):
        known = keyword(call, "known_hosts")
        if isinstance(known, ast.Constant) and known.value in (None, (), ""):
            yield call
        if name.endswith(("asyncssh.connect", "asyncssh.create_connection")) and known is None:
            yield call
    yield from (node for node in texts(tree) if "stricthostkeychecking" in node.value.lower())


def unsafe_loads(tree: ast.Module) -> Iterator[ast.AST]:
    """Files of others are read as data, never as programs."""
    for name, call in calls(tree):
        weights = keyword(call, "weights_only")
        if name == "torch.load" and not (isinstance(weights, ast.Constant) and weights.value is True):
            yield call
        if name.split(".")[0] in ("pickle", "marshal", "shelve", "dill") or name in ("eval", "exec"):
            yield call
        if name.startswith("yaml.") and "load" in name and not _strict(tree, call):
            yield call
        if name.endswith("np.load") and keyword(call, "allow_pickle") is not None:
            yield call


def _strict(tree: ast.Module, call: ast.Call) -> bool:
    """Tell whether YAML is read by a class of this module that makes no objects."""
    loader = keyword(call, "Loader") or (call.args[1] if len(call.args) > 1 else ast.Constant(None))
    own = (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    strict = {node.name for node in own if any("SafeLoader" in ast.unparse(base) for base in node.bases)}
    return ast.unparse(loader) in strict


def shells(tree: ast.Module) -> Iterator[ast.AST]:
    """Programs are started with lists of words; no shell of this machine reads a text of ours."""
    started = ("run", "Popen", "check_call", "check_output", "call")
    for name, call in calls(tree):
        shell, last = keyword(call, "shell"), name.rpartition(".")[2]
        if shell is not None and not (isinstance(shell, ast.Constant) and shell.value is False):
            yield call
        if name in ("os.system", "os.popen") or last in ("create_subprocess_shell", "getoutput"):
            yield call
        first = call.args[0] if call.args else None
        text = isinstance(first, ast.JoinedStr) or (
            isinstance(first, ast.Constant) and isinstance(first.value, str)
        )
        if name.startswith("subprocess.") and last in started and text:
            yield call


def kills_by_name(tree: ast.Module) -> Iterator[ast.AST]:
    """Processes are stopped by recorded id and start time."""
    for node in texts(tree):
        if any(word in ("pkill", "killall", "pgrep", "skill") for word in node.value.split()):
            yield node


def awaits_in_sessions(tree: ast.Module) -> Iterator[ast.AST]:
    """A unit of work is a plain function: nothing is awaited while a transaction is open."""
    for node in ast.walk(tree):
        given = node.args.args if isinstance(node, ast.AsyncFunctionDef) else ()
        if any(arg.annotation and ast.unparse(arg.annotation) == "Session" for arg in given):
            yield node
        if isinstance(node, ast.With | ast.AsyncWith):
            held = any(ast.unparse(item.context_expr).startswith("Session(") for item in node.items)
            yield from (inner for inner in ast.walk(node) if held and isinstance(inner, ast.Await))


def local_clocks(tree: ast.Module) -> Iterator[ast.AST]:
    """Nothing in the store or the decisions asks the clock of this machine."""
    asked = ("time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "datetime.datetime.now")
    yield from (call for name, call in calls(tree) if name in asked)


def hashed_paths(tree: ast.Module) -> Iterator[ast.AST]:
    """A key in the artifact store is made of a name that `key_of` has checked."""
    for node in ast.walk(tree):
        joined = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)
        if joined and ast.unparse(node.right) in ("sha256", "digest", "name"):
            yield node


RULES: dict[str, tuple[Rule, tuple[str, ...], tuple[str, ...]]] = {
    "host keys": (
        unknown_hosts,
        ROOMS,
        ("asyncssh.connect(h, known_hosts=None)", "asyncssh.connect(h)",
         "a = ['-oStrictHostKeyChecking=no']"),
    ),
    "loads": (
        unsafe_loads,
        ROOMS,
        ("torch.load(f)", "torch.load(f, weights_only=False)", "pickle.loads(x)", "eval(x)",
         "yaml.load(x)", "yaml.load(x, Loader=yaml.Loader)",
         "np.load(f, allow_pickle=True)"),
    ),
    "shells": (
        shells,
        ROOMS,
        ("subprocess.run(x, shell=True)", "subprocess.run(f'ls {x}')", "os.system(x)",
         "subprocess.Popen('ls')",
         "asyncio.create_subprocess_shell(x)"),
    ),
    "kills": (kills_by_name, ROOMS, ("run(['pkill', '-f', x])", "a = 'killall sshd'")),
    "awaits": (
        awaits_in_sessions,
        ("ringrift/control",),
        ("async def f(s: Session): ...", "async def f():\n with Session(e) as s:\n  await g()"),
    ),
    "clocks": (
        local_clocks,
        ("ringrift/control/store", "ringrift/control/domain", "ringrift/control/api"),
        ("a = time.time()", "datetime.now(UTC)"),
    ),
    "paths": (hashed_paths, ("ringrift/control/api",), ("p = folder / sha256",)),
}  # fmt: skip


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_bytes())


def sources(rooms: tuple[str, ...]) -> Iterator[tuple[Path, ast.Module]]:
    for room in rooms:
        for path in sorted((REPOSITORY / room).rglob("*.py")):
            yield path.relative_to(REPOSITORY), parsed(path)


@pytest.mark.parametrize("name", RULES)
def test_the_code_does_not_do_what_it_must_not(name: str) -> None:
    rule, rooms, _ = RULES[name]
    files = list(sources(rooms))
    faults = [f"{path}:{getattr(node, 'lineno', 0)}" for path, tree in files for node in rule(tree)]
    assert len(files) > 3 and not faults, rule.__doc__


@pytest.mark.parametrize(("name", "bad"), [(name, bad) for name, rule in RULES.items() for bad in rule[2]])
def test_each_search_finds_what_it_is_for(name: str, bad: str) -> None:
    assert list(RULES[name][0](ast.parse(bad)))


def test_ssh_is_opened_in_one_place_and_weights_are_read_after_their_hash_was_checked() -> None:
    found: dict[str, set[str]] = {}
    for path, tree in sources(ROOMS):
        for name, _ in calls(tree):
            if name in ("asyncssh.connect", "torch.load"):
                found.setdefault(name, set()).add(str(path))
    assert found["asyncssh.connect"] == {"hosts/connection.py"}
    assert found["torch.load"] == {"ringrift/nets/checkpoint.py"}
    lines = (REPOSITORY / "ringrift/nets/checkpoint.py").read_text().splitlines()
    load = next(number for number, line in enumerate(lines) if line.startswith("def load_checkpoint"))
    body = "\n".join(lines[load : load + 30])
    assert 0 < body.index("digest != expected_sha256") < body.index("_parse(data")
