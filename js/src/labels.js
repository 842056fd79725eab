// What a label may be, as oneshot_runtime/stores/labels.py.

import { LabelError } from "./errors.js";

const MAX_LENGTH = 256;
const REFUSED = /[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]/u;
const SEEN = /[^ \xa0\u00ad\u061c\u1680\u180e\u2000-\u200f\u202a-\u202f\u205f-\u206f\u3000\ufeff]/u;

// The label, if it is a text of 1 to 256 characters of which one can be seen; else throws LabelError.
export function checkLabel(label) {
  if (typeof label !== "string") throw new LabelError(`a label is a string, got ${typeof label}`);
  const count = [...label].length;
  if (count > MAX_LENGTH) throw new LabelError(`a label has at most ${MAX_LENGTH} characters, got ${count}`);
  const found = REFUSED.exec(label);
  if (found) {
    const point = found[0].codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
    throw new LabelError(`label ${JSON.stringify(label)} holds the character U+${point}, which cannot be seen: leave it out`);
  }
  if (!SEEN.test(label)) {
    const what = label ? "holds no character that can be seen" : "is empty";
    throw new LabelError(`label ${JSON.stringify(label)} ${what}: a label needs one at least`);
  }
  return label;
}
