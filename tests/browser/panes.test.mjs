// The panes beside the conversation: changes, preview, VS Code, cells, the browser, the log.

import assert from "node:assert/strict";
import { test } from "node:test";
import { parseDiff } from "../../static/js/diff-parse.js";
import { logLine, logText, matching } from "../../static/js/log-lines.js";
import { SLOW, assertClean, makeSession, openPage, run, shoot } from "./helper.mjs";
import { assertFits, browser, played, server, signedIn, stage } from "./played.mjs";

stage();

/** @typedef {import("playwright-core").Page} Page */
const READY = { phase: "ready" };
const PANES = ["changes", "preview", "code", "cells", "browser", "log"];
const DOT = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/** A page with a session of its own. @param {string} title @param {import("playwright-core").BrowserContextOptions} [options] */
async function own(title, options = {}) {
  const page = await openPage(browser, { storageState: signedIn, ...options });
  await page.goto(server.url);
  const id = await makeSession(page, title);
  return { page, id, show: (/** @type {string} */ name) => showIn(page, name) };
}

/** @param {Page} page @param {string} name */
async function showIn(page, name) {
  await page.locator(`#tab-${name}`).click();
  const pane = page.locator(`#pane-${name}`);
  await pane.waitFor();
  return pane;
}

/** Somebody who may only look, in a browser of theirs. @param {string} id */
async function viewer(id) {
  const answer = await fetch(`${server.url}/api/sessions/${id}/tokens`, { method: "POST", headers: { authorization: `Bearer ${server.token}`, "content-type": "application/json" }, body: '{"role":"viewer"}' });
  assert.ok(answer.ok, `a viewer's token: ${answer.status}`);
  const page = await openPage(browser);
  await page.goto(`${server.url}/login`);
  await page.locator("#token").fill((await answer.json()).token);
  await page.locator("#token").press("Enter");
  await page.waitForURL((url) => url.pathname !== "/login");
  await page.goto(`${server.url}/sessions/${id}`);
  await page.locator('#phase[data-phase="ready"]').waitFor({ timeout: SLOW });
  return page;
}

/** Answers in the server's place. @param {Page} page @param {string} glob @param {() => { status?: number, json: unknown }} answer */
const answered = (page, glob, answer) => page.route(glob, (route) => route.fulfill({ contentType: "application/json", ...answer() }));

test("a diff is read by its counts, whatever its lines look like", () => {
  const [first, second] = parseDiff([
    "diff --git a/q.sql b/q.sql", "index 1..2 100644", "--- a/q.sql", "+++ b/q.sql", "@@ -3,3 +3,3 @@ head of it", " same", "--- a comment", "+++ more", " end",
    "@@ -9 +9,2 @@", "-x", "\\ No newline at end of file", "+x", "+y", "diff --git a/old b/new", "similarity index 100%", "rename from old", "rename to new", "old mode 100644", "new mode 100755", ""].join("\n"));
  assert.equal(first?.hunks.length, 2);
  assert.equal(first?.hunks[0]?.head, "head of it");
  assert.deepEqual(first?.hunks[0]?.lines.map(({ kind, old, new: now, text }) => [kind, old, now, text]), [["same", 3, 3, "same"], ["removed", 4, null, "-- a comment"], ["added", null, 4, "++ more"], ["same", 5, 5, "end"]]);
  assert.deepEqual(first?.hunks[1]?.lines.map(({ kind, text }) => [kind, text]), [["removed", "x"], ["note", "No newline at end of file"], ["added", "x"], ["added", "y"]]);
  assert.deepEqual(second, { notes: ["old mode 100644", "new mode 100755"], hunks: [] });
  assert.deepEqual(parseDiff(""), []);
});

