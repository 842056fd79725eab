// What browser.js and node.js have in common.

export * from "./errors.js";
export { OneShotMatcher } from "./matcher.js";

import { DependencyError } from "./errors.js";
import { Gallery } from "./gallery.js";
import { OneShotMatcher } from "./matcher.js";
import { MemoryStore } from "./memory-store.js";
import { openModel } from "./model.js";
import { DEFAULT_FAR, checkFar } from "./thresholds.js";

// platform: { decode, storeOf }, and what openModel takes. See index.d.ts for the options.
export async function openMatcher(ort, platform, { gallery = null, precision = "auto", far = DEFAULT_FAR }) {
  checkFar(far);
  const model = await openModel(platform, ort, precision);
  const known = new Gallery(gallery === null ? new MemoryStore() : platform.storeOf(gallery, model));
  await known.reload();
  return new OneShotMatcher(model, known, platform.decode, far);
}

// The module of a package that is installed beside this one.
export async function imported(name, load) {
  try {
    const module = await load();
    return module.default ?? module;
  } catch (error) {
    throw new DependencyError(`${name} is needed and was not found: npm install ${name} (${error.message})`);
  }
}
