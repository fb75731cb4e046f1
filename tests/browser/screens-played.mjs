// What the pictures of docs/screens show of plugins that this machine's sandbox does not have: a kernel, a browser, VS Code, and a log with lines.

/** The panes that are played. */
export const PLAYED = ["code", "cells", "browser", "log"];

const HOURS = Array.from({ length: 24 }, (_, hour) => 2.4 + 1.9 * Math.sin((hour / 12.4) * 2 * Math.PI));
const CURVE = `<svg viewBox="0 0 480 220" width="480" height="220" style="font:12px sans-serif;background:#fff"><polyline fill="none" stroke="#0b5c75" stroke-width="2.5" points="${HOURS.map((metres, hour) => `${40 + hour * 18},${190 - metres * 38}`).join(" ")}"/>
<path d="M40 10V190H460" fill="none" stroke="#555"/><text x="44" y="20">metres</text><text x="420" y="208">hour</text>${[0, 6, 12, 18].map((hour) => `<text x="${36 + hour * 18}" y="208">${hour}</text>`).join("")}</svg>`;
const TABLE = `<body style="font:18px sans-serif;margin:2rem;color:#17222a"><h1>Tide table</h1><p>High water in the harbour, this week.</p><table cellpadding="8" style="border-collapse:collapse">${["Monday 12:40", "Tuesday 13:28", "Wednesday 14:15", "Thursday 15:01"].map((row) => `<tr>${row.split(" ").map((cell) => `<td style="border-bottom:1px solid #ccd">${cell}</td>`).join("")}</tr>`).join("")}</table><p><a href="#">The week after</a></p></body>`;
/** Stands in for VS Code, and says so. */
const EDITOR = `<!doctype html><title>tide.py</title><body style="margin:0;height:100vh;display:grid;grid:1fr auto/11rem 1fr;font:14px sans-serif;background:#1f1f1f;color:#ccc"><div style="background:#181818;padding:1rem"><p style="margin:0 0 .6rem;font-size:12px">EXPLORER</p><p style="margin:.3rem 0">README.md</p><p style="margin:.3rem 0">index.html</p><p style="margin:.3rem 0;color:#fff">tide.py</p></div><pre style="margin:0;padding:1rem;font:14px/1.6 monospace;overflow:auto">def high_water(day):
    """The hour of high water."""
    return (12 + day) % 24
</pre><div style="grid-column:1/3;background:#0b5c75;color:#fff;padding:.2rem .8rem;font-size:12px">a page in the place of VS Code, for this picture</div></body>`;

/** What a kernel and a browser would have drawn. @param {import("playwright-core").Browser} browser */
export async function pictures(browser) {
  const page = await browser.newPage({ viewport: { width: 900, height: 520 } });
  const data = (/** @type {Buffer} */ picture) => `data:image/png;base64,${picture.toString("base64")}`;
  await page.setContent(`<body style="margin:0">${CURVE}</body>`);
  const curve = data(await page.locator("svg").screenshot());
  await page.setContent(TABLE);
  const table = data(await page.screenshot());
  await page.close();
  return { curve, table };
}

/** @param {{ curve: string, table: string }} shots @returns {object[]} */
function events({ curve, table }) {
  const url = "http://127.0.0.1:8123/";
  const week = "hours = [(12 + day) % 24 for day in range(7)]\nhours";
  const draw = "import tides\ntides.curve(day=1).plot()";
  return [
    { source: "user", action: "message", args: { content: "Draw the tide of tomorrow, and look at the page." } },
    { source: "agent", action: "run_ipython", args: { code: week } },
    { source: "agent", cause: 1, observation: "run_ipython", content: "[12, 13, 14, 15, 16, 17, 18]", extras: { code: week, image_urls: [] } },
    { source: "agent", action: "run_ipython", args: { code: draw } },
    { source: "agent", cause: 3, observation: "run_ipython", content: "High water at 03:06 and 15:30", extras: { code: draw, image_urls: [curve] } },
    { source: "agent", action: "browse_interactive", args: { browser_actions: `goto("${url}")` } },
    { source: "agent", cause: 5, observation: "browse", content: "Tide table\nHigh water in the harbour, this week.\n\nAccessibility tree (numbers in brackets are for calls):\n[1] heading 'Tide table'\n[7] link 'The week after'", extras: { url, screenshot: table, last_browser_action: `goto("${url}")`, open_pages_urls: [url, "https://docs.python.org/3/library/math.html"], active_page_index: 0 } },
    { source: "agent", action: "message", args: { content: "High water is at 03:06 and at 15:30. The page shows the week." } },
  ];
}

const LOG = [
  "INFO runner the runner listens, version 0.1.0", "INFO runner the workspace is /workspace", "INFO shell bash 5.2 is ready", "INFO plugins jupyter: starting the kernel",
  "INFO plugins jupyter: ready after 2.1 s", "INFO plugins browser: ready after 1.4 s", "INFO files watching 4 folders", "WARN ports 8123 is listened on, by python3", "INFO git main: 1 file changed",
  "INFO shell exit 0 after 0.2 s: git status --short", "INFO browser goto http://127.0.0.1:8123/", "INFO browser loaded in 0.3 s",
];

/** Has the pages of a session show what is played. @param {import("playwright-core").Page} page @param {{ url: string, sandbox_url: string }} server @param {string} session @param {{ curve: string, table: string }} shots */
export async function play(page, server, session, shots) {
  const all = events(shots);
  const began = Date.now() - 60_000;
  const at = (/** @type {number} */ index) => new Date(began + index * 4000).toISOString();
  await page.routeWebSocket(/\/ws\?/, (ws) => {
    const send = (/** @type {object} */ frame) => ws.send(JSON.stringify(frame));
    send({ type: "hello", session, phase: "ready", agent_state: "finished", head: all.length - 1, role: "operator", server: { version: "0.1.0" } });
    all.forEach((event, id) => send({ type: "event", event: { id, timestamp: at(id), message: "", content: "", ...event } }));
  });
  await page.route("**/plugins", (route) => route.fulfill({ json: { plugins: ["jupyter", "browser", "vscode"].map((name) => ({ name, state: "ready" })) } }));
  await page.route("**/log?tail=*", (route) => route.fulfill({ json: { lines: LOG.map((line, index) => `${at(index)} ${line}`) } }));
  const editor = `${new URL(server.sandbox_url).origin}/s/${session}/editor/`;
  await page.route("**/vscode-url", (route) => route.fulfill({ json: { vscode_url: editor } }));
  await page.route(editor, (route) => route.fulfill({ contentType: "text/html", body: EDITOR }));
}
