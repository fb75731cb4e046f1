// Signing out: what would be lost is asked about, and then nothing that isn't saved stays in this browser, of this page or another one.

import { confirmLoss } from "./dialog.js";
import { h } from "./dom.js";
import { t } from "./i18n.js";

/** What is kept of sessions: files that are open, and their unsaved text. */
const KEPT = /^staithe\.(unsaved|tabs)\./;
const UNSAVED = "staithe.unsaved.";
/** As many files are told of. */
const NAMED = 8;

/** Whether this browser is signed out: nothing is kept any more. */
export let signedOut = false;
/** Whether that was done in this page: what is lost was agreed to. */
export let agreed = false;
/** Files that this page holds unsaved: their session and path. @type {(() => string[])[]} */
const holders = [];
const channel = new BroadcastChannel("staithe.sign-out"); // open as long as the page: one that comes back by the history has to know, too
const form = /** @type {HTMLFormElement | null} */ (document.querySelector("form[action='/logout']"));

/** Adds to what is asked about. @param {() => string[]} holder files that aren't saved, each as "SESSION/PATH" */
export function holdsUnsaved(holder) {
  holders.push(holder);
}

/** From now on nothing is kept, and what was kept is gone: also where `Clear-Site-Data` isn't heard (plain http). */
function end() {
  signedOut = true;
  for (const storage of /** @type {const} */ (["localStorage", "sessionStorage"])) {
    try {
      for (const key of Object.keys(window[storage])) if (KEPT.test(key)) window[storage].removeItem(key);
    } catch { /* forbidden: nothing was kept */ }
  }
}

/** @returns {string[]} paths */
function unsaved() {
  const held = holders.flatMap((holder) => holder());
  const kept = [];
  try {
    for (const key of Object.keys(localStorage)) if (key.startsWith(UNSAVED)) kept.push(key.slice(UNSAVED.length));
  } catch { /* forbidden: nothing is kept */ }
  return [...new Set([...held, ...kept])].map((name) => name.slice(name.indexOf("/") + 1));
}

function leave() {
  agreed = true;
  end();
  channel.postMessage("");
}

/** @param {string[]} paths */
function confirmSignOut(paths) {
  const names = paths.slice(0, NAMED).map((path) => h("li", {}, path));
  if (paths.length > NAMED) names.push(h("li", {}, t("files.and_more", { count: paths.length - NAMED })));
  return confirmLoss(t("confirm.sign_out_title"), [t("confirm.sign_out_text"), h("ul", {}, ...names)], t("nav.sign_out"));
}

channel.addEventListener("message", end);
form?.addEventListener("submit", async (event) => {
  const paths = agreed ? [] : unsaved();
  if (paths.length === 0) return leave();
  event.preventDefault();
  if (!(await confirmSignOut(paths))) return;
  leave();
  form.requestSubmit();
});

/** As by the button. */
export function signOut() {
  form?.requestSubmit();
}
