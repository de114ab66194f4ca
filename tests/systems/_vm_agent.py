"""Runs in the virtual machine of `_debian_vm`: carries out commands that come over a virtio port.

Each is a line of JSON, ``{"argv": …, "input": …, "timeout_s": …}``; so is each answer, ``{"code": …, "output": …}``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any


def carry_out(argv: list[str], input: str, timeout_s: float) -> dict[str, Any]:
    """Run one command; its stdout and stderr come back as one text."""
    try:
        done = subprocess.run(
            argv, input=input, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            timeout=timeout_s, check=False, cwd="/",
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        said = getattr(error, "stdout", None) or b""
        return {"code": None, "output": f"{error}\n{said.decode(errors='replace')}"}
    return {"code": done.returncode, "output": done.stdout}


def main() -> None:
    """Say that the system is up, then answer for ever."""
    port = os.open(sys.argv[1], os.O_RDWR)
    with open(port, "rb", closefd=False) as commands:
        os.write(port, b'{"code": 0, "output": "up"}\n')
        for line in commands:
            answer = json.dumps(carry_out(**json.loads(line))).encode() + b"\n"
            while answer:
                answer = answer[os.write(port, answer) :]


if __name__ == "__main__":
    main()
