// The tree of files: by keyboard, by dragging, with search and uploads.

import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { inflateRawSync } from "node:zlib";
import { inTree, shows, stage, until } from "./edited.mjs";
import { SLOW, assertClean } from "./helper.mjs";

const { content, folder: scratchFolder, list, pane, put, rest, server, session, stranger } = stage();

/** @param {import("playwright-core").Page} page */
const active = (page) => page.evaluate(() => document.getElementById(document.querySelector("#tree")?.getAttribute("aria-activedescendant") ?? "")?.dataset.path);
/** @param {import("playwright-core").Page} page */
const selected = (page) => page.locator("#tree [aria-selected=true]").evaluateAll((all) => all.map((one) => /** @type {HTMLElement} */ (one).dataset.path).sort());
/** Answers the dialog that asks for a path. @param {import("playwright-core").Page} page @param {string} value */
async function answer(page, value) {
  await page.locator("#dialog-input").waitFor();
  await page.keyboard.press("Control+a");
  await page.keyboard.type(value);
  await page.keyboard.press("Enter");
  await page.locator("dialog").waitFor({ state: "detached" });
}

test("files are made, renamed, moved and deleted with the keyboard alone", { timeout: 2 * SLOW }, async () => {
  await put("keys/a/one.txt", "1\n");
  await put("keys/b/two.txt", "2\n");
  const page = await pane();
  await inTree(page, "keys").waitFor();
  await page.locator("#new-file").focus();
  await page.keyboard.press("Enter");
  await answer(page, "keys/fresh.txt");
  await shows(page, "");
  await page.keyboard.type("typed at once");
  await page.keyboard.press("Control+s");
  await until(() => content("keys/fresh.txt"), (text) => text === "typed at once", "saved");

  await page.locator("#tree").focus();
  assert.equal(await active(page), "keys/fresh.txt");
  await page.keyboard.press("F2");
  await answer(page, "keys/renamed.txt");
  await until(() => list("keys"), (all) => all.includes("keys/renamed.txt") && !all.includes("keys/fresh.txt"), "renamed");
  await page.locator("#editor-path", { hasText: "keys/renamed.txt" }).waitFor(); // the open file follows
  await until(() => active(page), (at) => at === "keys/renamed.txt", "selected");

  await page.locator("#tree").focus();
  await page.keyboard.press("Control+x");
  await page.locator("#tree .node.cut").waitFor();
  await page.keyboard.press("ArrowLeft"); // to the folder above
  assert.equal(await active(page), "keys");
  await page.keyboard.press("ArrowDown");
  assert.equal(await active(page), "keys/a");
  await page.keyboard.press("Control+v");
  await until(() => list("keys/a"), (all) => all.includes("keys/a/renamed.txt"), "moved");
  await until(() => active(page), (at) => at === "keys/a/renamed.txt", "selected");

  await page.locator("#tree").focus();
  await page.keyboard.press("Shift+F10");
  await page.getByRole("menuitem", { name: "Move…" }).waitFor();
  await page.keyboard.press("m");
  await page.keyboard.press("Enter");
  await page.locator("#move-to").waitFor();
  await page.keyboard.press("Control+a");
  await page.keyboard.type("keys/made/deep");
  await page.keyboard.press("Enter");
  await until(() => list("keys"), (all) => all.includes("keys/made/deep/renamed.txt"), "moved into a new folder");

  await until(() => active(page), (at) => at === "keys/made/deep/renamed.txt", "it is selected where it went");
  await page.locator("#tree").focus();
  await page.keyboard.press("Delete");
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await until(() => list("keys"), (all) => !all.includes("keys/made/deep/renamed.txt"), "deleted");
  await page.locator("#editor").waitFor({ state: "hidden" });
  assertClean(page);
});

