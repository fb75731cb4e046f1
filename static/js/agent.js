// The agent's own bar over the composer: what it does and why, pause, stop, go on, and the question for consent.

import { agentAdvice, agentReason, choices, unstarted } from "./agent-words.js";
import { ConsentBox } from "./consent.js";
import { $, announce, setText } from "./dom.js";
import { figures, t, word } from "./i18n.js";
import { tokens } from "./talk.js";

/** @typedef {import("./socket.js").SessionSocket} SessionSocket */

/** US dollars, to the cent, or to what there is of one. @param {number} cost */
export const dollars = (cost) => new Intl.NumberFormat(figures, { style: "currency", currency: "USD", maximumFractionDigits: cost < 0.1 ? 4 : 2 }).format(cost);

/** A price that isn't known costs nothing: it isn't told. @param {{ steps: number, cost: number, input: number, output: number }} used */
function usedText({ steps, cost, input, output }) {
  const values = { count: steps, tokens: tokens(input + output) };
  return cost > 0 ? t("agent.used_cost", { ...values, cost: dollars(cost) }) : t("agent.used", values);
}

/** What the events tell of the agent, in order. */
export class Story {
  state = "";
  reason = "";
  /** The newest event. */
  last = -1;
  /** The action that a person is asked about. @type {any} */
  asked = null;
  /** @type {{ steps: number, cost: number, input: number, output: number } | null} */
  used = null;

  /** @param {any} event */
  note(event) {
    this.last = event.id;
    const { action, observation, args = {}, extras = {}, llm_metrics: metrics } = event;
    if (metrics) {
      const usage = metrics.accumulated_token_usage ?? {};
      this.used = { steps: metrics.steps ?? 0, cost: metrics.accumulated_cost ?? 0, input: usage.prompt_tokens ?? 0, output: usage.completion_tokens ?? 0 };
    }
    if (observation === "agent_state_changed") {
      this.state = extras.agent_state ?? this.state;
      this.reason = extras.reason ?? "";
    }
    if (action && event.source === "agent" && args.confirmation_state === "awaiting_confirmation") this.asked = event;
    else if (this.asked && this.#answers(event)) this.asked = null;
  }

  /** @param {any} event */
  #answers({ action, observation, source, cause, tool_call_metadata: made }) {
    if (action && source === "agent") return made?.tool_call_id === this.asked.tool_call_metadata?.tool_call_id;
    return observation && observation !== "null" && observation !== "agent_state_changed" && cause === this.asked.id;
  }
}

export class AgentBar {
  story = new Story();
  #writable = false;
  #up = true;
  #live = false;
  /** Whether there is a model to ask; that isn't known at once. */
  #model = true;
  #head = -1;
  #shown = "";
  /** @type {ConsentBox | null} */
  #box = null;

