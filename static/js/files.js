// The files of the workspace: a tree that is read folder by folder over the session's WebSocket, and follows what changes.

import { filePath, sessionPath } from "./api.js";
import { complain, notice } from "./dialog.js";
import { $, announce, h, setText } from "./dom.js";
import { Editor } from "./editor.js";
import { divideFiles } from "./files-divider.js";
import { chosen, dropped } from "./files-drop.js";
import { openMenu } from "./files-menu.js";
import { Model, folderOf, isGone, join, moved, nameOf, within } from "./files-model.js";
import { Search } from "./files-search.js";
import { DRAGGED, Tree } from "./files-tree.js";
import { Watch } from "./files-watch.js";
import { Work } from "./files-work.js";
import { t } from "./i18n.js";
import { Uploads } from "./upload.js";

const REFRESH_WAIT = 500;
const TOLD_WAIT = 100;

export class Files {
  #model = new Model();
  #writable = false;
  #ready = false;
  #joined = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {import("./files-model.js").Change[]} changes that were told and not taken in */
  #told = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #toldTimer;
  #pane = /** @type {HTMLElement} */ ($("files"));
  /** Where the files go that are chosen next. */
  #into = "";
  /** Folders in which files arrived. */
  #arrivals = new Set();

  /** @param {import("./socket.js").SessionSocket} socket @param {string} session */
  constructor(socket, session) {
    this.socket = socket;
    this.session = session;
    this.editor = new Editor(session, (body) => this.op(body), {
      saved: (path) => this.#again([folderOf(path)]),
      menu: (path, x, y) => this.#menu([path], x, y),
      shown: (path) => this.#tree.setShown(path),
    });
    this.#work = new Work(this.#model, {
      op: (body) => this.op(body),
      open: (path) => this.editor.open(path),
      renamed: (from, to) => this.editor.renamed(from, to),
      removed: (path) => this.editor.removed(path),
      changed: (folders, select) => this.#changed(folders, select),
    });
    this.#tree = new Tree($("tree"), this.#model, {
      open: ({ path }) => this.editor.open(path),
      toggle: (path) => this.#toggle(path),
      rename: (path) => this.#work.rename(path),
      remove: (paths) => this.#work.remove(paths),
      cut: (paths) => this.#cut(paths),
      paste: (folder) => this.#paste(folder),
      move: (paths, folder) => this.#work.move(paths, folder),
      upload: (data, folder) => this.#upload(dropped(data), folder),
      menu: (paths, x, y) => this.#menu(paths, x, y),
    });
    this.#search = new Search(session, {
      open: (path, line) => this.editor.open(path, line),
      reveal: (path) => this.#reveal(path),
      shown: (yes) => this.#showTree(!yes),
      leave: () => this.#tree.focus(),
    });
    this.#watch = new Watch(socket);
    $("uploads").before(this.#watch.element);
    divideFiles();
    this.uploads = new Uploads(session, (path) => this.#arrived(path));
    this.#buttons();
    this.#drops();
    this.#draw();
  }

  /** @type {Tree} */
  #tree;
  /** @type {Work} */
  #work;
  /** @type {Search} */
  #search;
  /** @type {Watch} */
  #watch;

  /** @param {any} body @returns {Promise<any>} */
  op(body) {
    return this.socket.ask({ type: "file", ...body });
  }

  #buttons() {
    const inputs = /** @type {HTMLInputElement[]} */ ([$("upload-input"), $("upload-folder-input")]);
    for (const input of inputs) input.addEventListener("change", () => this.#upload(Promise.resolve(chosen(input)), this.#into));
    $("refresh").addEventListener("click", () => this.refresh(true));
    $("new-file").addEventListener("click", () => this.#work.create(this.#tree.folder));
    $("new-folder").addEventListener("click", () => this.#work.makeFolder(this.#tree.folder));
    $("upload").addEventListener("click", () => this.#choose("upload-input", ""));
    $("files-more").addEventListener("click", () => {
      const { left, bottom } = $("files-more").getBoundingClientRect();
      this.#menu(this.#tree.selected, left, bottom);
    });
  }

  /** @param {string} input @param {string} folder */
  #choose(input, folder) {
    this.#into = folder;
    $(input).click();
  }

  /** After each hello. @param {boolean} writable */
  joined(writable) {
    this.#writable = writable;
    this.editor.setWritable(writable);
    this.#tree.setWritable(writable);
    this.#pane.toggleAttribute("data-viewer", !writable);
    this.#joined = true;
    this.#enable();
    if (this.#ready) this.changed();
    this.#restore();
    // Once everything that waits has been sent: on a new connection the watch begins anew, where it was.
    queueMicrotask(() => this.#watch.begin());
  }

  /** Changes that the watch tells of. @param {any} frame */
  told(frame) {
    this.#watch.told(frame);
    if (frame.resync) return this.changed();
    this.#told.push(...frame.changes);
    if (!this.#toldTimer && this.#told.length) this.#toldTimer = setTimeout(() => this.#look(), TOLD_WAIT);
  }

  /** Takes in what was told, and looks again where that was not all. */
  async #look() {
    this.#toldTimer = undefined;
    const told = this.#told.splice(0);
    if (!this.#ready) return;
    const again = new Set(told.flatMap((change) => this.#model.apply(change)));
    this.#draw();
    await this.#again([...again]);
    const moves = told.flatMap(({ op, path, from }) => (op === "rename" && from ? [/** @type {[string, string]} */ ([from, path])] : []));
    const touched = this.editor.paths.filter((open) => told.some(({ path, from = path }) => within(open, path) || within(open, from)));
    await this.editor.check(touched, (path) => moves.reduce((now, [from, to]) => moved(now, from, to), path));
  }

  /** @param {boolean} ready @param {boolean} woke */
  setReady(ready, woke) {
    const before = this.#ready;
    this.#ready = ready;
    this.#enable();
    if (ready && (woke || !before)) this.refresh();
    else if (!ready && before) this.#draw();
    this.#restore();
  }

  /** What was open before the page was loaded again, once it is known who asks. */
  #restore() {
    if (this.#ready && this.#joined) this.editor.restore();
  }

  /** What can be asked for now. */
  #enable() {
    for (const id of ["find", "find-kind", "refresh", "files-more"]) $(id).disabled = !this.#ready;
    for (const id of ["new-file", "new-folder", "upload"]) $(id).disabled = !this.#ready || !this.#writable;
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
    await this.#again([...this.#model.open], loud);
    if (loud) announce(t("files.refreshed"));
    await this.editor.check(this.editor.paths);
  }

  /** @param {string[]} folders @param {boolean} [loud] */
  async #again(folders, loud = false) {
    const known = folders.filter((path) => this.#model.open.has(path) || this.#model.folders.has(path));
    await Promise.all(known.map((path) => this.#load(path, loud)));
    this.#draw();
  }

  /** @param {string} path @param {boolean} loud */
  async #load(path, loud) {
    try {
      const { entries = [], truncated = false } = await this.op({ op: "list", path });
      this.#model.set(path, entries, truncated);
    } catch (error) {
      if (path && isGone(error)) this.#model.forget(path);
      else if (loud) complain(error);
    }
  }

  /** @param {string[]} folders @param {string[]} select */
  async #changed(folders, select) {
    await this.#again(folders);
    if (select.length) this.#tree.select(select);
    if ($("tree").hidden || document.activeElement === document.body) this.#tree.focus();
  }

  #draw() {
    const top = this.#model.folders.get("");
    const none = this.#ready && top !== undefined && top.entries.size === 0;
    const waiting = !top || !this.#ready;
    $("files-empty").hidden = !(none || waiting) || !$("found").hidden;
    setText($("files-empty"), t(!this.#ready ? "files.waiting" : waiting ? "files.loading" : this.#writable ? "files.empty" : "files.empty_viewer"));
    $("tree").hidden = !$("files-empty").hidden || !$("found").hidden;
    if (!$("tree").hidden) this.#tree.update();
  }

  /** @param {boolean} yes */
  #showTree(yes) {
    $("tree").hidden = !yes;
    this.#draw();
  }

  /** @param {string} path */
  async #toggle(path) {
    if (this.#model.open.delete(path)) return this.#draw();
    this.#model.open.add(path);
    this.#draw();
    await this.#again([path, ...[...this.#model.open].filter((open) => open !== path && within(open, path) && !this.#model.folders.has(open))], true);
  }

  /** Opens what is above a path, and selects it. @param {string} path */
  async #reveal(path) {
    this.#search.close();
    const above = path.split("/").map((_, at, parts) => parts.slice(0, at).join("/"));
    for (const folder of above) this.#model.open.add(folder);
    await this.#again(above, true);
    this.#tree.select([path]);
    this.#tree.focus();
  }

  /** @param {string} path */
  #arrived(path) {
    const known = path.split("/").map((_, at, parts) => parts.slice(0, at).join("/")).filter((folder) => this.#model.folders.has(folder));
    if (this.#arrivals.size === 0) {
      setTimeout(() => {
        const folders = [...this.#arrivals];
        this.#arrivals.clear();
        this.#again(folders);
      }, REFRESH_WAIT);
    }
    this.#arrivals.add(known.at(-1) ?? "");
  }

  /** @param {string[]} paths */
  #cut(paths) {
    this.#tree.setCut(paths);
    announce(t("files.cut_done", { count: paths.length }));
  }

  /** @param {string} folder */
  #paste(folder) {
    const { cut } = this.#tree;
    if (cut.length === 0) return false;
    this.#tree.setCut([]);
    this.#work.move(cut, folder);
    return true;
  }

  /** @param {Promise<import("./files-drop.js").Drop>} drop @param {string} folder */
  async #upload(drop, folder) {
    try {
      const { files, folders } = await drop;
      if (files.length === 0 && folders.length === 0) return;
      const empty = folders.filter((path) => !files.some((file) => within(file.path, path)));
      for (const path of empty) await this.op({ op: "mkdir", path: join(folder, path), parents: true });
      this.uploads.send(files, folder);
      if (empty.length) await this.#again([folder]);
    } catch (error) {
      complain(error);
    }
  }

  /** What can be done with these, or with the workspace where there are none. @param {string[]} paths @param {number} x @param {number} y */
  #menu(paths, x, y) {
    const [first = ""] = paths;
    const one = paths.length === 1;
    const folder = this.#model.target(first);
    const isDir = this.#model.isDir(first);
    const items = [
      one && !isDir && { label: t("files.open"), keys: "Enter", act: () => this.editor.open(first) },
      ...(this.#writable ? this.#writing(paths, first, folder) : []),
      !isDir && { label: t("files.download"), act: () => paths.forEach((path) => this.#download(path)) },
      isDir && paths.length < 2 && { label: t(first ? "files.download_zip" : "files.download_all"), act: () => this.#download(first) },
      one && navigator.clipboard && { label: t("files.copy_path"), act: () => navigator.clipboard.writeText(first).then(() => notice(t("files.copied")), complain) },
      ...(this.#writable && first ? [null, { label: t("action.delete"), keys: "Del", danger: true, act: () => this.#work.remove(paths) }] : []),
    ];
    openMenu(/** @type {import("./files-menu.js").Item[]} */ (items.filter((item) => item !== false && item !== undefined)), x, y, one ? nameOf(first) : t("files.actions"));
  }

  /** @param {string[]} paths @param {string} first @param {string} folder @returns {(import("./files-menu.js").Item | false)[]} */
  #writing(paths, first, folder) {
    return [
      { label: t("files.new_file_here"), act: () => this.#work.create(folder) },
      { label: t("files.new_folder_here"), act: () => this.#work.makeFolder(folder) },
      { label: t("files.upload_here"), act: () => this.#choose("upload-input", folder) },
      { label: t("files.upload_folder"), act: () => this.#choose("upload-folder-input", folder) },
      null,
      paths.length === 1 && { label: t("files.rename"), keys: "F2", act: () => this.#work.rename(first) },
      first !== "" && { label: t("files.move"), act: () => this.#work.moveTo(paths) },
      first !== "" && { label: t("files.cut"), keys: "Ctrl+X", act: () => this.#cut(paths) },
      this.#tree.cut.length > 0 && { label: t("files.paste"), keys: "Ctrl+V", act: () => this.#paste(folder) },
    ];
  }

  /** A file as it is, a folder as an archive. @param {string} path */
  #download(path) {
    const isDir = this.#model.isDir(path);
    const parts = path.split("/").map(encodeURIComponent).join("/");
    const href = isDir ? `${sessionPath(this.session)}/archive${path && "/"}${parts}?format=zip` : `${filePath(this.session, path)}?download=1`;
    h("a", { href, download: isDir ? `${nameOf(path) || "workspace"}.zip` : nameOf(path) }).click();
  }

  /** Beside the tree, too, files can be dropped: they go to the top. */
  #drops() {
    const pane = this.#pane;
    pane.addEventListener("dragover", (event) => {
      if (!this.#writable || !event.dataTransfer?.types.includes("Files") || event.dataTransfer.types.includes(DRAGGED)) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = "copy";
      pane.classList.add("drop");
    });
    pane.addEventListener("dragleave", (event) => pane.contains(/** @type {Node | null} */ (event.relatedTarget)) || pane.classList.remove("drop"));
    // Before the editor, which would take a file's text in.
    pane.addEventListener("drop", (event) => {
      pane.classList.remove("drop");
      if ($("tree").contains(event.target) || !this.#writable || !event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      event.stopPropagation();
      this.#upload(dropped(event.dataTransfer), "");
    }, true);
  }
}
