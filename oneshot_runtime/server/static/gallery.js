// The known symbols: a card each with its pictures, to rename and remove.

import * as api from "./api.js";
import { SHOWN, card } from "./card.js";
import { element, ask, toast } from "./widgets.js";

const PAGE = 60;
const thumbnails = new Map();

// The first picture of a symbol as an address for <img>; kept until the symbol changes.
function thumbnail(label, place) {
  const key = `${place} ${label}`;
  if (!thumbnails.has(key)) {
    thumbnails.set(key, api.support(label, place).then(URL.createObjectURL, () => null));
  }
  return thumbnails.get(key);
}

export function picture(label, place = 0) {
  const image = element("img", { alt: "" });
  thumbnail(label, place).then((address) => { if (address) image.src = address; });
  return image;
}

export class Gallery {
  // changed(): after a symbol was renamed or removed.
  constructor(changed) {
    this.changed = changed;
    this.limit = PAGE;
    this.total = 0;
    document.getElementById("more").addEventListener("click", () => { this.limit += PAGE; this.refresh(); });
  }

  async refresh(fresh = null) {
    const { total } = await api.classes(0, 1);
    const { classes } = await api.classes(Math.max(0, total - this.limit), this.limit);
    classes.reverse(); // what was taught last comes first
    this.total = total;
    if (fresh !== null) this.#forget(fresh);
    document.getElementById("count").textContent = total ? `${total} ${total === 1 ? "symbol" : "symbols"}` : "";
    document.getElementById("empty").hidden = total > 0;
    document.getElementById("more").hidden = total <= classes.length;
    document.getElementById("names").replaceChildren(...classes.map(({ label }) => element("option", { value: label })));
    document.getElementById("classes").replaceChildren(...classes.map((entry) => this.#card(entry, entry.label === fresh)));
  }

  #card({ label, supports }, fresh) {
    const pictures = [];
    for (let place = Math.max(0, supports - SHOWN); place < supports; place++) pictures.push(picture(label, place));
    const actions = { Rename: () => this.#rename(label), Remove: () => this.#remove(label, supports) };
    return card({ label, supports }, pictures, actions, fresh);
  }

  async #rename(label) {
    const field = document.getElementById("new-name");
    field.value = label;
    document.getElementById("rename-title").textContent = `Rename “${label}”`;
    if (!await ask("rename-dialog", () => field.select()) || field.value === label) return;
    await this.#change(label, () => api.rename(label, field.value), `“${label}” is now “${field.value}”.`);
  }

  async #remove(label, supports) {
    document.getElementById("remove-title").textContent = `Remove “${label}”?`;
    document.getElementById("remove-text").textContent =
      supports === 1 ? "Its picture is deleted." : `Its ${supports} pictures are deleted.`;
    if (!await ask("remove-dialog")) return;
    await this.#change(label, () => api.remove(label), `“${label}” is forgotten.`);
  }

  async #change(label, change, done) {
    try {
      await change();
      toast(done);
    } catch (error) {
      toast(error.message, true);
    }
    this.#forget(label);
    await this.refresh();
    this.changed();
  }

  #forget(label) {
    for (const [key, address] of thumbnails) {
      if (key.slice(key.indexOf(" ") + 1) !== label) continue;
      thumbnails.delete(key);
      address.then((old) => { if (old) URL.revokeObjectURL(old); });
    }
  }
}
