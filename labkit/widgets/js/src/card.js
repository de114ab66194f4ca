// The card of one machine.
import { bar, chip, html, live, LOST, nothing, percent, problem, sign, sparkline } from "./common.js";

const TITLES = {
  start: "boot it", resume: "let its processors go on", pause: "stop its processors where they are",
  stop: "shut it down in an orderly way", restart: "shut it down and boot it again",
  kill: "switch it off, as if the power failed", run: "run a command in it", console: "open its console",
  snapshot: "keep its state under a name", revert: "go back to a snapshot", clone: "make a second one with the same disk",
  resize: "change memory or processors", limits: "limit its processor time", stats: "show its counters",
  attach: "connect it to a network", detach: "take it from a network", link: "change its link to a network",
  migrate: "move it to another host", destroy: "end it and remove all it had",
};
const WORDS = {
  run: [["command", "command", "uname -a"]], snapshot: [["name", "name", "snap-1"]], revert: [["name", "snapshot", null]],
  clone: [["name", "name of the clone", ""]], migrate: [["to", "to host", null]],
  resize: [["memory", "memory", ""], ["vcpus", "processors", ""]], limits: [["cpus", "processors (empty: no limit)", "0.5"]],
  attach: [["network", "network", null], ["address", "address (empty: the next one)", ""]], detach: [["network", "network", null]],
  link: [["network", "network", null], ["cable", "cable (in or out)", "in"], ["bandwidth", "bandwidth (empty: no limit)", ""]],
};

