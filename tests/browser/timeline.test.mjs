// The timeline: every event as a row, against the real server.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { SLOW, assertClean, makeSession, openPage, run, scratch, shoot, signIn, startBrowser, startServer, type } from "./helper.mjs";
import { assertFits } from "./played.mjs";

const data = scratch();
/** @type {Awaited<ReturnType<typeof startServer>>} */
let server;
/** @type {import("playwright-core").Browser} */
let browser;
/** @type {Awaited<ReturnType<import("playwright-core").BrowserContext["storageState"]>>} */
let signedIn;
let session = "";

before(async () => {
  server = await startServer({ dataDir: data.folder });
  browser = await startBrowser();
  const page = await openPage(browser);
  await signIn(page, server);
  session = await makeSession(page, "Timeline");
  await run(page, "echo a needle in the haystack");
  await page.request.post(`${server.url}/api/sessions/${session}/actions`, { data: { action: "read", args: { path: "not-there.txt" } }, headers: { origin: server.url } });
  await page.locator('.act [data-outcome="error"]').waitFor({ timeout: SLOW });
  for (let n = 0; n < 30; n += 1) await page.request.post(`${server.url}/api/sessions/${session}/actions`, { data: { action: "message", args: { content: `Message number ${n}` } }, headers: { origin: server.url } });
  await run(page, "echo the end");
  signedIn = await page.context().storageState();
  await page.context().close();
});
afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
});
after(async () => {
  await browser?.close();
  await server?.kill();
  data.end();
});

const rows = (/** @type {import("playwright-core").Page} */ page) => page.locator("#pane-timeline [role=option]");
const json = (/** @type {import("playwright-core").Page} */ page) => page.locator(".tl-json");

/** All events by the server's own word. @param {import("playwright-core").Page} page @returns {Promise<any[]>} */
const events = async (page) => (await (await page.request.get(`${server.url}/api/sessions/${session}/events?after=-1&limit=1000`)).json()).events;

/** @param {import("playwright-core").BrowserContextOptions} [options] @param {string} [query] */
async function open(options = {}, query = "?pane=timeline") {
  const page = await openPage(browser, { storageState: signedIn, ...options });
  await page.goto(`${server.url}/sessions/${session}${query}`);
  await rows(page).first().waitFor();
  return page;
}

/** Leaves only those with these words. @param {import("playwright-core").Page} page @param {string} words */
async function find(page, words) {
  await rows(page).first().waitFor();
  const before = await rows(page).count();
  await page.locator("#pane-timeline").getByRole("searchbox").fill(words);
  await page.waitForFunction((many) => document.querySelectorAll("#pane-timeline [role=option]").length < many, before);
}

/** Whether a row is seen. @param {import("playwright-core").Page} page @param {number} id */
const inView = (page, id) => page.waitForFunction((name) => {
  const row = document.getElementById(name)?.getBoundingClientRect();
  const view = document.querySelector(".tl-scroll")?.getBoundingClientRect();
  return row && view && row.top >= view.top - 1 && row.bottom <= view.bottom + 1;
}, `timeline-${id}`);

test("each event is one row, in order; kind, source and words leave out the others", { timeout: 2 * SLOW }, async () => {
  const page = await open();
  const all = await events(page);
  await rows(page).nth(all.length - 1).waitFor();
  assert.deepEqual(await rows(page).evaluateAll((list) => list.map((row) => Number(/** @type {HTMLElement} */ (row).dataset.id))), all.map(({ id }) => id));
  const bar = page.locator("#pane-timeline > .pane-bar");
  const count = bar.locator("[role=status]");
  assert.equal(await count.textContent(), `${all.length} events`);
  await inView(page, all.at(-1).id);
  await shoot(page, "timeline");

  const shown = async (/** @type {number} */ number) => {
    await count.filter({ hasText: `${number} of ${all.length} events` }).waitFor();
    assert.equal(await rows(page).count(), number);
  };
  await bar.getByLabel("Kind of event").selectOption("action:run");
  await shown(2);
  await bar.getByLabel("Kind of event").selectOption("");
  await bar.getByLabel("From whom").selectOption("environment");
  await shown(all.filter(({ source }) => source === "environment").length);
  await bar.getByLabel("From whom").selectOption("");
  await bar.getByRole("searchbox").fill("NEEDLE in");
  await shown(2);
  await bar.getByRole("searchbox").fill("nothing is like this");
  await page.getByText("No event is like this.").waitFor();
  await bar.getByRole("searchbox").fill("Message number 2");
  await shown(11);
  await run(page, "echo Message number 2 once more");
  await count.filter({ hasText: /^13 of/ }).waitFor();
  await bar.getByRole("searchbox").fill("");
  await count.filter({ hasText: `${all.length + 2} events` }).waitFor();
  assertClean(page);
});

