// A whole gallery as a .npz, the archive of `oneshot gallery export` and `import`: see oneshot_runtime/transfer/npz.py.

import { encode } from "./codes.js";
import { ArchiveError } from "./errors.js";
import { checkLabel } from "./labels.js";
import { MAX_METADATA_BYTES, checkMetadata } from "./metadata.js";
import { readNpz, writeNpz } from "./npz.js";
import { joined } from "./zip.js";

const VERSION = 1;
const MAX_BYTES = { thumbnails: 1 << 20, metadata: MAX_METADATA_BYTES }; // of one support
const PNG = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const NONE = -1;

// supports: see gallery.js. model: { fingerprint, dim }. Returns the archive's bytes.
export function packGallery(supports, model) {
  const count = supports.length;
  const arrays = {
    version: { shape: [], data: BigInt64Array.of(BigInt(VERSION)) },
    fingerprint: { shape: [], data: [model.fingerprint] },
    labels: { shape: [count], data: supports.map(({ label }) => label) },
    codes: { shape: [count, model.dim], data: joined(supports.map(({ code }) => code)) },
    created: { shape: [count], data: Float64Array.from(supports, ({ created }) => created) },
  };
  addColumn(arrays, "thumbnails", "thumbnail_sizes", supports.map(({ thumbnail }) => thumbnail));
  const texts = supports.map(({ metadata }) => (metadata ? new TextEncoder().encode(JSON.stringify(metadata)) : null));
  addColumn(arrays, "metadata", "metadata_sizes", texts);
  return writeNpz(arrays);
}

function addColumn(arrays, name, sizes, parts) {
  const data = joined(parts.filter((part) => part));
  if (!data.length) return;
  arrays[sizes] = { shape: [parts.length], data: BigInt64Array.from(parts, (part) => BigInt(part ? part.length : NONE)) };
  arrays[name] = { shape: [data.length], data };
}

// The supports of an archive's bytes, all of them checked. model: { fingerprint, dim, head }. Throws ArchiveError.
export async function unpackGallery(bytes, model) {
  const arrays = await readNpz(bytes);
  const column = (name) => arrays.get(name)?.data;
  const [version, fingerprint, labels] = ["version", "fingerprint", "labels"].map(column);
  if (!fingerprint || !labels || arrays.has("codes") === arrays.has("embeddings")) {
    throw new ArchiveError(`expected fingerprint, labels and either codes or embeddings, got ${[...arrays.keys()].slice(0, 20)}`);
  }
  if (version && version[0] !== VERSION) throw new ArchiveError(`it has version ${version[0]}, this package reads ${VERSION}`);
  if (fingerprint[0] !== model.fingerprint) {
    throw new ArchiveError(`it was exported with model ${fingerprint[0]}, the loaded model is ${model.fingerprint}: load the bundle it was ` +
      "made with, or enroll its pictures again");
  }
  const count = labels.length;
  const codes = codesOf(arrays, count, model);
  const created = column("created") ?? new Array(count).fill(Date.now() / 1000);
  const thumbnails = partsOf(arrays, "thumbnails", "thumbnail_sizes", count).map(checkedThumbnail);
  const metadata = partsOf(arrays, "metadata", "metadata_sizes", count).map(parsed);
  if (created.length !== count || ![...created].every(Number.isFinite)) throw new ArchiveError("'created' does not fit the labels");
  return labels.map((label, at) => ({
    label: checkLabel(label), code: codes[at], thumbnail: thumbnails[at], metadata: metadata[at], created: created[at],
  }));
}

function codesOf(arrays, count, { dim, head }) {
  const name = arrays.has("codes") ? "codes" : "embeddings";
  const { shape, data } = arrays.get(name);
  const wanted = name === "codes" ? Uint8Array : Float32Array;
  if (shape.length !== 2 || shape[0] !== count || shape[1] !== dim || !(data instanceof wanted)) {
    throw new ArchiveError(`array '${name}' has the shape (${shape}), expected (${count},${dim})`);
  }
  const rows = Array.from({ length: count }, (_, at) => data.slice(at * dim, (at + 1) * dim));
  if (name === "codes") return rows;
  if (!data.every((value) => value >= 0 && value <= 1)) throw new ArchiveError("embeddings have components outside 0 to 1");
  return rows.map((row) => encode(row, head));
}

// The bytes that each support has of a column, null for none.
function partsOf(arrays, name, sizesName, count) {
  if (arrays.has(name) !== arrays.has(sizesName)) {
    throw new ArchiveError(`'${name}' and '${sizesName}' come together, but only one of them is there`);
  }
  if (!arrays.has(name)) return new Array(count).fill(null);
  const [content, sizes] = [arrays.get(name).data, arrays.get(sizesName).data];
  if (sizes.length !== count || !(content instanceof Uint8Array)) throw new ArchiveError(`'${name}' does not fit the labels`);
  let at = 0;
  const parts = Array.from(sizes, (size) => {
    if (!(size >= NONE && size <= MAX_BYTES[name])) throw new ArchiveError(`'${sizesName}' has sizes outside -1 to ${MAX_BYTES[name]}`);
    if (size === NONE) return null;
    at += size;
    return content.slice(at - size, at);
  });
  if (at !== content.length) throw new ArchiveError(`'${name}' has ${content.length} bytes, expected ${at}`);
  return parts;
}

function checkedThumbnail(part) {
  if (part && PNG.some((byte, at) => part[at] !== byte)) throw new ArchiveError("a thumbnail is no PNG");
  return part;
}

function parsed(part) {
  if (!part) return null;
  try {
    return checkMetadata(JSON.parse(new TextDecoder().decode(part)));
  } catch (error) {
    throw new ArchiveError(`metadata cannot be read: ${error.message}`);
  }
}
