// What git says of the workspace: its repositories, what has changed since a commit, the last commits.

import { get, sessionPath } from "../api.js";
import { ChangeRow, counts } from "../change-row.js";
import { h, setText, sheet } from "../dom.js";
import { ago, dateTime, t } from "../i18n.js";
import { Turns, codeLine, composerButton, empty, failure, resting, signButton } from "../pane-parts.js";

/** Observations after which the workspace may be another. */
const CHANGING = new Set(["run", "write", "edit", "run_ipython", "repository", "mcp"]);
/** Those after which a repository may be there that was not. */
const MAKING = new Set(["run", "repository", "run_ipython"]);
const COMMITS = 10;
/** Files that are shown; more are only counted. */
const MOST_FILES = 1000;
/** Files whose diffs may be asked for all at once. */
const MOST_UNFOLDED = 50;
const BEGIN = "git init && git add -A && git commit -m 'First commit'";

class Changes {
  #rows = /** @type {Map<string, ChangeRow>} */ (new Map());
  /** @type {string[] | null} */
  #repositories = null;
  #repository = "";
  /** @type {string | null} the commit compared with, where it isn't the last */
  #base = null;
  #commitsWanted = COMMITS;
  #visible = false;
  /** @type {Turns} */
  #turns = new Turns(() => this.#load());
  #pick = h("select", { "aria-label": t("changes.repository"), on: { change: () => this.#choose(this.#pick.value) } });
  #branch = h("span", { className: "git-branch" });
  #state = h("span", { className: "small muted" });
  #sum = h("span", { className: "counts row small" });
  #unfold = h("button", { type: "button", on: { click: () => this.#foldAll() } });
  #notes = h("div", { className: "stack" });
  #title = h("h2", { "aria-live": "polite" });
  #list = h("ul", { className: "change-list", "aria-label": t("changes.files") });
  #commits = h("ol", { className: "commit-list" });
  #moreCommits = h("button", { type: "button", hidden: true, on: { click: () => this.#older() } }, t("changes.older"));
  #commitBox = h("details", { className: "git-box", open: true }, h("summary", {}, t("changes.commits")), this.#commits, this.#moreCommits);
  #content = h("div", { className: "stack" }, this.#notes, this.#title, this.#list, this.#commitBox);
  #body = h("div", { className: "pane-body" });

