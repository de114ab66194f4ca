"""The command ``labkit``."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence

from . import __doc__ as about
from .errors import LabError


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``labkit`` with `argv`; returns the exit code: 1 for a failure, 2 for a wrong call."""
    words = _parser().parse_args(argv)
    try:
        return int(words.execute(words))
    except LabError as error:
        print(f"labkit: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    from .course import _command

    parser = argparse.ArgumentParser(prog="labkit", description=(about or "").splitlines()[0])
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    doctor = commands.add_parser("doctor", help="check what labs need on this machine, or on a server")
    doctor.add_argument("--host", metavar="USER@SERVER", help="a server that is reached by ssh")
    doctor.add_argument("--port", type=int, help="of the server; by default what ~/.ssh/config says")
    doctor.add_argument("--identity", default="", help="the file with the private key for the server")
    doctor.add_argument("--option", action="append", default=[], help="an option of ssh's, such as ProxyJump=gate")
    doctor.add_argument("--json", action="store_true", help="print the findings as JSON")
    doctor.set_defaults(execute=_doctor)

    ps = commands.add_parser("ps", help="list labs, hosts and machines")
    ps.add_argument("--json", action="store_true", help="print the list as JSON")
    ps.set_defaults(execute=_ps)

    down = commands.add_parser("down", help="end labs and remove all they had")
    which = down.add_mutually_exclusive_group(required=True)
    which.add_argument("names", nargs="*", default=[], metavar="NAME")
    which.add_argument("--all", action="store_true", help="every lab of this user")
    down.set_defaults(execute=_down)

    metrics = commands.add_parser("metrics", help="let Prometheus read a lab, or print what it would read")
    metrics.add_argument("name", metavar="NAME", help="the lab")
    where = metrics.add_mutually_exclusive_group()
    where.add_argument("--port", type=int, help="serve on 127.0.0.1:PORT until Ctrl-C; 0 for a free one")
    where.add_argument("--socket", help="serve on a Unix socket instead")
    metrics.set_defaults(execute=_metrics)

    image = commands.add_parser("image", help="build, list and remove images")
    image.add_argument("action", choices=["build", "list", "remove"])
    image.add_argument("name", nargs="?", default="small")
    image.add_argument("--force", action="store_true", help="build it again although it is there")
    image.set_defaults(execute=_image)

    run = commands.add_parser("run", help="run notebooks headless")
    _command.add_arguments(run)
    run.set_defaults(execute=_command.execute)

    student = commands.add_parser("student", help="make the student edition of the notebooks")
    _command.add_student_arguments(student)
    student.set_defaults(execute=_command.execute_student)
    return parser


def _doctor(words: argparse.Namespace) -> int:
    if words.host:
        from .hosts._doctor_remote import examine_server
        from .hosts._login import Login

        report = examine_server(Login(words.host, words.port, words.identity, tuple(words.option)))
    else:
        from .hosts.doctor import examine

        report = examine(build_image=True)
    if words.json:
        print(report.to_json())
    else:
        from rich.console import Console

        Console().print(report)
    return 0 if report.can_start else 1


def _ps(words: argparse.Namespace) -> int:
    from ._listing import labs
    from ._views import lab_tree, labs_as_json

    found = labs()
    if words.json:
        print(json.dumps(labs_as_json(found), indent=2))
        return 0
    from rich.console import Console

    console = Console()
    for lab in found:
        console.print(lab_tree(lab))
    if not found:
        console.print("There are no labs.")
    return 0


def _down(words: argparse.Namespace) -> int:
    from ._listing import end_lab, labs
    from ._views import contents

    names = [lab.name for lab in labs()] if words.all else words.names
    for name in names:
        began = time.monotonic()
        had = contents(name)
        end_lab(name)
        print(f"{name}: removed {had} in {time.monotonic() - began:.1f} s")
    if not names:
        print("There are no labs.")
    return 0


def _metrics(words: argparse.Namespace) -> int:
    from .lab import Lab, watching

    with watching():  # to look on is no use of the lab
        lab = Lab.attach(words.name)
        if words.port is None and not words.socket:
            print(lab.metrics.prometheus(), end="")
            return 0
        with lab.metrics.serve(port=words.port or 0, socket=words.socket or "") as exporter:
            print(exporter.address, flush=True)
            while lab.is_alive:
                time.sleep(1)
    return 0


def _image(words: argparse.Namespace) -> int:
    from ._views import image_table
    from .storage import images

    if words.action == "build":
        image = images.build(words.name, force=True) if words.force else images.get(words.name)
        print(f"{image.name} {image.digest[:12]} in {image.folder}")
    elif words.action == "remove":
        images.remove(words.name)
        print(f"{words.name}: removed")
    else:
        from rich.console import Console

        Console().print(image_table(images.catalogue()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
