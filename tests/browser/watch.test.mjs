// Files change under an open page: the tree follows, and nobody's work is lost unseen.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { SLOW, assertClean, makeSession, openPage, run, scratch, signIn, startBrowser, startServer, type } from "./helper.mjs";
import { area, inTree, shows, textOf } from "./edited.mjs";

const data = scratch();
/** @type {Awaited<ReturnType<typeof startServer>>} */
let server;
/** @type {import("playwright-core").Browser} */
let browser;

before(async () => {
  server = await startServer({ dataDir: data.folder });
  browser = await startBrowser();
});
afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
});
after(async () => {
  await browser?.close();
  await server?.kill();
  data.end();
});

test("what a command in the background does appears while nothing else happens", { timeout: 3 * SLOW }, async () => {
  const page = await openPage(browser);
  await signIn(page, server);
  await makeSession(page, "Live tree");
  await run(page, "mkdir folder; echo 1 > folder/first.txt; echo 1 > watched.txt");
  await inTree(page, "folder").click();
  await inTree(page, "first.txt").waitFor();
  await inTree(page, "watched.txt").click();
  await shows(page, "1\n");
  await run(page, "(sleep 2; echo 2 > folder/second.txt; echo 2 > watched.txt; sleep 6; mv folder moved; rm watched.txt) > /dev/null 2>&1 &");
  await inTree(page, "second.txt").waitFor({ timeout: SLOW });
  await shows(page, "2\n");
  await inTree(page, "moved").waitFor({ timeout: SLOW });
  await inTree(page, "folder").waitFor({ state: "hidden" });
  await page.locator("#conflict").waitFor();
  assertClean(page);
});

test("two tabs that edit one file see each other", { timeout: 3 * SLOW }, async () => {
  const one = await openPage(browser);
  await signIn(one, server);
  await makeSession(one, "Two tabs");
  await run(one, "echo base > shared.txt");
  const two = await openPage(browser, { storageState: await one.context().storageState() });
  await two.goto(one.url());
  for (const page of [one, two]) {
    await inTree(page, "shared.txt").click();
    await shows(page, "base\n");
  }
  await area(two).press("Control+Home");
  await area(two).pressSequentially("two ");
  await area(one).press("Control+Home");
  await area(one).pressSequentially("one ");
  await area(one).press("Control+s");
  await one.locator("#dirty").waitFor({ state: "hidden" });
  await two.locator("#conflict").waitFor({ timeout: SLOW });
  assert.equal(await textOf(two), "two base\n", "nothing is taken away");
  assert.ok(await two.locator("#save").isDisabled(), "nothing is overwritten unasked");
  await two.locator("#keep-mine").click();
  await two.locator("#conflict").waitFor({ state: "hidden" });
  await shows(one, "two base\n");
  await type(one, "cat shared.txt");
  for (const page of [one, two]) assertClean(page);
});
