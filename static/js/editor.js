// The open files under their tabs. Each is saved with the version it was opened at, so that nobody's work is lost unseen.

import { filePath } from "./api.js";
import { choose, complain, notice } from "./dialog.js";
import { $, announce, h, setText } from "./dom.js";
import { Kept } from "./editor-kept.js";
import { isGone, moved, nameOf, within } from "./files-model.js";
import { t } from "./i18n.js";
import { agreed, holdsUnsaved, signedOut } from "./sign-out.js";

/**
 * @typedef {object} Around
 * @property {(path: string) => void} saved
 * @property {(path: string, x: number, y: number) => void} menu
 * @property {(path: string) => void} shown the file that is looked at is another
 */
/** @typedef {import("./editor-doc.js").Doc} Doc */

/** What a file is edited with comes with the first that is opened. */
const documents = () => import("./editor-doc.js");
/** Milliseconds after a change until it is kept for the next time that the page is loaded. */
const KEEP_AFTER = 700;

export class Editor {
  /** @type {Doc[]} */
  #docs = [];
  /** @type {Doc | null} */
  #current = null;
  #writable = false;
  /** The newest wish counts, when several files are on their way. */
  #wished = 0;
  #root = /** @type {HTMLElement} */ ($("editor"));
  #tabs = /** @type {HTMLElement} */ ($("editor-tabs"));
  #body = /** @type {HTMLElement} */ ($("editor-body"));
  /** @type {Map<Doc, HTMLElement>} */
  #tabOf = new Map();
  /** @type {Map<string, Promise<Doc | null>>} */
  #opening = new Map();
  #marking = 0;
  #ids = 0;
  #kept;
  /** Tabs of before the page was loaded again, whose files can't be had yet; null before they are known. @type {import("./editor-kept.js").Tab[] | null} */
  #left = null;
  #restoring = false;
  /** The unsaved texts that are kept, by what they were kept as. @type {Map<Doc, string>} */
  #safe = new Map();
  /** Those of which it was told that their text can't be kept. @type {WeakSet<Doc>} */
  #told = new WeakSet();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #keeping;

