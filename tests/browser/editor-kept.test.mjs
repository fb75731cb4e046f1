// What is open in the editor, and what of it isn't saved, over a reload of the page.

import assert from "node:assert/strict";
import { test } from "node:test";
import { area, inTree, shows, stage, textOf, until } from "./edited.mjs";
import { SLOW, assertClean } from "./helper.mjs";

const { content, pane, put, rest, server, session } = stage();

/** @typedef {import("playwright-core").Page} Page */

/** @param {Page} page @param {...string} names in the order of their opening */
async function openAll(page, ...names) {
  for (const name of names) {
    await inTree(page, name).click();
    await page.locator(`#editor-tabs [role=tab][title$="${name}"][aria-selected=true]`).waitFor();
  }
}

/** @param {string} file */
async function remove(file) {
  const answer = await rest("DELETE", `/api/sessions/${session()}/files/${file}`, undefined, { "x-force": "true" });
  assert.ok(answer.ok, `${file}: ${answer.status}`);
}

/** @param {Page} page */
const tabs = (page) => page.locator("#editor-tabs [role=tab]");

/** Loads the page again; whoever is asked whether to stay, stays. @param {Page} page @returns {Promise<boolean>} whether it was loaded */
async function reload(page) {
  let asked = false;
  /** @param {import("playwright-core").Dialog} dialog */
  const stay = (dialog) => {
    asked = true;
    return dialog.dismiss();
  };
  page.on("dialog", stay);
  await page.evaluate(() => { document.documentElement.dataset.before = "yes"; });
  await page.evaluate(() => setTimeout(() => location.reload()));
  await until(async () => asked || (await page.evaluate(() => document.readyState === "complete" && !document.documentElement.dataset.before).catch(() => false)), Boolean, "loaded again, or asked");
  page.off("dialog", stay);
  if (!asked) await page.locator('#connection[data-state="live"]').waitFor();
  return !asked;
}

test("open files are there again with cursor and scroll, the one that was looked at in front; what is gone is told", { timeout: 2 * SLOW }, async () => {
  const lines = Array.from({ length: 400 }, (_, n) => `line ${n + 1} of it`);
  await put("kept/long.txt", `${lines.join("\n")}\n`);
  await put("kept/second.py", "def f():\n    return 1\n");
  await put("kept/gone.txt", "soon\n");
  const page = await pane();
  await inTree(page, "kept").click();
  await openAll(page, "gone.txt", "long.txt", "second.py");
  await area(page).focus();
  await page.keyboard.press("Control+End");
  await page.locator("#editor-status", { hasText: "Line 3, column 1" }).waitFor();
  await tabs(page).nth(1).click();
  await area(page).focus();
  for (let n = 0; n < 8; n += 1) await page.keyboard.press("PageDown");
  await page.keyboard.press("ArrowRight");
  await page.locator("#editor-status", { hasText: /^Line \d{2,3}, column 2/ }).waitFor(); // it is told a moment later
  const place = await page.locator("#editor-status").innerText();
  const scroll = () => page.locator(".doc:not([hidden]) .cm-scroller").evaluate((element) => element.scrollTop);
  const before = await until(scroll, (top) => top > 500, "it is scrolled");
  await remove("kept/gone.txt");
  await page.locator("#editor-tabs [data-state=conflict]").waitFor();
  assert.ok(await reload(page), "nobody is asked where nothing would be lost");
  await page.locator(".notice", { hasText: "No longer in the workspace, so not opened again: kept/gone.txt" }).waitFor();
  assert.deepEqual(await tabs(page).allTextContents(), ["long.txt", "second.py"]);
  assert.equal(await tabs(page).nth(0).getAttribute("aria-selected"), "true");
  await page.locator("#editor-status", { hasText: place.split(" · ")[0] ?? "" }).waitFor();
  await until(scroll, (top) => Math.abs(top - before) < 30, `scrolled to ${before}`);
  assert.equal(await page.evaluate(() => document.activeElement?.closest("#editor")), null, "the focus isn't taken");
  assert.equal(await page.locator(".doc").count(), 1, "the others are read when they are looked at");
  await tabs(page).nth(1).click();
  await page.locator("#editor-status", { hasText: "Line 3, column 1" }).waitFor();
  await page.locator("#editor-close").click();
  await tabs(page).nth(1).waitFor({ state: "detached" });
  await page.locator('[data-show="timeline"]').click(); // nothing has a scroll where it isn't seen
  assert.ok(await reload(page));
  await page.locator("#tab-files").click();
  await page.locator("#editor-status", { hasText: place.split(" · ")[0] ?? "" }).waitFor();
  await until(scroll, (top) => Math.abs(top - before) < 30, "in its place once it is seen");
  await page.locator("#editor-close").click();
  assert.ok(await reload(page));
  await inTree(page, "kept").waitFor();
  assert.equal(await tabs(page).count(), 0);
  assertClean(page);
});

