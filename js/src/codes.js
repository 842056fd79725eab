// Codes: embeddings scaled by the head's weights and rounded to bytes, as oneshot_runtime/model/codes.py makes and compares them.

import { roundHalfEven } from "./vision/image.js";

// embedding: Float32Array(D). head: "head" of the manifest. Returns Uint8Array(D). All arithmetic in single precision, as in Python.
export function encode(embedding, head) {
  const scale = Math.fround(head.code_scale);
  return Uint8Array.from(embedding, (value, at) => {
    const weight = Math.fround(Math.fround(head.weights[at]) * scale);
    return Math.min(255, Math.max(0, roundHalfEven(Math.fround(value * weight))));
  });
}

// The sum of absolute differences of two codes.
export function sad(first, second) {
  let sum = 0;
  for (let at = 0; at < first.length; at++) sum += Math.abs(first[at] - second[at]);
  return sum;
}

// The mean of codes, halves rounded up.
export function roundedMean(codes) {
  const [sums, count] = [new Float64Array(codes[0].length), codes.length];
  for (const code of codes) for (let at = 0; at < code.length; at++) sums[at] += code[at];
  return Uint8Array.from(sums, (sum) => Math.floor((2 * sum + count) / (2 * count)));
}

// The head's probability at a distance.
export function probability(distance, head) {
  return 0.5 * (1 + Math.tanh(0.5 * (head.bias - distance / head.code_scale)));
}
