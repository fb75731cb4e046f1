// Phases that a test can't have the real server take at will: the queue, sleep and its reasons. The page is the
// real one; its WebSocket is played.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ENGINE, SLOW, assertClean, openPage, shoot } from "./helper.mjs";
import { assertFits, browser, played, server, signedIn, stage, text } from "./played.mjs";

stage();

test("a place in the queue is shown as it changes, and spoken seldom", { timeout: 2 * SLOW }, async () => {
  const queue = (/** @type {number} */ position) => ({ phase: "starting", step: "queue", position });
  const { page, tell } = await played(queue(4), {}, { events: [{ phase: "starting" }, queue(4)] });
  await page.locator("#start-title", { hasText: "Waiting for a place: number 4" }).waitFor();
  assert.match(await text(page, "#start-note"), /turn/);
  assert.ok(await page.locator("#start-steps").isHidden(), "it isn't said twice");
  assert.equal(await text(page, "#phase"), "Starting: waiting for a place", "the badge is spoken, so it has no number");
  assert.match(await text(page, "#announce"), /number 4/);
  await shoot(page, "queue-light");
  tell(queue(3));
  await page.locator("#start-title", { hasText: "number 3" }).waitFor();
  assert.match((await page.locator("#announce").textContent()) ?? "", /number 4/, "not each step forward is spoken");
  tell(queue(1));
  await page.locator("#announce", { hasText: "number 1" }).waitFor();

  for (const step of ["find", "image"]) tell({ phase: "starting", step });
  await page.locator('#start-steps [aria-current="step"]', { hasText: "fetching the image" }).waitFor();
  assert.deepEqual(await page.locator("#start-steps li").evaluateAll((all) => all.map((li) => /** @type {HTMLElement} */ (li).dataset.state)), ["done", "done", "running"]);
  assert.equal(await text(page, "#start-title"), "The sandbox is being started");
  assert.match(await text(page, "#start-time"), /\d+ sec so far/);
  await shoot(page, "start-steps-light");
  for (const step of ["create", "start", "connect", "init"]) tell({ phase: "starting", step });
  await page.locator("#start-steps", { hasText: "setting the sandbox up" }).waitFor();
  tell({ phase: "ready" });
  await page.locator("#start").waitFor({ state: "hidden" });
  assertClean(page);
  await page.context().close();
});

test("a sleeping session says why, and how it is woken", { timeout: 2 * SLOW }, async () => {
  for (const [reason, words] of /** @type {const} */ ([["idle", /Nobody used it/], ["age", /as long as it may/], ["drain", /going down/], ["limits", /As many sessions run as may/]])) {
    const { page } = await played({ phase: "suspended", reason });
    await page.locator("#asleep").waitFor();
    assert.match(await text(page, "#asleep"), words);
    assert.match(await text(page, "#asleep"), /command, a message or the button/);
    assert.ok(!(await page.locator("#box").evaluate((box) => /** @type {HTMLTextAreaElement} */ (box).readOnly)), "a command can be typed");
    const [woken] = await Promise.all([page.waitForRequest(/\/start$/), page.getByRole("button", { name: "Wake" }).click()]);
    assert.equal(woken.method(), "POST");
    assertClean(page);
    await page.context().close();
  }
  const { page } = await played({ phase: "suspended", reason: "idle" }, {}, { role: "viewer" });
  await page.locator("#asleep").waitFor();
  assert.doesNotMatch(await text(page, "#asleep"), /command/);
  assert.equal(await page.getByRole("button", { name: "Wake" }).count(), 0, "a viewer wakes nothing");
  assertClean(page);
  await page.context().close();
});

test("a stopped session says that its time was over, and changed settings are told once", { timeout: 2 * SLOW }, async () => {
  const { page, tell } = await played({ phase: "stopped", reason: "age" });
  assert.match(await text(page, "#stopped"), /as long as it may/);
  tell({ phase: "starting" });
  tell({ phase: "starting", step: "find" });
  tell({ phase: "starting", step: "find", reason: "settings_kept" });
  await page.locator("#notices", { hasText: "made with other settings" }).waitFor();
  tell({ phase: "starting", step: "start" });
  tell({ phase: "ready" });
  await page.locator("#start").waitFor({ state: "hidden" });
  assert.equal(await page.locator("#notices .notice").count(), 1);
  const line = page.locator("#events .slim", { hasText: "made with other settings" });
  assert.equal(await line.count(), 1);
  assert.ok(await line.isVisible(), "what people may wonder about is no minor event");
  assert.equal(await page.locator("#events .slim", { hasText: "starting the sandbox" }).isVisible(), false, "a step is one");
  tell({ phase: "starting", reason: "restart" });
  await page.locator("#start-note", { hasText: "ended by itself" }).waitFor();
  assertClean(page);
  await page.context().close();
});

