// What is said in passing: lines in the corner that can be read, reached and go; and what is wrong with an entry, in its dialog.

import assert from "node:assert/strict";
import { test } from "node:test";
import { SLOW, assertClean, openPage, shoot } from "./helper.mjs";
import { browser, server, signedIn, stage } from "./played.mjs";

stage();

/** @param {import("playwright-core").Page} page @param {string} text @param {boolean} [bad] */
const say = (page, text, bad = true) => page.evaluate(async ([words, kind]) => {
  const base = document.documentElement.dataset.static;
  (await import(`${base}/js/dialog.js`)).notice(words, kind);
}, /** @type {[string, boolean]} */ ([text, bad]));

/** @param {import("playwright-core").Page} page */
const lines = (page) => page.locator("#notices .notice > span").allInnerTexts();

test("errors are at most three, once each, and go when they were read; not under somebody's eyes", { timeout: SLOW }, async () => {
  const page = await openPage(browser, { storageState: signedIn });
  await page.clock.install();
  await page.goto(server.url);
  await page.locator("#sessions:not([aria-busy])").waitFor({ state: "attached" });
  for (const text of ["one", "two", "three", "four", "two"]) await say(page, text);
  assert.deepEqual(await lines(page), ["three", "four", "two"]);
  assert.equal(await page.locator("#notices").getAttribute("aria-live"), "polite");
  await page.clock.fastForward(5000);
  assert.equal((await lines(page)).length, 3, "they are still read");
  await page.locator(".notice", { hasText: "four" }).hover();
  await page.clock.fastForward(12_000);
  assert.deepEqual(await lines(page), ["four"], "what the pointer is at stays");
  await page.mouse.move(5, 5);
  await page.locator(".notice button").focus();
  await page.clock.fastForward(60_000);
  assert.deepEqual(await lines(page), ["four"], "and what has the focus");
  await page.locator("#main").focus();
  await page.clock.fastForward(12_000);
  assert.deepEqual(await lines(page), []);
  await say(page, "long ".repeat(60));
  await page.clock.fastForward(20_000);
  assert.equal((await lines(page)).length, 1, "a long one takes longer");
  assertClean(page);
});

test("an error from within a dialog is seen, heard and dismissed there, and outlives it", { timeout: SLOW }, async () => {
  const page = await openPage(browser, { storageState: signedIn });
  await page.route("**/api/models", (route) => route.fulfill({ json: { default: "a", models: [{ name: "a", provider: "openai", model: "gpt-4o", default: true, usable: false, needs_key: true, key: null }] } }));
  await page.goto(server.url);
  await page.route("**/api/models/*/key", (route) => route.fulfill({ status: 400, json: { code: "model.bad_key", detail: "no such key", title: "Bad" } }));
  await page.locator("#models").click();
  const row = page.locator(".model-list > li").first();
  await row.locator("input").fill("sk-not-a-key-0123");
  await row.locator("button[type=submit]").click();
  await row.locator("[role=status]", { hasText: "no such key (model.bad_key)" }).waitFor();
  assert.equal(await page.locator(".notice").count(), 0, "it stands in its row");
  await say(page, "said meanwhile");
  const inside = await page.locator(".notice").evaluate((line) => {
    const { left, top, width, height } = line.getBoundingClientRect();
    return { hit: line.contains(document.elementFromPoint(left + width / 2, top + height / 2)), dialog: line.closest("dialog") !== null };
  });
  assert.deepEqual(inside, { hit: true, dialog: true }, "it can be seen and reached");
  await shoot(page, "notice-in-dialog");
  await page.keyboard.press("Escape");
  await page.locator("dialog").waitFor({ state: "detached" });
  await page.locator("body > #notices .notice", { hasText: "said meanwhile" }).locator("button").click();
  assert.equal(await page.locator(".notice").count(), 0);
  assertClean(page);
});

test("a name that can't be is told in its dialog, which keeps it, in words for people", { timeout: SLOW }, async () => {
  const page = await openPage(browser, { storageState: signedIn });
  await page.goto(server.url);
  await page.locator("[data-session] a").first().click();
  await page.locator("#new-file:enabled").waitFor();
  const wrong = page.locator("dialog [role=alert]");
  for (const button of ["#new-file", "#new-folder"]) {
    await page.locator(button).click();
    const input = page.locator("#dialog-input");
    /** @param {string} name @param {RegExp} words */
    const refused = async (name, words) => {
      await input.fill(name);
      await input.press("Enter");
      await wrong.filter({ hasText: words }).waitFor();
      assert.equal(await input.inputValue(), name);
      assert.equal(await input.evaluate((field) => field === document.activeElement && field.getAttribute("aria-describedby")), "dialog-wrong");
    };
    await refused("a/../b", /“\.\.” can't be a name/);
    await refused("n".repeat(300), /255 bytes at most/);
    const name = button === "#new-file" ? "there.txt" : "there";
    await input.fill(name);
    await input.press("Enter");
    await page.locator("dialog").waitFor({ state: "detached" });
    await page.locator(`#tree [role=treeitem]`, { hasText: name }).first().waitFor();
    await page.locator(button).click();
    await refused(name, /is there already/);
    await refused("there.txt/below", /is a file, not a folder/);
    assert.doesNotMatch(await wrong.innerText(), /os error/);
    if (button === "#new-file") await shoot(page, "name-wrong");
    await page.keyboard.press("Escape");
    await page.locator("dialog").waitFor({ state: "detached" });
  }
  assert.equal(await page.locator(".notice").count(), 0);
  assertClean(page);
});
