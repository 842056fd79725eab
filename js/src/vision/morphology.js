// Grey-level morphology, as oneshot_runtime/vision/morphology.py.

// Fill in what is darker than its surroundings and narrower than `window`, an odd number of pixels; steps stay.
export const closing = (image, window) => extreme(extreme(image, window, true), window, false);

// Level what is lighter than its surroundings and narrower than `window`, an odd number of pixels; steps stay.
export const opening = (image, window) => extreme(extreme(image, window, false), window, true);

// Every pixel takes the highest level within `reach` pixels in both directions.
export const spread = (mask, reach) => extreme(mask, 2 * reach + 1, true);

// The highest or lowest level in a square around each pixel; beyond the borders there is nothing.
function extreme({ pixels, width, height }, window, high) {
  const rows = down(pixels, width, height, Math.min(window, 2 * height - 1), high);
  return { pixels: along(rows, width, height, Math.min(window, 2 * width - 1), high), width, height };
}

// Each pass doubles how many pixels ahead have been seen.
function steps(window) {
  const found = [];
  for (let seen = 1; seen < window; seen += found.at(-1)) found.push(Math.min(seen, window - seen));
  return found;
}

function down(pixels, width, height, window, high) {
  const reach = window >> 1;
  const choose = high ? highest : lowest;
  const plane = new Uint8Array(width * (height + 2 * reach)).fill(high ? 0 : 255);
  plane.set(pixels, width * reach);
  let left = plane.length;
  for (const step of steps(window)) {
    const ahead = step * width;
    left -= ahead;
    choose(plane, left, ahead);
  }
  return plane.subarray(0, width * height);
}

function along(pixels, width, height, window, high) {
  const reach = window >> 1;
  const choose = high ? highest : lowest;
  const row = new Uint8Array(width + 2 * reach);
  const result = new Uint8Array(width * height);
  const passes = steps(window);
  for (let y = 0; y < height; y++) {
    row.fill(high ? 0 : 255);
    row.set(pixels.subarray(y * width, (y + 1) * width), reach);
    let left = row.length;
    for (const step of passes) {
      left -= step;
      choose(row, left, step);
    }
    result.set(row.subarray(0, width), y * width);
  }
  return result;
}

// Both go upwards and in place: what lies ahead has not been changed yet.
function highest(plane, end, ahead) {
  for (let at = 0; at < end; at++) if (plane[at + ahead] > plane[at]) plane[at] = plane[at + ahead];
}

function lowest(plane, end, ahead) {
  for (let at = 0; at < end; at++) if (plane[at + ahead] < plane[at]) plane[at] = plane[at + ahead];
}
