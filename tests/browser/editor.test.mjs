// The editor: saving, conflicts, what is no text, and a build without the library.

import assert from "node:assert/strict";
import { test } from "node:test";
import { area, inTree, shows, stage, textOf, until } from "./edited.mjs";
import { SLOW, assertClean } from "./helper.mjs";

const { content, pane, put } = stage();

/** A page as a build without the library makes it. @param {import("playwright-core").Page} page */
const withoutLibrary = (page) => page.addInitScript(() => {
  new MutationObserver((_, observer) => {
    if (!document.documentElement) return;
    document.documentElement.dataset.libraries = "no";
    observer.disconnect();
  }).observe(document, { childList: true });
});

test("texts are edited under tabs, saved as their lines end, and not closed unsaved unasked", { timeout: 2 * SLOW }, async () => {
  await put("edit/unix.py", "def f():\n    return 1\n");
  await put("edit/windows.txt", "one\r\ntwo\r\n");
  await put("edit/mixed.txt", "one\r\ntwo\nthree\r\n");
  const page = await pane();
  await inTree(page, "edit").click();
  await inTree(page, "unix.py").click();
  await shows(page, "def f():\n    return 1\n");
  await page.locator("#editor-status", { hasText: "Line 1, column 1 · Python · LF" }).waitFor();
  const colour = await page.locator(".cm-line span", { hasText: /^def$/ }).evaluate((span) => getComputedStyle(span).color);
  assert.notEqual(colour, await page.locator(".cm-content").evaluate((span) => getComputedStyle(span).color), "keywords have a colour");
  await page.keyboard.press("Control+End");
  await page.keyboard.type("x = (2");
  await shows(page, "def f():\n    return 1\nx = (2)"); // brackets come in pairs
  await page.keyboard.press("Control+z");
  await page.keyboard.type("y = 3\n");
  await page.locator('.editor-tab[data-state="unsaved"]').waitFor();

  await inTree(page, "windows.txt").click();
  await shows(page, "one\ntwo\n");
  await page.locator("#editor-status", { hasText: "CRLF" }).waitFor();
  await page.keyboard.press("Control+End");
  await page.keyboard.type("three\n");
  await page.keyboard.press("Control+s");
  await until(() => content("edit/windows.txt"), (text) => text === "one\r\ntwo\r\nthree\r\n", "CRLF is kept");
  await inTree(page, "mixed.txt").click();
  await page.locator("#editor-status", { hasText: "Mixed line endings" }).waitFor();
  await page.keyboard.type("zero ");
  await page.keyboard.press("Control+s");
  await until(() => content("edit/mixed.txt"), (text) => text === "zero one\r\ntwo\nthree\r\n", "so are mixed ones");

  assert.equal(await page.locator("#editor-tabs [role=tab]").count(), 3);
  await page.locator("#editor-tabs [role=tab][aria-selected=true]").focus();
  await page.keyboard.press("Home");
  await page.locator("#dirty").waitFor();
  await page.keyboard.press("Delete");
  await page.getByRole("dialog").getByText("edit/unix.py").waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "Save" }).click();
  await until(() => content("edit/unix.py"), (text) => Boolean(text?.includes("y = 3\n")), "saved on closing");
  await page.locator("#editor-tabs [role=tab]").nth(1).waitFor();
  assert.equal(await page.locator("#editor-tabs [role=tab]").count(), 2);
  assertClean(page);
});

