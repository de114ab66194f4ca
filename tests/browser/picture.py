"""Makes the picture of README: ``python tests/browser/picture.py [FILE]``, a lab in JupyterLab as it is."""

from __future__ import annotations

import sys
from pathlib import Path

from _jupyter import REPOSITORY, notebook_in_browser

CELLS = [
    'from labkit import Lab\n\nlab = Lab.open("office", hosts=["alpha", "beta"])\nlab.networks.create("lan")\nlab',
    'web = lab["alpha"].kvm.create("web", memory="128 MiB", networks=["lan"])\nweb',
    'box = lab["beta"].lxc.create("box", networks=["lan"])\nweb.run(["ping", "-c", "1", "box"])',
    'lab["beta"].kvm.create("db", networks=["lan"]).pause()',
    "web.terminal(rows=6)",
]


def make(target: Path) -> None:
    """Run the cells in JupyterLab, and write what a person then sees to `target`."""
    with notebook_in_browser(CELLS, 1100, 1400) as (page, _):
        page.evaluate("() => window.jupyterapp.commands.execute('application:toggle-left-area')")
        page.wait_for_timeout(9000)  # for the lines of use to have some length
        page.locator(".jp-WindowedPanel-outer").evaluate("(panel) => { panel.scrollTop = 0; }")
        page.wait_for_timeout(500)
        page.screenshot(path=target)


def main() -> None:
    """Make it, in a lab of its own that is ended afterwards."""
    from labkit import Lab, labs

    target = Path(sys.argv[1]) if len(sys.argv) > 1 else REPOSITORY / "notebooks" / "pictures" / "jupyterlab.png"
    try:
        make(target)
    finally:
        if "office" in {lab.name for lab in labs()}:
            Lab.attach("office").close()


if __name__ == "__main__":
    main()
