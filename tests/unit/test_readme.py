"""README's table of what each engine can do is what the engines say of themselves.

After a change, ``python tests/unit/test_readme.py`` writes it anew.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from types import SimpleNamespace

from labkit.machines.base import VERBS, Machine

README = Path(__file__).parent.parent.parent / "README.md"
BEGIN, END = "<!-- capabilities: begin (tests/unit/test_readme.py writes this) -->", "<!-- capabilities: end -->"
TITLES = {"kvm": "KVM", "xen": "Xen", "docker": "Docker", "lxc": "LXC"}
KINDS = tuple(TITLES)
YES, WITH_CGROUPS, NO = "●", "with cgroups", "–"


def machine_of(kind: str, *, cgroups: bool) -> Machine:
    """A machine that only knows whether its host has cgroups, which is all that its capabilities hang on."""
    importlib.import_module(f"labkit.machines.{kind}")
    cls = next(cls for cls in _kinds_of(Machine) if cls.engine == kind)
    machine = cls.__new__(cls)
    machine.host = SimpleNamespace(has_cgroups=cgroups, is_privileged=True)  # type: ignore[assignment]
    return machine


def _kinds_of(cls: type[Machine]) -> list[type[Machine]]:
    return [each for child in cls.__subclasses__() for each in (child, *_kinds_of(child))]


def generate() -> str:
    """The table and, below it, why what is not there is not there."""
    free, bound = ({kind: machine_of(kind, cgroups=has) for kind in KINDS} for has in (True, False))
    lines = ["| | " + " | ".join(TITLES[kind] for kind in KINDS) + " |", "|---|" + "---|" * len(KINDS)]
    notes: dict[tuple[str, str], list[str]] = {}
    for verb in sorted(VERBS):
        cells = []
        for kind in KINDS:
            able, always = verb in free[kind].capabilities, verb in bound[kind].capabilities
            word = free[kind].moves if verb == "migrate" else YES
            cells.append(word if always else WITH_CGROUPS if able else NO)
            if not always:
                reason, _ = bound[kind]._reasons()[verb]
                notes.setdefault((TITLES[kind], reason), []).append(f"`{verb}`")
        lines.append(f"| `{verb}` | " + " | ".join(cells) + " |")
    why = [f"- {title}, {', '.join(verbs)}: {reason}." for (title, reason), verbs in notes.items()]
    cold = ", ".join(TITLES[kind] for kind in KINDS if free[kind].moves == "cold")
    why.append(f"- {cold}, `migrate`: they are stopped, copied and started, with `live=False` or by `move()`.")
    why.append("- Docker, `migrate`: where CRIU works, a container without a terminal takes its memory along.")
    return "\n".join([BEGIN, *lines, "", *why, END])


def test_readme_says_what_the_engines_say() -> None:
    """The table in README is the one made from the machines' capabilities."""
    text = README.read_text()
    assert text[text.index(BEGIN) : text.index(END) + len(END)] == generate(), "python tests/unit/test_readme.py"


def main() -> None:
    """Write the table into README."""
    text = README.read_text()
    README.write_text(text[: text.index(BEGIN)] + generate() + text[text.index(END) + len(END) :])


if __name__ == "__main__":
    main()
