// The server goes away under an open page and comes back on the same data and the same port.

import assert from "node:assert/strict";
import { test } from "node:test";
import { SLOW, assertClean, assertEachOnce, card, makeSession, openPage, run, scratch, shoot, startBrowser, startServer, type } from "./helper.mjs";

test("the page comes back by itself after kill -9 and doubles nothing", { timeout: 4 * SLOW }, async (t) => {
  const data = scratch();
  let server = await startServer({ dataDir: data.folder });
  const browser = await startBrowser();
  t.after(async () => {
    await browser.close();
    await server.kill();
    data.end();
  });
  const page = await openPage(browser);
  await page.goto(server.login_url);
  const session = await makeSession(page, "Survivor");
  await run(page, "echo before the crash");
  await assertEachOnce(page, session);

  await server.kill("SIGKILL");
  await page.locator('#connection:not([data-state="live"])').waitFor();
  await shoot(page, "reconnecting");
  await type(page, "echo typed while it was away"); // kept, and sent once the server is back
  await page.locator("#pending", { hasText: "echo typed while it was away" }).waitFor();
  server = await startServer({ dataDir: data.folder, port: server.port });
  await page.locator('#connection[data-state="live"]').waitFor({ timeout: SLOW });
  await page.locator('#phase[data-phase="ready"]').waitFor({ timeout: SLOW });
  await card(page, "echo typed while it was away").locator('[data-exit="0"]').waitFor({ timeout: SLOW });
  await run(page, "echo after the crash");
  await assertEachOnce(page, session);
  for (const command of ["echo before the crash", "echo typed while it was away", "echo after the crash"]) {
    assert.equal(await page.locator("#events > .runcard .cmd", { hasText: command }).count(), 1, command);
  }
  await page.reload();
  await page.locator('#connection[data-state="live"]').waitFor();
  await assertEachOnce(page, session);
  assert.equal(await page.locator("#pending > li").count(), 0);
  assertClean(page);
});
