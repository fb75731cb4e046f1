// An image that is built or fetched: how far it is, on the session's page and in the lists.

import assert from "node:assert/strict";
import { test } from "node:test";
import { SLOW, assertClean, eventIds, openPage, shoot } from "./helper.mjs";
import { assertFits, browser, played, server, signedIn, stage, text } from "./played.mjs";

stage();

const IMAGE = "staithe-runtime:v0.4.0_image_debian_tag_bookworm-slim_3f9c0a17b2d4e5f6";
const LINES = ["Get:1 http://deb.example/debian bookworm InRelease [151 kB]", "Get:2 http://deb.example/debian bookworm/main amd64 Packages [8793 kB]", `Fetched ${"9".repeat(190)}`, "Reading package lists...", "Building dependency tree..."];

/** @param {number} number @param {object} [more] */
const build = (number, more = {}) => ({ phase: "starting", step: "build", progress: { image: IMAGE, number, of: 14, text: "RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-venv", lines: LINES, seconds: 65, ...more } });
const BEFORE = [{ phase: "starting" }, { phase: "starting", step: "find" }, { phase: "starting", step: "build" }];

/** What the bar tells those who see it and those who don't. @param {import("playwright-core").Page} page */
const bar = (page) => page.locator("#progress-bar").evaluate((element) => {
  const it = /** @type {HTMLProgressElement} */ (element);
  return { position: it.position, value: it.value, max: it.max, name: it.getAttribute("aria-label"), said: it.getAttribute("aria-valuetext") };
});

test("who joins in the middle of a build sees at once how far it is", { timeout: 2 * SLOW }, async () => {
  const { page, tell } = await played(build(3), {}, { events: [...BEFORE, build(3)] });
  await page.locator("#progress").waitFor();
  assert.equal(await text(page, "#progress-count"), "Step 3 of 14");
  assert.deepEqual(await bar(page), { position: 2 / 14, value: 2, max: 14, name: "building the image", said: "Step 3 of 14" });
  assert.equal(await text(page, "#progress-image"), IMAGE);
  assert.match(await text(page, "#progress-text"), /^RUN apt-get update/);
  assert.equal(await page.locator("#progress-text").getAttribute("title"), build(3).progress.text);
  assert.ok(await page.locator("#progress-lines").isVisible(), "there is room for the lines");
  assert.equal(await page.locator("#progress-lines").textContent(), LINES.join("\n"));
  assert.equal(await text(page, "#phase"), "Starting: building the image", "the badge is spoken, so it has no number");
  assert.ok(await page.getByRole("button", { name: "Stop" }).isEnabled(), "a build can be called off");

  tell(build(14, { number: 0, of: 0, text: "", lines: [] }));
  await page.locator("#progress-bar:indeterminate").waitFor();
  assert.deepEqual([await text(page, "#progress-count"), (await bar(page)).said], ["", null]);
  tell({ phase: "starting", step: "create" });
  await page.locator("#progress").waitFor({ state: "hidden" });
  tell({ phase: "starting", step: "image", progress: { image: "debian:12", number: 3, of: 7, text: "Downloading", seconds: 4 } });
  await page.locator("#progress-count", { hasText: "3 of 7 layers" }).waitFor();
  assert.equal((await bar(page)).value, 3, "layers that are complete are done");
  assert.ok(await page.locator("#progress-more").isHidden(), "nothing was printed");
  tell({ phase: "ready" });
  await page.locator("#start").waitFor({ state: "hidden" });
  assert.ok(await page.locator("#progress").isHidden());
  assertClean(page);
  await page.context().close();
});

