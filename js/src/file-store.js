// Keeps supports in a .npz that Python imports and exports as it is; for Node, and for one process at a time.

import { readFile, rename, rm, writeFile } from "node:fs/promises";

import { packGallery, unpackGallery } from "./archive.js";
import { GalleryError } from "./errors.js";
import { without } from "./memory-store.js";

export class FileStore {
  #path;
  #model;
  #kept = null;
  #last = Promise.resolve(); // of the changes, which wait for each other

  constructor(path, model) {
    this.#path = path;
    this.#model = model;
  }

  async all() {
    this.#kept ??= await this.#read();
    return this.#kept;
  }

  extend(supports) {
    return this.#change((kept) => [...kept, ...supports]);
  }

  remove(label, place) {
    return this.#change((kept) => without(kept, label, place));
  }

  #change(change) {
    const done = this.#last.then(async () => this.#write(change(await this.all())));
    this.#last = done.catch(() => {}); // the next one may succeed
    return done;
  }

  async #read() {
    let bytes;
    try {
      bytes = await readFile(this.#path);
    } catch (error) {
      if (error.code === "ENOENT") return [];
      throw new GalleryError(`cannot read '${this.#path}': ${error.message}`);
    }
    try {
      return await unpackGallery(bytes, this.#model);
    } catch (error) {
      throw new error.constructor(`cannot read '${this.#path}': ${error.message}`);
    }
  }

  // Beside the file, and then in its place, so that a crash leaves the old one or the new one.
  async #write(supports) {
    const part = `${this.#path}.${process.pid}.part`;
    try {
      await writeFile(part, packGallery(supports, this.#model), { flush: true });
      await rename(part, this.#path);
    } catch (error) {
      await rm(part, { force: true });
      throw new GalleryError(`cannot write '${this.#path}': ${error.message}`);
    }
    this.#kept = supports;
  }
}
