// Languages and looks: the catalogues agree, no page shows a key, and every page is photographed.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { SLOW, assertClean, makeSession, openPage, run, scratch, shoot, signIn, startBrowser, startServer } from "./helper.mjs";

const LOOKS = [
  { name: "light", colorScheme: "light", viewport: { width: 1280, height: 800 } },
  { name: "dark", colorScheme: "dark", viewport: { width: 1280, height: 800 } },
  { name: "narrow", colorScheme: "light", viewport: { width: 360, height: 740 } },
];

/** @param {string} lang */
const catalogue = (lang) => JSON.parse(readFileSync(new URL(`../../static/i18n/${lang}.json`, import.meta.url), "utf8"));

/** @param {any} tree @param {string} [at] @returns {[string, string][]} */
const leaves = (tree, at = "") => Object.entries(tree).flatMap(([key, value]) => (typeof value === "string" ? [[`${at}${key}`, value]] : leaves(value, `${at}${key}.`)));

test("both catalogues have the same keys and the same places to fill in", () => {
  const en = new Map(leaves(catalogue("en")));
  const zh = new Map(leaves(catalogue("zh-CN")));
  assert.deepEqual([...zh.keys()].sort(), [...en.keys()].sort());
  const places = (/** @type {string} */ text) => [...new Set(text.match(/\{\w+\}/g))].sort();
  for (const [key, text] of en) assert.deepEqual(places(zh.get(key) ?? ""), places(text), key);
});

/** What is the same in both languages: names, units and signs. */
const SAME = /^(?:[^A-Za-z]|VS Code|Jupyter|Staithe|Enter|Ctrl\+[A-Z]|Ctrl|Shift|Alt|Esc|Tab|Ollama|OpenAI|Anthropic|Google|Gemini|MCP|Escape|ID|JSON|CPU|Git|HTTP|URL|CRLF|LF|UTF|In|Out|EN|p50|p95|KiB|MiB|GiB|\{\w+\})*$/;

test("nothing is left in English in the Chinese catalogue", () => {
  const en = new Map(leaves(catalogue("en")));
  const same = leaves(catalogue("zh-CN")).filter(([key, text]) => en.get(key) === text && !SAME.test(text));
  assert.deepEqual(same, []);
});

test("no text of a script or template goes around the catalogues", async () => {
  const { readdirSync } = await import("node:fs");
  const root = new URL("../../", import.meta.url);
  const texts = (/** @type {string} */ folder, /** @type {string} */ ending) => readdirSync(new URL(folder, root), { recursive: true }).map(String)
    .filter((name) => name.endsWith(ending)).map((name) => ({ name, text: readFileSync(new URL(`${folder}${name}`, root), "utf8") }));
  const found = [];
  for (const { name, text } of texts("static/js/", ".js")) {
    // Children of h(), and what is set as text, a title or a label: words in quotation marks.
    for (const [whole] of text.matchAll(/(?:\}, |setText\([^,]+, |(?:title|placeholder|textContent|"aria-label"): )"[A-Z][a-z]+(?: [a-z]+)*[.!?…]?"/g)) {
      if (!SAME.test(whole.slice(whole.indexOf('"')))) found.push(`${name}: ${whole}`);
    }
  }
  for (const { name, text } of texts("templates/pages/", ".html")) {
    for (const [, words] of text.replace(/<(style|code)>.*?<\/\1>/gs, "").matchAll(/>([^<>{}%]*[A-Za-z]{3}[^<>{}%]*)</g)) {
      if (!SAME.test(words.trim())) found.push(`${name}: ${words.trim()}`);
    }
  }
  assert.deepEqual(found, []);
});

test("every key that a script or template asks for is there", async () => {
  const { readdirSync } = await import("node:fs");
  const en = catalogue("en");
  const root = new URL("../../", import.meta.url);
  // Codes and frames of the protocol look like keys.
  const words = ["errors", "protocol"].map((name) => readFileSync(new URL(`docs/${name}.md`, root), "utf8")).join("\n");
  const codes = new Set([...words.matchAll(/`([a-z_]+\.[a-z_]+)`/g)].map(([, code]) => code));
  const has = (/** @type {string} */ key) => key.split(".").reduce((at, part) => at?.[part], en) !== undefined;
  const scripts = readdirSync(new URL("static/js/", root), { recursive: true }).map(String).filter((name) => name.endsWith(".js"));
  for (const file of scripts) {
    for (const [, key] of readFileSync(new URL(`static/js/${file}`, root), "utf8").matchAll(/"((?:[a-z_]+\.)+[a-z_]+)"/g)) {
      if (en[key.split(".")[0]] && !codes.has(key)) assert.ok(has(key), `${file}: ${key}`);
    }
  }
  for (const folder of ["layouts", "pages"]) {
    for (const file of readdirSync(new URL(`templates/${folder}/`, root))) {
      for (const [, key] of readFileSync(new URL(`templates/${folder}/${file}`, root), "utf8").matchAll(/\{\{ t\.([\w.]+) \}\}/g)) assert.ok(has(key), `${file}: ${key}`);
    }
  }
});

/** A server and a browser, for as long as the test. @param {import("node:test").TestContext} t */
async function begin(t) {
  const data = scratch();
  const server = await startServer({ dataDir: data.folder });
  const browser = await startBrowser();
  t.after(async () => {
    await browser.close();
    await server.kill();
    data.end();
  });
  return { server, browser };
}

