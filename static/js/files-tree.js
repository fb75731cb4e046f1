// The tree of files: of any number of rows only those in sight are elements. Keys, selection and dragging as trees have them.

import { h } from "./dom.js";
import { bytes, t } from "./i18n.js";
import { folderOf, nameOf, within } from "./files-model.js";

/** Paths that are dragged within the page. */
export const DRAGGED = "application/x-staithe-paths";
const AROUND = 6;
const TYPED_FOR = 700;
const OPENS_AFTER = 700;

/**
 * @typedef {import("./files-model.js").Entry} Entry
 * @typedef {import("./files-model.js").Row} Row
 * @typedef {object} Does what the tree asks for
 * @property {(entry: Entry) => void} open
 * @property {(path: string) => void} toggle
 * @property {(path: string) => void} rename
 * @property {(paths: string[]) => void} remove
 * @property {(paths: string[]) => void} cut
 * @property {(folder: string) => boolean} paste whether there was something to be put there
 * @property {(paths: string[], folder: string) => void} move
 * @property {(data: DataTransfer, folder: string) => void} upload
 * @property {(paths: string[], x: number, y: number) => void} menu
 */
export class Tree {
  /** @type {Row[]} */
  #rows = [];
  /** @type {Map<string, number>} */
  #at = new Map();
  /** @type {Map<string, HTMLElement>} */
  #made = new Map();
  #sizer = h("div", { className: "tree-rows", role: "none" });
  #height = 0;
  #active = "";
  #anchor = "";
  #selected = new Set();
  #cut = new Set();
  #shown = "";
  #writable = false;
  #typed = "";
  #typedAt = 0;
  #frame = 0;
  #dragging = "";
  #over = "";
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #opener;
  #ids = 0;