test("what isn't saved is there again, made from the version that it was made from", { timeout: 2 * SLOW }, async () => {
  await put("draft/same.txt", "one\r\ntwo\r\n");
  await put("draft/other.txt", "first\nmiddle\nlast\n");
  await put("draft/lost.txt", "here\n");
  const page = await pane();
  await inTree(page, "draft").click();
  for (const name of ["lost.txt", "other.txt", "same.txt"]) {
    await openAll(page, name);
    await page.keyboard.type("mine ");
  }
  await shows(page, "mine one\ntwo\n");
  const address = page.url();
  assert.ok(await reload(page), "nobody is asked: nothing is lost");
  await page.locator(".notice", { hasText: "Your unsaved changes are here again: draft/lost.txt, draft/other.txt, draft/same.txt" }).waitFor();
  await shows(page, "mine one\ntwo\n");
  assert.equal(await page.locator("#conflict").isVisible(), false);
  await page.locator("#dirty").waitFor();
  await area(page).focus();
  await page.keyboard.press("Control+s");
  await until(() => content("draft/same.txt"), (text) => text === "mine one\r\ntwo\r\n", "saved as its lines end");
  await page.goto("about:blank"); // meanwhile somebody else is at work
  await put("draft/other.txt", "first\nmiddle\nlast theirs\n");
  await remove("draft/lost.txt");

  await page.goto(address);
  await page.locator("#editor-tabs [data-state=conflict]").nth(1).waitFor();
  await shows(page, "mine one\ntwo\n");
  assert.equal(await page.locator("#dirty").isVisible(), false, "what was saved is no draft");
  await tabs(page).nth(1).click();
  await shows(page, "mine first\nmiddle\nlast\n");
  await page.locator("#conflict", { hasText: "Somebody else changed this file" }).waitFor();
  assert.equal(await content("draft/other.txt"), "first\nmiddle\nlast theirs\n", "nothing is overwritten");
  await page.locator("#merge").click();
  await page.locator(".merge").getByRole("button", { name: "Take theirs" }).last().click();
  await page.locator("#merge-save").click();
  await until(() => content("draft/other.txt"), (text) => text === "mine first\nmiddle\nlast theirs\n", "both are in it");
  await tabs(page).nth(0).click();
  await page.locator("#conflict", { hasText: "Somebody else deleted this file" }).waitFor();
  await shows(page, "mine here\n");
  await page.locator("#keep-mine").click();
  await until(() => content("draft/lost.txt"), (text) => text === "mine here\n", "it is there again");
  await page.locator("#conflict").waitFor({ state: "hidden" });
  assert.ok(await reload(page));
  await shows(page, "mine here\n");
  assert.equal(await page.locator("#editor-tabs [data-state=unsaved], #editor-tabs [data-state=conflict]").count(), 0);
  assert.deepEqual(await page.evaluate(() => Object.keys(localStorage).filter((key) => key.startsWith("staithe.unsaved."))), [], "nothing is left over");
  assertClean(page);
});

test("leaving is asked about only where something would be lost: too long, or another page's", { timeout: 2 * SLOW }, async () => {
  await put("asked/long.txt", "a line of a long text\n".repeat(60_000));
  await put("asked/both.txt", "base\n");
  const page = await pane();
  await inTree(page, "asked").click();
  await openAll(page, "long.txt");
  await page.keyboard.type("x");
  const notKept = page.locator(".notice.bad", { hasText: "can't keep what isn't saved of “asked/long.txt”" });
  await notKept.waitFor();
  await notKept.getByRole("button").click();
  await page.keyboard.type("x");
  assert.equal(await reload(page), false, "a long text is asked about");
  assert.equal(await notKept.count(), 0, "it is told once");
  await page.keyboard.press("Control+z");
  await page.keyboard.press("Control+z");
  await page.locator("#dirty").waitFor({ state: "hidden" });
  await openAll(page, "both.txt");
  await page.keyboard.type("one ");
  await page.waitForFunction(() => Object.entries(localStorage).some(([key, value]) => key.endsWith("/asked/both.txt") && value.includes("one base")));

  const other = await page.context().newPage();
  await other.goto(page.url());
  await shows(other, "base\n"); // what another page holds is its own
  await area(other).press("Control+Home");
  await area(other).pressSequentially("two ");
  await other.locator("#dirty").waitFor();
  assert.equal(await reload(other), false, "there is one place for two texts");
  assert.equal(await textOf(other), "two base\n");
  assert.ok(await reload(page));
  await shows(page, "one base\n");
  await other.locator("#editor-close").click();
  await other.getByRole("dialog").getByRole("button", { name: "Discard" }).click();
  await tabs(other).nth(1).waitFor({ state: "detached" });
  assert.ok(await reload(other));
  assert.ok(await reload(page));
  await shows(page, "one base\n");
  await other.close();
  await page.close({ runBeforeUnload: false });
});

