// The dashboard: a calm row of controls, one legend for all plots, and below them plotly's figure.
import { child } from "./card.js";
import { html, live, LOST, nothing } from "./common.js";

const spell = (seconds) => seconds >= 60 ? `${+(seconds / 60).toPrecision(3)} min` : `${seconds} s`;
const DASHES = { solid: "", dash: "6 3", dot: "2 2.5" };

export function monitor({ model, el, looks }) {
  let told = 0;
  let pointed = null; // the place in the legend that the pointer is over: the other lines step back
  const ask = (name, words) => { if (!end.lost()) model.send({ ask: name, ...words }); };

  function pauseButton(off) {
    const paused = model.get("paused");
    return html`<button aria-disabled=${String(off)} aria-pressed=${String(paused)} class="lk-wide"
      title=${paused ? "let the picture move again" : "let the picture stand; readings go on"}
      @click=${() => { if (!off) ask("pause", { paused: !paused }); }}>${paused ? "▶ Resume" : "❚❚ Pause"}</button>`;
  }

  function windowButtons(off) {
    const now = model.get("window");
    const all = [...new Set([...model.get("windows"), now])].filter(Boolean).sort((a, b) => a - b);
    return html`<span class="lk-group" role="group" aria-label="window">${all.map((seconds) => html`<button
      aria-disabled=${String(off)} aria-pressed=${String(seconds === now)} title="show the last ${spell(seconds)}"
      @click=${() => { if (!off && seconds !== now) ask("window", { seconds }); }}>${spell(seconds)}</button>`)}</span>`;
  }

  function metricBox(off) {
    const on = model.get("metrics");
    const change = (name, checked) => {
      const names = checked ? [...on, name] : on.filter((each) => each !== name);
      if (!off) ask("metrics", { names });
    };
    return html`<details class="lk-drop"><summary>Metrics: ${on.length}</summary><div class="lk-list" role="group" aria-label="metrics">
      ${model.get("offered").map(([name, title]) => {
        const checked = on.includes(name);
        const fixed = off || (checked ? on.length === 1 : on.length >= 8);
        return html`<label><input type="checkbox" .checked=${checked} ?disabled=${fixed} data-metric=${name}
          @change=${(event) => change(name, event.target.checked)}> ${title}</label>`;
      })}</div></details>`;
  }

  function machineBox(off) {
    const choice = model.get("choice");
    const on = choice.filter(([, , chosen]) => chosen).map(([key]) => key);
    const isAll = choice.every(([key, , chosen]) => chosen === key.includes("/"));
    const tell = (keys) => { if (!off) ask("machines", { keys }); };
    const entry = ([key, label, chosen]) => html`<label><input type="checkbox" .checked=${chosen} ?disabled=${off}
      data-machine=${key} @change=${(event) => tell(event.target.checked ? [...on, key] : on.filter((each) => each !== key))}> ${label}</label>`;
    const machines = choice.filter(([key]) => key.includes("/"));
    const hosts = choice.filter(([key]) => !key.includes("/"));
    return html`<details class="lk-drop"><summary>Machines: ${isAll ? "all" : on.length}</summary>
      <div class="lk-list" role="group" aria-label="machines">
        <div><button @click=${() => tell(null)}>all</button> <button @click=${() => tell([])}>none</button></div>
        ${machines.map(entry)}${hosts.length ? html`<div class="lk-dim">hosts</div>` : nothing}${hosts.map(entry)}
      </div></details>`;
  }

  const stepBack = () => pointed === null ? "" : `[data-plots="${model.get("own")}"] .scatterlayer g.trace:not([class$="place${pointed}"]) { opacity: 0.15 !important; }`;
  const point = (place) => ({
    handleEvent(event) {
      const is = event.type === "pointerenter" || (event.type === "focus" && event.target.matches(":focus-visible"));
      pointed = is ? place : null;
      end.redraw();
    },
  });

  function legend(off) {
    const lines = model.get("legend");
    const hidden = lines.filter((line) => line[5]).map(([key]) => key);
    const toggle = (key, isHidden) => ask("hide", { keys: isHidden ? hidden.filter((each) => each !== key) : [...hidden, key] });
    const swatch = (colour, dash) => html`<svg width="18" height="10" viewBox="0 0 18 10" aria-hidden="true"><line
      x1="1" y1="5" x2="17" y2="5" stroke=${colour} stroke-width="3" stroke-dasharray=${DASHES[dash] ?? ""}></line></svg>`;
    return html`<div class="lk-legend" role="group" aria-label="legend">${lines.map(([key, label, colour, dash, words, isHidden, place]) => key
      ? html`<button class="lk-plain" data-key=${key} ?data-gone=${!!words}
          @pointerenter=${point(place)} @pointerleave=${point(place)} @focus=${point(place)} @blur=${point(place)} aria-pressed=${String(!isHidden)} aria-disabled=${String(off)}
          title=${isHidden ? `show ${label} in all plots` : `hide ${label} in all plots`}
          @click=${() => { if (!off) toggle(key, isHidden); }}>${swatch(colour, dash)} ${label}${words ? html` <span class="lk-dim">${words}</span>` : nothing}</button>`
      : html`<span class="lk-others" @pointerenter=${point(place)} @pointerleave=${point(place)}>${swatch(colour, dash)} ${label}</span>`)}</div>`;
  }

  function status(lost) {
    const ended = model.get("ended");
    if (lost || ended) return html`<span class="lk-how" style="color: var(--lk-failed)"><span aria-hidden="true">✖</span> ${lost ? "the kernel was restarted" : ended}</span>`;
    return model.get("paused")
      ? html`<span class="lk-how" style="color: var(--lk-paused)"><span aria-hidden="true">❚❚</span> paused</span>`
      : html`<span class="lk-how" style="color: var(--lk-running)"><span aria-hidden="true">●</span> live</span>`;
  }

  function plots() {
    const titles = new Map(model.get("offered"));
    return `${model.get("metrics").map((name) => titles.get(name)).join(", ")}, the last ${spell(model.get("window"))}`;
  }

  function draw(lost) {
    const off = lost || !!model.get("ended");
    const [mark, colour, said] = model.get("said");
    const note = lost ? LOST : model.get("note");
    return html`<div class="lk-monitor" role="group" aria-label="monitor of ${model.get("title")}">
      <div class="lk-controls"><span class="lk-name">${model.get("title")}</span>${status(lost)}${pauseButton(off)}${windowButtons(off)}${metricBox(off)}${machineBox(off)}</div>
      <div class="lk-said" role="status">${said ? html`<span style="color: var(--lk-${colour})"><span aria-hidden="true">${mark}</span> ${said}</span>` : nothing}</div>
      ${note ? html`<div class="lk-dim">${note}</div>` : nothing}
      ${legend(off)}
      <style .textContent=${stepBack()}></style>
      <div class="lk-slot lk-plots" role="img" aria-label=${plots()} data-plots=${model.get("own")}></div></div>`;
  }

  const slot = child(model, el, "figure");
  const end = live({ model, el, looks }, draw, slot);
  const room = new ResizeObserver(([{ contentRect: { width } }]) => {
    if (width < 50 || Math.abs(width - told) < 10) return;
    told = width;
    ask("width", { across: width });
  });
  room.observe(el.querySelector(".lk-plots"));
  // A list that is open closes when somebody clicks elsewhere, or opens the other one.
  const fold = (event) => {
    for (const open of el.querySelectorAll("details.lk-drop[open]")) if (!open.contains(event.target)) open.open = false;
  };
  document.addEventListener("pointerdown", fold);
  return () => {
    document.removeEventListener("pointerdown", fold);
    room.disconnect();
    end();
  };
}
