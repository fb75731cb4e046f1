// What a person does with the page, against the real server.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { SLOW, assertClean, assertEachOnce, card, listIsThere, makeSession, openPage, run, scratch, shoot, signIn, startBrowser, startServer, type, watch } from "./helper.mjs";
import { area, inTree, shows } from "./edited.mjs";

const data = scratch();
/** @type {Awaited<ReturnType<typeof startServer>>} */
let server;
/** @type {import("playwright-core").Browser} */
let browser;

before(async () => {
  server = await startServer({ dataDir: data.folder });
  browser = await startBrowser();
});
afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
});
after(async () => {
  await browser?.close();
  await server?.kill();
  data.end();
});

/** @param {import("playwright-core").BrowserContextOptions} [options] */
async function signedIn(options) {
  const page = await openPage(browser, options);
  await signIn(page, server);
  return page;
}

test("from the printed link to a saved file, with output as it comes", { timeout: 3 * SLOW }, async () => {
  const page = await openPage(browser);
  await page.goto(server.login_url);
  await page.getByRole("heading", { name: "Sessions", exact: true }).waitFor();
  assert.ok(!page.url().includes("token"), "the link's token doesn't stay in the address");
  const session = await makeSession(page, "First steps");

  await type(page, "for i in 1 2 3; do echo line $i; sleep 3; done");
  const counting = card(page, "for i in 1 2 3");
  const seen = [];
  for (const n of [1, 2, 3]) {
    await counting.locator(".out", { hasText: `line ${n}` }).waitFor({ timeout: SLOW });
    const text = (await counting.locator(".out").textContent()) ?? "";
    seen.push({ at: Date.now(), text });
  }
  assert.ok(!seen[0].text.includes("line 3"), "the first line came before the third");
  assert.ok(seen[2].at - seen[0].at >= 1000, `lines came one by one: ${seen[2].at - seen[0].at} ms apart`);
  await counting.locator('[data-exit="0"]').waitFor({ timeout: SLOW });
  assert.equal((await counting.locator(".out").textContent())?.match(/^line \d/gm)?.length, 3, "the final output replaces what was streamed");

  assert.match(await run(page, "printf 'one\\ntwo\\n' > notes.txt; echo made"), /made/);
  await inTree(page, "notes.txt").click();
  await shows(page, "one\ntwo\n");
  await area(page).press("Control+End");
  await area(page).pressSequentially("three\tand\n");
  await area(page).press("Tab");
  await page.locator("#dirty").waitFor();
  await area(page).press("Control+s");
  await page.locator("#dirty").waitFor({ state: "hidden" });
  assert.match(await run(page, "cat -A notes.txt"), /one\$\n.*two\$\n.*three\^Iand\$\n.*\^I/);

  assert.match(await run(page, "echo oops >&2; exit_with() { return 7; }; exit_with", 7), /oops/);
  await assertEachOnce(page, session);
  await shoot(page, "session-light");
  assertClean(page);
});

test("a file that somebody else changed is not overwritten unasked", { timeout: 3 * SLOW }, async () => {
  const page = await signedIn();
  await makeSession(page, "Conflict");
  await run(page, "echo base > shared.txt");
  await inTree(page, "shared.txt").click();
  await shows(page, "base\n");
  await area(page).press("Control+Home");
  await area(page).pressSequentially("mine ");
  await run(page, "echo theirs > shared.txt; echo written");
  await page.locator("#conflict").waitFor();
  assert.equal(await run(page, "cat shared.txt # before").then((t) => t.trim()), "theirs");
  await shoot(page, "conflict");
  await page.locator("#keep-mine").click();
  await page.locator("#conflict").waitFor({ state: "hidden" });
  assert.equal(await run(page, "cat shared.txt # after").then((t) => t.trim()), "mine base");
  assertClean(page);
});

test("a file goes up, is listed, and comes down again", { timeout: 3 * SLOW }, async () => {
  const page = await signedIn();
  await makeSession(page, "Upload");
  const content = Buffer.from([0, 1, 2, 255, 254, 10, 0]);
  await page.locator("#upload-input").setInputFiles({ name: "blob data.bin", mimeType: "application/octet-stream", buffer: content });
  await inTree(page, "blob data.bin").click();
  await page.locator("#binary").waitFor();
  const [download] = await Promise.all([page.waitForEvent("download"), page.locator("#editor-download").click()]);
  const chunks = [];
  for await (const chunk of await download.createReadStream()) chunks.push(chunk);
  assert.deepEqual(Buffer.concat(chunks), content);
  assertClean(page);
});

