// Boxes and names over a picture. Each box is a button, so that it can be tapped, reached by keyboard, and read out.

import { element } from "./widgets.js";

const PATIENCE = 3; // answers that a box survives without its symbol: one blurred frame must not make it blink
const LINGERING = 400; // milliseconds that it does so at most: where answers are slow, it would lie beside its symbol

export class Boxes {
  // chosen(symbol): a box was clicked.
  constructor(root, chosen) {
    this.root = root;
    this.chosen = chosen;
    this.shown = new Map(); // track -> { button, symbol, missed }
  }

  // symbols: { track, box, label, probably, probability }, boxes in pixels of a picture `width` by `height`.
  show(width, height, symbols) {
    const now = performance.now();
    for (const kept of this.shown.values()) kept.missed += 1;
    for (const symbol of symbols) {
      const kept = this.shown.get(symbol.track) ?? this.#make(symbol.track);
      Object.assign(kept, { symbol, missed: 0, seen: now });
      place(kept.button, symbol.box, width, height);
      label(kept.button, symbol);
    }
    for (const [track, { button, missed, seen }] of this.shown) {
      button.classList.toggle("missed", missed > 0);
      if (missed <= PATIENCE && now - seen <= LINGERING) continue;
      button.remove();
      this.shown.delete(track);
    }
  }

  // Marks the box that is being named; null for none.
  mark(track) {
    for (const [number, { button }] of this.shown) button.classList.toggle("chosen", number === track);
  }

  focus(track) { this.shown.get(track)?.button.focus(); }

  clear() {
    this.root.replaceChildren();
    this.shown.clear();
  }

  #make(track) {
    const button = element("button", { type: "button", className: "box" }, element("span"));
    const kept = { button, symbol: null, missed: 0, seen: 0 };
    button.dataset.track = track;
    button.addEventListener("click", () => this.chosen(kept.symbol));
    this.shown.set(track, kept);
    this.root.append(button);
    return kept;
  }
}

function place(button, [x, y, w, h], width, height) {
  const margin = 0.006 * Math.max(width, height);
  const [left, top] = [Math.max(0, x - margin), Math.max(0, y - margin)];
  const share = (value, whole) => `${(100 * value / whole).toFixed(2)}%`;
  Object.assign(button.style, {
    left: share(left, width), top: share(top, height),
    width: share(Math.min(width, x + w + margin) - left, width), height: share(Math.min(height, y + h + margin) - top, height),
  });
  button.classList.toggle("at-top", top < 0.08 * height);
}

function label(button, { label: name, probably, probability }) {
  const known = name !== null;
  const text = known ? name : probably ? `${probably}?` : "?";
  button.dataset.state = known ? "known" : "unknown";
  button.dataset.label = name ?? "";
  if (button.firstChild.textContent !== text) button.firstChild.textContent = text;
  button.title = known ? `${name}, ${Math.round(100 * probability)} % probable. Click to correct it.`
    : probably ? `Probably ${probably}, ${Math.round(100 * probability)} %. Click to name it.` : "Unknown. Click to name it.";
  button.ariaLabel = known ? `${name}: correct this name` : probably ? `Probably ${probably}: name it` : "Unknown symbol: name it";
}
