// A server that is there and says nothing, or is gone: the pages say so in time, and go on by themselves.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { SLOW, assertClean, assertEachOnce, card, makeSession, openPage, run, scratch, shoot, signIn, startBrowser, startServer, type } from "./helper.mjs";

/** @type {Awaited<ReturnType<typeof startServer>>} */
let server;
/** @type {import("playwright-core").Browser} */
let browser;
const data = scratch();

before(async () => {
  [server, browser] = await Promise.all([startServer({ dataDir: data.folder }), startBrowser()]);
});
after(async () => {
  await browser?.close();
  await server?.kill();
  data.end();
});

test("a hung server is noticed within ten seconds, and what was sent to it happens once", { timeout: 3 * SLOW }, async () => {
  const page = await openPage(browser);
  await signIn(page, server);
  const session = await makeSession(page, "Hung");
  await run(page, "echo before");
  server.signal("SIGSTOP");
  try {
    await type(page, "echo while it hangs");
    const connection = page.locator("#connection");
    await page.locator('#connection[data-state="silent"]').waitFor({ timeout: 20_000 });
    assert.match(await connection.innerText(), /server does not answer/);
    await shoot(page, "silent");
  } finally {
    server.signal("SIGCONT");
  }
  await page.locator('#connection[data-state="live"]').waitFor();
  await card(page, "echo while it hangs").locator('[data-exit="0"]').waitFor({ timeout: SLOW });
  await assertEachOnce(page, session);
  assert.equal(await page.locator("#events > .runcard .cmd", { hasText: "echo while it hangs" }).count(), 1);
  assert.equal(await page.locator("#pending > li").count(), 0);
  assertClean(page);
  await page.context().close();
});

test("the operator's page says at the top that the server is gone and since when, offers nothing that can't work, and comes back", { timeout: 3 * SLOW }, async () => {
  const page = await openPage(browser);
  await signIn(page, server);
  await page.goto(`${server.url}/admin?lang=en`);
  await page.locator("#rows tr[data-session]").first().waitFor();
  await page.locator("#health.ok").waitFor();
  const colour = () => page.locator('#counts [data-count=""] strong').evaluate((element) => getComputedStyle(element).color);
  const fresh = await colour();
  assert.equal(await page.locator("#silence").isVisible(), false);
  await server.kill("SIGKILL");
  await page.locator("#silence", { hasText: /has not answered since \d/ }).waitFor({ timeout: 12_000 });
  assert.equal(await page.locator("#health").innerText(), "no answer");
  assert.equal(await page.locator("#health.ok").count(), 0, "no green badge");
  assert.notEqual(await colour(), fresh, "the figures are grey");
  for (const button of ["#drain", "#reconcile", "#rows [data-act=delete]"]) assert.ok(await page.locator(button).first().isDisabled(), button);
  await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
  const top = (await page.locator("#silence").boundingBox())?.y ?? -1;
  assert.ok(top >= 0 && top < 100, `in sight wherever one is: ${top}`);
  await shoot(page, "admin-silent");
  server = await startServer({ dataDir: data.folder, port: server.port });
  await page.locator("#silence").waitFor({ state: "hidden" });
  await page.locator("#health.ok").waitFor();
  for (const button of ["#drain", "#reconcile", "#rows [data-act=delete]"]) assert.ok(await page.locator(button).first().isEnabled(), button);
  assertClean(page);
  await page.context().close();
});
