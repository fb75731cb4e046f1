// What a person does with the conversation: images, once more, changed, copied, folded; a question far above.

import assert from "node:assert/strict";
import { test } from "node:test";
import { SLOW, assertClean, card, makeSession, openPage, run, shoot, signIn, type } from "./helper.mjs";
import { assertFits, browser, played, server, stage } from "./played.mjs";

stage();

/** The smallest PNG: one red point. */
const PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";

/** @param {string} title @param {import("playwright-core").BrowserContextOptions} [options] */
async function begin(title, options = {}) {
  const page = await openPage(browser, options);
  await signIn(page, server);
  const session = await makeSession(page, title);
  return { page, session };
}

/** Has the page believe that files were pasted or dropped. @param {import("playwright-core").Page} page @param {"paste" | "drop"} how @param {{ name: string, type: string, size?: number }} file */
const give = (page, how, file) => page.evaluate(({ how, file, png }) => {
  const bytes = file.size ? new Uint8Array(file.size) : Uint8Array.from(atob(png), (c) => c.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], file.name, { type: file.type }));
  const at = /** @type {HTMLElement} */ (document.getElementById("box"));
  at.dispatchEvent(how === "paste" ? new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true, cancelable: true }) : new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
}, { how, file, png: PNG });

test("images go with a message: pasted, dropped, chosen, taken away again, bounded; and are shown", { timeout: 2 * SLOW }, async () => {
  const { page, session } = await begin("Images");
  const images = page.locator(".composer .images li");
  await give(page, "paste", { name: "pasted.png", type: "image/png" });
  await images.filter({ hasText: "pasted.png" }).waitFor();
  assert.ok(await page.locator("#to-agent").isChecked(), "an image is for the agent");
  await give(page, "drop", { name: "dropped.webp", type: "image/webp" });
  await page.locator(".composer input[type=file]").setInputFiles({ name: "chosen.gif", mimeType: "image/gif", buffer: Buffer.from(PNG, "base64") });
  await images.nth(2).waitFor();
  await give(page, "drop", { name: "words.txt", type: "text/plain" });
  await page.locator(".notice", { hasText: "words.txt is not attached" }).waitFor();
  await give(page, "paste", { name: "huge.png", type: "image/png", size: 5 * 2 ** 20 + 1 });
  await page.locator(".notice", { hasText: "huge.png is not attached: an image may have 5 MiB" }).waitFor();
  assert.equal(await images.count(), 3);
  await page.getByRole("button", { name: "Remove dropped.webp" }).click();
  await images.nth(2).waitFor({ state: "detached" });
  await page.locator("#box").fill("Look at these");
  await shoot(page, "attached");
  await page.locator("#box").press("Enter");
  const said = page.locator("#events > .msg.user", { hasText: "Look at these" });
  await said.locator("img.shown").nth(1).waitFor();
  assert.equal(await images.count(), 0);
  await page.waitForFunction(() => [...document.querySelectorAll("#events img.shown")].every((image) => /** @type {HTMLImageElement} */ (image).naturalWidth === 1), null);
  const { events } = await (await page.request.get(`${server.url}/api/sessions/${session}/events?after=-1&limit=100`)).json();
  const [event] = events.filter((/** @type {any} */ one) => one.action === "message");
  assert.deepEqual(event.args.image_urls, [`data:image/png;base64,${PNG}`, `data:image/gif;base64,${PNG}`]);

  await give(page, "paste", { name: "alone.png", type: "image/png" });
  await images.first().waitFor();
  await page.locator("#send").click();
  await page.waitForFunction(() => document.querySelectorAll("#events > .msg.user").length === 2);
  await said.hover();
  await said.getByRole("button", { name: "Edit" }).click();
  assert.equal(await page.locator("#box").inputValue(), "Look at these");
  assert.equal(await images.count(), 2, "with its images");
  assertClean(page);
});

test("a command and a message are put again, as they were or changed; Up brings back what was said", { timeout: 2 * SLOW }, async () => {
  const { page } = await begin("Again");
  await run(page, "echo once");
  await card(page, "echo once").hover();
  await card(page, "echo once").getByRole("button", { name: "Retry" }).click();
  await page.waitForFunction(() => document.querySelectorAll("#events > .runcard [data-exit='0']").length === 2);
  await page.locator("#box").fill("not to be lost");
  await card(page, "echo once").getByRole("button", { name: "Edit" }).focus();
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement?.id), "box");
  assert.equal(await page.locator("#box").inputValue(), "echo once");
  await page.locator("#box").press("End");
  await page.keyboard.type(" more");
  await page.keyboard.press("Enter");
  await card(page, "echo once more").locator('[data-exit="0"]').waitFor({ timeout: SLOW });
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("ArrowUp");
  assert.equal(await page.locator("#box").inputValue(), "not to be lost");
  await page.locator("#box").fill("");

  await page.locator("#to-agent").check({ force: true });
  await type(page, "Hello, agent");
  const said = page.locator("#events > .msg.user", { hasText: "Hello, agent" });
  await said.waitFor();
  await said.hover();
  await said.getByRole("button", { name: "Retry" }).click();
  await said.nth(1).waitFor();
  await page.locator("#box").focus();
  await page.keyboard.press("ArrowUp");
  assert.equal(await page.locator("#box").inputValue(), "Hello, agent", "messages have a history of their own");
  await page.locator("#box").fill("half a message");
  await page.reload();
  await said.nth(1).waitFor();
  assert.equal(await page.locator("#box").inputValue(), "half a message");
  assert.ok(await page.locator("#to-agent").isChecked(), "it is still for the agent");
  assertClean(page);
});

