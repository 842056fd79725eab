// numpy's arrays in a .npz: { shape: [..], data }, where data is a typed array, or strings. Nothing is unpickled.

import { ArchiveError } from "./errors.js";
import { joined, unzip, zip } from "./zip.js";

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59]; // \x93NUMPY
const KINDS = { "|u1": Uint8Array, "<f4": Float32Array, "<f8": Float64Array };

// All arrays of a .npz, Map of name to array. Throws ArchiveError.
export async function readNpz(bytes) {
  const arrays = new Map();
  for (const [name, file] of await unzip(bytes)) {
    if (name.endsWith(".npy")) arrays.set(name.slice(0, -4), readNpy(name, file));
  }
  return arrays;
}

// arrays: { name: { shape, data } }.
export function writeNpz(arrays) {
  return zip(Object.entries(arrays).map(([name, array]) => [`${name}.npy`, writeNpy(array)]));
}

function readNpy(name, file) {
  const version = file[6];
  if (MAGIC.some((byte, at) => file[at] !== byte) || ![1, 2].includes(version)) {
    throw new ArchiveError(`'${name}' is no array of numpy's`);
  }
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const start = version === 1 ? 10 + view.getUint16(8, true) : 12 + view.getUint32(8, true);
  const header = new TextDecoder("latin1").decode(file.subarray(0, Math.min(start, 10_000)));
  const forms = [/'descr': '([^']*)'/, /'fortran_order': (\w+)/, /'shape': \(([\d, ]*)\)/];
  const [kind, order, sides] = forms.map((form) => form.exec(header)?.[1]);
  const shape = sides?.split(",").filter((side) => side.trim()).map(Number);
  if (kind === undefined || !shape || (order !== "False" && shape.length > 1)) {
    throw new ArchiveError(`'${name}' is not stored as plain rows`);
  }
  const count = shape.reduce((product, side) => product * side, 1);
  return { shape, data: values(name, kind, new Uint8Array(file.subarray(start)), count) };
}

// content: a copy, and so at a place that every typed array can begin at.
function values(name, kind, content, count) {
  const text = /^<U(\d+)$/.exec(kind);
  const size = text ? 4 * text[1] : Number(/\d+$/.exec(kind)?.[0]);
  if (content.length !== count * size) {
    throw new ArchiveError(`'${name}' has ${content.length} bytes, not those of ${count} values of ${kind}`);
  }
  if (text) return strings(new Uint32Array(content.buffer), count, Number(text[1]));
  if (kind === "<i8") return Float64Array.from(new BigInt64Array(content.buffer), Number);
  if (!KINDS[kind]) throw new ArchiveError(`'${name}' holds ${kind}, which is not read`);
  return new KINDS[kind](content.buffer);
}

function strings(points, count, width) {
  return Array.from({ length: count }, (_, at) => {
    let text = "";
    for (const point of points.subarray(at * width, (at + 1) * width)) {
      if (!point) break;
      if (point > 0x10ffff) throw new ArchiveError("a text holds what is no character");
      text += String.fromCodePoint(point);
    }
    return text;
  });
}

// data: Uint8Array, Float64Array, BigInt64Array or strings.
function writeNpy({ shape, data }) {
  const bytesOf = (array) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  const [kind, content] = Array.isArray(data) ? packedStrings(data) : [kindOf(data), bytesOf(data)];
  const sides = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const about = `{'descr': '${kind}', 'fortran_order': False, 'shape': (${sides}), }`;
  const header = about.padEnd(64 * Math.ceil((about.length + 11) / 64) - 11) + "\n";
  const start = Uint8Array.from([...MAGIC, 1, 0, header.length & 255, header.length >> 8]);
  return joined([start, new TextEncoder().encode(header), content]);
}

const kindOf = (data) => (data instanceof Uint8Array ? "|u1" : data instanceof BigInt64Array ? "<i8" : "<f8");

function packedStrings(texts) {
  const all = texts.map((text) => Array.from(text, (letter) => letter.codePointAt(0)));
  const width = all.reduce((most, points) => Math.max(most, points.length), 1);
  const packed = new Uint32Array(width * all.length);
  all.forEach((points, at) => packed.set(points, at * width));
  return [`<U${width}`, new Uint8Array(packed.buffer)];
}
