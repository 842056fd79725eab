// How strict the answer is: the share of unknown symbols that may be given a name.

const RATES = ["none", 0.05, 0.02, 0.01, 0.005, 0.001];

export class Strictness {
  // sliders: labels that hold a range and an output each; all show the same rate. changed(): another one was chosen.
  // far: what to ask with, null for the server's own.
  constructor(sliders, changed) {
    this.far = null;
    this.sliders = [...sliders].map((slider) => [slider.querySelector("input"), slider.querySelector("output")]);
    for (const [field] of this.sliders) {
      field.max = RATES.length - 1;
      field.addEventListener("input", () => { this.far = RATES[field.value]; this.#say(this.far, field.value); changed(); });
    }
  }

  // Shows the rate that the server has of its own.
  show(far) {
    const distances = RATES.map((rate) => (far === null || rate === "none" ? 0 : Math.abs(Math.log(rate / far))));
    this.#say(far ?? "none", far === null ? 0 : 1 + distances.slice(1).indexOf(Math.min(...distances.slice(1))));
  }

  #say(far, value) {
    const text = far === "none" ? "names everything" : `names 1 of ${Math.round(1 / far)} unknown symbols`;
    for (const [field, output] of this.sliders) {
      field.value = value;
      output.textContent = field.ariaValueText = text;
    }
  }
}
