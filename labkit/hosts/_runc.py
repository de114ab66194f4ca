"""An OCI runtime that asks runc for no more rights than there are.

Where this machine lacks a capability altogether (sandboxes often lack CAP_SYS_RESOURCE), runc
refuses a privileged container. Run as a file, so it uses the standard library only.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

# By number, see linux/capability.h.
_NAMES = (
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
    "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
    "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
    "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
    "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
    "CHECKPOINT_RESTORE",
)  # fmt: skip


def lacking(status: str = "/proc/self/status") -> set[str]:
    """The capabilities that no process here can have."""
    line = next(line for line in Path(status).read_text().splitlines() if line.startswith("CapBnd:"))
    mask = int(line.split()[1], 16)
    return {f"CAP_{name}" for number, name in enumerate(_NAMES) if not mask >> number & 1}


def strip(config: Path) -> None:
    """Take the capabilities that cannot be had from a container's configuration, or from a process's."""
    content = json.loads(config.read_text())
    missing = lacking()
    sets = content.get("process", content).get("capabilities") or {}
    for kind, names in sets.items():
        sets[kind] = [name for name in names if name not in missing]
    config.write_text(json.dumps(content))


def main() -> None:
    """Strip what is about to be created or run in a container, then be runc."""
    words = sys.argv[1:]
    if "exec" in words and "--process" in words:
        strip(Path(words[words.index("--process") + 1]))
    elif "create" in words or "run" in words:
        strip(Path(words[words.index("--bundle") + 1] if "--bundle" in words else ".", "config.json"))
    os.execvp("runc", ["runc", *words])


if __name__ == "__main__":
    main()
