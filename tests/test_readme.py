"""What the README shows runs as it stands: the Python, the commands, the names in the table."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize("code", blocks("python"))
def test_python_runs(code, tmp_path):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=500)
    assert done.returncode == 0, done.stderr
    assert "accuracy" in done.stdout


def test_make_targets_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", README, flags=re.MULTILINE))
    assert {"compare", "test"} <= named <= targets


def test_commands_are_understood():
    """Every `touchstone ...` line parses: the command exists and so does each option it names."""
    lines = [line for block in blocks("(?:bash|text|console|sh)") for line in block.splitlines()]
    commands = [shlex.split(line.split("#")[0]) for line in lines if line.startswith("touchstone ")]
    assert commands
    for words in commands:
        shown = subprocess.run([sys.executable, "-m", "toolkit", words[1], "--help"], capture_output=True, text=True)
        assert shown.returncode == 0, words
        for option in (word for word in words if word.startswith("--")):
            assert option in shown.stdout, (words, option)


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target