test("the tree walks, types ahead and selects as trees do", { timeout: 2 * SLOW }, async () => {
  for (const name of ["alpha.txt", "beta.txt", "gamma.txt", "sub/inner.txt"]) await put(`walk/${name}`, name);
  const page = await pane();
  const tree = page.locator("#tree");
  await inTree(page, "walk").click();
  await inTree(page, "beta.txt").waitFor();
  await tree.focus();
  await page.keyboard.type("gam");
  assert.equal(await active(page), "walk/gamma.txt");
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("Shift+ArrowUp");
  assert.deepEqual(await selected(page), ["walk/alpha.txt", "walk/beta.txt"]);
  await page.keyboard.press("Control+ArrowDown");
  await page.keyboard.press("Control+ArrowDown");
  await page.keyboard.press("Control+Space");
  assert.deepEqual(await selected(page), ["walk/alpha.txt", "walk/beta.txt", "walk/gamma.txt"]);
  await inTree(page, "beta.txt").click({ modifiers: ["Control"] });
  assert.deepEqual(await selected(page), ["walk/alpha.txt", "walk/gamma.txt"]);
  await page.keyboard.press("Delete");
  await page.getByRole("dialog").getByText("walk/gamma.txt").waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "Delete", exact: true }).click();
  await until(() => list("walk"), (all) => !all.some((one) => /alpha|gamma/.test(one)), "both are gone");
  await tree.focus();
  await page.keyboard.press("Home");
  const first = await page.locator("#tree [role=treeitem]").evaluateAll((all) => all.map((one) => /** @type {HTMLElement} */ (one)).sort((a, b) => parseFloat(a.style.top) - parseFloat(b.style.top))[0]?.dataset.path);
  assert.equal(await active(page), first);
  await inTree(page, "sub").click();
  const sub = inTree(page, "sub");
  assert.equal(await sub.getAttribute("aria-expanded"), "true");
  assert.equal(await sub.getAttribute("aria-level"), "2");
  await inTree(page, "inner.txt").waitFor();
  await page.keyboard.press("ArrowRight");
  assert.equal(await active(page), "walk/sub/inner.txt");
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("ArrowLeft");
  assert.equal(await sub.getAttribute("aria-expanded"), "false");
  assertClean(page);
});

test("files are moved by dragging, and folders of the machine are dropped with progress", { timeout: 2 * SLOW }, async () => {
  await put("drag/from.txt", "dragged");
  await put("drag/into/there.txt", "x");
  const page = await pane();
  await inTree(page, "drag").click();
  await inTree(page, "from.txt").waitFor();
  await inTree(page, "from.txt").dragTo(inTree(page, "into"));
  await until(() => list("drag"), (all) => all.includes("drag/into/from.txt"), "moved");
  await page.locator('#tree [role=treeitem][aria-level="3"]', { hasText: "from.txt" }).waitFor();

  const folder = path.join(scratchFolder, "dropped");
  mkdirSync(path.join(folder, "deep", "empty"), { recursive: true });
  const large = Buffer.alloc(3 * 1024 * 1024, "0123456789abcdef");
  writeFileSync(path.join(folder, "large.bin"), large);
  for (let n = 0; n < 120; n += 1) writeFileSync(path.join(folder, "deep", `${n}.txt`), `file ${n}`);
  // The first piece arrives, the line breaks, and the upload goes on from there.
  let broke = 0;
  const resumed = /** @type {string[]} */ ([]);
  await page.route("**/uploads/*", async (route) => {
    const request = route.request();
    if (request.method() !== "PATCH") return route.continue();
    broke += 1;
    if (broke > 1) {
      resumed.push(request.headers()["upload-offset"] ?? "");
      await page.locator("#uploads progress").waitFor();
      return route.continue();
    }
    await rest("PATCH", new URL(request.url()).pathname, large.subarray(0, 1024 * 1024), { "tus-resumable": "1.0.0", "upload-offset": "0", "content-type": "application/offset+octet-stream" });
    await route.abort("internetdisconnected");
  });
  const box = await inTree(page, "into").boundingBox();
  assert.ok(box);
  const line = await page.context().newCDPSession(page);
  const seen = page.evaluate(() => new Promise((resolve) => {
    const values = /** @type {string[]} */ ([]);
    new MutationObserver(() => {
      const says = document.querySelector("#uploads .says")?.textContent;
      if (says) values.push(says);
      else if (values.length) resolve(values);
    }).observe(/** @type {Node} */ (document.querySelector("#uploads")), { childList: true, subtree: true, characterData: true });
  }));
  for (const type of /** @type {const} */ (["dragEnter", "dragOver", "drop"])) {
    await line.send("Input.dispatchDragEvent", { type, x: box.x + 30, y: box.y + 8, data: { items: [], files: [folder], dragOperationsMask: 1 } });
  }
  const says = /** @type {string[]} */ (await seen);
  assert.ok(says.some((one) => /^\d+ of 121 files · .+ of 3 MiB$/.test(one)), says.slice(0, 5).join(" | "));
  assert.ok(new Set(says).size > 10, "it tells how far it is");
  assert.deepEqual(resumed, [String(1024 * 1024)], "it goes on where it was cut");
  const all = await list("drag/into");
  assert.equal(all.filter((one) => one.startsWith("drag/into/dropped/deep/")).length, 121, "every file, and the empty folder");
  const back = await rest("GET", `/api/sessions/${session()}/files/drag/into/dropped/large.bin`);
  assert.ok(Buffer.from(await back.arrayBuffer()).equals(large));
  await inTree(page, "dropped").waitFor();
  assertClean(page);
});

