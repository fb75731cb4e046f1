// The command palette, on every page: what can be done here now, found by typing, with the key that does it directly.

import { pickFrom, closePicker } from "./picker.js";
import { t } from "./i18n.js";
import { pref, setPref } from "./prefs.js";

/**
 * @typedef {object} Command
 * @property {string} id lasting; its English words find it in every language
 * @property {string} title
 * @property {string} [group] the heading that it stands under
 * @property {string} [keys] what is pressed for it: "n", "Ctrl+,"
 * @property {boolean} [everywhere] on each page alike: it stands after what the page has of its own
 * @property {boolean} [elsewhere] the keys are only shown: another part of the page hears them
 * @property {() => boolean} [when] whether it can be done now
 * @property {() => unknown} run
 */
/** @typedef {() => Command[]} Source commands that there are at the moment */

const MAC = /mac|iphone|ipad/i.test(navigator.platform);
const RECENT = 4;
/** Where letters mean something else: what is written, and terminals. */
const WRITES = "input:not([type=checkbox], [type=radio], [type=button], [type=file]), textarea, select, [contenteditable]:not([contenteditable=false]), [role=textbox], .xterm";
/** @type {(Command | Source)[]} */
const all = [];

/** Adds to what the palette offers. @param {Command | Source} what @returns {() => void} takes it away again */
export function register(what) {
  all.push(what);
  return () => {
    const at = all.indexOf(what);
    if (at >= 0) all.splice(at, 1);
  };
}

/** What can be done now. */
function commands() {
  const now = all.flatMap((one) => (typeof one === "function" ? one() : [one])).filter(({ when }) => !when || when());
  return now.sort((a, b) => Number(a.everywhere ?? false) - Number(b.everywhere ?? false));
}

/** As the keyboard before the person has it. @param {string} keys */
export const shownKeys = (keys) => (MAC ? keys.replace("Ctrl+", "⌘").replace("Shift+", "⇧") : keys);

/** The latest first, under a heading of their own. */
function items() {
  const recent = pref("recent").split(" ").filter(Boolean);
  const now = commands().map((one) => ({ ...one, ...(one.keys && { keys: shownKeys(one.keys) }) }));
  const again = recent.flatMap((id) => now.filter((one) => one.id === id)).map((one) => ({ ...one, group: t("palette.recent") }));
  return [...again, ...now.filter(({ id }) => !recent.includes(id))];
}

/** @returns {Promise<void>} */
export function openPalette() {
  return pickFrom({
    label: t("palette.title"),
    hint: t("palette.hint"),
    none: t("palette.none"),
    items,
    picked({ id }) {
      const kept = [id, ...pref("recent").split(" ").filter((other) => other && other !== id)];
      setPref("recent", kept.slice(0, RECENT).join(" "));
    },
  });
}

/** @param {string} keys @param {KeyboardEvent} event */
export function pressed(keys, event) {
  const parts = keys.split("+");
  const key = parts.pop() ?? "";
  const command = MAC ? event.metaKey : event.ctrlKey;
  if (parts.includes("Ctrl") !== command || event.altKey || (MAC ? event.ctrlKey : event.metaKey)) return false;
  if (/^[a-z0-9]$/i.test(key) && parts.includes("Shift") !== event.shiftKey) return false;
  return event.key.toLowerCase() === key.toLowerCase();
}

/** @param {EventTarget | null} target */
const writes = (target) => target instanceof Element && target.matches(WRITES);

/** In a terminal, Ctrl+K is the shell's; Ctrl+Shift+P is ours everywhere. @param {KeyboardEvent} event */
function opens(event) {
  if (pressed("Ctrl+Shift+P", event)) return true;
  const terminal = event.target instanceof Element && event.target.closest(".xterm");
  return pressed("Ctrl+K", event) && !terminal;
}

addEventListener("keydown", (event) => {
  if (!opens(event)) return;
  event.preventDefault();
  event.stopPropagation();
  if (!closePicker() && !document.querySelector("dialog:modal")) openPalette();
}, { capture: true });

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing || event.repeat || document.querySelector("dialog:modal")) return;
  const alone = !event.ctrlKey && !event.metaKey;
  if (alone && (writes(event.target) || pref("keys") === "off")) return;
  const command = commands().find(({ keys, elsewhere }) => keys && !elsewhere && pressed(keys, event));
  if (!command) return;
  event.preventDefault();
  command.run();
});
