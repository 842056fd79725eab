// What the package in js/ makes of pictures, in Node or in a browser: tests/js_engine.py asks.

const sent = (bytes) => {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text);
};
const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const received = ({ data, width, height }) => ({ data: bytes(data), width, height });
const image = ({ data, width, height }) => ({ data: sent(data), width, height });

// root: address of the package. load: its function, with options that find the model here.
export async function answersOf(root, load) {
  const from = (name) => import(new URL(`src/${name}`, root));
  const { canvasOf, pictureOf, symbolsOfPage, waysToRead } = await from("vision/index.js");
  const { threshold } = await from("thresholds.js");
  const { encode } = await from("codes.js");

  const told = (reading, spec) => ({
    ...reading,
    canvas: sent(canvasOf(reading, spec)),
    drawing: image({ ...reading.drawing, data: reading.drawing.pixels }),
    ink: null,
    bounds: null,
  });
  const kept = new Map(); // a matcher of each kind, for the model takes longest
  const emptyMatcher = async (options) => {
    const key = JSON.stringify(options);
    if (!kept.has(key)) kept.set(key, await load(options));
    for (const label of kept.get(key).labels) await kept.get(key).remove(label);
    return kept.get(key);
  };
  const taughtMatcher = async (options, taught) => {
    const matcher = await emptyMatcher(options);
    for (const { label, image: picture } of taught) await matcher.enroll(label, received(picture));
    return matcher;
  };
  const errorOf = (work) => { try { return work(); } catch (error) { if (error.name !== "ImageError") throw error; return { error: error.message }; } };

  return {
    readings: ({ images, spec }) => images.map((one) => errorOf(() => waysToRead(pictureOf(received(one)), spec).map((way) => told(way, spec)))),
    pages: ({ images, spec }) => images.map((one) => errorOf(() => symbolsOfPage(pictureOf(received(one))).flat().map((way) => told(way, spec)))),
    thresholds: ({ table, cases }) => cases.map((one) => threshold(table, ...one)),

    async graphs({ precision, canvases }) {
      const { model } = await emptyMatcher({ precision });
      const rows = await model.embed(canvases.map(bytes));
      const probabilities = [];
      for (const row of rows) for (const other of rows) probabilities.push(await model.compare(row, other));
      return { rows: rows.map((row) => [...row]), codes: rows.map((row) => [...encode(row, model.head)]), probabilities };
    },

    async matches({ options, taught, images }) {
      const matcher = await taughtMatcher(options, taught);
      const matches = [];
      for (const one of images) matches.push(await matcher.match(received(one)));
      return { precision: matcher.precision, labels: matcher.labels, matches };
    },

    async together({ options, taught, images }) {
      const matcher = await taughtMatcher(options, taught);
      return (await Promise.all(images.map((one) => matcher.match(received(one))))).map(({ label }) => label);
    },

    async read({ options, taught, page }) {
      const matcher = await taughtMatcher(options, taught);
      return (await matcher.read(received(page))).map(({ box, crop, match }) => ({ box, crop: image(crop), match }));
    },

    async exported({ options, taught, metadata }) {
      const matcher = await taughtMatcher(options, taught);
      if (metadata) await matcher.enroll(taught[0].label, received(taught[0].image), { metadata });
      return sent(matcher.exportGallery());
    },

    async imported({ options, archive, images }) {
      const matcher = await emptyMatcher(options);
      const added = await matcher.importGallery(bytes(archive));
      const matches = [];
      for (const one of images) matches.push(await matcher.match(received(one)));
      const supports = matcher.gallery.all.map(({ metadata, thumbnail }) => ({ metadata, thumbnail: thumbnail ? sent(thumbnail) : null }));
      return { added, labels: matcher.labels, matches, supports };
    },

    // Milliseconds of each stage for `rounds` images in turn, matched in a gallery of `size` symbols.
    async times({ options, images, rounds, size }) {
      const matcher = await emptyMatcher(options);
      const { model, gallery } = matcher;
      const pixels = images.map(received);
      const codes = [];
      for (const one of pixels) codes.push(encode(await matcher.embed(one), model.head));
      const known = (place) => ({ label: `${place}`, code: codes[place % codes.length], thumbnail: null, metadata: null, created: 0 });
      await gallery.extend(Array.from({ length: size }, (_, place) => known(place)));
      const times = { preprocess: [], embed: [], match: [] };
      const timed = async (name, work) => {
        const start = performance.now();
        const result = await work();
        times[name].push(performance.now() - start);
        return result;
      };
      for (let round = 0; round < rounds; round++) {
        const picture = pixels[round % pixels.length];
        const canvas = await timed("preprocess", () => canvasOf(waysToRead(pictureOf(picture), model.spec)[0], model.spec));
        const [embedding] = await timed("embed", () => model.embed([canvas]));
        await timed("match", () => gallery.ranked(encode(embedding, model.head), 5));
      }
      return times;
    },
  };
}
