// The agent's browser for real: the machine's own Chromium in a sandbox, and its pages in the pane.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ENGINE, SLOW, assertClean, makeSession, openPage, run, scratch, shoot, signIn, startBrowser, startServer } from "./helper.mjs";

// An image with it is larger by 700 MB; what asks it in one is tests/docker_agent.rs.
const skip = ENGINE !== "local" && "it takes the machine's own Chromium";
const data = scratch();
/** @type {Awaited<ReturnType<typeof startServer>>} */
let server;
/** @type {import("playwright-core").Browser} */
let browser;

before(async () => {
  server = await startServer({ dataDir: data.folder, env: { STAITHE__SANDBOX__PLUGINS: "browser" } });
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  await server?.kill();
  data.end();
});

test("a page that the sandbox's browser opens is seen as it is drawn and read", { timeout: 4 * SLOW, skip }, async () => {
  const page = await openPage(browser);
  await signIn(page, server);
  await makeSession(page, "Looking");
  await run(page, "mkdir site && echo '<title>Quay</title><h1>Front page</h1><a href=two.html>More</a>' > site/index.html && echo '<h1>Second page</h1>' > site/two.html");
  await run(page, "python3 -u -m http.server 0 --bind 127.0.0.1 --directory site > log 2>&1 &");
  const [, port] = /port (\d+)/.exec(await run(page, "until grep port log; do sleep 0.1; done")) ?? [];
  await page.locator("#tab-browser").click();
  const pane = page.locator("#pane-browser");
  const address = pane.getByLabel("Address", { exact: true });
  await address.fill(`127.0.0.1:${port}`);
  await address.press("Enter");
  await pane.getByText(`In the browser: http://127.0.0.1:${port}`).waitFor();
  await pane.locator(".seen-url", { hasText: `http://127.0.0.1:${port}` }).waitFor({ timeout: 2 * SLOW });
  const width = () => pane.getByRole("img").evaluate((img) => /** @type {HTMLImageElement} */ (img).decode().then(() => /** @type {HTMLImageElement} */ (img).naturalWidth));
  assert.ok(await width() > 300, "its picture");
  await pane.getByText("Text of the page").click();
  await pane.locator("pre", { hasText: "Front page" }).waitFor();
  await address.fill(`127.0.0.1:${port}/two.html`);
  await address.press("Enter");
  await pane.getByText("2 of 2").waitFor({ timeout: SLOW });
  await pane.locator("pre", { hasText: "Second page" }).waitFor({ state: "attached" });
  await pane.getByRole("button", { name: "The page before" }).click();
  await pane.locator("pre", { hasText: "Front page" }).waitFor({ state: "attached" });
  await shoot(page, "seen");
  assertClean(page);
});
