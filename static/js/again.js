// Read before the modules, and none itself: a page whose modules did not all come is dead, so it is loaded again.
// Chromium breaks off what it is loading whenever the machine gets another network, as it does when a sandbox starts
// on it; one module that is missing is enough.
(() => {
  const KEY = "staithe.again";
  const MOST = 5;
  const FORGET = 60_000;
  const TYPED = "staithe.again.typed";
  let due = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  /** How often that was tried in a row. */
  function tries() {
    try {
      const { count, at } = JSON.parse(sessionStorage.getItem(KEY) ?? "{}");
      return Date.now() - at < FORGET ? count : 0;
    } catch {
      return MOST; // nothing is remembered here: without a count there would be no end
    }
  }

  /** What somebody typed who was quicker than the page; secrets are kept nowhere. */
  function keep() {
    const fields = /** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll("input[id]:not([type=password]), textarea[id]"));
    const typed = [...fields].filter(({ value, defaultValue }) => value !== defaultValue).map(({ id, value }) => [id, value]);
    if (typed.length) sessionStorage.setItem(TYPED, JSON.stringify(typed));
  }

  /** Before the modules run, so that they find it as if it had been typed now. */
  function putBack() {
    try {
      const typed = JSON.parse(sessionStorage.getItem(TYPED) ?? "[]");
      sessionStorage.removeItem(TYPED);
      for (const [id, value] of typed) {
        const field = /** @type {HTMLInputElement | null} */ (document.getElementById(id));
        if (field) field.value = value;
      }
    } catch { /* nothing was kept */ }
  }

  function again() {
    // A page that asks for a secret works without modules: whoever types one is not disturbed.
    if (/** @type {HTMLInputElement | null} */ (document.querySelector("form[method=post] [type=password]"))?.value) return;
    keep();
    location.reload();
  }

  /** @param {Event} event */
  function failed({ target }) {
    const needed = (target instanceof HTMLScriptElement && target.type === "module") || (target instanceof HTMLLinkElement && target.rel === "stylesheet");
    if (!needed || due) return;
    due = true;
    const count = tries();
    if (count < MOST) {
      try {
        sessionStorage.setItem(KEY, JSON.stringify({ count: count + 1, at: Date.now() }));
        document.documentElement.dataset.again = "due";
        timer = setTimeout(again, 250 * 2 ** count);
        return;
      } catch { /* told below */ }
    }
    const say = () => document.getElementById("unloaded")?.removeAttribute("hidden");
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", say);
    else say();
  }

  addEventListener("error", failed, true);
  addEventListener("beforeunload", () => clearTimeout(timer)); // a sign-in on its way is not broken off
  document.addEventListener("readystatechange", putBack, { once: true });
  // A form of ours that no module hears yet would put what is in it into the address, and send nobody anything.
  addEventListener("submit", (event) => {
    if (/** @type {HTMLFormElement} */ (event.target).method === "get") event.preventDefault();
  });
})();
