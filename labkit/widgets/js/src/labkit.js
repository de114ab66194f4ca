// All widgets but the terminal, which brings xterm.js along.
import { bar, html, live, nothing } from "./common.js";

export { card } from "./card.js";
export { form } from "./form.js";
export { migration } from "./migration.js";
export { monitor } from "./monitor.js";
export { host, table } from "./table.js";
export { topology } from "./topology.js";

export function progress({ model, el, looks }) {
  const began = performance.now() - 1000 * model.get("elapsed_s");
  let pressed = false;
  const end = live({ model, el, looks }, (lost) => {
    const ended = model.get("ended") || (lost ? "the kernel was restarted" : "");
    const seconds = (performance.now() - began) / 1000;
    if (ended) {
      clearInterval(clock);
      return html`<div class="lk-dim"><b>${model.get("title")}</b>: ${ended}</div>`;
    }
    return html`<div style="display: flex; gap: 10px; align-items: center; flex-wrap: wrap" role="status">
      <b>${model.get("title")}</b> ${bar(model.get("fraction"))} <span>${model.get("phase")}</span>
      <span class="lk-dim" style="font-variant-numeric: tabular-nums" aria-hidden="true">${seconds.toFixed(0)} s</span>
      <button aria-disabled=${String(pressed)} @click=${() => { if (!pressed) { pressed = true; model.send({ ask: "cancel" }); end.redraw(); } }}>${pressed ? "cancelling …" : "Cancel"}</button></div>`;
  });
  const clock = setInterval(() => end.redraw(), 1000);
  return () => {
    clearInterval(clock);
    end();
  };
}

export function screen({ model, el, looks }) {
  let large = false;
  let seen = false;
  let url = "";
  let shown = null;
  const end = live({ model, el, looks }, (lost) => {
    const picture = model.get("picture");
    if (picture !== shown && picture?.byteLength) {
      URL.revokeObjectURL(url);
      url = URL.createObjectURL(new Blob([picture], { type: "image/png" }));
      shown = picture;
    }
    const [width, height] = model.get("size");
    return html`<div class="lk-screen" ?data-large=${large}><div class="lk-dim">${model.get("title")}</div>
      ${url ? html`<button aria-label="${large ? "smaller" : "larger"}: ${model.get("title")}" aria-pressed=${String(large)}
        @click=${() => { large = !large; end.redraw(); }}><img src=${url} alt="what the screen shows, ${width} by ${height} pixels"></button>` : nothing}
      ${model.get("note") || lost ? html`<div class="lk-dim">${model.get("note") || "the kernel was restarted"}</div>` : nothing}</div>`;
  });
  const eye = new IntersectionObserver(([entry]) => { seen = entry.isIntersecting; });
  eye.observe(el);
  const clock = setInterval(() => {
    if (seen && !document.hidden && !end.lost()) model.send({ ask: "picture" });
  }, 2000);
  return () => {
    clearInterval(clock);
    eye.disconnect();
    URL.revokeObjectURL(url);
    end();
  };
}
