/* The reader: one episode, or two beside each other. */
import { $, el } from "./elements.js";
import { writeAddress } from "./address.js";
import { PARTING, partingOf } from "./compare.js";
import { filtersOf, moveEpisode, revealRow, state } from "./list.js";
import { endCard, headOf, stepCard } from "./step.js";
import { mark, othersOf, stepsOf, store } from "./store.js";

/* Open an episode. In a list of episodes on which the arms disagree, the other arm's is put beside it. */
export function openEpisode(index, beside, step = 0) {
  const pairs = ["differs", "lost_alone", "won_alone"].includes(filtersOf().outcome) && beside === undefined;
  const rival = pairs ? othersOf(index).find((other) => store.episodes[other].arm !== store.episodes[index].arm
    && (store.episodes[other].success === true) !== (store.episodes[index].success === true)) : undefined;
  Object.assign(state, { episode: index, beside: beside ?? rival ?? -1, step });
  for (const row of $("list").querySelectorAll("[aria-selected=true]")) row.setAttribute("aria-selected", "false");
  const row = $(`episode-${index}`);
  if (row) {
    row.setAttribute("aria-selected", "true");
    $("list").setAttribute("aria-activedescendant", row.id);
    revealRow();
  }
  showReader();
  setStep(step, step > 0);
}
/* Show the other arm's episode beside this one, or no longer. */
export function toggleBeside() {
  const [other] = othersOf(state.episode);
  if (state.beside >= 0) openEpisode(state.episode, -1, state.step);
  else if (other !== undefined) openEpisode(state.episode, other, state.step);
}
const shown = () => [state.episode, state.beside].filter((index) => index >= 0).map((index) => store.episodes[index]);

/* Go to the first step in which the two differ. */
export function goToParting() {
  const parting = state.beside >= 0 ? partingOf(...shown()) : null;
  if (parting) setStep(parting.step, true);
}
function showReader() {
  const columnEpisodes = shown(), others = othersOf(state.episode), choose = (step) => setStep(step, true);
  const select = el("select", { "aria-label": "Show beside", disabled: !others.length, onchange: (event) => openEpisode(state.episode, Number(event.target.value), state.step) },
    el("option", { value: -1 }, others.length ? "nothing" : "no other episode of this task"),
    others.map((index) => el("option", { value: index, selected: index === state.beside },
      `${store.arms[store.episodes[index].arm].name}: ${mark(store.episodes[index])[2]}, ${stepsOf(store.episodes[index]).length} steps`)));
  const columns = el("div", { class: "columns" }, columnEpisodes.map((episode) => headOf(episode, null, choose)));
  columns.style.setProperty("--n", String(columnEpisodes.length));
  const lengths = columnEpisodes.map((episode) => stepsOf(episode).length), last = Math.max(...lengths);
  const parting = columnEpisodes.length > 1 ? partingOf(...columnEpisodes) : null;
  for (let i = 0; i <= last; i += 1) {
    if (parting && i === parting.step) columns.append(el("div", { class: "parting" }, `step ${i + 1}: ${PARTING[parting.kind]}`));
    columnEpisodes.forEach((episode, c) => columns.append(i < lengths[c] ? stepCard(episode, i, (step) => setStep(step, false))
      : i === lengths[c] ? endCard(episode) : el("div", {})));
  }
  $("reader").replaceChildren(
    el("div", { class: "bar-top" },
      el("button", { type: "button", onclick: () => moveEpisode(-1), title: "Shift ←" }, "‹ previous"),
      el("button", { type: "button", onclick: () => moveEpisode(1), title: "Shift →" }, "next ›"),
      el("span", { class: "where", id: "where", role: "status" }),
      parting ? el("button", { type: "button", class: "link", onclick: goToParting, title: "d" }, `they part at step ${parting.step + 1}`)
        : columnEpisodes.length > 1 ? el("span", { class: "where" }, "the two are the same") : null,
      el("label", {}, "Beside: ", select)),
    columns);
}
const stepsOpen = () => Math.max(0, ...shown().map((episode) => stepsOf(episode).length));

export function setStep(step, scroll) {
  const count = stepsOpen();
  state.step = Math.min(Math.max(step, 0), Math.max(count - 1, 0));
  let target = null;
  for (const card of $("reader").querySelectorAll("[data-step]")) {
    const here = Number(card.dataset.step) === state.step;
    card.classList.toggle("current", here);
    if (here) { card.setAttribute("aria-current", "step"); target = target || card; } else card.removeAttribute("aria-current");
  }
  if ($("where")) $("where").textContent = count ? `step ${state.step + 1} of ${count}` : "no steps";
  if (scroll && target) target.scrollIntoView({ block: "nearest" });
  keepAddress();
}
/* Keep the episode, the step and the filters in the address bar. */
export function keepAddress() {
  if (!state.started) return;
  const address = writeAddress({ ...state, filters: filtersOf() });
  try { history.replaceState(null, "", address); } catch { /* some browsers refuse this for local files: only the address is lost */ }
}
