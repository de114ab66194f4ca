// What all widgets share: the style, the subscription to a model, and the small pieces of every picture.
import { html, nothing, render } from "lit-html";
import css from "./labkit.css";

export { html, nothing };

function style(el, looks) {
  const root = el.getRootNode();
  const where = root instanceof ShadowRoot ? root : document.head;
  if (!where.querySelector("style[data-labkit]")) {
    const sheet = document.createElement("style");
    sheet.dataset.labkit = "";
    sheet.textContent = `${looks.palette}\n${css}`;
    where.append(sheet);
  }
}

// The static twin below a widget is hidden while the widget is drawn.
const hidden = (globalThis.labkitTwins ??= new Map()); // of all bundles
function hideTwin(id) {
  if (!id) return () => {};
  const rule = () => {
    let sheet = document.head.querySelector("style[data-labkit-twins]");
    if (!sheet) {
      sheet = document.createElement("style");
      sheet.dataset.labkitTwins = "";
      document.head.append(sheet);
    }
    sheet.textContent = [...hidden.keys()].map((each) =>
      `[data-lk-twin="${each}"], .jp-OutputArea-child:has([data-lk-twin="${each}"]) { display: none; }`).join("\n");
  };
  hidden.set(id, (hidden.get(id) ?? 0) + 1);
  rule();
  return () => {
    hidden.set(id, hidden.get(id) - 1);
    if (!hidden.get(id)) hidden.delete(id);
    rule();
  };
}

function isCut(model) {
  return model.comm_live === false || model.comm?.jsServicesComm?.isDisposed === true;
}

// Draw with `draw` now and at each change of the model; `after` is called once drawn. Returns the end.
export function live({ model, el, looks }, draw, after = () => {}) {
  style(el, looks);
  el.classList.add("lk");
  let lost = false;
  let asked = 0;
  const now = () => {
    asked = 0;
    render(draw(lost), el);
    after(el);
  };
  const soon = () => { asked ||= requestAnimationFrame(now); };
  // JupyterLab tells nobody that the kernel was restarted, but disposes of its connection then.
  const look = setInterval(async () => {
    const real = await model.widget_manager.get_model(model.get("own"));
    if (lost === isCut(real)) return;
    lost = !lost;
    soon();
  }, 1000);
  model.on("change", soon);
  const showTwin = hideTwin(model.get("twin"));
  now();
  const end = () => {
    cancelAnimationFrame(asked);
    model.off("change", soon);
    clearInterval(look);
    showTwin();
  };
  end.redraw = soon;
  end.lost = () => lost;
  return end;
}

export const LOST = "The kernel was restarted: this is how it was. Run the cell again to have it live.";

// A state by sign, word and colour; `text` where something else is to be said than the state's name.
export function sign(looks, state, text = state) {
  const [mark, colour] = looks.signs[state] ?? looks.signs.unknown;
  return html`<span class="lk-state" data-state=${state} style="color: var(--lk-${colour})"><span class="lk-sign" aria-hidden="true">${mark}</span> ${text}</span>`;
}

export function chip(looks, engine) {
  const [label, colour, ink] = looks.engines[engine];
  return html`<span class="lk-chip" style="background: ${colour}; color: ${ink}">${label}</span>`;
}

export function bar(fraction) {
  return fraction === null || fraction === undefined
    ? html`<span class="lk-bar" aria-hidden="true"><div class="lk-unknown"></div></span>`
    : html`<span class="lk-bar" role="progressbar" aria-valuemin="0" aria-valuemax="100"
        aria-valuenow=${Math.round(100 * fraction)} aria-label="progress"><div style="width: ${100 * fraction}%"></div></span>`;
}

export function problem([message, hint], dismiss) {
  return html`<div class="lk-error" role="alert"><div>${message}${hint ? html`<br>→ ${hint}` : nothing}</div>
    ${dismiss ? html`<button class="lk-plain" aria-label="dismiss the error" title="dismiss" @click=${dismiss}>✕</button>` : nothing}</div>`;
}

export function percent(cpu) {
  return cpu === null || cpu === undefined ? "" : `${(100 * cpu).toPrecision(cpu >= 0.995 ? 3 : 2).replace(/\.0+$/, "")} %`;
}

// A small line of values; the scale begins at zero and ends at the largest value, or at `least`.
export function sparkline(values, least, colour, label) {
  if (values.length < 2) return nothing;
  const [w, h] = [90, 18];
  const top = Math.max(least, ...values);
  const points = values.map((value, n) =>
    `${(w - 1 - (values.length - 1 - n) * (w - 2) / 59).toFixed(1)},${(h - 1 - (h - 2) * value / top).toFixed(1)}`).join(" ");
  return html`<svg width=${w} height=${h} viewBox="0 0 ${w} ${h}" role="img" aria-label=${label}>
    <line x1="0" y1=${h - 0.5} x2=${w} y2=${h - 0.5} stroke="var(--lk-line)"></line>
    <polyline points=${points} fill="none" stroke=${colour} stroke-width="1.3"></polyline></svg>`;
}
