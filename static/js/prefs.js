// What a person chose for this browser: the theme, what new sessions begin with, how they are called back, the files that are open.

/** @typedef {"theme" | "model" | "image" | "notify" | "sound" | "keys" | "new" | "recent" | `tabs.${string}`} Pref */

/** Where nothing can be stored, it holds as long as the page. @type {Map<string, string>} */
const here = new Map();

/** @param {Pref} name @returns {string} "" where nothing was chosen */
export function pref(name) {
  try {
    return localStorage.getItem(`staithe.${name}`) ?? "";
  } catch {
    return here.get(name) ?? "";
  }
}

/** @param {Pref} name @param {string} value "" forgets it */
export function setPref(name, value) {
  try {
    if (value) localStorage.setItem(`staithe.${name}`, value);
    else localStorage.removeItem(`staithe.${name}`);
  } catch {
    here.set(name, value);
  }
}

/** The names of what is chosen for each of several things. @param {"tabs."} begin @returns {Pref[]} */
export function prefsOf(begin) {
  try {
    return Object.keys(localStorage).filter((key) => key.startsWith(`staithe.${begin}`)).map((key) => /** @type {Pref} */ (key.slice("staithe.".length)));
  } catch {
    return [];
  }
}

/** Shows the theme that holds; `theme.js` did it before the page was drawn. */
export function applyTheme() {
  const theme = pref("theme");
  const root = document.documentElement;
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  else delete root.dataset.theme;
}

/** @param {"" | "light" | "dark"} theme "" as the system says */
export function setTheme(theme) {
  setPref("theme", theme);
  applyTheme();
}

/** The page again, in another language; the server remembers it by a cookie. @param {string} lang */
export function setLanguage(lang) {
  const address = new URL(location.href);
  address.searchParams.set("lang", lang);
  location.assign(address);
}
