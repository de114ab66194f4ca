"""What Vagrant says, the errors made of it, and the files in vagrant/ as Vagrant and Ruby read them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from _vagrant import FOLDER, needs_vagrant
from _wait import until

from labkit import Vagrant
from labkit.errors import (
    Busy,
    DaemonFailed,
    DeadlineExceeded,
    EngineError,
    ImageDamaged,
    InvalidValue,
    LabError,
    NotEnoughDisk,
    NotFound,
    PackageMissing,
    VersionsDoNotFit,
)
from labkit.hosts import _vagrant_file, _vagrant_lines, _vagrant_ready, _xen_qemu
from labkit.hosts._vagrant_run import Here, in_words
from labkit.hosts.acceleration import SLOW_FLAGS
from labkit.storage._system import BROKEN_FLAGS

REPOSITORY = Path(__file__).parent.parent.parent


def account_of(text: str) -> _vagrant_lines.Account:
    account = _vagrant_lines.Account()
    for line in text.splitlines():
        account.hear(line)
    return account


def test_a_line_is_taken_apart() -> None:
    """Commas and line breaks in a field come back as they were."""
    line = _vagrant_lines.parse("1795624567,alpha,ui,info,==> alpha: one%!(VAGRANT_COMMA) two\\n==> alpha: three")
    assert line
    assert (line.target, line.kind, line.words) == ("alpha", "ui", "one, two\nthree")
    assert _vagrant_lines.parse("/usr/lib/ruby/x.rb:7:in `create': no (Libvirt::Error)") is None
    assert _vagrant_lines.parse("1795624567,alpha,state,not_created").data == ("not_created",)  # type: ignore[union-attr]


def test_the_last_lines_are_kept_without_ruby() -> None:
    """An error quotes what Vagrant said last, not the path through its own code."""
    account = account_of("1,alpha,ui,info,==> alpha: Starting domain.\nruby: it broke\n\tfrom a.rb:1:in `b'\n")
    assert account.last == "Starting domain.\nruby: it broke"


def test_a_field_of_several_lines_is_shown_as_several() -> None:
    """What a provisioning script writes at once comes as one field; none of its lines is lost."""
    account = _vagrant_lines.Account()
    shown = account.hear("1,alpha,ui,detail,    alpha: labkit: did: one\\n    alpha: labkit: did: two")
    assert shown == ["labkit: did: one", "labkit: did: two"]


def test_what_runs_is_followed_line_by_line(tmp_path: Path) -> None:
    """Its lines come as they are written, its exit code at the end, also if a child of it keeps the output open."""
    heard: list[str] = []
    script = "echo $WHO; pwd >&2; sleep 4 & printf end; exit 3"
    code = Here().follow(["sh", "-c", script], {"WHO": "me"}, tmp_path, 60, heard.append)
    assert (code, heard) == (3, ["me", str(tmp_path), "end"])


def test_what_takes_too_long_is_ended(tmp_path: Path) -> None:
    """At its deadline it is killed with all that it has started."""
    script = f"sh -c 'echo $$ > {tmp_path}/pid; exec sleep 600' & wait"
    account = account_of("1,alpha,ui,info,==> alpha: Booting")
    with pytest.raises(DeadlineExceeded, match="Booting"), in_words(account, "vagrant up", 0.5, "alpha"):
        Here().follow(["sh", "-c", script], {}, tmp_path, 0.5, lambda line: None)
    pid = int((tmp_path / "pid").read_text())
    until(lambda: not is_running(pid), "the child has ended")


def is_running(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


# As Vagrant 2.3.4 with vagrant-libvirt 0.11.2 wrote them.
_EARLY = "Vagrant failed to initialize at a very early stage:\n\n"
_LIBVIRT = "VagrantPlugins::ProviderLibvirt::Errors"
_SAID: dict[str, tuple[str, type[LabError], str]] = {
    "no plugin": (
        """1,,error-exit,Vagrant::Errors::ProviderNotFound,The provider 'libvirt' could not be found""",
        PackageMissing, "packages vagrant",
    ),
    "a plugin that breaks": (
        f"{_EARLY}The plugins failed to load properly.\n\nundefined method foo for Vagrant:Module",
        VersionsDoNotFit, "from one source",
    ),
    "a plugin that wants others": (
        f"{_EARLY}The plugins failed to initialize correctly.\n{'text' * 9}\nUnable to resolve dependency: 'x (= 0)'",
        VersionsDoNotFit, "from one source",
    ),
    "a Vagrant that is too old": (
        f"{_EARLY}This environment requires\nversion to satisfy the following version requirements:\n\n  >= 9.0\n",
        VersionsDoNotFit, "from one source",
    ),
    "a syntax error": (
        f"{_EARLY}There is a syntax error in the following Vagrantfile. The message\n\nVagrantfile:1: unexpected end",
        InvalidValue, "correct the file",
    ),
    "no libvirt": (
        f"1,,error-exit,{_LIBVIRT}::FogLibvirtConnectionError,Error while connecting: No such file or directory",
        DaemonFailed, "doctor",
    ),
    "a wrong checksum": (
        "1,,error-exit,Vagrant::Errors::BoxChecksumMismatch,The checksum of the downloaded box did not match\\nit.",
        ImageDamaged, "build-box --force",
    ),
    "no such box": ("1,,error-exit,Vagrant::Errors::BoxAddShortNotFound,The box could not be found", NotFound, "build"),
    "locked": ("1,,error-exit,Vagrant::Errors::MachineActionLockedError,An action is in progress", Busy, "wait"),
    "a full disk": (
        f"1,,error-exit,{_LIBVIRT}::FogCreateDomainVolumeError,cannot write: No space left on device",
        NotEnoughDisk, "free some room",
    ),
    "a full disk in the host": (
        """\
