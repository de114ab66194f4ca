// The picture of a lab. What is written in it and where everything stands comes from Python; regions and
// links follow from that by the rules that labkit/networks/_picture.py has, too.
import { svg } from "lit-html";
import { repeat } from "lit-html/directives/repeat.js";
import { child } from "./card.js";
import { html, live, LOST, nothing } from "./common.js";

const [ROW, FIRST, PORT, PAD, HEADER, MARGIN] = [15, 12, 7, 12, 28, 8];
const EMPTY = { width: 312, height: 26 };
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const boxAt = ([x, y], { width, height }) => ({ left: x - width / 2, top: y - height / 2, right: x + width / 2, bottom: y + height / 2 });
const around = (boxes) => ({
  left: Math.min(...boxes.map((box) => box.left)), top: Math.min(...boxes.map((box) => box.top)),
  right: Math.max(...boxes.map((box) => box.right)), bottom: Math.max(...boxes.map((box) => box.bottom)),
});
const grown = (box, across, up, down) => ({ left: box.left - across, top: box.top - up, right: box.right + across, bottom: box.bottom + down });

function regionOf(host, nodes, places) {
  const inside = host.inside.filter((id) => places[id]).map((id) => boxAt(places[id], nodes.get(id)));
  return grown(around(inside.length ? inside : [boxAt(places[host.id], EMPTY)]), PAD, HEADER, PAD);
}

function isOnLeft(machine, seen, places) {
  const own = new Set(seen.networks.filter((each) => each.own).map((each) => each.id));
  const mine = seen.links.filter((link) => link.machine === machine.id && !own.has(link.network)).map((link) => link.network);
  const there = mine.length ? mine : seen.networks.filter((each) => !each.own).map((each) => each.id);
  return !there.length || places[machine.id][0] <= there.reduce((sum, id) => sum + places[id][0], 0) / there.length;
}

function pathsOf(seen, nodes, places) {
  const found = seen.links.map((link) => {
    const machine = nodes.get(link.machine);
    const [x, y] = places[link.machine];
    const side = places[link.network][0] >= x ? 1 : -1;
    const startY = link.row < 0 ? y : y - machine.height / 2 + FIRST + ROW * link.row;
    return { link, side, x: x + side * machine.width / 2, y: startY };
  });
  for (const network of seen.networks) {
    for (const side of [-1, 1]) {
      const here = found.filter((each) => each.link.network === network.id && each.side === side);
      here.sort((a, b) => a.y - b.y); // stable
      const step = Math.min(PORT, (network.height - 12) / Math.max(1, here.length - 1));
      here.forEach((each, order) => {
        each.toX = places[network.id][0] - side * network.width / 2;
        each.toY = places[network.id][1] + step * (order - (here.length - 1) / 2);
      });
    }
  }
  return found;
}

function curve({ x, y, toX, toY, side }) {
  const bend = side * Math.max(24, Math.abs(toX - x) / 2);
  return `M${x} ${y}C${x + bend} ${y} ${toX - bend} ${toY} ${toX} ${toY}`;
}

