"""What an agent measures of its host: told when it can be true, left out when not."""

from __future__ import annotations

import subprocess

import pytest

from agents import telemetry
from agents.numerics import numeric_class
from agents.rates import Rates

MIB = 1 << 20


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (
            "NVIDIA GeForce RTX 4090, 37, 1024, 24564\n",
            {
                "gpu": "NVIDIA GeForce RTX 4090",
                "gpu_percent": 37.0,
                "gpu_memory_used": 1024 * MIB,
                "gpu_memory_total": 24564 * MIB,
            },
        ),
        ("NVIDIA GB10, 5, [N/A], [N/A]\n", {"gpu": "NVIDIA GB10", "gpu_percent": 5.0}),
        ("Tesla, [N/A], 900, 800\n", {"gpu": "Tesla"}),
        ("No devices were found\n", {}),
        ("", {}),
    ],
)
def test_a_driver_is_believed_only_what_can_be_true(line, found):
    assert telemetry.parse_gpu(line) == found


def test_a_driver_that_hangs_tells_nothing(monkeypatch, tmp_path):
    def hang(command, timeout, **_):
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(telemetry.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(telemetry.subprocess, "run", hang)
    monkeypatch.setattr(telemetry, "_gpu_by_library", dict)
    measured = telemetry.measure(tmp_path)
    assert measured.gpu is None and measured.gpu_percent is None
    assert measured.disk_total > 0


def test_the_numeric_class_names_the_processor_and_every_library_that_computes():
    words = numeric_class().split()
    assert [word.partition("-")[0] for word in words[3:]] == [
        "torch",
        "numpy",
        "numba",
        "llvmlite",
        "threads",
    ]
    assert numeric_class() is numeric_class()


def test_a_rate_moves_towards_what_is_measured_and_is_kept_by_kind_and_config():
    rates = Rates()
    rates.note("selfplay", "hex8_2p", 10, 60.0)
    rates.note("train", "hex8_2p", 100, 60.0)
    rates.note("selfplay", "hex8_2p", 1, 0.0)
    rates.note("selfplay", "hex8_2p", -5, 10.0)
    assert {(rate.kind, rate.per_hour) for rate in rates.told()} == {("selfplay", 600.0), ("train", 6000.0)}
    for _ in range(100):
        rates.note("selfplay", "hex8_2p", 5, 60.0)
    (selfplay,) = [rate for rate in rates.told() if rate.kind == "selfplay"]
    assert selfplay.per_hour == pytest.approx(300.0, rel=0.01)


def test_no_more_rates_are_told_than_a_beat_may_carry():
    rates = Rates()
    for number in range(100):
        rates.note("selfplay", f"config{number}", 1, 1.0)
    assert len(rates.told()) == 64
    assert rates.told()[-1].config == "config99"
