// What the operator's list is asked for. It stands in the page's address: it can be linked, reloaded and gone back to.

import { keep, kept } from "./kept.js";

export const SIZES = [25, 50, 100, 200];
export const PHASES = ["starting", "ready", "suspended", "stopping", "stopped", "failed"];
/** What the server can sort by. */
const SORTS = ["created_at", "updated_at", "title", "owner", "phase", "clients"];
const KEPT_SIZE = "staithe.admin.rows";

/** @typedef {{ q: string, phase: string, owner: string, sort: string, order: string, limit: number, page: number }} Query */
/** What the address needn't say. @type {Query} */
const USUAL = { q: "", phase: "", owner: "", sort: "created_at", order: "desc", limit: 50, page: 0 };

/** The query that an address stands for; what it says wrongly is as usual. @param {string} search @returns {Query} */
export function readQuery(search) {
  const said = new URLSearchParams(search);
  /** @param {string} name @param {readonly string[]} known @param {string} usual */
  const one = (name, known, usual) => (known.includes(said.get(name) ?? "") ? /** @type {string} */ (said.get(name)) : usual);
  const size = Number(said.get("limit") ?? kept(KEPT_SIZE));
  const page = Number(said.get("page"));
  return {
    q: said.get("q") ?? "",
    phase: one("phase", PHASES, ""),
    owner: said.get("owner") ?? "",
    sort: one("sort", SORTS, USUAL.sort),
    order: one("order", ["asc", "desc"], USUAL.order),
    limit: SIZES.includes(size) ? size : USUAL.limit,
    page: Number.isSafeInteger(page) && page > 0 ? page : 0,
  };
}

/** @param {Query} query @returns {string} */
export function addressOf(query) {
  const said = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== USUAL[/** @type {keyof Query} */ (name)]) said.set(name, String(value));
  }
  return String(said) ? `/admin?${said}` : "/admin";
}

/** @param {number} size */
export const keepSize = (size) => keep(KEPT_SIZE, String(size));

/** Where the server answers the query. @param {Query} query @returns {string} */
export function listPath(query) {
  const asked = new URLSearchParams({ sort: query.sort, order: query.order, limit: String(query.limit) });
  if (query.page) asked.set("page", String(query.page));
  for (const name of /** @type {const} */ (["q", "phase", "owner"])) if (query[name]) asked.set(name, query[name]);
  return `/api/admin/sessions?${asked}`;
}

/** Whether something narrows the list. @param {Query} query */
export const isNarrowed = ({ q, phase, owner }) => Boolean(q || phase || owner);
