// A session on a low window: a phone held across, a page at 200 %. There is a conversation, and everything around it can be reached.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { assertClean, makeSession, openPage, run, scratch, shoot, signIn, startBrowser, startServer } from "./helper.mjs";
import { assertFits } from "./played.mjs";

/** Of the window's height, what must be the conversation. */
const LEAST = 0.4;

/** @type {ReturnType<typeof scratch>} */
let data;
/** @type {Awaited<ReturnType<typeof startServer>>} */
let server;
/** @type {import("playwright-core").Browser} */
let browser;

before(async () => {
  data = scratch();
  server = await startServer({ dataDir: data.folder });
  browser = await startBrowser();
});

after(async () => {
  await browser?.close();
  await server?.kill();
  data?.end();
});

/** What the Tab key comes to, from the page's beginning. @param {import("playwright-core").Page} page */
async function reached(page) {
  await page.locator("body").evaluate(() => /** @type {HTMLElement | null} */ (document.activeElement)?.blur());
  const ids = new Set();
  for (let presses = 0; presses < 40; presses += 1) {
    await page.keyboard.press("Tab");
    const { id, middle: [x = 0, y = 0] } = await page.evaluate(() => {
      const at = /** @type {HTMLElement} */ (document.activeElement);
      const { top, left, width, height } = at.getBoundingClientRect();
      return { id: at.id, middle: [left + width / 2, top + height / 2] };
    });
    const { width, height } = /** @type {{ width: number, height: number }} */ (page.viewportSize());
    if (ids.has("send") && id === "") break;
    if (id) assert.ok(x > 0 && y > 0 && x < width && y < height, `#${id} has the focus out of sight, at ${x}, ${y}`);
    ids.add(id);
  }
  return ids;
}

test("a low window has a conversation, and all around it is in reach", { timeout: 120_000 }, async () => {
  const page = await openPage(browser);
  await signIn(page, server);
  await makeSession(page, "A session with a title that is rather long for a phone");
  await run(page, "seq 1 100");
  for (const [width, height] of [[640, 360], [640, 400], [360, 320], [1280, 360]]) {
    await page.setViewportSize({ width, height });
    if (width < 896) await page.locator('[data-show="talk"]').click();
    const box = await page.locator("#scroll").boundingBox();
    assert.ok(box, "the conversation is shown");
    await shoot(page, `low-${width}x${height}`);
    assert.ok(box.height >= LEAST * height, `${width}×${height}: ${box.height} px of conversation`);
    const end = await page.locator("#send").boundingBox();
    assert.ok(end && end.y + end.height <= height, `${width}×${height}: the composer ends at ${end && end.y + end.height}`);
    await assertFits(page);
    const ids = await reached(page);
    for (const id of ["palette-open", "settings-open", "switch", "share", "stop", "show-all", "scroll", "agent-panel", "to-agent", "box"]) {
      assert.ok(ids.has(id), `${width}×${height}: Tab does not come to #${id}, only to ${[...ids]}`);
    }
  }
  assertClean(page);
});
