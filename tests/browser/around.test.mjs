// Around the sessions: the list, settings, palette, switcher, shared links, who is here, and what a new person reads.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, afterEach, before, test } from "node:test";
import { ENGINE, SLOW, assertClean, makeSession, openPage, scratch, shoot, signIn, startBrowser, startFakeModel, startServer, watch } from "./helper.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const data = scratch();
const bare = scratch();
/** @type {Awaited<ReturnType<typeof startFakeModel>>} */
let model;
/** @type {Awaited<ReturnType<typeof startServer>>} */
let server;
/** @type {import("playwright-core").Browser} */
let browser;
/** @type {Awaited<ReturnType<import("playwright-core").BrowserContext["storageState"]>>} */
let signedIn;

before(async () => {
  model = await startFakeModel();
  server = await startServer({ dataDir: data.folder, env: model.env });
  browser = await startBrowser();
  const page = await openPage(browser);
  await signIn(page, server);
  signedIn = await page.context().storageState();
  await page.context().close();
});
afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
});
after(async () => {
  await browser?.close();
  await server?.kill();
  model?.kill();
  data.end();
  bare.end();
});

/** @param {string} method @param {string} path @param {unknown} [body] @returns {Promise<any>} */
async function api(method, path, body) {
  const headers = { authorization: `Bearer ${server.token}`, "content-type": "application/json" };
  const answer = await fetch(`${server.url}/api/sessions${path}`, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) });
  assert.ok(answer.ok, `${method} ${path}: ${answer.status}`);
  return answer.status === 204 ? null : answer.json();
}

/** @param {string} [path] @param {import("playwright-core").BrowserContextOptions} [options] */
async function open(path = "/", options = {}) {
  const page = await openPage(browser, { storageState: signedIn, ...options });
  await page.goto(server.url + path);
  if (path === "/") await page.locator("#sessions:not([aria-busy])").waitFor({ state: "attached" });
  else await page.locator('#connection[data-state="live"]').waitFor();
  return page;
}

/** @param {import("playwright-core").Page} page */
const focused = (page) => page.evaluate(() => document.activeElement?.id || document.activeElement?.tagName);

/** Nothing hangs over the edge, and no key of the catalogue is shown. @param {import("playwright-core").Page} page @param {string} where */
async function assertFits(page, where) {
  const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(over <= 0, `${where} is ${over} px too wide`);
  const left = (await page.locator("body").innerText()).match(/\b(?:settings|palette|pick|switcher|share|presence|first|sessions)\.[a-z_]+\b/g);
  assert.equal(left, null, `${where} shows keys`);
}

/** Axe finds nothing there that keeps people out. @param {import("playwright-core").Page} page @param {string} where @param {string} part a selector */
async function assertOpenToAll(page, where, part) {
  if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(AXE);
  const found = await page.evaluate(async (selector) => {
    const { violations } = await /** @type {any} */ (window).axe.run(selector, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] });
    return violations.map((/** @type {any} */ one) => `${one.id}: ${one.nodes.map((/** @type {any} */ node) => `${node.html.slice(0, 120)} ${node.failureSummary ?? ""}`).join(" | ")}`);
  }, part);
  assert.deepEqual(found, [], where);
}

/** Chooses in the palette by typing. @param {import("playwright-core").Page} page @param {string} query @param {string} id */
async function command(page, query, id) {
  await page.locator("dialog.picker").waitFor({ state: "detached" });
  await page.keyboard.press("Control+k");
  await page.locator("dialog.picker input").fill(query);
  await page.locator(`[data-pick="${id}"][aria-selected="true"]`).waitFor();
  await page.keyboard.press("Enter");
  await page.locator("dialog.picker").waitFor({ state: "detached" });
}

