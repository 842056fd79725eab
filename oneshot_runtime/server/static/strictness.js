// How strict the answer is: the share of unknown symbols that may be given a name.

const RATES = ["none", 0.05, 0.02, 0.01, 0.005, 0.001];

export class Strictness {
  // changed(): another rate was chosen. far: what to ask with, null for the server's own.
  constructor(field, output, changed) {
    this.far = null;
    this.field = field;
    this.output = output;
    field.max = RATES.length - 1;
    field.addEventListener("input", () => { this.far = RATES[field.value]; this.#say(this.far); changed(); });
  }

  // Shows the rate that the server has of its own.
  show(far) {
    const distances = RATES.map((rate) => (far === null || rate === "none" ? 0 : Math.abs(Math.log(rate / far))));
    this.field.value = far === null ? 0 : 1 + distances.slice(1).indexOf(Math.min(...distances.slice(1)));
    this.#say(far ?? "none");
  }

  #say(far) {
    const text = far === "none" ? "names everything" : `names 1 of ${Math.round(1 / far)} unknown symbols`;
    this.output.textContent = this.field.ariaValueText = text;
  }
}
