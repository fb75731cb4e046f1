// The keys of the operator's page, and the list of them. Single letters can be turned off, for those whose tools press them.

import { $, h } from "./dom.js";
import { t } from "./i18n.js";
import { keep, kept } from "./kept.js";

/** @typedef {{ table: import("./admin-table.js").Table, bulk: import("./admin-bulk.js").Bulk, open: () => void, refresh: () => void }} Uses */

const OFF = "staithe.admin.keys";
/** Each with what it does. @type {[string[], string][]} */
const KEYS = [
  [["/"], "search"], [["j", "k", "↓", "↑"], "move"], [["Home", "End"], "ends"], [["x"], "choose"], [["Shift+↓", "Shift+↑"], "range"], [["a"], "page"],
  [["Enter"], "open"], [["n", "p"], "pages"], [["b"], "bulk"], [["r"], "refresh"], [["Esc"], "escape"], [["?"], "help"],
];

/** Whether what is typed belongs to a field. @param {EventTarget | null} target */
function isField(target) {
  const element = target instanceof HTMLElement ? target : null;
  return element !== null && (element.isContentEditable || element.matches("textarea, select, input:not([type=checkbox])"));
}

/** The list of keys. */
export function showKeys() {
  const on = h("input", { type: "checkbox", checked: kept(OFF) !== "off" });
  on.addEventListener("change", () => keep(OFF, on.checked ? "on" : "off"));
  const lines = KEYS.flatMap(([keys, name]) => [
    h("dt", {}, ...keys.flatMap((key, index) => [index ? ` ${t("admin.keys_or")} ` : null, h("kbd", {}, key)])),
    h("dd", {}, t(`admin.keys_${name}`)),
  ]);
  const close = h("button", { value: "" }, t("action.close"));
  const dialog = h("dialog", { className: "keys", "aria-labelledby": "keys-title" }, h("form", { method: "dialog" }, h("h2", { id: "keys-title" }, t("admin.keys_title")),
    h("dl", { className: "facts-list" }, ...lines), h("label", { className: "check" }, on, t("admin.keys_on")), h("div", { className: "buttons" }, close)));
  dialog.addEventListener("close", () => dialog.remove(), { once: true });
  document.body.append(dialog);
  dialog.showModal();
  close.focus();
}

/** What moves within the list, where the focus is in it. @param {KeyboardEvent} event @param {Uses} uses @returns {boolean} whether it was a key of these */
function inList({ key, shiftKey, target }, { table, open }) {
  const rows = table.rows.length;
  if (key === "ArrowDown") table.move(1, shiftKey);
  else if (key === "ArrowUp") table.move(-1, shiftKey);
  else if (key === "Home") table.move(-rows);
  else if (key === "End") table.move(rows);
  else if (target instanceof HTMLTableRowElement && key === "Enter") open();
  else if (target instanceof HTMLTableRowElement && key === " ") table.toggle();
  else return false;
  return true;
}

/** Single letters, from anywhere on the page. @param {string} key @param {Uses} uses @returns {boolean} */
function letter(key, { table, bulk, refresh }) {
  const { page } = table.query;
  /** @type {Record<string, () => void>} */
  const does = {
    "/": () => $("q").focus(), "?": showKeys, j: () => table.move(1), k: () => table.move(-1), x: () => table.toggle(), a: () => table.togglePage(),
    n: () => table.turn(page + 1), p: () => table.turn(page - 1), b: () => bulk.focus(), r: refresh,
  };
  const deed = Object.hasOwn(does, key) ? does[key] : undefined;
  deed?.();
  return deed !== undefined;
}

/** @param {Uses} uses */
export function listenToKeys(uses) {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing || document.querySelector("dialog[open]")) return;
    const { key, target } = event;
    if (key === "Escape") {
      if (isField(target)) uses.table.focus();
      else uses.bulk.none();
      return;
    }
    if (isField(target)) return;
    const inside = target instanceof Element && target.closest("#rows") !== null;
    const done = (inside && inList(event, uses)) || (kept(OFF) !== "off" && letter(key, uses));
    if (done) event.preventDefault();
  });
  $("keys").addEventListener("click", showKeys);
}