test("a new person reads what runs where, what is missing and what comes next", { timeout: 4 * SLOW }, async () => {
  const keyless = Object.fromEntries(["OPENAI", "ANTHROPIC", "GEMINI"].map((name) => [`STAITHE__MODELS__${name}__KEY_ENV`, ""]));
  const fresh = await startServer({ dataDir: bare.folder, env: keyless });
  try {
    const page = await openPage(browser);
    await signIn(page, fresh);
    const first = page.locator("#first");
    await first.locator('[data-part="where"]').getByText(ENGINE === "local" ? "without containers" : `Each sandbox is a container (${ENGINE}).`).waitFor();
    await first.locator('[data-part="model"][data-ok="false"]').getByText("No model has a key yet").waitFor();
    assert.equal(await focused(page), "new-title", "the first field has the focus");
    await first.locator("summary").focus();
    await page.keyboard.press("Enter");
    await first.locator(".exposes li").first().waitFor();
    assert.equal(await first.locator("ol li").count(), 3, "three steps");
    await page.locator("#first-keys").focus();
    await page.keyboard.press("Enter");
    await page.locator('dialog.models [data-model="openai"]').waitFor();
    await page.keyboard.press("Escape");
    await page.locator("dialog.models").waitFor({ state: "detached" });
    await page.locator("#first-keys").waitFor();
    await page.locator("#first-begin").focus();
    await page.keyboard.press("Enter");
    assert.equal(await focused(page), "new-title");
    await shoot(page, "around-first");
    assertClean(page);
    for (const [name, options] of Object.entries({ narrow: { viewport: { width: 360, height: 740 }, colorScheme: "dark" }, zh: { locale: "zh-CN" } })) {
      const other = await openPage(browser, /** @type {any} */ (options));
      await signIn(other, fresh);
      await other.locator('#first [data-part="model"]').waitFor();
      await assertFits(other, `the first page (${name})`);
      if (name === "zh") for (const line of await other.locator("#first li, #first p:not(:empty)").allTextContents()) assert.match(line, /[\u4e00-\u9fff]/, "all of it is translated");
      await shoot(other, `around-first-${name}`);
      assertClean(other);
    }
    await makeSession(page, "By hand");
    const example = page.locator('#examples [data-example="command"]').first();
    await example.focus();
    await page.keyboard.press("Enter");
    assert.equal(await page.locator("#box").inputValue(), "ls -la");
    assert.equal(await page.locator("#to-agent").isChecked(), false, "no model: it is a command");
    assert.equal(await focused(page), "box");
    await shoot(page, "around-examples");
    await page.keyboard.press("Enter");
    await page.locator("#examples").waitFor({ state: "hidden" });
    await page.goto(fresh.url);
    await page.locator('[data-group="running"] [data-session]').waitFor();
    assert.equal(await first.isVisible(), false, "with a session it is gone");
    assertClean(page);
  } finally {
    await fresh.kill();
  }
});