test("the time goes on between events, and is that of the build", { timeout: 2 * SLOW }, async () => {
  const { page, tell } = await played(build(3), {}, { events: [...BEFORE, build(3)], age: 30 });
  await page.locator("#progress-time", { hasText: /1 min (3[5-9]|4\d) sec so far/ }).waitFor();
  const first = await text(page, "#progress-time");
  await page.waitForFunction((was) => document.getElementById("progress-time")?.textContent !== was, first);
  assert.match(await text(page, "#progress-time"), /1 min [3-5]\d sec so far/, "it was told half a minute ago");
  tell(build(4, { seconds: 7205 }));
  await page.locator("#progress-time", { hasText: "2 hr 0 min so far" }).waitFor();
  tell(build(1, { seconds: 2 }));
  await page.locator("#progress-time", { hasText: /^[2-9] sec so far/ }).waitFor();
  assertClean(page);
  await page.context().close();

  const older = build(14, { seconds: 5000 });
  const { page: late } = await played(build(3), {}, { events: [older, { phase: "ready" }] });
  await late.locator("#progress-time", { hasText: /1 min [5-9] sec/ }).waitFor();
  const was = await text(late, "#progress-time");
  await late.waitForFunction((was) => document.getElementById("progress-time")?.textContent !== was, was);
  assertClean(late);
  await late.context().close();
});

test("what a build prints stays text", { timeout: SLOW }, async () => {
  const nasty = "<img src=x onerror=\"document.title='taken'\"><b>bold</b>";
  const { page } = await played(build(2, { text: nasty, lines: [nasty, "</pre><script>document.title='taken'</script>"], image: nasty }), {}, { events: BEFORE });
  await page.locator("#progress").waitFor();
  assert.equal(await page.locator("#progress-text").textContent(), nasty);
  assert.equal(await page.locator("#progress :is(img, b, script)").count(), 0);
  assert.doesNotMatch(await page.title(), /taken/);
  assertClean(page);
  await page.context().close();
});

test("two hundred events of a build are one line that grows, and move nothing", { timeout: 2 * SLOW }, async () => {
  const { page, tell, send } = await played(build(1), {}, { events: BEFORE });
  await page.locator("#progress").waitFor();
  const height = () => page.locator("#start").evaluate((panel) => panel.getBoundingClientRect().height);
  tell(build(1, { lines: [] }));
  const lines = page.locator("#events .slim", { hasText: "building the image" });
  await page.locator("#events .slim", { hasText: "building the image 1/14" }).waitFor({ state: "attached" });
  const empty = await height();
  for (let n = 0; n < 200; n += 1) tell(build(1 + Math.floor(n / 15), { seconds: 66 + 2 * n, lines: LINES.slice(n % 5), text: "x".repeat(1 + n) }));
  await page.locator("#events .slim", { hasText: "14/14" }).waitFor({ state: "attached" });
  assert.equal(await height(), empty);
  assert.equal(await lines.count(), 1);
  assert.equal(await lines.isVisible(), false, "a step is a minor event");
  assert.equal(await text(page, "#event-count"), "204 events");
  assert.deepEqual(await eventIds(page), Array.from({ length: 204 }, (_, index) => index));

  await page.getByLabel("Show all events").check();
  await lines.locator(".raw summary").click();
  assert.match(await lines.locator(".raw pre").innerText(), /"id": 203/);
  await page.locator("#box").focus();
  tell(build(14, { seconds: 480, text: "the end" }));
  await page.waitForFunction(() => document.querySelector('[data-event-id="204"]'));
  assert.ok(await lines.locator(".raw pre").isVisible(), "nothing is taken from under a reader");
  send({ action: "message", source: "user", args: { content: "Still there?" } });
  tell(build(14, { seconds: 482 }));
  await page.waitForFunction(() => document.querySelector('[data-event-id="206"]'));
  assert.equal(await lines.count(), 2, "the order of events is kept");
  assert.deepEqual(await eventIds(page), Array.from({ length: 207 }, (_, index) => index));
  assertClean(page);
  await page.context().close();
});

