"""Who may do what on the operators' API: four roles, each with the rights of those before it."""

from __future__ import annotations

from typing import Literal, get_args

Role = Literal["viewer", "operator", "promoter", "owner"]
"""`owner` is whoever can read `operator.token`; the others are given with `ringrift-ctl token new`."""

ROLES: tuple[Role, ...] = get_args(Role)

_MORE: dict[tuple[str, str], Role] = {
    ("POST", "/promotions"): "promoter",
    ("POST", "/rollback/{config}"): "promoter",
    # What the controller signs others trust, and what others signed plays for the championship here.
    ("POST", "/models"): "promoter",
    ("POST", "/models/{sha}/export"): "promoter",
    # A backup writes to any folder, and may take the keys along.
    ("POST", "/backups"): "owner",
    ("GET", "/tokens"): "owner",
    ("POST", "/tokens"): "owner",
    ("POST", "/tokens/{name}/revoke"): "owner",
}
"""Routes that need more than their method says."""


def least_role(method: str, path: str) -> Role:
    """Return the role that a route needs at least: a viewer reads, an operator changes, but for `_MORE`."""
    return _MORE.get((method, path), "viewer" if method == "GET" else "operator")


def covers(role: Role, least: Role) -> bool:
    """Tell whether `role` has the rights of `least`."""
    return ROLES.index(role) >= ROLES.index(least)