test("the list has what waits for a person first; it is searched, walked and renamed by keys", { timeout: 4 * SLOW }, async () => {
  await model.say("harbour-ask", [{ calls: [{ name: "execute_bash", arguments: { command: "chmod 777 .", security_risk: "HIGH" } }] }]);
  const asks = await api("POST", "", { title: "Asks somebody", first_message: "harbour-ask: open it", labels: { team: "harbour" } });
  const rests = await api("POST", "", { title: "Rests", labels: { team: "pier" } });
  const works = await api("POST", "", { title: "Works on" });
  await api("POST", `/${rests.id}/stop`);
  const page = await open();
  await page.locator(`[data-group="attention"] [data-session="${asks.id}"]`).waitFor({ timeout: SLOW });
  await page.locator(`[data-group="running"] [data-session="${works.id}"]`).waitFor({ timeout: SLOW });
  await page.locator(`[data-group="idle"] [data-session="${rests.id}"]`).waitFor({ timeout: SLOW });
  await page.locator(`[data-session="${asks.id}"] [data-cost]`, { hasText: "$" }).waitFor();
  await shoot(page, "around-sessions");

  await page.keyboard.press("/");
  assert.equal(await focused(page), "search");
  await page.keyboard.type("pier");
  await page.locator(`[data-session="${works.id}"]`).waitFor({ state: "detached" });
  assert.equal(await page.locator("[data-session]").count(), 1);
  assert.match((await page.locator("#count").textContent()) ?? "", /^1 of \d+$/);
  await page.locator("#search").fill("nothing is called so");
  await page.locator("#no-match").waitFor();
  await page.keyboard.press("Escape");
  await page.locator(`[data-session="${asks.id}"]`).waitFor();
  await page.locator(`[data-session="${asks.id}"] .label`).click();
  await page.locator(`[data-session="${rests.id}"]`).waitFor({ state: "detached" });
  await page.keyboard.press("Escape");
  await page.locator(`[data-session="${rests.id}"]`).waitFor();

  const at = () => page.evaluate(() => /** @type {HTMLElement | null} */ (document.activeElement?.closest("[data-session]"))?.dataset.session);
  await page.keyboard.press("ArrowDown");
  assert.equal(await at(), asks.id);
  await page.keyboard.press("End");
  assert.equal(await at(), rests.id);
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("Home");
  assert.equal(await at(), asks.id);
  await page.keyboard.press("F2");
  await page.locator("#dialog-input").fill("Asks nobody");
  await page.keyboard.press("Enter");
  await page.locator(`[data-session="${asks.id}"] a`, { hasText: "Asks nobody" }).waitFor();
  assert.equal(await at(), asks.id, "the focus is where it was");
  assertClean(page);
});

test("n opens the form; folded, it stays so, and settings say what it begins with", { timeout: 2 * SLOW }, async () => {
  const page = await open();
  await page.locator("#new-fold > summary").click();
  await page.reload();
  await page.locator("#sessions:not([aria-busy])").waitFor({ state: "attached" });
  assert.equal(await page.locator("#new-title").isVisible(), false);
  await page.keyboard.press("n");
  assert.equal(await focused(page), "new-title");
  await page.keyboard.type("n");
  assert.equal(await page.locator("#new-title").inputValue(), "n", "in a field it is a letter");
  await page.keyboard.press("Control+,");
  await page.locator('#set-model option[value="openai"]').waitFor({ state: "attached" });
  await page.locator("#set-model").selectOption("openai");
  await page.locator("#set-letters").uncheck();
  await page.keyboard.press("Escape");
  await page.locator("#settings").waitFor({ state: "detached" });
  await page.waitForFunction(() => /** @type {HTMLSelectElement} */ (document.querySelector("#new-model")).value === "openai");
  await page.locator("#main").focus();
  await page.keyboard.press("n");
  assert.equal(await focused(page), "main", "letters are no shortcuts any more");
  await page.goto(`${server.url}/#new`);
  await page.waitForFunction(() => document.activeElement?.id === "new-title");
  assertClean(page);
});

test("theme and language are chosen with the keyboard alone, and hold on every page", { timeout: 2 * SLOW }, async () => {
  const page = await open();
  const theme = () => page.evaluate(() => document.documentElement.dataset.theme ?? "");
  const background = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const light = await background();
  await page.locator("#settings-open").focus();
  await page.keyboard.press("Enter");
  await page.locator("#settings").waitFor();
  await shoot(page, "around-settings");
  await page.locator('#settings [name=theme][value=""]').focus();
  await page.keyboard.press("ArrowRight");
  assert.equal(await theme(), "light");
  await page.keyboard.press("ArrowRight");
  assert.equal(await theme(), "dark");
  assert.notEqual(await background(), light);
  await page.keyboard.press("Escape");
  assert.equal(await focused(page), "settings-open", "the focus is where it was");
  await page.goto(`${server.url}/admin`);
  assert.equal(await theme(), "dark", "before anything was drawn");
  await command(page, "theme light", "theme-light");
  assert.equal(await theme(), "light");
  await command(page, "中文", "language-zh-CN");
  await page.waitForFunction(() => document.documentElement.lang === "zh-CN");
  await page.goto(server.url);
  assert.equal(await page.locator("html").getAttribute("lang"), "zh-CN", "the cookie keeps it");
  await page.keyboard.press("Control+,");
  await page.getByRole("heading", { name: "设置" }).waitFor();
  await assertFits(page, "the settings in Chinese");
  await shoot(page, "around-settings-zh");
  await page.getByText("English").click();
  await page.waitForFunction(() => document.documentElement.lang === "en");
  assertClean(page);
});

