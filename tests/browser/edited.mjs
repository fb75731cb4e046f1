// The tree of files and the editor, as tests use them.

import assert from "node:assert/strict";
import { after, afterEach, before } from "node:test";
import { SLOW, openPage, scratch, signIn, startBrowser, startServer } from "./helper.mjs";

/**
 * @typedef {object} Stage
 * @property {string} folder of the machine, that goes away at the end
 * @property {(method: string, address: string, body?: any, headers?: Record<string, string>) => Promise<Response>} rest
 * @property {() => { url: string, token: string }} server
 * @property {() => string} session
 * @property {() => Promise<import("playwright-core").Page>} stranger a page that is not signed in
 * @property {(file: string, body: string | Uint8Array) => Promise<void>} put
 * @property {(file: string) => Promise<string | null>} content
 * @property {(folder: string) => Promise<string[]>} list all beneath
 * @property {(options?: import("playwright-core").BrowserContextOptions, prepare?: (page: import("playwright-core").Page) => Promise<void>) => Promise<import("playwright-core").Page>} pane
 */

/** A row of the tree, by the beginning of its name. @param {import("playwright-core").Page} page @param {string} name */
export const inTree = (page, name) => page.locator("#tree").getByRole("treeitem", { name: new RegExp(`^${name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}([ /]|$)`) });

/** What is typed into, of the file that is looked at. @param {import("playwright-core").Page} page */
export const area = (page) => page.locator(".doc:not([hidden]) > .plain-code, .doc:not([hidden]) > .code-host .cm-content");

/** The text of the file that is looked at, as far as it is drawn. @param {import("playwright-core").Page} page */
export const textOf = (page) => area(page).evaluate((element) => (element instanceof HTMLTextAreaElement ? element.value : [...element.querySelectorAll(".cm-line")].map((line) => line.textContent).join("\n")));

/** Waits until the editor holds this text. @param {import("playwright-core").Page} page @param {string} text */
export async function shows(page, text) {
  await page.waitForFunction((wanted) => {
    const element = document.querySelector(".doc:not([hidden]) > .plain-code, .doc:not([hidden]) > .code-host .cm-content");
    const now = element instanceof HTMLTextAreaElement ? element.value : [...(element?.querySelectorAll(".cm-line") ?? [])].map((line) => line.textContent).join("\n");
    return element !== null && now === wanted;
  }, text, { timeout: SLOW });
}

/**
 * A server with one session, a browser that is signed in, and the workspace over REST. For a whole test file.
 * @returns {Stage}
 */
export function stage() {
  const data = scratch();
  /** @type {any} */
  let server;
  /** @type {any} */
  let browser;
  /** @type {any} */
  let storageState;
  let session = "";
  /** @type {Stage["rest"]} */
  const rest = (method, address, body, headers = {}) => fetch(`${server.url}${address}`, { method, body, headers: { authorization: `Bearer ${server.token}`, ...headers } });
  before(async () => {
    server = await startServer({ dataDir: data.folder });
    browser = await startBrowser();
    const made = await rest("POST", "/api/sessions", JSON.stringify({ title: "Files" }), { "content-type": "application/json" });
    session = (await made.json()).id;
    const phase = async () => (await (await rest("GET", `/api/sessions/${session}`)).json()).phase;
    await until(phase, (now) => now === "ready", "the sandbox is there");
    const page = await openPage(browser);
    await signIn(page, server);
    storageState = await page.context().storageState();
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
  return {
    folder: data.folder,
    rest,
    server: () => server,
    session: () => session,
    stranger: () => openPage(browser),
    async put(file, body) {
      const answer = await rest("PUT", `/api/sessions/${session}/files/${file}?create_parents=1`, body, { "x-force": "true" });
      assert.ok(answer.ok, `${file}: ${answer.status}`);
    },
    async content(file) {
      const answer = await rest("GET", `/api/sessions/${session}/files/${file}`);
      return answer.ok ? answer.text() : null;
    },
    async list(folder) {
      const answer = await (await rest("GET", `/api/sessions/${session}/files/${folder}?depth=9`)).json();
      return answer.entries.map((/** @type {any} */ entry) => entry.path).sort();
    },
    async pane(options = {}, prepare) {
      const page = await openPage(browser, { storageState, ...options });
      await prepare?.(page);
      await page.goto(`${server.url}/sessions/${session}?pane=files`);
      await page.locator('#phase[data-phase="ready"]').waitFor({ timeout: SLOW });
      await page.locator('#connection[data-state="live"]').waitFor();
      return page;
    },
  };
}

/** Asks until it is so. @template T @param {() => Promise<T>} ask @param {(value: T) => boolean} is @param {string} what */
export async function until(ask, is, what) {
  const end = Date.now() + SLOW;
  for (;;) {
    const value = await ask();
    if (is(value)) return value;
    assert.ok(Date.now() < end, `${what}: ${JSON.stringify(value)}`);
  }
}
