// The files of the workspace: a tree that is read folder by folder over the session's WebSocket.

import { filePath } from "./api.js";
import { ask, complain, confirmLoss, notice } from "./dialog.js";
import { $, h } from "./dom.js";
import { Editor } from "./editor.js";
import { bytes, t } from "./i18n.js";
import { Refused } from "./socket.js";
import { Uploads } from "./upload.js";

/** @typedef {{ path: string, type: "file" | "dir" | "symlink" | "other", size: number, mtime: number, mode: number }} Entry */
/** @typedef {{ entries: Entry[], truncated: boolean }} Folder */

/** @param {string} path */
export const nameOf = (path) => path.slice(path.lastIndexOf("/") + 1);
/** @param {string} path */
export const folderOf = (path) => (path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : "");

const REFRESH_WAIT = 500;
const TOLD_WAIT = 100;

export class Files {
  /** @type {Map<string, Folder>} what is known of the folders that are open */
  #folders = new Map();
  #open = new Set([""]);
  #writable = false;
  #ready = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #tree = /** @type {HTMLElement} */ ($("tree"));
  /** @type {{ epoch?: string, seq?: number }} the last changes that were told */
  #cursor = {};
  /** @type {Set<string>} paths that were told of and not looked at again */
  #told = new Set();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #toldTimer;

  /** @param {import("./socket.js").SessionSocket} socket @param {string} session */
  constructor(socket, session) {
    this.socket = socket;
    this.session = session;
    this.editor = new Editor((body) => this.op(body), {
      href: (path) => this.download(path),
      changed: () => this.refresh(),
      rename: (path) => this.rename(path),
      remove: (path) => this.remove(path, "file"),
      opened: () => this.#draw(),
    });
    this.uploads = new Uploads(session, () => this.refresh());
    $("refresh").addEventListener("click", () => this.refresh(true));
    $("new-file").addEventListener("click", () => this.create());
    $("new-folder").addEventListener("click", () => this.makeFolder());
    $("upload").addEventListener("click", () => $("upload-input").click());
    $("upload-input").addEventListener("change", () => {
      this.uploads.send([...$("upload-input").files], "");
      $("upload-input").value = "";
    });
    this.#drops();
    this.#draw();
  }

  /** @param {any} body @returns {Promise<any>} */
  op(body) {
    return this.socket.ask({ type: "file", ...body });
  }

  /** @param {string} path */
  download(path) {
    return `${filePath(this.session, path)}?download=1`;
  }