test("a tab whose file can't be read is closed without its kept text, which is there when the file is opened", { timeout: 2 * SLOW }, async () => {
  await put("unread/note.txt", "base\n");
  await put("unread/other.txt", "other\n");
  const page = await pane();
  await inTree(page, "unread").click();
  await openAll(page, "note.txt");
  await page.keyboard.type("mine ");
  await page.waitForFunction(() => Object.entries(localStorage).some(([key, value]) => key.endsWith("/unread/note.txt") && value.includes("mine base")));
  await openAll(page, "other.txt");
  const read = /\/files\/unread\/note\.txt/;
  await page.route(read, (route) => route.abort());
  assert.ok(await reload(page));
  await page.locator(".notice.bad").waitFor();
  await shows(page, "other\n");
  await tabs(page).nth(0).press("Delete");
  await tabs(page).nth(1).waitFor({ state: "detached" });
  assert.equal(await page.getByRole("dialog").count(), 0);
  await page.unroute(read);
  await inTree(page, "unread").click();
  await openAll(page, "note.txt");
  await shows(page, "mine base\n");
  await page.locator("#editor-close").click();
  await page.getByRole("dialog").getByRole("button", { name: "Discard" }).click();
  await tabs(page).nth(1).waitFor({ state: "detached" });
  assert.deepEqual(await page.evaluate(() => Object.keys(localStorage).filter((key) => key.startsWith("staithe.unsaved."))), []);
  await page.close({ runBeforeUnload: false });
});

test("the oldest texts make room for a new one, and a session that is deleted in a list takes its texts along", { timeout: 2 * SLOW }, async () => {
  await put("room/new.txt", "some words\n".repeat(30_000));
  const made = await rest("POST", "/api/sessions", '{"title":"To be deleted"}', { "content-type": "application/json" });
  const { id } = await made.json();
  const page = await pane();
  await page.evaluate((gone) => {
    const keep = (/** @type {string} */ name, /** @type {number} */ ago, /** @type {number} */ size) =>
      localStorage.setItem(`staithe.unsaved.${name}`, JSON.stringify({ at: Date.now() - ago, by: "another", text: "x".repeat(size), version: "1", endings: "lf" }));
    keep("of-long-ago/a.txt", 3_600_000, 1_000_000);
    keep(`${gone}/b.txt`, 1_800_000, 800_000);
    localStorage.setItem(`staithe.tabs.${gone}`, "{}");
  }, id);
  await inTree(page, "room").click();
  await openAll(page, "new.txt");
  await page.keyboard.type("mine ");
  await page.waitForFunction(() => Object.keys(localStorage).some((key) => key.endsWith("/room/new.txt")));
  const kept = () => page.evaluate(() => Object.keys(localStorage).filter((key) => /^staithe\.(unsaved|tabs)\./.test(key)).sort());
  const own = [`staithe.tabs.${session()}`, `staithe.unsaved.${session()}/room/new.txt`];
  assert.deepEqual(await kept(), [...own, `staithe.tabs.${id}`, `staithe.unsaved.${id}/b.txt`].sort());
  assert.equal(await page.locator(".notice").count(), 0);
  await page.goto(server().url);
  await page.locator(`[data-session="${id}"]`).locator("[data-act=delete]").click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await page.locator(`[data-session="${id}"]`).waitFor({ state: "detached" });
  assert.deepEqual(await kept(), own);
  assertClean(page);
});