export function topology({ model, el, looks }) {
  let view = null; // what part is shown, if not all: left, top, width, height
  let held = null; // what the pointer drags
  let hot = ""; // what the pointer is over
  let order = []; // in which Tab goes through the machines
  let ordered = ""; // for which of them, laid out how, that is
  const redraw = () => end.redraw();

  const nodesOf = (seen) => new Map([...seen.machines, ...seen.networks].map((each) => [each.id, each]));

  // From top to bottom, host by host; not anew when one is moved, for then it would lose the focus.
  function inOrder(seen, places) {
    const now = `${model.get("arranged")} ${seen.machines.map((each) => each.id).sort().join(" ")}`;
    if (now !== ordered) {
      const hosts = new Map(seen.hosts.flatMap((host, number) => host.inside.map((id) => [id, number])));
      order = seen.machines.map((each) => each.id);
      order.sort((a, b) => hosts.get(a) - hosts.get(b) || places[a][1] - places[b][1]);
      ordered = now;
    }
    return [...seen.machines].sort((a, b) => order.indexOf(a.id) - order.indexOf(b.id));
  }

  function placesNow() {
    const places = model.get("places");
    if (!held?.ids.length || !held.moved) return places;
    const moved = { ...places };
    for (const id of held.ids) if (places[id]) moved[id] = [places[id][0] + held.by[0], places[id][1] + held.by[1]];
    return moved;
  }

  function whole(seen, nodes, places) {
    const boxes = [...seen.networks.map((each) => boxAt(places[each.id], each)), ...seen.hosts.map((host) => regionOf(host, nodes, places))];
    const { left, top, right, bottom } = grown(boxes.length ? around(boxes) : { left: 0, top: 0, right: 300, bottom: 40 }, MARGIN, MARGIN, MARGIN);
    return [left, top, right - left, bottom - top];
  }

  function toPicture(event) {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(el.querySelector(".lk-topo").getScreenCTM().inverse());
    return [point.x, point.y];
  }

  function move(ids, by) {
    const places = { ...model.get("places") };
    const moved = {};
    for (const id of ids) if (places[id]) moved[id] = places[id] = [Math.round(places[id][0] + by[0]), Math.round(places[id][1] + by[1])];
    model.set("places", places); // shown at once; Python says the same in a moment
    model.send({ ask: "move", places: moved });
    redraw();
  }

  function zoom(factor, middle) {
    const [left, top, width, height] = shownPart();
    const [x, y] = middle ?? [left + width / 2, top + height / 2];
    const scale = Math.min(8, Math.max(0.1, factor * (width / fitted[2]))) / (width / fitted[2]);
    view = [x - (x - left) * scale, y - (y - top) * scale, width * scale, height * scale];
    redraw();
  }

  let fitted = [0, 0, 300, 40];
  const shownPart = () => view ?? fitted;
  const open = (id) => end.lost() || model.send({ ask: "open", machine: id });

  // Pointer and keyboard

  function press(event, ids, id) {
    if (event.button !== 0 || held) return;
    event.stopPropagation();
    el.querySelector(".lk-topo").setPointerCapture(event.pointerId);
    held = { ids: end.lost() ? [] : ids, id, from: toPicture(event), by: [0, 0], at: [event.clientX, event.clientY], moved: false, view: shownPart(), pan: !ids.length };
  }

  function drag(event) {
    if (!held) return;
    if (!held.moved && Math.hypot(event.clientX - held.at[0], event.clientY - held.at[1]) < 4) return;
    held.moved = true;
    const [x, y] = toPicture(event);
    if (held.pan) {
      const [left, top, width, height] = shownPart();
      view = [left + held.from[0] - x, top + held.from[1] - y, width, height];
    } else {
      held.by = [x - held.from[0], y - held.from[1]];
    }
    redraw();
  }

  function release() {
    if (!held) return;
    const { ids, id, by, moved } = held;
    held = null;
    if (moved && ids.length) move(ids, by);
    else if (!moved && id) open(id);
    redraw();
  }

  function cancel() {
    held = null;
    redraw();
  }

  function wheel(event) {
    if (!event.ctrlKey && !event.metaKey) return; // the notebook scrolls
    event.preventDefault();
    zoom(Math.exp(Math.sign(event.deltaY) * 0.15), toPicture(event));
  }

  function key(event, id) {
    if (event.key === "Enter" || event.key === " ") open(id);
    else if (ARROWS[event.key] && !end.lost()) move([id], ARROWS[event.key].map((each) => 10 * each));
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  // The drawing

  const touches = (link) => link.machine === hot || link.network === hot;
  const over = (id) => { hot = held ? hot : id; redraw(); };

  function drawHost(host, nodes, places) {
    const { left, top, right, bottom } = regionOf(host, nodes, places);
    return svg`<g class="lk-t-grip" data-host=${host.id} @pointerdown=${(event) => press(event, host.inside.length ? host.inside : [host.id], "")}>
      <title>${host.title}</title>
      <rect class="lk-t-region" x=${left} y=${top} width=${right - left} height=${bottom - top} rx="8" stroke-dasharray=${host.ended ? "6 4" : nothing}></rect>
      <text class="lk-t-ink" x=${left + 12} y=${top + 19} font-size="13" font-weight="600">${host.name}<tspan class="lk-t-${host.ended ? "failed" : "dim"}" dx="10" font-size="10.5" font-weight="400">${host.ended ? `${looks.signs.failed[0]} ` : ""}${host.words}</tspan></text></g>`;
  }

  function drawLink(path, someHot) {
    const { link } = path;
    return svg`<g class=${someHot && !touches(link) ? "lk-t-faint" : ""} data-link="${link.machine} ${link.network}" data-up=${String(link.up)}><title>${link.title}</title>
      <path class=${link.up ? `lk-t-net${link.colour}` : "lk-t-down"} d=${curve(path)} fill="none" stroke-width=${touches(link) ? 2.6 : 1.4}
        stroke-dasharray=${link.up ? nothing : "4 4"}></path><path class="lk-t-wide" d=${curve(path)}></path></g>`;
  }

  function drawNetwork(network, places) {
    const [x, y] = places[network.id];
    const { left, top } = boxAt([x, y], network);
    return svg`<g class="lk-t-grip" data-network=${network.id} role="img" aria-label=${network.title} @pointerenter=${() => over(network.id)} @pointerleave=${() => over("")}
      @pointerdown=${(event) => press(event, [network.id], "")}><title>${network.title}</title>
      <rect class="lk-t-card lk-t-net${network.colour}" x=${left} y=${top} width=${network.width} height=${network.height} rx="12" stroke-width="2"></rect>
      <text class="lk-t-ink" x=${x} y=${y - 3} font-size="12" font-weight="600" text-anchor="middle">${network.name}</text>
      <text class="lk-t-dim" x=${x} y=${y + 12} font-size="10.5" text-anchor="middle">${network.words}</text></g>`;
  }

  function drawMachine(machine, seen, places) {
    const box = boxAt(places[machine.id], machine);
    const onLeft = isOnLeft(machine, seen, places);
    const left = box.left + (onLeft ? 4 : 100);
    const y = box.top + FIRST;
    const [label, ground, ink] = machine.engine;
    const chosen = model.get("selected") === machine.id;
    return svg`<g class="lk-t-machine" data-machine=${machine.id} data-state=${machine.state} tabindex="0" role="button" aria-label=${machine.title} aria-expanded=${String(chosen)}
      @pointerenter=${() => over(machine.id)} @pointerleave=${() => over("")} @focus=${() => over(machine.id)} @blur=${() => over("")}
      @pointerdown=${(event) => press(event, [machine.id], machine.id)} @keydown=${(event) => key(event, machine.id)}
      @click=${(event) => event.detail === 0 && open(machine.id)}><title>${machine.title}</title>
      <rect class="lk-t-card ${chosen ? "lk-t-chosen" : ""}" x=${box.left} y=${box.top} width=${machine.width} height=${machine.height} rx="4"></rect>
      <rect x=${left} y=${y - 7.5} width="42" height="15" rx="3" fill=${ground}></rect>
      <text x=${left + 21} y=${y + 3.5} font-size="9.5" font-weight="600" text-anchor="middle" fill=${ink}>${label}</text>
      <text class="lk-t-${machine.colour}" x=${left + 54} y=${y + 4} font-size="10" text-anchor="middle" aria-hidden="true">${machine.sign}</text>
      <text class="lk-t-ink" x=${left + 66} y=${y + 4} font-size="12">${machine.name}</text>
      <text class="lk-t-${machine.colour}" x=${box.right - (onLeft ? 100 : 6)} y=${y + 4} font-size="10.5" text-anchor="end">${machine.word}</text>
      ${machine.rows.map((address, row) => svg`<text class="lk-t-dim" x=${onLeft ? box.right - 6 : box.left + 6} y=${y + 4 + ROW * row} font-size="10.5" text-anchor=${onLeft ? "end" : "start"}>${address}</text>`)}</g>`;
  }

  function draw(lost) {
    const seen = model.get("seen");
    const places = placesNow();
    const nodes = nodesOf(seen);
    if ([...nodes.keys(), ...seen.hosts.map((host) => host.id)].some((id) => !places[id])) return html``; // half told
    if (!held) fitted = whole(seen, nodes, places);
    const [, , width, height] = fitted;
    const ended = model.get("ended");
    const someHot = seen.links.some(touches);
    return html`<div class="lk-head"><span class="lk-name">${model.get("title")}</span><span class="lk-dim">topology</span>
        <span class="lk-right" role="toolbar" aria-label="view of the picture">
          <button aria-label="nearer" title="nearer (Ctrl and the wheel, too)" @click=${() => zoom(1 / 1.25)}>+</button>
          <button aria-label="farther" title="farther" @click=${() => zoom(1.25)}>−</button>
          <button title="show all of it" @click=${() => { view = null; redraw(); }}>fit</button>
          <button aria-disabled=${String(lost || !!ended)} title="lay everything out anew" @click=${() => { if (!lost && !ended) { view = null; model.send({ ask: "arrange" }); } }}>arrange</button></span></div>
      <svg class="lk-topo" data-lm-suppress-shortcuts="true" role="group" aria-label="topology of ${seen.title}" viewBox=${shownPart().join(" ")}
        style="aspect-ratio: ${width} / ${height}; max-width: ${Math.round(1.2 * width)}px" ?data-held=${!!held?.moved}
        @pointerdown=${(event) => press(event, [], "")} @pointermove=${drag} @pointerup=${release} @pointercancel=${cancel} @wheel=${wheel}>
        ${repeat(seen.hosts, (host) => host.id, (host) => drawHost(host, nodes, places))}
        ${repeat(pathsOf(seen, nodes, places), ({ link }) => `${link.machine} ${link.network}`, (path) => drawLink(path, someHot))}
        ${repeat(seen.networks, (network) => network.id, (network) => drawNetwork(network, places))}
        ${repeat(inOrder(seen, places), (machine) => machine.id, (machine) => drawMachine(machine, seen, places))}</svg>
      ${model.get("note") ? html`<div class="lk-dim">${model.get("note")}</div>` : nothing}
      ${ended || lost ? html`<div class="lk-dim" role="status">${ended || LOST}</div>` : nothing}
      ${model.get("card") ? html`<div class="lk-topo-card">${nodes.get(model.get("selected"))?.name ?? ""}
        <button class="lk-plain" aria-label="close the card" title="close the card" @click=${() => open("")}>✕</button></div>` : nothing}
      <div class="lk-slot"></div>`;
  }

  const end = live({ model, el, looks }, draw, child(model, el, "card"));
  return end;
}