test("the palette finds what can be done here, by parts and letters, and runs it", { timeout: 3 * SLOW }, async () => {
  const { id } = await api("POST", "", { title: "Palette" });
  const page = await open(`/sessions/${id}`);
  await page.locator('#phase[data-phase="ready"]').waitFor({ timeout: SLOW });
  await page.locator("#box").focus();
  await page.keyboard.press("Control+Shift+P");
  const input = page.getByRole("combobox", { name: "Commands" });
  await input.waitFor();
  await page.locator('[data-pick="session-stop"]').waitFor();
  await shoot(page, "around-palette");
  await input.fill("dlts"); // "Delete this session…", letter by letter
  await page.locator('[data-pick="session-delete"][aria-selected="true"]').waitFor();
  assert.equal(await input.getAttribute("aria-activedescendant"), await page.locator('[data-pick="session-delete"]').getAttribute("id"));
  await input.fill("no such thing");
  await page.getByText("Nothing is called so.").waitFor();
  await page.keyboard.press("Escape");
  assert.equal(await focused(page), "box", "the focus is where it was");
  await command(page, "delete", "session-delete");
  await page.getByRole("dialog", { name: "Delete “Palette”?" }).waitFor();
  await page.keyboard.press("Escape");
  await command(page, "show files", "pane-files");
  assert.equal(await page.locator("#session").getAttribute("data-pane"), "files");
  await page.locator("#switch").focus();
  const second = await page.locator("#pane-tabs [data-show]:not([data-show=talk])").nth(1).getAttribute("data-show");
  await page.keyboard.press("2");
  assert.equal(await page.locator("#session").getAttribute("data-pane"), second);
  await page.keyboard.press("1");
  assert.equal(await page.locator("#session").getAttribute("data-pane"), "files");
  await page.keyboard.press("/");
  assert.equal(await focused(page), "box");
  await page.keyboard.press("Control+k");
  await page.locator('[data-pick="pane-files"]', { has: page.locator("kbd") }).waitFor();
  assert.equal(await page.locator("[role=group]", { hasText: "Used lately" }).locator("[data-pick]").first().getAttribute("data-pick"), "pane-files");
  await page.keyboard.press("Control+k");
  await page.locator("dialog.picker").waitFor({ state: "detached" });
  await command(page, "stop this", "session-stop");
  await page.locator('[data-choice="yes"]').click();
  await page.locator('#phase[data-phase="stopped"]').waitFor({ timeout: SLOW });
  await command(page, "wake", "session-start");
  await page.locator('#phase[data-phase="ready"]').waitFor({ timeout: SLOW });
  assertClean(page);
});

