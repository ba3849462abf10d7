/* ---- one step of an episode, its head and its end ---- */
function longText(text, kind) {
  const node = el("p", { class: `text ${kind}` });
  if (text.length <= LONG) { node.textContent = text; return node; }
  node.append(text.slice(0, LONG) + "… ", el("button", { class: "link", type: "button", onclick: () => { node.textContent = text; } },
    `show all ${text.length.toLocaleString("en-US")} characters`));
  return node;
}
/* Steps whose recalled list is that of the step before are stored without it. */
function recalledAt(episode, index) {
  let at = index;
  while (at > 0 && episode.steps[at].same_recall) at -= 1;
  return (episode.steps[at] || {}).recalled || [];
}
const byId = new Map(episodes.map((episode) => [episode.id, episode]));
const findRecalled = (id) => Object.hasOwn(data.recalled, id) ? data.recalled[id] : byId.get(id);

function recallDetails(episode, index) {
  const recalled = recalledAt(episode, index);
  if (!recalled.length) return null;
  const same = episode.steps[index].same_recall;
  const box = el("details", { open: !same }, el("summary", {}, `${recalled.length} recalled${same ? ", as at the step before" : ""}`));
  const draw = () => {
    if (box.childElementCount > 1 || !box.open) return;
    for (const item of recalled) {
      const trajectory = findRecalled(item.id), facts = [trajectory ? trajectory.task.id : "its text is not in this page", item.id, item.reason];
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
function stepCard(episode, index, plain) {
  const step = episode.steps[index], chips = [];
  if (step.reward) chips.push(el("span", { class: `chip ${step.reward > 0 ? "good" : "bad"}` }, `reward ${plus(step.reward, Number.isInteger(step.reward) ? 0 : 3)}`));
  if (step.valid === false) chips.push(el("span", { class: "chip bad" }, "not understood"));
  if (step.note) chips.push(el("span", { class: "chip warn" }, step.note));
  if (step.usage) chips.push(el("span", { class: "chip" }, `${fixed((step.usage.prompt || 0) + (step.usage.completion || 0), 0)} tokens`));
  return el("div", { class: "step", "data-step": plain ? null : index, onclick: plain ? null : () => setStep(index, false) },
    el("span", { class: "number", "aria-label": `step ${index + 1}` }, String(index + 1)),
    longText(step.observation || "", "observation"),
    step.thought ? longText(step.thought, "thought") : null,
    longText(step.action || "(no action)", "action"),
    el("div", { class: "chips" }, chips, queryDetails(step), recallDetails(episode, index),
      step.response && step.response !== step.action ? el("details", {}, el("summary", {}, "the model's whole turn"), longText(step.response, "")) : null));
}
function endCard(episode) {
  const [sign, tone, outcome] = mark(episode);
  return el("div", { class: "step end" }, el("span", { class: `number mark ${tone}`, "aria-hidden": "true" }, sign),
    longText(episode.final_observation || "", "observation"),
    el("div", { class: "chips" }, el("span", { class: `chip ${tone}` }, `${outcome}, ${endedOf(episode).replace("_", " ")}`)));
}
function headOf(episode, arm, titleId) {
  const [sign, tone, outcome] = mark(episode), steps = episode.steps || [], p = episode.provenance || {};
  const tokens = steps.reduce((sum, step) => sum + (step.usage ? (step.usage.prompt || 0) + (step.usage.completion || 0) : 0), 0);
  const facts = [`${steps.length} steps`, episode.score === null || episode.score === undefined ? "" : `score ${fixed(episode.score, 3)}`, `ended: ${endedOf(episode).replace("_", " ")}`,
    looping.has(episode) ? "went round in a loop" : "",
    tokens ? `${fixed(tokens, 0)} tokens` : "", p.seconds ? `${fixed(p.seconds, 1)} s` : "", p.seed === undefined ? "" : `seed ${p.seed}`, p.created || ""];
  return el("div", { class: "head" },
    el("h3", { id: titleId || null }, episode.task.instruction || episode.task.id),
    el("div", { class: "meta" }, arm === undefined ? `${episode.source || "agent"}` : [el("span", { class: "swatch", color: armColor(arm) }), arms[arm].name],
      ` · ${place(episode.task)}`),
    el("div", { class: "outcome" }, el("span", { class: `mark ${tone}` }, `${sign} ${outcome}`), el("span", { class: "meta" }, "  ·  " + facts.filter(Boolean).join("  ·  "))),
    episode.error ? el("p", { class: "problem" }, `${episode.error.boundary}: ${episode.error.message}`) : null);
}
function openRecalled(item, trajectory) {
  const dialog = $("recalled"), steps = trajectory.steps || [];
  dialog.replaceChildren(
    el("div", { class: "bar-top" }, el("span", { class: "where" }, `recalled with score ${fixed(item.score, 3)}${item.reason ? `: ${item.reason}` : ""}`),
      el("button", { type: "button", onclick: () => dialog.close() }, "Close")),
    headOf(trajectory, undefined, "recalled-title"),
    el("div", {}, steps.map((_, index) => stepCard(trajectory, index, true)), endCard(trajectory)));
  dialog.showModal();
  dialog.scrollTop = 0;
}
