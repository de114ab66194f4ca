"""The link between a machine and a network: up or down, and how fast and how good it is."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .._values import format_duration, format_rate, parse_duration, parse_rate
from ..errors import EngineError, InvalidValue, NotSupported

if TYPE_CHECKING:
    from ..hosts.base import Host

# What enters the host's end is sent through a second device, for the kernel shapes only what leaves.
_SHAPE = """
link=$1 twin=$2 rate=$3 burst=$4 delay_us=$5 loss=$6
shape() {
    parent=root
    if [ "$delay_us" != 0 ] || [ "$loss" != 0 ]; then
        tc qdisc add dev "$1" root handle 1: netem delay "${delay_us}us" loss "$loss%" || return
        parent='parent 1:1'
    fi
    [ "$rate" = 0 ] || tc qdisc add dev "$1" $parent handle 10: tbf rate "${rate}bit" burst "$burst" latency 50ms
}
clear() {
    tc qdisc del dev "$link" root
    tc qdisc del dev "$link" ingress
    ip link del "$twin"
} 2>/dev/null
clear
[ "$rate $delay_us $loss" != '0 0 0' ] || exit 0
shape "$link" && ip link add "$twin" type ifb && ip link set "$twin" up && shape "$twin" &&
    tc qdisc add dev "$link" ingress &&
    tc filter add dev "$link" parent ffff: protocol all u32 match u32 0 0 \\
        action mirred egress redirect dev "$twin" && exit 0
clear
exit 1
"""
_HAS_NETEM = """
ip link add "probe$$" type ifb || exit
tc qdisc add dev "probe$$" root netem
found=$?
ip link del "probe$$"
exit $found
"""
_LEAST_BURST = 10_000
_BURST_S = 0.02


@dataclass(frozen=True, slots=True)
class Link:
    """How a machine is connected to a network.

    Attributes
    ----------
    up
        Whether its cable is plugged in.
    bits_per_second
        The most that goes through in each direction; 0: as much as can.
    delay_s
        Added to each packet, in each direction.
    loss
        The part of packets that is lost in each direction, 0 to 1.
    """

    up: bool = True
    bits_per_second: int = 0
    delay_s: float = 0.0
    loss: float = 0.0

    def changed(
        self, *, up: bool | None = None, bandwidth: float | str | None = None, delay: float | str | None = None,
        loss: float | None = None,
    ) -> Link:  # fmt: skip
        """The same with what is given, checked; None leaves it, 0 lifts a limit."""
        new: dict[str, Any] = {}
        if up is not None:
            new["up"] = bool(up)
        if bandwidth is not None:
            new["bits_per_second"] = 0 if bandwidth == 0 else parse_rate(bandwidth, "bandwidth")
        if delay is not None:
            new["delay_s"] = 0.0 if delay == 0 else parse_duration(delay, "delay")
            if new["delay_s"] > 10:
                raise InvalidValue(f"{ascii(delay)[:40]} is too long a delay", hint="give 10 s at most")
        if loss is not None:
            if isinstance(loss, bool) or not isinstance(loss, int | float) or not 0 <= loss <= 1:
                raise InvalidValue(f"{ascii(loss)[:40]} is no part of packets", hint="0.05 loses one in twenty")
            new["loss"] = float(loss)
        return replace(self, **new)

    def __str__(self) -> str:
        words = ["up" if self.up else "down"]
        if self.bits_per_second:
            words.append(format_rate(self.bits_per_second))
        if self.delay_s:
            words.append(f"delay {format_duration(self.delay_s)}")
        if self.loss:
            words.append(f"loss {100 * self.loss:.3g} %")
        return ", ".join(words)


def check(host: Host, link: Link) -> None:
    """Raise `NotSupported` if the kernel could not treat a link so; for one that is not there now."""
    if (link.delay_s or link.loss) and not host.run(["sh", "-c", _HAS_NETEM]).ok:
        raise _no_netem(host)


def _no_netem(host: Host) -> NotSupported:
    return NotSupported(
        "this kernel can neither delay nor lose packets (it has no NETEM)", host=host.name,
        hint="up= and bandwidth= work; where it is a module: modprobe sch_netem",
    )  # fmt: skip


def shape(host: Host, device: str, link: Link) -> None:
    """Have the kernel treat what goes through `device`, a machine's end on its host, as `link` says."""
    twin = "ifb" + hashlib.sha256(device.encode()).hexdigest()[:10]
    burst = max(_LEAST_BURST, round(link.bits_per_second / 8 * _BURST_S))
    words = [link.bits_per_second, burst, round(link.delay_s * 1e6), f"{100 * link.loss:g}"]
    done = host.run(["sh", "-c", _SHAPE, "labkit", device, twin, *map(str, words)])
    if done.ok:
        return
    if "qdisc kind is unknown" in done.stderr and (link.delay_s or link.loss):
        raise _no_netem(host)
    raise EngineError(f"the link {device} could not be changed: {done.stderr.strip()[-300:]}", host=host.name)
