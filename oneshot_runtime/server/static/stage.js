// The large picture with boxes, for the live camera and for pictures with several symbols, and the form that names a box.

import { Boxes } from "./boxes.js";
import { element } from "./widgets.js";

const at = (id) => document.getElementById(id);
const SPOKEN_EVERY = 2000; // milliseconds between two things said to a screen reader

export class Stage {
  // closed(): the user has closed it. source: what shows pictures on it just now, with chosen(symbol) and teach(label).
  constructor(closed) {
    this.closed = closed;
    this.source = null;
    this.spoken = 0;
    this.boxes = new Boxes(at("boxes"), (symbol) => this.source?.chosen(symbol));
    at("stage-close").addEventListener("click", () => this.close());
    at("naming").addEventListener("submit", (event) => { event.preventDefault(); this.#teach(at("naming-name").value.trim()); });
    at("naming-cancel").addEventListener("click", () => this.dismiss());
    at("stage").addEventListener("keydown", (event) => { if (event.key === "Escape") this.dismiss(); });
  }

  get open() { return this.source !== null; }

  show(source, title) {
    this.source?.stop();
    this.source = source;
    this.boxes.clear();
    this.dismiss();
    this.notice("");
    at("stage-title").textContent = title;
    at("pace").textContent = at("stage-spoken").textContent = "";
    at("view").hidden = true;
    document.body.dataset.mode = "stage";
    for (const part of document.querySelectorAll("[data-source]")) part.hidden = true;
    at("stage-close").focus();
  }

  close() {
    if (!this.open) return;
    this.source.stop();
    this.source = null;
    this.boxes.clear();
    this.dismiss();
    delete document.body.dataset.mode;
    this.closed();
  }

  // picture: anything that can be drawn on a canvas, `width` by `height` pixels, with its symbols.
  draw(picture, width, height, symbols) {
    const canvas = at("picture");
    if (canvas.width !== width || canvas.height !== height) {
      Object.assign(canvas, { width, height });
      at("view").style.setProperty("--ratio", width / height);
    }
    canvas.getContext("2d").drawImage(picture, 0, 0, width, height);
    at("view").hidden = false;
    this.boxes.show(width, height, symbols);
    this.boxes.mark(at("naming").hidden ? null : this.named);
    this.#speak(symbols);
  }

  pace(text) { at("pace").textContent = text; }

  // lines: what to say in place of the picture or beside it; empty for nothing.
  notice(...lines) {
    at("stage-notice").replaceChildren(...lines.filter(Boolean).map((text) => element("p", { textContent: text })));
    at("stage-notice").hidden = !lines.some(Boolean);
  }

  // Ask for the name of a symbol. crop: its picture, a Blob. candidates: names it may have.
  name(symbol, crop, candidates) {
    this.named = symbol.track;
    at("naming").hidden = false;
    URL.revokeObjectURL(at("naming-crop").src);
    at("naming-crop").src = URL.createObjectURL(crop);
    at("naming-label").textContent = symbol.label === null ? "Name of this symbol" : `Read as “${symbol.label}”. What is it?`;
    at("naming-name").value = "";
    at("naming-names").replaceChildren(...candidates.map((label) => {
      const button = element("button", { type: "button", className: "chip", textContent: label, ariaLabel: `It is ${label}` });
      button.addEventListener("click", () => this.#teach(label));
      return button;
    }));
    this.boxes.mark(symbol.track);
    at("naming-name").focus({ preventScroll: true });
    at("naming").scrollIntoView({ block: "nearest" });
  }

  dismiss() {
    const inside = at("naming").contains(document.activeElement);
    at("naming").hidden = true;
    this.boxes.mark(null);
    if (inside) this.boxes.focus(this.named);
  }

  async #teach(label) {
    at("naming").ariaBusy = "true";
    const done = await this.source.teach(label);
    at("naming").ariaBusy = "false";
    if (done) this.dismiss();
  }

  #speak(symbols) {
    const names = symbols.filter(({ label }) => label !== null).map(({ label }) => label).sort();
    const unknown = symbols.length - names.length;
    const text = [...names, ...(unknown ? [`${unknown} unknown`] : [])].join(", ") || "No symbol in the picture";
    if (text === at("stage-spoken").textContent || performance.now() < this.spoken + SPOKEN_EVERY) return;
    this.spoken = performance.now();
    at("stage-spoken").textContent = text;
  }
}