test("a reload in the middle of a command shows every event exactly once", { timeout: 3 * SLOW }, async () => {
  const page = await signedIn();
  const session = await makeSession(page, "Reload");
  await type(page, "for i in 1 2 3 4; do echo step $i; sleep 1; done");
  await card(page, "for i in 1 2 3 4").locator(".out", { hasText: "step 1" }).waitFor({ timeout: SLOW });
  await page.locator("#interrupt").waitFor();
  await shoot(page, "running");
  await page.reload();
  const again = card(page, "for i in 1 2 3 4");
  await again.waitFor();
  assert.equal(await page.locator("#events > .runcard").count(), 1);
  await again.locator('[data-exit="0"]').waitFor({ timeout: SLOW });
  assert.equal((await again.locator(".out").textContent())?.match(/^step \d/gm)?.length, 4);
  await assertEachOnce(page, session);
  assertClean(page);
});

test("a running command takes input and can be interrupted", { timeout: 3 * SLOW }, async () => {
  const page = await signedIn();
  await makeSession(page, "Interrupt");
  await type(page, "read answer; echo got $answer; sleep 100");
  const asking = card(page, "read answer");
  await page.locator("#interrupt").waitFor();
  await type(page, "forty-two");
  await asking.locator(".out", { hasText: "got forty-two" }).waitFor({ timeout: SLOW });
  await page.locator("#box").press("Control+c");
  await page.locator("#interrupt").waitFor({ state: "hidden", timeout: SLOW });
  await asking.locator('[data-exit="130"]').waitFor();
  await page.locator("#box").press("ArrowUp");
  assert.equal(await page.locator("#box").inputValue(), "read answer; echo got $answer; sleep 100");
  assertClean(page);
});

test("input that a command did not read says so, and is run when a person wants that", { timeout: 3 * SLOW }, async () => {
  const page = await signedIn();
  await makeSession(page, "Typed ahead");
  await type(page, "read answer; echo got $answer; sleep 90");
  await card(page, "read answer").locator(".out").waitFor({ state: "attached" });
  await page.locator("#send", { hasText: "Send input" }).waitFor();
  await type(page, "forty-two");
  await card(page, "read answer").locator(".out", { hasText: "got forty-two" }).waitFor({ timeout: SLOW });
  await page.locator("#interrupt").click();
  const read = page.locator("#events > .runcard", { has: page.locator(".cmd", { hasText: "⌨ forty-two" }) });
  await read.locator(".badge", { hasText: "sent" }).waitFor({ timeout: SLOW });
  assert.equal((await read.locator(".out").textContent())?.trim(), "", "what the command printed stands in its own card");

  await run(page, "mkfifo gate");
  await type(page, "read x < gate");
  await page.locator("#send", { hasText: "Send input" }).waitFor();
  await type(page, "echo typed-$((1 + 1))");
  await page.locator("#events > .runcard .cmd", { hasText: "⌨ echo typed" }).waitFor();
  await page.locator("#interrupt").click();
  const lost = page.locator("#events > .runcard", { has: page.locator(".cmd", { hasText: "⌨ echo typed" }) });
  await lost.locator(".badge.fail", { hasText: "not read" }).waitFor({ timeout: SLOW });
  await lost.getByRole("button", { name: "Run it as a command" }).click();
  const now = page.locator("#events > .runcard", { has: page.locator(".cmd", { hasText: /^echo typed/ }) });
  await now.locator('[data-exit="0"]').waitFor({ timeout: SLOW });
  assert.equal((await now.locator(".out").textContent())?.trim(), "typed-2");
  assertClean(page);
});

test("two pages on one session see the same events", { timeout: 3 * SLOW }, async () => {
  const first = await signedIn();
  const session = await makeSession(first, "Together");
  const second = watch(await first.context().newPage());
  await second.goto(first.url());
  await second.locator('#connection[data-state="live"]').waitFor();
  await run(first, "echo from the first");
  await run(second, "echo from the second");
  await card(first, "echo from the second").locator('[data-exit="0"]').waitFor({ timeout: SLOW });
  await card(second, "echo from the first").locator('[data-exit="0"]').waitFor({ timeout: SLOW });
  assert.deepEqual(await assertEachOnce(first, session), await assertEachOnce(second, session));
  const texts = (/** @type {typeof first} */ page) => page.locator("#events > .runcard .cmd").allTextContents();
  assert.deepEqual(await texts(first), await texts(second));
  assertClean(first);
  assertClean(second);
});

test("a wrong token is refused and no cookie is given", async () => {
  const page = await openPage(browser);
  await page.goto(server.url);
  await page.getByLabel("Access token").fill("not-a-token");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("alert").waitFor();
  assert.equal((await page.request.get(`${server.url}/api/sessions`)).status(), 401);
  await shoot(page, "sign-in-refused");
  await page.getByLabel("Access token").fill(server.token);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Sessions", exact: true }).waitFor();
  assertClean(page);
});

test("a link signs in once, and says so the second time", async () => {
  // The first test may have used it already.
  const { url, login_url } = server;
  await (await openPage(browser)).goto(login_url);
  const page = await openPage(browser);
  await page.goto(login_url);
  assert.match((await page.getByRole("alert").textContent()) ?? "", /used already or has expired/);
  assert.equal((await page.request.get(`${url}/api/sessions`)).status(), 401);
  await shoot(page, "sign-in-used");
  assertClean(page);
});

