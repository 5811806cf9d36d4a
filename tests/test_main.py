"""The way into the command line: Ctrl-C, the tuner script, and statuses."""

import sys

import pytest

from toolkit.cli import main


def run(monkeypatch, capsys, *arguments, command=None):
    monkeypatch.setattr(sys, "argv", ["touchstone", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main(command)
    return stopped.value.code, capsys.readouterr()


def test_an_interrupted_command_says_that_it_goes_on(monkeypatch, capsys):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr("toolkit.cli.train.own_modules", interrupted)
    status, said = run(monkeypatch, capsys, "train", "cnn", "digits")
    assert status == 130
    assert said.err == ("touchstone: Interrupted. What was finished is kept; the same command goes on from there.\n")


def test_a_command_that_ends_well_has_status_0(monkeypatch, capsys):
    status, said = run(monkeypatch, capsys, "--help")
    assert status == 0
    assert "Usage:" in said.out


@pytest.mark.parametrize("leading", [[], ["tune"]])
def test_the_tuner_script_takes_its_command_for_granted(monkeypatch, capsys, leading):
    status, said = run(monkeypatch, capsys, *leading, "--help", command="tune")
    assert status == 0
    assert "Usage: python -m toolkit.tuning [OPTIONS] {NAME} {DATA}" in " ".join(said.out.split())
    status, said = run(monkeypatch, capsys, *leading, "hog_smv", "digits", command="tune")
    assert (status, len(said.err.splitlines())) == (2, 1)
    assert "Did you mean 'hog_svm'" in said.err
