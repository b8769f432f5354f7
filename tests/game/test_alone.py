"""The rules could be published by themselves, with the error tree and its way to write a line."""

from __future__ import annotations

import sys

import grimp


def test_the_rules_import_numpy_numba_and_the_error_tree_only():
    graph = grimp.build_graph("ringrift", include_external_packages=True)
    rules = graph.find_descendants("ringrift.game")
    assert {"ringrift.game.legal", "ringrift.game.apply"} <= rules
    known = {found for module in rules for found in graph.find_modules_directly_imported_by(module)}
    others = known - rules - set(sys.stdlib_module_names)
    assert others == {"numpy", "numba", "ringrift.errors"}


def test_the_error_tree_needs_the_standard_library_only():
    graph = grimp.build_graph("ringrift", include_external_packages=True)
    known = graph.find_upstream_modules("ringrift.errors") - set(sys.stdlib_module_names)
    assert known == {"ringrift.text"}