test("steps of a build are spoken seldom, and what it prints never", { timeout: 2 * SLOW }, async () => {
  const { page, tell } = await played({ phase: "starting", step: "find" }, {}, { events: BEFORE.slice(0, 2), clock: true });
  tell(BEFORE[2] ?? {});
  tell(build(3));
  const spoken = page.locator("#announce");
  await page.clock.runFor(1000);
  await page.locator("#announce", { hasText: "building the image: Step 3 of 14" }).waitFor();
  tell(build(4));
  await page.locator("#progress-count", { hasText: "Step 4" }).waitFor();
  await page.clock.runFor(5000);
  assert.match((await spoken.textContent()) ?? "", /Step 3/);
  await page.clock.runFor(11000);
  assert.equal(await spoken.textContent(), "building the image: Step 4 of 14");
  assert.equal(await page.locator("#progress").evaluate((box) => box.closest("[aria-live]") ?? box.querySelector("[aria-live], [role=status], [role=log]")), null);
  assertClean(page);
  await page.context().close();
});

test("a failed build shows its last fifty lines, the last one first of all", { timeout: 2 * SLOW }, async () => {
  const log_tail = Array.from({ length: 50 }, (_, n) => (n === 49 ? "E: Unable to locate package no-such-thing" : `#11 ${n}.204 ${n % 7 ? "Hit" : "Unpacking a-package-with-a-long-name ".repeat(4)}:${n} <b>bookworm</b>`));
  const fault = { code: "image.build_failed", step: "build", cause: "Step 9 of 14 failed: RUN apt-get install -y no-such-thing ended with exit code 100.", remedy: "Look at the lines below, mend the settings and start again.", log_tail };
  const { page, tell } = await played(build(9), {}, { events: [...BEFORE, build(9)] });
  await page.locator("#progress").waitFor();
  tell({ phase: "failed", fault });
  await page.locator("#fault").waitFor();
  assert.ok(await page.locator("#start").isHidden());
  assert.equal(await text(page, "#fault-title"), "The sandbox could not be had (while building the image)");
  const log = page.locator("#fault-lines");
  assert.equal(await log.textContent(), log_tail.join("\n"));
  assert.equal(await text(page, "#fault-log-title"), "Last lines of the build");
  const at = () => log.evaluate((pre) => ({ top: pre.scrollTop, rest: pre.scrollHeight - pre.clientHeight - pre.scrollTop }));
  await page.waitForFunction(() => (document.getElementById("fault-lines")?.scrollTop ?? 0) > 0);
  assert.ok((await at()).rest <= 1, "the last line is seen");
  await page.locator("#fault-log-title").focus();
  await page.keyboard.press("Tab");
  assert.ok(await log.evaluate((pre) => pre === document.activeElement), "the keyboard comes to it");
  await page.keyboard.press("Home");
  await page.waitForFunction(() => document.getElementById("fault-lines")?.scrollTop === 0);
  await page.locator("#fault-log-title").click();
  tell({ phase: "failed", fault });
  await page.waitForFunction(() => document.querySelector('[data-event-id="5"]'));
  assert.equal(await log.isVisible(), false, "who folded it keeps it folded");
  await page.locator("#fault-log-title").click();
  await page.waitForFunction(() => (document.getElementById("fault-lines")?.scrollTop ?? 0) > 0);
  await log.evaluate((pre) => pre.scrollTo(0, 0));
  tell(build(9));
  await page.locator("#fault").waitFor({ state: "hidden" });
  tell({ phase: "failed", fault });
  await page.locator("#fault").waitFor();
  assert.ok((await at()).rest <= 1, "the same again, from its end again");
  assertClean(page);
  await page.context().close();

  for (const [look, options] of LOOKS) {
    const { page } = await played({ phase: "failed", fault }, /** @type {any} */ (options), { events: [...BEFORE, build(9)], lang: look.startsWith("zh") ? "zh-CN" : "en" });
    await page.locator("#fault").waitFor();
    await assertFits(page);
    await shoot(page, `build-failed-${look}`);
    assertClean(page);
    await page.context().close();
  }
});

