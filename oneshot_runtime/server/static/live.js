// The live camera: a frame goes to the server, its boxes come back, and only then goes the next one. The picture on the page is
// the frame that the boxes belong to, so that they lie on their symbols however the camera moves.

import { liveSocket } from "./api.js";
import { cameraProblem, listCameras, openCamera } from "./camera.js";
import { pngOf, toast } from "./widgets.js";

const LONGEST = 1280; // pixels of a frame's longer side
const QUALITY = 0.8;
const AGAIN = 1000; // milliseconds until a lost connection is opened again
const SHOWN = 20; // frames whose rate and delay are shown

const at = (id) => document.getElementById(id);

export class Live {
  // taught(label): a symbol was taught. strictness(): how strict the answers are to be, null for as strict as the server is.
  constructor(stage, taught, strictness) {
    this.stage = stage;
    this.taught = taught;
    this.strictness = strictness;
    this.running = 0; // numbers the runs: an older one ends when it sees a newer
    this.video = at("video");
    this.encoder = null;
    at("cameras").addEventListener("change", () => this.start(at("cameras").value));
    navigator.mediaDevices?.addEventListener?.("devicechange", () => { if (this.stream) this.#list(); });
  }

  async start(camera) {
    this.stage.show(this, "Live");
    at("cameras-field").hidden = true;
    const run = ++this.running;
    this.hint = "";
    const problem = cameraProblem();
    if (problem.length) return this.stage.notice(...problem);
    this.stage.notice("Opening the camera …");
    try {
      const stream = await openCamera(camera);
      if (run !== this.running) return stream.getTracks().forEach((track) => track.stop());
      this.stream = stream;
      stream.getVideoTracks()[0].addEventListener("ended", () => this.#lost(run, "The camera was disconnected. Plug it in, then press Live again."));
      this.video.srcObject = stream;
      await this.video.play();
      await this.#list();
      this.stage.notice("");
      this.#watchVideo(run);
      await this.#loop(run);
    } catch (error) {
      this.#lost(run, error.message);
    }
    return undefined;
  }

  stop() {
    this.running += 1;
    this.stream?.getTracks().forEach((track) => track.stop());
    this.stream = this.video.srcObject = null;
    this.socket?.close();
    this.socket = null;
    this.waiting?.reject(new Error("stopped"));
  }

  // A box was chosen: the server keeps that symbol's crop, so that the name belongs to what was seen when it was chosen.
  async chosen({ track }) {
    this.look = track;
    this.#command({ look: track });
  }

  async teach(label) {
    this.#command({ teach: label });
    return new Promise((resolve) => { this.told = resolve; });
  }

  // Another strictness was chosen.
  stricter() {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({ far: this.strictness() }));
  }

  #lost(run, text) {
    if (run !== this.running) return;
    this.stop();
    this.stage.notice(text);
  }

  async #list() {
    at("cameras-field").hidden = !await listCameras(at("cameras"), this.stream);
  }

  // Remembers when the video's newest frame was shown, and wakes who waits for one.
  #watchVideo(run) {
    this.fresh = performance.now();
    const watch = (now) => {
      if (run !== this.running) return;
      this.fresh = now;
      this.arrived?.();
      this.arrived = null;
      this.video.requestVideoFrameCallback(watch);
    };
    this.video.requestVideoFrameCallback(watch);
  }

  async #loop(run) {
    let last = 0;
    const times = [];
    while (run === this.running) {
      if (this.fresh <= last) await new Promise((resolve) => { this.arrived = resolve; });
      last = this.fresh;
      const { bytes, picture } = await this.#encoded();
      const answer = await this.#ask(run, bytes);
      if (run !== this.running) return;
      if (answer) {
        this.stage.draw(picture, answer.width, answer.height, answer.symbols);
        this.#advise(answer.hint);
        times.push([performance.now(), performance.now() - last]);
        if (times.length > SHOWN) times.shift();
        this.#pace(times);
      }
      picture.close();
    }
  }

  // Says what to do for more to be read, as long as that holds.
  #advise(hint) {
    if (hint !== this.hint) this.stage.notice(hint && `${hint[0].toUpperCase()}${hint.slice(1)}.`);
    this.hint = hint;
  }

  #pace(times) {
    if (times.length < 2) return;
    const [first, newest] = [times[0][0], times.at(-1)[0]];
    const rate = 1000 * (times.length - 1) / (newest - first);
    const delay = times.map(([, one]) => one).sort((a, b) => a - b)[times.length >> 1];
    this.stage.pace(`${Math.round(rate)} frames/s, ${Math.round(delay)} ms delay`);
    at("view").dataset.frames = 1 + Number(at("view").dataset.frames ?? 0);
    at("view").dataset.delay = times.at(-1)[1].toFixed(1);
  }

  async #encoded() {
    this.encoder ??= new Worker(new URL("./encode-frame.js", import.meta.url));
    const frame = await createImageBitmap(this.video);
    return new Promise((resolve, reject) => {
      this.encoder.onmessage = ({ data }) => resolve(data);
      this.encoder.onerror = () => reject(new Error("This browser cannot turn frames into pictures."));
      this.encoder.postMessage({ frame, longest: LONGEST, quality: QUALITY }, [frame]);
    });
  }

  // The answer to a frame; null when the connection was lost, which is open again afterwards.
  async #ask(run, bytes) {
    try {
      this.socket ??= await this.#connect(run);
      const answer = new Promise((resolve, reject) => { this.waiting = { resolve, reject }; });
      this.socket.send(bytes);
      return await answer;
    } catch (error) {
      if (run !== this.running) return null;
      this.socket = null;
      this.stage.notice(`${error.message} Trying again …`);
      await new Promise((resolve) => { setTimeout(resolve, AGAIN); });
      return null;
    }
  }

  async #connect(run) {
    const socket = await liveSocket();
    socket.addEventListener("message", ({ data }) => { if (run === this.running) this.#answered(JSON.parse(data)); });
    socket.addEventListener("close", ({ code, reason }) => {
      if (this.socket === socket) this.socket = null;
      const error = new Error(reason || "The server does not answer.");
      this.waiting?.reject(error);
      this.told?.(false);
    });
    this.stage.notice("");
    if (this.strictness() !== null) socket.send(JSON.stringify({ far: this.strictness() }));
    return socket;
  }

  #answered(answer) {
    const { about, problem } = answer;
    if (about === "frame") {
      if (problem) this.stage.notice(problem);
      this.waiting.resolve(problem ? null : answer);
    } else if (problem) {
      toast(problem, true);
      this.told?.(false);
    } else if (about === "look" && answer.track === this.look) {
      this.stage.name(answer, pngOf(answer.crop), answer.candidates);
    } else if (about === "teach") {
      this.told?.(true);
      this.taught(answer);
    }
  }

  #command(command) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(command));
    else toast("The connection to the server is lost. Try again in a moment.", true);
  }
}