test("each page in each look, and in Chinese without a key left over", { timeout: 6 * SLOW }, async (t) => {
  const { server, browser } = await begin(t);
  const keys = new Set(leaves(catalogue("en")).map(([key]) => key));
  let session = "";
  for (const { name, ...options } of LOOKS) {
    const page = await openPage(browser, /** @type {any} */ (options));
    await page.goto(`${server.url}/login`);
    await shoot(page, `sign-in-${name}`);
    await signIn(page, server);
    if (!session) {
      await shoot(page, "sessions-empty");
      session = await makeSession(page, "Harbour works");
      await run(page, "mkdir -p src && printf 'fn main() {}\\n' > src/main.rs && ls -la");
    }
    await page.goto(server.url);
    await page.locator(`[data-session="${session}"]`).waitFor();
    await shoot(page, `sessions-${name}`);
    await page.goto(`${server.url}/sessions/${session}`);
    await page.locator("[data-exit]").first().waitFor();
    await page.locator("#tree button").first().waitFor({ state: "attached" });
    await shoot(page, `session-${name}`);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(wide <= 0, `the session's page is ${wide} px too wide (${name})`);
    if (name === "narrow") {
      await page.locator('[data-show="files"]').click();
      await shoot(page, "session-files-narrow");
    }
    await page.goto(`${server.url}/admin`);
    await page.locator(`tr[data-session="${session}"]`).waitFor();
    await page.locator("#engine ul").first().waitFor();
    const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(over <= 0, `the operator's page is ${over} px too wide (${name})`);
    await shoot(page, `admin-${name}`);
    await page.goto(`${server.url}/sessions/${"0".repeat(32)}`);
    await page.locator(".error-page").waitFor();
    await shoot(page, `error-${name}`);
    assertClean(page);
    await page.context().close();
  }
  const page = await openPage(browser);
  await signIn(page, server);
  await page.goto(`${server.url}/?lang=zh-CN`);
  const pages = { "/": "#isolation:not(:empty)", [`/sessions/${session}`]: "#tree .label", "/admin": "#engine li" };
  for (const [path, filled] of Object.entries(pages)) {
    await page.goto(server.url + path);
    assert.equal(await page.locator("html").getAttribute("lang"), "zh-CN", path);
    await page.locator(`[data-session="${session}"]`).first().waitFor();
    await page.locator(filled).first().waitFor();
    const text = await page.locator("body").innerText();
    assert.match(text, /[\u4e00-\u9fff]{2}/, path);
    const left = text.match(/\b[a-z_]+(?:\.[a-z_]+)+\b/g)?.filter((word) => keys.has(word)) ?? [];
    assert.deepEqual(left, [], `${path} shows keys`);
    if (path === "/admin") for (const line of await page.locator("#engine li").allTextContents()) assert.match(line, /[\u4e00-\u9fff]/, "the engine's words are translated");
    await shoot(page, `zh${path.replaceAll("/", "-").replace(session, "")}`);
  }
  await page.goto(`${server.url}/sessions/${"0".repeat(32)}`);
  assert.match(await page.locator(".error-page").innerText(), /404\s+未找到\s+没有这个会话/);
  await shoot(page, "zh-error");
  await page.context().clearCookies({ name: "staithe_sign_in" });
  await page.goto(`${server.url}/login`);
  await page.getByRole("heading", { name: "登录", exact: true }).waitFor();
  await shoot(page, "zh-sign-in");
  assertClean(page);
});

test("times and numbers are written as the browser's region writes them, without its words on an English page", { timeout: 2 * SLOW }, async (t) => {
  const { server, browser } = await begin(t);
  const at = "2026-03-09T15:04:05Z";
  const expected = {
    "en-US": { lang: "en", clock: "3:04:05 PM", date: "Mar 9, 2026, 3:04:05 PM", number: "1,234.5", took: "1.25 sec" },
    "en-GB": { lang: "en", clock: "15:04:05", date: "9 Mar 2026, 15:04:05", number: "1,234.5", took: "1.25 sec" },
    "de-DE": { lang: "en", clock: "15:04:05", date: "9 Mar 2026, 15:04:05", number: "1.234,5", took: "1,25 sec" },
    "fr-FR": { lang: "en", clock: "15:04:05", date: "9 Mar 2026, 15:04:05", number: "1 234,5", took: "1,25 sec" },
    "ar-EG": { lang: "en", clock: "3:04:05 PM", date: "Mar 9, 2026, 3:04:05 PM", number: "1,234.5", took: "1.25 sec" },
    "zh-CN": { lang: "zh-CN", clock: "15:04:05", date: "2026年3月9日 15:04:05", number: "1,234.5", took: "1.25秒" },
  };
  for (const [locale, wanted] of Object.entries(expected)) {
    const page = await openPage(browser, { locale, timezoneId: "UTC" });
    await page.goto(`${server.url}/login`);
    const got = await page.evaluate(async (text) => {
      const base = document.documentElement.dataset.static;
      const { clock, dateTime, duration, lang, number } = await import(`${base}/js/i18n.js`);
      const when = new Date(text);
      return { lang, clock: clock(when), date: dateTime(when), number: number(1234.5), took: duration(1250) };
    }, at);
    const plain = Object.fromEntries(Object.entries(got).map(([name, text]) => [name, text.replace(/[\u00a0\u202f]/g, " ")]));
    assert.deepEqual(plain, wanted, locale);
    assertClean(page);
    await page.context().close();
  }
});
