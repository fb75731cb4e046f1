// A list that is narrowed by typing: a combobox over a listbox, in a dialog of its own. The palette and the switcher are such lists.

import { h, setText, sheet } from "./dom.js";
import { t } from "./i18n.js";

/**
 * @typedef {object} Item
 * @property {string} id found by its words, too, in every language
 * @property {string} title
 * @property {string} [group] its heading, while nothing is typed
 * @property {string} [keys] what a person may press instead
 * @property {Node[]} [marks] beside the title
 * @property {string} [note] in small, under the title
 * @property {boolean} [fixed] it stands at the end, whatever is typed
 * @property {() => unknown} run
 */
/** @typedef {{ label: string, hint: string, none: string, items: () => Item[] | Promise<Item[]>, anchor?: HTMLElement, picked?: (item: Item) => void }} Wanted */

const PAGE = 8;

/**
 * How well a text fits what was typed: each word of it as a part, or else as letters in this order.
 * @param {string} query @param {string} text @returns {{ score: number, at: number[] } | null} `at`: the letters that fit
 */
export function fits(query, text) {
  const low = text.toLowerCase();
  /** @type {Set<number>} */
  const at = new Set();
  let score = 0;
  for (const word of query.toLowerCase().split(/\s+/).filter(Boolean)) {
    const whole = bestPart(low, word);
    const places = whole ?? letters(low, word);
    if (!places) return null;
    const first = places[0] ?? 0;
    const begins = first === 0 || /[\s\-_/.:·(“]/.test(low[first - 1] ?? "");
    const spread = (places.at(-1) ?? first) - first + 1 - places.length;
    score += (whole ? 60 : 20 - spread) + (begins ? 30 : 0) - first / 10;
    for (const place of places) at.add(place);
  }
  return { score: score - low.length / 100, at: [...at].sort((a, b) => a - b) };
}

/** Where the word stands, at the beginning of another word if it may. @param {string} text @param {string} word */
function bestPart(text, word) {
  let found = text.indexOf(word);
  if (found < 0) return null;
  for (let next = found; next >= 0; next = text.indexOf(word, next + 1)) {
    if (next === 0 || /[\s\-_/.:·(“]/.test(text[next - 1] ?? "")) {
      found = next;
      break;
    }
  }
  return Array.from(word, (_, index) => found + index);
}

/** @param {string} text @param {string} word @returns {number[] | null} */
function letters(text, word) {
  const places = [];
  let from = 0;
  for (const letter of word) {
    const place = text.indexOf(letter, from);
    if (place < 0) return null;
    places.push(place);
    from = place + 1;
  }
  return places;
}

/** A title with the letters marked that fit. @param {string} title @param {number[]} at */
function marked(title, at) {
  const places = new Set(at);
  const element = h("span", { className: "pick-title" });
  let plain = "";
  let index = 0;
  for (const letter of title) {
    if (places.has(index)) {
      element.append(plain, h("b", {}, letter));
      plain = "";
    } else {
      plain += letter;
    }
    index += letter.length;
  }
  element.append(plain);
  return element;
}

/** @param {string} keys "Ctrl+K" */
export function keyCaps(keys) {
  return h("kbd", { className: "keys" }, keys);
}

class Picker {
  /** @type {Item[]} */
  #items = [];
  /** @type {{ item: Item, element: HTMLElement }[]} */
  #shown = [];
  #at = 0;

  /** @param {Wanted} wanted @param {(item: Item | null) => void} done */
  constructor(wanted, done) {
    this.wanted = wanted;
    this.done = done;
    this.input = h("input", { id: "pick-input", role: "combobox", autocomplete: "off", spellcheck: false, placeholder: wanted.hint, "aria-label": wanted.label, "aria-expanded": "true", "aria-controls": "pick-list", "aria-autocomplete": "list", enterkeyhint: "go" });
    this.list = h("div", { id: "pick-list", className: "pick-list", role: "listbox", "aria-label": wanted.label });
    this.status = h("p", { className: "pick-none muted", role: "status" });
    this.input.addEventListener("input", () => this.#show());
    this.input.addEventListener("keydown", (event) => this.#key(event));
  }

  async load() {
    setText(this.status, t("pick.loading"));
    try {
      this.#items = await this.wanted.items();
      this.#show();
    } catch (error) {
      this.status.classList.add("bad");
      setText(this.status, error instanceof Error ? error.message : String(error));
    }
  }

  #show() {
    const query = this.input.value.trim();
    this.list.replaceChildren();
    this.#shown = [];
    if (query) this.#showFound(query);
    else this.#showAll();
    const real = this.#shown.filter(({ item }) => !item.fixed).length;
    setText(this.status, real ? t("pick.count", { count: real }) : this.wanted.none);
    this.status.classList.toggle("sr", real > 0);
    this.#choose(0);
  }

  /** @param {string} query */
  #showFound(query) {
    const found = [];
    for (const item of this.#items.filter((one) => !one.fixed)) {
      const byTitle = fits(query, item.title);
      const other = byTitle ? null : fits(query, `${item.id} ${item.note ?? ""}`);
      if (byTitle) found.push({ item, score: byTitle.score + 15, at: byTitle.at });
      else if (other) found.push({ item, score: other.score, at: [] });
    }
    found.sort((a, b) => b.score - a.score);
    for (const { item, at } of found) this.#add(item, at, this.list);
    for (const item of this.#items.filter((one) => one.fixed)) this.#add(item, [], this.list);
  }

  #showAll() {
    /** @type {Map<string, HTMLElement>} */
    const groups = new Map();
    for (const item of this.#items) {
      const name = item.group ?? "";
      let host = groups.get(name);
      if (!host) {
        host = name ? h("div", { role: "group", "aria-label": name }, h("div", { className: "pick-head", "aria-hidden": "true" }, name)) : this.list;
        if (name) this.list.append(host);
        groups.set(name, host);
      }
      this.#add(item, [], host);
    }
  }

  /** @param {Item} item @param {number[]} at @param {HTMLElement} host */
  #add(item, at, host) {
    const index = this.#shown.length;
    const element = h("div", { id: `pick-${index}`, className: "pick", role: "option", data: { pick: item.id } },
      h("span", { className: "pick-what" }, marked(item.title, at), item.note ? h("span", { className: "muted small" }, item.note) : null),
      ...(item.marks ?? []), item.keys ? keyCaps(item.keys) : null);
    element.addEventListener("pointermove", () => this.#at !== index && this.#choose(index));
    element.addEventListener("click", () => this.done(item));
    this.#shown.push({ item, element });
    host.append(element);
  }

  /** @param {number} index */
  #choose(index) {
    this.#at = index;
    for (const [place, { element }] of this.#shown.entries()) element.setAttribute("aria-selected", String(place === index));
    const chosen = this.#shown[index]?.element;
    if (chosen) {
      this.input.setAttribute("aria-activedescendant", chosen.id);
      chosen.scrollIntoView({ block: "nearest" });
      if (index === 0) this.list.scrollTop = 0;
    } else {
      this.input.removeAttribute("aria-activedescendant");
    }
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.isComposing) return;
    const count = this.#shown.length;
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: PAGE, PageUp: -PAGE }[event.key];
    if (step !== undefined && count) {
      event.preventDefault();
      const to = this.#at + step;
      this.#choose(Math.abs(step) === 1 ? (to + count) % count : Math.min(count - 1, Math.max(0, to)));
    } else if (event.key === "Enter") {
      event.preventDefault();
      const chosen = this.#shown[this.#at];
      if (chosen) this.done(chosen.item);
    }
  }
}