const agent = (/** @type {object} */ more) => ({ source: "agent", ...more });

test("looks at files stand together, all cards fold and unfold, code is copied", { timeout: SLOW }, async () => {
  const { page, send } = await played({ phase: "ready" }, { permissions: ["clipboard-read", "clipboard-write"] });
  for (let n = 0; n < 4; n += 1) {
    send(agent({ action: "read", args: { path: `/workspace/part-${n}.rs`, thought: "" } }));
    send(agent({ observation: "read", content: `part ${n}`, extras: { path: `/workspace/part-${n}.rs` }, cause: 2 * n }));
  }
  send(agent({ action: "run", args: { command: "build it" } }));
  send(agent({ observation: "run", content: "made", extras: { exit_code: 0 }, cause: 8 }));
  send(agent({ action: "message", args: { content: "So:\n\n```sh\nmake all\nmake check\n```" } }));
  const group = page.locator("#events > .act", { hasText: "4 files read" });
  await group.waitFor();
  assert.equal(await page.locator("#events > .act").count(), 1);
  assert.match(await group.innerText(), /part-0\.rs, part-1\.rs, part-2\.rs, part-3\.rs/);
  await group.locator("> details > summary").click();
  await group.getByText("Read /workspace/part-2.rs").click();
  await group.locator(".out", { hasText: "part 2" }).waitFor();
  await shoot(page, "group");
  const made = card(page, "build it").locator(".out", { hasText: "made" });
  assert.ok(await made.isVisible());
  await page.getByRole("button", { name: "Fold all" }).click();
  await made.waitFor({ state: "hidden" });
  assert.equal(await group.getByText("Read /workspace/part-2.rs").isVisible(), false);
  send(agent({ action: "run", args: { command: "make install" } }));
  await card(page, "make install").waitFor();
  assert.equal(await card(page, "make install").locator(".tail").isVisible(), false, "new ones come folded too");
  await page.getByRole("button", { name: "Unfold all" }).click();
  await made.waitFor();
  assert.ok(await group.locator(".out", { hasText: "part 3" }).isVisible());
  await page.locator(".md-block").hover();
  await page.locator(".md-block").getByRole("button", { name: "Copy" }).click();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), "make all\nmake check");
  assertClean(page);
});

test("a question that a person decides on is found however far above it stands", { timeout: SLOW }, async () => {
  const { page, send, frame } = await played({ phase: "ready" }, { viewport: { width: 1280, height: 700 } });
  const say = (/** @type {number} */ n) => send(agent({ action: "message", args: { content: `Word ${n}`, wait_for_response: false } }));
  for (let n = 0; n < 300; n += 1) say(n);
  send(agent({ action: "run", args: { command: "rm -r build", confirmation_state: "awaiting_confirmation" }, tool_call_metadata: { function_name: "execute_bash", tool_call_id: "c1" } }));
  send({ observation: "agent_state_changed", content: "", extras: { agent_state: "awaiting_user_confirmation", reason: "" } });
  const asked = page.locator("#confirm-yes");
  await asked.waitFor();
  for (let n = 300; n < 900; n += 1) send({ source: "user", action: "message", args: { content: `Meanwhile ${n}` } });
  await page.locator("#events > .msg", { hasText: "Meanwhile 899" }).waitFor();
  assert.ok((await page.locator("#events > article").count()) < 120, "a part of the list is in the page");
  const seen = () => asked.evaluate((button) => button.getBoundingClientRect().top >= 0 && button.getBoundingClientRect().bottom < innerHeight);
  assert.equal(await seen(), false);
  await page.locator("#agent-look").click();
  assert.ok(await seen(), "it is brought into view");
  await page.locator('#events > [data-state="asks"]', { hasText: "rm -r build" }).waitFor();
  frame({ type: "partial", cause: null, seq: 1, offset: 0, text: "from a job in the background\n" });
  await page.locator("#to-end").click();
  await page.locator("#events > .runcard .out", { hasText: "from a job in the background" }).waitFor();
  send(agent({ action: "run", args: { command: "rm -r build", confirmation_state: "confirmed" }, tool_call_metadata: { function_name: "execute_bash", tool_call_id: "c1" } }));
  await card(page, "rm -r build").waitFor();
  await page.locator(".consent").waitFor({ state: "detached" });
  assertClean(page);
});

test("in Chinese, dark and narrow it fits", { timeout: SLOW }, async () => {
  const { page, send } = await played({ phase: "ready" }, { viewport: { width: 360, height: 740 }, colorScheme: "dark", hasTouch: true, isMobile: true }, { lang: "zh-CN" });
  send({ source: "user", action: "message", args: { content: "你好", image_urls: [`data:image/png;base64,${PNG}`, "https://elsewhere.example/spy.png"] } });
  for (const n of [1, 3]) {
    send(agent({ action: "read", args: { path: `/workspace/${"long-name-".repeat(6)}${n}.rs` } }));
    send(agent({ observation: "read", content: "text", cause: n }));
  }
  await page.locator("#events > .act", { hasText: "已读取 2 个文件" }).waitFor();
  await page.locator("#events > .msg.user").getByRole("button", { name: "重试" }).waitFor();
  assert.equal(await page.locator("#events img").count(), 1, "nothing is fetched from elsewhere");
  await give(page, "paste", { name: "图.png", type: "image/png" });
  await page.locator(".images li").waitFor();
  assert.deepEqual((await page.locator(".talk").innerText()).match(/\b(attach|event|session|talk)\.[a-z_]+/g), null, "no key is left over");
  await assertFits(page);
  await shoot(page, "conversation-narrow-zh");
  assertClean(page);
});
