// The lines that divide the page: tree and editor, terminals side by side, and a second pane with the first.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { SLOW, assertClean, makeSession, openPage, run, scratch, shoot, signIn, startBrowser, startServer } from "./helper.mjs";

/** @type {Awaited<ReturnType<typeof startServer>>} */
let server;
/** @type {import("playwright-core").Browser} */
let browser;
/** @type {import("playwright-core").Page} */
let page;
const data = scratch();

before(async () => {
  [server, browser] = await Promise.all([startServer({ dataDir: data.folder }), startBrowser()]);
  page = await openPage(browser);
  await signIn(page, server);
  await makeSession(page, "Divided");
  await run(page, "echo one > one.txt");
});
after(async () => {
  await browser?.close();
  await server?.kill();
  data.end();
});

const box = async (/** @type {string} */ selector) => {
  const found = await page.locator(selector).boundingBox();
  assert.ok(found, selector);
  return found;
};
const live = () => page.locator('#connection[data-state="live"]').waitFor();
/** @param {string} line @param {number} by @param {number} down */
async function drag(line, by, down = 0) {
  const { x, y, width, height } = await box(line);
  const [from, at] = [x + width / 2, y + height / 2];
  await page.mouse.move(from, at);
  await page.mouse.down();
  await page.mouse.move(from + by, at + down, { steps: 4 });
  await page.mouse.up();
}
const near = (/** @type {number} */ is, /** @type {number} */ wanted, /** @type {string} */ what) => assert.ok(Math.abs(is - wanted) < 12, `${what}: ${is}, not ${wanted}`);

test("the line between tree and editor is moved by mouse and keys, in either direction, and remembered", { timeout: SLOW }, async () => {
  await page.locator("#tree [role=treeitem]", { hasText: "one.txt" }).click();
  await page.locator("#editor").waitFor();
  const line = page.locator("#files-divider");
  await page.locator('#files-divider[aria-orientation="horizontal"]').waitFor(); // one above the other at this width
  const before = await box("#tree");
  await drag("#files-divider", 0, 90);
  const after = await box("#tree");
  near(after.height, before.height + 90, "the tree's height");
  await line.focus();
  const value = Number(await line.getAttribute("aria-valuenow"));
  await page.keyboard.press("ArrowUp");
  assert.equal(Number(await line.getAttribute("aria-valuenow")), value - 2);
  const height = (await box("#tree")).height;
  await page.reload();
  await live();
  await page.locator("#tree [role=treeitem]", { hasText: "one.txt" }).click();
  await page.locator("#editor").waitFor();
  near((await box("#tree")).height, height, "remembered");
  await page.locator("#divider").focus();
  await page.keyboard.press("Home");
  await page.locator('#files-divider[aria-orientation="vertical"]').waitFor();
  const width = (await box("#tree")).width;
  await page.locator("#files-divider").focus();
  for (const _ of [1, 2, 3]) await page.keyboard.press("ArrowRight");
  const wider = (await box("#tree")).width;
  assert.ok(wider > width + 20, `${wider} is wider than ${width}`);
  await shoot(page, "divided-files");
  await line.dblclick();
  near((await box("#tree")).width, width, "as usual again");
  await page.locator("#divider").dblclick();
  assert.equal(await page.locator("#divider").getAttribute("aria-valuenow"), "52");
  await page.locator("#editor-close").click();
  await line.waitFor({ state: "hidden" });
});

test("terminals beside each other are divided as one likes, also after a reload", { timeout: 2 * SLOW }, async () => {
  await page.locator("#tab-terminal").click();
  const pane = page.locator("#pane-terminal");
  await pane.getByRole("button", { name: "Open a terminal" }).click();
  await pane.locator('.term-panel[data-state="open"]').waitFor({ timeout: SLOW });
  await pane.getByRole("button", { name: "Split", exact: true }).click();
  await pane.locator('.term-panel[data-state="open"]:visible').nth(1).waitFor({ timeout: SLOW });
  const widths = () => pane.locator(".term-panel:visible").evaluateAll((all) => all.map((one) => one.getBoundingClientRect().width));
  const [left = 0, right = 0] = await widths();
  near(left, right, "equal at first");
  assert.equal(await pane.locator(".term-split:visible").count(), 1);
  await drag("#pane-terminal .term-split:visible", -80);
  near((await widths())[0] ?? 0, left - 80, "the left one");
  await pane.locator(".term-split:visible").focus();
  await page.keyboard.press("ArrowLeft");
  const [kept = 0] = await widths();
  assert.ok(kept < left - 84, String(kept));
  await shoot(page, "divided-terminals");
  await page.reload();
  await live();
  await pane.locator('.term-panel[data-state="open"]:visible').nth(1).waitFor({ timeout: SLOW });
  near((await widths())[0] ?? 0, kept, "remembered");
});

