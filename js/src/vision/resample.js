// Resizing as Pillow does it: weights in 22 bits, each pass rounded to bytes.

const PRECISION = 22;

export const BILINEAR = { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) };
export const BICUBIC = { support: 2, weight: bicubic };

// The width first, then the height; a side that keeps its length is left as it is.
export function resize(image, width, height, filter) {
  return resizeHeight(resizeWidth(image, width, filter), height, filter);
}

// Every pixel becomes the mean of a block of `factor` by `factor` pixels, or of what is left of it at the edges.
export function reduce({ pixels, width, height }, factor) {
  const [columns, rows] = [Math.ceil(width / factor), Math.ceil(height / factor)];
  const reduced = new Uint8Array(columns * rows);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const [bottom, right] = [Math.min(height, (row + 1) * factor), Math.min(width, (column + 1) * factor)];
      const count = (bottom - row * factor) * (right - column * factor);
      let sum = count >> 1;
      for (let y = row * factor; y < bottom; y++) {
        for (let x = column * factor; x < right; x++) sum += pixels[y * width + x];
      }
      // A division by the count, as one multiplication with a factor of 32 bits in single precision.
      reduced[row * columns + column] = Math.floor(sum * Math.trunc(Math.fround(2 ** 32 / (256 * count))) / 2 ** 24);
    }
  }
  return { pixels: reduced, width: columns, height: rows };
}

// Each pixel becomes the one that its middle lies in.
export function nearest({ pixels, width, height }, toWidth, toHeight) {
  const columns = places(width, toWidth);
  const resized = new Uint8Array(toWidth * toHeight);
  places(height, toHeight).forEach((y, row) => {
    for (let x = 0; x < toWidth; x++) resized[row * toWidth + x] = pixels[y * width + columns[x]];
  });
  return { pixels: resized, width: toWidth, height: toHeight };
}

// Added up step by step, as Pillow does: a product would round otherwise.
function places(from, to) {
  const step = from / to;
  let middle = step * 0.5;
  return Array.from({ length: to }, () => {
    const place = Math.min(from - 1, Math.trunc(middle));
    middle += step;
    return place;
  });
}

function bicubic(x) {
  const far = Math.abs(x);
  if (far < 1) return (1.5 * far - 2.5) * far * far + 1;
  return far < 2 ? (((far - 5) * far + 8) * far - 4) * -0.5 : 0;
}

// For each of `to` pixels: the first of the `from` pixels that it is made of, and their integer weights.
function taps(from, to, filter) {
  const scale = from / to;
  const support = filter.support * Math.max(1, scale);
  const narrow = 1 / Math.max(1, scale);
  return Array.from({ length: to }, (_, place) => {
    const centre = (place + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const end = Math.min(from, Math.trunc(centre + support + 0.5));
    const weights = [];
    for (let at = first; at < end; at++) weights.push(filter.weight((at - centre + 0.5) * narrow));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return { first, weights: weights.map((weight) => roundAway((weight / total) * 2 ** PRECISION)) };
  });
}

const roundAway = (value) => Math.trunc(value < 0 ? value - 0.5 : value + 0.5);
const byte = (sum) => Math.min(255, Math.max(0, sum >> PRECISION));

function resizeWidth(image, to, filter) {
  const { pixels, width, height } = image;
  if (to === width) return image;
  const resized = new Uint8Array(to * height);
  taps(width, to, filter).forEach(({ first, weights }, x) => {
    for (let y = 0; y < height; y++) {
      let sum = 1 << (PRECISION - 1);
      for (let at = 0; at < weights.length; at++) sum += pixels[y * width + first + at] * weights[at];
      resized[y * to + x] = byte(sum);
    }
  });
  return { pixels: resized, width: to, height };
}

function resizeHeight(image, to, filter) {
  const { pixels, width, height } = image;
  if (to === height) return image;
  const resized = new Uint8Array(width * to);
  taps(height, to, filter).forEach(({ first, weights }, y) => {
    for (let x = 0; x < width; x++) {
      let sum = 1 << (PRECISION - 1);
      for (let at = 0; at < weights.length; at++) sum += pixels[(first + at) * width + x] * weights[at];
      resized[y * width + x] = byte(sum);
    }
  });
  return { pixels: resized, width, height: to };
}
