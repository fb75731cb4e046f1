// For everyone: no page and no pane has a fault that axe-core finds, however small, in both themes and languages; and what a page costs to load.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { SLOW, assertClean, openPage, run, scratch, signIn, startBrowser, startServer } from "./helper.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
/** Bytes on the wire of a page's first load, without what is loaded on demand (the issue's bound). */
const MOST_BYTES = 250 * 1024;
/** Modules are not bundled; they are all asked for at once. */
const MOST_REQUESTS = 110;
/** Milliseconds to the first paint on loopback: many times what is seen, as machines are noisy. */
const MOST_PAINT = 4000;

/** @type {ReturnType<typeof scratch>} */
let data;
/** @type {Awaited<ReturnType<typeof startServer>>} */
let server;
/** @type {import("playwright-core").Browser} */
let browser;
let session = "";

before(async () => {
  data = scratch();
  server = await startServer({ dataDir: data.folder });
  browser = await startBrowser();
  const headers = { authorization: `Bearer ${server.token}`, "content-type": "application/json" };
  const made = await fetch(`${server.url}/api/sessions`, { method: "POST", headers, body: JSON.stringify({ title: "For everyone" }) });
  session = (await made.json()).id;
});

after(async () => {
  await browser?.close();
  await server?.kill();
  data?.end();
});

/** What axe finds. @param {import("playwright-core").Page} page @param {string} where */
async function faults(page, where) {
  await page.evaluate(AXE);
  // What moves while colours are looked at has none of its own.
  await page.emulateMedia({ reducedMotion: "reduce" });
  const found = await page.evaluate(async () => {
    const { violations } = await /** @type {any} */ (window).axe.run(document, { resultTypes: ["violations"] });
    return violations.map((/** @type {any} */ one) => ({
      id: one.id, help: one.help, nodes: one.nodes.slice(0, 4).map((/** @type {any} */ node) => `${node.html.slice(0, 160)} — ${(node.any[0] ?? node.all[0] ?? node.none[0])?.message ?? ""}`),
    }));
  });
  return found.map((/** @type {any} */ one) => `${where}: ${one.id} (${one.help})\n    ${one.nodes.join("\n    ")}`);
}

for (const look of [
  { name: "light, English", colorScheme: "light", locale: "en-US", width: 1280 },
  { name: "dark, Chinese", colorScheme: "dark", locale: "zh-CN", width: 1280 },
  { name: "narrow, dark", colorScheme: "dark", locale: "en-US", width: 360 },
]) {
  test(`no fault on any page: ${look.name}`, { timeout: 4 * SLOW }, async () => {
    const page = await openPage(browser, { .../** @type {any} */ ({ colorScheme: look.colorScheme, locale: look.locale }), viewport: { width: look.width, height: 800 } });
    const all = [];
    await page.goto(`${server.url}/login`);
    all.push(...await faults(page, "sign-in"));
    await signIn(page, server);
    all.push(...await faults(page, "sessions"));
    await page.goto(`${server.url}/nothing`);
    all.push(...await faults(page, "error"));
    await page.goto(`${server.url}/admin`);
    await page.locator(`[data-session="${session}"]`).waitFor();
    all.push(...await faults(page, "admin"));
    await page.goto(`${server.url}/sessions/${session}`);
    await page.locator('#phase[data-phase="ready"]').waitFor({ timeout: SLOW });
    await page.locator('#connection[data-state="live"]').waitFor();
    if (look.width > 1000) await run(page, "echo for everyone");
    const panes = await page.locator("#pane-tabs [data-show]:visible").evaluateAll((tabs) => tabs.map((tab) => /** @type {HTMLElement} */ (tab).dataset.show ?? ""));
    assert.ok(panes.length >= 9, `${panes}`);
    for (const name of panes) {
      await page.locator(`[data-show="${name}"]`).click();
      await page.locator(name === "talk" ? ".talk" : name === "files" ? "#files" : `#pane-${name}`).waitFor();
      await page.waitForLoadState("networkidle");
      all.push(...await faults(page, `pane ${name}`));
    }
    for (const [name, keys] of [["palette", "Control+k"]]) {
      await page.keyboard.press(keys);
      await page.getByRole("dialog").first().waitFor();
      all.push(...await faults(page, name));
      await page.keyboard.press("Escape");
    }
    await page.locator("#settings-open").click();
    await page.getByRole("dialog").first().waitFor();
    all.push(...await faults(page, "settings"));
    assert.deepEqual(all, [], all.join("\n"));
    assertClean(page);
    await page.context().close();
  });
}

