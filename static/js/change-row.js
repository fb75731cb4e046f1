// One changed file of a repository: what happened to it, and its diff once somebody folds it out.

import { get, sessionPath } from "./api.js";
import { diffView } from "./diff-view.js";
import { h, setText } from "./dom.js";
import { t } from "./i18n.js";
import { failure } from "./pane-parts.js";

/** What is asked for at first, and the most that the server gives, in bytes. */
const FIRST = 200 * 1024;
const WHOLE = 8 * 1024 * 1024;
const LETTERS = { added: "A", copied: "C", deleted: "D", modified: "M", renamed: "R", type_changed: "T", unmerged: "!", untracked: "U" };
let numbered = 0;

/**
 * @typedef {{ path: string, lossy?: boolean, change: keyof typeof LETTERS, from?: string, added: number | null, deleted: number | null, binary: boolean }} FileChange
 * @typedef {{ session: string, repository: string, base: string | null, open: (path: string) => void, typeOf: (path: string) => Promise<string> }} Place `typeOf`: of a file now
 */

/** The lines that were added and removed. @param {number | null} added @param {number | null} deleted */
export function counts(added, deleted) {
  if (added === null || deleted === null || added + deleted === 0) return [];
  return [h("span", { className: "plus" }, `+${added}`), h("span", { className: "minus" }, `−${deleted}`)];
}

export class ChangeRow {
  #open = false;
  #whole = false;
  #asked = 0;
  #shown = "";
  #letter = h("span", { className: "letter" });
  #path = h("span", { className: "change-path" });
  #tags = h("span", { className: "muted small" });
  #counts = h("span", { className: "counts" });
  #diff = h("div", { className: "change-diff", id: `change-diff-${++numbered}`, hidden: true });
  #toFile = h("button", { type: "button", on: { click: () => this.place.open(this.change.path) } }, t("changes.open"));
  #fold = h("button", { type: "button", className: "fold-button", "aria-expanded": "false", "aria-controls": this.#diff.id, on: { click: () => this.toggle() } },
    h("span", { className: "arrow", "aria-hidden": "true" }, "▸"), this.#letter, this.#path, this.#tags, this.#counts);

  /** @param {Place} place @param {FileChange} change @param {string} tag */
  constructor(place, change, tag) {
    this.place = place;
    this.change = change;
    this.element = h("li", {}, h("div", { className: "change-row" }, this.#fold, this.#toFile), this.#diff);
    this.show(place, change, tag);
  }

  get isOpen() {
    return this.#open;
  }

  /** What is known now. @param {Place} place @param {FileChange} change @param {string} tag */
  show(place, change, tag) {
    const { path, from } = change;
    this.place = place;
    this.change = change;
    const slash = path.lastIndexOf("/") + 1;
    const what = t(`changes.kind_${change.change}`);
    this.element.dataset.change = change.change;
    this.element.dataset.path = path;
    this.#letter.title = what;
    this.#letter.replaceChildren(h("span", { "aria-hidden": "true" }, LETTERS[change.change] ?? "?"), h("span", { className: "sr" }, what));
    const before = from ? [h("span", { className: "folder" }, from), " → "] : [];
    this.#path.replaceChildren(...before, h("span", { className: "folder" }, path.slice(0, slash)), path.slice(slash));
    this.#tags.textContent = tag;
    this.#counts.replaceChildren(...(change.binary ? [h("span", { className: "muted" }, t("changes.binary"))] : counts(change.added, change.deleted)));
    this.#toFile.hidden = change.change === "deleted" || Boolean(change.lossy);
    this.#toFile.setAttribute("aria-label", t("changes.open_file", { path }));
    if (this.#open) this.#load();
  }

  /** @param {boolean} [open] */
  toggle(open = !this.#open) {
    this.#open = open;
    this.#fold.setAttribute("aria-expanded", String(open));
    this.#diff.hidden = !open;
    if (open) this.#load();
  }

  async #load() {
    const { session, repository, base } = this.place;
    if (this.change.lossy) return this.#diff.replaceChildren(h("p", { className: "help" }, t("changes.lossy")));
    if (!this.#shown) this.#diff.replaceChildren(h("p", { className: "help" }, t("files.loading")));
    this.#asked += 1;
    const mine = this.#asked;
    const query = new URLSearchParams({ path: repository, file: this.change.path, most: String(this.#whole ? WHOLE : FIRST), ...(base && { base }) });
    try {
      const told = await get(`${sessionPath(session)}/git/diff?${query}`);
      if (mine === this.#asked) this.#draw(told);
    } catch (error) {
      if (mine !== this.#asked) return;
      this.#shown = "";
      this.#diff.replaceChildren(failure(error, () => this.#load()));
    }
  }

  /** @param {{ diff: string, truncated: boolean, binary: boolean, lossy: boolean }} told */
  #draw(told) {
    const key = JSON.stringify(told);
    if (key === this.#shown) return; // nothing is taken from under a reader
    this.#shown = key;
    const notes = [];
    if (told.binary) notes.push(h("p", { className: "help" }, t("changes.is_binary")));
    else if (!told.diff) notes.push(this.#without());
    if (told.lossy) notes.push(h("p", { className: "help" }, t("changes.odd_bytes")));
    if (told.truncated) notes.push(this.#cut());
    this.#diff.replaceChildren(...notes, ...(told.diff && !told.binary ? [diffView(told.diff, this.change.path)] : []));
  }

  /** Why there is no line. */
  #without() {
    const fresh = ["untracked", "added"].includes(this.change.change);
    const words = h("p", { className: "help" }, t(fresh ? "changes.no_lines_new" : "changes.no_lines"));
    if (fresh) this.place.typeOf(this.change.path).then((type) => type === "symlink" && setText(words, t("changes.new_link")), () => {}); // else the words above hold
    return words;
  }

  #cut() {
    if (this.#whole) return h("p", { className: "help" }, t("changes.cut_for_good"));
    const whole = h("button", { type: "button" }, t("changes.whole"));
    whole.addEventListener("click", () => {
      this.#whole = true;
      whole.disabled = true;
      this.#load();
    });
    return h("p", { className: "help row" }, t("changes.cut"), whole);
  }
}
