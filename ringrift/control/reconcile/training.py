"""Starts a training when the trigger rule says so: freezes the data set and queues its one job."""

from __future__ import annotations

from functools import partial

from sqlmodel import Session

from ringrift.control.domain.trigger import TrainingLimits, first_failed, training_conditions
from ringrift.control.reconcile.base import converge
from ringrift.control.reconcile.context import Context
from ringrift.control.settings import Settings, TrainingSettings
from ringrift.control.store import datasets, jobs, learning
from ringrift.control.store.tables import Model
from ringrift.protocol.jobs import Architecture, Recipe, TrainSpec


async def step(context: Context) -> bool:
    """Start the trainings whose conditions all hold."""
    settings = context.settings
    return await converge(
        "training.queue", context.store, partial(decide, settings), partial(apply, settings)
    )


def limits(settings: TrainingSettings) -> TrainingLimits:
    """Return the trigger's numbers."""
    return TrainingLimits(
        min_positions=settings.min_positions,
        max_data_age=settings.max_data_age,
        min_soft_target_share=settings.min_soft_target_share,
        max_fruitless=settings.max_fruitless,
    )


def decide(settings: Settings, session: Session) -> list[str]:
    """Return the configs to train now."""
    rule = limits(settings.training)
    facts = learning.training_facts(session, settings.training.max_data_age)
    return [key for key, found in facts.items() if first_failed(training_conditions(found, rule)) is None]


def apply(settings: Settings, session: Session, plan: list[str]) -> None:
    """Freeze each config's data set and queue its training, with every input resolved to a hash."""
    for config in plan:
        dataset = datasets.make_dataset(session, config, settings.training.window_positions)
        champion = learning.champions(session).get(config)
        parent = session.get(Model, champion.model) if champion else None
        spec = TrainSpec(
            config=config,
            dataset=dataset.sha256,
            shards=datasets.shards_of(session, dataset.sha256),
            parent=parent.sha256 if parent else None,
            architecture=_architecture(settings.training, parent),
            recipe=_recipe(settings.training),
            seed=int(dataset.sha256[:13], 16),
        )
        jobs.queue_job(session, spec, f"train:{dataset.sha256}")


def _architecture(settings: TrainingSettings, parent: Model | None) -> Architecture:
    """Return the parent's shape; only a model from scratch takes the settings' shape."""
    if parent is not None:
        return Architecture.model_validate(parent.architecture)
    return Architecture(blocks=settings.blocks, channels=settings.channels)


def _recipe(settings: TrainingSettings) -> Recipe:
    return Recipe(**{name: getattr(settings, name) for name in Recipe.model_fields})
