// A picture with several symbols: it is read as a whole, and each of them can be named or corrected.

import { shrunk, toast } from "./widgets.js";

const SIDE = 2000; // longer side of the picture that is read and shown: symbols of a page are large enough then
const SMALLEST = 200; // a smaller picture shows one symbol, however many parts it has

export class Reading {
  // reader: who reads. prepare(sheet) gives what read(prepared) takes, again and again; that gives { width, height, symbols }, each
  // with its box, crop (a Blob) and match. teach(label, symbol) teaches one of them.
  // taught(label, answer): a symbol was taught. whole(picture): it is one symbol after all.
  constructor(stage, reader, { taught, whole }) {
    this.stage = stage;
    this.reader = reader;
    this.taught = taught;
    document.getElementById("as-one").addEventListener("click", () => { const { picture } = this; stage.close(); whole(picture); });
  }

  // Shows a picture (an ImageBitmap) if there are several symbols in it; whether it did.
  async open(picture) {
    if (Math.max(picture.width, picture.height) < SMALLEST) return false;
    const sheet = shrunk(picture, SIDE);
    const prepared = await this.reader.prepare(sheet);
    const answer = await this.reader.read(prepared);
    if (answer.symbols.length < 2) return false;
    Object.assign(this, { picture, sheet, prepared });
    this.stage.show(this, "Picture");
    document.getElementById("as-one").hidden = false;
    this.#show(answer);
    return true;
  }

  stop() { this.symbols = []; }

  chosen({ track }) {
    this.look = this.symbols[track];
    this.stage.name({ track, label: this.look.match.label }, this.look.crop, this.look.match.candidates.map(({ label }) => label));
  }

  // Another strictness was chosen.
  async stricter() {
    const { prepared } = this;
    try {
      const answer = await this.reader.read(prepared);
      if (prepared === this.prepared) this.#show(answer);
    } catch (error) {
      toast(error.message, true);
    }
  }

  // Teaches the chosen symbol and reads the picture again; whether that worked.
  async teach(label) {
    try {
      const answer = await this.reader.teach(label, this.look);
      this.#show(await this.reader.read(this.prepared));
      this.taught(label, answer);
      return true;
    } catch (error) {
      toast(error.message, true);
      return false;
    }
  }

  #show({ width, height, symbols }) {
    this.symbols = symbols;
    const boxes = symbols.map(({ box, match: { label, probability } }, track) => ({ track, box, label, probability }));
    this.stage.draw(this.sheet, width, height, boxes);
    const known = boxes.filter(({ label }) => label !== null).length;
    this.stage.pace(`${boxes.length} symbols, ${known} known`);
  }
}
