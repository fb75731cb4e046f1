// A session of ten thousand events: made by the real server, read in the real page.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { SLOW, assertClean, card, makeSession, openPage, run, scratch, shoot, signIn, startBrowser, startServer, type } from "./helper.mjs";

const EVENTS = 10_000;
/** Frames of one pass through the whole conversation. */
const FRAMES = 500;

const data = scratch();
/** @type {Awaited<ReturnType<typeof startServer>>} */
let server;
/** @type {import("playwright-core").Browser} */
let browser;
/** @type {Awaited<ReturnType<import("playwright-core").BrowserContext["storageState"]>>} */
let signedIn;
let session = "";
/** The id of the newest event. */
let head = 0;

/** Sends actions over sockets of their own, many at a time, and waits until all are durable. Runs in the page. @param {{ session: string, count: number }} what */
async function flood({ session, count }) {
  const say = (/** @type {number} */ n) => {
    if (n % 60 === 59) return { action: "run", args: { command: `echo line ${n}` } };
    if (n % 60 > 55) return { action: "read", args: { path: "notes.txt" } };
    return { action: "message", args: { content: `Message ${n}. ${"The quay is long. ".repeat(n % 7)}` } };
  };
  const address = `${location.origin.replace("http", "ws")}/api/sessions/${session}/ws?after=0`;
  let next = 0;
  await Promise.all(Array.from({ length: 4 }, () => new Promise((resolve, reject) => {
    const ws = new WebSocket(address, "staithe.v1");
    let open = 0;
    const more = () => {
      for (; open < 100 && next < count; open += 1, next += 1) ws.send(JSON.stringify({ type: "do", ref: `flood-${next}`, action: say(next) }));
      if (open === 0) resolve(ws.close());
    };
    ws.onmessage = ({ data }) => {
      const frame = JSON.parse(data);
      if (!["hello", "done", "denied", "failed", "unavailable"].includes(frame.type)) return;
      if (frame.type === "done") open -= 1;
      else if (frame.type !== "hello") reject(new Error(data));
      more();
    };
    ws.onerror = () => reject(new Error("no socket"));
  })));
}

const headNow = async (/** @type {import("playwright-core").Page} */ page) => (await (await page.request.get(`${server.url}/api/sessions/${session}`)).json()).head;

before(async () => {
  server = await startServer({ dataDir: data.folder });
  browser = await startBrowser();
  const page = await openPage(browser);
  await signIn(page, server);
  session = await makeSession(page, "Ten thousand");
  await run(page, "echo notes > notes.txt");
  await page.goto(`${server.url}/`);
  await page.evaluate(flood, { session, count: EVENTS });
  await page.goto(`${server.url}/sessions/${session}`);
  await page.locator("#events:not([aria-busy])").waitFor();
  await page.locator("#interrupt").waitFor({ state: "hidden", timeout: SLOW }); // what was sent has run
  await run(page, "echo the last of them");
  head = await headNow(page);
  signedIn = await page.context().storageState();
  await page.context().close();
});
after(async () => {
  await browser?.close();
  await server?.kill();
  data.end();
});

/** A page that notes when frames came and when the newest event was seen. @param {import("playwright-core").BrowserContextOptions} [options] @param {string} [query] */
async function join(options = {}, query = "") {
  const page = await openPage(browser, { storageState: signedIn, ...options });
  await page.addInitScript((last) => {
    const times = { first: 0, delivered: 0, seen: 0 };
    Object.assign(window, { times });
    window.WebSocket = class extends WebSocket {
      /** @param {[string, string]} given */
      constructor(...given) {
        super(...given);
        this.addEventListener("message", ({ data }) => {
          times.first ||= performance.now();
          if (typeof data === "string" && data.includes(`"id":${last},`)) times.delivered ||= performance.now();
        });
      }
    };
    const look = () => {
      if (document.querySelector(`#events [data-event-id="${last}"]`)) times.seen ||= performance.now();
      if (!times.seen) requestAnimationFrame(look);
    };
    look();
  }, head);
  await page.goto(`${server.url}/sessions/${session}${query}`);
  await page.waitForFunction(() => /** @type {any} */ (window).times.seen > 0, null, { timeout: SLOW });
  return page;
}

/** @param {import("playwright-core").Page} page */
async function sizes(page) {
  const cdp = await page.context().newCDPSession(page);
  await cdp.send("HeapProfiler.collectGarbage");
  const { usedSize, embedderHeapUsedSize = 0 } = /** @type {any} */ (await cdp.send("Runtime.getHeapUsage"));
  const { nodes } = await cdp.send("Memory.getDOMCounters");
  return { heap: Math.round((usedSize + embedderHeapUsedSize) / 1e6), nodes, elements: await page.locator("*").count() };
}

