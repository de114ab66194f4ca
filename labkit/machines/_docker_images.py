"""Images on a host: the lab's own, built, read from an archive, brought from another host."""

from __future__ import annotations

import contextlib
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._progress import Task, check_cancelled, progress
from .._values import format_size
from ..errors import Busy, EngineError, ImageBuildFailed, ImageError, InvalidName, InvalidState, InvalidValue, NotFound
from ..storage import archives
from ..storage import images as of_lab
from ._docker_api import spoken

if TYPE_CHECKING:
    from .docker import DockerEngine

_REFERENCE = re.compile(r"(?=.{1,120}$)[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,60})?", re.ASCII)
_OWN = ("labkit-snapshots", "labkit-clones")
_SHELL = 'CMD ["/bin/sh","-l"]'
_FROM = re.compile(r"(?im)^\s*FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?")


@dataclass(frozen=True, slots=True)
class DockerImage:
    """An image on a host.

    Attributes
    ----------
    name
        Such as ``web`` or ``web:2``.
    id
        Docker's name for its content: ``sha256:…``.
    size_bytes, layers
        What it holds, and in how many layers.
    """

    name: str
    id: str
    size_bytes: int
    layers: int

    def __str__(self) -> str:
        return f"{self.name}  {format_size(self.size_bytes)}  {self.layers} layers  {self.id[7:19]}"