test("lines of a log have their time apart, and are found by all words", () => {
  const lines = ["2026-01-02T03:04:05.678Z \x1b[32mINFO\x1b[0m ready", "plain words", "2026-01-02 03:04:06+01:00 WARN slow"].map(logLine);
  assert.deepEqual(lines[0], { time: "2026-01-02T03:04:05.678Z", text: "INFO ready" });
  assert.deepEqual(lines[1], { time: "", text: "plain words" });
  assert.equal(matching(lines, " WARN  03:04 ").length, 1);
  assert.equal(matching(lines, "").length, 3);
  assert.equal(logText(lines, false), "INFO ready\nplain words\nWARN slow");
  assert.match(logText(lines, true), /^2026-01-02T03:04:05\.678Z INFO ready\nplain words\n/);
});

test("changes of a repository are shown as they happen", { timeout: 3 * SLOW }, async () => {
  const { page, id, show } = await own("Changes");
  const pane = await show("changes");
  await pane.getByText("There is no git repository in the workspace.").waitFor();
  await pane.getByRole("button", { name: "Put it into the command box" }).click();
  assert.match(await page.locator("#box").inputValue(), /^git init && /);
  const setUp = "git init -q -b main . && git config user.email a@b.example && git config user.name Ada";
  await run(page, `mkdir -p app/src && cd app && ${setUp} && printf 'one\\ntwo\\n' > src/a.txt && echo gone > gone.txt && git add . && git commit -qm 'First words' && printf 'one\\n2\\n' > src/a.txt && rm gone.txt && echo new > new.txt; cd ..`);
  await pane.getByText("3 changed files").waitFor({ timeout: SLOW });
  const row = (/** @type {string} */ path) => pane.locator(`li[data-path="${path}"]`);
  assert.deepEqual(await Promise.all(["src/a.txt", "gone.txt", "new.txt"].map((path) => row(path).getAttribute("data-change"))), ["modified", "deleted", "untracked"]);
  assert.match(await row("src/a.txt").innerText(), /M\s*modified\s*src\/a\.txt\s*\+1\s*−1/);
  await row("src/a.txt").getByRole("button", { expanded: false }).click();
  await row("src/a.txt").locator("tr.added").waitFor();
  assert.deepEqual(await row("src/a.txt").locator("tr").evaluateAll((all) => all.map((tr) => [.../** @type {HTMLTableRowElement} */ (tr).cells].slice(2).map((cell) => cell.textContent).join(""))), [" one", "-two", "+2"]);

  // No event tells of this: the watcher alone does.
  await run(page, "(sleep 1; echo 3 >> app/src/a.txt; echo more > app/more.txt) > /dev/null 2>&1 &");
  await row("src/a.txt").locator("tr.added", { hasText: "3" }).waitFor({ timeout: SLOW });
  await row("more.txt").waitFor({ timeout: SLOW });
  await shoot(page, "changes");
  await run(page, "ln -s src app/link");
  await row("link").getByRole("button", { expanded: false }).click();
  await row("link").getByText("A new symbolic link.").waitFor();

  await row("new.txt").getByRole("button", { name: "Open new.txt" }).click();
  await page.locator("#files").waitFor();
  await page.getByText("app/new.txt").first().waitFor();
  await page.locator("#tab-changes").click();

  await run(page, "cd app && git add . && git commit -qm 'Second words' && seq 1 60000 > big.txt; cd ..");
  await pane.getByText("1 changed file", { exact: true }).waitFor({ timeout: SLOW });
  assert.equal(await pane.locator(".commit-list > li").count(), 2);
  const big = row("big.txt");
  await big.getByRole("button", { expanded: false }).click();
  await big.getByText("Only the beginning is shown.").waitFor();
  const few = await big.locator("tr").count();
  await big.getByRole("button", { name: /^Show [\d,]+ more lines$/ }).click();
  assert.ok(await big.locator("tr").count() > few, "more lines came");
  await big.getByRole("button", { name: "Show the whole" }).click();
  await big.getByText("Only the beginning is shown.").waitFor({ state: "hidden" });
  await big.getByRole("button", { expanded: true }).click();
  await pane.getByRole("button", { name: "Show what has changed since: First words" }).click();
  await row("gone.txt").waitFor();
  await pane.getByRole("button", { name: "Compare with the last commit" }).click();
  await row("gone.txt").waitFor({ state: "detached" });

  await run(page, `mkdir lib && cd lib && ${setUp}; cd ..`);
  await pane.getByLabel("Repository").selectOption("lib", { timeout: SLOW });
  await pane.getByText("Nothing was committed here yet").waitFor();
  assert.equal(await pane.locator(".git-branch").innerText(), "main");

  const other = await viewer(id);
  const theirs = await showIn(other, "changes");
  await theirs.getByText("1 changed file", { exact: true }).waitFor();
  assertClean(other);
  assertClean(page);
});

