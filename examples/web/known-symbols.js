// The cards of the known symbols.

import { SHOWN, card } from "../../oneshot_runtime/server/static/card.js";
import { ask, element, toast } from "../../oneshot_runtime/server/static/widgets.js";

const at = (id) => document.getElementById(id);

// An image of PNG bytes. Its address is data, so that there is nothing to release.
export function imageOf(png) {
  return element("img", { src: png ? `data:image/png;base64,${btoa(String.fromCharCode(...png))}` : "", alt: "" });
}

export class KnownSymbols {
  // changed(): after a symbol was removed.
  constructor(matcher, changed) {
    this.matcher = matcher;
    this.changed = changed;
  }

  // The first picture of a symbol.
  picture(label) {
    return imageOf(this.matcher.gallery.supports(label)[0]?.thumbnail);
  }

  // fresh: the symbol that was just taught.
  show(fresh = null) {
    const labels = this.matcher.labels.reverse(); // what was taught last comes first
    at("count").textContent = labels.length ? `${labels.length} ${labels.length === 1 ? "symbol" : "symbols"}` : "";
    at("empty").hidden = labels.length > 0;
    at("names").replaceChildren(...labels.map((label) => element("option", { value: label })));
    at("classes").replaceChildren(...labels.map((label) => {
      const supports = this.matcher.gallery.supports(label);
      const pictures = supports.slice(-SHOWN).map(({ thumbnail }) => imageOf(thumbnail));
      const remove = () => this.#remove(label, supports.length).catch((error) => toast(error.message, true));
      return card({ label, supports: supports.length }, pictures, { Remove: remove }, label === fresh);
    }));
  }

  async #remove(label, supports) {
    at("remove-title").textContent = `Remove “${label}”?`;
    at("remove-text").textContent = supports === 1 ? "Its picture is deleted." : `Its ${supports} pictures are deleted.`;
    if (!await ask("remove-dialog")) return;
    await this.matcher.remove(label);
    this.show();
    toast(`“${label}” is forgotten.`);
    this.changed();
  }
}
