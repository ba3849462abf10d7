/* The list of episodes. */
import { $, el } from "./elements.js";
import { fixed, place, typeName } from "./format.js";
import { FILTERS } from "./address.js";
import { select } from "./filters.js";
import { armColor, mark, stepsOf, store } from "./store.js";

const PAGE = 150;
/* What is shown: the places listed, how many of them, the episode that is read, the one beside it, and the step. */
export const state = { listed: [], limit: PAGE, episode: -1, beside: -1, step: 0, recalled: "", started: false, open: null };

/* The filters as the form has them. */
export function filtersOf() {
  const form = $("filters").elements, filters = { recalled: state.recalled };
  for (const name of FILTERS) if (form[name]) filters[name] = form[name].value;
  return filters;
}
/* Set the filters; those not named are cleared. */
export function setFilters(filters) {
  const form = $("filters").elements;
  for (const name of FILTERS) {
    if (!form[name]) continue;
    form[name].value = filters[name] || "";
    if (form[name].value !== (filters[name] || "")) form[name].value = "";
  }
  state.recalled = filters.recalled || "";
}
export function applyFilters() {
  state.listed = select(filtersOf());
  state.limit = PAGE;
  const box = $("recalled-filter");
  box.hidden = !state.recalled;
  box.textContent = state.recalled ? `only those that had ${state.recalled} in context ✕` : "";
  showList();
}
export function showList() {
  $("count").textContent = `${state.listed.length} of ${store.episodes.length} episodes`;
  const rows = state.listed.slice(0, state.limit).map((index) => {
    const episode = store.episodes[index], [sign, tone, outcome] = mark(episode);
    const score = episode.score === null || episode.score === undefined ? "" : ` · score ${fixed(episode.score, 2)}`;
    const cause = episode.cause ? ` · ${store.causeNames[episode.cause.name]}` : "";
    return el("li", { role: "option", id: `episode-${index}`, "aria-selected": String(index === state.episode), onclick: () => state.open(index) },
      el("span", { class: `mark ${tone}`, role: "img", "aria-label": outcome, title: outcome }, sign),
      el("div", { class: "task" }, episode.task.instruction || episode.task.id),
      el("div", { class: "meta" }, el("span", { class: "swatch", color: armColor(episode.arm) }),
        `${store.arms[episode.arm].name} · ${stepsOf(episode).length} steps${score}${cause} · `
        + (episode.task.id.length < 50 ? place(episode.task) : typeName(episode.task.type))));
  });
  $("list").replaceChildren(...(rows.length ? rows : [el("li", { class: "empty" }, "No episode fits these filters.")]));
  $("more").hidden = state.listed.length <= state.limit;
  if (state.listed.includes(state.episode)) $("list").setAttribute("aria-activedescendant", `episode-${state.episode}`);
  else $("list").removeAttribute("aria-activedescendant");
}
export function showMore() {
  state.limit += PAGE;
  showList();
}
export function moveEpisode(by) {
  const at = state.listed.indexOf(state.episode), next = state.listed[Math.min(Math.max(at + by, 0), state.listed.length - 1)];
  if (next === undefined || next === state.episode) return;
  if (state.listed.indexOf(next) >= state.limit) showMore();
  state.open(next);
}
/* Bring the row of the episode that is read into sight, loading as many rows as that takes. */
export function revealRow() {
  const at = state.listed.indexOf(state.episode);
  if (at >= state.limit) { state.limit = at + 1; showList(); }
  const row = $(`episode-${state.episode}`), pane = $("left");
  if (row && (row.offsetTop < pane.scrollTop || row.offsetTop + row.offsetHeight > pane.scrollTop + pane.clientHeight))
    pane.scrollTop = row.offsetTop - pane.clientHeight / 3;
}