/** VS Code begins with its pane: it is waited for, fails with a reason, and is tried again; a port stands for it. @param {Page} page @param {string} id @param {string} port */
async function codeAt(page, id, port) {
  const refusal = (/** @type {string} */ code, /** @type {string} */ detail) => ({ status: 503, json: { title: "Service Unavailable", status: 503, code, detail } });
  const waits = refusal("plugin.not_ready", "it goes on starting");
  const answers = [waits, waits, refusal("plugin.failed", "no server in this sandbox")];
  let asked = 0;
  await page.route("**/vscode-url", async (route) => {
    const answer = answers[asked++];
    if (answer) return route.fulfill(answer);
    const ticket = await fetch(`${server.url}/api/sessions/${id}/ports/${port}/ticket`, { method: "POST", headers: { authorization: `Bearer ${server.token}` } });
    return route.fulfill({ json: { vscode_url: (await ticket.json()).url } });
  });
  const pane = await showIn(page, "code");
  await pane.getByRole("progressbar").waitFor();
  await pane.getByText("no server in this sandbox (plugin.failed)").waitFor();
  await pane.getByRole("button", { name: "Try again" }).click();
  await pane.frameLocator("iframe").getByRole("heading", { name: "Front page" }).waitFor();
  await page.locator("#tab-files").click();
  await page.locator("#tab-code").click();
  assert.equal(asked, 4, "a frame that is there stays");
}

test("a program's page is shown in the preview, and VS Code in its pane", { timeout: 3 * SLOW }, async () => {
  const { page, id, show } = await own("Preview");
  const pane = await show("preview");
  await pane.getByText("No program in the sandbox listens on a port.").waitFor();
  await run(page, "mkdir site && echo '<h1>Front page</h1>' > site/index.html && echo '<h1>Second page</h1>' > 'site/two words.html'");
  await run(page, "python3 -m http.server 0 --bind 127.0.0.1 --directory site > /dev/null 2>&1 & echo $! > pid");
  const frame = pane.frameLocator("iframe");
  await frame.getByRole("heading", { name: "Front page" }).waitFor({ timeout: SLOW });
  const port = await pane.getByLabel("Port", { exact: true }).inputValue();
  assert.equal(await pane.locator("iframe").getAttribute("title"), `Page on port ${port} of the sandbox`);
  assert.deepEqual(((await pane.locator("iframe").getAttribute("sandbox")) ?? "").split(" ").sort(), ["allow-downloads", "allow-forms", "allow-modals", "allow-popups", "allow-same-origin", "allow-scripts"]);

  const path = pane.getByLabel("Path to open");
  assert.ok(await pane.getByRole("button", { name: "Back to what" }).isDisabled());
  await path.fill("two words.html?x=1");
  await path.press("Enter");
  await frame.getByRole("heading", { name: "Second page" }).waitFor();
  assert.equal(await path.inputValue(), "/two words.html?x=1");
  await pane.getByRole("button", { name: "Back to what" }).click();
  await frame.getByRole("heading", { name: "Front page" }).waitFor();
  assert.equal(await path.inputValue(), "/");
  assert.ok(await pane.getByRole("button", { name: "Back to what" }).isDisabled());
  await pane.getByRole("button", { name: "Forward to what" }).click();
  await frame.getByRole("heading", { name: "Second page" }).waitFor();
  const [tab] = await Promise.all([page.context().waitForEvent("page"), pane.getByRole("button", { name: "Open in a new tab" }).click()]);
  await tab.getByRole("heading", { name: "Second page" }).waitFor();
  assert.match(tab.url(), new RegExp(`/s/${id}/p/${port}/two%20words\\.html\\?x=1$`), "the ticket does not stay in the address");
  await tab.close();
  await path.fill("../../../x");
  await path.press("Enter");
  await frame.getByRole("heading", { name: "Front page" }).waitFor(); // no way out of the port's own address
  await path.fill("nowhere.html");
  await path.press("Enter");
  await frame.getByText("File not found").first().waitFor();
  await pane.getByRole("button", { name: "To its first page" }).click();
  await frame.getByRole("heading", { name: "Front page" }).waitFor();
  await pane.getByLabel("Width").selectOption("phone");
  assert.ok(Math.abs(((await pane.locator("iframe").boundingBox())?.width ?? 0) - 390) < 3, "as wide as a phone");
  await shoot(page, "preview");

  const other = await viewer(id);
  const theirs = await showIn(other, "preview");
  await theirs.getByText("shown to those who may write").waitFor();
  assertClean(other);

  const ticket = `**/ports/${port}/ticket`; // as after a start of the server on other ports
  const moved = new URL(server.sandbox_url);
  moved.port = "9";
  await page.route(ticket, async (route) => {
    const answer = await route.fetch();
    const { url } = await answer.json();
    await route.fulfill({ json: { url: url.replace(/^https?:\/\/[^/]+/, moved.origin), expires_in: 60 } });
  });
  await pane.getByRole("button", { name: "Reload", exact: true }).click();
  await pane.getByText("has another address for the sandboxes").waitFor();
  assert.equal(await pane.locator("iframe").count(), 0);
  await page.unroute(ticket);
  await Promise.all([page.waitForEvent("load"), pane.getByRole("button", { name: "Reload the page" }).click()]);
  await frame.getByRole("heading", { name: "Front page" }).waitFor();
  assertClean(page, /frame-src/);

  await codeAt(page, id, port);
  await pane.page().locator("#tab-preview").click();
  await run(page, "kill $(cat pid)");
  await pane.getByText(`Nothing listens on port ${port} any more.`).waitFor({ timeout: SLOW });
  assertClean(page);
});

