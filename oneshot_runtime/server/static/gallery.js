// The known symbols: a card each with its pictures, to rename and remove.

import * as api from "./api.js";
import { SHOWN, card } from "./card.js";
import { element, ask, toast } from "./widgets.js";

const PAGE = 60;
const MANY = 30; // symbols from which a search is offered
const ALL = 10_000; // that are searched
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
    this.matched = null;
    document.getElementById("more").addEventListener("click", () => { this.limit += PAGE; this.refresh(); });
    document.getElementById("search").addEventListener("input", () => { this.limit = PAGE; this.refresh(); });
  }

  // Marks the card of the symbol that the drawing shows; null for none.
  highlight(label) {
    this.matched = label;
    for (const made of document.querySelectorAll(".class")) made.classList.toggle("matched", made.dataset.label === label);
  }

  async refresh(fresh = null) {
    const turn = this.turn = (this.turn ?? 0) + 1;
    const { total } = await api.classes(0, 1);
    const search = document.getElementById("search");
    search.hidden = total < MANY;
    const words = search.hidden ? "" : search.value.trim().toLowerCase();
    const wanted = words ? ALL : this.limit;
    const listed = (await api.classes(Math.max(0, total - wanted), wanted)).classes.reverse(); // what was taught last comes first
    if (turn !== this.turn) return; // a newer list is on its way
    const found = words ? listed.filter(({ label }) => label.toLowerCase().includes(words)) : listed;
    const classes = found.slice(0, this.limit);
    this.total = total;
    if (fresh !== null) this.#forget(fresh);
    document.getElementById("count").textContent = counted(total, words ? found.length : null);
    document.getElementById("empty").hidden = total > 0;
    document.getElementById("more").hidden = (words ? found.length : total) <= classes.length;
    document.getElementById("names").replaceChildren(...listed.slice(0, ALL).map(({ label }) => element("option", { value: label })));
    document.getElementById("classes").replaceChildren(...classes.map((entry) => this.#card(entry, entry.label === fresh)));
    this.highlight(this.matched);
  }

  #card({ label, supports }, fresh) {
    const pictures = [];
    for (let place = Math.max(0, supports - SHOWN); place < supports; place++) pictures.push(picture(label, place));
    const actions = { Rename: () => this.#rename(label), Remove: () => this.#remove(label, supports) };
    return card({ label, supports }, pictures, actions, fresh, () => this.#pictures(label, supports));
  }

  // All pictures of a symbol, each with a button that removes it.
  async #pictures(label, supports) {
    const list = document.getElementById("pictures-list");
    document.getElementById("pictures-title").textContent = `Pictures of “${label}”`;
    const show = (count) => list.replaceChildren(...Array.from({ length: count }, (_, place) => {
      const name = `Remove picture ${place + 1} of ${label}`;
      const button = element("button", { type: "button", className: "quiet", textContent: "Remove", ariaLabel: name });
      button.addEventListener("click", () => forget(place));
      return element("li", {}, picture(label, place), button);
    }));
    const forget = async (place) => {
      try {
        const left = (await api.removeSupport(label, place)).supports;
        this.#forget(label); // the pictures after it have moved up
        show(left);
        if (!left) document.getElementById("pictures-dialog").close();
      } catch (error) {
        toast(error.message, true);
      }
      await this.refresh();
      this.changed();
    };
    show(supports);
    await ask("pictures-dialog");
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

function counted(total, found) {
  if (!total) return "";
  const all = `${total} ${total === 1 ? "symbol" : "symbols"}`;
  return found === null ? all : `${found} of ${all}`;
}
