// Connected parts of a mask, as oneshot_runtime/vision/morphology.py numbers and measures them; pixels connect at corners, too.

export class Parts {
  // rows, starts, ends: the runs of set pixels, ends exclusive. of: the part of each run. boxes: [x, y, width, height] of each
  // part. areas, pens: of each part; pens about the width of its strokes in 1/4 pixel, twice the area over the outline.
  constructor(rows, starts, ends, of, boxes, areas, pens) {
    Object.assign(this, { rows, starts, ends, of, boxes, areas, pens });
  }

  // The highest and the mean level, rounded down, of an image in each part.
  levels({ pixels, width }) {
    const peaks = new Array(this.areas.length).fill(0);
    const sums = new Array(this.areas.length).fill(0);
    this.rows.forEach((row, run) => {
      const part = this.of[run];
      for (let at = row * width + this.starts[run]; at < row * width + this.ends[run]; at++) {
        sums[part] += pixels[at];
        if (pixels[at] > peaks[part]) peaks[part] = pixels[at];
      }
    });
    return [peaks, sums.map((sum, part) => Math.floor(sum / this.areas[part]))];
  }

  // These parts, numbered anew in this order.
  only(numbers) {
    const renumbered = new Map(numbers.map((number, at) => [number, at]));
    const kept = this.of.map((_, run) => run).filter((run) => renumbered.has(this.of[run]));
    const runs = [this.rows, this.starts, this.ends].map((values) => kept.map((run) => values[run]));
    const measures = [this.boxes, this.areas, this.pens].map((values) => numbers.map((number) => values[number]));
    return new Parts(...runs, kept.map((run) => renumbered.get(this.of[run])), ...measures);
  }

  // The area of each part if every row were filled between its first and its last pixel.
  spans() {
    const sums = new Array(this.areas.length).fill(0);
    const [row, first, last] = [0, 1, 2].map(() => new Array(this.areas.length).fill(-1));
    this.of.forEach((part, run) => { // in reading order, so that a part's runs of one row follow each other
      if (row[part] !== this.rows[run]) {
        if (row[part] >= 0) sums[part] += last[part] - first[part];
        [row[part], first[part]] = [this.rows[run], this.starts[run]];
      }
      last[part] = this.ends[run];
    });
    return sums.map((sum, part) => sum + last[part] - first[part]);
  }

  // 255 where one of these parts is, within left, top, right, bottom.
  mask(numbers, left, top, right, bottom) {
    const width = right - left;
    const pixels = new Uint8Array(width * (bottom - top));
    for (const number of numbers) {
      for (const run of this.#runsOf(number)) {
        const y = this.rows[run] - top;
        if (y < 0 || this.rows[run] >= bottom || this.ends[run] <= left) continue;
        const start = Math.max(0, this.starts[run] - left);
        const end = Math.min(width, this.ends[run] - left);
        if (end > start) pixels.fill(255, y * width + start, y * width + end);
      }
    }
    return { pixels, width, height: bottom - top };
  }

  #runsOf(number) {
    if (!this.runs) {
      this.runs = this.areas.map(() => []);
      this.of.forEach((part, run) => this.runs[part].push(run));
    }
    return this.runs[number];
  }
}

// The parts of the pixels whose level is `limit` or more.
export function connectedParts({ pixels, width, height }, limit) {
  const [rows, starts, ends] = [[], [], []];
  for (let y = 0; y < height; y++) {
    let start = -1;
    for (let x = 0; x <= width; x++) {
      const set = x < width && pixels[y * width + x] >= limit;
      if (set && start < 0) start = x;
      if (!set && start >= 0) {
        rows.push(y);
        starts.push(start);
        ends.push(x);
        start = -1;
      }
    }
  }
  const { of, covered } = joined(rows, starts, ends);
  return measured(rows, starts, ends, of, covered);
}

// The part of each run, and how many of its pixels have one of the part above them.
function joined(rows, starts, ends) {
  const parent = rows.map((_, run) => run);
  const covered = rows.map(() => 0);
  const root = (run) => {
    while (parent[run] !== run) run = parent[run] = parent[parent[run]];
    return run;
  };
  let first = 0; // of the runs that may touch this one from the row above
  for (let run = 0; run < rows.length; run++) {
    while (rows[first] < rows[run] - 1 || (rows[first] === rows[run] - 1 && ends[first] < starts[run])) first += 1;
    for (let above = first; rows[above] === rows[run] - 1 && starts[above] <= ends[run]; above++) {
      covered[run] += Math.max(0, Math.min(ends[above], ends[run]) - Math.max(starts[above], starts[run]));
      const [one, other] = [root(above), root(run)];
      parent[Math.max(one, other)] = Math.min(one, other);
    }
  }
  const numbers = new Map(); // of the parts, by their first run
  const of = rows.map((_, run) => {
    const own = root(run);
    if (!numbers.has(own)) numbers.set(own, numbers.size);
    return numbers.get(own);
  });
  return { of, covered };
}

function measured(rows, starts, ends, of, covered) {
  const [corners, areas, outlines] = [[], [], []];
  of.forEach((part, run) => {
    const length = ends[run] - starts[run];
    if (part === areas.length) {
      corners.push([starts[run], rows[run], ends[run], rows[run] + 1]);
      areas.push(0);
      outlines.push(0);
    }
    const corner = corners[part];
    corner[0] = Math.min(corner[0], starts[run]);
    corner[2] = Math.max(corner[2], ends[run]);
    corner[3] = rows[run] + 1;
    areas[part] += length;
    outlines[part] += 1 + length - covered[run];
  });
  const boxes = corners.map(([left, top, right, bottom]) => [left, top, right - left, bottom - top]);
  const pens = areas.map((area, part) => Math.floor((5 * area) / Math.max(outlines[part], 1)));
  return new Parts(rows, starts, ends, of, boxes, areas, pens);
}