test("what a session does not have is explained, to viewers without what they may not do", { timeout: 2 * SLOW }, async () => {
  const { page, id, show } = await own("Without plugins");
  for (const [name, words, config] of [["code", "This session has no VS Code.", 'sandbox.plugins = ["vscode"]'], ["cells", "This session has no Python kernel.", 'sandbox.plugins = ["jupyter"]'], ["browser", "This session has no browser.", 'sandbox.plugins = ["browser"]']]) {
    const pane = await show(name);
    await pane.getByText(words).waitFor();
    await pane.getByText(config).waitFor();
  }
  await (await show("log")).getByText("The sandbox’s log is empty.").waitFor();
  const other = await viewer(id);
  for (const [name, words] of [["code", "shown to those who may write"], ["cells", "This session has no Python kernel."], ["log", "The log can’t be read here."]]) {
    await (await showIn(other, name)).getByText(words).first().waitFor();
  }
  assert.equal(await other.locator("#pane-cells textarea").isVisible(), false);
  assertClean(other);
  await page.locator("#stop").click();
  await page.locator("dialog [data-choice=yes]").click();
  await page.locator('#pane-log [data-rest="stopped"], #phase[data-phase="stopped"]').first().waitFor({ timeout: SLOW });
  for (const name of ["changes", "preview", "code"]) await (await show(name)).getByText("The sandbox is stopped.").waitFor();
  await page.locator("#pane-code").getByRole("button", { name: "Start again" }).click();
  await page.locator("#pane-code").getByText("This session has no VS Code.").waitFor({ timeout: SLOW });
  assertClean(page);
});

