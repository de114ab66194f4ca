// The lab as a table, and the card of a host.
import { chip, html, live, LOST, nothing, percent, sign } from "./common.js";

// Drawn, for not every font has them: on a field of 12 by 12.
const PATHS = {
  start: "M3 1.5v9l7-4.5z", resume: "M3 1.5v9l7-4.5z", pause: "M3 2h2v8H3zM7 2h2v8H7z", stop: "M2.5 2.5h7v7h-7z",
  restart: "M6 2a4 4 0 1 0 4 4h-1.3A2.7 2.7 0 1 1 6 3.3V5l3-2.4L6 .2z",
  kill: "M5.3.8h1.4v5H5.3zM3.4 2.3l.8 1.1a3.4 3.4 0 1 0 3.6 0l.8-1.1a4.7 4.7 0 1 1-5.2 0z",
  destroy: "M2.7 1.8 6 5.1l3.3-3.3.9.9L6.9 6l3.3 3.3-.9.9L6 6.9l-3.3 3.3-.9-.9L5.1 6 1.8 2.7z",
};
const icon = (verb) => html`<svg width="12" height="12" viewBox="0 0 12 12" aria-hidden="true"><path fill="currentColor" d=${PATHS[verb]}></path></svg>`;
const COLUMNS = [["name", "machine"], ["state", "state"], ["cpu", "processor"], ["memory", "memory"], ["addresses", "addresses"]];
const UNITS = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3, TiB: 1024 ** 4 };

function sortKey(row, column) {
  if (column === "cpu") return row.cpu ?? -1;
  if (column === "memory") {
    const [amount, unit] = row.memory.split(" ");
    return Number(amount || -1) * (UNITS[unit] ?? 1);
  }
  if (column === "addresses") return row.addresses.map((each) => each.split(".").map((part) => part.padStart(3, "0")).join(".")).join();
  return row[column].replace(/\d+/g, (digits) => digits.padStart(6, "0"));
}

function sorted(rows, [column, down]) {
  const keyed = rows.map((row) => [sortKey(row, column), row]);
  keyed.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  if (down) keyed.reverse();
  return keyed.map(([, row]) => row);
}

function tableOf(model, el, looks, state, redraw, single) {
  const act = (row, verb) => model.send({ ask: "verb", host: row.host, name: row.name, verb });

  function cell(row, verb, lost) {
    if (!row.verbs.includes(verb)) return nothing;
    const off = lost || !row.fit.includes(verb);
    const sure = state.sure === `${row.host}/${row.name}`;
    if (verb === "destroy" && sure) {
      return html`<button class="lk-danger" @click=${() => { state.sure = ""; act(row, verb); redraw(); }}>destroy ${row.name}?</button>
        <button @click=${() => { state.sure = ""; redraw(); }}>keep</button>`;
    }
    const press = () => {
      if (off) return;
      if (verb === "destroy") state.sure = `${row.host}/${row.name}`;
      else act(row, verb);
      redraw();
    };
    return html`<button aria-disabled=${off ? "true" : "false"} data-verb=${verb} aria-label="${verb} ${row.name}" title=${verb} @click=${press}>${icon(verb)}</button>`;
  }

  function line(row, lost) {
    const pair = row.verbs.includes("resume") && row.state === "paused" ? "resume" : "pause";
    const first = row.fit.includes("start") || row.state === "stopped" ? "start" : "stop";
    return html`<tr class="lk-row" data-machine=${row.name}><td>${chip(looks, row.engine)} ${row.name}</td>
      <td>${row.doing ? sign(looks, "starting", `${row.doing}${row.fraction === null ? "" : ` ${Math.round(100 * row.fraction)} %`}`) : sign(looks, row.state)}
        ${row.error.length ? html`<span tabindex="0" role="note" title=${row.error.join("\n→ ")} aria-label="last error: ${row.error.join(". ")}">${sign(looks, "failed", "error")}</span>` : nothing}</td>
      <td class="lk-number">${percent(row.cpu)}</td><td class="lk-number">${row.memory}</td>
      <td class="lk-addresses">${row.addresses.join(", ")}</td>
      <td class="lk-acts">${[pair, first, "restart", "kill", "destroy"].map((verb) => cell(row, verb, lost))}</td></tr>`;
  }

  function head() {
    return html`<thead><tr>${COLUMNS.map(([column, label]) => {
      const here = state.sort[0] === column;
      return html`<th scope="col" aria-sort=${here ? (state.sort[1] ? "descending" : "ascending") : "none"}>
        <button @click=${() => { state.sort = [column, here && !state.sort[1]]; redraw(); }} title="sort by ${label}">${label} ${here ? (state.sort[1] ? "▾" : "▴") : ""}</button></th>`;
    })}<th scope="col"><span class="lk-sr">verbs</span></th></tr></thead>`;
  }

  function group(host, rows, lost) {
    const open = !state.closed.has(host.name);
    const toggle = () => { open ? state.closed.add(host.name) : state.closed.delete(host.name); redraw(); };
    return html`<tbody>${single ? nothing : html`<tr class="lk-host"><th scope="rowgroup" colspan="2">
        <button class="lk-plain" aria-expanded=${String(open)} aria-label="machines of ${host.name}" @click=${toggle}>${open ? "▾" : "▸"}</button>
        <b>${host.name}</b> <span class="lk-dim">${host.address} · ${host.ended ? "has ended" : host.count === 1 ? "1 machine" : `${host.count} machines`}${host.count ? `, ${host.running} running` : ""}</span></th>
        <td class="lk-number lk-dim">${percent(host.cpu)}</td><td class="lk-number lk-dim">${host.memory}</td><td colspan="2"></td></tr>`}
      ${open || single ? sorted(rows.filter((row) => row.host === host.name), state.sort).map((row) => line(row, lost)) : nothing}</tbody>`;
  }

  return (lost) => {
    const rows = model.get("rows");
    return html`<div class="lk-scroll"><table aria-label="machines of ${model.get("title")}">${head()}
      ${model.get("hosts").map((host) => group(host, rows, lost))}</table></div>`;
  };
}

