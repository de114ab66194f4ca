"""Runs programs on a machine whose internet is played, so that nothing is ever sent to a real address."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "rootless"))  # for `_user`, which no package holds

from _user import REPOSITORY, as_user, ordinary_user

from labkit.testing import settle, take_stock

HERE = Path(__file__).parent
WORLD = ["--net", "--mount"]
Outcome = dict[str, Any]


@pytest.fixture(scope="session")
def in_world() -> Callable[..., Outcome]:
    """Run one of the programs of this folder in the world of _outside.py; what it has seen."""

    def run(program: str, *words: str, **env: str) -> Outcome:
        name = f"t-{secrets.token_hex(4)}"
        before = take_stock(name)
        as_root = [] if os.geteuid() == 0 else ["--user", "--map-root-user", "--map-auto"]
        argv = ["unshare", *as_root, *WORLD, sys.executable, *_program(program, name, words)]
        done = subprocess.run(
            argv, capture_output=True, text=True, check=False, timeout=500, cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), "LABKIT_PROGRESS": "off", **env},
        )  # fmt: skip
        left = settle(name, before)
        outcome = _told(done)
        assert not left, f"the test left behind: {left}"
        return outcome

    return run


@pytest.fixture(scope="session")
def in_world_of_user() -> Callable[..., Outcome]:
    """The same for labs of an ordinary user, on a machine whose internet root has made."""

    def run(program: str, *words: str) -> Outcome:
        with ordinary_user() as user:
            _lend_images(user)
            world, *inner = _program(program, f"t-{secrets.token_hex(4)}", words, ".venv/bin/python")
            return _told(as_user(user, inner, 500, around=[sys.executable, world], namespaces=WORLD))

    return run


def _program(program: str, name: str, words: tuple[str, ...], *python: str) -> list[str]:
    folder = HERE.relative_to(REPOSITORY)
    return [str(folder / "_outside.py"), *(python or [sys.executable]), str(folder / program), name, *words]


def _told(done: subprocess.CompletedProcess[str]) -> Outcome:
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    outcome: Outcome = json.loads(done.stdout.splitlines()[-1])
    return outcome


def _lend_images(user: str) -> None:
    """Give a new user copies of the images that are built already."""
    from labkit import _paths

    cache = Path("/home", user, ".cache", "labkit")
    cache.mkdir(parents=True)
    if (images := _paths.cache_home() / "images").is_dir():
        shutil.copytree(images, cache / "images")
    subprocess.run(["chown", "-R", f"{user}:", str(cache.parent)], check=True)
    cache.chmod(0o700)