test("a viewer is not offered what writes", { timeout: 2 * SLOW }, async () => {
  const { id } = await api("POST", "", { title: "Watched" });
  const { token } = await api("POST", `/${id}/tokens`, { role: "viewer" });
  const page = await openPage(browser);
  await page.goto(`${server.url}/login`);
  await page.locator("#token").fill(token);
  await page.locator("#token").press("Enter");
  await page.waitForURL((url) => !url.pathname.startsWith("/login"));
  await page.goto(`${server.url}/sessions/${id}`);
  await page.locator("#role", { hasText: "Viewer" }).waitFor();
  for (const one of ["#share", "#rename", "#examples"]) assert.equal(await page.locator(one).isVisible(), false, one);
  await page.keyboard.press("Control+k");
  await page.locator('[data-pick="pane-files"]').waitFor();
  const offered = await page.locator("[data-pick]").evaluateAll((all) => all.map((one) => /** @type {HTMLElement} */ (one).dataset.pick ?? ""));
  for (const one of ["session-stop", "session-delete", "session-rename", "share-session", "session-start", "composer-focus"]) assert.ok(!offered.includes(one), one);
  assert.ok(offered.includes("copy-link"));
  await page.keyboard.press("Escape");
  await page.locator("#switch").click();
  await page.getByText("There is no other session.").waitFor();
  assert.equal(await page.locator('[data-pick="new-session"]').count(), 0, "nor a new session");
  await page.goto(server.url);
  await page.locator(`[data-session="${id}"]`).waitFor();
  for (const one of ["#new-session", "#models"]) assert.equal(await page.locator(one).isVisible(), false, one);
  assertClean(page);
});

test("the title opens the other sessions, the latest first, and leads to one", { timeout: 3 * SLOW }, async () => {
  const older = await api("POST", "", { title: "Older neighbour" });
  const newer = await api("POST", "", { title: "Newer neighbour", labels: { team: "switch" } });
  const here = await api("POST", "", { title: "Switch from here" });
  const page = await open(`/sessions/${here.id}`);
  await page.locator("#switch").focus();
  await page.keyboard.press("Enter");
  await page.locator('#switch[aria-expanded="true"]').waitFor();
  await page.locator(`[data-pick="${newer.id}"] .badge`).first().waitFor();
  assert.equal(await page.locator(`[data-pick="${here.id}"]`).count(), 0, "not the one that is open");
  const shown = await page.locator("[data-pick]").evaluateAll((all) => all.map((one) => /** @type {HTMLElement} */ (one).dataset.pick));
  const { sessions } = await api("GET", "?limit=500");
  const times = shown.flatMap((one) => sessions.filter((/** @type {any} */ { id }) => id === one).map((/** @type {any} */ { updated_at: at }) => Date.parse(at)));
  assert.ok(times.length >= 2 && shown.includes(older.id));
  assert.deepEqual(times, [...times].sort((a, b) => b - a), "the latest first");
  await shoot(page, "around-switcher");
  await page.keyboard.type("team=switch");
  await page.locator(`[data-pick="${newer.id}"][aria-selected="true"]`).waitFor();
  await page.keyboard.press("Enter");
  await page.waitForURL(`**/sessions/${newer.id}`);
  await page.locator("#title", { hasText: "Newer neighbour" }).waitFor();
  await command(page, "rename", "session-rename");
  await page.locator("#dialog-input").fill("Renamed neighbour");
  await page.keyboard.press("Enter");
  await page.locator("#title", { hasText: "Renamed neighbour" }).waitFor();
  assert.match(await page.title(), /^Renamed neighbour/);
  assert.equal(await focused(page), "rename");
  await command(page, "new session", "new-session");
  await page.waitForFunction(() => document.activeElement?.id === "new-title");
  assertClean(page);
});

