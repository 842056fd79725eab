// The facade, the same in browsers and Node: enroll symbols from one picture each, and ask which of them a new picture shows.

import { packGallery, unpackGallery } from "./archive.js";
import { answerOf, surest } from "./answer.js";
import { encode, probability, sad } from "./codes.js";
import { ImageError, OptionError } from "./errors.js";
import { checkLabel } from "./labels.js";
import { checkMetadata } from "./metadata.js";
import { thumbnailOf } from "./thumbnail.js";
import { checkFar } from "./thresholds.js";
import { symbolsOfPage } from "./vision/page.js";
import { pictureOf } from "./vision/picture.js";
import { canvasOf, waysToRead } from "./vision/preprocess.js";

export class OneShotMatcher {
  #decode;
  #far;

  // Made by `load` of browser.js or node.js. decode: turns what the platform calls an image into pixels.
  constructor(model, gallery, decode, far) {
    this.model = model;
    this.gallery = gallery;
    this.#decode = decode;
    this.far = far;
  }

  // Share of unknown symbols that may be given a label; null refuses none.
  get far() {
    return this.#far;
  }

  set far(rate) {
    this.#far = this.model.thresholds.length ? checkFar(rate) : null; // a bundle without thresholds refuses none
  }

  // What runs, "int8" or "fp32".
  get precision() {
    return this.model.precision;
  }

  get labels() {
    return this.gallery.labels;
  }

  // Add one picture, or several, of a symbol; all are added or, when one cannot be used, none. Resolves to what was taken of each.
  async enroll(label, images, { metadata = null } = {}) {
    checkLabel(label);
    checkMetadata(metadata);
    const sources = Array.isArray(images) ? images : [images];
    if (!sources.length) throw new ImageError(`no images to enroll for ${JSON.stringify(label)}: the list is empty`);
    const taken = [];
    for (const source of sources) taken.push((await this.#ways(source))[0]);
    const codes = await this.#codes(taken);
    const supports = [];
    for (const [at, { drawing }] of taken.entries()) {
      supports.push({ label, code: codes[at], thumbnail: await thumbnailOf(drawing), metadata, created: Date.now() / 1000 });
    }
    await this.gallery.extend(supports);
    return taken.map(({ drawing, box, symbols, dropped }) => ({ crop: pixelsOf(drawing), box, symbols, dropped }));
  }

  // Which enrolled symbol a picture shows.
  async match(image, topK = 5) {
    const ways = await this.#ways(image);
    const codes = await this.#codes(ways);
    return surest(codes.map((code) => this.#answer(code, topK, ways.length)), ways);
  }

  // Every symbol of a photograph, scan or screenshot, from line to line.
  async read(image, topK = 5) {
    const found = symbolsOfPage(await this.#picture(image));
    const codes = await this.#codes(found.flat());
    return found.map((ways) => {
      const matches = codes.splice(0, ways.length).map((code) => this.#answer(code, topK, ways.length));
      const best = matches.reduce((best, { probability }, at) => (probability > matches[best].probability ? at : best), 0);
      const { box, drawing } = ways[best];
      return { box, crop: pixelsOf(drawing), match: { ...matches[best], readings: ways.length } };
    });
  }

  // The probability that two pictures show the same symbol.
  async verify(first, second) {
    const codes = await this.#codes([(await this.#ways(first))[0], (await this.#ways(second))[0]]);
    return probability(sad(...codes), this.model.head);
  }

  // The embedding Float32Array(D) of a picture.
  async embed(image) {
    const [way] = await this.#ways(image);
    return (await this.model.embed([canvasOf(way, this.model.spec)]))[0];
  }

  // Forget a symbol, or one of its pictures by its place, counted from 0.
  async remove(label, place = null) {
    await this.gallery.remove(label, place);
  }

  // The gallery as a .npz, as `oneshot gallery export` writes it, and the archive's supports added to the gallery, all or none.
  exportGallery() {
    return packGallery(this.gallery.all, this.model);
  }

  async importGallery(bytes) {
    const supports = await unpackGallery(bytes, this.model);
    await this.gallery.extend(supports);
    return supports.length;
  }

  async close() {
    await this.model.release();
  }

  async #picture(image) {
    return pictureOf(await this.#decode(image));
  }

  async #ways(image) {
    return waysToRead(await this.#picture(image), this.model.spec);
  }

  async #codes(readings) {
    if (!readings.length) return [];
    const embeddings = await this.model.embed(readings.map((one) => canvasOf(one, this.model.spec)));
    return embeddings.map((embedding) => encode(embedding, this.model.head));
  }

  #answer(code, topK, readings = 1) {
    if (!Number.isInteger(topK) || topK < 1) throw new OptionError(`topK must be an integer from 1 on, got ${topK}`);
    const ranked = this.gallery.ranked(code, Math.max(2, topK)); // the runner-up is looked at whether it is listed or not
    const { labels, size } = this.gallery;
    return answerOf(ranked, this.model, this.far, { classes: labels.length, supports: size }, topK, readings);
  }
}

const pixelsOf = ({ pixels, width, height }) => ({ data: pixels, width, height });