test("an upload is given up, fails with its reason, is tried again, and asks before it replaces", { timeout: 2 * SLOW }, async () => {
  const page = await pane();
  /** @type {"held" | "refused" | "let through"} */
  let fate = "held"; // one route for all: taking a route away may let go of what it holds
  await page.route("**/uploads", async (route) => {
    if (fate === "refused") return route.fulfill({ status: 507, contentType: "application/problem+json", body: JSON.stringify({ code: "NO_SPACE", detail: "No space is left." }) });
    if (fate === "let through") return route.continue();
  });
  const file = (/** @type {string} */ text) => ({ name: "up.txt", mimeType: "text/plain", buffer: Buffer.from(text) });
  await page.locator("#upload-input").setInputFiles(file("first"));
  await page.locator("#uploads li").waitFor();
  await page.getByRole("button", { name: "Cancel: up.txt" }).click();
  await page.locator("#uploads li").waitFor({ state: "detached" });
  assert.equal(await content("up.txt"), null);

  fate = "refused";
  await page.locator("#upload-input").setInputFiles(file("second"));
  await page.locator("#uploads .failures").getByText("No space is left.").waitFor();
  fate = "let through";
  await page.locator("#uploads").getByRole("button", { name: "Try again" }).click();
  await until(() => content("up.txt"), (text) => text === "second", "tried again");
  await page.locator("#uploads li").waitFor({ state: "detached" });

  await page.locator("#upload-input").setInputFiles(file("third"));
  await page.getByRole("dialog").getByRole("button", { name: "Replace" }).click();
  await until(() => content("up.txt"), (text) => text === "third", "replaced");
  assertClean(page);
});

/** What a zip holds, by its directory at the end. @param {Buffer} zip */
function unzip(zip) {
  const end = zip.lastIndexOf(Buffer.from("PK\x05\x06"));
  const files = new Map();
  for (let at = zip.readUInt32LE(end + 16), left = zip.readUInt16LE(end + 10); left > 0; left -= 1) {
    const [method, packed, nameLength, extra, comment, local] = [zip.readUInt16LE(at + 10), zip.readUInt32LE(at + 20), zip.readUInt16LE(at + 28), zip.readUInt16LE(at + 30), zip.readUInt16LE(at + 32), zip.readUInt32LE(at + 42)];
    const start = local + 30 + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28);
    const bytes = zip.subarray(start, start + packed);
    files.set(zip.toString("utf8", at + 46, at + 46 + nameLength), (method === 8 ? inflateRawSync(bytes) : bytes).toString());
    at += 46 + nameLength + extra + comment;
  }
  return files;
}

