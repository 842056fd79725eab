// Keeps supports for as long as the program runs; the other stores have the same three methods, all of them all or nothing.

export class MemoryStore {
  #supports = [];

  // All supports, in the order of their enrollment.
  async all() {
    return this.#supports;
  }

  async extend(supports) {
    this.#supports = [...this.#supports, ...supports];
  }

  // Forget a class, or the support at a place among its own.
  async remove(label, place) {
    this.#supports = without(this.#supports, label, place);
  }
}

// Supports without those of a class, or without the one at a place among them.
export function without(supports, label, place) {
  let seen = -1;
  return supports.filter((support) => {
    if (support.label !== label) return true;
    seen += 1;
    return place !== null && seen !== place;
  });
}
