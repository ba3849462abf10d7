/* ---- the list of episodes, and its filters ---- */
const keyOf = (episode) => `${episode.task.environment}:${episode.task.id}`;
const byTask = new Map();
episodes.forEach((episode, index) => {
  if (!byTask.has(keyOf(episode))) byTask.set(keyOf(episode), []);
  byTask.get(keyOf(episode)).push(index);
});
const looping = new Set(data.loops.map((index) => episodes[index]));
const endedOf = (episode) => episode.ended || "terminated";
const OUTCOMES = {
  "": ["any", () => true],
  solved: ["solved", (e) => e.success === true],
  unsolved: ["not solved", (e) => e.success !== true],
  differs: ["arms disagree", (e) => new Set(byTask.get(keyOf(e)).map((i) => episodes[i].success === true)).size > 1],
  truncated: ["reached the step limit", (e) => endedOf(e) === "truncated"],
  gave_up: ["gave up", (e) => endedOf(e) === "gave_up"],
  error: ["broke off with an error", (e) => endedOf(e) === "error" || e.error],
  invalid: ["has actions that were not understood", (e) => (e.steps || []).some((step) => step.valid === false)],
  repaired: ["has repaired turns", (e) => (e.steps || []).some((step) => step.note)],
  loop: ["went round in a loop", (e) => looping.has(e)],
};
const haystacks = new Map();
function haystack(index) {
  if (!haystacks.has(index)) {
    const { task, steps = [], final_observation = "" } = episodes[index];
    const parts = [task.instruction, task.id, task.type, final_observation];
    for (const step of steps) parts.push(step.observation, step.action, step.thought);
    haystacks.set(index, parts.filter(Boolean).join("\n").toLowerCase());
  }
  return haystacks.get(index);
}
const state = { listed: [], limit: LIST_PAGE, episode: -1, beside: -1, step: 0, started: false };

function applyFilters() {
  const form = $("filters").elements, arm = form.arm.value, type = form.type.value, text = form.text.value.trim().toLowerCase();
  const outcome = OUTCOMES[form.outcome.value][1];
  state.listed = episodes.map((_, index) => index).filter((index) => {
    const episode = episodes[index];
    return (arm === "" || episode.arm === Number(arm)) && (type === "" || `=${episode.task.type || ""}` === type) && outcome(episode)
      && (!text || haystack(index).includes(text));
  });
  state.limit = LIST_PAGE;
  showList();
  if (state.listed.length && !state.listed.includes(state.episode)) openEpisode(state.listed[0]);
}
function mark(episode) {
  if (episode.error || endedOf(episode) === "error") return ["!", "warn", "broke off"];
  return episode.success === true ? ["✓", "good", "solved"] : episode.success === false ? ["✗", "bad", "not solved"] : ["?", "warn", "outcome unknown"];
}
function showList() {
  $("count").textContent = `${state.listed.length} of ${episodes.length} episodes`;
  const rows = state.listed.slice(0, state.limit).map((index) => {
    const episode = episodes[index], [sign, tone, outcome] = mark(episode);
    const score = episode.score === null || episode.score === undefined ? "" : ` · score ${fixed(episode.score, 2)}`;
    return el("li", { role: "option", id: `episode-${index}`, "aria-selected": String(index === state.episode), onclick: () => openEpisode(index) },
      el("span", { class: `mark ${tone}`, role: "img", "aria-label": outcome, title: outcome }, sign),
      el("div", { class: "task" }, episode.task.instruction || episode.task.id),
      el("div", { class: "meta" }, el("span", { class: "swatch", color: armColor(episode.arm) }),
        `${arms[episode.arm].name} · ${(episode.steps || []).length} steps${score} · ${episode.task.id.length < 50 ? place(episode.task) : typeName(episode.task.type)}`));
  });
  $("list").replaceChildren(...(rows.length ? rows : [el("li", { class: "empty" }, "No episode fits these filters.")]));
  $("more").hidden = state.listed.length <= state.limit;
  if (state.listed.includes(state.episode)) $("list").setAttribute("aria-activedescendant", `episode-${state.episode}`);
  else $("list").removeAttribute("aria-activedescendant");
}
function moveEpisode(by) {
  const at = state.listed.indexOf(state.episode), next = state.listed[Math.min(Math.max(at + by, 0), state.listed.length - 1)];
  if (next === undefined || next === state.episode) return;
  if (state.listed.indexOf(next) >= state.limit) { state.limit += LIST_PAGE; showList(); }
  openEpisode(next);
}