test("a folder comes down as a zip that holds what is in it", { timeout: 2 * SLOW }, async () => {
  await put("zipped/one.txt", "one\n".repeat(1000));
  await put("zipped/in/two ü.txt", "two");
  const page = await pane();
  await inTree(page, "zipped").click({ button: "right" });
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("menuitem", { name: "Download as zip" }).click()]);
  assert.equal(download.suggestedFilename(), "zipped.zip");
  const chunks = [];
  for await (const chunk of await download.createReadStream()) chunks.push(chunk);
  const files = unzip(Buffer.concat(chunks));
  const at = (/** @type {string} */ name) => [...files].find(([one]) => one.endsWith(name))?.[1];
  assert.equal(at("one.txt"), "one\n".repeat(1000));
  assert.equal(at("in/two ü.txt"), "two");
  assertClean(page);
});

test("a text of an older encoding is read, not edited", { timeout: 2 * SLOW }, async () => {
  await put("latin.txt", Buffer.from("caf\xe9 \xfcber\nzwei\n", "latin1"));
  const page = await pane();
  await inTree(page, "latin.txt").click();
  await page.locator("#binary", { hasText: "isn’t UTF-8 (15 bytes)" }).waitFor();
  const latin = page.getByRole("button", { name: "Show as Latin-1" });
  await latin.click();
  assert.equal(await page.locator("#binary pre").textContent(), "café über\nzwei\n");
  await latin.click();
  assert.match((await page.locator("#binary pre").textContent()) ?? "", /^00000000 {2}63 61 66 e9/);
  assertClean(page);
});

test("what is searched for opens at its line, and Escape ends the search", { timeout: 2 * SLOW }, async () => {
  await put("sought/long.txt", `${"filler\n".repeat(400)}a Needle here\n${"filler\n".repeat(50)}`);
  const page = await pane();
  await inTree(page, "sought").click();
  await page.locator("#tree").focus();
  await page.keyboard.press("Control+Shift+f");
  await page.keyboard.type("needle here");
  await page.locator("#found-says", { hasText: "1 line" }).waitFor();
  assert.equal(await page.locator("#found mark").textContent(), "Needle here");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.locator("#editor-status", { hasText: "Line 401, column 1" }).waitFor();
  await page.locator(".cm-line", { hasText: "a Needle here" }).waitFor();
  await page.locator("#find-case").click();
  await page.locator("#found-says", { hasText: "Nothing" }).waitFor();
  await page.locator("#find").focus();
  await page.keyboard.press("Escape");
  await page.locator("#found").waitFor({ state: "hidden" });
  await page.locator("#tree:focus").waitFor();

  await page.keyboard.press("Control+p");
  await page.keyboard.type("sghtlng");
  await page.locator("#found-list").getByRole("button", { name: "sought/long.txt" }).waitFor();
  await page.keyboard.press("Escape");
  // From the conversation and from another pane, too.
  await page.locator("#tab-log").click();
  await page.locator("#box").focus();
  await page.keyboard.press("Control+p");
  await page.locator("#find:focus").waitFor();
  assert.equal(await page.locator("#find-kind").inputValue(), "names");
  await page.locator("#box").focus();
  await page.keyboard.press("Control+Shift+f");
  await page.locator("#find:focus").waitFor();
  assert.equal(await page.locator("#find-kind").inputValue(), "content");
  // A search that goes on is ended, too.
  await page.route("**/search", () => {});
  await page.evaluate(() => {
    const { fetch } = window;
    window.fetch = (address, options) => {
      options?.signal?.addEventListener("abort", () => { document.body.dataset.ended = String(address); });
      return fetch(address, options);
    };
  });
  await page.keyboard.press("Control+p");
  await Promise.all([page.waitForRequest("**/search"), page.keyboard.type("x")]);
  assert.equal(await page.evaluate(() => document.body.dataset.ended), undefined);
  await page.keyboard.press("Escape");
  await page.locator("body[data-ended$='/search']").waitFor();
  assertClean(page);
});

