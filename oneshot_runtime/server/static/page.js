// Wires the page together: draw, ask while drawing, teach, and look after the gallery.

import * as api from "./api.js";
import { showIdle, showMatch } from "./answer.js";
import { EXAMPLES } from "./examples.js";
import { Gallery, picture } from "./gallery.js";
import { Live } from "./live.js";
import { Pad, fileOf } from "./pad.js";
import { Reading } from "./reading.js";
import { Stage } from "./stage.js";
import { Strictness } from "./strictness.js";
import { ask, element, toast } from "./widgets.js";

const WHILE_DRAWING = 80; // milliseconds between two questions about an unfinished stroke

const at = (id) => document.getElementById(id);
const gallery = new Gallery(() => { showFindings("", []); question(true); });
const pad = new Pad(at("pad"), changed);
const stage = new Stage(() => { at("live").focus(); question(true); });
const live = new Live(stage, taughtLive, () => strictness.far);
const reader = {
  prepare: (sheet) => new Promise((resolve) => { sheet.toBlob(resolve, "image/png"); }),
  read: (picture) => api.read(picture, strictness.far),
  teach: (label, { crop }) => api.teach(label, [crop]),
};
const reading = new Reading(stage, reader, {
  taught: (label, { findings }) => taughtLive({ label, findings: (findings ?? []).map(({ message }) => message) }),
  whole: (picture) => pad.show([picture]),
});
const strictness = new Strictness(document.querySelectorAll(".strict"), () => {
  if (stage.open) stage.source.stricter();
  else question(true);
});
const failed = (error) => toast(error.message, true);

let newest = 0; // numbers the states of the drawing
let emptied = 0; // the last state that was empty: answers to earlier ones come too late
let shown = 0; // the state whose answer is on the page
let asking = 0; // questions on their way
let wanted = 0; // when a movement came that is still to be asked about, 0 for none
let timer = 0;

function changed(done) {
  newest += 1;
  if (pad.empty) emptied = newest;
  at("answer").ariaBusy = "true"; // until the answer belongs to this state
  at("paper").classList.toggle("drawn", !pad.empty);
  at("undo").disabled = at("clear").disabled = at("teach-button").disabled = pad.empty;
  if (!done) {
    timer ||= setTimeout(() => { timer = 0; question(false); }, WHILE_DRAWING);
    return;
  }
  clearTimeout(timer);
  timer = 0;
  question(true);
}

// Ask what the drawing shows. While drawing, one question is on its way at a time; the end of a stroke waits for none of them.
async function question(done, start = performance.now()) {
  if (pad.empty) {
    at("answer").ariaBusy = "false";
    answered(null);
    return showIdle(gallery.total ? "Waiting for a drawing" : "Nothing taught yet");
  }
  if (asking && !done) {
    wanted = start;
    return undefined;
  }
  wanted = 0;
  asking += 1;
  const state = newest;
  try {
    const [file] = pad.files();
    const match = await api.match(file, strictness.far);
    if (state > emptied && state >= shown) {
      shown = state;
      showMatch(match, performance.now() - start, done, { chosen: choose, picture });
      answered(match);
    }
  } catch (error) {
    if (done) failed(error);
  } finally {
    asking -= 1;
  }
  if (done && state === newest) at("answer").ariaBusy = "false";
  return wanted && !asking ? question(false, wanted) : undefined;
}

// What the rest of the page makes of an answer; null for none.
function answered(match) {
  gallery.highlight(match?.label ?? null);
  at("why").hidden = !match?.candidates.length;
}

async function explain() {
  const address = URL.createObjectURL(await api.explained(pad.files()[0]));
  at("why-picture").src = address;
  at("why-picture").alt = `${at("verdict").textContent}. ${at("reason").textContent}`;
  await ask("why-dialog");
  URL.revokeObjectURL(address);
}

async function loadExamples() {
  at("examples").disabled = true;
  try {
    for (const [label, strokes] of Object.entries(EXAMPLES)) await api.teach(label, [fileOf(strokes)]);
    await gallery.refresh();
    await question(true);
    toast("Now draw one of them.");
    at("pad").focus({ preventScroll: true });
  } finally {
    at("examples").disabled = false;
  }
}

