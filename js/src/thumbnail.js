// A small PNG of a drawing, enough to embed it again with another model.

import { roundHalfEven } from "./vision/image.js";
import { BILINEAR, resize } from "./vision/resample.js";
import { crc32, joined } from "./zip.js";

const SIDE = 128;
const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);

// drawing: a grey image. Returns the bytes of a PNG whose longer side is at most 128.
export async function thumbnailOf(drawing) {
  const scale = SIDE / Math.max(drawing.width, drawing.height);
  if (scale >= 1) return pngOf(drawing);
  const [width, height] = [drawing.width, drawing.height].map((side) => Math.max(1, roundHalfEven(side * scale)));
  return pngOf(resize(drawing, width, height, BILINEAR));
}

// The bytes of a PNG of a grey image.
export async function pngOf({ pixels, width, height }) {
  const rows = new Uint8Array((width + 1) * height); // each begins with its filter, none
  for (let y = 0; y < height; y++) rows.set(pixels.subarray(y * width, (y + 1) * width), y * (width + 1) + 1);
  const stream = new Blob([rows]).stream().pipeThrough(new CompressionStream("deflate"));
  const content = new Uint8Array(await new Response(stream).arrayBuffer());
  const about = Uint8Array.of(...bigEndian(width), ...bigEndian(height), 8, 0, 0, 0, 0); // 8 bits of grey
  return joined([SIGNATURE, chunk("IHDR", about), chunk("IDAT", content), chunk("IEND", new Uint8Array(0))]);
}

function chunk(name, content) {
  const body = joined([new TextEncoder().encode(name), content]);
  return joined([bigEndian(content.length), body, bigEndian(crc32(body))]);
}

const bigEndian = (number) => Uint8Array.of(number >>> 24, number >>> 16, number >>> 8, number);