test("a first load is small, and paints at once", { timeout: 2 * SLOW }, async () => {
  for (const where of ["/", `/sessions/${session}?pane=files`, "/admin"]) {
    const page = await openPage(browser);
    await signIn(page, server);
    const devtools = await page.context().newCDPSession(page);
    await devtools.send("Network.enable");
    await devtools.send("Network.setCacheDisabled", { cacheDisabled: true });
    /** @type {Map<string, { url: string, bytes: number, packed: boolean }>} */
    const seen = new Map();
    devtools.on("Network.responseReceived", ({ requestId, response }) => {
      const packed = /gzip/.test(response.headers["content-encoding"] ?? response.headers["Content-Encoding"] ?? "");
      seen.set(requestId, { url: response.url, bytes: 0, packed });
    });
    devtools.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
      const one = seen.get(requestId);
      if (one) one.bytes = encodedDataLength;
    });
    await page.goto(`${server.url}${where}`);
    await page.waitForLoadState("networkidle");
    const loaded = [...seen.values()].filter(({ url }) => !url.includes("/api/"));
    const bytes = loaded.reduce((sum, one) => sum + one.bytes, 0);
    const paint = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? 0);
    console.log(`${where.slice(0, 10)}: ${loaded.length} requests, ${Math.round(bytes / 1024)} KiB, first paint ${Math.round(paint)} ms`);
    assert.ok(bytes > 10_000 && bytes <= MOST_BYTES, `${where}: ${bytes} bytes\n${loaded.map((one) => `${one.bytes} ${one.url}`).join("\n")}`);
    assert.ok(loaded.length <= MOST_REQUESTS, `${where}: ${loaded.length} requests`);
    assert.ok(paint > 0 && paint < MOST_PAINT, `${where}: first paint after ${paint} ms`);
    const plain = loaded.filter(({ url, packed }) => /\.(js|css|json)$/.test(url) && !packed).map(({ url }) => url);
    assert.ok(plain.length <= 2, `sent without being packed: ${plain.join(" ")}`);
    assert.ok(!loaded.some(({ url }) => /\/lib\/(editor|terminal)/.test(url)), "the editor and the terminal come when they are opened");
    assert.ok(loaded.every(({ url }) => new URL(url).origin === server.url), "nothing from elsewhere");
    await page.context().close();
  }
});

test("static files are kept for ever under their hash, and are there as gzip and plain", async () => {
  const html = await (await fetch(`${server.url}/login`)).text();
  const [, at] = /data-static="([^"]+)"/.exec(html) ?? [];
  assert.match(at ?? "", /^\/static\/[0-9a-f]{16}$/);
  const packed = await fetch(`${server.url}${at}/app.css`);
  const plain = await fetch(`${server.url}${at}/app.css`, { headers: { "accept-encoding": "identity" } });
  assert.equal(packed.headers.get("content-encoding"), "gzip");
  assert.equal(plain.headers.get("content-encoding"), null);
  assert.equal(await packed.text(), await plain.text());
  for (const one of [packed, plain]) {
    assert.match(one.headers.get("cache-control") ?? "", /immutable/);
    assert.match(one.headers.get("vary") ?? "", /accept-encoding/);
  }
  const licences = await fetch(`${server.url}${at}/lib/LICENSES.txt`);
  assert.match(await licences.text(), /xterm/);
});
