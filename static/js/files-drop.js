// What is dropped or chosen to be uploaded, as a flat list: files with their paths, and the folders they lie in.

/** @typedef {{ path: string, file: File }} Given */
/** @typedef {{ files: Given[], folders: string[] }} Drop */

/** @param {FileSystemDirectoryEntry} folder @returns {Promise<FileSystemEntry[]>} */
async function children(folder) {
  const reader = folder.createReader();
  const all = [];
  for (;;) { // a reader gives a hundred at a time
    const some = await new Promise((/** @type {(entries: FileSystemEntry[]) => void} */ resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return all;
    all.push(...some);
  }
}

/** @param {FileSystemEntry} entry @param {string} path @param {Drop} drop */
async function walk(entry, path, drop) {
  if (entry.isDirectory) {
    drop.folders.push(path);
    for (const child of await children(/** @type {FileSystemDirectoryEntry} */ (entry))) await walk(child, `${path}/${child.name}`, drop);
    return;
  }
  const file = await new Promise((/** @type {(file: File) => void} */ resolve, reject) => /** @type {FileSystemFileEntry} */ (entry).file(resolve, reject));
  drop.files.push({ path, file });
}

/** All that was dropped or pasted, folders too. Has to be called while the event runs. @param {DataTransfer} data @returns {Promise<Drop>} */
export async function dropped(data) {
  /** @type {Drop} */
  const drop = { files: [], folders: [] };
  const items = [...data.items].filter((item) => item.kind === "file");
  const found = items.map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
  for (const one of found) {
    if (one instanceof File) drop.files.push({ path: one.name, file: one });
    else if (one) await walk(one, one.name, drop);
  }
  return drop;
}

/** What an input of files has; of a folder, with the paths in it. @param {HTMLInputElement} input @returns {Drop} */
export function chosen(input) {
  const files = [...(input.files ?? [])].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
  input.value = "";
  return { files, folders: [] };
}