export function card({ model, el, looks }) {
  let pressed = "";
  let asking = "";
  let counters = false;
  const redraw = () => end.redraw();

  function press(verb) {
    if (WORDS[verb] || verb === "destroy") {
      asking = asking === verb ? "" : verb;
      if (asking && WORDS[verb]?.some(([, , filled]) => filled === null)) model.send({ ask: "words", verb });
      redraw();
      if (asking) queueMicrotask(() => requestAnimationFrame(() => el.querySelector(".lk-ask input, .lk-ask select, .lk-ask button")?.focus()));
      return;
    }
    if (verb === "stats") {
      counters = !counters;
      redraw();
      return;
    }
    send(verb, {});
  }

  function send(verb, words) {
    pressed = verb === "console" ? "" : verb;
    asking = "";
    model.send({ ask: "verb", verb, words });
    redraw();
  }

  function button(verb, now, lost) {
    const busy = now.doing && (pressed === verb || now.doing.split(" ")[0] === verb);
    const off = lost || (!now.fit.includes(verb) && verb !== "console") || !!now.ended;
    const why = lost ? "the kernel was restarted" : now.doing ? `it is busy: ${now.doing}` : `not while it is ${now.state}`;
    return html`<button class=${verb === "destroy" ? "lk-danger" : ""} aria-disabled=${off ? "true" : "false"} ?data-busy=${busy}
      title=${off ? why : TITLES[verb]} data-verb=${verb}
      aria-expanded=${WORDS[verb] || verb === "destroy" ? String(asking === verb) : nothing}
      @click=${() => off || press(verb)}>${verb}${busy ? " …" : ""}</button>`;
  }

  function question(name) {
    if (!asking) return nothing;
    if (asking === "destroy") {
      return html`<div class="lk-ask" role="group" aria-label="destroy ${name}?">Destroy ${name} and all it has?
        <button class="lk-danger" @click=${() => send("destroy", {})}>Destroy</button>
        <button @click=${() => { asking = ""; redraw(); }}>Keep it</button></div>`;
    }
    const told = model.get("asking");
    const names = told.verb === asking ? told.names : [];
    const submit = (event) => {
      event.preventDefault();
      send(asking, Object.fromEntries(new FormData(event.target)));
    };
    return html`<form class="lk-ask" @submit=${submit} @keydown=${(event) => { if (event.key === "Escape") { asking = ""; redraw(); } event.stopPropagation(); }}>
      ${WORDS[asking].map(([key, label, filled]) => html`<label>${label}
        ${filled === null
          ? html`<select name=${key}>${names.map((each) => html`<option>${each}</option>`)}</select>`
          : html`<input type="text" name=${key} value=${filled} autocomplete="off" spellcheck="false">`}</label>`)}
      ${WORDS[asking][0][2] === null && !names.length ? html`<span class="lk-dim">there is none</span>` : html`<button type="submit">${asking}</button>`}
      <button type="button" @click=${() => { asking = ""; redraw(); }}>cancel</button></form>`;
  }

  function use(now, usage) {
    if (!usage.length || now.cpu === null) return nothing;
    return html`<dt>in use</dt><dd class="lk-use">
      <span title="processor time, where 100 % is one processor; the line is the last two minutes">${percent(now.cpu)}
        ${sparkline(usage.map(([cpu]) => cpu), 1, "var(--lk-busy)", `processor use, now ${percent(now.cpu)}`)}</span>
      <span title="memory of the host that it holds; the line is the last two minutes">${now.memory}
        ${sparkline(usage.map(([, memory]) => memory), 1, "var(--lk-paused)", `memory held, now ${now.memory}`)}</span></dd>`;
  }

  function draw(lost) {
    const fixed = model.get("fixed");
    const now = model.get("now");
    const usage = model.get("usage");
    const result = model.get("result");
    if (!now.doing) pressed = "";
    const absent = Object.entries(fixed.absent);
    const why = absent.map(([verb, reason]) => `${verb}: ${reason}`).join("\n");
    return html`<div class="lk-box" role="group" aria-label="machine ${fixed.name}, ${now.ended || now.state}">
      <div class="lk-head">${chip(looks, fixed.engine)}<span class="lk-name">${fixed.name}</span>
        <span class="lk-dim">on ${now.host}</span>
        <span class="lk-right" aria-live="polite">${now.ended ? html`<span class="lk-dim">${now.ended}</span>` : sign(looks, now.state)}</span></div>
      <dl class="lk-facts">
        ${fixed.facts.map(([label, value]) => html`<dt>${label}</dt><dd>${value}</dd>`)}
        ${now.networks.map(([name, address, mac, link]) => html`<dt>${name}</dt><dd>${address} <span class="lk-dim">(${mac})${link === "up" ? "" : html` · ${link}`}</span></dd>`)}
        ${counters || !now.ended ? use(now, usage) : nothing}
      </dl>
      ${now.ended ? nothing : html`<div class="lk-verbs" role="toolbar" aria-label="verbs of ${fixed.name}">
        ${fixed.verbs.filter((verb) => verb !== "stats").map((verb) => button(verb, now, lost))}
        ${absent.length ? html`<span class="lk-absent" tabindex="0" role="note" title=${why} aria-label="not possible here: ${why}">not here: ${absent.map(([verb]) => verb).join(", ")}</span>` : nothing}</div>`}
      ${now.doing ? html`<div class="lk-doing" role="status">${bar(now.fraction)} ${now.doing}${now.fraction === null ? "" : ` ${Math.round(100 * now.fraction)} %`}
        ${now.can_cancel ? html`<button aria-disabled=${String(lost)} title="take it back: the machine goes on where it was"
          @click=${() => lost || model.send({ ask: "cancel" })}>Cancel</button>` : nothing}</div>` : nothing}
      ${now.ended || lost ? nothing : question(fixed.name)}
      ${now.error.length ? problem(now.error, lost ? null : () => model.send({ ask: "dismiss" })) : nothing}
      ${result.command ? html`<div class="lk-dim" style="margin-top: 6px"><code>${result.command}</code>
        ${result.exit_code ? html`· ${sign(looks, "failed", `exit code ${result.exit_code}`)}` : nothing}
        <button class="lk-plain" aria-label="dismiss the output" @click=${() => model.send({ ask: "dismiss" })}>✕</button></div><pre>${result.text}</pre>` : nothing}
      ${lost ? html`<div class="lk-dim" style="margin-top: 6px">${LOST}</div>` : nothing}
      <div class="lk-slot"></div>
    </div>`;
  }

  const slot = child(model, el, "terminal");
  const end = live({ model, el, looks }, draw, slot);
  return end;
}

// A widget inside another: the view of the model whose id is in the trait `name`.
export function child(model, el, name) {
  let shown = "";
  return async () => {
    const wanted = model.get(name);
    if (wanted === shown) return;
    shown = wanted;
    const slot = el.querySelector(".lk-slot");
    slot.replaceChildren();
    slot.style.marginTop = wanted ? "10px" : "0";
    if (!wanted) return;
    const inner = await model.widget_manager.get_model(wanted);
    const view = await model.widget_manager.create_view(inner);
    if (shown !== wanted) return;
    const node = view.luminoWidget?.node ?? view.el;
    slot.append(node);
  };
}
