"""The Python that waits in domain 0: what it runs is as if it had been started."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from _wait import until

from labkit.storage import _xen_files, _xen_python

Run = Callable[..., subprocess.CompletedProcess[str]]


@contextmanager
def waiting(folder: Path) -> Iterator[tuple[Path, subprocess.Popen[bytes]]]:
    """The script that asks, and the process that answers."""
    for name in ("python", "python-runs"):
        os.mkfifo(folder / name)
    script = folder / "python3"
    script.write_text(_xen_files.PYTHON.replace("/run/labkit", str(folder)).replace("/usr/bin/python3", sys.executable))
    script.chmod(0o755)
    with subprocess.Popen([sys.executable, "-I", "-S", _xen_python.__file__, folder]) as runs:
        yield script, runs
        runs.kill()


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with waiting(tmp_path_factory.mktemp("python")) as (made, _):
        yield made


@pytest.fixture
def run(script: Path) -> Run:
    def run(*words: str | Path, **how: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # type: ignore[call-overload,no-any-return]
            [script, "-I", "-S", *words], capture_output=True, text=True, timeout=20, check=False, **how
        )

    return run


def test_streams_arguments_and_surroundings(run: Run, tmp_path: Path) -> None:
    """It has the caller's streams, arguments, environment and folder, and no files of the process that waits."""
    code = (
        "import os,sys; words = {key: os.environ[key] for key in os.environ if key != 'PWD'};"
        "print(sys.argv, os.getcwd(), words, sys.stdin.read(), len(os.listdir('/proc/self/fd')))"
    )
    done = run("-c", code, "a b", "", env={"WORD": "ü=1"}, cwd=tmp_path, input="told")
    assert done.stdout == f"['-c', 'a b', ''] {tmp_path} {{'WORD': 'ü=1'}} told 4\n"
    assert (done.returncode, done.stderr) == (0, "")


def test_a_file_with_a_mistake(run: Run, tmp_path: Path) -> None:
    """A program in a file is `__main__`; what it raises is told, and the script fails."""
    program = tmp_path / "program.py"
    program.write_text("import sys\nif __name__ == '__main__':\n    print(sys.argv[1:])\n    raise ValueError('odd')\n")
    done = run(program, "1")
    assert done.stdout == "['1']\n"
    assert "ValueError: odd" in done.stderr
    assert done.returncode == 1


@pytest.mark.parametrize(("code", "expected"), [("0", 0), ("None", 0), ("3", 1), ("'words'", 1)])
def test_exit_codes(run: Run, code: str, expected: int) -> None:
    """Whether it ended well comes back."""
    assert run("-c", f"import sys; sys.exit({code})").returncode == expected


def test_other_ways_to_start_python(script: Path) -> None:
    """They have nothing to do with the process that waits."""
    done = subprocess.run([script, "-c", "import sys; sys.exit(7)"], timeout=20, check=False)
    assert done.returncode == 7


def test_many_at_once(script: Path) -> None:
    """Each is a process of its own, and each ends."""
    words = [script, "-I", "-S", "-c", "import sys,time; time.sleep(.1); print(sys.argv[1])"]
    started = [subprocess.Popen([*words, str(number)], stdout=subprocess.PIPE, text=True) for number in range(40)]
    assert [process.communicate(timeout=30)[0] for process in started] == [f"{number}\n" for number in range(40)]


def test_it_ends_with_who_asked(script: Path, tmp_path: Path) -> None:
    """Killed, the script takes with it the program and what that has started."""
    note = tmp_path / "pids"
    code = (
        "import os,subprocess,sys; child = subprocess.Popen(['sleep','1000']);"
        "open(sys.argv[1],'w').write(f'{os.getpid()} {child.pid} '); child.wait()"
    )
    asker = subprocess.Popen([script, "-I", "-S", "-c", code, note])
    until(lambda: note.exists() and note.read_text().endswith(" "), "it runs")
    asker.kill()
    asker.wait()
    for pid in note.read_text().split():
        until(lambda which=pid: not Path(f"/proc/{which}/exe").exists(), "it has ended")  # type: ignore[misc]


def test_modules_that_are_compiled_already(tmp_path: Path) -> None:
    """A program that brings the text of one finds its code; another text is compiled as anywhere."""
    (tmp_path / "modules").write_text(json.dumps({"known": "answer = 42"}))
    known = tmp_path / "known.py"
    known.write_text(
        "code = COMPILED['answer = 42']; exec(code); print(answer, code.co_filename, COMPILED.get('answer = 43'))\n"
    )
    with waiting(tmp_path) as (script, _):
        done = subprocess.run([script, "-I", "-S", known], capture_output=True, text=True, timeout=20, check=False)
    assert (done.stdout, done.stderr) == ("42 known.py None\n", "")


def test_the_process_that_waits_dies(tmp_path: Path) -> None:
    """Who has asked it fails, and does not wait for ever."""
    with waiting(tmp_path) as (script, runs):
        code = "import sys,time; open(sys.argv[1], 'w'); time.sleep(1000)"
        asker = subprocess.Popen([script, "-I", "-S", "-c", code, tmp_path / "up"])
        until((tmp_path / "up").exists, "it runs")
        runs.kill()
        assert asker.wait(timeout=20) == 1
