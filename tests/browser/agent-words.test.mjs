// Every kind of event that an agent makes, as words that people understand; played, as a model can't have it at will.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { assertClean, shoot } from "./helper.mjs";
import { assertFits, played, stage } from "./played.mjs";

stage();

const EVIL = "<img src=x onerror=\"document.title='taken'\"> [click](javascript:document.title='taken')";
const made = (name, call) => ({ tool_call_metadata: { function_name: name, tool_call_id: call, model_response: { id: "answer", choices: [] }, total_calls_in_response: 1 } });

/** One of each. */
const EVENTS = [
  { observation: "repository", content: "", extras: { url: "https://git.example/harbour.git", branch: "main", state: "cloned", folder: "harbour", commit: "0123456789abcdef" } },
  { observation: "repository", content: "", extras: { url: "https://git.example/gone.git", branch: null, state: "failed", folder: "", commit: "", code: "git.failed" } },
  { source: "agent", action: "system", args: { content: "You are an agent.", tools: [{}, {}] } },
  { source: "user", action: "message", args: { content: `Look **here**\n${EVIL}` } },
  { source: "environment", action: "recall", args: { recall_type: "knowledge", query: "quay" } },
  { observation: "recall", content: "", extras: { recall_type: "knowledge", microagent_knowledge: [{ name: "quays", trigger: "quay", content: "Quays are of stone." }] } },
  { observation: "model_retry", content: "", extras: { attempt: 2, most: 6, wait_ms: 600000, code: "model.unavailable" } },
  { source: "agent", action: "message", args: { content: `# Plan\n\n1. first\n2. second\n\n> said\n\n\`\`\`sh\nls | wc -l\n\`\`\`\n\nSee https://example.org/a_b and *this*.\n\n${EVIL}`, wait_for_response: false } },
  { source: "agent", action: "think", args: { thought: "Hm." } },
  { source: "agent", action: "run_ipython", args: { code: "print(1)", thought: "", confirmation_state: "confirmed" }, ...made("execute_ipython_cell", "c1") },
  { source: "agent", action: "edit", args: { path: "/workspace/a.txt", command: "str_replace", old_str: "old words", new_str: "new words", thought: "I change it." }, ...made("str_replace_editor", "c2") },
  { source: "agent", action: "browse", args: { url: "https://example.org", thought: "", security_risk: 1 }, ...made("web_read", "c3") },
  { source: "agent", action: "call_tool_mcp", args: { name: "fetch", arguments: { url: EVIL } }, ...made("fetch", "c4") },
  { source: "agent", action: "condensation", args: { forgotten_events_start_id: 3, forgotten_events_end_id: 8, summary: "The harbour was **looked at**." } },
  { source: "agent", observation: "error", content: "no such tool: fly", extras: { error_id: "AGENT_ERROR$BAD_ACTION" }, ...made("fly", "c5") },
];

const ERRORS = [
  "STATUS$ERROR_LLM_AUTHENTICATION", "STATUS$ERROR_LLM_OUT_OF_CREDITS", "CHAT_INTERFACE$AGENT_RATE_LIMITED_STOPPED_MESSAGE", "STATUS$ERROR_LLM_CONTEXT_TOO_LONG",
  "STATUS$ERROR_LLM_CONTENT_POLICY_VIOLATION", "STATUS$ERROR_LLM_UNKNOWN_MODEL", "STATUS$ERROR_LLM_BAD_REQUEST", "STATUS$ERROR_LLM_SERVICE_UNAVAILABLE",
  "STATUS$ERROR_LLM_NOT_CONFIGURED", "STATUS$ERROR_AGENT_STUCK", "STATUS$ERROR_LLM_EMPTY_ANSWER", "STATUS$ERROR_DELEGATE_LIMIT",
];