  /** @param {HTMLElement} host @param {import("./files-model.js").Model} model @param {Does} does */
  constructor(host, model, does) {
    this.host = host;
    this.model = model;
    this.does = does;
    host.append(this.#sizer);
    host.addEventListener("scroll", () => this.#later());
    host.addEventListener("keydown", (event) => this.#key(event));
    host.addEventListener("click", (event) => this.#click(event));
    host.addEventListener("contextmenu", (event) => this.#menu(event));
    host.addEventListener("focus", () => this.#later());
    host.addEventListener("paste", (event) => event.clipboardData?.files.length && this.#writable && this.does.upload(event.clipboardData, this.folder));
    this.#drags();
    new ResizeObserver(() => this.#later()).observe(host);
  }

  /** The selected paths, none of which lies in another. @returns {string[]} */
  get selected() {
    const all = [...this.#selected].filter((path) => this.#at.has(path));
    return all.filter((path) => !all.some((other) => other !== path && within(path, other)));
  }

  /** The folder in which something new goes. */
  get folder() {
    return this.#active ? this.model.target(this.#active) : "";
  }

  get cut() {
    return [...this.#cut];
  }

  /** @param {boolean} writable */
  setWritable(writable) {
    this.#writable = writable;
    this.#later();
  }

  /** @param {string[]} paths */
  setCut(paths) {
    this.#cut = new Set(paths);
    this.#later();
  }

  /** The file that the editor shows. @param {string} path */
  setShown(path) {
    this.#shown = path;
    this.#later();
  }

  /** Selects what is there, and brings it into sight. @param {string[]} paths */
  select(paths) {
    this.#selected = new Set(paths);
    this.#active = this.#anchor = paths[0] ?? this.#active;
    this.update();
    this.#reveal();
  }

  /** The rows may be others. */
  update() {
    const before = this.#at.get(this.#active) ?? 0;
    this.#rows = this.model.rows();
    this.#at = new Map(this.#rows.map((row, at) => [row.key, at]));
    for (const path of this.#selected) if (!this.#at.has(path)) this.#selected.delete(path);
    for (const path of this.#cut) if (!this.#at.has(path) && this.model.folders.has(folderOf(path))) this.#cut.delete(path);
    if (!this.#at.has(this.#active)) this.#active = this.#entryNear(before, 1) ?? this.#entryNear(before, -1) ?? "";
    this.#draw();
  }

  focus() {
    this.host.focus();
  }

  #later() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#draw();
    });
  }

  #draw() {
    const height = this.#rowHeight();
    this.#sizer.style.height = `${this.#rows.length * height}px`;
    const { scrollTop, clientHeight } = this.host;
    const first = Math.max(0, Math.floor(scrollTop / height) - AROUND);
    const last = Math.min(this.#rows.length, Math.ceil((scrollTop + clientHeight) / height) + AROUND);
    const wanted = new Map();
    for (let at = first; at < last; at += 1) wanted.set(this.#rows[at]?.key, at);
    for (const kept of [this.#active, this.#dragging]) if (this.#at.has(kept)) wanted.set(kept, this.#at.get(kept));
    for (const [key, element] of this.#made) {
      if (wanted.has(key)) continue;
      element.remove();
      this.#made.delete(key);
    }
    for (const [key, at] of wanted) this.#show(key, at, height);
    const active = this.#made.get(this.#active);
    if (active) this.host.setAttribute("aria-activedescendant", active.id);
    else this.host.removeAttribute("aria-activedescendant");
  }

  /** As the sheet says it; measured again where the letters grew. */
  #rowHeight() {
    const some = this.#made.values().next().value;
    const now = some?.offsetHeight ?? 0;
    if (now) this.#height = now;
    if (!this.#height) {
      const probe = h("div", { className: "node" }, "x");
      this.#sizer.append(probe);
      this.#height = probe.offsetHeight;
      probe.remove();
    }
    return this.#height || 28;
  }

  /** @param {string} key @param {number} at @param {number} height */
  #show(key, at, height) {
    const row = /** @type {Row} */ (this.#rows[at]);
    const kind = row.entry ? row.entry.type : "note";
    let element = this.#made.get(key);
    if (element && element.dataset.kind !== kind) {
      element.remove();
      element = undefined;
    }
    if (!element) {
      element = this.#make(row, kind);
      this.#made.set(key, element);
      this.#sizer.append(element);
    }
    element.style.top = `${at * height}px`;
    element.style.setProperty("--level", String(row.level - 1));
    if (row.entry) this.#dress(element, row, row.entry);
    else element.textContent = t(row.note ?? "");
  }

  /** @param {Row} row @param {string} kind */
  #make(row, kind) {
    this.#ids += 1;
    if (!row.entry) return h("div", { className: "node note", id: `tree-${this.#ids}`, data: { kind } });
    const name = nameOf(row.entry.path);
    return h("div", { className: "node", id: `tree-${this.#ids}`, role: "treeitem", title: row.entry.path, data: { kind, path: row.entry.path } },
      h("span", { className: "icon", "aria-hidden": "true" }),
      h("span", { className: "label" }, kind === "dir" ? `${name}/` : name),
      h("span", { className: "size" }),
      h("button", { type: "button", className: "tool", tabIndex: -1, "aria-hidden": "true", title: t("files.actions") }, "⋯"));
  }

  /** @param {HTMLElement} element @param {Row} row @param {Entry} entry */
  #dress(element, row, entry) {
    const isDir = entry.type === "dir";
    const [icon, , size] = element.children;
    /** @type {HTMLElement} */ (icon).textContent = isDir ? (row.open ? "▾" : "▸") : entry.type === "symlink" ? "↪" : "·";
    /** @type {HTMLElement} */ (size).textContent = isDir ? "" : bytes(entry.size);
    element.setAttribute("aria-level", String(row.level));
    element.setAttribute("aria-posinset", String(row.position));
    element.setAttribute("aria-setsize", String(row.of));
    element.setAttribute("aria-selected", String(this.#selected.has(entry.path)));
    if (isDir) element.setAttribute("aria-expanded", String(row.open));
    element.draggable = this.#writable;
    element.classList.toggle("active", entry.path === this.#active);
    element.classList.toggle("current", entry.path === this.#shown);
    element.classList.toggle("cut", this.#cut.has(entry.path));
    element.classList.toggle("over", entry.path === this.#over);
  }

  /** @param {EventTarget | null} target */
  #pathAt(target) {
    return /** @type {HTMLElement | null} */ (/** @type {Element} */ (target).closest?.("[role=treeitem]"))?.dataset.path;
  }

  // Selection

  /** The nearest row of an entry, from `at` on. @param {number} at @param {number} step */
  #entryNear(at, step) {
    for (let now = at; now >= 0 && now < this.#rows.length; now += step) if (this.#rows[now]?.entry) return this.#rows[now]?.key;
    return undefined;
  }

  #reveal() {
    const at = this.#at.get(this.#active);
    if (at === undefined) return;
    const height = this.#rowHeight();
    const { scrollTop, clientHeight } = this.host;
    if (at * height < scrollTop) this.host.scrollTop = at * height;
    else if ((at + 1) * height > scrollTop + clientHeight) this.host.scrollTop = (at + 1) * height - clientHeight;
    this.#draw();
  }

  /** @param {string | undefined} path @param {{ extend?: boolean, keep?: boolean }} [how] */
  #go(path, { extend = false, keep = false } = {}) {
    if (path === undefined) return;
    this.#active = path;
    if (extend) this.#extend(path);
    else if (!keep) {
      this.#anchor = path;
      this.#selected = new Set([path]);
    }
    this.#reveal();
  }

  /** @param {string} path */
  #extend(path) {
    const [a, b] = [this.#at.get(this.#anchor) ?? 0, this.#at.get(path) ?? 0];
    const between = this.#rows.slice(Math.min(a, b), Math.max(a, b) + 1);
    this.#selected = new Set(between.filter((row) => row.entry).map((row) => row.key));
  }

  /** @param {string} path */
  #flip(path) {
    if (!this.#selected.delete(path)) this.#selected.add(path);
    this.#active = this.#anchor = path;
    this.#draw();
  }

  /** @param {MouseEvent} event */
  #click(event) {
    const path = this.#pathAt(event.target);
    if (path === undefined) return;
    if (/** @type {Element} */ (event.target).closest(".tool")) return this.#menu(event);
    if (event.ctrlKey || event.metaKey) return this.#flip(path);
    this.#go(path, { extend: event.shiftKey });
    if (!event.shiftKey) this.#enter(path);
  }

  /** @param {string} path */
  #enter(path) {
    const entry = this.model.entry(path);
    if (entry?.type === "dir") this.does.toggle(path);
    else if (entry) this.does.open(entry);
  }

  /** @param {MouseEvent} event */
  #menu(event) {
    event.preventDefault();
    const path = this.#pathAt(event.target);
    if (path !== undefined && !this.#selected.has(path)) this.#go(path);
    if (path === undefined) this.#selected.clear();
    this.does.menu(this.selected, event.clientX, event.clientY);
  }

  // Keys

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.target !== this.host) return;
    if (this.#walk(event) || this.#act(event) || this.#type(event)) event.preventDefault();
  }

  /** @param {KeyboardEvent} event */
  #walk({ key, shiftKey, ctrlKey, metaKey, altKey }) {
    if (altKey) return false;
    const how = { extend: shiftKey, keep: ctrlKey || metaKey };
    const at = this.#at.get(this.#active) ?? -1;
    const page = Math.max(1, Math.floor(this.host.clientHeight / this.#rowHeight()) - 1);
    const last = this.#rows.length - 1;
    const to = /** @type {Record<string, [number, number]>} */ ({ ArrowDown: [at + 1, 1], ArrowUp: [at - 1, -1], Home: [0, 1], End: [last, -1], PageDown: [Math.min(last, at + page), -1], PageUp: [Math.max(0, at - page), 1] })[key];
    if (to) {
      this.#go(this.#entryNear(...to), how);
      return true;
    }
    const row = this.#rows[at];
    if (!row?.entry || (key !== "ArrowLeft" && key !== "ArrowRight")) return false;
    if (key === "ArrowRight" && row.open === false) this.does.toggle(row.key);
    else if (key === "ArrowRight" && row.open) this.#go(this.#rows[at + 1]?.entry ? this.#rows[at + 1]?.key : undefined);
    else if (key === "ArrowLeft" && row.open) this.does.toggle(row.key);
    else if (key === "ArrowLeft" && row.level > 1) this.#go(folderOf(row.key));
    return true;
  }

  /** @param {KeyboardEvent} event */
  #act({ key, ctrlKey, metaKey, shiftKey, altKey, timeStamp }) {
    const path = this.#active;
    const control = (ctrlKey || metaKey) && !altKey;
    const some = this.selected.length || !path ? this.selected : [path];
    if (key === "ContextMenu" || (key === "F10" && shiftKey)) return this.#menuByKey(some);
    if (control && key.toLowerCase() === "a") {
      this.#selected = new Set(this.#rows.filter((row) => row.entry).map((row) => row.key));
      this.#draw();
      return true;
    }
    if (!path) return false;
    if (key === "Enter" && !control) this.#enter(path);
    else if (key === " " && control) this.#flip(path);
    else if (key === " " && timeStamp - this.#typedAt > TYPED_FOR) this.#go(path);
    else if (key === "Escape" && this.#cut.size) this.setCut([]);
    else if (!this.#writable) return false;
    else if (key === "F2") this.does.rename(path);
    else if (key === "Delete") this.does.remove(some);
    else if (control && key.toLowerCase() === "x") this.does.cut(some);
    else return control && key.toLowerCase() === "v" && this.does.paste(this.folder); // files of the clipboard come as `paste`
    return true;
  }

  /** @param {string[]} paths */
  #menuByKey(paths) {
    const box = (this.#made.get(this.#active) ?? this.host).getBoundingClientRect();
    this.does.menu(paths, box.left + 24, Math.min(box.bottom, innerHeight));
    return true;
  }

  /** What is typed goes to the next name that begins so. @param {KeyboardEvent} event */
  #type({ key, ctrlKey, metaKey, altKey, timeStamp }) {
    if (key.length !== 1 || ctrlKey || metaKey || altKey) return false;
    const fresh = timeStamp - this.#typedAt > TYPED_FOR;
    this.#typed = fresh ? key.toLowerCase() : this.#typed + key.toLowerCase();
    this.#typedAt = timeStamp;
    const start = (this.#at.get(this.#active) ?? 0) + (fresh ? 1 : 0);
    const { length } = this.#rows;
    for (let step = 0; step < length; step += 1) {
      const { entry } = /** @type {Row} */ (this.#rows[(start + step) % length]);
      if (!entry || !nameOf(entry.path).toLowerCase().startsWith(this.#typed)) continue;
      this.#go(entry.path);
      break;
    }
    return true;
  }

  // Dragging

  #drags() {
    const { host } = this;
    host.addEventListener("dragstart", (event) => {
      const path = this.#pathAt(event.target);
      if (path === undefined || !event.dataTransfer) return;
      if (!this.#selected.has(path)) this.#go(path);
      this.#dragging = path;
      event.dataTransfer.setData(DRAGGED, JSON.stringify(this.selected));
      event.dataTransfer.effectAllowed = "move";
    });
    host.addEventListener("dragend", () => {
      this.#dragging = "";
      this.#hover("");
    });
    host.addEventListener("dragover", (event) => {
      const inside = event.dataTransfer?.types.includes(DRAGGED);
      if (!this.#writable || !event.dataTransfer || !(inside || event.dataTransfer.types.includes("Files"))) return;
      const folder = this.model.target(this.#pathAt(event.target) ?? "");
      if (inside && this.selected.some((path) => within(folder, path))) return this.#hover("");
      event.preventDefault();
      event.dataTransfer.dropEffect = inside ? "move" : "copy";
      this.#hover(folder);
    });
    host.addEventListener("dragleave", (event) => host.contains(/** @type {Node | null} */ (event.relatedTarget)) || this.#hover(""));
    host.addEventListener("drop", (event) => {
      const data = event.dataTransfer;
      if (!this.#writable || !data) return;
      const folder = this.model.target(this.#pathAt(event.target) ?? "");
      this.#hover("");
      const given = data.getData(DRAGGED);
      if (!given && !data.types.includes("Files")) return;
      event.preventDefault();
      if (given) this.does.move(JSON.parse(given), folder);
      else this.does.upload(data, folder);
    });
  }

  /** Shows where it would go; a folder that is waited over opens. @param {string} folder */
  #hover(folder) {
    if (folder === this.#over) return;
    this.#over = folder;
    clearTimeout(this.#opener);
    if (folder && !this.model.open.has(folder)) this.#opener = setTimeout(() => this.#over === folder && this.does.toggle(folder), OPENS_AFTER);
    this.#later();
  }
}
