"""The name of a data set."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ringrift.errors import BadInput, UnknownConfig
from ringrift.learning.dataset_id import dataset_sha, dataset_shards

A, B = "a" * 64, "b" * 64


def test_the_name_does_not_depend_on_the_order_of_shards():
    assert dataset_sha("hex8_2p", [A, B]) == dataset_sha("hex8_2p", [B, A])


def test_the_name_depends_on_config_and_on_every_shard():
    names = {dataset_sha("hex8_2p", [A]), dataset_sha("hex8_2p", [A, B]), dataset_sha("hex8_3p", [A])}
    assert len(names) == 3


def test_the_name_of_a_given_set_never_changes():
    expected = "112085674124b5610d0d9001786ac3cd16a52e796479cc89121487f696c954ba"
    assert dataset_sha("square8_2p", [A, B]) == expected


@pytest.mark.parametrize("shards", [[], [A, A], [A.upper()], ["a" * 63], ["../" + "a" * 61]])
def test_shards_that_are_no_set_of_hashes_are_refused(shards):
    with pytest.raises(BadInput):
        dataset_shards(shards)


def test_an_unknown_config_is_refused():
    with pytest.raises(UnknownConfig):
        dataset_sha("hex9_2p", [A])


def test_the_controller_can_name_data_sets_and_decide_tests_without_numpy():
    code = (
        "import sys, ringrift.learning.dataset_id, ringrift.learning.sprt;"
        "sys.exit(any(name in sys.modules for name in ('numpy', 'numba', 'torch', 'pydantic')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
