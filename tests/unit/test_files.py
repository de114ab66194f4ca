"""The files of a host: the same on a host that shares this machine's and on one that has its own."""

from __future__ import annotations

import errno
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from _elsewhere import Elsewhere, elsewhere
from filelock import Timeout

from labkit.errors import DeadlineExceeded, EngineError, LabGone, NotEnoughDisk
from labkit.hosts import _files
from labkit.hosts._files_remote import RemoteFiles
from labkit.hosts.files import HostFiles, LocalFiles


@pytest.fixture
def far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Elsewhere]:
    """A host whose files below `tmp_path / "there"` are its own."""
    (tmp_path / "there").mkdir()
    monkeypatch.setenv("LABKIT_CACHE", str(tmp_path / "there" / "cache"))
    with elsewhere(tmp_path / "there") as host:
        yield host


@pytest.fixture
def away(far: Elsewhere) -> Iterator[RemoteFiles]:
    files = RemoteFiles(far)  # type: ignore[arg-type]
    yield files
    files.close()


@pytest.fixture(params=["local", "elsewhere"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> HostFiles:
    """The files of either kind of host; those in `place` are its own."""
    if request.param == "elsewhere":
        return request.getfixturevalue("away")  # type: ignore[no-any-return]
    (tmp_path / "there").mkdir()
    return LocalFiles(SimpleNamespace(name="here"))  # type: ignore[arg-type]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "there"


# ── What each verb does, on both ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize("data", [b"", b"words\n", bytes(range(256)) * 9000], ids=["none", "few", "2 MB"])
def test_read_gives_what_write_took(files: HostFiles, place: Path, data: bytes) -> None:
    """What was written is read, all or a part of it, from either end."""
    files.write(place / "a", data)
    assert files.read(place / "a") == data
    assert files.read(place / "a", 2, 3) == data[2:5]
    assert files.read(place / "a", -4) == data[-4:]
    assert files.read(place / "a", len(data) + 5) == b""


@pytest.mark.parametrize("name", ["new\nline", "blank and 'quote\"", "-rf", "ü€", "\udcff", '{"bytes": 3}', "a" * 200])
def test_any_name_that_the_system_takes_is_a_name(files: HostFiles, place: Path, name: str) -> None:
    """A file may have any name: with a newline, with a byte that is no text."""
    files.make_folder(place / name)
    files.write(place / name / name, name.encode(errors="surrogateescape"))
    assert list(files.list(place)) == [name]
    assert files.read(place / name / name) == name.encode(errors="surrogateescape")
    files.remove_tree(place / name)
    assert not files.list(place)


def test_a_file_has_the_mode_that_was_asked_for(files: HostFiles, place: Path) -> None:
    """The mode is what was asked for, whatever the umask is."""
    before = os.umask(0o077)
    try:
        files.write(place / "a", "x", mode=0o755)
        files.make_folder(place / "b", mode=0o755)
    finally:
        os.umask(before)
    assert [status.mode & 0o777 for status in files.list(place).values()] == [0o755, 0o755]


def test_a_whole_file_takes_the_place_of_another(files: HostFiles, place: Path) -> None:
    """Written whole, a file is another than before, and nothing else is left."""
    files.write(place / "a", "old")
    old = files.status(place / "a")
    files.write(place / "a", "new", whole=True)
    new = files.status(place / "a")
    assert files.read_text(place / "a") == "new" and old and new and old.inode != new.inode
    assert list(files.list(place)) == ["a"]


def test_append_adds_the_rest_of_another_file(files: HostFiles, place: Path) -> None:
    """What a file has from an offset on is added to the end of another."""
    files.write(place / "a", b"header" + b"m" * 3_000_000)
    files.write(place / "b", "other ")
    files.append(place / "a", 6, place / "b")
    assert files.read(place / "b") == b"other " + b"m" * 3_000_000


def test_copy_rename_remove_and_link(files: HostFiles, place: Path) -> None:
    """A file is copied, renamed over another, led to by a link, removed; to remove nothing is no error."""
    files.write(place / "a", "1")
    files.write(place / "b", "2")
    files.copy(place / "a", place / "c")
    files.rename(place / "a", place / "b")
    files.link(place / "l", place / "nowhere")
    assert {name: files.exists(place / name) for name in "abcl"} == {"a": False, "b": True, "c": True, "l": False}
    assert files.exists(place / "l", follow=False)
    assert files.read_text(place / "b") == files.read_text(place / "c") == "1"
    for name in ("b", "b", "l", "none"):
        files.remove(place / name)
    assert list(files.list(place)) == ["c"]


def test_make_folder_says_that_there_is_one_unless_it_may_be(files: HostFiles, place: Path) -> None:
    """A folder is made with its parents if wanted; one that is there is an error unless it may be."""
    files.make_folder(place / "a" / "b" / "c", mode=0o711, there=True)
    files.make_folder(place / "a" / "b" / "c", there=True)
    found = files.status(place / "a" / "b" / "c")
    assert found and found.is_folder and found.mode & 0o777 == 0o711
    with pytest.raises(FileExistsError):
        files.make_folder(place / "a")
    with pytest.raises(FileNotFoundError):
        files.make_folder(place / "x" / "y")
    files.write(place / "f", "")
    with pytest.raises(FileExistsError):
        files.make_folder(place / "f", there=True)


def test_remove_tree_follows_no_link(files: HostFiles, place: Path) -> None:
    """A tree goes with what is in it, but not with what its links lead to; to remove none is no error."""
    files.make_folder(place / "keep")
    files.write(place / "keep" / "me", "")
    files.make_folder(place / "tree" / "deep", there=True)
    files.link(place / "tree" / "deep" / "out", place / "keep")
    files.remove_tree(place / "tree")
    files.remove_tree(place / "tree")
    assert list(files.list(place)) == ["keep"] and list(files.list(place / "keep")) == ["me"]


def test_what_is_missing_is_told_as_the_system_tells_it(files: HostFiles, place: Path) -> None:
    """The errors are those of the system, with the path."""
    missing = place / "none" / "x"
    for act in (files.read, files.list):
        with pytest.raises(FileNotFoundError) as caught:
            act(missing)
        assert caught.value.filename == str(missing)
    with pytest.raises(FileNotFoundError):
        files.write(missing, "x")
    assert files.status(missing) is None and not files.exists(missing)
    files.write(place / "f", "")
    assert not files.exists(place / "f" / "x")
    with pytest.raises(NotADirectoryError):
        files.list(place / "f")
    with pytest.raises(IsADirectoryError):
        files.read(place)


def test_links_in_a_circle_end_in_an_error(files: HostFiles, place: Path) -> None:
    """Links that lead to each other are an error for who follows them, and can be removed."""
    files.link(place / "a", place / "b")
    files.link(place / "b", place / "a")
    with pytest.raises(OSError, match="symbolic links") as caught:
        files.read(place / "a")
    assert caught.value.errno == errno.ELOOP
    assert set(files.list(place)) == {"a", "b"}
    files.remove(place / "a")
    files.remove(place / "b")


def test_peek_follows_nothing_and_waits_for_nothing(files: HostFiles, place: Path) -> None:
    """Of what anybody may have put there, few bytes are read, a link is refused, a pipe is not waited for."""
    files.write(place / "a", b"0123456789" * 1000)
    files.link(place / "l", place / "a")
    assert files.peek(place / "a", 4) == b"0123"
    with pytest.raises(OSError, match="symbolic links"):
        files.peek(place / "l", 4)
    if isinstance(files, LocalFiles):
        os.mkfifo(place / "p")
        assert files.peek(place / "p", 4) == b""


def test_status_tells_holes_from_what_takes_room(files: HostFiles, place: Path) -> None:
    """The size of a file is one thing, what it takes another."""
    files.write(place / "a", "x")
    files._call("resize", str(place / "a"), 1 << 24)
    found = files.status(place / "a")
    assert found and found.size_bytes == 1 << 24 and 0 < found.taken_bytes < 1 << 20
    assert abs(found.changed_ns - time.time_ns()) < 60e9


def test_free_is_told_for_what_will_be_made(files: HostFiles, place: Path) -> None:
    """The room at a path that is not there yet is that of where it will be."""
    assert files.free(place / "not" / "yet") == pytest.approx(files.free(place), rel=0.01)


def test_a_temporary_folder_goes_unless_it_was_renamed(files: HostFiles, place: Path) -> None:
    """What is left of a temporary folder goes; renamed, it stays."""
    with files.temporary_folder(place, ".a-") as folder:
        files.write(folder / "x", "")
    with files.temporary_folder(place, ".a-") as folder:
        assert folder.parent == place and folder.name.startswith(".a-")
        files.rename(folder, place / "kept")
    assert list(files.list(place)) == ["kept"]


def test_together_does_all_of_it_in_order(files: HostFiles, place: Path) -> None:
    """What is done together is done at the end of the block, in order; what fails is told."""
    with files.together() as batch:
        batch.make_folder(place / "a")
        batch.write(place / "a" / "b", "1")
        batch.link(place / "a" / "c", place / "a" / "b")
    assert files.read_text(place / "a" / "c") == "1"

    def clash() -> None:
        with files.together() as batch:
            batch.write(place / "before", "")
            batch.make_folder(place / "a")
            batch.write(place / "after", "")

    with pytest.raises(FileExistsError) as caught:
        clash()
    assert caught.value.filename == str(place / "a")
    assert set(files.list(place)) == {"a", "before"}


def test_a_lock_is_held_against_all_others(files: HostFiles, place: Path) -> None:
    """Who waits for a lock has it when it is let go, or is told that somebody has it for too long."""
    got = []

    def wait() -> None:
        with files.lock(place / "l", 60):
            got.append(time.monotonic())

    with files.lock(place / "l", 1):
        with pytest.raises(Timeout), files.lock(place / "l", 0):
            pytest.fail("two have the lock")
        thread = threading.Thread(target=wait)
        thread.start()
        files.write(place / "a", "others are not held up")
        let_go = time.monotonic()
    thread.join(60)
    assert got and got[0] >= let_go


def test_who_fails_with_a_lock_lets_go_of_it(files: HostFiles, place: Path) -> None:
    """An error in the block lets go of the lock and is passed on."""
    with pytest.raises(ZeroDivisionError), files.lock(place / "l", 1):
        1 / 0  # noqa: B018
    with files.lock(place / "l", 30):
        pass


def test_many_threads_get_each_its_own_answer(files: HostFiles, place: Path) -> None:
    """Answers are not mixed up among those who ask at once."""
    wrong = []

    def work(number: int) -> None:
        for turn in range(10):
            text = f"{number}-{turn}" * (1 + number * 50)
            files.write(place / str(number), text)
            if files.read_text(place / str(number)) != text:
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# ── A host that has its own ───────────────────────────────────────────────────────────────────


def test_they_are_really_elsewhere(away: RemoteFiles, place: Path, far: Elsewhere) -> None:
    """What is written there is not here, and the host's own programs see it."""
    away.write(place / "a", "there")
    assert not (place / "a").exists()
    assert far.run("cat", str(place / "a")) == "there"


def test_a_full_disk_is_told_with_the_host(away: RemoteFiles, place: Path) -> None:
    """The error for a full disk names the host; a file that is written whole stays what it was."""
    away.write(place / "a", "old")
    with pytest.raises(NotEnoughDisk) as caught:
        away.write(place / "a", b"x" * (9 << 20), whole=True)
    assert caught.value.host == "elsewhere" and str(place) in caught.value.message
    assert away.read_text(place / "a") == "old" and list(away.list(place)) == ["a"]


def test_a_process_that_was_killed_is_started_anew(away: RemoteFiles, place: Path, far: Elsewhere) -> None:
    """Killed between two questions, the next is answered by another process."""
    away.write(place / "a", "1")
    os.kill(far.started[-1].pid, signal.SIGKILL)
    os.waitid(os.P_PID, far.started[-1].pid, os.WEXITED | os.WNOWAIT)
    away.write(place / "b", "2")
    assert set(away.list(place)) == {"a", "b"} and len(far.started) == 2


def test_killed_while_it_is_asked_it_is_asked_again_if_that_changes_nothing(
    away: RemoteFiles, place: Path, far: Elsewhere
) -> None:
    """A question is asked again; of what changes something nobody knows whether it was done, so that is told."""
    away.write(place / "a", "1")
    _stop_and_kill(far)
    assert away.read_text(place / "a") == "1"
    _stop_and_kill(far)
    with pytest.raises(EngineError, match="has ended") as caught:
        away.rename(place / "a", place / "b")
    assert caught.value.host == "elsewhere" and caught.value.hint
    assert away.exists(place / "a") or away.exists(place / "b")


def _stop_and_kill(far: Elsewhere) -> None:
    """Have the process be there when it is asked, and be killed before it answers."""
    pid = far.started[-1].pid
    os.kill(pid, signal.SIGSTOP)
    threading.Timer(0.3, os.kill, (pid, signal.SIGKILL)).start()


def test_a_host_that_ended_is_told_as_such(away: RemoteFiles, place: Path, far: Elsewhere) -> None:
    """If the host does not live any more, that is the error."""
    away.write(place / "a", "1")
    _stop_and_kill(far)
    far.is_alive = False
    with pytest.raises(LabGone, match="elsewhere has ended"):
        away.remove(place / "a")


def test_without_python_the_error_has_what_was_said(away: RemoteFiles, place: Path, far: Elsewhere) -> None:
    """What a host says that cannot run the process is in the error."""
    far.python = ("sh", "-c", "echo no such thing here >&2")  # type: ignore[assignment]
    with pytest.raises(EngineError, match="no such thing here"):
        away.read(place / "a")


def test_a_process_that_hangs_is_given_up(away: RemoteFiles, place: Path, far: Elsewhere) -> None:
    """What does not answer in time is ended, and the next question is answered by another."""
    away.write(place / "a", "1")
    os.kill(far.started[-1].pid, signal.SIGSTOP)
    with pytest.raises(DeadlineExceeded) as caught:
        away._call("read", str(place / "a"), timeout_s=0.3)
    assert caught.value.host == "elsewhere"
    assert away.read_text(place / "a") == "1"


def test_processes_end_with_the_object(away: RemoteFiles, place: Path, far: Elsewhere) -> None:
    """Nothing runs on the host after `close`, and a few at most are kept before."""
    threads = [threading.Thread(target=away.exists, args=(place,)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0 < sum(started._process.poll() is None for started in far.started) <= 4
    away.close()
    assert all(started._process.poll() is not None for started in far.started)


def test_the_lock_of_who_is_killed_is_free(away: RemoteFiles, place: Path, far: Elsewhere) -> None:
    """A lock goes with the process that holds it."""
    with away.lock(place / "l", 5):
        os.kill(far.started[-1].pid, signal.SIGKILL)
        with away.lock(place / "l", 30):
            pass


# ── Images and programs ───────────────────────────────────────────────────────────────────────


def test_an_image_comes_once_and_is_what_it_was(away: RemoteFiles, tmp_path: Path, far: Elsewhere) -> None:
    """An image is brought with its holes, read-only; a second time it does not come again."""
    image = tmp_path / "disk.img"
    with image.open("wb") as file:
        file.write(b"begin" * 1000)
        file.seek(3 << 20)
        file.write(os.urandom(2 << 20))
        file.truncate(64 << 20)
    there = away.bring(image)
    assert far.run("sha256sum", str(there)).split()[0] == _files.digest(str(image))
    found = away.status(there)
    assert found and found.mode & 0o777 == 0o444 and found.size_bytes == 64 << 20 and found.taken_bytes < 4 << 20
    assert away.bring(image) == there
    assert away.status(there) == found


def test_an_image_that_was_damaged_there_comes_again(away: RemoteFiles, tmp_path: Path, far: Elsewhere) -> None:
    """What is not what it was is noticed and brought anew."""
    image = tmp_path / "disk.img"
    image.write_bytes(b"x" * 100_000)
    there = away.bring(image)
    far.run("sh", "-c", f"chmod u+w '{there}' && printf y | dd of='{there}' conv=notrunc status=none")
    assert away.bring(image) == there
    assert away.read(there) == image.read_bytes()


def test_another_image_of_the_same_name_is_another(away: RemoteFiles, tmp_path: Path) -> None:
    """Images are known by what is in them: what stands on the older one keeps it."""
    image = tmp_path / "disk.img"
    image.write_bytes(b"old")
    old = away.bring(image)
    image.write_bytes(b"new")
    new = away.bring(image)
    assert old != new and away.read(old) == b"old" and away.read(new) == b"new"


def test_an_image_that_has_no_room_leaves_nothing(away: RemoteFiles, tmp_path: Path, far: Elsewhere) -> None:
    """An image larger than the room there is refused before it is sent."""
    image = tmp_path / "disk.img"
    image.write_bytes(b"x" * (9 << 20))
    with pytest.raises(NotEnoughDisk) as caught:
        away.bring(image)
    assert caught.value.host == "elsewhere"
    assert far.run("find", str(tmp_path / "there"), "-size", "+0", "-type", "f") == ""


def test_several_who_bring_an_image_at_once_get_the_same(away: RemoteFiles, tmp_path: Path) -> None:
    """One sends it and the others wait."""
    image = tmp_path / "disk.img"
    image.write_bytes(os.urandom(3 << 20))
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(away.bring(image))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and len(set(found)) == 1
    assert away.read(found[0]) == image.read_bytes()


def test_this_machine_s_files_need_not_be_brought(tmp_path: Path) -> None:
    """Where the files are shared, an image is used where it lies."""
    files = LocalFiles(SimpleNamespace(name="here"))  # type: ignore[arg-type]
    assert files.bring(tmp_path / "disk.img") == tmp_path / "disk.img"


def test_what_was_brought_and_is_of_no_use_is_swept(far: Elsewhere, away: RemoteFiles, tmp_path: Path) -> None:
    """Another file that is brought has what nobody asked for in 90 days go; what is old but used stays."""
    targets = {}
    for name in ("unused", "used", "third"):
        (tmp_path / name).write_text(name)
        if name == "third":
            home = targets["used"].parents[1]
            far.run("find", str(home), "-exec", "touch", "-d", "91 days ago", "{}", "+")
            assert away.bring(tmp_path / "used") == targets["used"]
        targets[name] = away.bring(tmp_path / name)
    assert set(away.list(home)) == {targets[name].parent.name for name in ("used", "third")}