test("who may only watch is not offered what writes", { timeout: 2 * SLOW }, async () => {
  await put("seen.txt", "look\n");
  const { token } = await (await rest("POST", `/api/sessions/${session()}/tokens`, JSON.stringify({ role: "viewer" }), { "content-type": "application/json" })).json();
  const page = await stranger();
  await page.goto(`${server().url}/login`);
  await page.locator("#token").fill(token);
  await page.locator("#token").press("Enter");
  await page.waitForURL((url) => !url.pathname.startsWith("/login"));
  await page.goto(`${server().url}/sessions/${session()}?pane=files`);
  await inTree(page, "seen.txt").click();
  await shows(page, "look\n");
  await page.keyboard.type("no");
  await shows(page, "look\n");
  await page.locator("#editor-status", { hasText: "read only" }).waitFor();
  for (const id of ["#save", "#new-file", "#new-folder", "#upload"]) assert.equal(await page.locator(id).isVisible(), false, id);
  await inTree(page, "seen.txt").click({ button: "right" });
  const offered = await page.getByRole("menuitem").allTextContents();
  assert.ok(offered.some((one) => one.startsWith("Download")) && !offered.some((one) => /Delete|Rename|Move|Upload|New|Cut/.test(one)), offered.join());
  await page.keyboard.press("Escape");
  await page.locator("#tree").focus();
  for (const key of ["Delete", "F2", "Control+x"]) await page.keyboard.press(key);
  assert.equal(await page.locator("dialog").count(), 0);
  assert.equal(await inTree(page, "seen.txt").getAttribute("draggable"), "false");
  assertClean(page);
});

test("a folder of five thousand entries scrolls, and finds its way by keys", { timeout: 2 * SLOW }, async () => {
  const run = await rest("POST", `/api/sessions/${session()}/actions`, JSON.stringify({ action: "run", args: { command: "mkdir -p many && cd many && seq -f 'f%05g.txt' 5000 | xargs touch" } }), { "content-type": "application/json" });
  assert.equal(run.status, 202);
  await until(() => content("many/f05000.txt"), (text) => text === "", "they are made");
  const page = await pane();
  await inTree(page, "many").click();
  await inTree(page, "f00001.txt").waitFor();
  const count = () => page.locator("#tree [role=treeitem]").count();
  assert.ok((await count()) < 80, "only what is in sight is drawn");
  assert.equal(await inTree(page, "f00001.txt").getAttribute("aria-setsize"), "5000");
  await page.locator("#tree").focus();
  await page.keyboard.type("f04321");
  assert.equal(await active(page), "many/f04321.txt");
  await inTree(page, "f04321.txt").waitFor();
  const steps = await page.evaluate(async () => {
    const tree = /** @type {HTMLElement} */ (document.querySelector("#tree"));
    /** @type {number[]} */
    const times = [];
    for (let n = 0; n < 40; n += 1) {
      const begun = performance.now();
      tree.scrollTop = (tree.scrollHeight * n) / 40;
      await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
      times.push(performance.now() - begun);
    }
    return times.sort((a, b) => a - b);
  });
  const median = steps[20] ?? Infinity;
  console.log(`steps through five thousand: median ${median.toFixed(1)} ms, longest ${(steps.at(-1) ?? 0).toFixed(1)} ms`);
  assert.ok(median < 100, `a step takes ${median} ms`);
  assert.ok((await count()) < 80);
  assertClean(page);
});

