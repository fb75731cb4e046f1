// Finds files by name and lines by content: what is found is shown as it comes, and opens at its line.

import { Problem, problemOf, sessionPath } from "./api.js";
import { $, h, setText } from "./dom.js";
import { number, t } from "./i18n.js";
import { folderOf, nameOf } from "./files-model.js";

const WAIT = 300;
/** As many names and lines are shown. */
const NAMES = 200;
const LINES = 2000;

/** @typedef {{ type: string, path: string, line: number, text: string, cut_before?: number, cut_after?: number, ranges: { text_start: number, text_end: number }[], entry: string, score: number, positions: number[], results: number, files: number, searched: number, truncated: string | null }} Found */

/**
 * The lines of JSON of an answer, as they come.
 * @param {string} session @param {object} query @param {AbortSignal} signal @param {(found: Found) => void} each
 */
async function search(session, query, signal, each) {
  const answer = await fetch(`${sessionPath(session)}/search`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(query), signal });
  if (!answer.ok || !answer.body) throw problemOf(answer.status, await answer.text());
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line) each(JSON.parse(line));
  }
}

/** A text with parts of it marked. @param {string} text @param {[number, number][]} parts */
function marked(text, parts) {
  const made = [];
  let at = 0;
  for (const [from, to] of parts) {
    if (from < at || to > text.length) continue;
    made.push(text.slice(at, from), h("mark", {}, text.slice(from, to)));
    at = to;
  }
  return [...made, text.slice(at)];
}

export class Search {
  #box = /** @type {HTMLInputElement} */ ($("find"));
  #kind = /** @type {HTMLSelectElement} */ ($("find-kind"));
  #panel = /** @type {HTMLElement} */ ($("found"));
  #list = /** @type {HTMLElement} */ ($("found-list"));
  #says = /** @type {HTMLElement} */ ($("found-says"));
  #how = /** @type {HTMLElement} */ ($("find-how"));
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {AbortController | null} */
  #running = null;
  /** @type {Map<string, HTMLElement>} */
  #files = new Map();
  #lines = 0;

  /** @param {string} session @param {{ open: (path: string, line: number) => void, reveal: (path: string) => void, shown: (yes: boolean) => void, leave: () => void }} does */
  constructor(session, does) {
    this.session = session;
    this.does = does;
    this.#box.addEventListener("input", () => this.#soon(WAIT));
    this.#kind.addEventListener("change", () => this.#soon(0));
    this.#how.addEventListener("click", (event) => this.#flip(/** @type {Element} */ (event.target).closest("button")));
    this.#box.addEventListener("keydown", (event) => this.#keyInBox(event));
    this.#panel.addEventListener("keydown", (event) => this.#keyInList(event));
    $("found-close").addEventListener("click", () => this.close());
    document.addEventListener("keydown", (event) => this.#keyAnywhere(event));
  }

  /** Whatever has the focus, unless it has the keys itself, as terminals do. @param {KeyboardEvent} event */
  #keyAnywhere(event) {
    if (!(event.ctrlKey || event.metaKey) || event.altKey || event.defaultPrevented || this.#box.disabled || document.querySelector("dialog[open]")) return;
    const key = event.key.toLowerCase();
    const kind = key === "p" && !event.shiftKey ? "names" : key === "f" && event.shiftKey ? "content" : undefined;
    if (!kind) return;
    event.preventDefault();
    if (!this.#box.offsetParent) $("tab-files").click();
    this.#focus(kind);
  }

  /** @param {"names" | "content"} kind */
  #focus(kind) {
    this.#kind.value = kind;
    this.#dress();
    this.#box.focus();
    this.#box.select();
    if (this.#box.value) this.#soon(0);
  }

  close() {
    this.#cancel();
    this.#box.value = "";
    this.#show(false);
    this.does.leave();
  }

  /** @param {HTMLButtonElement | null} button */
  #flip(button) {
    if (!button) return;
    button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
    this.#soon(0);
  }

  /** @param {string} id */
  #on(id) {
    return $(id).getAttribute("aria-pressed") === "true";
  }

