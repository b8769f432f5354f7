"""Where a model comes from: its parents here, or the controller that signed it."""

from __future__ import annotations

from ringrift.protocol.types import Reply


class AncestorView(Reply):
    """A model in a chain of parents; `generation` is the newest one that it was champion of, if any."""

    model: str
    state: str
    generation: int | None
    imported: bool = False


class OriginView(Reply):
    """Where an imported model comes from: who signed it, and what that says of it."""

    signer: str
    """The key's id: 16 hex digits of its SHA-256."""
    parent: str | None
    dataset: str | None
    generation: int
    """That it was champion of there; 0 for none."""
    evaluation: str | None
