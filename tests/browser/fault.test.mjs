// A sandbox that can't be had: what the page says of it, and how the session comes back.

import assert from "node:assert/strict";
import { renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { ENGINE, SLOW, assertClean, assertEachOnce, docker, openPage, run, scratch, shoot, signIn, startBrowser, startServer } from "./helper.mjs";

/** Why no sandbox can be had, and how that ends. @param {string} dataDir */
function trouble(dataDir) {
  if (ENGINE === "docker") {
    const image = `staithe-test/absent-${process.pid}:1`;
    const mend = () => docker("tag", "staithe-test/work:1", image);
    return { env: { STAITHE__SANDBOX__RUNTIME_CONTAINER_IMAGE: image }, cause: /absent/, begin: () => {}, mend, end: () => docker("rmi", image) };
  }
  const folder = path.join(dataDir, "sandboxes");
  const begin = () => {
    renameSync(folder, `${folder}.away`);
    writeFileSync(folder, "no folder");
  };
  const mend = () => {
    rmSync(folder);
    renameSync(`${folder}.away`, folder);
  };
  return { env: {}, cause: /Not a directory/, begin, mend, end: () => {} };
}

test("a failed start is explained, and can be tried again", { timeout: 4 * SLOW }, async (t) => {
  const data = scratch();
  const { env, cause, begin, mend, end } = trouble(data.folder);
  const server = await startServer({ dataDir: data.folder, env });
  const browser = await startBrowser();
  t.after(async () => {
    await browser.close();
    await server.kill();
    data.end();
    end();
  });
  const page = await openPage(browser);
  await signIn(page, server);
  begin();

  await page.getByLabel("Title").fill("Run aground");
  await page.locator("#new-submit").click();
  await page.waitForURL(/\/sessions\/[0-9a-f]{32}$/);
  await page.locator('#phase[data-phase="failed"]').waitFor({ timeout: SLOW });
  const session = page.url().split("/").at(-1) ?? "";
  await page.locator("#fault").waitFor();
  assert.match(await page.locator("#fault-cause").innerText(), cause);
  assert.match(await page.locator("#fault-remedy").innerText(), /\w{4}/);
  assert.match(await page.locator("#fault-code").innerText(), /^sandbox\./);
  assert.ok(await page.locator("#box").evaluate((box) => /** @type {HTMLTextAreaElement} */ (box).readOnly), "nothing can be typed");
  for (const [name, options] of /** @type {const} */ ([["light", {}], ["dark", { colorScheme: "dark" }], ["narrow", { viewport: { width: 360, height: 740 } }]])) {
    const other = await openPage(browser, { ...options, storageState: await page.context().storageState() });
    await other.goto(page.url());
    await other.locator("#fault").waitFor();
    const wide = await other.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(wide <= 0, `${wide} px too wide (${name})`);
    await shoot(other, `fault-${name}`);
    if (name === "light") {
      await other.goto(server.url);
      await other.locator(`[data-session="${session}"] .fault-line`).waitFor();
      await shoot(other, "sessions-fault");
      await other.goto(`${page.url()}?lang=zh-CN`);
      await other.locator("#fault").waitFor();
      assert.match(await other.locator("#fault-remedy").innerText(), /[\u4e00-\u9fff]/);
      await shoot(other, "zh-fault");
    }
    assertClean(other);
    await other.context().close();
  }

  mend();
  await page.locator("#fault-start").click();
  await page.locator('#phase[data-phase="ready"]').waitFor({ timeout: SLOW });
  await page.locator("#fault").waitFor({ state: "hidden" });
  assert.match(await run(page, "echo afloat again"), /afloat/);
  await assertEachOnce(page, session);
  assertClean(page);
});