test("signing out is asked about where something isn't saved, and leaves nothing of it, of other tabs neither", { timeout: 2 * SLOW }, async () => {
  await put("leave/one.txt", "one\n");
  await put("leave/two.txt", "two\n");
  const page = await pane();
  const other = await page.context().newPage();
  await other.goto(page.url());
  for (const [one, name] of /** @type {const} */ ([[other, "two.txt"], [page, "one.txt"]])) {
    await inTree(one, "leave").click();
    await openAll(one, name);
    await one.keyboard.type("secret ");
    await one.waitForFunction((end) => Object.keys(localStorage).some((key) => key.startsWith("staithe.unsaved.") && key.endsWith(end)), name);
  }
  const left = (/** @type {Page} */ one) => one.evaluate(() => JSON.stringify(Object.entries({ ...localStorage, ...sessionStorage }).filter(([key]) => /^staithe\.(unsaved|tabs)/.test(key))));
  const question = page.getByRole("dialog", { name: "Sign out with unsaved changes?" });
  await page.getByRole("button", { name: "Sign out" }).click();
  assert.deepEqual((await question.getByRole("listitem").allTextContents()).sort(), ["leave/one.txt", "leave/two.txt"]);
  await question.getByRole("button", { name: "Cancel" }).click();
  assert.match(await left(page), /secret one.*secret two|secret two.*secret one/);
  await page.locator("#dirty").waitFor();

  await page.keyboard.press("Control+Shift+P");
  await page.keyboard.type("sign-out");
  await page.keyboard.press("Enter");
  await question.getByRole("button", { name: "Sign out" }).click();
  await page.waitForURL(/\/login/);
  assert.equal(await left(page), "[]");
  await area(other).pressSequentially("more ");
  await shows(other, "secret more two\n");
  await other.evaluate(() => dispatchEvent(new Event("pagehide"))); // as when it is left, and all is kept
  assert.equal(await left(other), "[]");
  assert.equal(await reload(other), false, "whoever is at it is asked: it would be lost");
  assertClean(page);
});

test("without the library it is so, too, and a tab that was closed left its text to the next one; a viewer is given none", { timeout: 2 * SLOW }, async () => {
  const base = Array.from({ length: 200 }, (_, n) => `note ${n + 1}\n`).join("");
  await put("plain/note.txt", base);
  const page = await pane({}, (one) => one.addInitScript(() => {
    new MutationObserver((_, observer) => {
      if (!document.documentElement) return;
      document.documentElement.dataset.libraries = "no";
      observer.disconnect();
    }).observe(document, { childList: true });
  }));
  await inTree(page, "plain").click();
  await openAll(page, "note.txt");
  const field = page.locator("textarea.plain-code");
  await field.evaluate((element) => {
    const one = /** @type {HTMLTextAreaElement} */ (element);
    one.setSelectionRange(one.value.indexOf("note 150") + 4, one.value.indexOf("note 150") + 4);
    one.scrollTop = 1000;
  });
  await field.press("X");
  await page.locator("#editor-status", { hasText: "Line 150, column 6" }).waitFor();
  const top = await field.evaluate((element) => element.scrollTop);
  assert.ok(await reload(page));
  await page.locator("#editor-status", { hasText: "Line 150, column 6" }).waitFor();
  assert.match(await textOf(page), /^noteX 150$/m);
  await until(() => field.evaluate((element) => element.scrollTop), (now) => Math.abs(now - top) < 20, `scrolled to ${top}`);
  const [address, context] = [page.url(), page.context()];
  await page.close({ runBeforeUnload: false });

  const viewer = await (await rest("POST", `/api/sessions/${session()}/tokens`, '{"role":"viewer"}', { "content-type": "application/json" })).json();
  const other = await context.newPage();
  const cookies = await context.cookies();
  await context.clearCookies();
  await other.goto(`${server().url}/login`);
  await other.locator("#token").fill(viewer.token);
  await other.locator("#token").press("Enter");
  await other.waitForURL((url) => url.pathname !== "/login");
  await other.goto(address);
  await other.locator("#editor-status", { hasText: "read only" }).waitFor();
  assert.equal(await other.locator("#dirty").isVisible(), false);
  await other.close();

  await context.addCookies(cookies);
  const later = await context.newPage();
  await later.goto(address);
  await later.locator(".notice", { hasText: "Your unsaved changes are here again: plain/note.txt" }).waitFor();
  await later.locator("#editor-close").click();
  await later.getByRole("dialog").getByRole("button", { name: "Discard" }).click();
  await tabs(later).first().waitFor({ state: "detached" });
  assert.deepEqual(await later.evaluate(() => Object.keys(localStorage).filter((key) => key.startsWith("staithe.unsaved."))), [], "nothing is left over");
  assert.equal(await content("plain/note.txt"), base);
});
