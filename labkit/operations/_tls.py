"""The certificates by which a lab's hosts know each other when a machine moves; the lab makes them itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from .._paths import write_whole
from ..hosts._libvirtd import tls_folder

if TYPE_CHECKING:
    import trustme

    from ..hosts.base import Host
    from ..lab import Lab

_LAST = "client-key.pem"  # of a host's files it is written last


def ensure(lab: Lab, hosts: list[Host]) -> None:
    """Have each of the hosts own a key and a certificate by the lab's authority, for its QEMUs to use.

    They are made once, lie in folders that only their user may enter, and go with the lab. The files'
    names are QEMU's: https://www.qemu.org/docs/master/system/tls.html
    """
    folder = lab.folder / "tls"
    folder.mkdir(mode=0o700, exist_ok=True)
    with FileLock(folder / ".lock", timeout=60):
        missing = [host for host in hosts if not host.files.exists(tls_folder(host.folder) / _LAST)]
        if not missing:
            return
        authority = _authority(folder / "authority.pem")
        for host in missing:
            own = tls_folder(host.folder)
            leaf = authority.issue_cert(host.name, host.address, common_name=host.name)
            with host.files.together() as files:
                files.make_folder(own, there=True)
                files.write(own / "ca-cert.pem", authority.cert_pem.bytes(), whole=True)
                for role in ("server", "client"):
                    files.write(own / f"{role}-cert.pem", leaf.cert_chain_pems[0].bytes(), whole=True)
                    files.write(own / f"{role}-key.pem", leaf.private_key_pem.bytes(), whole=True)


def _authority(path: Path) -> trustme.CA:
    """The lab's authority, made if it is not there: its key and its certificate in one file."""
    import trustme  # takes a tenth of a second

    if not path.exists():
        made = trustme.CA(organization_name="labkit")
        write_whole(path, (made.private_key_pem.bytes() + made.cert_pem.bytes()).decode())
    text = path.read_bytes()
    begin = text.index(b"-----BEGIN CERTIFICATE")
    return trustme.CA.from_pem(cert_bytes=text[begin:], private_key_bytes=text[:begin])
