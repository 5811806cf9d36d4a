"""Who may import whom: the arrows of docs/architecture.md, read from the source with ast."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# A module may import modules of a strictly lower level, its own package, and the foundations.
LEVELS = {
    "toolkit.errors": 0,
    "toolkit.progress": 0,
    "toolkit.budget": 0,
    "toolkit.cost": 0,
    "toolkit.classifier": 0,
    "toolkit.environment": 0,
    "toolkit.runs": 0,
    "toolkit.cluster": 0,
    "toolkit.evaluation": 1,
    "toolkit.data": 1,
    "toolkit.pipeline": 1,
    "toolkit.models": 1,
    "toolkit.training": 2,
    "toolkit.tuning": 3,
    "toolkit.ensemble": 3,
    "toolkit.deep_features": 3,
    "toolkit.names": 3,
    "toolkit.artifact": 3,
    "toolkit.prediction": 4,
    "toolkit.memory": 4,
    "toolkit.comparison": 5,
    "toolkit.contending": 3,
    "toolkit.leaderboard": 3,
    "toolkit.pair_table": 2,
    "toolkit.repeats": 5,
    "toolkit.fitting": 5,
    "toolkit.learning_curve": 4,
    "toolkit.robustness": 4,
    "toolkit.explain": 4,
    "toolkit.export": 4,
    "toolkit.catalogue": 5,
    "toolkit.ladder": 5,
    "toolkit.report": 5,
    "toolkit.cli": 6,
    "toolkit.__main__": 7,
    "toolkit": 8,
}
BASELINES = {
    "hog": 1, "hog_opencv": 1, "lbp": 1, "colour": 1, "glcm": 1, "gabor": 1, "features": 2, "gridded": 3,
    "machines": 1, "hinge": 2, "intel": 2, "approximate": 2, "svm": 4, "heads": 5, "graph": 6, "decisions": 1,
}  # fmt: skip
# Third-party packages that one room alone may know.
ONLY_IN = {
    "keras_tuner": {"toolkit.tuning"},
    "grpc": {"toolkit.tuning"},
    "ray": {"toolkit.cluster", "toolkit.tuning"},
    "typer": {"toolkit.cli"},
    "time": {"toolkit.cost", "toolkit.cli"},
    "tensorflow": {
        *("toolkit.pipeline", "toolkit.training", "toolkit.export", "toolkit.cli", "baselines"),
        "toolkit.memory",  # what a GPU held at most, the backend alone can tell
        "toolkit.explain",  # a gradient is the one thing that Keras has no function for
    },
}
# Of the foundations, `errors` and `progress` serve everybody; `classifier` and `cost` serve those that fit contestants.
SEALED = {"toolkit.evaluation", "toolkit.data", "toolkit.models", "toolkit.pipeline"}


def modules() -> dict[str, Path]:
    """Every module of ours by its dotted name."""
    found = {}
    for package in ("toolkit", "baselines"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: Path) -> set[str]:
    """Dotted names that a file imports anywhere in it, `from a import b` as `a.b`."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import; write the full name"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def room(name: str) -> str:
    """The room of a dotted name: toolkit.data.load -> toolkit.data."""
    if name == "toolkit" or name.split(".")[0] == "baselines":
        return name.split(".")[0]
    if name.endswith(".__main__"):
        return "toolkit.__main__"  # `python -m toolkit.tuning` is a way into the command line, not a part of its room
    return ".".join(name.split(".")[:2])


MODULES = modules()
TOOLKIT_ROOMS = {room(name) for name in MODULES if name.startswith("toolkit")}


@pytest.mark.parametrize("name", MODULES)
def test_arrows_point_down(name):
    for imported in imports(MODULES[name]):
        top = imported.split(".")[0]
        if top == "baselines":
            allowed = room(name) in ("baselines", "toolkit.catalogue", "toolkit.export")
            assert allowed, f"{name} imports {imported}"
        if top != "toolkit":
            continue
        assert not name.startswith("baselines"), f"{name} imports {imported}"
        target = room(imported) if room(imported) in TOOLKIT_ROOMS else "toolkit"
        if target != room(name):
            assert LEVELS[target] < LEVELS[room(name)] or LEVELS[target] == 0, f"{name} imports {imported}"
            if room(name) in SEALED:
                assert target in {"toolkit.errors", "toolkit.progress"}, f"{name} imports {imported}"


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("baselines.")])
def test_arrows_point_down_in_baselines(name):
    own = BASELINES.get(name.split(".")[1], 0)
    for imported in imports(MODULES[name]):
        if imported.startswith("baselines."):
            target = imported.split(".")[1]
            assert target == name.split(".")[1] or BASELINES.get(target, 0) < own, f"{name} imports {imported}"


@pytest.mark.parametrize("package", ONLY_IN)
def test_one_room_knows_the_package(package):
    for name, path in MODULES.items():
        if any(imported.split(".")[0] == package for imported in imports(path)):
            assert room(name) in ONLY_IN[package], f"{name} imports {package}"


@pytest.mark.parametrize("name", [name for name in MODULES if room(name) != "toolkit.cli"])
def test_nobody_but_the_command_line_reads_the_environment(name):
    text = MODULES[name].read_text()
    for word in ("os.environ", "os.getenv", "sys.argv"):
        assert word not in text, f"{name} reads {word}"


@pytest.mark.parametrize("name", MODULES)
def test_no_assert_in_library_code(name):
    assert not [node.lineno for node in ast.walk(ast.parse(MODULES[name].read_text())) if isinstance(node, ast.Assert)]


def test_every_room_has_a_level():
    assert set(LEVELS) >= TOOLKIT_ROOMS