test("what somebody else wrote meanwhile is overwritten, taken or merged, as is chosen", { timeout: 2 * SLOW }, async () => {
  const base = "first\nmiddle\nlast\n";
  const page = await pane();
  /** @param {string} name */
  const conflict = async (name) => {
    await put(`both/${name}`, base);
    await page.locator("#find").fill(name);
    await page.locator("#found-list").getByRole("button", { name: `both/${name}` }).click();
    await shows(page, base);
    await page.keyboard.type("mine ");
    await put(`both/${name}`, "first\nmiddle\nlast theirs\n");
    await page.locator("#conflict").waitFor();
    assert.equal(await textOf(page), `mine ${base}`, "nothing is taken away");
  };
  await conflict("keep.txt");
  await page.locator("#keep-mine").click();
  await until(() => content("both/keep.txt"), (text) => text === `mine ${base}`, "mine is kept");

  await conflict("take.txt");
  await page.locator("#take-theirs").click();
  await shows(page, "first\nmiddle\nlast theirs\n");
  assert.equal(await content("both/take.txt"), "first\nmiddle\nlast theirs\n");
  await page.locator("#dirty").waitFor({ state: "hidden" });
  await page.keyboard.press("Control+z");
  await shows(page, `mine ${base}`); // not even mine is lost

  for (const [name, width] of /** @type {const} */ ([["unified.txt", 1280], ["sides.txt", 2400]])) {
    await page.setViewportSize({ width, height: 800 });
    await conflict(name);
    await page.locator("#merge").click();
    await page.locator(".merge .cm-content").first().waitFor();
    assert.equal(await page.locator(".merge .cm-editor").count(), width > 2000 ? 2 : 1);
    if (width > 2000) await page.locator(".cm-merge-revert button").last().click();
    else await page.locator(".merge").getByRole("button", { name: "Take theirs" }).last().click();
    await page.locator("#merge-save").click();
    await page.locator("#conflict").waitFor({ state: "hidden" });
    await until(() => content(`both/${name}`), (text) => text === "mine first\nmiddle\nlast theirs\n", "both are in it");
  }
  assertClean(page);
});

test("an open file that is not edited follows what changes, with cursor and scroll", { timeout: 2 * SLOW }, async () => {
  const lines = Array.from({ length: 300 }, (_, n) => `line ${n + 1}`);
  await put("live/long.txt", `${lines.join("\n")}\n`);
  const page = await pane();
  await inTree(page, "live").click();
  await inTree(page, "long.txt").click();
  await area(page).focus();
  await page.keyboard.press("Control+End");
  for (let n = 0; n < 21; n += 1) await page.keyboard.press("ArrowUp");
  await page.locator("#editor-status", { hasText: "Line 280, column 1" }).waitFor();
  await page.waitForFunction(() => { // the line is seen: no scrolling is under way
    const [line, place] = [".cm-activeLine", ".cm-scroller"].map((part) => document.querySelector(part)?.getBoundingClientRect());
    return line && place && line.top >= place.top && line.bottom <= place.bottom;
  });
  const scrolled = () => page.locator(".cm-scroller").evaluate((element) => element.scrollTop);
  const before = await scrolled();
  lines[2] = "line 3 is another";
  lines.push("one more");
  await put("live/long.txt", `${lines.join("\n")}\n`);
  await page.locator(".cm-line", { hasText: "one more" }).waitFor();
  await page.locator("#editor-status", { hasText: "Line 280, column 1" }).waitFor();
  assert.ok(Math.abs((await scrolled()) - before) < 40, "the scroll stays");
  await page.keyboard.press("Control+Home");
  await page.locator(".cm-line", { hasText: "line 3 is another" }).waitFor();
  assert.equal(await page.locator("#dirty").isVisible(), false);
  assertClean(page);
});

const PNG = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAMAAAACCAIAAAASFvFNAAAAEElEQVR4nGP4z8AARAwQCgAf7gP9i18U1AAAAABJRU5ErkJggg==", "base64");

