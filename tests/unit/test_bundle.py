"""The front end that is committed is what its sources make."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

import labkit.widgets

SOURCES = Path(labkit.widgets.__file__).with_name("js")
STATIC = SOURCES.with_name("static")
NPM = shutil.which("npm")


@pytest.mark.slow
@pytest.mark.skipif(NPM is None, reason="there is no npm to build the bundle with: apt-get install npm")
def test_the_bundle_is_made_of_its_sources(tmp_path: Path) -> None:
    """Built again from sources and npm's packages, each file is the same byte for byte, licences too."""
    assert NPM
    copy = tmp_path / "js"
    shutil.copytree(SOURCES, copy, ignore=shutil.ignore_patterns("node_modules", "package-lock.json"))
    (tmp_path / "static").mkdir()
    quiet = ["--silent", "--no-audit", "--no-fund", "--no-package-lock"]
    subprocess.run([NPM, "install", *quiet], cwd=copy, check=True, timeout=300)
    subprocess.run([NPM, "run", "-s", "build"], cwd=copy, check=True, timeout=120)
    built = {path.name: path.read_bytes() for path in (tmp_path / "static").iterdir()}
    assert set(built) == {path.name for path in STATIC.iterdir()}
    for name, content in built.items():
        assert content == (STATIC / name).read_bytes(), f"{name}: run npm install && npm run build in {SOURCES}"


def test_versions_are_exact() -> None:
    """Each package has one version, so that everybody's build is the same."""
    words = json.loads((SOURCES / "package.json").read_text())
    versions = words["dependencies"] | words["devDependencies"]
    assert all(version[0].isdigit() for version in versions.values()), versions


def test_nothing_is_loaded_from_a_network() -> None:
    """No file of the front end fetches anything."""
    for path in STATIC.glob("*.js"):
        text = path.read_text()
        for word in ("fetch(", "XMLHttpRequest", "WebSocket("):
            assert word not in text, f"{word} in {path.name}"
    for name in json.loads((SOURCES / "package.json").read_text())["dependencies"]:
        assert name in (STATIC / "LICENSES.txt").read_text()
