// The known symbols: supports in the order of their enrollment, searched in memory, kept by a store.
// A support is { label, code: Uint8Array(D), thumbnail: Uint8Array (PNG) or null, metadata: object or null, created: seconds since 1970 }.

import { roundedMean, sad } from "./codes.js";
import { LabelError, OptionError } from "./errors.js";
import { checkLabel } from "./labels.js";
import { checkMetadata } from "./metadata.js";

export class Gallery {
  #classes = new Map(); // label -> { rows, mean }
  #store;

  // store: see memory-store.js. Call `reload` before anything else.
  constructor(store) {
    this.#store = store;
    this.all = [];
  }

  // Read again what the store holds, which another tab or process may have changed.
  async reload() {
    this.#take(await this.#store.all());
  }

  // The enrolled classes, in the order of their first enrollment.
  get labels() {
    return [...this.#classes.keys()];
  }

  // How many supports there are.
  get size() {
    return this.all.length;
  }

  // The supports of a class, none of one that is unknown.
  supports(label) {
    return (this.#classes.get(label)?.rows ?? []).map((row) => this.all[row]);
  }

  // Add supports, all of them or, on an error, none.
  async extend(supports) {
    for (const { label, metadata } of supports) {
      checkLabel(label);
      checkMetadata(metadata);
    }
    await this.#store.extend(supports);
    await this.reload();
  }

  // Forget a class, or the support at a place among its own, counted from 0.
  async remove(label, place = null) {
    await this.reload();
    const own = this.supports(label);
    if (!own.length) throw new LabelError(`${JSON.stringify(label)} is not enrolled`);
    if (place !== null && !own[place]) {
      throw new OptionError(`${JSON.stringify(label)} has ${own.length} supports, counted from 0: there is no ${place}`);
    }
    await this.#store.remove(label, place);
    await this.reload();
  }

  // { label, distance } of the `count` classes that rank best for a code: by the mean of the distances to a class's nearest support
  // and to the mean of its supports, which counts as no nearer than half as far. See oneshot_runtime/search/ranking.py.
  ranked(code, count) {
    const found = [];
    for (const [label, own] of this.#classes) {
      let [nearest, first] = [Infinity, 0];
      for (const row of own.rows) {
        const distance = sad(this.all[row].code, code);
        if (distance < nearest) [nearest, first] = [distance, row];
      }
      found.push({ label, nearest, first, distance: (nearest + Math.max(this.#toMean(own, code, nearest), nearest / 2)) / 2 });
    }
    found.sort((one, other) => one.distance - other.distance || one.nearest - other.nearest || one.first - other.first);
    return found.slice(0, count).map(({ label, distance }) => ({ label, distance }));
  }

  #toMean(own, code, nearest) {
    if (own.rows.length === 1) return nearest;
    own.mean ??= roundedMean(own.rows.map((row) => this.all[row].code));
    return sad(own.mean, code);
  }

  #take(supports) {
    this.all = supports;
    this.#classes.clear();
    supports.forEach(({ label }, row) => {
      const own = this.#classes.get(label);
      if (own) own.rows.push(row);
      else this.#classes.set(label, { rows: [row] });
    });
  }
}
