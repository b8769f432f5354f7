"""Every reconciler, in the order of the data's way."""

from __future__ import annotations

from ringrift.control.reconcile import (
    alerts,
    backups,
    batches,
    drift,
    evaluation,
    ingest,
    leases,
    operations,
    quarantines,
    recovery,
    retention,
    rollouts,
    selfplay,
    spotchecks,
    staging,
    targets,
    training,
    tunnels,
)
from ringrift.control.reconcile.base import PROMPT, Reconciler

RECONCILERS = (
    Reconciler("leases", leases.step),
    Reconciler("selfplay", selfplay.step),
    Reconciler("ingest", ingest.step),
    Reconciler("training", training.step),
    Reconciler("evaluation tests", evaluation.register_step),
    Reconciler("evaluation blocks", evaluation.blocks_step),
    Reconciler("evaluation verdicts", evaluation.verdict_step),
    Reconciler("aliases", evaluation.aliases_step),
    Reconciler("batches", batches.step, PROMPT),
    Reconciler("spot checks", spotchecks.step),
    Reconciler("rollouts", rollouts.step, PROMPT),
    Reconciler("staging", staging.step),
    Reconciler("operations", operations.step, PROMPT),
    Reconciler("tunnels", tunnels.step),
    Reconciler("targets", targets.step, PROMPT),
    Reconciler("drift", drift.step),
    Reconciler("recovery", recovery.step),
    Reconciler("quarantines", quarantines.step),
    Reconciler("backups", backups.step),
    Reconciler("retention", retention.step),
    Reconciler("alerts", alerts.step),
)
