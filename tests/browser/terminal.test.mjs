// The terminal pane: what is typed, drawn, shared, kept over a reload and over a server that is killed.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { SLOW, assertClean, openPage, scratch, shoot, signIn, startBrowser, startServer } from "./helper.mjs";

/** @typedef {import("playwright-core").Page} Page */
const data = scratch();
/** @type {Awaited<ReturnType<typeof startServer>>} */
let server;
/** @type {import("playwright-core").Browser} */
let browser;
/** The cookies of who has signed in. @type {import("playwright-core").BrowserContextOptions} */
let signedIn;

before(async () => {
  server = await startServer({ dataDir: data.folder });
  browser = await startBrowser();
  const page = await openPage(browser);
  await signIn(page, server);
  signedIn = { storageState: await page.context().storageState() };
});
afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
});
after(async () => {
  await browser?.close();
  await server?.kill();
  data.end();
});

/** @param {string} path @param {object} [json] */
async function post(path, json) {
  const answer = await fetch(`${server.url}/api${path}`, { method: "POST", headers: { authorization: `Bearer ${server.token}`, "content-type": "application/json" }, body: JSON.stringify(json ?? {}) });
  assert.ok(answer.ok, `${path}: ${answer.status}`);
  return answer.json();
}

/** As if the graphics card of the browser, which the processor plays here, were a real one. @param {Page} page */
const withGraphics = (page) => page.addInitScript(() => {
  const { getParameter } = WebGL2RenderingContext.prototype;
  WebGL2RenderingContext.prototype.getParameter = function (name) {
    return name === 37446 ? "A card" : getParameter.call(this, name);
  };
});

/** Shows the pane of a session. @param {Page} page @param {string} session */
async function visit(page, session) {
  await page.goto(`${server.url}/sessions/${session}?pane=terminal`);
  await page.locator('#connection[data-state="live"]').waitFor();
  await page.locator('#phase[data-phase="ready"]').waitFor({ timeout: SLOW });
}

/** A page that is signed in, on a session of its own. @param {{ graphics?: boolean, session?: string, token?: string }} [how] `token`: another one's */
async function onSession({ graphics = false, session, token } = {}) {
  const page = await openPage(browser, token ? {} : signedIn);
  if (graphics) await withGraphics(page);
  if (token) await signIn(page, { url: server.url, token });
  const id = session ?? (await post("/sessions", { title: "Terminals" })).id;
  await visit(page, id);
  return { page, session: id };
}

/** The panels that are seen. @param {Page} page */
const panels = (page) => page.locator(".term-panel:not([hidden])");
/** @param {Page} page @param {string} name */
const button = (page, name) => page.locator("#pane-terminal").getByRole("button", { name, exact: true });
/** @param {Page} page @param {string} name */
const tab = (page, name) => page.locator(".term-tabs").getByRole("tab", { name, exact: true });

/** Waits until a panel's screen has the words. @param {Page} page @param {RegExp} words @param {number} [panel] */
async function shows(page, words, panel = 0) {
  const found = page.waitForFunction(([source, at]) => {
    const rows = document.querySelectorAll(".term-panel:not([hidden])")[Number(at)]?.querySelectorAll(".xterm-rows > div") ?? [];
    const text = [...rows].map((row) => (row.textContent ?? "").replaceAll("\u00a0", " ").trimEnd()).join("\n");
    return new RegExp(String(source), "m").test(text) && text;
  }, [words.source, panel], { timeout: SLOW });
  return String(await (await found.catch(async (error) => {
    await shoot(page, "terminal-missing");
    throw new Error(`${words} isn't there, but ${JSON.stringify(await panels(page).nth(panel).innerText())}`, { cause: error });
  })).jsonValue());
}

