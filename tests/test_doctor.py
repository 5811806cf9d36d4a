"""The doctor: it finds what is missing or too old, and says the command that mends it."""

import sys
from importlib.metadata import PackageNotFoundError

import pytest

from toolkit import environment
from toolkit.cli import main


def requirements(monkeypatch, lines, here):
    def version(name):
        if name not in here:
            raise PackageNotFoundError(name)
        return here[name]

    monkeypatch.setattr(environment, "requires", lambda name: lines)
    monkeypatch.setattr(environment, "version", version)


def test_what_is_missing_or_too_old_is_listed_by_its_extra(monkeypatch):
    lines = [
        "keras>=3.12",
        "numpy>=2.1",
        'keras-hub>=0.32; extra == "hub"',
        'jax>=0.8; extra == "jax"',
        'backport>=1; python_version < "3.0"',
    ]
    requirements(monkeypatch, lines, {"keras": "3.15.1", "numpy": "1.26", "jax": "0.10.2"})
    assert environment.lacking() == {"": ["numpy>=2.1 (1.26 is here)"], "hub": ["keras-hub>=0.32"], "jax": []}


def run(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["touchstone", "doctor"])
    monkeypatch.setenv("COLUMNS", "160")
    with pytest.raises(SystemExit) as stopped:
        main()
    return stopped.value.code


def test_it_says_how_to_mend(monkeypatch, capsys):
    requirements(monkeypatch, ["keras>=3.12", 'keras-hub>=0.32; extra == "hub"'], {"keras": "3.15.1"})
    assert not run(monkeypatch)
    said = capsys.readouterr().out
    assert "pip install --upgrade 'touchstone-vision[hub]'" in said
    assert "Keras computes with" in said
    requirements(monkeypatch, ["keras>=4", 'keras-hub>=0.32; extra == "hub"'], {"keras": "3.15.1"})
    assert run(monkeypatch) == 1
    assert "pip install --upgrade 'keras>=4'" in capsys.readouterr().out


def test_a_gpu_that_is_not_seen_is_told(monkeypatch, capsys):
    monkeypatch.setattr(environment, "unseen_gpu", lambda: True)
    assert not run(monkeypatch)
    assert "pip install --upgrade '" in capsys.readouterr().out


def test_here_nothing_needed_is_missing():
    assert environment.lacking().get("", []) == []