  /** @param {string} session @param {(body: any) => Promise<any>} op @param {Around} around */
  constructor(session, op, around) {
    this.around = around;
    /** @type {import("./editor-doc.js").Place} */
    this.place = {
      session, op,
      changed: () => this.#later(),
      scrolled: () => this.#keepSoon(),
      saved: (path) => {
        notice(t("files.saved", { name: path }));
        around.saved(path);
      },
    };
    this.#kept = new Kept(session);
    this.#buttons();
    addEventListener("beforeunload", (event) => {
      this.#keep();
      if (!agreed && this.#docs.some((doc) => doc.dirty && !this.#safe.has(doc))) event.preventDefault();
    });
    holdsUnsaved(() => {
      this.#keep(); // what was just saved isn't told of
      return this.#docs.filter((doc) => doc.dirty).map(({ path }) => `${session}/${path}`);
    });
    addEventListener("pagehide", () => this.#keep());
    document.addEventListener("visibilitychange", () => document.hidden && this.#keep());
    new ResizeObserver(() => this.#current?.settle()).observe(this.#body);
    this.#root.addEventListener("keydown", (event) => {
      if (event.key.toLowerCase() !== "s" || !(event.ctrlKey || event.metaKey) || event.altKey) return;
      event.preventDefault();
      this.save();
    });
  }

  #buttons() {
    const doc = (/** @type {(doc: Doc) => unknown} */ work) => async () => {
      if (!this.#current) return;
      try {
        await work(this.#current);
      } catch (error) {
        complain(error);
      }
    };
    $("save").addEventListener("click", () => this.save());
    $("editor-close").addEventListener("click", doc((one) => this.close(one)));
    $("editor-preview").addEventListener("click", doc((one) => one.togglePreview()));
    $("editor-wide").addEventListener("click", () => this.#widen());
    $("editor-more").addEventListener("click", doc((one) => {
      const { left, bottom } = $("editor-more").getBoundingClientRect();
      this.around.menu(one.path, left, bottom);
    }));
    $("take-theirs").addEventListener("click", doc((one) => (one.theirs?.gone ? this.#drop(one) : this.#settle(one, one.takeTheirs()))));
    $("keep-mine").addEventListener("click", doc((one) => this.#settle(one, one.keepMine())));
    $("merge").addEventListener("click", doc((one) => one.beginMerge(this.#body.clientWidth)));
    $("merge-save").addEventListener("click", doc((one) => this.#settle(one, one.finishMerge(true))));
    $("merge-back").addEventListener("click", doc((one) => this.#settle(one, one.finishMerge(false))));
    this.#tabs.addEventListener("keydown", (event) => this.#keyOnTab(event));
  }

  /** The button that was pressed goes away: the focus goes on to the text. @param {Doc} doc @param {Promise<void>} work */
  async #settle(doc, work) {
    await work;
    doc.focus();
  }

  /** The file that is looked at. */
  get path() {
    return this.#current?.path ?? "";
  }

  get paths() {
    return this.#docs.map((doc) => doc.path);
  }

  get dirty() {
    return this.#docs.some((doc) => doc.dirty);
  }

  /** @param {boolean} writable */
  setWritable(writable) {
    this.#writable = writable;
    for (const doc of this.#docs) doc.setWritable(writable);
    this.mark();
  }

  /**
   * Shows a file, at a line where one is given (from 1; 0: where it was).
   * @param {string} path @param {number} [line]
   */
  async open(path, line = 0) {
    this.#wished += 1;
    const wish = this.#wished;
    this.#root.setAttribute("aria-busy", "true");
    try {
      const doc = await this.#coming(path);
      if (!doc || wish !== this.#wished) return;
      this.#show(doc);
      if (line) doc.reveal(line);
      doc.focus();
    } catch (error) {
      complain(error);
    } finally {
      if (wish === this.#wished) this.#root.removeAttribute("aria-busy");
    }
  }

  /** A file with its content; asked for twice, it is read once. @param {string} path */
  #coming(path) {
    const coming = this.#opening.get(path) ?? this.#get(path).finally(() => this.#opening.delete(path));
    this.#opening.set(path, coming);
    return coming;
  }

  /** @param {string} path @returns {Promise<Doc | null>} */
  async #get(path) {
    const { Doc } = await documents();
    const there = this.#docs.find((doc) => doc.path === path);
    if (there?.loaded) return there;
    const doc = there ?? new Doc(path, this.place);
    doc.writable = this.#writable;
    this.#body.append(doc.element);
    try {
      await doc.open(this.#writable ? this.#kept.take(path) : null);
    } catch (error) {
      if (!there) doc.close();
      else if (isGone(error)) this.#drop(doc);
      throw error;
    }
    doc.setWritable(this.#writable);
    if (there) return this.#docs.includes(doc) ? doc : null;
    this.#docs.push(doc);
    this.#addTab(doc);
    return doc;
  }

  // Over a reload

  /** Opens what was open before the page was loaded again; what can't be had now is tried again with the next call. */
  async restore() {
    if (this.#restoring) return;
    this.#restoring = true;
    try {
      const { tabs, active } = this.#kept.tabs();
      if (!this.#left) {
        const texts = this.#writable ? this.#kept.paths().filter((path) => !tabs.some((tab) => tab.path === path)) : [];
        this.#left = [...tabs, ...texts.map((path) => ({ path }))];
      }
      if (this.#left.length > 0) await this.#reopen(this.#left, active);
    } catch (error) {
      complain(error);
    } finally {
      this.#restoring = false;
    }
  }

  /** @param {import("./editor-kept.js").Tab[]} tabs @param {string} active */
  async #reopen(tabs, active) {
    const { Doc } = await documents();
    const texts = this.#writable ? this.#kept.paths() : [];
    const states = await Promise.all(tabs.map(({ path }) => (texts.includes(path) ? "unsaved" : this.#stateOf(path))));
    this.#left = tabs.filter((_, index) => states[index] === "unknown");
    const gone = tabs.filter((_, index) => states[index] === "gone").map(({ path }) => path);
    const unsaved = tabs.filter((_, index) => states[index] === "unsaved").map(({ path }) => path);
    tabs.forEach(({ path, at }, index) => {
      if (!["there", "unsaved"].includes(states[index] ?? "") || this.#opening.has(path) || this.paths.includes(path)) return;
      const doc = new Doc(path, this.place, at);
      this.#docs.push(doc);
      this.#addTab(doc);
    });
    this.mark();
    const read = await Promise.all(unsaved.map((path) => this.#coming(path).catch(complain)));
    const again = read.flatMap((doc) => (doc?.dirty ? [doc.path] : []));
    const doc = this.#docs.find(({ path }) => path === active) ?? this.#docs[0];
    if (doc && this.#wished === 0) await this.#pick(doc);
    if (gone.length > 0) notice(t("edit.not_there", { names: gone.join(", ") }));
    if (again.length > 0) notice(t("edit.again", { names: again.join(", ") }));
    this.#keepSoon();
  }

  /** @param {string} path @returns {Promise<"there" | "gone" | "unknown">} */
  async #stateOf(path) {
    try {
      const { entries } = await this.place.op({ op: "stat", path });
      return entries?.[0]?.type === "dir" ? "gone" : "there";
    } catch (error) {
      return isGone(error) ? "gone" : "unknown";
    }
  }

  #keepSoon() {
    this.#keeping ??= setTimeout(() => this.#keep(), KEEP_AFTER);
  }

  /** Keeps what is open and what isn't saved; at once, as the page may be about to go. */
  #keep() {
    clearTimeout(this.#keeping);
    this.#keeping = undefined;
    if (signedOut) return this.#safe.clear();
    for (const doc of this.#docs) this.#keepText(doc);
    if (!this.#left) return; // what was open is still to be opened
    const open = this.#docs.map(({ path, at }) => ({ path, at }));
    const tabs = [...open, ...this.#left.filter(({ path }) => !this.paths.includes(path))];
    this.#kept.setTabs(tabs, this.path || this.#kept.tabs().active);
  }

  /** @param {Doc} doc */
  #keepText(doc) {
    if (!doc.loaded) return; // nothing is known of it, so nothing is dropped
    const { unsaved, path } = doc;
    const before = this.#safe.get(doc) ?? path;
    if (!unsaved || before !== path) this.#kept.drop(before);
    if (unsaved && this.#kept.keep(path, unsaved)) this.#safe.set(doc, path);
    else this.#safe.delete(doc);
    if (!unsaved || this.#safe.has(doc) || this.#told.has(doc)) return;
    this.#told.add(doc);
    notice(t("edit.not_kept", { name: path }), true);
  }

  async save() {
    const doc = this.#current;
    if (doc?.merge) await this.#settle(doc, doc.finishMerge(true));
    else await doc?.save();
  }

  /** Looks whether somebody else changed these files. @param {string[]} paths @param {(path: string) => string} [where] they went */
  async check(paths, where = (path) => path) {
    const docs = this.#docs.filter((doc) => paths.includes(doc.path));
    await Promise.all(docs.map((doc) => doc.check(where).catch(() => {})));
  }

  /** @param {Doc} doc */
  async close(doc) {
    if (await this.#mayLeave(doc)) this.#drop(doc);
  }

  /** @param {string} from @param {string} to */
  renamed(from, to) {
    for (const doc of this.#docs) if (within(doc.path, from)) doc.renamed(moved(doc.path, from, to));
  }

  /** @param {string} path */
  removed(path) {
    for (const doc of [...this.#docs]) if (within(doc.path, path)) this.#drop(doc);
  }

  /** Nothing here is asked for any more: the session is gone. */
  forget() {
    for (const doc of [...this.#docs]) this.#drop(doc);
    this.#left = [];
    this.#kept.forget();
  }

  /** @param {Doc} doc */
  async #mayLeave(doc) {
    if (!doc.dirty) return true;
    this.#show(doc);
    const answer = await choose({
      title: t("confirm.unsaved_title"),
      body: [t("confirm.unsaved_text", { name: doc.path })],
      choices: [{ value: "discard", label: t("confirm.discard"), kind: "danger" }, ...(doc.theirs ? [] : [{ value: "save", label: t("action.save"), kind: /** @type {"primary"} */ ("primary") }])],
    });
    if (answer === "save") await doc.save();
    return answer === "discard" || (answer === "save" && !doc.dirty);
  }

  /** @param {Doc} doc */
  #drop(doc) {
    const at = this.#docs.indexOf(doc);
    if (at < 0) return;
    const focused = this.#root.contains(document.activeElement);
    this.#docs.splice(at, 1);
    this.#tabOf.get(doc)?.remove();
    this.#tabOf.delete(doc);
    doc.close();
    if (doc.loaded) this.#kept.drop(this.#safe.get(doc) ?? doc.path); // whose text was never seen nobody gave up
    this.#safe.delete(doc);
    this.#keepSoon();
    if (this.#current !== doc) return this.mark();
    this.#show(this.#docs[at] ?? this.#docs[at - 1] ?? null);
    if (!focused) return;
    if (this.#current) this.#tabButton(this.#current)?.focus();
    else $("tree").focus();
  }

  /** @param {Doc | null} doc */
  #show(doc) {
    this.#current = doc;
    for (const one of this.#docs) one.element.hidden = one !== doc;
    this.#root.hidden = !doc;
    if (!doc) this.#widen(false);
    doc?.settle();
    this.#keepSoon();
    this.mark();
    this.around.shown(this.path);
    if (doc) this.#tabOf.get(doc)?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  // Tabs

  /** @param {Doc} doc */
  #addTab(doc) {
    this.#ids += 1;
    doc.element.id = `doc-${this.#ids}`;
    const button = h("button", { type: "button", role: "tab", id: `doc-tab-${this.#ids}`, "aria-controls": doc.element.id, on: { click: () => this.#pick(doc) } });
    doc.element.setAttribute("role", "tabpanel");
    doc.element.setAttribute("aria-labelledby", button.id);
    const end = h("button", { type: "button", className: "end", tabIndex: -1, "aria-hidden": "true", title: t("action.close"), on: { click: () => this.close(doc) } }, "✕");
    const tab = h("span", { className: "editor-tab", role: "none", on: { auxclick: (/** @type {MouseEvent} */ event) => event.button === 1 && this.close(doc) } }, button, end);
    this.#tabOf.set(doc, tab);
    this.#tabs.append(tab);
  }

  /** @param {Doc} doc */
  #tabButton(doc) {
    return /** @type {HTMLButtonElement | null} */ (this.#tabOf.get(doc)?.querySelector("[role=tab]"));
  }

  /** @param {Doc} doc */
  async #pick(doc) {
    this.#wished += 1;
    const wish = this.#wished;
    try {
      if (!doc.loaded && !(await this.#coming(doc.path))) return;
      if (wish === this.#wished) this.#show(doc);
    } catch (error) {
      complain(error);
    }
  }

  /** @param {KeyboardEvent} event */
  #keyOnTab(event) {
    const at = this.#docs.findIndex((doc) => this.#tabButton(doc) === document.activeElement);
    const doc = this.#docs[at];
    if (!doc) return;
    const { length } = this.#docs;
    const to = { ArrowRight: (at + 1) % length, ArrowLeft: (at - 1 + length) % length, Home: 0, End: length - 1 }[event.key];
    const next = to === undefined ? undefined : this.#docs[to];
    if (next) {
      this.#pick(next);
      this.#tabButton(next)?.focus();
    } else if (event.key === "Delete") this.close(doc);
    else if (event.key === "ArrowDown") doc.focus();
    else return;
    event.preventDefault();
  }

  /** The whole pane for the text, or the tree beside it. @param {boolean} [wide] */
  #widen(wide = $("editor-wide").getAttribute("aria-pressed") !== "true") {
    $("editor-wide").setAttribute("aria-pressed", String(wide));
    $("files").classList.toggle("editor-only", wide);
  }

  // What is to be seen

  #later() {
    this.#marking ||= requestAnimationFrame(() => this.mark());
    this.#keepSoon();
  }

  mark() {
    this.#marking = 0;
    for (const doc of this.#docs) this.#markTab(doc);
    const doc = this.#current;
    if (!doc) return;
    setText($("editor-path"), doc.path);
    $("editor-path").title = doc.path;
    $("editor-download").href = `${filePath(this.place.session, doc.path)}?download=1`;
    $("editor-download").download = nameOf(doc.path);
    $("dirty").hidden = !doc.dirty;
    $("save").hidden = doc.kind !== "text" || doc.merge !== null || !this.#writable;
    $("save").disabled = !this.#writable || doc.saving || !doc.dirty || doc.theirs !== null;
    $("editor-preview").hidden = !doc.canPreview || doc.merge !== null || doc.theirs !== null;
    $("editor-preview").setAttribute("aria-pressed", String(doc.preview !== null));
    setText($("editor-status"), doc.saving ? t("edit.saving") : doc.says().join(" · "));
    $("editor-hint").hidden = doc.kind !== "text" || doc.preview !== null || !this.#writable;
    this.#markConflict(doc);
  }

  /** @param {Doc} doc */
  #markTab(doc) {
    const button = this.#tabButton(doc);
    if (!button) return;
    const name = nameOf(doc.path);
    const same = this.#docs.some((other) => other !== doc && nameOf(other.path) === name);
    setText(button, same ? doc.path : name);
    button.title = doc.path;
    button.setAttribute("aria-selected", String(doc === this.#current));
    button.setAttribute("aria-label", doc.theirs ? `${doc.path}, ${t("edit.in_conflict")}` : doc.dirty ? `${doc.path}, ${t("files.unsaved")}` : doc.path);
    button.setAttribute("aria-keyshortcuts", "Delete");
    button.tabIndex = doc === this.#current ? 0 : -1;
    const state = doc.theirs ? "conflict" : doc.dirty ? "unsaved" : "";
    if (button.parentElement && button.parentElement.dataset.state !== state) button.parentElement.dataset.state = state;
  }

  /** @param {Doc} doc */
  #markConflict(doc) {
    const { theirs, merge } = doc;
    const bar = $("conflict");
    const text = !theirs ? "" : merge ? t("edit.merging") : t(theirs.gone ? "files.conflict_gone" : "files.conflict");
    if (theirs && bar.hidden) announce(text);
    bar.hidden = !theirs;
    setText($("conflict-text"), text);
    $("take-theirs").hidden = merge !== null;
    setText($("take-theirs"), t(theirs?.gone ? "edit.close_gone" : "files.take_theirs"));
    $("keep-mine").hidden = merge !== null || !this.#writable || doc.surface === null;
    setText($("keep-mine"), t(theirs?.gone ? "edit.save_gone" : "files.keep_mine"));
    $("merge").hidden = merge !== null || !theirs || theirs.text === null || !this.#writable;
    $("merge-save").hidden = $("merge-back").hidden = merge === null;
  }
}