test("by keyboard: arrows move, Enter opens the JSON, Escape closes it; causes and results lead to each other", { timeout: 2 * SLOW }, async () => {
  const page = await open();
  const all = await events(page);
  await rows(page).nth(all.length - 1).waitFor();
  const list = page.locator(".tl-list");
  const active = () => list.getAttribute("aria-activedescendant");
  await list.focus();
  await page.keyboard.press("Home");
  assert.equal(await active(), `timeline-${all[0].id}`);
  await inView(page, all[0].id);
  await page.keyboard.press("ArrowDown");
  assert.equal(await active(), `timeline-${all[1].id}`);
  await page.keyboard.press("End");
  assert.equal(await active(), `timeline-${all.at(-1).id}`);
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("Enter");
  await json(page).waitFor();
  assert.deepEqual(JSON.parse((await json(page).textContent()) ?? ""), all.at(-2));
  await page.keyboard.press("ArrowDown");
  assert.deepEqual(JSON.parse((await json(page).textContent()) ?? ""), all.at(-1), "the whole event goes along");
  await page.keyboard.press("Escape");
  await json(page).waitFor({ state: "hidden" });

  const action = all.find(({ action, args }) => action === "run" && args.command.includes("needle"));
  const result = all.find(({ cause, observation }) => cause === action.id && observation === "run");
  await find(page, `#${action.id}`);
  await page.locator(`#timeline-${action.id}`).click();
  await page.getByRole("button", { name: `Result #${result.id}` }).click();
  assert.deepEqual(JSON.parse((await json(page).textContent()) ?? ""), result);
  assert.equal(await page.locator("#pane-timeline").getByRole("searchbox").inputValue(), "", "what the filter left out is shown");
  await inView(page, result.id);
  await page.getByRole("button", { name: `Cause #${action.id}` }).click();
  assert.deepEqual(JSON.parse((await json(page).textContent()) ?? ""), action);
  await shoot(page, "timeline-detail");
  assertClean(page);
});

test("a link leads to one event, and an event leads to the conversation and back", { timeout: 2 * SLOW }, async () => {
  const options = { permissions: ["clipboard-read", "clipboard-write"], viewport: { width: 1280, height: 560 } };
  const page = await open(options);
  const all = await events(page);
  const wanted = all.find(({ args }) => args?.content === "Message number 7");
  await find(page, "Message number 7");
  await rows(page).first().click();
  await page.getByRole("button", { name: "Copy JSON" }).click();
  const pasted = () => page.evaluate(() => navigator.clipboard.readText());
  assert.deepEqual(JSON.parse(await pasted()), wanted);
  await page.getByRole("button", { name: "Copy link" }).click();
  const link = await pasted();
  assert.equal(link, `${server.url}/sessions/${session}?pane=timeline#event-${wanted.id}`);

  const other = await openPage(browser, { storageState: signedIn, viewport: options.viewport });
  await other.goto(link);
  await json(other).filter({ hasText: "Message number 7" }).waitFor();
  await other.locator(`#timeline-${wanted.id}[aria-selected=true]`).waitFor();
  await inView(other, wanted.id);
  await other.getByRole("button", { name: "In the conversation" }).click();
  const message = other.locator(`#events > [data-event-id="${wanted.id}"]`);
  await other.waitForFunction((id) => /** @type {HTMLElement} */ (document.activeElement).dataset.eventId === String(id), wanted.id);
  await message.locator(".raw summary").click();
  await other.locator("#tab-files").click();
  await message.getByRole("button", { name: "Show in the timeline" }).click();
  await other.locator("#pane-timeline").waitFor();
  await other.locator(`#timeline-${wanted.id}[aria-selected=true]`).waitFor();
  const minor = all.find(({ observation, extras }) => observation === "phase_changed" && extras.step);
  await other.locator(`#timeline-${minor.id}`).click();
  await other.getByRole("button", { name: "In the conversation" }).click();
  await other.locator(`#events [data-event-id="${minor.id}"]`).or(other.locator(`#events [data-event-from="${minor.id}"]`)).waitFor();
  assert.ok(await other.getByLabel("Show all events").isChecked(), "what is shown only to those who want all is shown now");
  for (const one of [page, other]) assertClean(one);
});

