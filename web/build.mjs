// Bundles the libraries that the page loads on demand into the folder that is named: `node build.mjs OUT`.
// Called by the root build.rs after `npm ci`; what it makes is embedded and never committed.

import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = path.dirname(fileURLToPath(import.meta.url));
const out = process.argv[2];
if (!out) throw new Error("the folder to write to is missing: node build.mjs OUT");

const made = await build({
  absWorkingDir: here,
  entryPoints: readdirSync(path.join(here, "src")).map((name) => `src/${name}`),
  outdir: path.resolve(out),
  entryNames: "[name]",
  chunkNames: "part-[hash]",
  bundle: true,
  splitting: true,
  format: "esm",
  target: "es2022",
  minify: true,
  legalComments: "none",
  metafile: true,
  logLevel: "warning",
});

// Whose work went in, with their words.
const packages = new Set(
  Object.keys(made.metafile.inputs)
    .map((input) => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1])
    .filter(Boolean),
);
const licences = [...packages].sort().map((name) => {
  const folder = path.join(here, "node_modules", name);
  const { version, license } = JSON.parse(readFileSync(path.join(folder, "package.json"), "utf8"));
  const file = readdirSync(folder).find((one) => /^licen[cs]e/i.test(one));
  return `${name} ${version} (${license})\n\n${file ? readFileSync(path.join(folder, file), "utf8").trim() : "No licence text comes with it."}\n`;
});
writeFileSync(path.join(out, "LICENSES.txt"), licences.join(`\n${"-".repeat(72)}\n\n`));