/** Scrolls the conversation from its end to its beginning, a step with each frame, and notes each event that comes by. */
const scrollAll = (/** @type {number} */ frames) => new Promise((/** @type {(result: { deltas: number[], ids: number[], doubled: number[], most: number }) => void} */ done) => {
  const scroll = /** @type {HTMLElement} */ (document.getElementById("scroll"));
  const list = /** @type {HTMLElement} */ (document.getElementById("events"));
  /** @type {Map<number, Element>} */
  const rows = new Map();
  /** @type {number[]} */
  const doubled = [];
  const note = (/** @type {Iterable<Node>} */ nodes) => {
    for (const row of nodes) {
      if (!(row instanceof HTMLElement)) continue;
      for (const told of [row, .../** @type {NodeListOf<HTMLElement>} */ (row.querySelectorAll("[data-event-id]"))]) {
        const to = Number(told.dataset.eventId ?? -1);
        for (let id = Number(told.dataset.eventFrom ?? to); id >= 0 && id <= to; id += 1) {
          const known = rows.get(id);
          if (known && known !== row && known.isConnected) doubled.push(id);
          rows.set(id, row);
        }
      }
    }
  };
  note(list.children);
  const observer = new MutationObserver((changes) => changes.forEach((change) => note(change.addedNodes)));
  observer.observe(list, { childList: true });
  const step = Math.ceil(scroll.scrollHeight / frames);
  /** @type {number[]} */
  const deltas = [];
  let last = 0;
  let most = 0;
  const frame = (/** @type {number} */ now) => {
    if (last) deltas.push(now - last);
    last = now;
    most = Math.max(most, list.getElementsByTagName("*").length);
    if (scroll.scrollTop <= 0) {
      observer.disconnect();
      done({ deltas, ids: [...rows.keys()].sort((a, b) => a - b), doubled, most });
      return rows.clear();
    }
    scroll.scrollTop -= deltas.length < 2 ? 50 : Math.min(step, scroll.clientHeight * 2); // the first is only told of in the next frame
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
});

test("ten thousand events: the newest are seen at once, all can be scrolled through smoothly, none is lost or doubled", { timeout: 4 * SLOW }, async () => {
  assert.ok(head >= EVENTS, `${head} events`);
  const page = await join();
  const { first, delivered, seen } = await page.evaluate(() => /** @type {any} */ (window).times);
  console.log(`joined: ${Math.round(delivered - first)} ms for ${head} events by the socket, seen ${Math.round(seen - delivered)} ms after`);
  assert.ok(seen - delivered < 5000, `${seen - delivered} ms`);
  await card(page, "echo the last of them").locator('[data-exit="0"]').waitFor();
  await page.waitForFunction(() => !document.querySelector("#events[aria-busy]"));
  assert.equal(await page.locator("#event-count").textContent(), `${new Intl.NumberFormat("en").format(head + 1)} events`);
  const early = await sizes(page);
  console.log(`at first: ${JSON.stringify(early)}`);
  assert.ok(early.elements < 3000, `${early.elements} elements`);

  await page.getByLabel("Show all events").check();
  let best = Infinity;
  for (let tries = 0; tries < 3 && best >= 20; tries += 1) { // what else the machine does must not be measured
    if (tries > 0) {
      await page.locator("#to-end").click();
      await page.locator("#to-end").waitFor({ state: "hidden" });
    }
    const { deltas, ids, doubled, most } = await page.evaluate(scrollAll, FRAMES);
    const sorted = [...deltas].sort((a, b) => a - b);
    const median = sorted[Math.floor(sorted.length / 2)] ?? Infinity;
    best = Math.min(best, median);
    console.log(`scrolled: ${deltas.length} frames, median ${median.toFixed(1)} ms, ${deltas.filter((delta) => delta > 20).length} over 20 ms, at most ${most} elements in the list`);
    assert.deepEqual(doubled, []);
    assert.deepEqual(ids.slice(0, head + 1), Array.from({ length: head + 1 }, (_, id) => id), "each event came by");
    assert.ok(most < 5000, `${most} elements`);
  }
  assert.ok(best < 20, `more than 50 frames a second: ${best} ms each`);
  const late = await sizes(page);
  console.log(`at the end: ${JSON.stringify(late)}`);
  assert.ok(late.heap < 60, `${late.heap} MB`);
  assert.ok(late.nodes < 20_000, `${late.nodes} nodes, those out of the page too`);
  await page.locator('#events > [data-event-id="0"], #events > [data-event-from="0"]').waitFor();
  await page.getByLabel("Show all events").uncheck();
  await shoot(page, "long-beginning");
  assertClean(page);
  await page.context().close();
});

test("keys, the button to the end and a screen reader's numbers, a command that ends out of sight, a reload in the middle", { timeout: 4 * SLOW }, async () => {
  const page = await join();
  const scroll = page.locator("#scroll");
  const top = () => scroll.evaluate((element) => element.scrollTop);
  const list = page.locator("#events");
  assert.equal(await list.getAttribute("role"), "feed");
  const newest = list.locator("> article").last();
  assert.equal(await newest.getAttribute("aria-posinset"), await newest.getAttribute("aria-setsize"));
  await type(page, "for i in 1 2 3 4; do echo tide $i; sleep 2; done");
  await card(page, "for i in 1 2 3 4").locator(".out", { hasText: "tide 1" }).waitFor({ timeout: SLOW });

  await scroll.focus();
  await page.keyboard.press("Home");
  await list.locator('> [aria-posinset="1"]').waitFor();
  assert.equal(await top(), 0);
  await page.keyboard.press("PageDown");
  await page.waitForFunction(() => (document.getElementById("scroll")?.scrollTop ?? 0) > 300);
  const inside = list.locator("> .msg.user").nth(2);
  await inside.focus();
  const place = Number(await inside.getAttribute("aria-posinset"));
  await page.keyboard.press("PageDown");
  await page.waitForFunction((next) => document.activeElement?.getAttribute("aria-posinset") === String(next), place + 1);
  await page.waitForFunction(() => Number(document.getElementById("session")?.dataset.settled) > 0 && document.getElementById("interrupt")?.hidden, null, { timeout: SLOW });
  assert.equal(await card(page, "for i in 1 2 3 4").count(), 0, "its card isn't in the page now");
  await page.locator("#to-end", { hasText: /new event/ }).click();
  const counting = card(page, "for i in 1 2 3 4");
  await counting.locator('[data-exit="0"]').waitFor();
  assert.equal((await counting.locator(".out").textContent())?.match(/^tide \d/gm)?.length, 4, "all of it, once");
  await page.locator("#to-end").waitFor({ state: "hidden" });
  await scroll.focus();
  await page.keyboard.press("PageUp");
  await page.locator("#to-end").waitFor();
  await page.keyboard.press("End");
  await page.locator("#to-end").waitFor({ state: "hidden" });

  await page.evaluate(() => document.getElementById("scroll")?.scrollTo(0, 200_000));
  await page.locator("#box").fill("half a command");
  await page.reload();
  await counting.locator('[data-exit="0"]').waitFor();
  assert.equal(await page.locator("#box").inputValue(), "half a command", "what was not sent is still there");
  head = await headNow(page);
  await page.locator("#event-count", { hasText: new Intl.NumberFormat("en").format(head + 1) }).waitFor();
  assertClean(page);
  await page.context().close();
});

test("what is read stays where it is as one scrolls up and as new events come", { timeout: 2 * SLOW }, async () => {
  const page = await join({ viewport: { width: 1280, height: 720 } });
  const drift = await page.evaluate(async () => {
    const scroll = /** @type {HTMLElement} */ (document.getElementById("scroll"));
    const frame = () => new Promise((done) => requestAnimationFrame(done));
    scroll.scrollTop = scroll.scrollHeight / 3;
    for (let n = 0; n < 5; n += 1) await frame();
    /** @type {number[]} */
    const moved = [];
    for (let n = 0; n < 80; n += 1) {
      const { left, top } = scroll.getBoundingClientRect();
      const row = document.elementFromPoint(left + 300, top + 250)?.closest("#events > article");
      const before = row?.getBoundingClientRect().top ?? 0;
      scroll.scrollTop -= 70;
      await frame();
      await frame();
      if (row?.isConnected) moved.push(Math.abs(row.getBoundingClientRect().top - before - 70));
    }
    return { most: Math.max(...moved), count: moved.length };
  });
  assert.ok(drift.count > 60 && drift.most <= 1.5, JSON.stringify(drift));
  const seen = () => page.evaluate(() => {
    const { top } = /** @type {HTMLElement} */ (document.getElementById("scroll")).getBoundingClientRect();
    // Not by a point: it may fall between two rows.
    const rows = /** @type {HTMLElement[]} */ ([...document.querySelectorAll("#events > article")]);
    const row = /** @type {HTMLElement} */ (rows.find((one) => one.getBoundingClientRect().bottom > top + 250));
    return { id: row.dataset.eventId, top: Math.round(row.getBoundingClientRect().top) };
  });
  const before = await seen();
  await page.request.post(`${server.url}/api/sessions/${session}/actions`, { data: { action: "run", args: { command: "seq 30" } }, headers: { origin: server.url } });
  await page.locator("#to-end", { hasText: /new event/ }).waitFor();
  await page.waitForFunction(() => document.getElementById("interrupt")?.hidden);
  assert.deepEqual(await seen(), before);
  assertClean(page);
  await page.context().close();
});