test("cells and what came of them, also while they run", { timeout: SLOW }, async () => {
  const { page, send, frame } = await played(READY, {});
  await answered(page, "**/plugins", () => ({ json: { plugins: [{ name: "jupyter", state: "ready" }] } }));
  const evil = "print('<img src=x onerror=document.title=1>')";
  send({ source: "agent", action: "run_ipython", args: { code: evil } });
  send({ source: "agent", cause: 0, observation: "run_ipython", content: "<b>bold</b>", extras: { code: evil, image_urls: [DOT, "https://elsewhere.example/x.png", "javascript:alert(1)"] } });
  send({ source: "agent", action: "run_ipython", args: { code: "asks()", confirmation_state: "awaiting_confirmation" } });
  send({ source: "user", action: "run_ipython", args: { code: "for i in range(2):\n    print(i)" } });
  const pane = await showIn(page, "cells");
  const cell = (/** @type {number} */ id) => pane.locator(`[data-cell="${id}"]`);
  assert.equal(await cell(0).locator(".cell-code").innerText(), evil);
  assert.equal(await cell(0).locator(".out").innerText(), "<b>bold</b>");
  assert.deepEqual(await cell(0).locator("img").evaluateAll((all) => all.map((img) => img.getAttribute("src"))), [DOT]);
  assert.equal(await pane.locator(".cell").count(), 2, "what still asks is no cell");
  frame({ type: "partial", cause: 3, seq: 0, offset: 0, text: "0\n" });
  frame({ type: "partial", cause: 3, seq: 1, offset: 0, text: "0\n" });
  await cell(3).locator(".out", { hasText: "0" }).waitFor();
  assert.equal((await cell(3).locator(".out").innerText()).trim(), "0", "a piece that was seen is not shown again");
  await pane.getByRole("button", { name: "Interrupt" }).waitFor();
  send({ source: "user", cause: 3, observation: "error", content: "ERROR: There is no kernel.", extras: { error_id: "AGENT_ERROR$NO_KERNEL" } });
  await pane.locator('[data-cell="3"][data-state="error"]').waitFor();
  await pane.getByRole("button", { name: "Interrupt" }).waitFor({ state: "hidden" });
  send({ observation: "plugin_changed", content: "", extras: { name: "jupyter", state: "failed", detail: "it ran out of memory" } });
  await pane.getByText("it ran out of memory").waitFor();
  frame({ type: "partial", cause: 6, seq: 0, offset: 0, text: "overtook it\n" });
  send({ source: "agent", action: "run_ipython", args: { code: "quick()" } });
  await cell(6).locator(".out", { hasText: "overtook it" }).waitFor();
  const box = pane.getByLabel("Python code");
  await box.press("ArrowUp");
  assert.equal(await box.inputValue(), "for i in range(2):\n    print(i)");
  await box.press("ArrowDown");
  assert.equal(await box.inputValue(), "");
  await box.pressSequentially("def a():\n1");
  assert.equal(await box.inputValue(), "def a():\n    1", "a new line is as deep as it should be");
  await pane.getByRole("button", { name: "Use the code of cell 1 again" }).click();
  assert.equal(await box.inputValue(), evil);
  await shoot(page, "cells");
  assertClean(page);
});

test("pages that the browser saw, back and forth", { timeout: SLOW }, async () => {
  const { page, send } = await played(READY, {});
  await answered(page, "**/plugins", () => ({ json: { plugins: [{ name: "browser", state: "ready" }] } }));
  const seen = (/** @type {string} */ url, more = {}) => send({ source: "agent", observation: "browse", content: `Words of ${url}\n\nAccessibility tree (numbers in brackets are for calls):\n[12] link 'More'`, extras: { url, screenshot: DOT, last_browser_action: `goto("${url}")`, open_pages_urls: [url, "about:blank"], active_page_index: 0, ...more } });
  seen("https://one.example/");
  const pane = await showIn(page, "browser");
  await pane.getByText("https://one.example/", { exact: true }).first().waitFor();
  assert.equal(await pane.getByRole("img").getAttribute("src"), DOT);
  await pane.getByText("Accessibility tree").click();
  await pane.getByText("[12] link 'More'").waitFor();
  seen("https://two.example/<b>", { screenshot: "https://elsewhere.example/x.png", error: true, last_browser_action_error: "It did not answer." });
  await pane.getByRole("alert").getByText("It did not answer.").waitFor();
  assert.equal(await pane.getByRole("img").count(), 0, "no picture from elsewhere");
  await pane.getByRole("button", { name: "The page before" }).click();
  await pane.getByText("1 of 2").waitFor();
  send({ source: "agent", action: "browse", args: { url: "https://three.example/" } });
  await pane.getByText("In the browser: https://three.example/").waitFor();
  seen("https://three.example/", {});
  await pane.getByText("1 of 3").waitFor(); // who looks back is not pulled away
  await pane.getByRole("button", { name: "Newest" }).click();
  await pane.locator(".seen-url", { hasText: "https://three.example/" }).waitFor();
  await pane.getByLabel("Address", { exact: true }).waitFor();
  await shoot(page, "browser");
  assertClean(page);
});