test("links to a session are made, copied without a secure context, listed and revoked", { timeout: 3 * SLOW }, async () => {
  const { id } = await api("POST", "", { title: "Shared" });
  const page = await openPage(browser, { storageState: signedIn });
  await page.addInitScript(() => Object.defineProperty(navigator, "clipboard", { value: undefined }));
  await page.goto(`${server.url}/sessions/${id}`);
  await page.locator("#share").waitFor();
  await page.locator("#share").focus();
  await page.keyboard.press("Enter");
  await page.getByText("There is none yet.").waitFor();
  assert.equal(await focused(page), "share-role");
  await page.locator("#share-role").selectOption("editor");
  await page.getByText("They can run commands").waitFor();
  await page.locator("#share-span").selectOption(String(7 * 86400));
  await page.locator("#share-name").fill("Ada");
  await page.keyboard.press("Enter");
  await page.locator("#share-url").waitFor();
  const url = await page.locator("#share-url").inputValue();
  assert.match(url, /^http:\/\/.+\/join\?link=.+/);
  const line = page.locator("#share-links [data-link]", { hasText: "Ada" });
  await line.getByText("expires in 7 days").waitFor();
  await line.locator('[data-role="editor"]').waitFor();
  assert.equal(await focused(page), "share-copy");
  await page.keyboard.press("Enter");
  await page.getByText("Copied.").waitFor();
  await page.locator("#share-name").focus();
  await page.keyboard.press("Control+v");
  const pasted = await page.locator("#share-name").inputValue();
  assert.ok(pasted.length > 100 && url.startsWith(pasted), "it is on the clipboard");
  await page.locator("#share-name").fill("");
  await assertFits(page, "the dialog of links");
  await shoot(page, "around-share");
  const guest = await openPage(browser);
  await guest.goto(url);
  await guest.locator("#role", { hasText: "Editor" }).waitFor();
  await page.locator("#presence .face", { hasText: /^A$/ }).waitFor();
  await guest.locator("#presence").click();
  await guest.locator("#presence-list li", { hasText: "Ada (you)" }).waitFor();
  assert.equal(await guest.locator("#share").isVisible(), false, "a guest lets in nobody");
  await line.getByRole("button", { name: "Revoke “Ada”" }).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("dialog", { name: "Revoke the link “Ada”?" }).waitFor();
  await page.keyboard.press("Enter"); // the harmless button has the focus
  assert.equal(await line.count(), 1);
  await line.getByRole("button").click();
  await page.locator('[data-choice="yes"]').click();
  await line.waitFor({ state: "detached" });
  await guest.locator("#ended", { hasText: "revoked" }).waitFor();
  assert.equal(await page.locator("#share-url").isVisible(), false, "its address is not shown any more");
  await page.keyboard.press("Escape");
  assert.equal(await focused(page), "share");
  await page.locator("#presence .face", { hasText: /^A$/ }).waitFor({ state: "detached" });
  assertClean(page);
  assertClean(guest);
});

test("a server that refuses a link says why, in the dialog", { timeout: 2 * SLOW }, async () => {
  const { id } = await api("POST", "", { title: "Unshared" });
  const page = await openPage(browser, { storageState: signedIn, viewport: { width: 360, height: 740 }, colorScheme: "dark", locale: "zh-CN" });
  await page.route(`**/api/sessions/${id}/links`, (route) => route.request().method() === "GET" ? route.fulfill({ json: { links: [{ id: "l1", role: "viewer", created_by: "operator", created_at: "2020-01-01T00:00:00Z", expires_at: "2020-01-02T00:00:00Z" }] } })
    : route.fulfill({ status: 403, contentType: "application/problem+json", json: { title: "Forbidden", status: 403, detail: "no more links", code: "link.too_many" } }));
  await page.goto(`${server.url}/sessions/${id}?pane=talk`);
  await page.locator("#share").click();
  await page.locator('[data-link="l1"]').getByText("已过期").waitFor();
  await page.locator("#share-dialog button[type=submit]").click();
  await page.locator("#share-dialog [role=alert]", { hasText: "no more links（link.too_many）" }).or(page.locator("#share-dialog [role=alert]", { hasText: "link.too_many" })).first().waitFor();
  await assertFits(page, "the dialog of links, narrow");
  await shoot(page, "around-share-narrow");
  assertClean(page);
});

