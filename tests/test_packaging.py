"""What is built can be installed and works away from this repository."""

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from .support import pinned_date, run

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both wheels, built as the README says."""
    out = tmp_path_factory.mktemp("dist")
    run("uv", "build", "--all-packages", "--wheel", "--out-dir", str(out), cwd=ROOT)
    return out


def test_two_wheels_hold_the_rooms_and_nothing_else(wheels: Path) -> None:
    held = {
        path.name.split("-")[0]: {
            name.split("/")[0]
            for name in zipfile.ZipFile(path).namelist()
            if ".dist-info/" not in name
        }
        for path in wheels.glob("*.whl")
    }
    assert held == {
        "clearance": {
            "activities",
            "cli",
            "policy",
            "store",
            "tools",
            "web",
            "workflows",
            "worker.py",
        },
        "clearance_client": {"clearance"},
    }


def test_the_wheel_has_what_the_pages_are_made_of(wheels: Path) -> None:
    [wheel] = wheels.glob("clearance-*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    made_of = [*(ROOT / "web" / "static").rglob("*.*"), *(ROOT / "web" / "templates").rglob("*.*")]
    assert len(made_of) > 20
    assert {str(path.relative_to(ROOT)) for path in made_of} <= held


def _compile_nothing_twice(installed: Path) -> None:
    """What Python has made of the same packages here it takes there; else that is most of a demo."""
    here = Path(sysconfig.get_path("purelib"))
    [there] = installed.glob("lib/python*/site-packages")
    for made in here.rglob("__pycache__"):
        wanted = there / made.relative_to(here)
        if wanted.parent.is_dir() and not wanted.exists():
            wanted.symlink_to(made)


def test_the_installed_command_plays_the_demo_in_an_empty_folder(
    wheels: Path, tmp_path: Path
) -> None:
    where = {
        "UV_TOOL_DIR": str(tmp_path / "tools"),
        "UV_TOOL_BIN_DIR": str(tmp_path / "bin"),
        "UV_LINK_MODE": "symlink",  # hundreds of megabytes, and the folder may be in memory
    }
    run(
        *("uv", "tool", "install", "--python", sys.executable, "--exclude-newer", pinned_date()),
        *("--find-links", str(wheels), "clearance"),
        cwd=tmp_path,
        **where,
    )
    _compile_nothing_twice(tmp_path / "tools" / "clearance")
    command = str(tmp_path / "bin" / "clearance")
    played = subprocess.run(
        [command, "demo", "refund", "--answer", "approve"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert played.returncode == 0, played.stderr
    assert "Refunds in the ledger: 1 " in played.stdout
    unreachable = subprocess.run(
        [command, "pending", "--json"],
        cwd=tmp_path,
        env={**os.environ, "TEMPORAL_ADDRESS": "127.0.0.1:1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert unreachable.returncode == 5
    with pytest.raises(json.JSONDecodeError):
        json.loads(unreachable.stdout)
