/* ---- the reader: one episode, or two beside each other ---- */
function revealRow() {
  const row = $(`episode-${state.episode}`), pane = $("left");
  if (row && (row.offsetTop < pane.scrollTop || row.offsetTop + row.offsetHeight > pane.scrollTop + pane.clientHeight))
    pane.scrollTop = row.offsetTop - pane.clientHeight / 3;
}
function openEpisode(index, beside = -1, step = 0) {
  Object.assign(state, { episode: index, beside, step });
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
function showReader() {
  const columnEpisodes = [state.episode, state.beside].filter((index) => index >= 0).map((index) => episodes[index]);
  const others = byTask.get(keyOf(columnEpisodes[0])).filter((index) => index !== state.episode);
  const select = el("select", { "aria-label": "Show beside", disabled: !others.length, onchange: (event) => openEpisode(state.episode, Number(event.target.value), state.step) },
    el("option", { value: -1 }, others.length ? "nothing" : "no other episode of this task"),
    others.map((index) => el("option", { value: index, selected: index === state.beside },
      `${arms[episodes[index].arm].name}: ${mark(episodes[index])[2]}, ${(episodes[index].steps || []).length} steps`)));
  const columns = el("div", { class: "columns" }, columnEpisodes.map((episode) => headOf(episode, episode.arm)));
  columns.style.setProperty("--n", String(columnEpisodes.length));
  const lengths = columnEpisodes.map((episode) => (episode.steps || []).length), last = Math.max(...lengths);
  let parted = columnEpisodes.length < 2;
  for (let i = 0; i <= last; i += 1) {
    if (!parted && i < last && (i >= Math.min(...lengths) || columnEpisodes[0].steps[i].action !== columnEpisodes[1].steps[i].action)) {
      columns.append(el("div", { class: "parting" }, "from here the two act differently"));
      parted = true;
    }
    columnEpisodes.forEach((episode, c) => columns.append(i < lengths[c] ? stepCard(episode, i) : i === lengths[c] ? endCard(episode) : el("div", {})));
  }
  $("reader").replaceChildren(
    el("div", { class: "bar-top" },
      el("button", { type: "button", onclick: () => moveEpisode(-1), title: "Shift ←" }, "‹ previous"),
      el("button", { type: "button", onclick: () => moveEpisode(1), title: "Shift →" }, "next ›"),
      el("span", { class: "where", id: "where", role: "status" }),
      el("label", {}, "Beside: ", select)),
    columns);
}
function stepsOpen() {
  return Math.max(0, ...[state.episode, state.beside].filter((i) => i >= 0).map((i) => (episodes[i].steps || []).length));
}
function setStep(step, scroll) {
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
  if (!state.started) return;
  const address = `#/${state.episode}/${state.step + 1}${state.beside >= 0 ? `/${state.beside}` : ""}`;
  try { history.replaceState(null, "", address); } catch { /* some browsers refuse this for local files: only the address is lost */ }
}
