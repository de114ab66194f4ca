"""The terminal in the notebook, on a real console and a real shell."""

from __future__ import annotations

import pytest
from _jupyter import Opener, attach, wait_until
from playwright.sync_api import Locator, Page, expect

from labkit import Lab
from labkit.machines.base import Machine


@pytest.fixture
def web(shared_lab: Lab) -> Machine:
    return shared_lab["alpha"].kvm.create("web", networks=["lan"])


def rows(page: Page, number: int = 0) -> Locator:
    return page.locator(".lk-terminal").nth(number).locator(".xterm-rows")


@pytest.mark.slow
def test_what_is_typed_has_its_effect(page: Page, open_notebook: Opener, web: Machine) -> None:
    """Keys reach the guest, UTF-8 and colours come back, and HTML is text."""
    open_notebook(attach(web.host.lab.name, 'lab["alpha"].kvm["web"].terminal()'))
    expect(rows(page)).to_contain_text("root@web:~#")  # the history
    page.locator(".lk-terminal .xterm").click()
    page.keyboard.type("echo typed-$((6*7)) >/run/typed\n")
    wait_until(lambda: web.run(["cat", "/run/typed"]).stdout == "typed-42\n")
    page.keyboard.insert_text("printf '\\033[32mgr\\303\\274n\\033[0m <img src=x onerror=alert(1)>\\n'")
    page.keyboard.press("Enter")
    expect(rows(page)).to_contain_text("grün <img src=x onerror=alert(1)>")
    assert page.locator(".lk-terminal img").count() == 0
    green = rows(page).locator("span", has_text="grün").last
    assert "xterm-fg-2" in (green.get_attribute("class") or "")


@pytest.mark.slow
def test_two_terminals_see_the_same(page: Page, open_notebook: Opener, web: Machine) -> None:
    """What is typed in one terminal is seen in another on the same console, and its size reaches the guest."""
    cell = 'm = lab["alpha"].kvm["web"]\ndisplay(m.terminal(rows=6), m.terminal(rows=6))'
    open_notebook(attach(web.host.lab.name, cell))
    for number in (0, 1):
        expect(rows(page, number)).to_contain_text("root@web:~#")
    page.locator(".lk-terminal .xterm").first.click()
    page.keyboard.type("echo se''en\n")
    for number in (0, 1):
        expect(rows(page, number)).to_contain_text("seen")

    def size() -> str:
        return web.run(["stty", "-F", "/dev/ttyS0", "size"]).stdout

    wait_until(lambda: size() != "0 0\n")
    shown = page.evaluate("() => document.querySelectorAll('.lk-terminal .xterm-rows')[0].children.length")
    wait_until(lambda: size().split()[0] == str(shown))


@pytest.mark.slow
def test_a_shell_of_its_own(page: Page, open_notebook: Opener, web: Machine) -> None:
    """`shell=True` is a login over the lab's network, with a terminal of the right size."""
    open_notebook(attach(web.host.lab.name, 'lab["alpha"].kvm["web"].terminal(shell=True, rows=10)'))
    expect(rows(page)).to_contain_text("root@web", timeout=30_000)
    page.locator(".lk-terminal .xterm").click()
    page.keyboard.type("tty; stty size; echo hel''lo >/run/shell\n")
    wait_until(lambda: web.run(["cat", "/run/shell"]).stdout == "hello\n")
    expect(rows(page)).to_contain_text("/dev/pts/")
    expect(rows(page)).to_contain_text("10 ")


@pytest.mark.slow
def test_a_flood_does_not_freeze_the_page(page: Page, open_notebook: Opener, shared_lab: Lab) -> None:
    """During 10 MB of output the page answers; afterwards the end is there, and what was left out is said."""
    shared_lab["alpha"].lxc.create("flood")  # a container: it writes faster than an emulated guest
    open_notebook(attach(shared_lab.name, 'lab["alpha"].lxc["flood"].terminal(shell=True, rows=10)'), "1 + 1")
    expect(rows(page)).to_contain_text("flood", timeout=30_000)
    page.locator(".lk-terminal .xterm").click()
    page.keyboard.type("yes | head -c 10000000; echo the-e''nd\n")
    slowest = page.evaluate(
        """async () => { let slowest = 0;
             for (let n = 0; n < 30; n++) {
               const began = performance.now();
               await new Promise((done) => setTimeout(done, 100));
               slowest = Math.max(slowest, performance.now() - began - 100);
             }
             return slowest; }"""
    )
    assert slowest < 1000, f"the page stood still for {slowest:.0f} ms"
    expect(rows(page)).to_contain_text("the-end", timeout=60_000)


@pytest.mark.slow
def test_a_machine_that_is_gone(page: Page, open_notebook: Opener, web: Machine) -> None:
    """A shell whose machine was destroyed says that the connection has ended."""
    open_notebook(attach(web.host.lab.name, 'lab["alpha"].kvm["web"].terminal(shell=True, rows=10)'))
    expect(rows(page)).to_contain_text("root@web", timeout=30_000)
    web.host.lab["alpha"].kvm.connection()
    web.run(["sh", "-c", "kill -9 $(pidof sshd)"])
    expect(page.locator(".lk-terminal")).to_contain_text("the connection has ended", timeout=30_000)
