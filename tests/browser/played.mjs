// A session's page whose WebSocket is played, for what a test can't have the real server do at will.

import assert from "node:assert/strict";
import { after, before } from "node:test";
import { makeSession, openPage, scratch, signIn, startBrowser, startServer } from "./helper.mjs";

/** @type {Awaited<ReturnType<typeof startServer>>} */
export let server;
/** @type {import("playwright-core").Browser} */
export let browser;
/** @type {Awaited<ReturnType<import("playwright-core").BrowserContext["storageState"]>>} */
export let signedIn;
let session = "";

/** Has a server, a browser and one real session for the tests of the file that calls it. */
export function stage() {
  const data = scratch();
  before(async () => {
    server = await startServer({ dataDir: data.folder });
    browser = await startBrowser();
    const page = await openPage(browser);
    await signIn(page, server);
    session = await makeSession(page, "Played phases");
    signedIn = await page.context().storageState();
    await page.context().close();
  });
  after(async () => {
    await browser?.close();
    await server?.kill();
    data.end();
  });
}

/**
 * The session's page with a WebSocket that says what the test wants.
 * @param {object} phase what `hello` says @param {import("playwright-core").BrowserContextOptions} [options]
 * @param {{ events?: object[], lang?: string, role?: string, age?: number, clock?: boolean }} [more]
 * `age`: seconds since the newest of the old events; `clock`: the test can turn the page's clock on
 */
export async function played(phase, options = {}, { events = [], lang = "en", role = "editor", age = 1, clock = false } = {}) {
  const page = await openPage(browser, { ...options, storageState: signedIn });
  if (clock) await page.clock.install();
  let id = -1;
  /** @type {(frame: object) => void} */
  let send = () => {};
  const event = (/** @type {object} */ extras, at = Date.now()) => {
    id += 1;
    return { type: "event", event: { id, timestamp: new Date(at).toISOString(), source: "environment", message: "", observation: "phase_changed", content: "", extras } };
  };
  const old = events.map((extras, index) => event(extras, Date.now() - 1000 * (events.length - 1 - index + age)));
  await page.routeWebSocket(/\/ws\?/, (ws) => {
    send = (frame) => ws.send(JSON.stringify(frame));
    send({ type: "hello", session, ...phase, agent_state: "init", head: id, role, server: { version: "0" } });
    old.forEach(send);
  });
  await page.goto(`${server.url}/sessions/${session}?lang=${lang}`);
  await page.locator('#connection[data-state="live"]').waitFor();
  return { page, frame: (/** @type {object} */ frame) => send(frame), tell: (/** @type {object} */ extras) => send(event(extras)), send: (/** @type {object} */ more) => {
    id += 1;
    send({ type: "event", event: { id, timestamp: new Date().toISOString(), source: "environment", message: "", ...more } });
  } };
}

/** @param {import("playwright-core").Page} page @param {string} id */
export const text = (page, id) => page.locator(id).innerText();

/** @param {import("playwright-core").Page} page */
export async function assertFits(page) {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(wide <= 0, `${wide} px too wide`);
}