  /** After each hello. @param {boolean} writable */
  joined(writable) {
    this.#writable = writable;
    this.editor.setWritable(writable);
    for (const button of document.querySelectorAll("#files [data-edit]")) /** @type {HTMLButtonElement} */ (button).disabled = !writable;
    if (this.#ready) this.changed();
    // Once everything that waits has been sent: on a new connection the watch begins anew, where it was.
    queueMicrotask(() => this.socket.ask({ type: "watch", ...this.#cursor }).catch(() => {}));
  }

  /** Changes that the watch tells of. @param {any} frame */
  told(frame) {
    this.#cursor = { epoch: frame.epoch, seq: frame.seq };
    if (frame.resync) return this.changed();
    for (const { path, from = path } of frame.changes) this.#told.add(path).add(from);
    if (!this.#toldTimer && this.#told.size) this.#toldTimer = setTimeout(() => this.#look(), TOLD_WAIT);
  }

  /** Looks again at what was told of, as far as it is shown. */
  async #look() {
    this.#toldTimer = undefined;
    const told = [...this.#told];
    this.#told.clear();
    if (!this.#ready) return;
    const folders = new Set([...told, ...told.map(folderOf)].filter((path) => this.#open.has(path)));
    await Promise.all([...folders].map((path) => this.#load(path, false)));
    if (folders.size) this.#draw();
    const { path: edited } = this.editor;
    if (told.some((path) => edited === path || edited.startsWith(`${path}/`))) await this.editor.check();
  }

  /** @param {boolean} ready @param {boolean} woke */
  setReady(ready, woke) {
    const before = this.#ready;
    this.#ready = ready;
    if (ready && (woke || !before)) this.refresh();
    else if (!ready && before) this.#draw();
  }

  /** Something may have changed; looked at once things are quiet. */
  changed() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.refresh(), REFRESH_WAIT);
  }

  /** The page goes away on purpose. */
  forget() {
    this.editor.forget();
  }

  /** Reads every open folder again. @param {boolean} [loud] */
  async refresh(loud = false) {
    clearTimeout(this.#timer);
    if (!this.#ready) return;
    await Promise.all([...this.#open].map((path) => this.#load(path, loud)));
    this.#draw();
    await this.editor.check();
  }

  /** @param {string} path @param {boolean} loud */
  async #load(path, loud) {
    try {
      const { entries = [], truncated = false } = await this.op({ op: "list", path });
      const rank = (/** @type {Entry} */ e) => (e.type === "dir" ? 0 : 1);
      const own = entries.filter((/** @type {Entry} */ e) => e.path !== path && folderOf(e.path) === path);
      own.sort((/** @type {Entry} */ a, /** @type {Entry} */ b) => rank(a) - rank(b) || a.path.localeCompare(b.path));
      this.#folders.set(path, { entries: own, truncated });
    } catch (error) {
      if (path && error instanceof Refused && (error.code === "NOT_FOUND" || error.code === "NOT_DIRECTORY")) {
        this.#open.delete(path);
        this.#folders.delete(path);
      } else if (loud) complain(error);
    }
  }

  #draw() {
    const focused = this.#tree.contains(document.activeElement) ? /** @type {HTMLElement} */ (document.activeElement).dataset.key : undefined;
    const top = this.#folders.get("");
    $("files-empty").hidden = !(top && top.entries.length === 0) || !this.#ready;
    this.#tree.hidden = !$("files-empty").hidden;
    const scrolled = this.#tree.scrollTop;
    this.#tree.replaceChildren(top ? this.#list("") : h("p", { className: "note" }, t(this.#ready ? "files.loading" : "files.waiting")));
    this.#tree.scrollTop = scrolled;
    if (focused) /** @type {HTMLElement | null} */ (this.#tree.querySelector(`[data-key="${CSS.escape(focused)}"]`))?.focus();
  }

  /** @param {string} path @returns {HTMLUListElement} */
  #list(path) {
    const folder = this.#folders.get(path);
    const rows = (folder?.entries ?? []).map((entry) => this.#row(entry));
    if (folder?.truncated) rows.push(h("li", { className: "note" }, t("files.more")));
    if (!folder) rows.push(h("li", { className: "note" }, t("files.loading")));
    else if (path && !rows.length) rows.push(h("li", { className: "note" }, t("files.empty_folder")));
    return h("ul", {}, ...rows);
  }

  /** @param {Entry} entry @returns {HTMLLIElement} */
  #row(entry) {
    const { path, type, size } = entry;
    const isDir = type === "dir";
    const name = nameOf(path);
    const opened = isDir && this.#open.has(path);
    const button = h("button", { type: "button", className: "open", title: path, data: { key: path, path }, on: { click: () => (isDir ? this.#toggle(path) : this.editor.open(path, size)) } },
      h("span", { className: "icon", "aria-hidden": "true" }, isDir ? (opened ? "▾" : "▸") : type === "symlink" ? "↪" : "·"),
      h("span", { className: "label" }, isDir ? `${name}/` : name));
    if (isDir) button.setAttribute("aria-expanded", String(opened));
    const row = h("div", { className: `node${this.editor.path === path ? " current" : ""}` }, button);
    if (!isDir) row.append(h("span", { className: "size" }, bytes(size)), h("a", { className: "tool", href: this.download(path), download: name, "aria-label": `${t("files.download")}: ${name}`, title: t("files.download"), data: { key: `${path}\n↓` } }, "↓"));
    if (this.#writable) {
      row.append(this.#tool("✎", t("files.rename"), path, () => this.rename(path)), this.#tool("✕", t("action.delete"), path, () => this.remove(path, type)));
    }
    return h("li", {}, row, opened ? this.#list(path) : null);
  }

  /** @param {string} sign @param {string} label @param {string} path @param {() => void} click */
  #tool(sign, label, path, click) {
    return h("button", { type: "button", className: "tool", title: label, "aria-label": `${label}: ${nameOf(path)}`, data: { key: `${path}\n${sign}` }, on: { click } }, sign);
  }

  /** @param {string} path */
  async #toggle(path) {
    if (this.#open.delete(path)) {
      for (const other of this.#open) if (other.startsWith(`${path}/`)) this.#open.delete(other);
      this.#draw();
      return;
    }
    this.#open.add(path);
    this.#draw();
    await this.#load(path, true);
    this.#draw();
  }

  /** @param {() => Promise<unknown>} work */
  async #change(work) {
    try {
      await work();
      await this.refresh();
    } catch (error) {
      complain(error);
    }
  }

  async create() {
    const path = await ask(t("files.new_file"), t("files.name"), "");
    if (!path) return;
    await this.#change(async () => {
      await this.op({ op: "create", path, content: "", create_parents: true });
      await this.editor.open(path, 0);
    });
  }

  async makeFolder() {
    const path = await ask(t("files.new_folder"), t("files.name"), "");
    if (path) await this.#change(() => this.op({ op: "mkdir", path, parents: true }));
  }

  /** @param {string} path */
  async rename(path) {
    const to = await ask(t("files.rename"), t("files.name"), path);
    if (!to || to === path) return;
    await this.#change(async () => {
      await this.op({ op: "rename", path, to });
      this.editor.renamed(path, to);
    });
  }

  /** @param {string} path @param {string} type */
  async remove(path, type) {
    const text = t(type === "dir" ? "confirm.folder_text" : "confirm.file_text");
    if (!(await confirmLoss(t("confirm.file_title", { name: path }), [text], t("action.delete")))) return;
    await this.#change(async () => {
      await this.op({ op: "delete", path, ...(type === "dir" ? { recursive: true } : { force: true }) });
      this.editor.removed(path);
    });
  }

  #drops() {
    const pane = /** @type {HTMLElement} */ ($("files"));
    const folderAt = (/** @type {DragEvent} */ event) => {
      const path = /** @type {HTMLElement | null} */ (/** @type {Element} */ (event.target).closest?.(".node"))?.querySelector("button")?.dataset.path;
      if (path === undefined) return "";
      return this.#folders.has(path) || this.#open.has(path) || this.#isDir(path) ? path : folderOf(path);
    };
    pane.addEventListener("dragover", (event) => {
      if (!this.#writable || !event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = "copy";
      pane.classList.add("drop");
    });
    pane.addEventListener("dragleave", (event) => {
      if (!pane.contains(/** @type {Node | null} */ (event.relatedTarget))) pane.classList.remove("drop");
    });
    pane.addEventListener("drop", (event) => {
      if (!this.#writable || !event.dataTransfer) return;
      event.preventDefault();
      pane.classList.remove("drop");
      const items = [...event.dataTransfer.items].filter((item) => !item.webkitGetAsEntry?.()?.isDirectory);
      const given = items.map((item) => item.getAsFile()).filter((file) => file !== null);
      if (given.length) this.uploads.send(/** @type {File[]} */ (given), folderAt(event));
      else notice(t("files.empty"));
    });
  }

  /** @param {string} path */
  #isDir(path) {
    return this.#folders.get(folderOf(path))?.entries.some((e) => e.path === path && e.type === "dir") ?? false;
  }
}