  /** @param {HTMLElement} host @param {import("../panes.js").Context} context */
  constructor(host, context) {
    this.context = context;
    const refresh = signButton("reload", t("changes.refresh"), () => this.#lookAround());
    host.append(h("div", { className: "pane-bar" }, this.#pick, this.#branch, this.#state, this.#sum, h("span", { className: "grow" }), this.#unfold, refresh), this.#body);
    this.#list.addEventListener("click", () => this.#showUnfold());
    this.#bar(false);
    this.#body.append(empty(t("files.loading")));
  }

  /** @param {any} event */
  event({ observation }) {
    if (!CHANGING.has(observation)) return;
    if (MAKING.has(observation)) this.#repositories = null;
    this.#turns.want();
  }

  /** @param {any} frame */
  frame(frame) {
    if (frame.type === "files" && (frame.resync || frame.changes?.length > 0)) this.#turns.want();
  }

  joined() {
    this.#lookAround();
  }

  changed() {
    this.#lookAround();
  }

  shown() {
    this.#visible = true;
    this.#lookAround();
  }

  hidden() {
    this.#visible = false;
  }

  /** Everything anew, repositories too. */
  #lookAround() {
    this.#repositories = null;
    this.#turns.want(0);
  }

  /** @param {string} question @param {Record<string, string>} [query] */
  #git(question, query = {}) {
    return get(`${sessionPath(this.context.id)}/git/${question}?${new URLSearchParams(query)}`);
  }

  /** @returns {Promise<void>} */
  async #load() {
    if (!this.#visible) return; // `shown` asks again
    const rest = resting(this.context);
    if (rest) return this.#instead(rest);
    try {
      this.#repositories ??= (await this.#git("repositories")).repositories;
      const [first] = /** @type {string[]} */ (this.#repositories);
      if (first === undefined) return this.#instead(this.#none());
      if (!(/** @type {string[]} */ (this.#repositories).includes(this.#repository))) this.#forget(first);
      await this.#ask();
    } catch (error) {
      const code = /** @type {any} */ (error).code;
      if (code === "git.bad_ref" && this.#base) {
        this.#base = null; // a commit that is no more, after a rebase for one
        return this.#turns.want();
      }
      if (code === "git.not_a_repository") this.#instead(this.#none());
      else if (code === "git.missing") this.#instead(empty(t("changes.no_git"), h("p", {}, t("changes.no_git_how"))));
      else this.#instead(failure(error, () => this.#lookAround()));
    }
  }

  async #ask() {
    const path = this.#repository;
    const base = this.#base;
    const [status, changes, log] = await Promise.all([
      this.#git("status", { path }), this.#git("changes", { path, ...(base && { base }) }), this.#git("log", { path, limit: String(this.#commitsWanted) }),
    ]);
    if (path !== this.#repository || base !== this.#base) return this.#turns.want(0);
    this.#head(status, changes);
    this.#files(status, changes);
    this.#showCommits(log);
    if (!this.#content.isConnected) this.#body.replaceChildren(this.#content);
    this.#bar(true);
  }

  /** @param {any} status @param {any} changes */
  #head(status, changes) {
    const all = /** @type {string[]} */ (this.#repositories);
    if (this.#pick.dataset.key !== JSON.stringify(all)) this.#pick.replaceChildren(...all.map((value) => h("option", { value }, value || t("changes.workspace"))));
    this.#pick.dataset.key = JSON.stringify(all);
    this.#pick.value = this.#repository;
    this.#pick.hidden = all.length < 2;
    setText(this.#branch, status.branch ?? (status.head ? t("changes.detached", { commit: status.head.slice(0, 8) }) : t("changes.no_branch")));
    const states = [];
    if (status.ahead) states.push(t("changes.ahead", { count: status.ahead }));
    if (status.behind) states.push(t("changes.behind", { count: status.behind }));
    if (status.upstream && !status.ahead && !status.behind) states.push(t("changes.even", { upstream: status.upstream }));
    if (status.operation) states.push(t(`changes.during_${status.operation}`));
    setText(this.#state, states.join(" · "));
    this.#sum.replaceChildren(...(changes.files.length ? counts(changes.added, changes.deleted) : []));
    setText(this.#title, changes.files.length ? t("changes.count", { count: changes.files.length }) : t("changes.nothing"));
    const notes = [];
    if (this.#base) notes.push(h("div", { className: "banner" }, h("span", {}, t("changes.since", { commit: this.#base.slice(0, 8) })), h("button", { type: "button", on: { click: () => this.#compare(null) } }, t("changes.since_last"))));
    if (!status.head) notes.push(h("p", { className: "help" }, t("changes.no_commit")));
    if (changes.truncated || changes.files.length > MOST_FILES) notes.push(h("p", { className: "help" }, t("changes.too_many")));
    this.#notes.replaceChildren(...notes);
    this.#notes.hidden = notes.length === 0;
  }

  /** @param {any} status @param {any} changes */
  #files(status, changes) {
    const staged = new Set(status.entries.filter((/** @type {any} */ e) => e.staged && !e.unstaged).map((/** @type {any} */ e) => e.path));
    const session = this.context.id;
    const repository = this.#repository;
    const whole = (/** @type {string} */ path) => (repository ? `${repository}/${path}` : path);
    const typeOf = async (/** @type {string} */ path) => (await this.context.socket.ask({ type: "file", op: "stat", path: whole(path) })).entries?.[0]?.type ?? "";
    const place = { session, repository, base: this.#base, open: (/** @type {string} */ path) => this.context.openFile(whole(path)), typeOf };
    const files = changes.files.slice(0, MOST_FILES);
    const names = new Set(files.map((/** @type {any} */ file) => file.path));
    for (const [path, row] of this.#rows) {
      if (names.has(path)) continue;
      row.element.remove();
      this.#rows.delete(path);
    }
    /** @type {Element | null} */
    let before = null;
    for (const file of files) {
      const tag = staged.has(file.path) && !this.#base ? t("changes.staged") : "";
      let row = this.#rows.get(file.path);
      if (row) row.show(place, file, tag);
      else this.#rows.set(file.path, row = new ChangeRow(place, file, tag));
      /** @type {Element | null} */
      const next = before ? before.nextElementSibling : this.#list.firstElementChild;
      if (next !== row.element) this.#list.insertBefore(row.element, next);
      before = row.element;
    }
    this.#unfold.hidden = files.length === 0 || files.length > MOST_UNFOLDED;
    this.#showUnfold();
  }

  /** @param {any} log */
  #showCommits(log) {
    this.#commitBox.hidden = log.commits.length === 0;
    this.#moreCommits.hidden = !log.has_more;
    const key = JSON.stringify([log.commits.map((/** @type {any} */ c) => c.commit), this.#base]);
    if (this.#commits.dataset.key === key) return;
    this.#commits.dataset.key = key;
    this.#commits.replaceChildren(...log.commits.map((/** @type {any} */ commit, /** @type {number} */ index) => this.#commit(commit, index)));
  }

  /** @param {any} commit @param {number} index */
  #commit({ commit, author, committed, subject, body }, index) {
    const when = new Date(committed * 1000);
    const chosen = this.#base ? commit === this.#base : index === 0;
    const compare = h("button", { type: "button", "aria-pressed": String(chosen), title: t("changes.compare"), "aria-label": t("changes.compare_named", { subject }), on: { click: () => this.#compare(index === 0 ? null : commit) } }, "±");
    return h("li", { data: { commit } }, h("code", { title: commit }, commit.slice(0, 8)), h("span", { className: "subject", title: body }, subject), compare,
      h("span", { className: "by" }, `${author} · `, h("time", { dateTime: when.toISOString(), title: dateTime(when) }, ago(when))));
  }

  /** @param {string | null} base */
  #compare(base) {
    this.#base = base;
    this.#turns.want(0);
  }

  #older() {
    this.#commitsWanted = Math.min(200, this.#commitsWanted + 20);
    this.#turns.want(0);
  }

  /** @param {string} repository */
  #choose(repository) {
    this.#forget(repository);
    this.#turns.want(0);
  }

  /** @param {string} repository */
  #forget(repository) {
    this.#repository = repository;
    this.#base = null;
    this.#commitsWanted = COMMITS;
    this.#rows.clear();
    this.#list.replaceChildren();
  }

  #foldAll() {
    const open = ![...this.#rows.values()].some((row) => row.isOpen);
    for (const row of this.#rows.values()) row.toggle(open);
    this.#showUnfold();
  }

  #showUnfold() {
    setText(this.#unfold, t([...this.#rows.values()].some((row) => row.isOpen) ? "changes.fold_all" : "changes.unfold_all"));
  }

  #none() {
    const how = this.context.canWrite() ? [h("p", {}, t("changes.none_how")), codeLine(BEGIN), composerButton(this.context, BEGIN)] : [];
    return empty(t("changes.none"), ...how);
  }

  /** @param {HTMLElement} element what stands in the place of changes */
  #instead(element) {
    const now = this.#body.firstElementChild;
    this.#bar(false);
    if (now !== this.#content && now?.textContent === element.textContent) return; // the focus stays where it is
    this.#body.replaceChildren(element);
  }

  /** @param {boolean} there whether there is a repository to tell of */
  #bar(there) {
    for (const part of [this.#branch, this.#state, this.#sum]) part.hidden = !there;
    if (!there) this.#pick.hidden = this.#unfold.hidden = true;
  }
}

/** @param {HTMLElement} host @param {import("../panes.js").Context} context */
export default async function open(host, context) {
  await Promise.all([sheet("css/parts.css"), sheet("css/changes.css")]);
  return new Changes(host, context);
}
