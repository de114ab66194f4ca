// A migration: its phase, the button that takes it back, the time line that Python draws, what came of it.
import { unsafeHTML } from "lit-html/directives/unsafe-html.js"; // of what Python has escaped
import { bar, chip, html, live, LOST, nothing } from "./common.js";

export function migration({ model, el, looks }) {
  let pressed = false;
  let told = 0;

  function cancel(late) {
    if (pressed || late) return;
    pressed = true;
    model.send({ ask: "cancel" });
    end.redraw();
  }

  function line(now, lost) {
    if (now.done) return nothing;
    const off = lost || pressed || now.late;
    const why = lost ? "the kernel was restarted" : now.late ? "it runs at the destination already" : "take it back: the machine goes on where it was";
    return html`<div class="lk-doing" role="status">${bar(now.fraction)} <span>${now.doing}</span>
      <button aria-disabled=${String(!!off)} title=${why} @click=${() => cancel(off)}>${pressed ? "cancelling …" : now.late ? "too late to cancel" : "Cancel"}</button></div>`;
  }

  function draw(lost) {
    const { name, engine, source, destination } = model.get("fixed");
    const now = model.get("now");
    const [mark, colour, word] = now.end;
    return html`<div class="lk-box lk-move" role="group" aria-label="migration of ${name}, ${word}">
      <div class="lk-head">${chip(looks, engine)}<span class="lk-name">${name}</span><span class="lk-dim">${source} → ${destination}</span>
        <span class="lk-right" aria-live="polite" style="color: var(--lk-${colour})"><span aria-hidden="true">${mark}</span> ${word}</span></div>
      ${line(now, lost)}
      <div class="lk-picture">${unsafeHTML(model.get("picture"))}</div>
      ${unsafeHTML(model.get("outcome"))}
      ${lost && !now.done ? html`<div class="lk-dim" style="margin-top: 6px">${LOST}</div>` : nothing}</div>`;
  }

  const end = live({ model, el, looks }, draw);
  const room = new ResizeObserver(([{ contentRect: { width } }]) => {
    if (end.lost() || width < 50 || Math.abs(width - told) < 10) return;
    told = width;
    model.send({ ask: "width", across: width });
  });
  room.observe(el.querySelector(".lk-picture"));
  return () => {
    room.disconnect();
    end();
  };
}
