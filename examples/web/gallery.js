// The known symbols: searched in memory, kept in the browser under the model's fingerprint, since codes of another model say nothing.

import { probability, sad } from "./codes.js";
import { threshold } from "./thresholds.js";

const MAX_LABEL = 256;
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u;

export class Gallery {
  // model: as loadModel gives it. storage: where it is kept, such as localStorage.
  constructor(model, storage) {
    this.model = model;
    this.storage = storage;
    this.key = `oneshot-gallery-${model.fingerprint}`;
    this.supports = []; // { label, code: Uint8Array(D), picture: a data address } in the order of enrollment
    this.reload();
  }

  // Read again what another tab may have changed.
  reload() {
    const kept = JSON.parse(this.storage.getItem(this.key) ?? "[]");
    this.supports = kept.map(({ code, ...support }) => ({ ...support, code: Uint8Array.from(atob(code), (c) => c.charCodeAt(0)) }));
  }

  // { label, supports } of each symbol, in the order of their first enrollment.
  get classes() {
    const counts = new Map();
    for (const { label } of this.supports) counts.set(label, (counts.get(label) ?? 0) + 1);
    return [...counts].map(([label, supports]) => ({ label, supports }));
  }

  pictures(label) {
    return this.supports.filter((support) => support.label === label).map((support) => support.picture);
  }

  // Add { code, picture } supports to a symbol, all of them or, on an error, none.
  add(label, supports) {
    if (!label.trim() || label.length > MAX_LABEL || UNPRINTABLE.test(label)) {
      throw new Error(`A name needs 1 to ${MAX_LABEL} printable characters, and not only spaces.`);
    }
    this.reload();
    this.#keep([...this.supports, ...supports.map((support) => ({ label, ...support }))]);
  }

  remove(label) {
    this.reload();
    this.#keep(this.supports.filter((support) => support.label !== label));
  }

  // Which symbol a code shows: label (null: unknown), probably, probability, threshold, and the best candidates,
  // as Python's Match has them.
  match(code, far, count = 5) {
    const best = new Map();
    this.supports.forEach((support, place) => {
      const distance = sad(support.code, code);
      if (distance < (best.get(support.label)?.distance ?? Infinity)) best.set(support.label, { distance, place });
    });
    const limit = threshold(this.model.thresholds, far, best.size);
    const candidates = [...best]
      .sort(([, one], [, other]) => one.distance - other.distance || one.place - other.place)
      .slice(0, count)
      .map(([label, { distance }]) => ({ label, probability: probability(distance, this.model.head) }));
    const [first, second] = candidates;
    const found = first?.probability ?? 0;
    const label = first && found >= limit ? first.label : null;
    const probably = first && label === null && clearlyAhead(found, second?.probability) ? first.label : null;
    return { label, probably, probability: found, threshold: limit, candidates };
  }

  #keep(supports) {
    const kept = supports.map(({ code, ...support }) => ({ ...support, code: btoa(String.fromCharCode(...code)) }));
    try {
      this.storage.setItem(this.key, JSON.stringify(kept));
    } catch (error) {
      throw new Error(`This browser keeps no more: ${error.message}. Remove a symbol first.`);
    }
    this.supports = supports;
  }
}

// Whether a best candidate is worth naming though it was refused: as likely as not, with seven times the runner-up's odds.
function clearlyAhead(best, runnerUp) {
  return best >= 0.5 && (runnerUp === undefined || best * (1 - runnerUp) >= 7 * runnerUp * (1 - best));
}