test("a cell is sent and answered; the log is followed, filtered and saved", { timeout: SLOW }, async () => {
  const page = await openPage(browser, { storageState: signedIn });
  const lines = ["2026-01-02T03:04:05Z runner ready", "a plain line", "2026-01-02T03:04:06Z runner <b>warns</b>"];
  await answered(page, "**/log?tail=*", () => ({ json: { lines } }));
  await answered(page, "**/plugins", () => ({ json: { plugins: [{ name: "jupyter", state: "stopped" }] } }));
  await page.goto(server.url);
  await makeSession(page, "Cells and log");
  const cells = await showIn(page, "cells");
  await cells.getByLabel("Python code").fill("1 + 1");
  await cells.getByLabel("Python code").press("Shift+Enter");
  await cells.locator('.cell[data-state="error"]', { hasText: "The plugin jupyter is not part of this session" }).waitFor();
  assert.equal(await cells.locator(".cell-code").innerText(), "1 + 1");
  assert.equal(await cells.getByLabel("Python code").inputValue(), "");

  const pane = await showIn(page, "log");
  const text = pane.getByRole("log");
  await text.getByText("a plain line").waitFor();
  assert.equal(await text.textContent(), lines.join("\n"));
  lines.push("2026-01-02T03:04:07Z one more");
  await text.getByText("one more").waitFor();
  await pane.getByLabel("Times").uncheck();
  await pane.getByLabel("Filter lines").fill("RUNNER");
  assert.equal(await text.textContent(), "runner ready\nrunner <b>warns</b>");
  await pane.getByText("2 of 4 lines").waitFor();
  const [download] = await Promise.all([page.waitForEvent("download"), pane.getByRole("button", { name: "Download these lines" }).click()]);
  const chunks = [];
  for await (const chunk of await download.createReadStream()) chunks.push(chunk);
  assert.equal(Buffer.concat(chunks).toString(), "runner ready\nrunner <b>warns</b>\n");
  await pane.getByLabel("Filter lines").fill("nowhere");
  await pane.getByText("No line holds that.").waitFor();
  await shoot(page, "log");
  assertClean(page);
});

test("the panes fit a phone, in Chinese and in the dark", { timeout: SLOW }, async () => {
  const { page, send } = await played(READY, { viewport: { width: 360, height: 720 }, colorScheme: "dark" }, { lang: "zh-CN" });
  send({ source: "agent", action: "run_ipython", args: { code: `x = "${"long".repeat(60)}"` } });
  send({ source: "agent", observation: "browse", content: "words ".repeat(90), extras: { url: `https://example.org/${"path/".repeat(40)}`, screenshot: DOT } });
  for (const name of PANES) {
    const pane = await showIn(page, name);
    await pane.locator(":is(p, li, .seen, .git-branch):visible").first().waitFor();
    await assertFits(page);
    const wide = await pane.evaluate((host) => host.scrollWidth - host.clientWidth);
    assert.ok(wide <= 0, `${name} is ${wide} px too wide`);
    assert.doesNotMatch(await pane.innerText(), /\b(?:parts|changes|preview|code|cells|browser|log|files|event)\.[a-z_]+\b(?!\.)/, `${name}: a key without words`);
    assert.match(await pane.innerText(), /\p{Script=Han}/u, `${name} speaks Chinese`);
    await shoot(page, `pane-${name}-phone`);
  }
  assertClean(page);
});
