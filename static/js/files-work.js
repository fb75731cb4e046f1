// What changes the workspace: new, renamed, moved and deleted files and folders, each asked for in a dialog.

import { ask, choose, complain, confirmLoss } from "./dialog.js";
import { announce, h } from "./dom.js";
import { has, t } from "./i18n.js";
import { folderOf, join, nameOf, within } from "./files-model.js";
import { Refused } from "./socket.js";

/** As many names are told of what is deleted. */
const NAMED = 8;
/** Bytes of one name that file systems take. */
const LONGEST = 255;

/**
 * @typedef {object} Around
 * @property {(body: any) => Promise<any>} op
 * @property {(path: string, line?: number) => Promise<void>} open
 * @property {(from: string, to: string) => void} renamed
 * @property {(path: string) => void} removed
 * @property {(folders: string[], select: string[]) => Promise<void>} changed reads folders again and shows what is there now
 */
export class Work {
  /** @param {import("./files-model.js").Model} model @param {Around} around */
  constructor(model, around) {
    this.model = model;
    this.around = around;
  }

  /** @param {() => Promise<unknown>} work */
  async #do(work) {
    try {
      await work();
    } catch (error) {
      complain(error);
    }
  }

  /** @param {string} folder */
  async create(folder) {
    const path = await this.#make(t("files.new_file"), folder, (to) => ({ op: "create", path: to, content: "", create_parents: true }));
    if (path) await this.#do(() => this.around.open(path));
  }

  /** @param {string} folder */
  async makeFolder(folder) {
    await this.#make(t("files.new_folder"), folder, (path) => ({ op: "mkdir", path, parents: true }));
  }

  /**
   * Asks for a name until there is one that works, or none.
   * @param {string} title @param {string} folder @param {(path: string) => any} operation @returns {Promise<string | null>} what is new
   */
  async #make(title, folder, operation) {
    const accept = async (/** @type {string} */ text) => {
      const path = clean(text) ?? "";
      const wrong = wrongName(path);
      if (wrong) return wrong;
      if (this.model.isDir(path)) return t("files_wrong.EXISTS", { name: path });
      try {
        await this.around.op(operation(path));
        return "";
      } catch (error) {
        return whyNot(error, path);
      }
    };
    const path = clean(await ask(title, t("files.name"), folder && `${folder}/`, { accept }));
    if (path) await this.#do(() => this.#appeared(path));
    return path;
  }

  /** Its folders are new, too, where they were not known. @param {string} path */
  async #appeared(path) {
    /** @type {string[]} */
    const folders = [];
    for (let folder = folderOf(path); ; folder = folderOf(folder)) {
      this.model.open.add(folder);
      folders.unshift(folder);
      if (!folder) break;
    }
    await this.around.changed(folders, [path]);
  }

  /** @param {string} path */
  async rename(path) {
    const to = clean(await ask(t("files.rename"), t("files.name"), path, { accept: async (text) => wrongName(clean(text) ?? "") }));
    if (to && to !== path) await this.#moveAll([[path, to]]);
  }

  /** @param {string[]} paths @param {string} folder */
  async move(paths, folder) {
    const inside = paths.find((path) => within(folder, path));
    if (inside !== undefined) return complain(t("files.into_itself", { name: inside }));
    /** @type {[string, string][]} */
    const moves = paths.filter((path) => folderOf(path) !== folder).map((path) => [path, join(folder, nameOf(path))]);
    if (moves.length) await this.#moveAll(moves);
  }

  /** Asks where to. @param {string[]} paths */
  async moveTo(paths) {
    const first = paths[0] ?? "";
    const input = h("input", { id: "move-to", value: folderOf(first), autocomplete: "off", spellcheck: false });
    input.setAttribute("list", "move-folders");
    const known = [...this.model.folders.keys()].flatMap((folder) => this.model.entries(folder)).filter(({ type, path }) => type === "dir" && !paths.some((one) => within(path, one)));
    const list = h("datalist", { id: "move-folders" }, ...known.map(({ path }) => h("option", { value: path })));
    const body = [h("div", { className: "field" }, h("label", { htmlFor: "move-to" }, t("files.move_to")), input, list, h("p", { className: "help" }, t("files.move_help")))];
    const title = paths.length === 1 ? t("files.move_title", { name: nameOf(first) }) : t("files.move_many", { count: paths.length });
    const answer = await choose({ title, body, choices: [{ value: "ok", label: t("files.move_do"), kind: "primary" }], focus: input });
    if (answer !== "ok") return;
    const folder = clean(input.value) ?? "";
    await this.#do(async () => {
      if (folder && !this.model.isDir(folder)) {
        await this.around.op({ op: "mkdir", path: folder, parents: true });
        await this.#appeared(folder);
      }
      await this.move(paths, folder);
    });
  }

  /** @param {[string, string][]} moves */
  async #moveAll(moves) {
    /** @type {string[]} */
    const done = [];
    for (const [path, to] of moves) {
      await this.#do(async () => {
        if (!(await this.#renamed(path, to))) return;
        this.model.apply({ op: "rename", path: to, from: path });
        this.around.renamed(path, to);
        done.push(to);
      });
    }
    if (done.length === 0) return;
    const folders = new Set(moves.flatMap(([path, to]) => [folderOf(path), folderOf(to)]));
    for (const [, to] of moves) if (this.model.open.has(to)) folders.add(to);
    const target = folderOf(done[0] ?? "");
    this.model.open.add(target);
    await this.around.changed([...folders], done);
    announce(t("files.moved", { count: done.length, folder: target || t("files.top") }));
  }

  /** @param {string} path @param {string} to @returns {Promise<boolean>} */
  async #renamed(path, to) {
    try {
      await this.around.op({ op: "rename", path, to });
      return true;
    } catch (error) {
      if (!(error instanceof Refused) || error.code !== "EXISTS") throw error;
    }
    if (!(await confirmLoss(t("confirm.replace_title", { name: to }), [t("confirm.replace_text")], t("confirm.replace")))) return false;
    await this.around.op({ op: "rename", path, to, overwrite: true });
    return true;
  }

  /** @param {string[]} paths */
  async remove(paths) {
    const first = paths[0];
    if (first === undefined) return;
    const folders = paths.some((path) => this.model.isDir(path));
    const text = t(folders ? "confirm.folder_text" : "confirm.file_text");
    const names = paths.slice(0, NAMED).map((path) => h("li", {}, path));
    if (paths.length > NAMED) names.push(h("li", {}, t("files.and_more", { count: paths.length - NAMED })));
    const one = paths.length === 1;
    const title = one ? t("confirm.file_title", { name: first }) : t("files.delete_many", { count: paths.length });
    if (!(await confirmLoss(title, one ? [text] : [h("ul", {}, ...names), t("files.delete_text")], t("action.delete")))) return;
    for (const path of paths) {
      await this.#do(async () => {
        await this.around.op({ op: "delete", path, ...(this.model.isDir(path) ? { recursive: true } : { force: true }) });
        this.model.apply({ op: "delete", path });
        this.around.removed(path);
      });
    }
    await this.around.changed([...new Set(paths.map(folderOf))], []);
  }
}

/** What no name can be. @param {string} path @returns {string} what is wrong, or "" */
function wrongName(path) {
  const parts = path.split("/");
  if (!path) return t("files_wrong.empty");
  const not = parts.find((part) => part === "." || part === ".." || /[\u0000-\u001f\u007f]/.test(part));
  if (not !== undefined) return t("files_wrong.name", { name: not });
  const long = parts.find((part) => new TextEncoder().encode(part).length > LONGEST);
  return long === undefined ? "" : t("files_wrong.long", { count: LONGEST });
}

/** In words for people, not the operating system's. @param {unknown} error @param {string} name */
function whyNot(error, name) {
  const code = error instanceof Refused ? error.code : "";
  if (has(`files_wrong.${code}`)) return t(`files_wrong.${code}`, { name });
  return (error instanceof Error ? error.message : String(error)).replace(/ ?\(os error \d+\)/, "");
}

/** A path as the server has it. @param {string | null} path */
const clean = (path) => path?.trim().replace(/^\/+(workspace\/)?|\/+$/g, "").replace(/\/{2,}/g, "/") ?? null;