test("these phases in each look, and in Chinese", { timeout: 4 * SLOW }, async () => {
  const looks = /** @type {const} */ ([["dark", { colorScheme: "dark" }], ["narrow", { viewport: { width: 360, height: 740 } }], ["zh", {}]]);
  const steps = ["queue", "find", "image"].map((step) => ({ phase: "starting", step }));
  const phases = /** @type {const} */ ([
    ["queue", { phase: "starting", step: "queue", position: 12 }, "#start", [{ phase: "starting" }, { phase: "starting", step: "queue", position: 12 }]],
    ["steps", { phase: "starting", step: "image" }, "#start", [{ phase: "starting" }, ...steps]],
    ["asleep", { phase: "suspended", reason: "idle" }, "#asleep", [{ phase: "ready" }, { phase: "suspended", reason: "idle" }]],
  ]);
  for (const [look, options] of looks) {
    for (const [name, phase, shown, events] of phases) {
      const { page } = await played(phase, /** @type {any} */ (options), { events: /** @type {any} */ (events), lang: look === "zh" ? "zh-CN" : "en" });
      await page.locator(shown).waitFor();
      await assertFits(page);
      if (look === "zh") assert.match(await text(page, shown), /[\u4e00-\u9fff]{4}/);
      await shoot(page, `${name}-${look}`);
      assertClean(page);
      await page.context().close();
    }
  }
});

test("lists say the place and the reason", { timeout: SLOW }, async () => {
  const body = (/** @type {number} */ n, /** @type {object} */ phase) => ({ id: String(n).repeat(32), title: `Number ${n}`, owner: "o", agent_state: "loading", head: 3, created_at: new Date().toISOString(), updated_at: new Date().toISOString(), labels: {}, clients: 0, ...phase });
  const sessions = [body(1, { phase: "starting", step: "queue", position: 1234 }), body(2, { phase: "suspended", reason: "drain" }), body(3, { phase: "ready" })];
  const page = await openPage(browser, { storageState: signedIn });
  await page.route(/\/api\/(admin\/)?sessions\?/, (route) => route.fulfill({ json: { sessions, total: 3 } }));
  await page.goto(`${server.url}/?lang=en`);
  await page.locator("#sessions", { hasText: "Waiting for a place: number 1,234" }).waitFor();
  assert.match(await page.locator(`[data-session="${"2".repeat(32)}"]`).innerText(), /going down/);
  await shoot(page, "sessions-phases");
  await page.goto(`${server.url}/admin`);
  await page.locator("#rows", { hasText: "number 1,234" }).waitFor();
  assertClean(page);
  await page.context().close();
});

test("the engine's facts are for operators, and what it lacks is a warning", { timeout: SLOW }, async () => {
  const page = await openPage(browser, { storageState: signedIn });
  const open = await (await fetch(`${server.url}/health`)).json();
  assert.deepEqual(Object.keys(open.engine).sort(), ["isolation", "kind"]);
  assert.equal((await fetch(`${server.url}/api/admin/engine`)).status, 401);
  const real = await (await page.request.get(`${server.url}/api/admin/engine`)).json();
  assert.deepEqual([real.kind, real.waiting, real.ready], [ENGINE, 0, 1]);
  await page.route("**/api/admin/engine", (route) => route.fulfill({ json: { kind: "docker", facts: [{ name: "engine", value: "docker 28.5.2" }, { name: "user namespaces", value: "no" }, { name: "something new", value: "" }], lacks: ["sandbox.docker.cpus: the engine has 2 processors; the limit is cut down to that"], pause: true, pool: true, waiting: 3, starting: 2, ready: 7 } }));
  await page.goto(`${server.url}/admin?lang=en`);
  await page.locator("#engine", { hasText: "docker 28.5.2" }).waitFor();
  assert.match(await text(page, "#engine"), /User namespaces\s+no/);
  assert.match(await text(page, "#engine .alert"), /2 processors/);
  await page.locator("#starts", { hasText: "Waiting: 3" }).waitFor();
  await page.goto(`${server.url}/admin?lang=zh-CN`);
  await page.locator("#engine .alert", { hasText: "引擎只有 2 个处理器" }).waitFor();
  assertClean(page);
  await page.context().close();
});
