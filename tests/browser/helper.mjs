// Starts the real server and a real Chromium, and ends both, by their own handles, in bounded time.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const here = path.dirname(fileURLToPath(import.meta.url));
const START = 30_000;
const STOP = 10_000;
/** What sandboxes are made by. */
export const ENGINE = process.env.STAITHE_TEST_ENGINE || "local";
/** For what a sandbox has to do. */
export const SLOW = 60_000;

/** A folder that goes away with `end`. */
export function scratch() {
  const folder = mkdtempSync(path.join(tmpdir(), "staithe-browser-"));
  const end = () => {
    sweepDocker(folder);
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  return { folder, end };
}

/** Where the tests' own daemon is, and which image. */
function dockerSettings() {
  const host = process.env.STAITHE_TEST_DOCKER;
  assert.ok(host, "STAITHE_TEST_DOCKER must name a Docker daemon: tests/support/docker up images env");
  return { STAITHE__SANDBOX__DOCKER__HOST: host, STAITHE__SANDBOX__DOCKER__PULL: "never", STAITHE__SANDBOX__RUNTIME_CONTAINER_IMAGE: "staithe-test/work:1" };
}

/** Asks the tests' own daemon. @param {string[]} words @returns {string[]} the words of its answer */
export const docker = (...words) => spawnSync("docker", ["--host", process.env.STAITHE_TEST_DOCKER ?? "", ...words], { encoding: "utf8", timeout: SLOW }).stdout?.split(/\s+/).filter(Boolean) ?? [];

/** Removes from that daemon what the installation of a data directory has there. @param {string} dataDir */
function sweepDocker(dataDir) {
  if (ENGINE !== "docker" || !existsSync(path.join(dataDir, "installation"))) return;
  const label = `label=staithe.owner=${readFileSync(path.join(dataDir, "installation"), "utf8").trim()}`;
  for (const [list, remove] of [["ps --all", "rm --force --volumes"], ["network ls", "network rm"], ["volume ls", "volume rm"]]) {
    const found = docker(...list.split(" "), "--quiet", "--filter", label);
    if (found.length > 0) docker(...remove.split(" "), ...found);
  }
}

/**
 * @param {{ dataDir: string, port?: number, env?: Record<string, string> }} options `env`: further variables
 * @returns {Promise<{ url: string, sandbox_url: string, login_url: string, token: string, port: number, kill: (signal?: NodeJS.Signals) => Promise<void>, signal: (signal: NodeJS.Signals) => void }>}
 * `signal`: such as one that makes it hang
 */
export async function startServer({ dataDir, port = 0, env: own = {} }) {
  const program = process.env.STAITHE_BIN;
  assert.ok(program, "STAITHE_BIN must name the server's program");
  const args = ["serve", "--listen", `127.0.0.1:${port}`, "--sandbox-listen", "127.0.0.1:0", "--data-dir", dataDir, "--ready-json", "--engine", ENGINE];
  const env = ENGINE === "docker" ? { ...process.env, ...dockerSettings(), ...own } : { ...process.env, ...own };
  const child = spawn(program, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  const log = [];
  child.stderr.setEncoding("utf8").on("data", (text) => {
    log.push(text);
    if (log.length > 400) log.shift();
  });
  const exited = new Promise((resolve) => child.once("exit", resolve));
  /** @param {NodeJS.Signals} [signal] */
  const kill = async (signal = "SIGTERM") => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    const late = setTimeout(() => child.kill("SIGKILL"), STOP);
    await exited;
    clearTimeout(late);
  };
  const line = new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).once("line", resolve);
    child.once("error", reject);
    exited.then((code) => reject(new Error(`the server ended with ${code}:\n${log.join("")}`)));
    setTimeout(() => reject(new Error(`the server isn't ready after ${START} ms:\n${log.join("")}`)), START).unref();
  });
  try {
    const ready = JSON.parse(await line);
    return { ...ready, port: Number(new URL(ready.url).port), kill, signal: (signal) => child.kill(signal) };
  } catch (error) {
    await kill("SIGKILL");
    throw error;
  }
}

/**
 * A model that says what a test wants: the program `fake-model` of the testkit.
 * @returns {Promise<{ url: string, env: Record<string, string>, say: (marker: string, steps: object[]) => Promise<void>, release: () => Promise<void>, asked: () => Promise<any[]>, kill: () => void }>}
 * `env`: what makes the server ask it; `say`: what it answers to those whose first message has the marker
 */
export async function startFakeModel() {
  const program = process.env.STAITHE_FAKE_MODEL;
  assert.ok(program, "STAITHE_FAKE_MODEL must name the program: cargo build -p staithe-testkit --example fake-model");
  const child = spawn(program, [], { stdio: ["pipe", "pipe", "inherit"] });
  const kill = () => child.kill("SIGKILL");
  const line = await new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).once("line", resolve);
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`the fake model ended with ${code}`)));
  });
  const { url } = JSON.parse(line);
  const post = async (what, body) => {
    const answer = await fetch(`${url}/_fake/${what}`, { method: "POST", body: JSON.stringify(body ?? {}) });
    assert.ok(answer.ok, `${what}: ${answer.status} ${await answer.text()}`);
  };
  const get = async (what) => (await fetch(`${url}/_fake/${what}`)).json();
  const own = { KEY: "sk-of-the-browser-tests-0123", KEY_ENV: "", BASE_URL: url, MODEL: "gpt-4o", PRICE__INPUT: "10", PRICE__OUTPUT: "100" };
  const env = Object.fromEntries(Object.entries(own).map(([name, value]) => [`STAITHE__MODELS__OPENAI__${name}`, value]));
  for (const other of ["ANTHROPIC", "GEMINI"]) env[`STAITHE__MODELS__${other}__KEY_ENV`] = "";
  env.STAITHE__MODELS__ANTHROPIC__BASE_URL = url;
  const say = (marker, steps) => post("script", { marked: { [marker]: steps } });
  return { url, env, say, release: () => post("release"), asked: () => get("asked"), kill };
}