test("who is here stands in the header, with their terminals, and comings are told once and late", { timeout: 3 * SLOW }, async () => {
  const { id } = await api("POST", "", { title: "Together" });
  const page = await openPage(browser, { storageState: signedIn });
  /** @type {import("playwright-core").WebSocketRoute | undefined} */
  let line;
  await page.routeWebSocket(/\/ws\?/, (socket) => {
    line = socket;
    assert.match(socket.url(), /presence=1/);
    const real = socket.connectToServer();
    real.onMessage((text) => (typeof text === "string" && text.startsWith('{"type":"presence"') ? undefined : socket.send(text)));
  });
  await page.goto(`${server.url}/sessions/${id}`);
  await page.locator('#connection[data-state="live"]').waitFor();
  assert.equal(await page.locator("#presence").isVisible(), false, "nothing is said before the server says it");
  const since = new Date().toISOString();
  const tell = (/** @type {any[]} */ people) => line?.send(JSON.stringify({ type: "presence", seq: 1, you: "s1", people }));
  const me = { id: "s1", name: "operator", role: "operator", since };
  const ada = { id: "s2", name: "Ada Lovelace", role: "editor", since };
  tell([me, ada, { ...ada, id: "s3" }]);
  await page.locator("#presence .face", { hasText: "AL" }).waitFor();
  assert.equal(await page.locator("#presence .face").count(), 2, "one face for two windows");
  line?.send(JSON.stringify({ type: "terminal", ref: "r", terminal: 4, event: "driver", driver: "s3" }));
  await page.locator("#presence").focus();
  await page.keyboard.press("Enter");
  const list = page.locator("#presence-list");
  await list.locator('[data-person="Ada Lovelace"]').getByText("drives terminal #4").waitFor();
  await list.locator('[data-person="Ada Lovelace"]').getByText("in 2 windows").waitFor();
  await list.locator('[data-person="operator"]').getByText("operator (you)").waitFor();
  await shoot(page, "around-presence");
  await page.keyboard.press("Escape");
  await list.waitFor({ state: "hidden" });
  assert.equal(await focused(page), "presence");
  const announced = () => page.locator("#announce").textContent();
  assert.doesNotMatch((await announced()) ?? "", /joined/, "who was there before is not news");
  tell([me]);
  tell([me, ada, { id: "s5", name: "小明", role: "viewer", since, you: false, drives: [1, 2] }]);
  await page.locator("#announce", { hasText: "小明 has joined." }).waitFor();
  assert.doesNotMatch((await announced()) ?? "", /Ada/, "a reload is nobody coming and going");
  await page.locator("#presence .face", { hasText: "小" }).waitFor();
  assertClean(page);
});

test("an agent that waits calls whoever looks elsewhere, once that is switched on", { timeout: 3 * SLOW }, async () => {
  await model.say("harbour-call", [{ text: "It is done.", hold_after: 1, chunk: 4 }]);
  const { id } = await api("POST", "", { title: "Calls", first_message: "harbour-call: answer" });
  const context = { storageState: signedIn, permissions: ["notifications"] };
  const page = await openPage(browser, context);
  await page.addInitScript(() => {
    /** @type {any} */ (window).called = [];
    window.Notification = /** @type {any} */ (class extends EventTarget {
      static permission = "granted";
      static requestPermission = async () => "granted";
      constructor(/** @type {string} */ title, /** @type {any} */ { body }) {
        super();
        /** @type {any} */ (window).called.push(`${title}: ${body}`);
      }
    });
    document.hasFocus = () => false;
  });
  await page.goto(`${server.url}/sessions/${id}`);
  await page.locator('#agent-bar[data-agent="running"]').waitFor({ timeout: SLOW });
  await page.keyboard.press("Control+,");
  assert.equal(await page.locator("#set-notify").isChecked(), false, "off until it is chosen");
  await page.locator("#set-notify").check();
  await page.keyboard.press("Escape");
  await model.release();
  await page.waitForFunction(() => /** @type {any} */ (window).called.length > 0);
  assert.deepEqual(await page.evaluate(() => /** @type {any} */ (window).called), ["Calls: Agent: waiting for you"]);
  const second = watch(await page.context().newPage());
  await second.goto(page.url());
  await second.locator('#agent-bar[data-agent="awaiting_user_input"]').waitFor();
  assertClean(page);
});

