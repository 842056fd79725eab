// Answers, one JSON line for each that it reads. Arguments: the package's address, and that of a model where it has none of its own.

import { createInterface } from "node:readline";

import { answersOf } from "./package_answers.mjs";

const [root, bundle] = process.argv.slice(2);
const { load, ...errors } = await import(new URL("src/node.js", root));
const answers = await answersOf(root, (options = {}) => load({ ...(bundle && { bundle: new URL(bundle) }), ...options }));

// Runs a program of the tests' own, with what the package exports.
answers.run = ({ program, values }) => new Function("load", "errors", "values", `return (async () => { ${program} })()`)(load, errors, values);

for await (const line of createInterface({ input: process.stdin })) {
  const { ask, ...question } = JSON.parse(line);
  const answer = await Promise.resolve().then(() => answers[ask](question)).then((found) => ({ found }), (error) => ({ failed: `${error}` }));
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