class DockerImages:
    """The images on a host: ``host.docker.images``. Nothing is ever fetched from outside the lab."""

    def __init__(self, docker: DockerEngine) -> None:
        self._docker = docker
        self._host = docker.host

    # What there is

    def __iter__(self) -> Iterator[DockerImage]:
        with spoken(self._host):
            told = self._docker.api().images()
        for tag in sorted(tag for image in told for tag in image["RepoTags"] or () if tag != "<none>:<none>"):
            # With a slash: under the name it has in a registry, or content-addressed.
            if "/" not in tag and not tag.startswith(_OWN):
                with contextlib.suppress(NotFound):  # it may go in between
                    yield self[tag]

    def __getitem__(self, name: str) -> DockerImage:
        reference = check_reference(name)
        try:
            with spoken(self._host):
                told = self._docker.api().inspect_image(reference)
        except NotFound:
            raise self._missing(name) from None
        shown = name.removesuffix(":latest")
        return DockerImage(shown, told["Id"], told["Size"], len(told["RootFS"].get("Layers") or ()))

    def __contains__(self, name: object) -> bool:
        return any(isinstance(name, str) and image.name == name.removesuffix(":latest") for image in self)

    def _missing(self, name: str) -> NotFound:
        known = ", ".join(image.name for image in self) or "none"
        return NotFound(
            f"there is no image {name!a} on {self._host.name}", host=self._host.name,
            hint=f"there are: {known}; images.build(…), load(…) or pull(…) bring one, small is the lab's own",
        )  # fmt: skip

    def remove(self, name: str) -> None:
        """Remove an image; `Busy` if a container was made from it."""
        found = self[name]
        try:
            with spoken(self._host):
                self._docker.api().remove_image(check_reference(name))
        except InvalidState as error:
            raise Busy(f"the image {found.name} is in use: {error.message}", host=self._host.name,
                       hint="destroy the machines that were made from it") from error  # fmt: skip

    def history(self, name: str) -> list[tuple[str, int]]:
        """How an image came to be, oldest first: what made each layer, and its size in bytes."""
        reference = check_reference(self[name].name)
        with spoken(self._host):
            told = self._docker.api().history(reference)
        return [(layer["CreatedBy"] or layer.get("Comment", ""), layer["Size"]) for layer in reversed(told)]

    # How they come to be

    def resolve(self, name: str) -> str:
        """What Docker calls the image `name`, which is there afterwards."""
        reference = check_reference(name)
        if name in {entry.name for entry in of_lab.catalogue()}:
            return self._ensure_of_lab(name)
        if name.partition(":")[0] in _OWN:
            raise InvalidName(f"{name!a} is a name that labkit uses itself", hint="choose another name")
        return self[reference].id

    def _ensure_of_lab(self, name: str) -> str:
        """Have the lab's own image by what is in it; brought in once a host."""
        image = of_lab.get(name)
        repository, tag = f"labkit/{name}", image.digest[:12]
        reference = f"{repository}:{tag}"
        with spoken(self._host), self._host.files.lock(self._host.folder / "docker-images.lock", 300):
            api = self._docker.api()
            if not api.images(reference):
                self._bring_in(image.rootfs.open("rb"), repository, tag, [_SHELL])
                api.tag(reference, name, "latest")
        return reference

    def _bring_in(self, archive: Any, repository: str, tag: str, changes: list[str]) -> None:
        with archive:
            said = self._docker.api().import_image_from_data(archive, repository=repository, tag=tag, changes=changes)
        last = json.loads(said.strip().splitlines()[-1])
        if "error" in last:
            raise ImageError(f"Docker could not read the archive: {last['error']}", host=self._host.name)

    def load(
        self, name: str, path: Path | str, *, command: list[str] | None = None, most_bytes: int = archives.MOST_BYTES
    ) -> DockerImage:
        """Make an image of a tar of a root file system, after a look at what is in it.

        Parameters
        ----------
        name
            What it is to be called.
        path
            The tar, packed by gzip, bzip2, xz or not at all.
        command
            What a container of it runs unless it is told.
        most_bytes
            What its files may add up to.

        Raises
        ------
        ArchiveRefused
            If it leads out of itself, has devices, or is too much.
        """
        repository, tag = self._free_name(name)
        file = Path(path)
        if not file.is_file():
            raise NotFound(f"there is no file {str(path)!a}", hint="give the path of a tar")
        with progress(f"image {name}", quiet_s=1.0) as task, spoken(self._host):
            task.phase("looking through the archive")
            with file.open("rb") as archive:
                # The same file from the look to the end, whatever becomes of its name.
                archives.check_rootfs(archive, most_bytes=most_bytes)
                archive.seek(0)
                task.phase("handing it to Docker")
                changes = [f"CMD {json.dumps(command)}"] if command else [_SHELL]
                self._bring_in(archive, repository, tag, changes)
        return self[name]

    def build(
        self, name: str, dockerfile: str = "", *, folder: Path | str | None = None,
        arguments: Mapping[str, str] | None = None,
    ) -> DockerImage:  # fmt: skip
        """Build an image from a Dockerfile: its text, a folder with one, or both.

        Parameters
        ----------
        name
            What it is to be called.
        dockerfile
            Its text; by default it is read from `folder`.
        folder
            What ``COPY`` finds.
        arguments
            What ``ARG`` gets.

        Raises
        ------
        ImageBuildFailed
            With what the build said last.
        NotFound
            If an image that it begins from is not on this host.
        """
        repository, tag = self._free_name(name)
        place = Path(folder) if folder is not None else None
        if place is not None and not place.is_dir():
            raise NotFound(f"there is no folder {str(folder)!a}", hint="give the folder with the Dockerfile")
        if not dockerfile and (place is None or not (place / "Dockerfile").is_file()):
            raise InvalidValue("there is no Dockerfile", hint="give its text, or a folder that has one")
        text = dockerfile or (place / "Dockerfile").read_text() if place else dockerfile
        with progress(f"image {name}", quiet_s=1.0) as task, spoken(self._host):
            self._ensure_bases(text)
            told = self._docker.api().build(
                fileobj=_context(place, text), custom_context=True, tag=f"{repository}:{tag}", rm=True, forcerm=True,
                decode=True, buildargs=dict(arguments or {}), network_mode="none",
            )  # fmt: skip
            self._follow_build(name, told, task)
        return self[name]

    def _ensure_bases(self, text: str) -> None:
        """Have what the Dockerfile begins from, for Docker would ask for it outside of the lab."""
        stages = {"scratch"}
        for base, stage in _FROM.findall(text):
            if base.lower() not in stages and "$" not in base:
                self.resolve(base)
            stages.add(stage.lower())

    def _follow_build(self, name: str, told: Iterator[dict[str, Any]], task: Task) -> None:
        said: list[str] = []
        for line in told:
            check_cancelled()
            words = line.get("stream") or line.get("status") or ""
            said += [part for part in words.splitlines() if part.strip()]
            if words.startswith("Step "):
                task.phase(words.strip())
            if "error" in line:
                last = "\n".join(said[-12:])
                raise ImageBuildFailed(
                    f"the image {name} could not be built: {line['error'].strip()}; the build said:\n{last}",
                    host=self._host.name, hint="mend the step that failed in the Dockerfile",
                )  # fmt: skip

    def _free_name(self, name: str) -> tuple[str, str]:
        repository, _, tag = check_reference(name).partition(":")
        if repository in _OWN or repository in {entry.name for entry in of_lab.catalogue()}:
            raise InvalidName(f"{name!a} is a name that labkit uses itself", hint="choose another name")
        return repository, tag or "latest"

    # From host to host

    def push(self, name: str) -> DockerImage:
        """Put an image into the lab's registry (`lab.registry`), from which every host can pull it."""
        image = self[name]
        repository, tag = check_reference(name).split(":")
        with progress(f"push {name}", quiet_s=1.0) as task, spoken(self._host):
            remote = f"{self._host.lab.registry.start()}/{repository}"
            api = self._docker.api()
            api.tag(image.id, remote, tag)
            try:
                self._follow_transfer(name, api.push(remote, tag, stream=True, decode=True), task)
            finally:
                with contextlib.suppress(EngineError, NotFound), spoken(self._host):
                    api.remove_image(f"{remote}:{tag}")
        return image

    def pull(self, name: str) -> DockerImage:
        """Bring an image from the lab's registry, under the name that it was pushed with."""
        repository, _, tag = check_reference(name).partition(":")
        with progress(f"pull {name}", quiet_s=1.0) as task:
            registry = self._host.lab.registry
            remote = f"{registry.start()}/{repository}"
            if name.removesuffix(":latest") not in (there := registry.images()):
                raise NotFound(
                    f"the lab's registry has no image {name!a}", host=self._host.name,
                    hint=f"it has: {', '.join(there) or 'none'}; images.push(…) on the host that has it",
                )  # fmt: skip
            with spoken(self._host):
                api = self._docker.api()
                self._follow_transfer(name, api.pull(remote, tag, stream=True, decode=True), task)
                api.tag(f"{remote}:{tag}", repository, tag)
                api.remove_image(f"{remote}:{tag}")
        return self[name]

    def _follow_transfer(self, name: str, told: Iterator[dict[str, Any]], task: Task) -> None:
        for line in told:
            check_cancelled()
            if "error" in line:
                raise EngineError(f"Docker: {name}: {line['error']}", host=self._host.name,
                                  hint="see registry.log in the folder of the host with the registry")  # fmt: skip
            amount = line.get("progressDetail") or {}
            if amount.get("total"):
                task.phase(line["status"].lower(), min(1.0, amount["current"] / amount["total"]))


def check_reference(name: str) -> str:
    """The name of an image with its tag, ``web:latest`` for ``web``; no registry is part of it.

    Raises
    ------
    InvalidName
    """
    if not isinstance(name, str) or not _REFERENCE.fullmatch(name):
        raise InvalidName(
            f"{ascii(name)[:80]} cannot be the name of an image",
            hint='write it like "web" or "web:2"; images from outside of the lab are not fetched',
        )
    return name if ":" in name else f"{name}:latest"


def _context(folder: Path | None, dockerfile: str) -> io.BufferedIOBase | Any:
    """The tar that Docker builds from."""
    import tarfile

    from docker.utils.build import tar

    if folder is not None:
        ignored: list[str] = []
        with contextlib.suppress(FileNotFoundError):
            lines = (folder / ".dockerignore").read_text().splitlines()
            ignored = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        # What is given as text is the Dockerfile, whatever lies in the folder.
        return tar(str(folder), exclude=ignored, dockerfile=("Dockerfile", dockerfile))  # type: ignore[arg-type]
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo("Dockerfile")
        data = dockerfile.encode()
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
    packed.seek(0)
    return packed