/** @type {HTMLDialogElement | null} */
let open = null;

/** Whether a list is open; it is closed, if so. */
export function closePicker() {
  if (!open?.open) return false; // one that is closed goes a moment later
  open.close();
  return true;
}

/** Under what it belongs to, as far as there is room. @param {HTMLDialogElement} dialog @param {HTMLElement} anchor */
function place(dialog, anchor) {
  const box = anchor.getBoundingClientRect();
  const width = dialog.offsetWidth;
  dialog.style.left = `${Math.max(8, Math.min(box.left, innerWidth - width - 8))}px`;
  dialog.style.top = `${box.bottom + 4}px`;
  dialog.style.maxHeight = `${Math.max(160, innerHeight - box.bottom - 16)}px`;
}

/** Opens the list. What is chosen runs once the dialog is gone and the focus is back. @param {Wanted} wanted @returns {Promise<void>} */
export async function pickFrom(wanted) {
  if (open?.open) return;
  await sheet("css/palette.css").catch(() => {}); // it works unadorned, too
  if (document.querySelector("dialog[open]")) return;
  /** @type {Item | null} */
  let chosen = null;
  const picker = new Picker(wanted, (item) => {
    chosen = item;
    dialog.close();
  });
  const dialog = h("dialog", { className: wanted.anchor ? "picker anchored" : "picker", "aria-label": wanted.label }, picker.input, picker.status, picker.list);
  open = dialog;
  document.body.append(dialog);
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => {
    if (open === dialog) open = null;
    dialog.remove();
    wanted.anchor?.setAttribute("aria-expanded", "false");
    if (!chosen) return;
    wanted.picked?.(chosen);
    chosen.run();
  }, { once: true });
  dialog.showModal();
  if (wanted.anchor) {
    wanted.anchor.setAttribute("aria-expanded", "true");
    place(dialog, wanted.anchor);
  }
  picker.input.focus();
  await picker.load();
}