function choose(label) {
  at("name").value = label;
  at("name").focus();
}

async function teach(event) {
  event.preventDefault();
  if (pad.empty) return;
  const label = at("name").value.trim();
  at("teach-button").disabled = true;
  try {
    const { supports, findings } = await api.teach(label, pad.files());
    showFindings(label, findings ?? []);
    pad.clear();
    at("name").value = "";
    await gallery.refresh(label);
    showIdle("Now draw it again");
    toast(taught(label, supports));
    at("pad").focus({ preventScroll: true });
  } catch (error) {
    failed(error);
  } finally {
    at("teach-button").disabled = pad.empty;
  }
}

// The server may have taught it without being able to count the pictures afterwards.
function taught(label, supports) {
  if (supports === null) return `“${label}” is known.`;
  return supports === 1 ? `“${label}” is known from one picture.` : `“${label}” is known from ${supports} pictures.`;
}

// Taught by pointing. still: a symbol that it is taken for all the same, since a picture of that one shows it too.
async function taughtLive({ label, findings, still }) {
  if (still) toast(`“${label}” is taught, but a picture of “${still}” looks the same. Remove that one below.`, true);
  else toast([`“${label}” is taught.`, ...findings.map((message) => `It ${message}.`)].join(" "));
  await gallery.refresh(label).catch(failed);
}

// What is odd about the pictures that were just taught, until the next ones are or the gallery changes.
function showFindings(label, findings) {
  at("findings").hidden = !findings.length;
  const texts = findings.map(({ image, message }) => `“${label}”${findings.length > 1 ? `, picture ${image + 1}` : ""} ${message}`);
  at("findings").replaceChildren(...texts.map((textContent) => element("li", { textContent })));
}

async function take(files) {
  const archive = files.find((file) => file.name.toLowerCase().endsWith(".npz"));
  try {
    if (archive) return await importGallery(archive);
    const pictures = await Promise.all(files.map(decoded));
    if (!pictures.length) return undefined;
    if (pictures.length === 1 && await reading.open(pictures[0]).catch(() => false)) return undefined;
    stage.close();
    pad.show(pictures);
    if (pictures.length > 1) toast(`${pictures.length} pictures: the first is asked about, all are taught.`);
  } catch (error) {
    failed(error);
  }
  return undefined;
}

async function decoded(file) {
  try {
    return await createImageBitmap(file);
  } catch {
    throw new Error(`“${file.name}” is no picture that this browser can show.`);
  }
}

async function importGallery(file) {
  const { added, classes } = await api.imported(file);
  const known = classes === null ? "." : `; ${classes} symbols are known.`;
  toast(`${added} ${added === 1 ? "picture" : "pictures"} added${known}`);
  await gallery.refresh();
  await question(true);
}

async function exportGallery() {
  const address = URL.createObjectURL(await api.exported());
  element("a", { href: address, download: "gallery.npz" }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

function acceptDrops() {
  let depth = 0;
  const mark = (by) => { depth = Math.max(0, depth + by); at("paper").classList.toggle("over-paper", depth > 0); };
  document.addEventListener("dragenter", () => mark(1));
  document.addEventListener("dragleave", () => mark(-1));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    mark(-depth);
    take([...event.dataTransfer.files]);
  });
  document.addEventListener("paste", (event) => take([...event.clipboardData.files]));
}

function chooseFiles(button, field) {
  at(button).addEventListener("click", () => at(field).click());
  at(field).addEventListener("change", () => { take([...at(field).files]); at(field).value = ""; });
}

at("undo").addEventListener("click", () => pad.undo());
at("clear").addEventListener("click", () => pad.clear());
at("teach").addEventListener("submit", teach);
at("export").addEventListener("click", () => exportGallery().catch(failed));
at("why").addEventListener("click", () => explain().catch(failed));
at("examples").addEventListener("click", () => loadExamples().catch(failed));
at("live").addEventListener("click", () => live.start());
chooseFiles("upload", "pictures");
chooseFiles("import", "archive");
acceptDrops();
api.health().then(({ far }) => strictness.show(far)).catch(failed);
gallery.refresh().then(() => question(true)).then(() => location.hash === "#live" && live.start()).catch(failed);
