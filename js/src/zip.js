// Zip archives: what numpy's .npz files are. Reads stored and deflated files, writes stored ones.

import { ArchiveError } from "./errors.js";

const [LOCAL, CENTRAL, END, END_64, LOCATOR_64] = [0x04034b50, 0x02014b50, 0x06054b50, 0x06064b50, 0x07064b50];
const FULL = 0xffffffff; // the true number is of 64 bits, and elsewhere
const FREE_BYTES = 1 << 26; // what may be unpacked whatever its compression
const MAX_GROWTH = 200; // how many times its size in the archive a file may unpack to

const CRC = Uint32Array.from({ length: 256 }, (_, value) => {
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

export function crc32(bytes) {
  let sum = 0xffffffff;
  for (const byte of bytes) sum = CRC[(sum ^ byte) & 255] ^ (sum >>> 8);
  return (sum ^ 0xffffffff) >>> 0;
}

// The files of an archive, Map of name to Uint8Array, their checksums compared. Throws ArchiveError for anything else.
export async function unzip(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    const files = new Map();
    for (const entry of entries(bytes, view)) files.set(entry.name, await unpacked(bytes, view, entry));
    return files;
  } catch (error) {
    if (error instanceof ArchiveError) throw error;
    throw new ArchiveError(`the archive is damaged: ${error.message}`);
  }
}

// What the central directory says of each file: its name, method, checksum, sizes and place.
function entries(bytes, view) {
  let end = bytes.length - 22;
  while (end >= 0 && view.getUint32(end, true) !== END) end -= 1;
  if (end < 0) throw new ArchiveError("it is no zip archive, or was cut off");
  let [count, at] = [view.getUint16(end + 10, true), view.getUint32(end + 16, true)];
  if (end >= 20 && view.getUint32(end - 20, true) === LOCATOR_64) {
    const wide = number64(view, end - 12);
    if (view.getUint32(wide, true) !== END_64) throw new ArchiveError("its directory is damaged");
    [count, at] = [number64(view, wide + 32), number64(view, wide + 48)];
  }
  const found = [];
  for (let place = 0; place < count; place++) {
    if (view.getUint32(at, true) !== CENTRAL) throw new ArchiveError("its directory is damaged");
    const [nameLength, extraLength, noteLength] = [28, 30, 32].map((offset) => view.getUint16(at + offset, true));
    const extra = at + 46 + nameLength;
    const numbers = [24, 20, 42].map((offset) => view.getUint32(at + offset, true)); // in the order of the extra field
    const [size, packed, start] = wideNumbers(view, numbers, extra, extra + extraLength);
    found.push({
      name: new TextDecoder().decode(bytes.subarray(at + 46, extra)),
      method: view.getUint16(at + 10, true),
      sum: view.getUint32(at + 16, true),
      size,
      packed,
      start,
    });
    at = extra + extraLength + noteLength;
  }
  return found;
}

// Numbers of which those that do not fit 32 bits are in the extra field with the tag 1, in their order.
function wideNumbers(view, numbers, at, end) {
  while (at + 4 <= end && view.getUint16(at, true) !== 1) at += 4 + view.getUint16(at + 2, true);
  let wide = at + 4;
  return numbers.map((number) => {
    if (number !== FULL || wide + 8 > end) return number;
    wide += 8;
    return number64(view, wide - 8);
  });
}

const number64 = (view, at) => Number(view.getBigUint64(at, true));

async function unpacked(bytes, view, { name, method, sum, size, packed, start }) {
  if (view.getUint32(start, true) !== LOCAL) throw new ArchiveError(`'${name}' is not where the directory says`);
  if (size > Math.max(FREE_BYTES, MAX_GROWTH * packed)) {
    throw new ArchiveError(`'${name}' unpacks ${packed} bytes to ${size}: refused as a zip bomb`);
  }
  const data = start + 30 + view.getUint16(start + 26, true) + view.getUint16(start + 28, true);
  const content = bytes.subarray(data, data + packed);
  if (content.length !== packed || ![0, 8].includes(method)) throw new ArchiveError(`'${name}' is cut off, or packed in another way`);
  const file = method === 8 ? await inflated(content, size) : content;
  if (file.length !== size || crc32(file) !== sum) throw new ArchiveError(`'${name}' is damaged`);
  return file;
}

// Have another function unpack deflated bytes: (content, size) gives at most `size` bytes, or throws. For platforms without streams.
export function inflateWith(other) {
  inflated = other;
}

let inflated = async (content, size) => {
  const file = new Uint8Array(size);
  let filled = 0;
  for await (const part of chunks(new Blob([content]).stream().pipeThrough(new DecompressionStream("deflate-raw")))) {
    if (filled + part.length > size) throw new ArchiveError("a file unpacks to more than the directory says");
    file.set(part, filled);
    filled += part.length;
  }
  return file.subarray(0, filled);
};

// Not every browser iterates streams.
async function* chunks(stream) {
  const reader = stream.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value;
}

// An archive of files, [[name, Uint8Array], ...].
export function zip(files) {
  const parts = [];
  const directory = [];
  let at = 0;
  for (const [name, content] of files) {
    const [label, sum] = [new TextEncoder().encode(name), crc32(content)];
    const sizes = [sum, content.length, content.length];
    // Version 2.0, names in UTF-8, stored, at midnight on the first day of 1980.
    const about = [[2, 20], [2, 0x800], [2, 0], [2, 0], [2, 0x21], ...sizes.map((size) => [4, size]), [2, label.length], [2, 0]];
    const local = packedNumbers([[4, LOCAL], ...about]);
    directory.push(packedNumbers([[4, CENTRAL], [2, 20], ...about, [2, 0], [2, 0], [2, 0], [4, 0], [4, at]]), label);
    parts.push(local, label, content);
    at += local.length + label.length + content.length;
  }
  const length = directory.reduce((sum, part) => sum + part.length, 0);
  if (at + length >= FULL) throw new ArchiveError("an archive of 4 GiB and more is not written here");
  parts.push(...directory, packedNumbers([[4, END], [2, 0], [2, 0], [2, files.length], [2, files.length], [4, length], [4, at], [2, 0]]));
  return joined(parts);
}

// [bytes, number], little-endian.
function packedNumbers(numbers) {
  return Uint8Array.from(numbers.flatMap(([bytes, number]) => Array.from({ length: bytes }, (_, at) => (number >>> (8 * at)) & 255)));
}

export function joined(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