  /** @param {SessionSocket} socket @param {() => void} home where the focus goes after a decision */
  constructor(socket, home) {
    this.socket = socket;
    this.home = home;
    $("agent-pause").addEventListener("click", () => this.#want("paused"));
    $("agent-stop").addEventListener("click", () => this.#want("stopped"));
    $("agent-go").addEventListener("click", () => this.#want("running"));
    $("agent-look").addEventListener("click", () => this.#box?.look());
    for (const option of [1, 2, 3]) $(`loop-${option}`).addEventListener("click", () => socket.now({ type: "do", action: { action: "loop_recovery", args: { option } } }));
    document.addEventListener("keydown", (event) => {
      if (event.key !== "." || !event.ctrlKey || event.altKey || event.metaKey || !this.#box) return;
      event.preventDefault();
      this.#box.look();
    });
  }

  /** @param {string} state @param {Record<string, unknown>} [more] */
  #want(state, more = {}) {
    this.socket.now({ type: "do", action: { action: "change_agent_state", args: { agent_state: state, ...more } } });
  }

  /** @param {{ agent_state: string, head: number }} hello @param {boolean} writable @param {boolean} up */
  joined({ agent_state: state, head }, writable, up) {
    if (state !== this.story.state) this.story.reason = "";
    this.story.state = state;
    this.#head = head;
    this.setState(writable, up);
  }

  /** Whether the server hears what is pressed. @param {boolean} live */
  setLive(live) {
    if (this.#live === live) return;
    this.#live = live;
    this.show();
  }

  /** @param {boolean} model whether there is one to ask */
  setModel(model) {
    if (this.#model === model) return;
    this.#model = model;
    this.show();
  }

  /** Whether it could begin, had it a model. */
  get #lacks() {
    return this.#up && !this.#model && unstarted(this.story.state) !== this.story.state;
  }

  /** What it does, in a word or two. */
  get label() {
    const { state } = this.story;
    return t("agent.label", { state: this.#lacks ? t("agent.none") : word("agent", this.#up ? state : unstarted(state)) });
  }

  /** Why it is in its state, in words that hold now: its sandbox may be there again. */
  #why() {
    const { reason } = this.story;
    if (this.#lacks) return this.#writable ? t("agent.no_model") : "";
    return agentReason(this.#up && reason === "sandbox" ? "sandbox_back" : reason);
  }

  /** Whether all is here that `hello` spoke of: before, the question that the page knows may be an old one. */
  get #current() {
    return this.story.last >= this.#head;
  }

  /** @param {boolean} writable by role @param {boolean} up by phase */
  setState(writable, up) {
    this.#writable = writable;
    this.#up = up;
    this.show();
  }

  /** Shows what holds; once the events up to now are in the page. @param {boolean} [speak] */
  show(speak = false) {
    const { state, reason, used } = this.story;
    const told = `${state} ${reason}`;
    const changed = told !== this.#shown;
    this.#shown = told;
    const bar = /** @type {HTMLElement} */ ($("agent-bar"));
    bar.dataset.agent = state;
    const may = this.#writable && this.#up;
    const now = choices(state, reason);
    const why = this.#why();
    const advice = may ? agentAdvice(state, reason) : "";
    setText($("agent-state"), this.label);
    setText($("agent-why"), [why, advice].filter(Boolean).join(" "));
    if (changed && speak && (why || ["running", "finished", "awaiting_user_input", "error"].includes(state))) announce([this.label, why, advice].filter(Boolean).join(". "));
    this.#showButtons(may, now, state, reason);
    setText($("agent-used"), used && used.steps > 0 ? usedText(used) : "");
    this.#showConsent();
  }

  /** @param {boolean} may @param {ReturnType<typeof choices>} now @param {string} state @param {string} reason */
  #showButtons(may, now, state, reason) {
    const held = document.activeElement?.id ?? "";
    $("agent-pause").hidden = !may || !now.pause;
    $("agent-stop").hidden = !may || !now.stop;
    $("agent-go").hidden = !may || !now.go;
    $("agent-loop").hidden = !may || !now.stuck;
    for (const id of ["agent-pause", "agent-stop", "agent-go", "loop-1", "loop-2", "loop-3"]) $(id).disabled = !this.#live;
    const again = state === "rate_limited" || reason.startsWith("model.");
    setText($("agent-go"), t(reason.startsWith("limit.") ? "agent.go_limit" : again ? "agent.go_again" : "agent.resume"));
    // The button that was pressed goes away: whoever works by keyboard is not left nowhere.
    if (held.startsWith("agent-") && $(held)?.hidden) (["agent-go", "agent-pause"].map((id) => $(id)).find((button) => !button.hidden) ?? $("box")).focus();
  }

  #showConsent() {
    const { asked, state } = this.story;
    const now = state === "awaiting_user_confirmation" ? asked : null;
    if (this.#box && this.#box.event.id !== now?.id) {
      const inside = this.#box.element.contains(document.activeElement);
      this.#box.element.remove();
      this.#box = null;
      if (inside) this.home();
    }
    const card = now && document.querySelector(`#events > [data-event-id="${now.id}"]`);
    if (now && card && !this.#box && this.#current) {
      this.#box = new ConsentBox(now, (verdict, more) => this.#want(verdict, { action_id: now.id, ...more }));
      card.append(this.#box.element);
      card.classList.remove("minor");
      announce(`${t("consent.title")} ${t("consent.find")}`);
    }
    this.#box?.setUsable(this.#writable && this.#up, this.#live && this.#current);
    $("agent-look").hidden = !this.#box;
  }
}
