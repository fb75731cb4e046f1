// What a file is, by its first bytes: a text, the first part of a large one, an image, or bytes.

import { Problem, filePath, problemOf } from "./api.js";
import { t } from "./i18n.js";

/** As much is read of a file before it is known what it is. */
const FIRST = 256 * 1024;
/** Larger texts are shown in parts: the server's own bound for what it takes whole. */
export const LARGE = 16 * 1024 * 1024;
/** One part of a large text. */
export const PART = 1024 * 1024;
/** As many bytes of a file that is no text are shown. */
export const HEX = 4096;
const LARGEST_IMAGE = 64 * 1024 * 1024;

/** @type {Record<string, string>} */
const IMAGES = { png: "image/png", jpg: "image/jpeg", jpeg: "image/jpeg", gif: "image/gif", webp: "image/webp", avif: "image/avif", bmp: "image/bmp", ico: "image/x-icon" };

/**
 * @typedef {object} Loaded
 * @property {"text" | "large" | "image" | "binary"} kind
 * @property {string} version
 * @property {number} size of the whole file
 * @property {string} text of a text, or of its first part
 * @property {Uint8Array<ArrayBuffer>} bytes what was read
 * @property {Blob} [image]
 */
/** @typedef {{ bytes: Uint8Array<ArrayBuffer>, version: string, size: number, whole: boolean }} Piece */

/** @param {string} path */
const endingOf = (path) => path.slice(path.lastIndexOf("/") + 1).toLowerCase().split(".").at(-1) ?? "";

/** @param {string} session @param {string} path @param {number} from @param {number} length @param {string} [version] @returns {Promise<Piece>} */
export async function piece(session, path, from, length, version) {
  const headers = { Range: `bytes=${from}-${from + length - 1}`, ...(version && { "If-Range": `"${version}"` }) };
  const answer = await fetch(filePath(session, path), { headers, cache: "no-store" }).catch(() => { throw new Problem(0, null); });
  if (!answer.ok && answer.status !== 416) throw problemOf(answer.status, await answer.text());
  const tag = answer.headers.get("ETag");
  if (!tag) throw new Problem(answer.status, { detail: t("edit.no_file", { path }) });
  const bytes = answer.ok ? new Uint8Array(await answer.arrayBuffer()) : new Uint8Array();
  const total = /\/(\d+)$/.exec(answer.headers.get("Content-Range") ?? "")?.[1];
  const size = answer.status === 200 ? bytes.length : Number(total ?? 0);
  return { bytes, version: tag.replace(/^W\/|"/g, ""), size, whole: answer.status !== 206 || (from === 0 && bytes.length === size) };
}

/** The whole of a file that is not too large. @param {string} session @param {string} path @param {Piece} first */
async function rest(session, path, first) {
  if (first.whole) return first;
  const next = await piece(session, path, first.bytes.length, first.size, first.version);
  if (next.whole) return next; // it changed meanwhile: this is all of the new one
  const bytes = new Uint8Array(first.bytes.length + next.bytes.length);
  bytes.set(first.bytes);
  bytes.set(next.bytes, first.bytes.length);
  return { ...first, bytes };
}

/** The text that bytes are, or null. @param {Uint8Array<ArrayBuffer>} bytes @param {boolean} cut in the middle, maybe, of a letter */
function textOf(bytes, cut) {
  if (bytes.subarray(0, 8192).includes(0)) return null;
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes, { stream: cut });
  } catch {
    return null;
  }
}

/** @param {string} session @param {string} path @returns {Promise<Loaded>} */
export async function load(session, path) {
  const first = await piece(session, path, 0, FIRST);
  const { version, size } = first;
  const type = IMAGES[endingOf(path)];
  if (type && size > 0 && size <= LARGEST_IMAGE) {
    const all = await rest(session, path, first);
    return { kind: "image", version: all.version, size: all.size, text: "", bytes: all.bytes, image: new Blob([all.bytes], { type }) };
  }
  const start = textOf(first.bytes, !first.whole);
  if (start === null) return { kind: "binary", version, size, text: "", bytes: first.bytes };
  if (size > LARGE) return { kind: "large", version, size, text: "", bytes: first.bytes };
  const all = await rest(session, path, first);
  const text = textOf(all.bytes, false);
  return text === null ? { kind: "binary", version, size, text: "", bytes: all.bytes } : { kind: "text", version: all.version, size: all.size, text, bytes: all.bytes };
}

/** How a text's lines end: one way, or several. @param {string} text @returns {"lf" | "crlf" | "mixed"} */
export function endingsOf(text) {
  /** @type {string[]} */
  const all = text.match(/\r\n?|\n/g) ?? [];
  const both = all.filter((end) => end === "\r\n").length;
  return both === 0 && !all.includes("\r") ? "lf" : both === all.length ? "crlf" : "mixed";
}
