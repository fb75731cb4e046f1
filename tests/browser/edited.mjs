// The tree of files and the editor, as tests use them.

import { SLOW } from "./helper.mjs";

/** A row of the tree, by the beginning of its name. @param {import("playwright-core").Page} page @param {string} name */
export const inTree = (page, name) => page.locator("#tree").getByRole("treeitem", { name: new RegExp(`^${name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}([ /]|$)`) });

/** What is typed into, of the file that is looked at. @param {import("playwright-core").Page} page */
export const area = (page) => page.locator(".doc:not([hidden]) > .plain-code, .doc:not([hidden]) > .code-host .cm-content");

/** The text of the file that is looked at, as far as it is drawn. @param {import("playwright-core").Page} page */
export const textOf = (page) => area(page).evaluate((element) => (element instanceof HTMLTextAreaElement ? element.value : [...element.querySelectorAll(".cm-line")].map((line) => line.textContent).join("\n")));

/** Waits until the editor holds this text. @param {import("playwright-core").Page} page @param {string} text */
export async function shows(page, text) {
  await page.waitForFunction((wanted) => {
    const element = document.querySelector(".doc:not([hidden]) > .plain-code, .doc:not([hidden]) > .code-host .cm-content");
    const now = element instanceof HTMLTextAreaElement ? element.value : [...(element?.querySelectorAll(".cm-line") ?? [])].map((line) => line.textContent).join("\n");
    return element !== null && now === wanted;
  }, text, { timeout: SLOW });
}
