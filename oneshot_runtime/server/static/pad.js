// The drawing area: strokes by mouse, pen, finger or keyboard, or pictures in their place.

import { pngOf, shrunk } from "./widgets.js";

const SENT = 256; // side of what the server gets: its canvas is smaller still
const PICTURE = 512; // longer side of a picture that is sent
const PEN = 0.03; // stroke width as a share of the side
const STEP = 0.04;

export class Pad {
  // changed(done): after every change; done is false in the middle of a stroke.
  constructor(canvas, changed) {
    this.canvas = canvas;
    this.changed = changed;
    this.strokes = [];
    this.pictures = [];
    this.current = null;
    this.cursor = null;
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (event) => this.#up(event));
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("blur", () => { this.#lift(); this.cursor = null; this.draw(); });
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  get empty() { return !this.strokes.length && !this.pictures.length; }

  clear() {
    this.strokes = [];
    this.pictures = [];
    this.current = null;
    this.draw();
    this.changed(true);
  }

  undo() {
    if (this.pictures.length) this.pictures = [];
    else this.strokes.pop();
    this.current = null;
    this.draw();
    this.changed(true);
  }

  // Show pictures (anything that can be drawn on a canvas) in place of strokes.
  show(pictures) {
    this.strokes = [];
    this.current = null;
    this.pictures = pictures;
    this.draw();
    this.changed(true);
  }

  // What is drawn, on canvases to read from: dark on white, whatever the page looks like.
  sheets() {
    return this.pictures.length ? this.pictures.map((picture) => shrunk(picture, PICTURE)) : [written(this.strokes)];
  }

  // The same as PNG files.
  files() {
    return this.sheets().map(png);
  }

  draw() {
    const side = Math.max(1, Math.round(this.canvas.clientWidth * devicePixelRatio));
    if (this.canvas.width !== side) this.canvas.width = this.canvas.height = side;
    const context = this.canvas.getContext("2d");
    context.clearRect(0, 0, side, side);
    const style = getComputedStyle(this.canvas);
    if (this.pictures.length) {
      const picture = this.pictures[0];
      const scale = Math.min(side / picture.width, side / picture.height);
      const [width, height] = [picture.width * scale, picture.height * scale];
      context.drawImage(picture, (side - width) / 2, (side - height) / 2, width, height);
    }
    paint(context, this.strokes, side, style.color);
    if (this.cursor) {
      context.strokeStyle = style.getPropertyValue("--known");
      context.lineWidth = side / 200;
      context.beginPath();
      context.arc(this.cursor[0] * side, this.cursor[1] * side, side * (this.current ? 0.014 : 0.024), 0, 7);
      context.stroke();
    }
  }

  #begin(point) {
    this.pictures = [];
    this.current = [point];
    this.strokes.push(this.current);
    this.draw();
    this.changed(false);
  }

  #extend(points) {
    this.current.push(...points);
    this.draw();
    this.changed(false);
  }

  #lift() {
    if (!this.current) return;
    this.current = null;
    this.changed(true);
  }

  #at(event) {
    const box = this.canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  #down(event) {
    if (event.button !== 0 || !event.isPrimary) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.cursor = null;
    this.#begin(this.#at(event));
  }

  #move(event) {
    if (!this.current || this.cursor || !event.isPrimary) return;
    const events = event.getCoalescedEvents?.() ?? [];
    this.#extend((events.length ? events : [event]).map((part) => this.#at(part)));
  }

  #up(event) {
    if (event.isPrimary && !this.cursor) this.#lift();
  }

  #key(event) {
    const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (ways[event.key]) {
      const step = event.shiftKey ? STEP / 4 : STEP;
      const [x, y] = this.cursor ?? [0.5, 0.5];
      this.cursor = [x + ways[event.key][0] * step, y + ways[event.key][1] * step].map((part) => Math.min(1, Math.max(0, part)));
      if (this.current) this.#extend([this.cursor]);
    } else if (event.key === " ") {
      this.cursor ??= [0.5, 0.5];
      if (this.current) this.#lift();
      else this.#begin(this.cursor);
    } else if (event.key === "Escape" || event.key === "Delete") {
      this.clear();
    } else if (event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey)) {
      this.undo();
    } else {
      return;
    }
    event.preventDefault();
    this.draw();
  }
}

// Strokes on a canvas, dark on white.
function written(strokes) {
  const sheet = document.createElement("canvas");
  sheet.width = sheet.height = SENT;
  const context = sheet.getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, SENT, SENT);
  paint(context, strokes, SENT, "#000");
  return sheet;
}

// The same as a PNG file.
export const fileOf = (strokes) => png(written(strokes));

function paint(context, strokes, side, colour) {
  context.strokeStyle = context.fillStyle = colour;
  context.lineWidth = PEN * side;
  context.lineCap = context.lineJoin = "round";
  for (const stroke of strokes) {
    const points = stroke.map(([x, y]) => [x * side, y * side]);
    // A canvas leaves lines without length out, so a dot is made of a disc.
    context.beginPath();
    context.arc(...points[0], context.lineWidth / 2, 0, 7);
    context.fill();
    context.beginPath();
    context.moveTo(...points[0]);
    // Through the middles between the points: smooth however coarse the pointer reports.
    for (let at = 1; at < points.length - 1; at++) {
      const [x, y] = points[at];
      context.quadraticCurveTo(x, y, (x + points[at + 1][0]) / 2, (y + points[at + 1][1]) / 2);
    }
    context.lineTo(...points.at(-1));
    context.stroke();
  }
}

// toBlob would wait until the browser finds itself idle, up to a second later.
const png = (sheet) => pngOf(sheet.toDataURL("image/png").split(",")[1]);
