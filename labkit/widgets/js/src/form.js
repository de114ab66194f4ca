// The form for a new machine.
import { child } from "./card.js";
import { bar, chip, html, live, LOST, nothing, problem } from "./common.js";

export function form({ model, el, looks }) {
  const tell = (name, value) => model.send({ ask: "change", name, value });

  function input(field, id, off) {
    const value = model.get("values")[field.name];
    const wrong = model.get("errors")[field.name];
    const common = { id, wrong: wrong ? "true" : "false", about: `${id}-about` };
    if (field.kind === "check") {
      return html`<input type="checkbox" id=${id} .checked=${value} ?disabled=${off} aria-describedby=${common.about} @change=${(event) => tell(field.name, event.target.checked)}>`;
    }
    if (field.kind === "many") {
      if (!field.choices.length) return html`<span class="lk-dim" id=${id}>there are none yet</span>`;
      return html`<span role="group" id=${id}>${field.choices.map((choice) => html`<label style="margin-right: 12px">
        <input type="checkbox" .checked=${value.includes(choice)} ?disabled=${off}
          @change=${(event) => tell(field.name, event.target.checked ? [...value, choice] : value.filter((each) => each !== choice))}> ${choice}</label>`)}</span>`;
    }
    return html`<input type="text" id=${id} .value=${String(value)} ?disabled=${off} autocomplete="off" spellcheck="false"
      inputmode=${field.kind === "number" ? "numeric" : nothing} aria-invalid=${common.wrong} aria-describedby=${common.about}
      @input=${(event) => tell(field.name, event.target.value)}>`;
  }

  const id = `lk${Math.random().toString(36).slice(2)}`;
  const slot = child(model, el, "card");
  const end = live({ model, el, looks }, (lost) => {
    const errors = model.get("errors");
    const busy = model.get("busy");
    const off = lost || !!busy || Object.keys(errors).length > 0;
    const submit = (event) => {
      event.preventDefault();
      if (!off) model.send({ ask: "create" });
    };
    return html`<form class="lk-box" @submit=${submit} @keydown=${(event) => event.stopPropagation()} aria-label=${model.get("title")}>
      <div class="lk-head">${chip(looks, model.get("engine_kind"))}<span class="lk-name">${model.get("title")}</span></div>
      <div class="lk-fields">${model.get("fields").map((field) => html`<label for="${id}-${field.name}">${field.label}</label>
        ${input(field, `${id}-${field.name}`, lost || !!busy)}
        <span id="${id}-${field.name}-about" class=${errors[field.name] ? "lk-wrong" : "lk-help"}>${errors[field.name] ? `✖ ${errors[field.name]}` : field.help}</span>`)}</div>
      <div class="lk-dim">In Python this is</div>
      <pre>${model.get("code") || "(when all fields are right)"}</pre>
      <div class="lk-verbs"><button type="submit" class="lk-main" aria-disabled=${off ? "true" : "false"}>Create</button>
        ${busy ? html`<span class="lk-doing" role="status" style="margin: 0">${bar(null)} ${busy}</span>` : nothing}</div>
      ${model.get("failed").length ? problem(model.get("failed")) : nothing}
      ${lost ? html`<div class="lk-dim">${LOST}</div>` : nothing}
      <div class="lk-slot"></div></form>`;
  }, slot);
  return end;
}