function ending(model, lost) {
  const ended = model.get("ended");
  return ended || lost ? html`<div class="lk-dim" style="margin-top: 6px">${ended || LOST}</div>` : nothing;
}

export function table({ model, el, looks }) {
  const state = { sort: ["name", false], closed: new Set(), sure: "" };
  const body = tableOf(model, el, looks, state, () => end.redraw(), false);
  const end = live({ model, el, looks }, (lost) => html`<div style="display: inline-block; max-width: 100%; min-width: min(46em, 100%)">
    <div class="lk-head"><span class="lk-name">${model.get("title")}</span><span class="lk-dim">lab</span></div>
    ${model.get("ended") ? nothing : body(lost)}
    ${model.get("networks").length && !model.get("ended") ? html`<div class="lk-dim" style="margin-top: 4px">networks: ${model.get("networks").map(([name, mode, cidr, served]) => html`<span title=${served} style="margin-right: 14px">${name} ${cidr} (${mode})</span>`)}</div>` : nothing}
    ${ending(model, lost)}</div>`);
  return end;
}

export function host({ model, el, looks }) {
  const state = { sort: ["name", false], closed: new Set(), sure: "" };
  const body = tableOf(model, el, looks, state, () => end.redraw(), true);
  const end = live({ model, el, looks }, (lost) => {
    const [now] = model.get("hosts");
    return html`<div class="lk-box" role="group" aria-label="host ${now.name}">
      <div class="lk-head"><span class="lk-name">${now.name}</span><span class="lk-dim">host, ${now.provider}</span>
        <span class="lk-right lk-dim">${now.address}</span></div>
      <dl class="lk-facts">${model.get("facts").map(([label, value]) => html`<dt>${label}</dt><dd>${value}</dd>`)}
        <dt>machines</dt><dd>${now.count}${now.count ? `, ${now.running} running` : ""}${now.cpu === null ? "" : `, using ${percent(now.cpu)} of a processor and ${now.memory}`}</dd></dl>
      ${now.count && !model.get("ended") ? html`<div style="margin-top: 8px">${body(lost)}</div>` : nothing}
      ${ending(model, lost)}</div>`;
  });
  return end;
}
