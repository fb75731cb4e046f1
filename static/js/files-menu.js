// A menu that opens where it is asked for: arrow keys, first letters, Escape; the focus goes back to where it was.

import { h } from "./dom.js";

/** @typedef {{ label: string, keys?: string, danger?: boolean, act: () => void } | null} Item `null` is a line between */

/** @type {(() => void) | undefined} */
let shut;

/** @param {Item[]} items @param {number} x @param {number} y @param {string} label */
export function openMenu(items, x, y, label) {
  shut?.();
  const before = /** @type {HTMLElement | null} */ (document.activeElement);
  const menu = h("div", { className: "menu", role: "menu", "aria-label": label, tabIndex: -1 });
  const away = (/** @type {PointerEvent} */ event) => menu.contains(/** @type {Node} */ (event.target)) || close(false);
  const close = (/** @type {boolean} */ back) => {
    if (!menu.isConnected) return;
    shut = undefined;
    removeEventListener("pointerdown", away, true);
    menu.remove();
    if (back) before?.focus();
  };
  shut = () => close(false);
  for (const item of items) menu.append(item ? entry(item, () => close(true)) : h("hr", { role: "separator" }));
  menu.addEventListener("keydown", (event) => move(menu, event, () => close(true)));
  menu.addEventListener("focusout", (event) => event.relatedTarget && !menu.contains(/** @type {Node} */ (event.relatedTarget)) && close(false));
  addEventListener("pointerdown", away, true);
  document.body.append(menu);
  const { width, height } = menu.getBoundingClientRect();
  menu.style.left = `${Math.max(4, Math.min(x, innerWidth - width - 4))}px`;
  menu.style.top = `${Math.max(4, Math.min(y, innerHeight - height - 4))}px`;
  /** @type {HTMLElement | null} */ (menu.querySelector("[role=menuitem]"))?.focus();
}

/** @param {NonNullable<Item>} item @param {() => void} close */
function entry({ label, keys, danger, act }, close) {
  const button = h("button", { type: "button", role: "menuitem", tabIndex: -1, className: danger ? "danger" : "" },
    h("span", {}, label), keys && h("kbd", { "aria-hidden": "true" }, keys));
  if (keys) button.setAttribute("aria-keyshortcuts", keys.replace("Ctrl", "Control").replace("Del", "Delete"));
  button.addEventListener("click", () => {
    close();
    act();
  });
  return button;
}

/** @param {HTMLElement} menu @param {KeyboardEvent} event @param {() => void} close */
function move(menu, event, close) {
  const all = /** @type {HTMLElement[]} */ ([...menu.querySelectorAll("[role=menuitem]")]);
  const at = all.indexOf(/** @type {HTMLElement} */ (document.activeElement));
  const letter = event.key.length === 1 && !event.ctrlKey && !event.metaKey ? event.key.toLowerCase() : "";
  const named = letter ? [...all.slice(at + 1), ...all.slice(0, at + 1)].find((one) => one.textContent?.toLowerCase().startsWith(letter)) : undefined;
  const to = { ArrowDown: all[(at + 1) % all.length], ArrowUp: all.at(at - 1), Home: all[0], End: all.at(-1) }[event.key] ?? named;
  if (to) to.focus();
  else if (event.key === "Escape" || event.key === "Tab") close();
  else return;
  event.preventDefault();
  event.stopPropagation();
}
