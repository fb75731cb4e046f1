// The style sheets: what a page's or a pane's own sheet says, the shared one doesn't say again.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";

const STATIC = new URL("../../static/", import.meta.url);

/** Its rules, each with what it stands in: `@media (…) SELECTOR`. @param {string} file */
function rules(file) {
  const text = readFileSync(new URL(file, STATIC), "utf8").replace(/\/\*[\s\S]*?\*\//g, "");
  /** @type {string[]} */
  const found = [];
  /** @type {string[]} */
  const around = [];
  for (const [, words = "", sign] of text.matchAll(/([^{}]*)([{}])/g)) {
    const plain = words.replace(/\s+/g, " ").trim();
    if (sign === "{") {
      around.push(plain.slice(plain.lastIndexOf(";") + 1).trim());
    } else {
      const rule = around.join(" ");
      around.pop();
      if (plain) found.push(`${rule} { ${plain} }`);
    }
  }
  return found;
}

test("no rule of a sheet of its own stands in the shared one, too", () => {
  const shared = new Set(rules("app.css"));
  assert.ok(shared.size > 200, `only ${shared.size} rules are read`);
  const own = readdirSync(new URL("css/", STATIC)).map((name) => `css/${name}`);
  assert.ok(own.length >= 10);
  const twice = own.flatMap((file) => rules(file).filter((rule) => shared.has(rule)).map((rule) => `${file}: ${rule}`));
  assert.deepEqual(twice, []);
});