const LOOKS = /** @type {const} */ ([
  ["light", {}], ["dark", { colorScheme: "dark" }], ["narrow", { viewport: { width: 360, height: 740 } }], ["narrow-dark", { viewport: { width: 360, height: 740 }, colorScheme: "dark" }],
  ["low", { viewport: { width: 740, height: 360 } }], ["zh", {}], ["zh-narrow", { viewport: { width: 360, height: 740 } }], ["still", { reducedMotion: "reduce" }],
]);

test("a build in each look, and in Chinese", { timeout: 4 * SLOW }, async () => {
  for (const [look, options] of LOOKS) {
    const { page, tell } = await played(build(3), /** @type {any} */ (options), { events: [...BEFORE, build(3)], lang: look.startsWith("zh") ? "zh-CN" : "en" });
    await page.locator("#progress").waitFor();
    await assertFits(page);
    if (look.startsWith("zh")) {
      assert.equal(await text(page, "#progress-count"), "第 3 步，共 14 步");
      assert.match(await text(page, "#progress-time"), /已用 1\s?分钟/);
      assert.deepEqual([(await bar(page)).name, (await bar(page)).said], ["构建镜像", "第 3 步，共 14 步"]);
      assert.equal(await text(page, "#progress-more summary"), "最新输出");
    }
    await shoot(page, `build-${look}`);
    tell(build(0, { number: 0, of: 0, lines: [] }));
    await page.locator("#progress-bar:indeterminate").waitFor();
    const moves = await page.locator("#progress-bar").evaluate((element) => getComputedStyle(element).animationName);
    assert.equal(moves, look === "still" ? "none" : "seek");
    await shoot(page, `build-unknown-${look}`);
    tell({ phase: "starting", step: "image", progress: { image: "registry.example:5000/team/base@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", number: 3, of: 7, text: "Downloading 41.2 MB of 120 MB", seconds: 12 } });
    await page.locator("#progress-count", { hasText: look.startsWith("zh") ? "3/7 层" : "3 of 7 layers" }).waitFor();
    await assertFits(page);
    await shoot(page, `fetch-${look}`);
    assertClean(page);
    await page.context().close();
  }
});

test("lists say how far a build is", { timeout: SLOW }, async () => {
  const body = (/** @type {number} */ n, /** @type {object} */ phase) => ({ id: String(n).repeat(32), title: `Number ${n}`, owner: "o", agent_state: "loading", head: 3, created_at: new Date().toISOString(), updated_at: new Date().toISOString(), labels: {}, clients: 0, restarts: 0, ...phase });
  const sessions = [body(1, build(3)), body(2, build(0, { of: 0 })), body(3, { phase: "ready" })];
  for (const [lang, known, unknown] of /** @type {const} */ ([["en", "Starting: building the image 3/14", "Starting: building the image"], ["zh-CN", "启动中：构建镜像 3/14", "启动中：构建镜像"]])) {
    const page = await openPage(browser, { storageState: signedIn, viewport: { width: lang === "en" ? 1280 : 360, height: 740 } });
    await page.route(/\/api\/(admin\/)?sessions\?/, (route) => route.fulfill({ json: { sessions, total: 3 } }));
    await page.route(/\/api\/admin\/sessions\/1+$/, (route) => route.fulfill({ json: sessions[0] }));
    const badges = () => page.locator(".badge[data-phase=starting]").allInnerTexts();
    await page.goto(`${server.url}/?lang=${lang}`);
    await page.locator("#sessions li").nth(2).waitFor();
    assert.deepEqual(await badges(), [known, unknown]);
    await assertFits(page);
    await shoot(page, `sessions-build-${lang}`);
    await page.goto(`${server.url}/admin`);
    await page.locator("#rows tr").nth(2).waitFor();
    assert.deepEqual(await badges(), [known, unknown]);
    await page.locator("#rows .name button").first().click();
    await page.locator("#drawer-body", { hasText: IMAGE }).waitFor();
    await shoot(page, `admin-build-${lang}`);
    assertClean(page);
    await page.context().close();
  }
});
