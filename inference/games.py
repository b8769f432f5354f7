"""Games in progress: each stays on the model that it began with."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict

from inference.models import Model, ModelSet
from ringrift.game.config import GameConfig

MOST = 10_000
"""Games that are remembered; beyond that, those longest without a request go on with the present model."""


class Games:
    """The models of games in progress, by the ids in their positions. Known to this process only.

    Beside the present model of a config, the one before it is kept. When the present one is that again, the
    one in between was withdrawn, and its games go on with the present one.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._guard = threading.Lock()
        self._began: OrderedDict[bytes, str] = OrderedDict()
        self._present = ModelSet()
        self._former: dict[str, Model] = {}

    def follow(self, models: ModelSet) -> ModelSet:
        """Note what is served now, and return it. Call it as requests arrive, in their order."""
        with self._guard:
            before, self._present = self._present, models
            if models is not before:
                self._replace(before, models)
        return models

    def _replace(self, before: ModelSet, models: ModelSet) -> None:
        for key, model in before.models.items():
            new, former = models.models.get(key), self._former.get(key)
            if new is None or (former is not None and former.sha256 == new.sha256):
                self._former.pop(key, None)
            elif new.sha256 != model.sha256:
                self._former[key] = model

    def model(self, game: object, config: GameConfig, models: ModelSet) -> Model | None:
        """Return the model for a request that came while `models` were served, None where none is loaded.

        `game` is the position's id; without one the present model answers.
        """
        with self._guard:
            present = models.of(config)
            if present is None or not isinstance(game, str) or not game:
                return present
            # A digest: ids come from outside and may be long.
            name = hashlib.blake2b(f"{config.key} {game}".encode("utf-8", "surrogatepass"), digest_size=16)
            began = self._began.pop(name.digest(), present.sha256)
            former = self._former.get(config.key)
            model = former if former is not None and former.sha256 == began else present
            self._began[name.digest()] = model.sha256
            if len(self._began) > self._most:
                self._began.popitem(last=False)
            return model