test("an empty conversation suggests tasks where a model can do them", { timeout: 2 * SLOW }, async () => {
  const { id } = await api("POST", "", { title: "Empty" });
  const page = await open(`/sessions/${id}`);
  const task = page.locator('#examples [data-example="task"]').first();
  await task.click();
  assert.match(await page.locator("#box").inputValue(), /^Look around/);
  assert.equal(await page.locator("#to-agent").isChecked(), true);
  assertClean(page);
});

test("a session's page in Chinese, dark and narrow: everything fits, nothing is a key", { timeout: 3 * SLOW }, async () => {
  const { id } = await api("POST", "", { title: "A long title of a session that has to be cut somewhere, and is" });
  const page = await openPage(browser, { storageState: signedIn, viewport: { width: 360, height: 740 }, colorScheme: "dark", locale: "zh-CN" });
  await page.goto(`${server.url}/sessions/${id}?pane=talk`);
  await page.locator('#phase[data-phase="ready"]').waitFor({ timeout: SLOW });
  await page.locator("#examples button").first().waitFor();
  await assertFits(page, "the session's page");
  await shoot(page, "around-session-narrow");
  await page.locator("#switch").click();
  await page.locator('[data-pick="all-sessions"]').waitFor();
  await assertFits(page, "the switcher");
  await shoot(page, "around-switcher-narrow");
  await page.keyboard.press("Escape");
  await page.locator("#palette-open").click();
  await page.locator('[data-pick="share-session"]').waitFor();
  await assertFits(page, "the palette");
  for (const line of await page.locator("[data-pick]:not([data-pick^=language], [data-pick=pane-code])").allTextContents()) assert.match(line, /[\u4e00-\u9fff]/, "translated");
  await shoot(page, "around-palette-narrow");
  await page.keyboard.press("Escape");
  await page.goto(server.url);
  await page.locator(`[data-session="${id}"]`).waitFor();
  await assertFits(page, "the list");
  await shoot(page, "around-sessions-narrow");
  await page.locator("#settings-open").click();
  await page.locator("#settings").waitFor();
  await assertFits(page, "the settings");
  await shoot(page, "around-settings-narrow");
  assertClean(page);
});

test("everybody can use the dialogs, in light and dark", { timeout: 3 * SLOW }, async () => {
  const { id } = await api("POST", "", { title: "For everybody", labels: { team: "all" } });
  await api("POST", `/${id}/links`, { role: "editor", expires_in: 3600, name: "Ada" });
  for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
    const page = await open("/", { colorScheme });
    await page.locator(`[data-session="${id}"]`).waitFor();
    await assertOpenToAll(page, `the list, ${colorScheme}`, "body");
    await page.keyboard.press("Control+,");
    await page.locator('#set-model option[value="openai"]').waitFor({ state: "attached" });
    await assertOpenToAll(page, `the settings, ${colorScheme}`, "#settings");
    await page.keyboard.press("Escape");
    await page.goto(`${server.url}/sessions/${id}`);
    await page.locator("#examples button").first().waitFor();
    await page.locator("#presence").click();
    await page.locator("#presence-list li").first().waitFor();
    await assertOpenToAll(page, `who is here, ${colorScheme}`, ".ws-head");
    await page.keyboard.press("Escape");
    await page.keyboard.press("Control+k");
    await page.locator('[data-pick="share-session"]').waitFor();
    await assertOpenToAll(page, `the palette, ${colorScheme}`, "dialog.picker");
    await page.keyboard.press("Escape");
    await page.locator("#switch").click();
    await page.locator('[data-pick="all-sessions"]').waitFor();
    await assertOpenToAll(page, `the switcher, ${colorScheme}`, "dialog.picker");
    await page.keyboard.press("Escape");
    await page.locator("#share").click();
    await page.locator("#share-links [data-link]").first().waitFor();
    await assertOpenToAll(page, `the links, ${colorScheme}`, "#share-dialog");
    assertClean(page);
  }
});