for (const lang of ["en", "zh-CN"]) {
  test(`each event of an agent is told in words, and no markup in it counts (${lang})`, async () => {
    const { page, send } = await played({ phase: "ready" }, lang === "en" ? { colorScheme: "dark" } : { viewport: { width: 360, height: 740 } }, { lang });
    EVENTS.forEach(send);
    const list = page.locator("#events");
    await list.locator("[data-event-id]").nth(EVENTS.length - 1).waitFor({ state: "attached" });
    assert.equal(await list.locator(".msg.error").count(), 0, "the model's own slips are no alarm");
    assert.equal(await list.locator("img").count(), 0, "no image from elsewhere");
    assert.deepEqual(await list.locator("a").evaluateAll((all) => all.map((a) => /** @type {HTMLAnchorElement} */ (a).href)), ["https://example.org/a_b"]);
    assert.notEqual(await page.title(), "taken");
    assert.equal(await list.locator(".msg.agent .md-code").textContent(), "ls | wc -l");
    assert.equal(await list.locator(".msg.agent ol > li").count(), 2);
    assert.equal(await list.locator(".msg.user strong").count(), 1, "what a person writes stays as it is");
    const text = await list.innerText();
    const words = lang === "en"
      ? [/cloned into harbour \(0123456789ab\)/, /could not be cloned.*\(git\.failed\)/, /Knowledge was looked up: quays \(quay\)/, /Try 2 of 6 in \d+ s/, /medium risk/, /memory was condensed: 6 events/, /called a tool in a way that can't be read/]
      : [/已克隆到 harbour/, /无法克隆仓库/, /已查阅知识：quays/, /秒后第 2 次重试/, /中等风险/, /记忆已压缩：6 个事件/, /模型调用工具的方式无法识别/];
    for (const one of words) assert.match(text, one);
    await list.locator(".fold summary", { hasText: lang === "en" ? "condensed" : "压缩" }).click();
    await list.locator(".folded strong", { hasText: "looked at" }).waitFor();
    await assertFits(page);
    await shoot(page, `agent-words-${lang === "en" ? "dark" : "narrow-zh"}`);
    assertClean(page);
  });

  test(`each error of a model says what to do (${lang})`, async () => {
    const { page, send } = await played({ phase: "ready" }, {}, { lang });
    for (const id of ERRORS) send({ observation: "error", content: `exactly ${id}`, extras: { error_id: id } });
    await page.locator(".msg.error").nth(ERRORS.length - 1).waitFor();
    const bodies = await page.locator(".msg.error .body").evaluateAll((all) => all.map((body) => [...body.querySelectorAll("p")].map((p) => p.textContent ?? "")));
    assert.equal(bodies.length, ERRORS.length);
    const remedy = JSON.parse(readFileSync(new URL(`../../static/i18n/${lang}.json`, import.meta.url), "utf8")).fault.remedy;
    for (const [what, then] of bodies) {
      assert.doesNotMatch(what, /STATUS|agent_error/);
      assert.ok(then.startsWith(remedy) && then.length > remedy.length + 5, then);
    }
    assert.equal(new Set(bodies.map(([what]) => what)).size, ERRORS.length, "each has words of its own");
    assertClean(page);
  });
}

test("pieces of an answer that come late, twice or with a gap are put right", async () => {
  const { page, send, frame } = await played({ phase: "ready" });
  const piece = (/** @type {object} */ more) => frame({ type: "partial", cause: 1, kind: "answer", seq: 0, offset: 0, text: "", ...more });
  send({ observation: "agent_state_changed", content: "", extras: { agent_state: "init", reason: "" } });
  send({ observation: "agent_state_changed", content: "", extras: { agent_state: "running", reason: "" } });
  const live = page.locator("#live > li");
  await live.waitFor();
  assert.match(await live.innerText(), /Thinking/);
  piece({ text: "Grüße", offset: 0 });
  piece({ text: "Grüße, Hafen", offset: 0, seq: 1 });
  piece({ text: "fen!", offset: 11, seq: 2 });
  piece({ text: "Later", offset: 40, seq: 3 });
  await page.locator("#live .live-text", { hasText: "Grüße, Hafen!…Later" }).waitFor();
  piece({ kind: "call", text: "execute_bash", seq: 4 });
  await live.getByText("Prepares: command").waitFor();
  send({ source: "agent", action: "message", args: { content: "It is said." } });
  piece({ text: "too late", seq: 5 });
  await page.locator(".msg.agent", { hasText: "It is said." }).waitFor();
  assert.ok(!(await page.locator("#live").innerText()).includes("too late"));
  assertClean(page);
});
