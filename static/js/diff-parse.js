// A unified diff of git's, read: files, hunks, lines with their numbers. Pure.

/**
 * @typedef {{ kind: "same" | "added" | "removed" | "note", old: number | null, new: number | null, text: string }} Line
 * @typedef {{ head: string, lines: Line[] }} Hunk
 * @typedef {{ notes: string[], hunks: Hunk[] }} FileDiff
 */

const HUNK = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@(.*)$/;
/** What the list beside a diff says already. */
const KNOWN = /^(?:diff --git |index |--- |\+\+\+ |similarity index |dissimilarity index |rename |copy |new file mode |deleted file mode )/;

/** @param {string} text @returns {FileDiff[]} */
export function parseDiff(text) {
  /** @type {FileDiff[]} */
  const files = [];
  /** @type {FileDiff | undefined} */
  let file;
  /** @type {Hunk | undefined} */
  let hunk;
  let [oldAt, newAt, oldLeft, newLeft] = [0, 0, 0, 0];
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  for (const line of lines) {
    // By its counts, not by its looks: a removed line may begin with "-- ".
    if (hunk && (oldLeft > 0 || newLeft > 0) && !line.startsWith("\\")) {
      const sign = line[0] ?? " ";
      const kind = sign === "+" ? "added" : sign === "-" ? "removed" : "same";
      hunk.lines.push({ kind, old: kind === "added" ? null : oldAt, new: kind === "removed" ? null : newAt, text: line.slice(1) });
      if (kind !== "added") [oldAt, oldLeft] = [oldAt + 1, oldLeft - 1];
      if (kind !== "removed") [newAt, newLeft] = [newAt + 1, newLeft - 1];
      continue;
    }
    if (hunk && line.startsWith("\\")) {
      hunk.lines.push({ kind: "note", old: null, new: null, text: line.slice(1).trim() });
      continue;
    }
    if (line.startsWith("diff --git ") || !file) {
      file = { notes: [], hunks: [] };
      files.push(file);
      hunk = undefined;
    }
    const found = HUNK.exec(line);
    if (found) {
      const [, oldStart, oldCount = "1", newStart, newCount = "1", heading = ""] = found;
      [oldAt, newAt, oldLeft, newLeft] = [Number(oldStart), Number(newStart), Number(oldCount), Number(newCount)];
      hunk = { head: heading.trim(), lines: [] };
      file.hunks.push(hunk);
    } else if (!KNOWN.test(line)) file.notes.push(line);
  }
  return files;
}
