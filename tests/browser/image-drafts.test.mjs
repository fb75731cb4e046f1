// Images of a message that isn't sent yet are there again after a reload, in their tab, within bounds; where that can't be, it is said.

import assert from "node:assert/strict";
import { test } from "node:test";
import { until } from "./edited.mjs";
import { SLOW, assertClean, makeSession, openPage, signIn, watch } from "./helper.mjs";
import { browser, server, signedIn, stage } from "./played.mjs";

stage();

const PNG = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==", "base64");

/** @param {import("playwright-core").Page} page */
const images = (page) => page.locator(".composer .images li");
/** @param {import("playwright-core").Page} page @param {string[]} names */
const attach = (page, ...names) => page.locator(".composer input[type=file]").setInputFiles(names.map((name) => ({ name, mimeType: "image/png", buffer: PNG })));
/** Waits until so many messages' images are kept. @param {import("playwright-core").Page} page @param {number} count */
const kept = (page, count) => until(() => page.evaluate(() => new Promise((resolve) => {
  const opening = indexedDB.open("staithe", 1);
  opening.onupgradeneeded = () => opening.transaction?.abort(); // the page has yet to make it
  opening.onerror = () => resolve(0);
  opening.onsuccess = () => {
    const asked = opening.result.transaction("images").objectStore("images").getAll();
    asked.onsuccess = () => {
      opening.result.close();
      resolve(asked.result.reduce((sum, one) => sum + one.images.length, 0));
    };
  };
})), (now) => now === count, `${count} images are kept`);

test("attached images are there again after a reload, with their text or without, until they are sent", { timeout: 2 * SLOW }, async () => {
  const page = await openPage(browser);
  await signIn(page, server);
  await makeSession(page, "Kept images");
  await attach(page, "one.png", "two.png");
  await images(page).nth(1).waitFor();
  await kept(page, 2);
  await page.reload();
  await images(page).nth(1).waitFor();
  assert.deepEqual(await images(page).locator(".name").allTextContents(), ["one.png", "two.png"]);
  assert.ok(await page.locator("#to-agent").isChecked(), "they are still for the agent");
  await page.locator('#connection[data-state="live"]').waitFor();
  await page.getByRole("button", { name: "Remove one.png" }).click();
  await attach(page, "three.png");
  await images(page).nth(1).waitFor();
  await page.locator("#box").fill("What are these?");
  await kept(page, 2);

  const other = await page.context().newPage();
  await other.goto(page.url());
  await other.locator('#connection[data-state="live"]').waitFor();
  assert.equal(await images(other).count(), 0, "another tab has a message of its own");
  await other.close();

  await page.reload();
  await images(page).nth(1).waitFor();
  assert.deepEqual(await images(page).locator(".name").allTextContents(), ["two.png", "three.png"]);
  assert.equal(await page.locator("#box").inputValue(), "What are these?");
  await page.locator("#send:not(:disabled)").click();
  await page.locator("#events > .msg.user img.shown").nth(1).waitFor();
  await page.reload();
  await page.locator("#events > .msg.user").waitFor();
  await kept(page, 0);
  assert.equal(await images(page).count(), 0, "what was sent doesn't come back");
  assertClean(page);
  await page.context().close();
});

test("a duplicate of a tab begins with its images, and has a message of its own from then on", { timeout: 2 * SLOW }, async () => {
  const page = await openPage(browser, { storageState: signedIn });
  await page.goto(server.url);
  await makeSession(page, "Duplicated");
  await attach(page, "one.png");
  await images(page).waitFor();
  await kept(page, 1);
  /** What a page opens begins with a copy of its storage, as a duplicate does. */
  const duplicate = async () => {
    const [other] = await Promise.all([page.waitForEvent("popup"), page.evaluate(() => { window.open(location.href); })]);
    await other.locator('#connection[data-state="live"]').waitFor();
    await images(watch(other)).waitFor();
    return other;
  };
  const [two, three] = [await duplicate(), await duplicate()];
  await attach(two, "two.png");
  await images(two).nth(1).waitFor();
  await kept(two, 3);
  await three.locator("#send:not(:disabled)").click();
  await three.locator("#events > .msg.user img.shown").waitFor();
  await three.reload();
  await three.locator("#events > .msg.user").waitFor();
  assert.equal(await images(three).count(), 0, "what was sent doesn't come back");
  for (const [one, names] of /** @type {const} */ ([[page, ["one.png"]], [two, ["one.png", "two.png"]]])) {
    await one.reload();
    await images(one).nth(names.length - 1).waitFor();
    assert.deepEqual(await images(one).locator(".name").allTextContents(), names);
  }
  await two.locator('#connection[data-state="live"]').waitFor();
  await two.getByRole("button", { name: "Remove one.png" }).click();
  await kept(two, 2); // what it wrote before the reload is still its own, and nobody else's goes
  for (const one of [page, two, three]) assertClean(one);
  await page.context().close();
});

test("where images can't be kept, that is said once, and they go with the message all the same", { timeout: 2 * SLOW }, async () => {
  const page = await openPage(browser, { storageState: signedIn });
  await page.addInitScript(() => {
    IDBObjectStore.prototype.put = () => { throw new DOMException("full", "QuotaExceededError"); };
  });
  await page.goto(server.url);
  await page.locator("#sessions:not([aria-busy])").waitFor({ state: "attached" });
  await makeSession(page, "No room");
  await attach(page, "one.png");
  await page.locator(".notice", { hasText: "after a reload of the page they are gone" }).waitFor();
  await page.locator(".notice button").click();
  await attach(page, "two.png");
  await images(page).nth(1).waitFor();
  assert.equal(await page.locator(".notice").count(), 0, "once is enough");
  await page.locator("#send").click();
  await page.locator("#events > .msg.user img.shown").nth(1).waitFor();
  assertClean(page);
  await page.context().close();
});

test("what is kept is bounded: a message's images, and those of all, of which the oldest make room", { timeout: 2 * SLOW }, async () => {
  const page = await openPage(browser, { storageState: signedIn });
  await page.goto(server.url);
  await page.locator("#sessions:not([aria-busy])").waitFor({ state: "attached" });
  const found = await page.evaluate(async () => {
    const { ImageDraft } = await import(`${document.documentElement.dataset.static}/js/image-drafts.js`);
    const image = (/** @type {number} */ size) => [{ name: "x", size, url: "x".repeat(size) }];
    const drafts = Array.from({ length: 5 }, (_, n) => new ImageDraft(`s${n}`));
    const set = [];
    for (const draft of drafts) set.push(await draft.set(image(20 * 2 ** 20)));
    const there = [];
    for (const [n] of drafts.entries()) there.push((await new ImageDraft(`s${n}`).get()).length);
    const large = await drafts[4].set(image(22 * 2 ** 20));
    return { set, there, large, after: (await new ImageDraft("s4").get()).length };
  });
  assert.deepEqual(found, { set: [true, true, true, true, true], there: [0, 0, 1, 1, 1], large: false, after: 0 });
  assertClean(page);
  await page.context().close();
});
