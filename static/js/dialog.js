// Questions and notices. A question is a <dialog>: Escape is "no", the harmless button has the focus.

import { h, $, setText } from "./dom.js";
import { t } from "./i18n.js";

/**
 * @typedef {{ value: string, label: string, kind?: "primary" | "danger" }} Choice
 * @param {{ title: string, body: (Node | string)[], choices: Choice[], focus?: HTMLElement, accept?: () => Promise<string> }} question
 * `accept`: what is wrong with what was entered, in words, with which the dialog stays; "" for nothing
 * @returns {Promise<string>} the chosen value, "" for none
 */
export function choose({ title, body, choices, focus, accept }) {
  return new Promise((resolve) => {
    const heading = h("h2", { id: "dialog-title" }, title);
    const cancel = h("button", { type: "button", on: { click: () => dialog.close("") } }, t("action.cancel"));
    const buttons = choices.map(({ value, label, kind }) => h("button", { value, className: kind ?? "", data: { choice: value } }, label));
    const wrong = h("p", { id: "dialog-wrong", className: "alert bad", role: "alert", hidden: true });
    const form = h("form", { method: "dialog" }, heading, ...body.map((part) => (typeof part === "string" ? h("p", {}, part) : part)), wrong,
      h("div", { className: "buttons" }, cancel, ...buttons));
    const dialog = h("dialog", { "aria-labelledby": "dialog-title" }, form);
    if (accept) form.addEventListener("submit", (event) => {
      event.preventDefault();
      const button = /** @type {HTMLButtonElement} */ (event.submitter);
      whileBusy(button, async () => {
        const told = await accept();
        if (!told) return dialog.close(button.value);
        setText(wrong, told);
        wrong.hidden = false;
        focus?.setAttribute("aria-describedby", wrong.id);
        focus?.setAttribute("aria-invalid", "true");
        focus?.focus();
      });
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue);
    }, { once: true });
    document.body.append(dialog);
    dialog.showModal();
    (focus ?? cancel).focus();
  });
}

/** @param {string} title @param {(Node | string)[]} body @param {string} action */
export async function confirmLoss(title, body, action) {
  return (await choose({ title, body, choices: [{ value: "yes", label: action, kind: "danger" }] })) === "yes";
}

/**
 * Asks for a text. Of a path, its name is selected; with `whole` all of it.
 * @param {string} title @param {string} label @param {string} value @param {{ whole?: boolean, most?: number, accept?: (value: string) => Promise<string> }} [options]
 * `most`: characters; `accept`: does what it is asked for, and says what is wrong, with which the dialog stays
 * @returns {Promise<string | null>}
 */
export async function ask(title, label, value, { whole = false, most, accept } = {}) {
  const input = h("input", { id: "dialog-input", value, autocomplete: "off", spellcheck: false, required: true, maxLength: most });
  const field = h("div", { className: "field" }, h("label", { htmlFor: "dialog-input" }, label), input);
  const slash = whole ? 0 : value.lastIndexOf("/") + 1;
  const answer = choose({ title, body: [field], choices: [{ value: "ok", label: t("action.ok"), kind: "primary" }], focus: input, ...(accept && { accept: () => accept(input.value.trim()) }) });
  input.setSelectionRange(slash, value.length);
  return (await answer) === "ok" ? input.value.trim() : null;
}

/** What a stop ends and what it keeps. @param {string} title */
export const confirmStop = (title) =>
  confirmLoss(t("confirm.stop_title", { title }), [t("confirm.stop_text"), t("confirm.stop_keeps")], t("action.stop"));

/** What is lost with a session. @param {string} title @param {number} head */
export function confirmDelete(title, head) {
  const lost = [t("confirm.delete_files"), t("confirm.delete_events", { count: head + 1 }), t("confirm.delete_sandbox")];
  const list = h("ul", {}, ...lost.map((line) => h("li", {}, line)));
  return confirmLoss(t("confirm.delete_title", { title }), [t("confirm.delete_text"), list, t("confirm.delete_no_undo")], t("action.delete"));
}

/** Lines in the corner at most. */
const MOST = 3;
/** How long a line stays: to notice it, and to read each of its signs, of which some scripts have fewer that say more. */
const NOTICED = { plain: 4000, bad: 8000 };
const READ = { letter: 80, sign: 200 };
/** @type {HTMLElement | null} */
let corner = null;

/** Where lines can be seen, heard and dismissed: in the topmost dialog, outside of which everything is inert. */
function place() {
  corner ??= /** @type {HTMLElement} */ ($("notices"));
  const dialog = [...document.querySelectorAll("dialog:modal")].at(-1);
  const host = dialog ?? document.body;
  if (corner.parentElement !== host) host.append(corner);
  dialog?.addEventListener("close", place, { once: true });
  return corner;
}

/** Takes a line away when it was read; not under the eyes or the hand of somebody who is at it, nor while nobody looks. @param {HTMLElement} line @param {number} after */
function takeAway(line, after) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const held = () => document.hidden || line.matches(":hover, :focus-within");
  const wait = () => {
    clearTimeout(timer);
    timer = setTimeout(() => (held() ? wait() : line.remove()), after);
  };
  for (const name of ["pointerenter", "pointerleave", "focusin", "focusout"]) line.addEventListener(name, wait);
  wait();
}

/** A line in the corner, for as long as it takes to read it. @param {string} text @param {boolean} [bad] */
export function notice(text, bad = false) {
  const box = place();
  for (const old of [...box.children]) if (/** @type {HTMLElement} */ (old).dataset.text === text) old.remove();
  const line = h("div", { className: bad ? "notice bad" : "notice", data: { text } }, h("span", {}, text),
    h("button", { type: "button", className: "quiet", "aria-label": t("action.dismiss"), on: { click: () => line.remove() } }, "✕"));
  box.append(line);
  while (box.children.length > MOST) box.firstElementChild?.remove();
  const each = /[^\u0000-\u02ff\u2000-\u206f]/.test(text) ? READ.sign : READ.letter;
  takeAway(line, (bad ? NOTICED.bad : NOTICED.plain) + each * text.length);
}

/** Shows what went wrong. @param {unknown} error */
export function complain(error) {
  notice(error instanceof Error ? error.message : String(error), true);
}

/**
 * Puts a text on the clipboard; also on plain http, where only a selection can be copied.
 * @param {string} text @param {HTMLElement} [host] what the selection may be in: an open dialog, outside of which nothing can be selected
 * @returns {Promise<boolean>} whether it is there
 */
export async function copyText(text, host = document.body) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch { /* no secure context, or forbidden */ }
  const before = /** @type {HTMLElement | null} */ (document.activeElement);
  const area = h("textarea", { className: "sr", value: text, readOnly: true, tabIndex: -1, "aria-hidden": "true" });
  host.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  before?.focus();
  return copied;
}

/** Runs a button's work once at a time and shows its failure. @param {HTMLButtonElement} button @param {() => Promise<unknown>} work */
export async function whileBusy(button, work) {
  if (button.disabled) return;
  button.disabled = true;
  try {
    await work();
  } catch (error) {
    complain(error);
  } finally {
    button.disabled = false;
  }
}