  #dress() {
    this.#how.hidden = this.#kind.value !== "content";
  }

  /** @param {boolean} yes */
  #show(yes) {
    this.#panel.hidden = !yes;
    this.does.shown(yes);
  }

  #cancel() {
    clearTimeout(this.#timer);
    this.#running?.abort();
    this.#running = null;
    this.#panel.removeAttribute("aria-busy");
  }

  /** @param {number} wait */
  #soon(wait) {
    this.#dress();
    this.#cancel();
    if (!this.#box.value) return this.#show(false);
    this.#timer = setTimeout(() => this.#run(), wait);
  }

  async #run() {
    const query = this.#box.value;
    const control = (this.#running = new AbortController());
    this.#list.replaceChildren();
    this.#files.clear();
    this.#lines = 0;
    this.#panel.setAttribute("aria-busy", "true");
    setText(this.#says, t("find.searching"));
    this.#show(true);
    /** @type {Found[]} */
    const names = [];
    try {
      const finished = { yes: false };
      const content = this.#kind.value === "content";
      const asked = content
        ? { kind: "content", query, regex: this.#on("find-regex"), case: this.#on("find-case") ? "sensitive" : "smart", whole_word: this.#on("find-word"), max_results: LINES }
        : { kind: "names", query, limit: NAMES };
      await search(this.session, asked, control.signal, (found) => {
        if (control.signal.aborted) return;
        if (found.type === "match") this.#line(found);
        else if (found.type === "name") names.push(found);
        else if (found.type === "progress") setText(this.#says, t("find.searched", { count: found.searched }));
        else if (found.type === "done") {
          finished.yes = true;
          this.#names(names);
          this.#done(found, content);
        }
      });
      if (!finished.yes) throw new Problem(0, { detail: t("find.cut") });
    } catch (error) {
      if (control.signal.aborted) return;
      setText(this.#says, t("find.failed", { reason: error instanceof Problem ? error.message : t("error.unreachable") }));
    } finally {
      if (this.#running === control) this.#panel.removeAttribute("aria-busy");
    }
  }

  /** @param {Found} found */
  #line({ path, line, text, ranges, cut_before = 0, cut_after = 0 }) {
    this.#lines += 1;
    let group = this.#files.get(path);
    if (!group) {
      group = h("ul", { "aria-label": path });
      this.#files.set(path, group);
      this.#list.append(h("li", { className: "found-file" }, h("p", { title: path }, h("strong", {}, nameOf(path)), " ", h("span", { className: "muted" }, folderOf(path))), group));
    }
    const parts = ranges.map(({ text_start, text_end }) => /** @type {[number, number]} */ ([text_start, text_end]));
    const button = h("button", { type: "button", tabIndex: -1, data: { path, line: String(line) }, on: { click: () => this.does.open(path, line) } },
      h("span", { className: "line-number" }, number(line)), h("span", { className: "line-text" }, cut_before > 0 && "…", ...marked(text, parts), cut_after > 0 && "…"));
    group.append(h("li", {}, button));
    if (this.#lines === 1) button.tabIndex = 0;
    setText(this.#says, t("find.lines", { count: this.#lines, files: number(this.#files.size) }));
  }

  /** Of all that were told the best are the result. @param {Found[]} names */
  #names(names) {
    names.sort((a, b) => b.score - a.score || a.path.length - b.path.length);
    for (const { path, entry, positions } of names.slice(0, NAMES)) {
      const act = () => (entry === "dir" ? this.does.reveal(path) : this.does.open(path, 0));
      const parts = positions.map((at) => /** @type {[number, number]} */ ([at, at + 1]));
      const button = h("button", { type: "button", tabIndex: this.#list.children.length ? -1 : 0, data: { path }, on: { click: act } }, h("span", { className: "line-text" }, ...marked(path, parts), entry === "dir" && "/"));
      this.#list.append(h("li", {}, button));
    }
  }

  /** @param {Found} found @param {boolean} content */
  #done({ results, files, truncated }, content) {
    const says = results === 0 ? t("find.nothing") : content ? t("find.lines", { count: results, files: number(files) }) : t("find.names", { count: Math.min(results, NAMES) });
    setText(this.#says, truncated ? `${says} ${t("find.truncated")}` : says);
  }

  /** @param {KeyboardEvent} event */
  #keyInBox(event) {
    if (event.key === "Escape") this.close();
    else if (event.key === "ArrowDown") this.#step(0);
    else if (event.key === "Enter") {
      const first = /** @type {HTMLButtonElement | null} */ (this.#list.querySelector("button"));
      if (first && !this.#panel.hasAttribute("aria-busy")) first.click();
      else this.#soon(0);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {KeyboardEvent} event */
  #keyInList(event) {
    const all = this.#buttons;
    const at = all.indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (event.key === "Escape") this.close();
    else if (to === -1 && at === 0) this.#box.focus();
    else if (to !== undefined && at >= 0) this.#step(to);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  get #buttons() {
    return /** @type {HTMLButtonElement[]} */ ([...this.#list.querySelectorAll("button")]);
  }

  /** One of them can be reached by Tab. @param {number} to */
  #step(to) {
    const button = this.#buttons[to];
    if (!button) return;
    for (const one of this.#buttons) one.tabIndex = one === button ? 0 : -1;
    button.focus();
  }
}