/** Opens the first, and waits for its prompt. @param {Page} page */
async function openFirst(page) {
  await button(page, "Open a terminal").click();
  await shows(page, /[$#]\s*$/);
}

/** @param {Page} page @param {string} line */
async function enter(page, line) {
  await page.keyboard.type(line);
  await page.keyboard.press("Enter");
}

test("terminals are opened, split, resized, searched, and found again after a reload", { timeout: 4 * SLOW }, async () => {
  const { page } = await onSession();
  await openFirst(page);
  await enter(page, "for i in $(seq 200); do echo line-$i; done; echo $((40 + 2))");
  await shows(page, /^line-200\n42$/);

  await button(page, "Split").click();
  await tab(page, "2: bash").waitFor();
  await shows(page, /[$#]\s*$/, 1);
  await enter(page, "stty size");
  const size = /^(\d+) (\d+)$/m.exec(await shows(page, /^\d+ \d+$/, 1)) ?? [];
  await page.setViewportSize({ width: 1600, height: 600 });
  await page.waitForFunction((rows) => document.querySelectorAll(".term-panel.active .xterm-rows > div").length < Number(rows), size[1]);
  await enter(page, "stty size | sed s/^/now=/");
  const now = /^now=(\d+) (\d+)$/m.exec(await shows(page, /^now=\d+ \d+$/, 1)) ?? [];
  assert.ok(Number(now[1]) < Number(size[1]) && Number(now[2]) > Number(size[2]), `from ${size[0]} to ${now[0]}`);
  assert.equal(Number(now[1]), await page.locator(".term-panel.active .xterm-rows > div").count(), "the program has the rows that are seen");

  await page.keyboard.press("F2"); // goes to the program: nothing is asked
  await page.keyboard.press("Shift+F6");
  assert.equal(await page.evaluate(() => document.activeElement?.textContent), "2: bash");
  await page.keyboard.press("F2");
  await page.getByRole("dialog").getByRole("textbox").fill("second");
  await page.keyboard.press("Enter");
  await tab(page, "2: second").waitFor();

  await page.reload();
  await shows(page, /^line-200\n42$/, 0);
  await tab(page, "2: second").waitFor();
  assert.equal(await panels(page).count(), 2, "they are side by side as before");
  await tab(page, "1: bash").click();
  await page.keyboard.press("Control+Shift+F");
  await page.keyboard.type("line-17");
  await page.locator(".term-find [role=status]", { hasText: "of 11" }).waitFor();
  await page.keyboard.press("Enter");
  await shows(page, /^line-17/, 0);
  await page.keyboard.press("Escape");
  await shoot(page, "terminal-split");

  await button(page, "Close").click();
  await page.getByRole("dialog").getByText("Its program still runs").waitFor();
  await page.getByRole("button", { name: "End and close" }).click();
  await tab(page, "1: bash").waitFor({ state: "detached" });
  await page.reload();
  await tab(page, "2: second").waitFor();
  assert.equal(await page.locator(".term-tabs [role=tab]").count(), 1);
  assertClean(page);
});

test("two pages see one terminal, one may type alone, and a viewer only watches", { timeout: 4 * SLOW }, async () => {
  const { page: one, session } = await onSession();
  await openFirst(one);
  const { page: two } = await onSession({ session });
  await shows(two, /[$#]\s*$/);
  await enter(one, "echo from-$((1 + 0))");
  await shows(two, /^from-1$/);
  await panels(two).locator(".xterm").click();
  await enter(two, "echo from-$((1 + 1))");
  await shows(one, /^from-2$/);

  await button(one, "Type alone").click();
  await one.getByText("Only you can type here.").waitFor();
  await one.waitForFunction(() => {
    const [rows, place] = [".xterm-screen", ".term-screen"].map((part) => document.querySelector(`.term-panel.active ${part}`)?.getBoundingClientRect().bottom ?? 0);
    return rows <= place;
  }); // the words above take rows from it, and none is cut off
  await two.getByText("Another page types here alone").waitFor();
  await two.keyboard.type("lost");
  const { page: three } = await onSession({ session });
  await three.locator("#tab-files").click();
  await three.reload(); // it follows no terminal, and is told all the same
  await three.locator('#connection[data-state="live"]').waitFor();
  await three.locator("#presence").click();
  await three.locator("#presence-list").getByText("drives terminal #1").waitFor();
  await button(two, "Take over").click();
  await two.getByText("Only you can type here.").waitFor();
  await one.getByText("Another page types here alone").waitFor();
  await panels(two).locator(".xterm").click();
  await enter(two, "echo from-$((1 + 2))");
  assert.ok(!(await shows(one, /^from-3$/)).includes("lost"), "what was typed while another one typed alone went nowhere");

  const { token } = await post(`/sessions/${session}/tokens`, { role: "viewer" });
  const { page: viewer } = await onSession({ session, token });
  await viewer.getByText("You are watching").waitFor();
  await shows(viewer, /^from-3$/);
  await panels(viewer).locator(".xterm").click();
  await viewer.keyboard.type("sneaked-in");
  await enter(two, "echo from-$((1 + 3))");
  assert.ok(!(await shows(viewer, /^from-4$/)).includes("sneaked"));
  for (const name of ["New", "Split", "Rename", "Type alone", "Close"]) assert.equal(await button(viewer, name).isVisible(), false, name);
  for (const page of [one, two, three, viewer]) assertClean(page);
});

test("who typed alone and lost the connection doesn't take the terminal back from who took over meanwhile", { timeout: 4 * SLOW }, async () => {
  const { page: one, session } = await onSession();
  /** @type {import("playwright-core").WebSocketRoute[]} */
  const lines = [];
  let away = false;
  await one.routeWebSocket(/\/ws\?/, (ws) => {
    if (away) return void ws.close();
    ws.connectToServer();
    lines.push(ws);
  });
  await visit(one, session);
  await openFirst(one);
  const { page: two } = await onSession({ session });
  await shows(two, /[$#]\s*$/);
  await button(one, "Type alone").click();
  await two.getByText("Another page types here alone").waitFor();
  const cut = async () => {
    away = true;
    await lines.at(-1)?.close();
    await button(two, "Type alone").waitFor();
  };
  await cut();
  away = false;
  await two.getByText("Another page types here alone").waitFor(); // nobody took over: it is as before

  await cut();
  await button(two, "Type alone").click();
  await two.getByText("Only you can type here.").waitFor();
  away = false;
  await one.getByText("Another page types here alone").waitFor();
  await button(two, "Let others type").click();
  await button(one, "Type alone").waitFor();
  await panels(one).locator(".xterm").click();
  await enter(one, "echo after-$((1 + 0))"); // what it asks for when the other one lets go comes before
  await shows(one, /^after-1$/);
  for (const page of [one, two]) assert.equal(await page.getByText("Only you can type here.").or(page.getByText("Another page types here alone")).isVisible(), false);
  for (const page of [one, two]) assertClean(page);
});

test("a program that draws, an exit, and colours that follow the theme", { timeout: 3 * SLOW }, async () => {
  const { page } = await onSession();
  await openFirst(page);
  await enter(page, "printf '\\033[38;2;10;200;30mtrue\\033[0m \\033[41mcolour\\033[0m\\n'; vim -u NONE -c 'set laststatus=2 nu' /etc/passwd");
  await shows(page, /^ +1 root:x:0:0[^]*\/etc\/passwd/);
  await page.keyboard.press("Shift+G");
  await page.keyboard.type(":q!\n");
  await shows(page, /true colour\n.*[$#]\s*$/);

  // More than is kept: what is above comes back as far as it is, and the screen as it is.
  await enter(page, "seq 200000; vim -u NONE -c 'set laststatus=2 nu' /etc/passwd");
  await shows(page, /^ +1 root:x:0:0[^]*\/etc\/passwd/);
  await page.reload();
  await shows(page, /^ +1 root:x:0:0[^]*\/etc\/passwd/);
  await page.waitForFunction(() => document.querySelector(".term-panel.active")?.getAttribute("data-state") === "open");
  await tab(page, "1: bash").click();
  await page.keyboard.type(":q!\n");
  await shows(page, /^200000\n.*[$#]\s*$/);
  await page.keyboard.press("Control+Shift+F");
  await page.keyboard.type("195678");
  await page.locator(".term-find [role=status]", { hasText: "1 of 1" }).waitFor();
  await page.keyboard.press("Escape");
  await enter(page, "clear; echo true colour");
  await shows(page, /^true colour$/);
  const background = () => page.locator(".term-panel.active .xterm-scrollable-element").evaluate((element) => getComputedStyle(element).backgroundColor);
  const light = await background();
  await page.evaluate(() => (document.documentElement.dataset.theme = "dark"));
  await page.waitForFunction((before) => getComputedStyle(/** @type {Element} */ (document.querySelector(".term-panel.active .xterm-scrollable-element"))).backgroundColor !== before, light);
  await page.locator(".term-panel.active .xterm").dblclick({ position: { x: 20, y: 8 } });
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.keyboard.press("Control+Shift+C");
  await page.getByText("Copied.").waitFor();
  assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^\S+$/);
  await page.evaluate(() => navigator.clipboard.writeText("echo pasted-$((6*7)"));
  await page.keyboard.press("Control+Shift+V");
  await page.keyboard.type(")\n");
  await shows(page, /^pasted-42$/);
  await button(page, "Screen reader").click();
  await page.locator(".term-panel.active .xterm-accessibility").getByText("pasted-42", { exact: true }).waitFor();

  await enter(page, "exit 3");
  await page.getByText("The program ended with code 3.").waitFor();
  await shoot(page, "terminal-ended");
  await button(page, "Open a new one").click();
  await tab(page, "2: bash").waitFor();
  await tab(page, "1: bash").waitFor({ state: "detached" });
  await shows(page, /[$#]\s*$/);
  assertClean(page);
});

test("a server that is killed and started again goes on with the terminal", { timeout: 4 * SLOW }, async () => {
  const { page } = await onSession();
  await openFirst(page);
  await enter(page, "mark=kept-$((20 + 3)); echo $mark; for i in 1 2 3; do sleep 1; echo tick-$i; done; echo mean$((10 * 2))while");
  await shows(page, /^kept-23$/);
  await server.kill("SIGKILL");
  await page.locator('#connection:not([data-state="live"])').waitFor();
  await page.keyboard.type("x");
  await page.getByText("There is no connection.").waitFor();
  server = await startServer({ dataDir: data.folder, port: server.port });
  await page.locator('#connection[data-state="live"]').waitFor({ timeout: SLOW });
  await page.getByText("There is no connection.").waitFor({ state: "hidden", timeout: SLOW });
  assert.equal((await shows(page, /^mean20while\n.*[$#]\s*$/)).match(/^(kept-23|tick-\d)$/gm)?.length, 4, "what was there is there once");
  await enter(page, "echo still-$mark");
  await shows(page, /^still-kept-23$/);
  assertClean(page);
});

test("a sandbox that is stopped says so, and a terminal starts it", { timeout: 3 * SLOW }, async () => {
  const { page, session } = await onSession();
  await openFirst(page);
  await post(`/sessions/${session}/stop`);
  await page.locator(".term-asleep", { hasText: "Opening a terminal starts it" }).waitFor({ timeout: SLOW });
  await button(page, "New").click();
  await page.locator('#phase[data-phase="ready"]').waitFor({ timeout: SLOW });
  await page.locator(".term-panel.active[data-state=open]").waitFor({ timeout: SLOW });
  await enter(page, "echo anew-$((2 + 3))");
  await shows(page, /^anew-5$/);
  assertClean(page);
});

test("without the libraries a terminal is lines of text", { timeout: 3 * SLOW }, async () => {
  const page = await openPage(browser, signedIn);
  await page.addInitScript(() => {
    const without = () => document.documentElement?.dataset.libraries && (document.documentElement.dataset.libraries = "no");
    new MutationObserver((_, observer) => without() && observer.disconnect()).observe(document, { childList: true, subtree: true });
  });
  const { id } = await post("/sessions", { title: "Plain" });
  await visit(page, id);
  await button(page, "Open a terminal").click();
  const output = page.locator(".term-plain");
  const line = page.getByLabel("A line for the program");
  await line.fill("echo plain-$((3 * 3)); sleep 100");
  await line.press("Enter");
  await output.getByText(/^plain-9$/m).waitFor({ timeout: SLOW });
  await button(page, "Interrupts the program (Ctrl+C)").click();
  await line.fill("echo then-$((4 * 4))");
  await line.press("Enter");
  await output.getByText(/^then-16$/m).waitFor({ timeout: SLOW });
  await page.reload();
  await output.getByText(/^then-16$/m).waitFor({ timeout: SLOW });
  await shoot(page, "terminal-plain");
  assert.equal(await page.locator(".xterm").count(), 0);
  assertClean(page);
});

test("it is drawn by a graphics card where there is one, and without it when it is lost", { timeout: 3 * SLOW }, async () => {
  const { page } = await onSession({ graphics: true });
  await button(page, "Open a terminal").click();
  const canvas = page.locator(".term-panel.active .xterm-screen canvas").first();
  await canvas.waitFor();
  await page.locator(".term-panel.active[data-state=open]").waitFor();
  await enter(page, "echo drawn-$((5 * 5))");
  await page.keyboard.press("Control+Shift+F");
  await page.keyboard.type("drawn-25");
  await page.locator(".term-find [role=status]", { hasText: "1 of 1" }).waitFor();
  await canvas.evaluate((element) => /** @type {HTMLCanvasElement} */ (element.parentElement?.querySelector("canvas:not(.xterm-link-layer)")).getContext("webgl2")?.getExtension("WEBGL_lose_context")?.loseContext());
  await shows(page, /^drawn-25$/);
  assertClean(page);
});

/** @param {number[]} times */
function figures(times) {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (/** @type {number} */ part) => sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))].toFixed(1);
  return `median ${at(0.5)} ms, p99 ${at(0.99)} ms of ${times.length}`;
}

/** From a byte on a WebSocket of its own to the byte that comes back: no pane takes part. @param {Page} page @param {string} session @param {number} count */
const floorTimes = (page, session, count) => page.evaluate(async ([id, most]) => {
  const ws = new WebSocket(`ws://${location.host}/api/sessions/${id}/ws?after=-1`, "staithe.v1");
  ws.binaryType = "arraybuffer";
  /** @type {(data: any) => void} */
  let hear = () => {};
  ws.onmessage = ({ data }) => hear(data);
  const next = (/** @type {(data: any) => boolean} */ is) => new Promise((resolve) => (hear = (data) => is(data) && resolve(data)));
  await next((data) => typeof data === "string" && data.includes('"hello"'));
  ws.send(JSON.stringify({ type: "terminal.open", ref: "floor", command: "echo begin; exec cat" }));
  const opened = JSON.parse(await next((data) => typeof data === "string" && data.includes('"opened"')));
  await next((data) => typeof data !== "string");
  const message = new Uint8Array(5);
  new DataView(message.buffer).setUint32(0, opened.terminal);
  message[4] = 113;
  const times = [];
  while (times.length < Number(most)) {
    const begun = performance.now();
    ws.send(message);
    await next((data) => typeof data !== "string");
    times.push(performance.now() - begun);
  }
  ws.send(JSON.stringify({ type: "terminal.close", ref: "end", terminal: opened.terminal }));
  await next((data) => typeof data === "string" && data.includes('"exit"'));
  ws.close();
  return times;
}, [session, count]);

test("what is typed is seen soon", { timeout: 3 * SLOW }, async (t) => {
  const COUNT = 100;
  const { page, session } = await onSession();
  await openFirst(page);
  await enter(page, "clear; echo ready; exec cat");
  await shows(page, /^ready$/);
  await page.evaluate(() => {
    const rows = /** @type {Element} */ (document.querySelector(".term-panel.active .xterm-rows"));
    const times = /** @type {number[]} */ ([]);
    let begun = 0;
    addEventListener("keydown", () => (begun = performance.now()), true);
    new MutationObserver(() => {
      if ((rows.textContent?.match(/q/g)?.length ?? 0) > times.length) times.push(performance.now() - begun);
    }).observe(rows, { childList: true, subtree: true, characterData: true });
    Object.assign(window, { times });
  });
  for (let typed = 1; typed <= COUNT; typed += 1) {
    await page.keyboard.press("q");
    await page.waitForFunction((count) => /** @type {any} */ (window).times.length >= count, typed);
  }
  const times = await page.evaluate(() => /** @type {any} */ (window).times);
  assert.equal(times.length, COUNT);
  const floor = await floorTimes(page, session, COUNT);
  t.diagnostic(`key to character: ${figures(times)}; WebSocket alone: ${figures(floor)}`);
  assertClean(page);
});
