"""What is known of Xen machines without Xen: their XML, what is noted in it, the talk with their agent."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from labkit.errors import EngineError, InvalidValue, LabGone
from labkit.machines._xen_agent import _Wire
from labkit.machines._xen_domain import KINDS, XenDomain, check_kind, interface_element, read_spec, with_spec
from labkit.machines.spec import NetworkInterface, XenSpec

CARD = NetworkInterface("lan", "52:54:00:aa:bb:cc", "198.19.1.2")


def domain(kind: str, **more: Any) -> XenDomain:
    spec = XenSpec("web", "small", 128 * 2**20, 2, 256 * 2**20, interfaces=(CARD,), kind=kind)
    words = {
        "spec": spec, "uuid": "6c61626b-6974-4000-8000-736d616c6c00", "kernel": Path("/k"), "initrd": Path("/i"),
        "cmdline": "root=/dev/vda rw console=ttyS0 quiet", "disk": Path("/run/labkit-disks/web"),
        "bridges": {"lan": "lab1"},
    }  # fmt: skip
    return XenDomain(**{**words, **more})


@pytest.mark.parametrize("kind", KINDS)
def test_the_xml_says_what_was_asked(kind: str) -> None:
    """Kind, memory, processors, disk, card and agent are in it, and the kernel is told Xen's own devices."""
    root = ElementTree.fromstring(domain(kind).xml())
    machine = root.find("os/type")
    assert machine is not None
    assert machine.get("machine") == {"pv": "xenpv", "pvh": "xenpvh", "hvm": "xenfv"}[kind]
    assert root.findtext("memory") == "131072"
    assert root.find("vcpu").attrib["current"] == "2"  # type: ignore[union-attr]
    assert root.findtext("os/cmdline") == "root=/dev/xvda rw console=hvc0 quiet"
    assert root.find("devices/disk/source").attrib["dev"] == "/run/labkit-disks/web"  # type: ignore[union-attr]
    assert root.find("devices/interface/source").attrib["bridge"] == "lab1"  # type: ignore[union-attr]
    assert len(root.find("devices/interface/target").attrib["dev"] + "-emu") <= 15  # type: ignore[union-attr]
    assert root.find("devices/channel/target").attrib["type"] == "xen"  # type: ignore[union-attr]


def test_what_is_noted_is_read_again() -> None:
    """The specification comes back from the XML, also after it was changed there; a foreign domain has none."""
    made = domain("pv")
    assert read_spec(made.xml()) == made.spec
    other = XenSpec("web", "small", 1, 1, 1)
    assert read_spec(with_spec(made.xml(), other)) == other
    assert read_spec("<domain type='xen'><name>Domain-0</name></domain>") is None


@pytest.mark.parametrize("kind", ["kvm", "", None, 3, "<pv>"])
def test_what_is_no_kind_is_refused(kind: object) -> None:
    """Only the three kinds there are."""
    with pytest.raises(InvalidValue, match="pvh, pv, hvm"):
        check_kind(kind)


def test_a_name_in_a_network_is_escaped() -> None:
    """What is in an element is no XML of its own."""
    text = ElementTree.tostring(interface_element("web", NetworkInterface("lan", '"<x>'), "&b"), encoding="unicode")
    assert "<x>" not in text
    assert "&amp;b" in text


Agent = Callable[[bytes, socket.socket], None]


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Callable[[Agent], Path]]:
    """Start something that answers on a socket, once."""
    threads = []

    def start(answer: Agent) -> Path:
        path = tmp_path / "agent"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            with listener, listener.accept()[0] as sock:
                data = b""
                while not data.endswith(b"\n"):
                    data += sock.recv(1 << 16)
                answer(data, sock)

        threads.append(threading.Thread(target=serve))
        threads[-1].start()
        return path

    yield start
    for thread in threads:
        thread.join(10)


def _answer(data: bytes, result: dict[str, Any]) -> bytes:
    mark = json.loads(data.lstrip(b"\xff"))["id"]
    return json.dumps({**result, "id": mark}).encode() + b"\n"


def test_what_earlier_questions_left_is_passed_over(agent: Callable[[Agent], Path]) -> None:
    """Boot messages, the echo of the question, and answers to somebody else's are not taken for this one's."""
    early = b'login: \n7\n{"error": {"desc": "JSON parse error"}}\n{"return": {"pid": 1}, "id": 1}\n'
    path = agent(lambda data, sock: sock.sendall(early + data + _answer(data, {"return": {"pid": 7}})))
    with _Wire(path, "the agent", time.monotonic() + 10) as wire:
        assert wire.ask("guest-exec", path="true") == {"pid": 7}


def test_a_refusal_comes_in_the_agents_words(agent: Callable[[Agent], Path]) -> None:
    """An error says what the agent said."""
    path = agent(lambda data, sock: sock.sendall(_answer(data, {"error": {"desc": "no such file"}})))
    with _Wire(path, "the agent", time.monotonic() + 10) as wire, pytest.raises(EngineError, match="no such file"):
        wire.ask("guest-exec", path="true")


def test_an_agent_that_hangs_up_is_gone(agent: Callable[[Agent], Path]) -> None:
    """A connection that ends without an answer is told from silence."""
    path = agent(lambda _data, _sock: None)
    with _Wire(path, "the agent", time.monotonic() + 10) as wire, pytest.raises(LabGone):
        wire.ask("guest-ping")
