"""Makes a world for a command: a machine of its own whose internet is a second network namespace.

Run in a fresh network and mount namespace, as ``python _outside.py WORD…``: it connects the namespace
to what _internet.py plays and runs the command. In its environment is OUTSIDE, the socket that tells
which frames have come out of the machine. Nothing leaves the two namespaces.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from _internet import GATEWAY, MACHINE, MACS, RESOLVER, serve_names


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="outside-", dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        try:
            sys.exit(run_in_world(Path(folder), sys.argv[1:]))
        finally:
            subprocess.run(["umount", "--lazy", "/etc", f"{folder}/etc"], check=False)


def run_in_world(folder: Path, argv: list[str]) -> int:
    """Run the command; its exit code."""
    for knob, value in (("ipv6/conf/all/disable_ipv6", "1"), ("ipv4/ping_group_range", "0 65535")):
        Path("/proc/sys/net", knob).write_text(value)
    resolver = os.environ.get("OUTSIDE_RESOLVER", RESOLVER)
    _lay_over_etc(folder / "etc", "resolv.conf", f"nameserver {resolver}\n")
    control = str(folder / "control")
    internet = subprocess.Popen(
        ["unshare", "--net", sys.executable, str(Path(__file__).with_name("_internet.py")), control],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        _expect(internet, "apart")
        lines = [
            "link set lo up",
            f"link add out0 address {MACS[0]} type veth peer name in0 address {MACS[1]} netns {internet.pid}",
            f"addr add {MACHINE}/24 dev out0", "link set out0 up", f"route add default via {GATEWAY}",
            f"neigh add {GATEWAY} lladdr {MACS[1]} dev out0 nud permanent",  # the machine itself has no need of ARP
        ]  # fmt: skip
        subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)
        assert internet.stdin
        internet.stdin.write("there is a link\n")
        internet.stdin.flush()
        _expect(internet, "up")
        if resolver.startswith("127."):  # as systemd-resolved is on many machines
            threading.Thread(target=serve_names, args=(resolver,), daemon=True).start()
        return subprocess.run(argv, env={**os.environ, "OUTSIDE": control}, check=False).returncode
    finally:
        internet.kill()
        internet.wait()


def _lay_over_etc(folder: Path, name: str, content: str) -> None:
    """Change a file of /etc here only; not by a mount on the file, over which a user's lab cannot lay its own."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(folder)], check=True)
    for part in ("upper", "work"):
        (folder / part).mkdir()
    options = f"lowerdir=/etc,upperdir={folder}/upper,workdir={folder}/work"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, "/etc"], check=True)
    file = Path("/etc", name)
    file.unlink(missing_ok=True)  # it may be a link to elsewhere
    file.write_text(content)


def _expect(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout
    said = process.stdout.readline().strip()
    assert said == word, f"the internet said {said!r}"


if __name__ == "__main__":
    main()