1,alpha,ui,error,    alpha: mv: write error: No space left on device
1,,error-exit,Vagrant::Errors::VagrantError,The SSH command responded with a non-zero exit status.""",
        NotEnoughDisk, "free some room",
    ),
    "a state that cannot be loaded": (
        """\
/usr/lib/ruby/vendor_ruby/fog/libvirt/requests/compute/vm_action.rb:7:in `create': Call to virDomainCreateWithFlags \
failed: internal error: qemu unexpectedly closed the monitor: qemu-system-x86_64: vCPU set in guest-mode inconsistent \
with migrated kernel nested state (Libvirt::Error)""",
        EngineError, "managedsave-remove",
    ),
    "something else": ("1,,error-exit,Vagrant::Errors::SomethingNew,It went wrong.", EngineError, "destroy"),
    "nothing": ("", EngineError, "destroy"),
}  # fmt: skip


@pytest.mark.parametrize("what", _SAID)
def test_what_vagrant_fails_of_is_a_typed_error(what: str) -> None:
    """The error is of the kind that fits, quotes Vagrant, names the host and says what to do."""
    text, kind, hint = _SAID[what]
    error = _vagrant_lines.failure(account_of(text), 1, "alpha")
    assert type(error) is kind
    assert isinstance(error, LabError)
    assert hint in error.hint
    assert error.host == "alpha"
    if text:
        assert text.split(",")[-1].split("\\n")[-1].splitlines()[-1].strip()[-20:] in error.message


def test_what_becomes_of_hosts_is_checked_at_the_door() -> None:
    """A word that nobody knows is refused before anything is made, with those that are known."""
    with pytest.raises(InvalidValue, match="destroy") as caught:
        Vagrant(FOLDER, carrier=None, at_end="destroy")
    assert "suspend, halt, keep" in caught.value.hint


def test_the_network_of_vagrant_leads_to_the_lab_only() -> None:
    """It is open to the carrier's links, which lead to the lab's hosts: nothing is translated for a way out."""
    xml = _vagrant_ready.network_xml()
    assert re.findall(r'forward mode="(\w+)"', xml) == ["open"]
    assert re.findall(r'address="([\d.]+)"', xml) == ["198.19.200.1"]
    assert "no-ping" in xml


@pytest.mark.parametrize("script", sorted((FOLDER / "provision").glob("*.sh")), ids=lambda path: path.stem)
def test_provisioning_is_posix_shell(script: Path) -> None:
    """Each script can be parsed by the shell that runs it."""
    subprocess.run(["sh", "-n", script], check=True)


@needs_vagrant
@pytest.mark.parametrize("provider", ["libvirt", "virtualbox"])
def test_vagrant_accepts_the_vagrantfile(tmp_path: Path, provider: str) -> None:
    """`vagrant validate` finds no mistake in it, for libvirt and for VirtualBox."""
    asked = tmp_path / "bin"
    asked.mkdir()
    (asked / "VBoxManage").write_text("#!/bin/sh\n[ $# -gt 0 ] && echo 7.0.10r158379\n")  # it asks for no more
    (asked / "VBoxManage").chmod(0o755)
    done = vagrant(tmp_path, ["validate"], PATH=f"{asked}:{os.environ['PATH']}", VAGRANT_DEFAULT_PROVIDER=provider)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"alpha,metadata,provider,{provider}" in done.stdout


@needs_vagrant
def test_vagrant_accepts_a_host_that_boots_xen(tmp_path: Path) -> None:
    """Also before Vagrant has the box that says where Xen lies."""
    path = tmp_path / "hosts.yml"
    path.write_text((FOLDER / "hosts.yml").read_text().replace("  beta:\n", "  beta:\n    engines: [xen]\n"))
    done = vagrant(tmp_path, ["validate"], LABKIT_HOSTS=str(path))
    assert done.returncode == 0, done.stdout + done.stderr


@needs_vagrant
def test_a_missing_plugin_is_told(tmp_path: Path) -> None:
    """Vagrant without the plugin for libvirt: what it says becomes PackageMissing."""
    done = vagrant(tmp_path, ["up", "alpha"], VAGRANT_NO_PLUGINS="1")
    assert isinstance(_vagrant_lines.failure(account_of(done.stdout), done.returncode, ""), PackageMissing)


@needs_vagrant
def test_a_plugin_that_does_not_fit_is_told(tmp_path: Path) -> None:
    """A plugin that calls what this Vagrant does not have: what it says becomes VersionsDoNotFit."""
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "vagrant-libvirt.rb").write_text("Vagrant.no_such_method\n")
    done = vagrant(tmp_path, ["validate"], RUBYLIB=str(broken))
    error = _vagrant_lines.failure(account_of(done.stdout + done.stderr), done.returncode, "")
    assert isinstance(error, VersionsDoNotFit)
    assert "no_such_method" in error.message


@needs_vagrant
def test_a_box_with_a_wrong_checksum_is_refused(tmp_path: Path) -> None:
    """Vagrant compares the box with the sum beside it; what it says becomes ImageDamaged."""
    (tmp_path / "cache/boxes").mkdir(parents=True)
    box = tmp_path / "cache/boxes/labkit-debian.box"
    box.write_bytes(b"not what was built")
    box.with_name(f"{box.name}.sha256").write_text(f"{'0' * 64}  {box.name}\n")
    sums = ["--checksum-type", "sha256", "--checksum", "0" * 64]
    done = vagrant(tmp_path, ["box", "add", "--name", "labkit/debian", *sums, str(box)])
    error = _vagrant_lines.failure(account_of(done.stdout), done.returncode, "")
    assert isinstance(error, ImageDamaged), str(error)


@needs_vagrant
def test_ruby_and_python_read_the_same(tmp_path: Path) -> None:
    """The Vagrantfile's reader gives each host the size, engines and addresses that labkit's gives it."""
    code = (
        'require "json"; require "yaml"; require ARGV[0]; plan = Plan.new(ARGV[1]); '
        "puts JSON.generate(plan.hosts.transform_values { |host| "
        '{"cpus" => host["cpus"], "memory" => plan.send(:bytes, host["memory"]), '
        '"disk" => plan.send(:bytes, host["disk"]), "engines" => host["engines"], '
        '"addresses" => host.fetch("addresses", {})} })'
    )
    path = tmp_path / "hosts.yml"
    shutil.copy(FOLDER / "hosts.yml", path)
    path.write_text(path.read_text().replace("  beta:\n", "  beta:\n    memory: 1.5 GB\n    engines: []\n"))
    done = subprocess.run(["ruby", "-e", code, FOLDER / "plan.rb", path], capture_output=True, text=True, check=True)
    ours = {
        name: {
            "cpus": host.cpus, "memory": host.memory_bytes, "disk": host.disk_bytes, "engines": list(host.engines),
            "addresses": {network: str(address) for network, address in host.addresses.items()},
        }
        for name, host in _vagrant_file.read(path).hosts.items()
    }  # fmt: skip
    assert json.loads(done.stdout) == ours


def test_an_emulated_processor_lacks_the_same_everywhere() -> None:
    """The Vagrantfile leaves out the processor flags that labkit's own emulated systems do without."""
    plan = (FOLDER / "plan.rb").read_text()
    assert f"BROKEN = %w[{' '.join(BROKEN_FLAGS)}].freeze" in plan
    assert f"SLOW = %w[{' '.join(SLOW_FLAGS)}].freeze" in plan


def test_xen_is_told_the_same_everywhere() -> None:
    """The Vagrantfile gives Xen the words of labkit's own Xen hosts, but for its processors and what a reboot does."""
    words = " ".join(re.findall(r'words \+?= "([^"]*)"', (FOLDER / "plan.rb").read_text()))
    ours = _xen_qemu._XEN.format(dom0="#{dom0}", vcpus=0).split()
    assert sorted(words.split()) == sorted(set(ours) - {"dom0_max_vcpus=0", "noreboot"})


@needs_vagrant
def test_the_workstation_gets_the_checkout(tmp_path: Path) -> None:
    """The archive for the workstation has the files of the checkout, with their modes, and nothing that was built."""
    checkout, target = tmp_path / "my lab", tmp_path / "dot"
    for name in ("lab", "labkit/lab.py", ".venv/bin/python", ".git/config", "labkit/__pycache__/lab.pyc", ".ci"):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text(name)
    (checkout / "lab").chmod(0o755)
    code = "require ARGV[0]; require 'yaml'; Plan.new(ARGV[1]).pack(ARGV[2])"
    subprocess.run(
        ["ruby", "-e", code, FOLDER / "plan.rb", FOLDER / "hosts.yml", checkout],
        env=os.environ | {"VAGRANT_DOTFILE_PATH": str(target)}, check=True,
    )  # fmt: skip
    with tarfile.open(target / "labkit.tar.gz") as archive:
        assert sorted(archive.getnames()) == [".ci", "lab", "labkit/lab.py"]
        assert archive.getmember("lab").mode == 0o755


def vagrant(home: Path, argv: list[str], **more: str) -> subprocess.CompletedProcess[str]:
    """Run Vagrant with everything of its own below `home`."""
    environment = os.environ | {
        "HOME": str(home), "VAGRANT_HOME": str(home), "VAGRANT_CWD": str(FOLDER),
        "VAGRANT_DOTFILE_PATH": str(home / "dot"), "VAGRANT_CHECKPOINT_DISABLE": "1",
        "VAGRANT_NO_COLOR": "1", "VAGRANT_DEFAULT_PROVIDER": "libvirt", "LABKIT_ACCELERATION": "tcg",
    }  # fmt: skip
    return subprocess.run(
        ["vagrant", *argv, "--machine-readable"], env=environment | more, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
