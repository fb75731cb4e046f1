// REST: every answer that isn't a success becomes a Problem with its code and words.

import { said, t } from "./i18n.js";

/** An answer that says no, or none at all (`status` 0). */
export class Problem extends Error {
  /** @param {number} status @param {any} body */
  constructor(status, body) {
    const detail = said(body?.detail ?? "") || body?.title || t("error.unreachable");
    const words = body?.code ? t("error.with_code", { detail, code: body.code }) : detail;
    super(body?.id ? `${words} ${t("error.log_id", { id: body.id })}` : words);
    this.status = status;
    this.code = body?.code ?? "";
    this.detail = detail;
    this.body = body ?? {};
  }
}

/** Reads an answer's problem body, whatever it holds. @param {number} status @param {string} text */
export function problemOf(status, text) {
  let body = { detail: text.slice(0, 300) || `HTTP ${status}`, code: "" };
  try {
    body = JSON.parse(text);
  } catch { /* a proxy's words, or none */ }
  if (status !== 401) return new Problem(status, body);
  const problem = new Problem(401, { detail: t(body.code === "auth.link_over" ? "error.link_over" : "error.signed_out") });
  problem.code = body.code;
  return problem;
}

/**
 * @param {string} method @param {string} path
 * @param {{ json?: unknown, headers?: Record<string, string>, signal?: AbortSignal }} [options]
 * @returns {Promise<any>} the JSON body, or undefined where there is none
 */
export async function call(method, path, { json, headers = {}, signal } = {}) {
  /** @type {RequestInit} */
  const init = { method, headers: { Accept: "application/json", ...headers }, signal: signal ?? null };
  if (json !== undefined) {
    init.body = JSON.stringify(json);
    init.headers = { ...init.headers, "Content-Type": "application/json" };
  }
  let answer;
  try {
    answer = await fetch(path, init);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem(0, null);
  }
  const text = await answer.text();
  if (!answer.ok) throw problemOf(answer.status, text);
  if (!text) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    throw new Problem(answer.status, { detail: text.slice(0, 300) });
  }
}

/** @param {string} path @param {AbortSignal} [signal] */
export const get = (path, signal) => call("GET", path, signal ? { signal } : {});
/** @param {string} path @param {unknown} [json] @param {Record<string, string>} [headers] */
export const post = (path, json, headers) => call("POST", path, { json, ...(headers ? { headers } : {}) });

/** @param {string} id */
export const sessionPath = (id) => `/api/sessions/${encodeURIComponent(id)}`;
/** @param {string} id @param {string} path */
export const filePath = (id, path) => `${sessionPath(id)}/files/${path.split("/").map(encodeURIComponent).join("/")}`;

/** A new key, also where the page has no secure context. */
export function uuid() {
  if (typeof crypto.randomUUID === "function") return crypto.randomUUID();
  const b = crypto.getRandomValues(new Uint8Array(16));
  b[6] = ((b[6] ?? 0) & 15) | 64;
  b[8] = ((b[8] ?? 0) & 63) | 128;
  const hex = Array.from(b, (x) => x.toString(16).padStart(2, "0")).join("");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