export function startBrowser() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    timeout: START,
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
}

/**
 * A page in a context of its own; whatever it complains about fails the test in `assertClean`.
 * @param {import("playwright-core").Browser} browser @param {import("playwright-core").BrowserContextOptions} [options]
 */
export async function openPage(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: "en-US", ...options });
  return watch(await context.newPage());
}

/** Signs in by the token, as the printed link works only once. @param {import("playwright-core").Page} page @param {{ url: string, token: string }} server */
export async function signIn(page, { url, token }) {
  await page.goto(`${url}/login`);
  await page.locator("#token").fill(token);
  await page.locator("#token").press("Enter");
  await listIsThere(page);
}

/**
 * Waits until the list of sessions is there, and with it all that its page hears: while it loads, it may be loaded again,
 * as a new sandbox's network breaks off what Chromium fetches.
 * @param {import("playwright-core").Page} page
 */
export const listIsThere = (page) => page.waitForFunction(
  () => document.readyState === "complete" && document.querySelector("html:not([data-again]) #sessions:not([aria-busy])"), undefined, { timeout: SLOW });

/** @type {WeakMap<import("playwright-core").Page, string[]>} */
const complaints = new WeakMap();

/** @param {import("playwright-core").Page} page */
export function watch(page) {
  const said = [];
  complaints.set(page, said);
  page.on("pageerror", (error) => said.push(String(error.stack ?? error)));
  page.on("console", (line) => /Content Security Policy|Uncaught/.test(line.text()) && said.push(line.text()));
  page.setDefaultTimeout(20_000);
  return page;
}

/** @param {import("playwright-core").Page} page @param {RegExp} [besides] what it has to complain about; that is forgotten then */
export function assertClean(page, besides) {
  const said = complaints.get(page) ?? [];
  if (besides) {
    const other = said.filter((line) => !besides.test(line));
    assert.notEqual(other.length, said.length, `the page did not complain about ${besides}`);
    said.splice(0, Infinity, ...other);
  }
  assert.deepEqual(said, [], "the page complained");
}

/**
 * Makes a session on the sessions page and waits until it is ready.
 * @param {import("playwright-core").Page} page @param {string} title @returns {Promise<string>} its id
 */
export async function makeSession(page, title) {
  await listIsThere(page);
  await page.getByLabel("Title").fill(title);
  await page.locator("#new-submit").click();
  await page.waitForURL(/\/sessions\/[0-9a-f]{32}$/);
  await page.locator('#phase[data-phase="ready"]').waitFor({ timeout: SLOW });
  await page.locator('#connection[data-state="live"]').waitFor();
  return page.url().split("/").at(-1) ?? "";
}

/** @param {import("playwright-core").Page} page @param {string} command */
export async function type(page, command) {
  await page.locator("#box").fill(command);
  await page.locator("#box").press("Enter");
}

/** The card of a command. @param {import("playwright-core").Page} page @param {string} command */
export const card = (page, command) => page.locator("#events > .runcard", { has: page.locator(".cmd", { hasText: command }) }).last();

/** Runs a command to its end and gives what it printed. @param {import("playwright-core").Page} page @param {string} command @param {number} [code] */
export async function run(page, command, code = 0) {
  await type(page, command);
  const shown = card(page, command);
  await shown.locator(`[data-exit="${code}"]`).waitFor({ timeout: SLOW });
  return (await shown.locator(".out").textContent()) ?? "";
}

/** The events that the page shows; one line may stand for several. @param {import("playwright-core").Page} page @returns {Promise<number[]>} */
export function eventIds(page) {
  return page.locator("[data-event-id]").evaluateAll((all) => all.flatMap((e) => {
    const { eventId, eventFrom = eventId } = /** @type {HTMLElement} */ (e).dataset;
    return Array.from({ length: Number(eventId) - Number(eventFrom) + 1 }, (_, index) => Number(eventFrom) + index);
  }));
}

/**
 * Waits until the page has all events, and asserts that it has each exactly once, in order.
 * @param {import("playwright-core").Page} page @param {string} session @returns {Promise<number[]>}
 */
export async function assertEachOnce(page, session) {
  const origin = new URL(page.url()).origin;
  const { head } = await (await page.request.get(`${origin}/api/sessions/${session}`)).json();
  await page.waitForFunction((last) => document.querySelector(`[data-event-id="${last}"]`), head);
  const ids = await eventIds(page);
  const sorted = [...ids].sort((a, b) => a - b);
  assert.ok(sorted.length > head, `${sorted.length} events shown, the head is ${head}`);
  assert.deepEqual(sorted, Array.from(sorted, (_, index) => index), "each event once, none missing");
  return sorted;
}

/** @param {import("playwright-core").Page} page @param {string} name */
export async function shoot(page, name) {
  mkdirSync(path.join(here, "out"), { recursive: true });
  await page.screenshot({ path: path.join(here, "out", `${name}.png`) });
}
