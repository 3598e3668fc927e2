"""The house rules that no linter knows."""

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = (
    "activities",
    "cli",
    "client/clearance",
    "policy",
    "store",
    "tools",
    "web",
    "workflows",
)
MODULES = [
    *sorted(path.relative_to(ROOT) for room in ROOMS for path in (ROOT / room).rglob("*.py")),
    Path("worker.py"),
]
_OUTSIDE = (
    *("http", "httpx", "io", "multiprocessing", "os", "pathlib", "random", "requests", "secrets"),
    *("shutil", "socket", "subprocess", "sys", "tempfile", "threading", "time", "urllib", "uuid"),
)
"""What no workflow touches: Temporal's sandbox passes the modules of that room through."""

MAY_READ_THE_ENVIRONMENT = {
    Path("cli/embedded.py"),  # hands it to the server process
    Path("cli/settings.py"),
    Path("client/clearance/connect.py"),
    Path("worker.py"),
}


def names_in(path: Path) -> set[str]:
    """Every attribute and imported name, dotted, that a module mentions."""
    found: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found.add(f"{node.value.id}.{node.attr}")
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


@pytest.mark.parametrize(
    "room", ["activities", "cli", "clearance", "policy", "store", "tools", "workflows", "worker"]
)
def test_every_room_is_ours_and_not_a_namesake_from_elsewhere(room: str) -> None:
    module = importlib.import_module(room)
    assert module.__file__ is not None
    assert Path(module.__file__).resolve().is_relative_to(ROOT)


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_only_the_entry_points_read_the_environment(path: Path) -> None:
    reads = {"os.environ", "os.getenv", "os.environb"} & names_in(path)
    assert not reads or path in MAY_READ_THE_ENVIRONMENT


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_module_stays_small_enough_to_read_in_one_sitting(path: Path) -> None:
    assert len((ROOT / path).read_text().splitlines()) <= 280


@pytest.mark.parametrize("path", sorted((ROOT / "workflows").glob("*.py")), ids=lambda p: p.name)
def test_workflows_touch_no_file_clock_or_network(path: Path) -> None:
    named = names_in(path.relative_to(ROOT))
    for forbidden in _OUTSIDE:
        assert not {name for name in named if name.split(".")[0] == forbidden}
    assert not {"datetime.now", "datetime.utcnow", "datetime.today", "date.today"} & named
    tree = ast.parse(path.read_text())
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert not {"open", "input", "eval", "exec", "compile", "__import__", "globals"} & used


def test_only_the_worker_imports_workflows() -> None:
    importing = {
        path
        for path in MODULES
        if any(name.split(".")[0] == "workflows" for name in names_in(path))
        and path.parts[0] != "workflows"
    }
    assert importing == {Path("worker.py")}


def test_no_folder_shadows_the_agents_sdk_and_the_root_is_no_package() -> None:
    assert not (ROOT / "agents").exists()
    assert not (ROOT / "__init__.py").exists()
