"""The fixtures of the controller's tests, on SQLite: what is asked here does not depend on the database."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from ringrift.control.store.engine import database_url
from tests.control.conftest import migrated_sqlite as migrated_sqlite
from tests.control.conftest import settings as settings
from tests.control.conftest import world as world


@pytest.fixture
def database(migrated_sqlite: Path, tmp_path: Path) -> URL:
    """An empty migrated database."""
    shutil.copy(migrated_sqlite, tmp_path / "ringrift.db")
    return database_url(tmp_path, None)