test("a second pane is seen with the first, each opened once, and hidden where there is no room", { timeout: 2 * SLOW }, async () => {
  await page.locator("#tab-files").click();
  const two = page.getByRole("button", { name: "Show a second pane" });
  await two.click();
  const select = page.getByLabel("Second pane").and(page.locator("select"));
  assert.equal(await select.inputValue(), "terminal");
  const [files, terminal] = [await box("#files"), await box("#pane-terminal")];
  assert.ok(terminal.y > files.y + files.height, "below");
  await page.locator("#pane-terminal .term-panel:visible").first().waitFor();
  await drag(".pane-line", 0, -60);
  near((await box("#files")).height, files.height - 60, "the first one's height");
  await select.selectOption("timeline");
  await page.locator("#pane-timeline").waitFor();
  assert.equal(await page.locator("#pane-terminal").isVisible(), false);
  await page.locator("#tab-timeline").click(); // they change places
  assert.equal(await select.inputValue(), "files");
  assert.ok((await box("#files")).y > (await box("#pane-timeline")).y);
  assert.equal(await page.locator("#tab-timeline").getAttribute("aria-selected"), "true");
  await select.selectOption("timeline"); // and back
  assert.equal(await select.inputValue(), "timeline");
  await select.selectOption("terminal");
  await shoot(page, "two-panes");
  for (const name of ["timeline", "terminal"]) assert.equal(await page.locator(`#pane-${name}`).count(), 1, name);
  const height = (await box("#files")).height;
  await page.reload();
  await live();
  await page.locator("#pane-terminal .term-panel:visible").first().waitFor({ timeout: SLOW });
  near((await box("#files")).height, height, "remembered");
  await page.setViewportSize({ width: 2000, height: 1000 });
  await page.locator('.pane-line[aria-orientation="vertical"]').waitFor();
  assert.ok((await box("#pane-terminal")).x > (await box("#files")).x + 100, "beside, where it is wide");
  await page.setViewportSize({ width: 700, height: 800 });
  await page.locator("#tab-files").click();
  assert.equal(await page.locator("#pane-terminal").isVisible(), false, "no room");
  assert.equal(await two.isVisible(), false);
  await page.locator("#tab-terminal").click();
  assert.equal(await page.locator("#files").isVisible(), false);
  await page.setViewportSize({ width: 1280, height: 800 });
  await page.locator(".second-bar").waitFor();
  assert.ok(await page.locator("#files").isVisible());
  await page.getByRole("button", { name: "Close the second pane" }).click();
  assert.equal(await page.locator("#files").isVisible(), false);
  assert.equal(await two.getAttribute("aria-pressed"), "false");
  assertClean(page);
});

test("at 360 px every tool of the terminal lies inside, and a session is renamed from the header's menu", { timeout: 2 * SLOW }, async () => {
  await page.setViewportSize({ width: 360, height: 740 });
  await page.locator("#tab-terminal").click();
  await page.locator("#pane-terminal .term-panel:visible").first().waitFor();
  const tools = await page.locator("#pane-terminal :is(.term-top, .term-tools) > button:visible").evaluateAll((all) => all.map((one) => {
    const { left, right, top, bottom } = one.getBoundingClientRect();
    return { name: one.textContent ?? "", left, right, top, bottom };
  }));
  assert.ok(tools.length >= 7, tools.map(({ name }) => name).join());
  for (const [index, one] of tools.entries()) {
    assert.ok(one.left >= 0 && one.right <= 360, `${one.name} is inside`);
    for (const other of tools.slice(index + 1)) assert.ok(one.right <= other.left + 1 || other.right <= one.left + 1 || one.bottom <= other.top + 1 || other.bottom <= one.top + 1, `${one.name} and ${other.name} are apart`);
  }
  await shoot(page, "narrow-terminal");
  const more = page.getByRole("button", { name: "More with this session" });
  await more.click();
  await shoot(page, "narrow-more");
  await page.keyboard.press("Escape");
  await page.waitForFunction(() => document.activeElement?.id === "head-more");
  await page.keyboard.press("Enter");
  await page.getByRole("menuitem", { name: "Rename" }).press("Enter");
  await page.getByRole("dialog").getByRole("textbox").fill("Renamed by hand");
  await page.keyboard.press("Enter");
  await page.locator("#title", { hasText: "Renamed by hand" }).waitFor();
  await more.click();
  await page.getByRole("menuitem", { name: "Delete" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
  await page.setViewportSize({ width: 1280, height: 800 });
  await more.waitFor({ state: "hidden" });
  assertClean(page);
});
