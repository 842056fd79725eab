// Keeps supports in the browser's IndexedDB, under the model's fingerprint, since codes of another model say nothing.

import { GalleryError } from "./errors.js";

const SUPPORTS = "supports";

export class IndexedDbStore {
  #database;
  #fingerprint;

  // name: of the gallery, as other pages of the same site may open it.
  constructor(name, fingerprint) {
    this.#fingerprint = fingerprint;
    this.#database = opened(`oneshot-${name}`);
  }

  async all() {
    return this.#run("readonly", (supports) => answer(supports.index("fingerprint").getAll(this.#fingerprint)));
  }

  async extend(added) {
    await this.#run("readwrite", (supports) => {
      for (const support of added) supports.add({ ...support, fingerprint: this.#fingerprint });
    });
  }

  async remove(label, place) {
    await this.#run("readwrite", async (supports) => {
      const keys = await answer(supports.index("label").getAllKeys([this.#fingerprint, label]));
      for (const key of place === null ? keys : [keys[place]]) supports.delete(key);
    });
  }

  // All that `work` asks for happens, or nothing of it.
  async #run(mode, work) {
    const database = await this.#database;
    const transaction = database.transaction(SUPPORTS, mode);
    const done = new Promise((resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onabort = () => reject(transaction.error);
    });
    try {
      const [found] = await Promise.all([work(transaction.objectStore(SUPPORTS)), done]);
      return found;
    } catch (error) {
      done.catch(() => {});
      try { transaction.abort(); } catch { /* it is over already */ }
      throw new GalleryError(`the browser keeps no more: ${error?.message ?? "the gallery could not be written"}`);
    }
  }
}

async function opened(name) {
  const request = indexedDB.open(name, 1);
  request.onupgradeneeded = () => {
    const supports = request.result.createObjectStore(SUPPORTS, { autoIncrement: true });
    supports.createIndex("fingerprint", "fingerprint");
    supports.createIndex("label", ["fingerprint", "label"]);
  };
  try {
    return await answer(request);
  } catch (error) {
    throw new GalleryError(`the browser opens no gallery '${name}': ${error?.message}`);
  }
}

function answer(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
