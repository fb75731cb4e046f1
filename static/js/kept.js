// What this browser remembers by itself, such as where lines stand.

/** @param {string} key @returns {string | null} */
export function kept(key) {
  try {
    return localStorage.getItem(key);
  } catch { // forbidden: nothing is remembered
    return null;
  }
}

/** @param {string} key @param {string} value */
export function keep(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch { /* forbidden: it is forgotten with the page */ }
}
