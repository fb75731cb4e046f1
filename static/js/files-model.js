// What is known of the workspace's folders, and the rows that a tree of the open ones has. No element of the page is known here.

import { lang } from "./i18n.js";

/**
 * @typedef {{ path: string, type: "file" | "dir" | "symlink" | "other", size: number, mtime: number, mode: number }} Entry
 * @typedef {{ entries: Map<string, Entry>, sorted: Entry[] | null, truncated: boolean }} Folder
 * @typedef {{ op: string, path: string, from?: string, type?: Entry["type"], size?: number, mtime?: number, mode?: number, version?: string }} Change
 * @typedef {{ key: string, level: number, entry?: Entry, note?: string, open?: boolean, position?: number, of?: number }} Row
 */

/** @param {string} path */
export const nameOf = (path) => path.slice(path.lastIndexOf("/") + 1);
/** @param {string} path */
export const folderOf = (path) => (path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : "");
/** @param {string} folder @param {string} name */
export const join = (folder, name) => (folder ? `${folder}/${name}` : name);
/** Whether a path is another, or lies beneath it. @param {string} path @param {string} above */
export const within = (path, above) => path === above || above === "" || path.startsWith(`${above}/`);
/** Where a path is once what is above it has moved. @param {string} path @param {string} from @param {string} to */
export const moved = (path, from, to) => (within(path, from) ? to + path.slice(from.length) : path);
/** Whether an error says that there is no such file, over the WebSocket or REST. @param {any} error */
export const isGone = (error) => ["NOT_FOUND", "NOT_DIRECTORY"].includes(error?.code);

const order = new Intl.Collator(lang, { numeric: true });
/** @param {Entry} a @param {Entry} b */
const compare = (a, b) => Number(b.type === "dir") - Number(a.type === "dir") || order.compare(nameOf(a.path), nameOf(b.path));

export class Model {
  /** @type {Map<string, Folder>} */
  folders = new Map();
  /** Folders whose content is shown. */
  open = new Set([""]);

  /** @param {string} path @param {Entry[]} entries @param {boolean} truncated */
  set(path, entries, truncated) {
    const own = entries.filter((entry) => entry.path !== path && folderOf(entry.path) === path);
    this.folders.set(path, { entries: new Map(own.map((entry) => [entry.path, entry])), sorted: null, truncated });
  }

  /** @param {string} path */
  entry(path) {
    return this.folders.get(folderOf(path))?.entries.get(path);
  }

  /** @param {string} path */
  isDir(path) {
    return path === "" || this.folders.has(path) || this.entry(path)?.type === "dir";
  }

  /** The folder that something put at this row lands in. @param {string} path */
  target(path) {
    return this.isDir(path) ? path : folderOf(path);
  }

  /** @param {string} path */
  entries(path) {
    const folder = this.folders.get(path);
    if (!folder) return [];
    folder.sorted ??= [...folder.entries.values()].sort(compare);
    return folder.sorted;
  }

  /** A folder that is no more, with all beneath. @param {string} path */
  forget(path) {
    for (const known of [...this.folders.keys()]) if (within(known, path)) this.folders.delete(known);
    for (const opened of [...this.open]) if (within(opened, path) && opened) this.open.delete(opened);
  }

  /** @param {Entry} entry */
  #put(entry) {
    const folder = this.folders.get(folderOf(entry.path));
    if (!folder) return;
    folder.entries.set(entry.path, entry);
    folder.sorted = null;
    if (entry.type !== "dir") this.forget(entry.path);
  }

  /** @param {string} path */
  #take(path) {
    const folder = this.folders.get(folderOf(path));
    const entry = folder?.entries.get(path);
    if (folder && entry) {
      folder.entries.delete(path);
      folder.sorted = null;
    }
    return entry;
  }

  /** What was open beneath a folder stays so where it goes. @param {string} from @param {string} to */
  #move(from, to) {
    const entry = this.#take(from);
    const kept = [...this.open].filter((path) => path && within(path, from));
    this.forget(from);
    for (const path of kept) this.open.add(moved(path, from, to));
    return entry;
  }

  /**
   * Takes a change in, as far as it tells enough.
   * @param {Change} change @returns {string[]} the folders that have to be read again
   */
  apply({ op, path, from, type, size, mtime = 0, mode = 0 }) {
    const parent = folderOf(path);
    if (op === "delete") {
      this.#take(path);
      this.forget(path);
      return [];
    }
    if (op !== "create" && op !== "modify" && op !== "rename") return [];
    const before = op === "rename" && from !== undefined ? this.#move(from, path) : this.entry(path);
    const kind = type ?? before?.type;
    const known = size ?? (kind === "dir" ? 0 : op === "rename" ? before?.size : undefined);
    const again = [...this.open].filter((folder) => op === "rename" && within(folder, path));
    if (kind === undefined || known === undefined) return this.folders.has(parent) ? [...again, parent] : again;
    this.#put({ path, type: kind, size: known, mtime, mode });
    return again;
  }

  /** All rows, from the top. @returns {Row[]} */
  rows() {
    /** @type {Row[]} */
    const rows = [];
    this.#rows("", 1, rows);
    return rows;
  }

  /** @param {string} path @param {number} level @param {Row[]} rows */
  #rows(path, level, rows) {
    const folder = this.folders.get(path);
    const entries = this.entries(path);
    entries.forEach((entry, at) => {
      const open = entry.type === "dir" ? this.open.has(entry.path) : undefined;
      rows.push({ key: entry.path, level, entry, position: at + 1, of: folder?.truncated ? -1 : entries.length, ...(open !== undefined && { open }) });
      if (open) this.#rows(entry.path, level + 1, rows);
    });
    const note = !folder ? "files.loading" : folder.truncated ? "files.more" : path && entries.length === 0 ? "files.empty_folder" : "";
    if (note) rows.push({ key: `${path}\n`, level, note });
  }
}
