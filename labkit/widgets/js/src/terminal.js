// A terminal by xterm.js on a machine's console or shell.
import { FitAddon } from "@xterm/addon-fit";
import { Terminal } from "@xterm/xterm";
import xtermCss from "@xterm/xterm/css/xterm.css";
import { html, live, nothing } from "./common.js";

// Okabe and Ito's palette, lightened where it would not be read on black.
const THEME = {
  background: "#101418", foreground: "#e8e8e8", cursor: "#e8e8e8", selectionBackground: "#4a6785",
  black: "#101418", red: "#ff8a65", green: "#3fc99a", yellow: "#f0e442", blue: "#6cb9ee", magenta: "#dd9cc4", cyan: "#7ad7f0", white: "#d8d8d8",
  brightBlack: "#8c949c", brightRed: "#ffab91", brightGreen: "#7fe0bd", brightYellow: "#f7f08e", brightBlue: "#a3d4f7",
  brightMagenta: "#eec4de", brightCyan: "#b0e9f7", brightWhite: "#ffffff",
};

export function terminal({ model, el, looks }) {
  const view = Math.random().toString(36).slice(2);
  const end = live({ model, el, looks }, (lost) => html`<div class="lk-terminal">
    <div class="lk-terminal-head"><span>${model.get("title")}</span>
      <span class="lk-right">${model.get("ended") || (lost ? "the kernel was restarted" : nothing)}</span></div>
    <div class="lk-terminal-body"></div></div>`);
  el.style.width = "100%";
  const body = el.querySelector(".lk-terminal-body");
  const sheet = document.createElement("style");
  sheet.textContent = xtermCss;
  el.append(sheet);

  const screen = new Terminal({
    rows: model.get("rows"), cols: 80, scrollback: 5000, fontSize: 13, theme: THEME, screenReaderMode: false,
    fontFamily: getComputedStyle(document.documentElement).getPropertyValue("--jp-code-font-family") || "monospace",
    linkHandler: { activate: () => {} }, // a guest's links lead nowhere
  });
  const fit = new FitAddon();
  screen.loadAddon(fit);
  screen.open(body);
  // JupyterLab's shortcuts must not act on what is typed here.
  for (const kind of ["keydown", "keyup", "keypress", "paste"]) body.addEventListener(kind, (event) => event.stopPropagation());
  // Copying as in other terminals of browsers: Ctrl-Shift-C, or Ctrl-C while something is selected.
  screen.attachCustomKeyEventHandler((event) => {
    if (event.type === "keydown" && event.ctrlKey && event.key.toLowerCase() === "c" && screen.hasSelection()) {
      navigator.clipboard?.writeText(screen.getSelection());
      screen.clearSelection();
      event.preventDefault();
      return false;
    }
    return !(event.ctrlKey && event.key.toLowerCase() === "v"); // the browser pastes
  });

  const alive = () => !end.lost();
  screen.onData((text) => alive() && model.send({ ask: "type", text }));
  screen.onResize(({ rows, cols }) => alive() && model.send({ ask: "resize", rows, columns: cols }));

  const bytes = (buffers) => new Uint8Array(buffers[0].buffer, buffers[0].byteOffset, buffers[0].byteLength);
  const hear = (message, buffers) => {
    if (message.tell === "data") screen.write(bytes(buffers), () => model.send({ ask: "more" }));
    if (message.tell === "history" && message.view === view) {
      screen.reset();
      screen.write(bytes(buffers));
    }
  };
  model.on("msg:custom", hear);

  let sized = false;
  const grow = new ResizeObserver(() => {
    if (!body.clientWidth) return;
    if (!sized) {
      sized = true; // as high as was asked for, then as the person drags it
      body.style.height = `${Math.ceil(screen.rows * (screen.element.querySelector(".xterm-screen").clientHeight / screen.rows)) + 8}px`;
      model.send({ ask: "history", view });
    }
    fit.fit();
  });
  grow.observe(body);
  return () => {
    grow.disconnect();
    model.off("msg:custom", hear);
    screen.dispose();
    end();
  };
}