test("it follows what happens, until somebody looks at something", { timeout: 2 * SLOW }, async () => {
  const page = await open({ viewport: { width: 1280, height: 560 } });
  const follow = page.getByLabel("Follow", { exact: true });
  const last = async () => (await events(page)).at(-1).id;
  assert.ok(await follow.isChecked());
  await run(page, "echo followed");
  await inView(page, await last());
  await page.locator(".tl-scroll").hover();
  await page.mouse.wheel(0, -400);
  await page.waitForFunction(() => !(/** @type {HTMLInputElement} */ (document.querySelector("#pane-timeline [type=checkbox]")).checked));
  const place = await page.locator(".tl-scroll").evaluate((element) => element.scrollTop);
  await run(page, "echo not followed");
  assert.equal(await page.locator(".tl-scroll").evaluate((element) => element.scrollTop), place);
  await follow.check();
  await inView(page, await last());
  assertClean(page);
});

test("a viewer reads all of it; in Chinese, in the dark and on a narrow screen it fits", { timeout: 3 * SLOW }, async () => {
  const made = await (await openPage(browser, { storageState: signedIn })).request.post(`${server.url}/api/sessions/${session}/tokens`, { data: { role: "viewer" }, headers: { authorization: `Bearer ${server.token}` } });
  const { token } = await made.json();
  const viewer = await openPage(browser);
  await viewer.goto(`${server.url}/login`);
  await viewer.locator("#token").fill(token);
  await viewer.locator("#token").press("Enter");
  await viewer.waitForURL((url) => !url.pathname.startsWith("/login"));
  await viewer.goto(`${server.url}/sessions/${session}?pane=timeline`);
  await find(viewer, "needle");
  await rows(viewer).first().click();
  await json(viewer).filter({ hasText: "needle" }).waitFor();
  await viewer.locator("#events .msg.user").last().hover();
  assert.equal(await viewer.locator("#events .again:visible").count(), 0, "nothing is offered that a viewer may not");
  assert.equal(await viewer.locator("#attach:visible").count(), 0);
  assertClean(viewer);

  for (const [look, options] of /** @type {const} */ ([["zh-narrow", { viewport: { width: 360, height: 740 } }], ["zh-dark", { colorScheme: "dark" }], ["zh-4k", { viewport: { width: 2560, height: 1440 } }]])) {
    const page = await open(options, "?pane=timeline&lang=zh-CN");
    await find(page, "needle");
    await rows(page).first().click();
    await json(page).waitFor();
    assert.deepEqual((await page.locator("#pane-timeline").innerText()).match(/\b(timeline|event|session|parts)\.[a-z_]+/g), null, "no key is left over");
    assert.match(await page.locator("#pane-timeline").innerText(), /复制链接/);
    await assertFits(page);
    await shoot(page, `timeline-${look}`);
    assertClean(page);
  }
});