test("images, large files and bytes are shown as what they are", { timeout: 2 * SLOW }, async () => {
  await put("kinds/dot.png", PNG);
  await put("kinds/drawn.svg", '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30"><script>parent.document.title = "taken"</script><rect width="40" height="30"/></svg>');
  await put("kinds/bytes.dat", Buffer.from([0, 1, 2, 65, 66, 255]));
  await put("kinds/big.log", Buffer.from("0123456789abcde\n".repeat(1024 * 1024 + 1)));
  await put("kinds/page.md", "# A heading\n\n**strong** <img src=x onerror=alert(1)>\n");
  const page = await pane();
  await inTree(page, "kinds").click();
  await inTree(page, "dot.png").click();
  await page.locator(".shown-image img").waitFor();
  await page.locator("#editor-status", { hasText: "3 × 2" }).waitFor();
  await inTree(page, "drawn.svg").click();
  await page.locator("#editor-status", { hasText: "40 × 30" }).waitFor();
  assert.match((await page.locator(".doc:not([hidden]) .shown-image img").getAttribute("src")) ?? "", /^blob:/);
  assert.notEqual(await page.title(), "taken");
  await page.locator("#editor-preview").click();
  await area(page).getByText("<script>").waitFor(); // it can be edited, too
  await inTree(page, "bytes.dat").click();
  await page.locator(".hex", { hasText: "00000000  00 01 02 41 42 ff" }).waitFor();
  await page.locator(".hex", { hasText: "···AB·" }).waitFor();
  await inTree(page, "page.md").click();
  await page.locator("#editor-preview").click();
  await page.locator(".preview strong", { hasText: "strong" }).waitFor();
  assert.equal(await page.locator(".preview img").count(), 0);

  await inTree(page, "big.log").click();
  await page.locator(".large", { hasText: "Shown: 256 KiB of 16 MiB" }).waitFor();
  await page.getByRole("button", { name: "Load more" }).click();
  await page.locator(".large", { hasText: "Shown: 1.3 MiB of 16 MiB" }).waitFor();
  assert.equal(await page.locator("#save").isVisible(), false);
  await put("kinds/long.txt", "a line of a long text\n".repeat(150_000)); // more than is saved over the WebSocket
  await inTree(page, "long.txt").click();
  await page.locator("#editor-status", { hasText: "3.1 MiB" }).waitFor();
  await page.keyboard.type("begun: ");
  await page.keyboard.press("Control+s");
  await until(() => content("kinds/long.txt"), (text) => Boolean(text?.startsWith("begun: a line")), "a long text is saved");
  await inTree(page, "big.log").click();
  await page.locator(".large .cm-content").focus();
  await page.keyboard.type("nothing");
  assert.equal(await page.locator("#dirty").isVisible(), false);
  assertClean(page);
});

test("in Chinese the pane and the editor's own search speak Chinese", { timeout: 2 * SLOW }, async () => {
  await put("zh/程序.py", "print('你好')\n");
  const page = await pane({ locale: "zh-CN" });
  await inTree(page, "zh").click();
  await inTree(page, "程序.py").click();
  await page.locator("#editor-status", { hasText: "第 1 行，第 1 列" }).waitFor();
  await area(page).focus();
  await page.keyboard.press("Control+f");
  await page.locator(".cm-search").getByRole("button", { name: "下一个" }).waitFor();
  assert.equal(await page.locator(".cm-search input[name=search]").getAttribute("placeholder"), "查找");
  assert.ok(!/[A-Za-z]{3}/.test((await page.locator(".cm-search").textContent()) ?? ""), "no English is left");
  assertClean(page);
});

test("without the library a text field does the work, conflicts too", { timeout: 2 * SLOW }, async () => {
  await put("plain/note.txt", "one\r\ntwo\r\n");
  const page = await pane({}, withoutLibrary);
  assert.equal(await page.evaluate(() => document.documentElement.dataset.libraries), "no");
  await inTree(page, "plain").click();
  await inTree(page, "note.txt").click();
  await shows(page, "one\ntwo\n");
  await page.keyboard.press("Control+End");
  await page.keyboard.type("three\tfour");
  await page.locator('.editor-tab[data-state="unsaved"]').waitFor();
  await page.locator("#editor-status", { hasText: "Line 3, column 11" }).waitFor();
  await page.keyboard.press("Control+s");
  await until(() => content("plain/note.txt"), (text) => text === "one\r\ntwo\r\nthree\tfour", "saved");
  await page.keyboard.type(" mine");
  await put("plain/note.txt", "theirs\n");
  await page.locator("#conflict").waitFor();
  await page.locator("#merge").click();
  const [theirs, mine] = [page.locator(".merge textarea").first(), page.locator(".merge textarea").last()];
  assert.equal(await theirs.inputValue(), "theirs\n");
  await mine.fill("theirs and mine\n");
  await page.locator("#merge-save").click();
  await until(() => content("plain/note.txt"), (text) => text === "theirs and mine\r\n", "merged by hand");
  assertClean(page);
});