test("a session is deleted with the keyboard alone", { timeout: 2 * SLOW }, async () => {
  const page = await signedIn();
  const session = await makeSession(page, "Short-lived");
  await page.goto(server.url);
  const row = page.locator(`[data-session="${session}"]`);
  await row.waitFor();
  await page.locator("#new-title").focus();
  const focused = () => page.evaluate(() => /** @type {HTMLElement | null} */ (document.activeElement)?.dataset.act === "delete" && /** @type {HTMLElement} */ (document.activeElement?.closest("[data-session]")).dataset.session);
  for (let presses = 0; (await focused()) !== session; presses += 1) {
    assert.ok(presses < 60, "the button can be reached by Tab");
    await page.keyboard.press("Tab");
  }
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  assert.match((await page.getByRole("dialog").textContent()) ?? "", /Short-lived.*files in its workspace/s);
  await shoot(page, "delete-dialog");
  await page.keyboard.press("Enter"); // the harmless button has the focus
  await page.getByRole("dialog").waitFor({ state: "hidden" });
  assert.equal(await row.count(), 1);
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await row.waitFor({ state: "detached" });
  assert.equal((await page.request.get(`${server.url}/api/sessions/${session}`)).status(), 404);
  assertClean(page);
});

test("an operator sees the session with its details", { timeout: 2 * SLOW }, async () => {
  const page = await signedIn();
  const session = await makeSession(page, "Seen by the operator");
  await page.goto(`${server.url}/admin`);
  const row = page.locator(`tr[data-session="${session}"]`);
  await row.getByRole("button", { name: "Seen by the operator", exact: true }).click();
  await page.locator("#drawer").getByText(session, { exact: true }).waitFor();
  await page.locator("#drawer").getByText("Sandbox", { exact: true }).waitFor();
  await page.locator("#drawer").getByText("Processes", { exact: true }).waitFor();
  await shoot(page, "admin-drawer");
  await page.keyboard.press("Escape");
  await page.locator("#q").fill("nothing is called so");
  await row.waitFor({ state: "detached" });
  await page.locator("#q").fill("Seen by");
  await row.waitFor();
  await page.locator("#engine li").first().waitFor();
  await page.locator("#config > summary").click();
  await page.waitForFunction(() => (document.querySelector("#config-text")?.textContent ?? "").length > 20);
  assertClean(page);
});

test("a page whose modules did not all come is loaded again, and says so when that doesn't help", { timeout: 3 * SLOW }, async () => {
  const page = await signedIn();
  let cut = 2;
  await page.route("**/js/dialog.js", (route) => (cut-- > 0 ? route.abort("internetdisconnected") : route.continue()));
  await page.goto(server.url);
  await listIsThere(page);
  assert.ok(cut < 0, "it was asked for three times");
  assert.equal(await page.locator("#unloaded").isVisible(), false);
  await page.evaluate(() => sessionStorage.clear());
  cut = Infinity;
  await page.goto(server.url);
  await page.locator("#unloaded").waitFor({ timeout: SLOW });
});

/**
 * Lets what is asked for hang until it is broken off; after that all comes.
 * @param {import("playwright-core").Page} page @param {string} what @returns {Promise<() => Promise<void>>} breaks it off
 */
async function hold(page, what) {
  /** @type {(held: import("playwright-core").Route) => void} */
  let asked = () => {};
  /** @type {Promise<import("playwright-core").Route>} */
  const first = new Promise((resolve) => (asked = resolve));
  await page.route(what, asked, { times: 1 });
  return async () => (await first).abort("internetdisconnected");
}

test("whoever is quicker than the page loses nothing of what was typed", { timeout: 3 * SLOW }, async () => {
  const page = await signedIn();
  const cut = await hold(page, "**/js/dialog.js");
  await page.goto(server.url, { waitUntil: "commit" });
  await page.locator("#new-title").fill("Early");
  await page.locator("#new-title").press("Enter");
  assert.equal(page.url(), `${server.url}/`, "a form that nobody hears yet goes nowhere");
  await cut();
  await listIsThere(page);
  assert.equal(await page.locator("#new-title").inputValue(), "Early");
  await makeSession(page, "Early, and finished");

  const stranger = await openPage(browser);
  let asked = 0;
  stranger.on("request", (request) => (asked += Number(request.url().endsWith("/login") && request.method() === "GET")));
  await stranger.clock.install();
  const breakOff = await hold(stranger, "**/js/dialog.js");
  await stranger.goto(`${server.url}/login`, { waitUntil: "commit" });
  await stranger.locator("#token").fill(server.token);
  await breakOff();
  await stranger.waitForFunction(() => sessionStorage.getItem("staithe.again"));
  await stranger.clock.runFor(1000);
  await stranger.locator("#token").press("Enter");
  await stranger.waitForURL(`${server.url}/`);
  assert.equal(asked, 1, "whoever types a secret is not disturbed");
});
