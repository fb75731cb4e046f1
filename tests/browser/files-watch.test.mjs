// The pane of files says where changes are not told, and goes on by itself or when somebody tries again.

import assert from "node:assert/strict";
import { test } from "node:test";
import { inTree, stage } from "./edited.mjs";
import { SLOW, assertClean } from "./helper.mjs";

const { pane, put } = stage();

/**
 * A page that is connected to the real server, but for the answers to its first watches.
 * @param {object[]} answers @param {import("playwright-core").BrowserContextOptions} [options]
 */
function refused(answers, options = {}) {
  const left = [...answers];
  return pane(options, async (page) => {
    await page.routeWebSocket(/\/ws\?/, (ws) => {
      const server = ws.connectToServer();
      ws.onMessage((text) => {
        const frame = typeof text === "string" ? JSON.parse(text) : {};
        const answer = frame.type === "watch" ? left.shift() : undefined;
        if (answer) ws.send(JSON.stringify({ ref: frame.ref, ...answer }));
        else server.send(text);
      });
    });
  });
}

test("a watch that is refused is told with its reason, and begun when somebody tries again", { timeout: SLOW }, async () => {
  await put("seen.txt", "1\n");
  const denied = { type: "denied", code: "watch.too_many", reason: "at most 8 watches on one socket" };
  const page = await refused([denied, denied]);
  const note = page.locator("#files-unwatched");
  await note.getByText("isn't followed here: at most 8 watches on one socket (watch.too_many). “Refresh” reads the files again.").waitFor();
  await page.locator("#announce", { hasText: "isn't followed here" }).waitFor({ state: "attached" });
  await inTree(page, "seen.txt").waitFor();
  await put("later.txt", "2\n");
  await page.locator("#refresh").click();
  await inTree(page, "later.txt").waitFor();

  const again = note.getByRole("button", { name: "Try again" });
  await again.focus();
  await page.keyboard.press("Enter"); // refused once more: the words and the focus stay
  await page.keyboard.press("Enter");
  await note.waitFor({ state: "hidden" });
  assert.equal(await page.evaluate(() => document.activeElement?.id), "refresh", "the focus goes on");
  await put("told.txt", "3\n");
  await inTree(page, "told.txt").waitFor();
  assertClean(page);
});

test("a watch that can't be had just now is begun again by itself; what is too much to be followed is told", { timeout: SLOW }, async () => {
  const page = await refused([{ type: "unavailable", code: "session.busy", reason: "later", retry_after: 0.2 }]);
  await page.locator("#announce", { hasText: "isn't followed here: later (session.busy)" }).waitFor({ state: "attached" });
  await page.locator("#files-unwatched").waitFor({ state: "hidden" });
  await put("by-itself.txt", "1\n");
  await inTree(page, "by-itself.txt").waitFor();
  await page.context().close();

  const other = await pane({ locale: "zh-CN", viewport: { width: 360, height: 700 } }, async (one) => {
    await one.routeWebSocket(/\/ws\?/, (ws) => {
      const server = ws.connectToServer();
      server.onMessage((text) => {
        const frame = typeof text === "string" ? JSON.parse(text) : {};
        ws.send(frame.type === "files" ? JSON.stringify({ ...frame, limited: true }) : text);
      });
    });
  });
  await put("limited.txt", "1\n");
  await other.locator("#files-unwatched", { hasText: "文件太多" }).waitFor();
  assert.equal(await other.locator("#files-unwatched button").isVisible(), false, "there is nothing to try");
  assert.ok(await other.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth), "it fits");
  assertClean(other);
});
