// The bundle's graphs in ONNX Runtime, and what its manifest says about them; docs/bundle.md describes a bundle.

import { BundleError, OptionError } from "./errors.js";
import { readNpz } from "./npz.js";
import { PREPROCESS_VERSION } from "./vision/preprocess.js";

const SCHEMA = 1;
const GRAPHS = { fp32: "embedding.onnx", int8: "embedding.int8.onnx" };
const BATCH = 4;
const GOLDEN_TOLERANCE = { fp32: 1e-3, int8: 0.25 }; // largest difference of a component, as in oneshot_runtime/model/session.py

// read: gives the bytes of a bundle's file, by its name. session: options of the sessions. subtle: what reckons SHA-256, if there is
// any. ort: the module of onnxruntime-web or onnxruntime-node. precision: "fp32", "int8", or "auto", int8 where the bundle has it and
// the golden images come out right, else fp32. Throws BundleError where the bundle is damaged, or the golden images come out wrong.
export async function openModel({ read, session, subtle }, ort, precision = "auto") {
  if (!["auto", "fp32", "int8"].includes(precision)) {
    throw new OptionError(`unknown precision '${precision}': choose auto, fp32 or int8`);
  }
  const manifest = manifestOf(await read("manifest.json"));
  const file = async (name) => checked(name, await read(name), manifest.sha256, subtle);
  const create = async (name) => ort.InferenceSession.create(await file(name), session);
  const golden = await readNpz(await file("golden.npz"));
  const hasInt8 = GRAPHS.int8 in manifest.sha256;
  if (precision === "int8" && !hasInt8) throw new BundleError("the bundle has no int8 graph: load it with precision fp32 or auto");
  const tried = precision === "auto" ? (hasInt8 ? ["int8", "fp32"] : ["fp32"]) : [precision];
  const head = await create("head.onnx");
  let wrong = "";
  for (const one of tried) {
    const model = new Model(manifest, one, { embedding: await create(GRAPHS[one]), head }, ort);
    wrong = await goldenError(model, golden);
    if (!wrong) return model;
  }
  throw new BundleError(`the golden images come out wrong here: ${wrong}`);
}

function manifestOf(bytes) {
  let manifest;
  try {
    manifest = JSON.parse(new TextDecoder().decode(bytes));
  } catch (error) {
    throw new BundleError(`manifest.json is damaged: ${error.message}`);
  }
  if (manifest.schema_version !== SCHEMA) {
    throw new BundleError(`the bundle has schema ${manifest.schema_version}, this package reads ${SCHEMA}`);
  }
  const version = manifest.preprocess?.version ?? 1;
  if (version !== PREPROCESS_VERSION) {
    throw new BundleError(`the model was made for version ${version} of finding symbols in pictures, this package has version ` +
      `${PREPROCESS_VERSION}: export the model again, or install the release that it was made with`);
  }
  return manifest;
}

// The bytes, if they are those that the manifest names.
async function checked(name, bytes, sums, subtle) {
  if (!subtle) return bytes;
  const digest = new Uint8Array(await subtle.digest("SHA-256", bytes));
  const sum = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (sum !== sums[name]) throw new BundleError(`the bundle is damaged: ${name} is not the file that the manifest names`);
  return bytes;
}

export class Model {
  constructor(manifest, precision, sessions, ort) {
    this.precision = precision;
    this.spec = manifest.preprocess;
    this.dim = manifest.embedding_dim;
    this.head = manifest.head;
    this.thresholds = manifest.thresholds;
    this.fingerprint = manifest.fingerprint;
    this.sessions = sessions;
    this.ort = ort;
  }

  // The embeddings, Float32Array(D) each, of canvases, Uint8Array(H * W) each.
  async embed(canvases) {
    const { height, width } = this.spec;
    const all = new Uint8Array(canvases.length * height * width);
    canvases.forEach((canvas, at) => all.set(canvas, at * height * width));
    const images = new this.ort.Tensor("uint8", all, [canvases.length, height, width]);
    const { embeddings } = await this.sessions.embedding.run({ images });
    return canvases.map((_, at) => embeddings.data.slice(at * this.dim, (at + 1) * this.dim));
  }

  // The probability that two embeddings are of the same symbol, by head.onnx.
  async compare(first, second) {
    const [queries, supports] = [first, second].map((row) => new this.ort.Tensor("float32", row, [1, row.length]));
    return (await this.sessions.head.run({ queries, supports })).probabilities.data[0];
  }

  async release() {
    await Promise.all(Object.values(this.sessions).map((session) => session.release()));
  }
}

// What is wrong with the golden images here, "" when all is right: every component near its golden value, and the same partners.
async function goldenError(model, golden) {
  const { data: images, shape: [count, height, width] } = golden.get("images");
  const side = height * width;
  const found = [];
  for (let at = 0; at < count; at += BATCH) { // a few together, for memory's sake
    const places = Array.from({ length: Math.min(BATCH, count - at) }, (_, place) => at + place);
    found.push(...await model.embed(places.map((place) => images.subarray(place * side, (place + 1) * side))));
  }
  const [expected, probabilities] = ["embeddings", "probabilities"].map((name) => golden.get(name).data);
  const worst = farthest(found, expected);
  const allowed = GOLDEN_TOLERANCE[model.precision];
  if (!(worst <= allowed)) return `an embedding is off by ${worst.toFixed(4)}, allowed ${allowed}`;
  const near = (one, other) => -distance(found[one], found[other], model.head.weights);
  const likely = (one, other) => probabilities[one * count + other];
  const wrong = found.filter((_, own) => partner(own, count, near) !== partner(own, count, likely)).length;
  return wrong ? `${wrong} of ${count} golden images find another partner` : "";
}

// The largest difference of any component.
function farthest(rows, expected) {
  let worst = 0;
  rows.forEach((row, at) => row.forEach((value, part) => {
    worst = Math.max(worst, Math.abs(value - expected[at * row.length + part]));
  }));
  return worst;
}

function distance(first, second, weights) {
  return first.reduce((sum, value, part) => sum + weights[part] * Math.abs(value - second[part]), 0);
}

// The first of the others for which `value` is highest.
function partner(own, count, value) {
  let best = own ? 0 : 1;
  for (let other = best + 1; other < count; other++) {
    if (other !== own && value(own, other) > value(own, best)) best = other;
  }
  return best;
}
