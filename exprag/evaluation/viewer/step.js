/* One step of an episode, its head and its end. */
import { $, el, longText } from "./elements.js";
import { clip, fixed, place, plus } from "./format.js";
import { hasPrompts, openPrompt } from "./prompt_view.js";
import { armColor, endedOf, findRecalled, mark, recalledAt, stepsOf, store } from "./store.js";

function recallDetails(episode, index) {
  const recalled = recalledAt(episode, index);
  if (!recalled.length) return null;
  const same = episode.steps[index].same_recall;
  const box = el("details", { open: !same }, el("summary", {}, `${recalled.length} recalled${same ? ", as at the step before" : ""}`));
  const draw = () => {
    if (box.childElementCount > 1 || !box.open) return;
    for (const item of recalled) {
      const trajectory = findRecalled(item.id), part = item.step === null || item.step === undefined ? "" : `round its step ${item.step + 1}`;
      const facts = [trajectory ? trajectory.task.id : "its text is not in this page", item.id, item.reason, part];
      box.append(el("div", { class: "recall" }, el("span", { class: "score", title: "score" }, fixed(item.score, 3)), el("div", {},
        trajectory ? el("button", { class: "link", type: "button", onclick: () => openRecalled(item, trajectory) }, clip(trajectory.task.instruction || trajectory.task.id, 140)) : null,
        el("div", {}, facts.filter(Boolean).join("  ·  ")))));
    }
  };
  box.addEventListener("toggle", draw);
  draw();
  return box;
}
/* What the bank was asked for at this step; a step that asked nothing new has none. */
function queryDetails(step) {
  if (!step.query) return null;
  return el("details", { class: "query" }, el("summary", {}, "asked the bank for: ", el("q", {}, clip(step.query.replace(/\s+/g, " "), 90))), longText(step.query, ""));
}
/* `choose` makes the step the current one; without it the card is plain, of a recalled trajectory. */
export function stepCard(episode, index, choose) {
  const step = episode.steps[index], chips = [];
  if (step.reward) chips.push(el("span", { class: `chip ${step.reward > 0 ? "good" : "bad"}` }, `reward ${plus(step.reward, Number.isInteger(step.reward) ? 0 : 3)}`));
  if (step.valid === false) chips.push(el("span", { class: "chip bad" }, "not understood"));
  if (step.note) chips.push(el("span", { class: "chip warn" }, step.note));
  if (choose && episode.cause && episode.cause.step === index) chips.push(el("span", { class: "chip bad" }, store.causeNames[episode.cause.name]));
  if (step.usage) chips.push(el("span", { class: "chip" }, `${fixed((step.usage.prompt || 0) + (step.usage.completion || 0), 0)} tokens`));
  const prompt = choose && hasPrompts(episode)
    ? el("button", { class: "link", type: "button", onclick: () => openPrompt(episode, index) }, "the prompt as it was sent") : null;
  return el("div", { class: "step", "data-step": choose ? index : null, onclick: choose ? () => choose(index) : null },
    el("span", { class: "number", "aria-label": `step ${index + 1}` }, String(index + 1)),
    longText(step.observation || "", "observation"),
    step.thought ? longText(step.thought, "thought") : null,
    longText(step.action || "(no action)", "action"),
    el("div", { class: "chips" }, chips, prompt, queryDetails(step), recallDetails(episode, index),
      step.response && step.response !== step.action ? el("details", {}, el("summary", {}, "the model's whole turn"), longText(step.response, "")) : null));
}
export function endCard(episode) {
  const [sign, tone, outcome] = mark(episode);
  return el("div", { class: "step end" }, el("span", { class: `number mark ${tone}`, "aria-hidden": "true" }, sign),
    longText(episode.final_observation || "", "observation"),
    el("div", { class: "chips" }, el("span", { class: `chip ${tone}` }, `${outcome}, ${endedOf(episode).replace("_", " ")}`)));
}
/* `choose` goes to the step that shows the cause. */
export function headOf(episode, titleId, choose) {
  const [sign, tone, outcome] = mark(episode), steps = stepsOf(episode), p = episode.provenance || {}, cause = episode.cause;
  const tokens = steps.reduce((sum, step) => sum + (step.usage ? (step.usage.prompt || 0) + (step.usage.completion || 0) : 0), 0);
  const facts = [`${steps.length} steps`, episode.score === null || episode.score === undefined ? "" : `score ${fixed(episode.score, 3)}`, `ended: ${endedOf(episode).replace("_", " ")}`,
    store.looping.has(episode) ? "went round in a loop" : "",
    tokens ? `${fixed(tokens, 0)} tokens` : "", p.seconds ? `${fixed(p.seconds, 1)} s` : "", p.seed === undefined ? "" : `seed ${p.seed}`, p.created || ""];
  return el("div", { class: "head" },
    el("h3", { id: titleId || null }, episode.task.instruction || episode.task.id),
    el("div", { class: "meta" }, episode.arm === undefined ? `${episode.source || "agent"}`
      : [el("span", { class: "swatch", color: armColor(episode.arm) }), store.arms[episode.arm].name], ` · ${place(episode.task)}`),
    el("div", { class: "outcome" }, el("span", { class: `mark ${tone}` }, `${sign} ${outcome}`), el("span", { class: "meta" }, "  ·  " + facts.filter(Boolean).join("  ·  "))),
    cause && choose ? el("p", { class: "cause" }, el("b", {}, `Why it was lost: ${store.causeNames[cause.name]}. `), clip(cause.why, 400), " ",
      steps.length ? el("button", { class: "link", type: "button", onclick: () => choose(cause.step) }, `step ${cause.step + 1}`) : null) : null,
    episode.error ? el("p", { class: "problem" }, `${episode.error.boundary}: ${episode.error.message}`) : null);
}
export function openRecalled(item, trajectory) {
  const dialog = $("recalled"), steps = stepsOf(trajectory);
  const how = item.score === undefined ? "" : `recalled with score ${fixed(item.score, 3)}${item.reason ? `: ${item.reason}` : ""}`;
  dialog.replaceChildren(
    el("div", { class: "bar-top" }, el("span", { class: "where" }, how),
      el("button", { type: "button", onclick: () => dialog.close() }, "Close")),
    headOf({ ...trajectory, arm: undefined }, "recalled-title"),
    el("div", {}, steps.map((_, index) => stepCard(trajectory, index)), endCard(trajectory)));
  dialog.showModal();
  dialog.scrollTop = 0;
}
