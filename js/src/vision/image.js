// What the modules of vision share. A grey image is { pixels: Uint8Array(width * height), width, height }, row by row.

// As Python's round: halves go to the even neighbour.
export function roundHalfEven(value) {
  const low = Math.floor(value);
  const rest = value - low;
  return rest > 0.5 || (rest === 0.5 && low % 2 !== 0) ? low + 1 : low;
}

// The part of an image from (left, top) to (right, bottom), exclusive.
export function crop({ pixels, width }, left, top, right, bottom) {
  const part = { pixels: new Uint8Array((right - left) * (bottom - top)), width: right - left, height: bottom - top };
  for (let y = top; y < bottom; y++) {
    part.pixels.set(pixels.subarray(y * width + left, y * width + right), (y - top) * part.width);
  }
  return part;
}

export function transposed({ pixels, width, height }) {
  const turned = new Uint8Array(pixels.length);
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) turned[x * height + y] = pixels[y * width + x];
  return { pixels: turned, width: height, height: width };
}

// How many pixels have each of the 256 levels.
export function histogram(pixels) {
  const counts = new Float64Array(256);
  for (const level of pixels) counts[level] += 1;
  return counts;
}

// The level of that rank, from 0, of a histogram's levels in order.
export function ranked(counts, rank) {
  let seen = 0;
  for (let level = 0; level < 256; level++) {
    seen += counts[level];
    if (seen > rank) return level;
  }
  return 256;
}
