// The bundle's two graphs in ONNX Runtime, and what its manifest says about them.

const SCHEMA = 1;

// folder: address of the bundle. ort: the module of onnxruntime-web. Throws an Error that says what is missing.
export async function loadModel(folder, ort) {
  const manifest = await (await fetched(new URL("manifest.json", folder))).json();
  if (manifest.schema_version !== SCHEMA) throw new Error(`The bundle has schema ${manifest.schema_version}, this page reads ${SCHEMA}.`);
  const [embedding, head] = await Promise.all(["embedding.onnx", "head.onnx"].map((name) => open(new URL(name, folder), ort)));
  return new Model(manifest, embedding, head, ort);
}

export class Model {
  constructor(manifest, embedding, head, ort) {
    this.spec = manifest.preprocess;
    this.head = manifest.head;
    this.thresholds = manifest.thresholds;
    this.fingerprint = manifest.fingerprint;
    this.sessions = { embedding, head };
    this.ort = ort;
  }

  // The embedding Float32Array(D) of a canvas Uint8Array(H * W).
  async embed(canvas) {
    const images = new this.ort.Tensor("uint8", canvas, [1, this.spec.height, this.spec.width]);
    return (await this.sessions.embedding.run({ images })).embeddings.data;
  }

  // The probability that two embeddings are of the same symbol, by head.onnx.
  async compare(first, second) {
    const [queries, supports] = [first, second].map((row) => new this.ort.Tensor("float32", row, [1, row.length]));
    return (await this.sessions.head.run({ queries, supports })).probabilities.data[0];
  }
}

async function open(address, ort) {
  const graph = new Uint8Array(await (await fetched(address)).arrayBuffer());
  return ort.InferenceSession.create(graph, { executionProviders: ["wasm"] });
}

async function fetched(address) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address.pathname} is not there (${response.status}): serve the root of the repository.`);
  return response;
}
