// Words that changed within a line are marked in a diff: which, at what cost, and so that they are seen.

import assert from "node:assert/strict";
import { test } from "node:test";
import { parseDiff } from "../../static/js/diff-parse.js";
import { marks, words } from "../../static/js/diff-words.js";
import { stage } from "./edited.mjs";
import { SLOW, assertClean, run, shoot } from "./helper.mjs";

const { pane } = stage();

/** Changes between brackets. @param {import("../../static/js/diff-words.js").Part[]} parts */
const shown = (parts) => parts.map(({ text, changed }) => (changed ? `[${text}]` : text)).join("");
/** @param {string[]} lines of one hunk */
function hunk(lines) {
  const count = (/** @type {string} */ sign) => lines.filter((line) => line.startsWith(sign)).length;
  const [file] = parseDiff(["diff --git a/x b/x", `@@ -1,${count("-") + count(" ")} +1,${count("+") + count(" ")} @@`, ...lines, ""].join("\n"));
  return file?.hunks[0]?.lines ?? [];
}
/** @param {string[]} lines of one hunk */
function marked(lines) {
  const all = hunk(lines);
  const of = marks(all);
  return all.map((line) => of(line)).map((parts) => (parts ? shown(parts) : null));
}

test("what differs is found by words, in any script, and never more than it is", () => {
  for (const [before, after, ...both] of [
    ["const a = one(two, 3);", "const b = one(two, 4);", "const [a] = one(two, [3]);", "const [b] = one(two, [4]);"],
    ["return f(x)", "return await f(x, y)", "return f(x)", "return [await ]f(x[, y])"],
    ["old words here", "new signs here", "[old words] here", "[new signs] here"],
    ["中文的词语", "中文的词句", "中文的词[语]", "中文的词[句]"],
    ["end ", "end", "end[ ]", "end"],
    ["naïve 👍 x", "naïve 👎 x", "naïve [👍] x", "naïve [👎] x"],
  ]) assert.deepEqual(words(/** @type {string} */ (before), /** @type {string} */ (after)).map(shown), both);
  const long = (/** @type {string} */ name) => Array.from({ length: 900 }, (_, n) => `${name}${n}`).join(" ");
  const [left, right] = words(`begin ${long("a")} end`, `begin ${long("b")} end`);
  assert.deepEqual([left.length, right.length], [3, 3], "too many words are one change between what both have");
});

test("a line is marked beside the one that stands for it, wherever that is in its block", () => {
  assert.deepEqual(marked([" same", "-x = 1", "\\ No newline at end of file", "+x = 2"]), [null, "x = [1]", null, "x = [2]"]);
  assert.deepEqual(marked(["-alpha one two", "-beta three four", "+a quite new line", "+alpha one 2", "+beta 3 four"]), ["alpha one [two]", "beta [three] four", null, "alpha one [2]", "beta [3] four"]);
  assert.deepEqual(marked(["-two", "+2"]), [null, null], "of a line that is another nothing is marked");
  assert.deepEqual(marked(["-one two", " between", "+one 2"]), [null, null, null], "a line between parts them");
  const text = "word ".repeat(3000);
  assert.deepEqual(marked([`-${text}a`, `+${text}b`]), [null, null], "in a very long line nothing is looked for");
  const began = performance.now();
  const many = Array.from({ length: 2000 }, (_, n) => `${n}: ${Array.from({ length: 60 }, (__, k) => `w${(k * 7 + n) % 61}`).join(" ")}`);
  const lines = marked([...many.map((line) => `-${line}`), ...many.map((line) => `+${line.split(" ").reverse().join(" ")}`)]);
  assert.equal(lines.length, 4000);
  assert.ok(performance.now() - began < 10_000, "a block without end is looked through in bounded time");
});

for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
  test(`marks are elements of their own, the text stays, and all is well seen (${colorScheme})`, { timeout: 2 * SLOW }, async () => {
    const page = await pane({ colorScheme });
    const folder = `repo-${colorScheme}`;
    await run(page, `mkdir ${folder} && cd ${folder} && git init -q -b main . && git config user.email a@b.example && git config user.name Ada && printf 'let total = count(one, two);\\nkept\\n' > a.js && git add . && git commit -qm Begin && printf 'let total = count(one, three);\\nkept\\n' > a.js; cd ..`);
    await page.locator("#tab-changes").click();
    const row = page.locator('#pane-changes li[data-path="a.js"]');
    const choice = page.locator("#pane-changes").getByLabel("Repository");
    if (colorScheme === "dark") await choice.selectOption(folder, { timeout: SLOW });
    await row.getByRole("button", { expanded: false }).click({ timeout: SLOW });
    await row.locator("tr.added").waitFor();
    assert.deepEqual(await row.locator("del").allTextContents(), ["two"]);
    assert.deepEqual(await row.locator("ins").allTextContents(), ["three"]);
    assert.equal(await row.getByRole("insertion").count(), 1);
    assert.equal(await row.getByRole("deletion").count(), 1);
    assert.deepEqual(await row.locator("td.text").allTextContents(), ["let total = count(one, two);", "let total = count(one, three);", "kept"]);
    const contrasts = await row.locator("ins, del").evaluateAll((all) => {
      const light = (/** @type {string} */ colour) => {
        const [r = 0, g = 0, b = 0] = (colour.match(/[\d.]+/g) ?? []).map((part) => Number(part) / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const contrast = (/** @type {string} */ one, /** @type {string} */ other) => {
        const [most = 0, least = 0] = [light(one), light(other)].sort((a, b) => b - a);
        return (most + 0.05) / (least + 0.05);
      };
      return all.map((mark) => {
        const { color, backgroundColor, boxShadow } = getComputedStyle(mark);
        const line = getComputedStyle(/** @type {Element} */ (mark.closest("tr"))).backgroundColor;
        return { text: contrast(color, backgroundColor), edge: contrast(/** @type {string} */ (/rgba?\([^)]*\)/.exec(boxShadow)?.[0]), line) };
      });
    });
    for (const { text, edge } of contrasts) assert.ok(text >= 4.5 && edge >= 3, JSON.stringify(contrasts));
    await shoot(page, `diff-words-${colorScheme}`);
    assertClean(page);
  });
}
