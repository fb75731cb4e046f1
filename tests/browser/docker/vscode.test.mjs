// VS Code as a person opens it from the session's page: through the proxy on the sandbox origin, in an image that
// is built with it. Needs a Docker daemon (STAITHE_TEST_ENGINE=docker, STAITHE_TEST_DOCKER) and, for the build, the
// registries of Debian, Python and npm.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { SLOW, assertClean, openPage, run, scratch, shoot, signIn, startBrowser, startServer, watch } from "../helper.mjs";

/** An image with VS Code is built in one to three minutes. */
const BUILD = 10 * 60_000;
const REPOSITORY = `staithe-test/browser-${process.pid}`;

const data = scratch();
/** @type {Awaited<ReturnType<typeof startServer>>} */
let server;
/** @type {import("playwright-core").Browser} */
let browser;

before(async () => {
  const authorities = path.join(data.folder, "ca");
  mkdirSync(authorities);
  if (process.env.NODE_EXTRA_CA_CERTS) copyFileSync(process.env.NODE_EXTRA_CA_CERTS, path.join(authorities, "machine.crt"));
  const config = path.join(data.folder, "config.toml");
  writeFileSync(config, `[sandbox]
base_container_image = "staithe-test/base:1"
plugins = ["vscode"]
[sandbox.image]
repository = "${REPOSITORY}"
ca_dir = "${authorities}"
[plugins]
deadline = "60s"
`);
  server = await startServer({
    dataDir: data.folder,
    env: { STAITHE_CONFIG: config, STAITHE__SANDBOX__RUNTIME_CONTAINER_IMAGE: "", STAITHE__SANDBOX__DOCKER__MEMORY: "2GiB" },
  });
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  await server?.kill();
  data.end();
  const docker = (/** @type {string[]} */ ...words) =>
    spawnSync("docker", ["--host", process.env.STAITHE_TEST_DOCKER ?? "", ...words], { encoding: "utf8", timeout: SLOW });
  const images = docker("images", "--quiet", REPOSITORY).stdout?.split(/\s+/).filter(Boolean) ?? [];
  if (images.length > 0) docker("rmi", "--force", ...images);
});

test("VS Code opens from the page, and what is saved there is seen in the page's tree and told by the watcher", { timeout: BUILD + 5 * SLOW }, async () => {
  const page = await openPage(browser);
  /** @type {string[]} */
  const told = [];
  page.on("websocket", (socket) => socket.on("framereceived", ({ payload }) => {
    if (typeof payload === "string" && payload.includes('"type":"files"')) told.push(payload);
  }));
  await signIn(page, server);
  await page.getByLabel("Title").fill("With an editor");
  await page.locator("#new-submit").click();
  await page.waitForURL(/\/sessions\/[0-9a-f]{32}$/);
  await page.locator('#phase[data-phase="ready"]').waitFor({ timeout: BUILD });
  assert.match(await run(page, "printf 'one\\n' > notes.txt; echo made"), /made/);

  const button = page.locator("#vscode");
  await button.waitFor();
  assert.equal(await button.textContent(), "VS Code");
  await button.focus();
  const opened = page.context().waitForEvent("page");
  await page.keyboard.press("Enter");
  const code = watch(await opened);
  await code.waitForURL((url) => url.pathname.startsWith("/s/"), { timeout: SLOW });
  const there = new URL(code.url());
  assert.equal(there.origin, new URL(server.sandbox_url).origin, "another origin than the page's");
  assert.equal(await code.evaluate(() => globalThis.opener), null);

  const explorer = code.locator(".explorer-folders-view");
  await explorer.getByText("notes.txt", { exact: true }).dblclick({ timeout: SLOW });
  await code.locator(".monaco-editor .view-line", { hasText: "one" }).first().click({ timeout: SLOW });
  await code.keyboard.press("Control+End");
  await code.keyboard.type("two");
  await code.locator(".tab.dirty", { hasText: "notes.txt" }).waitFor();
  await code.keyboard.press("Control+s");
  await code.locator(".tab.dirty").waitFor({ state: "detached", timeout: SLOW });
  await shoot(code, "vscode");
  assert.match(await run(page, "cat notes.txt"), /one\ntwo/);
  assert.ok(!code.url().includes("ticket"), "the ticket does not stay in the address");

  // A new file: the page's tree shows it by itself, and the watcher's event names it.
  await explorer.hover();
  await code.locator(".action-label.codicon-new-file").first().click();
  await code.keyboard.type("made-there.txt");
  await code.keyboard.press("Enter");
  await page.locator("#tree").getByText("made-there.txt").waitFor({ timeout: SLOW });
  const deadline = Date.now() + SLOW;
  const names = () => ["notes.txt", "made-there.txt"].every((name) => told.some((frame) => frame.includes(name)));
  while (!names() && Date.now() < deadline) await page.waitForEvent("websocket", { timeout: 250 }).catch(() => undefined);
  assert.ok(names(), `the watcher told of ${told.join("\n")}`);
  assertClean(page);
  await shoot(page, "vscode-session");
});
