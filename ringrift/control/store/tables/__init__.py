"""Every table of the store. All times are seconds since 1970 by the database's clock."""

from ringrift.control.store.tables.fleet import Agent, EnrolmentToken, Host, HostStateRow
from ringrift.control.store.tables.learning import (
    Alias,
    ConfigRow,
    Dataset,
    DatasetShard,
    Evaluation,
    EvaluationBlock,
    Game,
    Model,
    Promotion,
    Shard,
)
from ringrift.control.store.tables.production import Deployment, Operation, OperationStep, ServingRow, Target
from ringrift.control.store.tables.record import Event, Setting
from ringrift.control.store.tables.work import Artifact, Assignment, Job, Result

__all__ = [
    "Agent",
    "Alias",
    "Artifact",
    "Assignment",
    "ConfigRow",
    "Dataset",
    "DatasetShard",
    "Deployment",
    "EnrolmentToken",
    "Evaluation",
    "EvaluationBlock",
    "Event",
    "Game",
    "Host",
    "HostStateRow",
    "Job",
    "Model",
    "Operation",
    "OperationStep",
    "Promotion",
    "Result",
    "ServingRow",
    "Setting",
    "Shard",
    "Target",
]
