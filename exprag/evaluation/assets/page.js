"use strict";
/* Everything of the data becomes text nodes and attributes: nothing is ever parsed as markup. */
const data = JSON.parse(document.getElementById("data").textContent);
const report = data.report, episodes = data.episodes, arms = report.arms;
const $ = (id) => document.getElementById(id);
const NONE = "–", LIST_PAGE = 150, LONG = 1500;

function fill(node, props, children) {
  for (const [key, value] of Object.entries(props || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "color") node.style.setProperty("--c", value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}
const el = (tag, props, ...children) => fill(document.createElement(tag), props, children);
const svg = (tag, props, ...children) => fill(document.createElementNS("http://www.w3.org/2000/svg", tag), props, children);

/* Numbers, written as the console report writes them. */
const minus = (text) => text.replace("-", "−");
const fixed = (value, digits) => value === null || value === undefined ? NONE
  : minus(value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits }));
const percent = (rate) => rate === null || rate === undefined ? NONE : `${(100 * rate).toFixed(0)} %`;
function plus(value, digits) {
  const text = value.toFixed(digits);
  return Number(text) === 0 ? (0).toFixed(digits) : (value > 0 ? "+" : "") + minus(text);
}
const range = (interval, digits, scale = 1) => interval ? `[${plus(interval.low * scale, digits)}, ${plus(interval.high * scale, digits)}]` : "";
const baselineIndex = arms.findIndex((arm) => arm.name === report.baseline);
function armColor(index) {
  if (index === baselineIndex) return "var(--arm0)";
  const place = index - (baselineIndex >= 0 && baselineIndex < index ? 1 : 0);
  return `var(--arm${1 + (place % 5)})`;
}
const typeName = (type) => type || "(no type)";
/* Type and id of a task, the type only where the id does not say it. */
const place = (task) => task.type && task.id.includes(task.type) ? task.id : `${typeName(task.type)} · ${task.id}`;
const clip = (text, length) => text.length > length ? `${text.slice(0, length)}…` : text;

/* ---- results ---- */
function figure(label, difference, digits, scale, full, color) {
  const parts = [el("div", { class: "label" }, label)];
  if (difference.estimate === null) return el("div", { class: "figure" }, parts, el("span", { class: "value" }, NONE));
  parts.push(el("span", { class: "value" }, plus(difference.estimate * scale, digits)));
  if (difference.interval) {
    const { low, high } = difference.interval;
    const reach = full || 1.15 * Math.max(Math.abs(low), Math.abs(high), 1e-9);
    const at = (value) => `${(50 + 48 * value / reach).toFixed(2)}%`;
    parts.push(el("span", { class: "range" }, "95 % ", range(difference.interval, digits, scale)));
    parts.push(svg("svg", { "aria-hidden": "true", color },
      svg("line", { class: "axis", x1: "0", x2: "100%", y1: "9", y2: "9" }),
      svg("line", { class: "zero", x1: "50%", x2: "50%", y1: "0", y2: "18" }),
      svg("line", { class: "span", x1: at(low), x2: at(high), y1: "9", y2: "9" }),
      svg("circle", { class: "point", cx: at(difference.estimate), cy: "9", r: "5" })));
  } else parts.push(el("span", { class: "range" }, "no interval"));
  return el("div", { class: "figure" }, parts);
}

function showResults() {
  const values = (key) => [...new Set(arms.map((arm) => arm.config[key]).filter((value) => value !== null && value !== undefined && value !== ""))];
  $("setting").append([...values("environment"), ...values("split").map((s) => `split ${s}`), ...values("model"),
    `${episodes.length} episodes in ${arms.length} ${arms.length === 1 ? "arm" : "arms"}`].join("  ·  "));
  report.comparisons.forEach((comparison, index) => {
    const color = armColor(arms.findIndex((arm) => arm.name === comparison.arm)), total = comparison.total;
    $("comparisons").append(el("div", { class: "comparison" },
      el("h3", {}, el("span", { class: "swatch", color }), `${comparison.arm} against ${comparison.baseline}`),
      el("div", { class: "figures" },
        figure("Success, percentage points", total.success, 1, 100, 1, color),
        figure("Score", total.score, 3, 1, 0, color),
        figure("Steps per episode", total.steps, 1, 1, 0, color)),
      data.sentences[index].slice(0, 2).map((line) => el("p", {}, line))));
  });
  const head = ["Arm", "Episodes", "Success", "Score", "Steps", "Tokens", "Seconds", "Ended"];
  $("arms").append(el("thead", {}, el("tr", {}, head.map((text, i) => el("th", { scope: "col", class: i && i < 7 ? "n" : null }, text)))),
    el("tbody", {}, arms.map((arm, index) => {
      const m = arm.total, tokens = m.prompt_tokens === null ? null : m.prompt_tokens + m.completion_tokens;
      const ended = Object.entries(m.endings).map(([ending, n]) => `${n} ${ending.replace("_", " ")}`).join(", ");
      const errors = Object.entries(m.errors).map(([boundary, n]) => `${boundary} ${n}`).join(", ");
      return el("tr", {}, el("th", { scope: "row" }, el("span", { class: "swatch", color: armColor(index) }), arm.name),
        el("td", { class: "n" }, String(m.n)),
        el("td", { class: "n" }, percent(m.success), m.interval ? el("small", {}, `  ${(100 * m.interval.low).toFixed(0)}-${(100 * m.interval.high).toFixed(0)}`) : null),
        el("td", { class: "n" }, fixed(m.score, 3)), el("td", { class: "n" }, fixed(m.steps, 1)),
        el("td", { class: "n" }, fixed(tokens, 0)), el("td", { class: "n" }, fixed(m.seconds, 1)),
        el("td", {}, ended || NONE, errors ? el("small", {}, ` (${errors})`) : null));
    })));
  arms.forEach((arm, index) => $("legend").append(el("span", { class: "swatch", color: armColor(index) }), arm.name));
  $("legend").append(".  Bars are success rates, lines their 95 % intervals.");
  showTypes();
  report.notes.forEach((note) => $("notes").append(el("li", {}, "Note. ", note)));
}

function bars(metrics, label) {
  const height = 13, parts = [];
  const told = metrics.map((m, i) => `${arms[i].name} ${m && m.n ? `${m.solved} of ${m.n}` : "no episode"}`).join(", ");
  metrics.forEach((m, i) => {
    const y = i * height, color = armColor(i);
    parts.push(svg("rect", { class: "track", x: "0", width: "100%", y: y + 2, height: height - 4, rx: "2" }));
    if (!m || !m.n) return;
    parts.push(svg("rect", { class: "bar", color, x: "0", width: `${100 * m.success}%`, y: y + 2, height: height - 4, rx: "2" }));
    parts.push(svg("line", { class: "whisker", x1: `${100 * m.interval.low}%`, x2: `${100 * m.interval.high}%`, y1: y + height / 2, y2: y + height / 2 }));
    for (const end of [m.interval.low, m.interval.high])
      parts.push(svg("line", { class: "whisker", x1: `${100 * end}%`, x2: `${100 * end}%`, y1: y + 4, y2: y + height - 4 }));
  });
  return svg("svg", { role: "img", "aria-label": `${label}: ${told}`, height: metrics.length * height }, parts);
}

function showTypes() {
  const axis = svg("svg", { height: 14, "aria-hidden": "true" }, [0, 25, 50, 75, 100].map((tick) =>
    svg("text", { x: `${tick}%`, y: 11, "text-anchor": tick === 0 ? "start" : tick === 100 ? "end" : "middle" }, tick === 100 ? "100 %" : String(tick))));
  $("types").append(el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Task type"), el("th", { scope: "col", class: "bars" }, axis),
    arms.map((arm) => el("th", { scope: "col", class: "n" }, arm.name)),
    report.comparisons.map((c) => el("th", { scope: "col", class: "n" }, arms.length > 2 ? `${c.arm} − ${c.baseline}` : "Difference, points")))));
  const row = (name, metrics, contrasts, total) => el("tr", { class: total ? "total" : null },
    el("th", { scope: "row" }, name), el("td", { class: "bars" }, bars(metrics, name)),
    metrics.map((m) => el("td", { class: "n" }, m && m.n ? [`${m.solved}/${m.n}`, el("small", {}, `  ${percent(m.success)}`)] : NONE)),
    contrasts.map((c) => el("td", { class: "n" }, c && c.success.estimate !== null
      ? [plus(100 * c.success.estimate, 1), el("small", {}, `  ${range(c.success.interval, 1, 100)}`)] : NONE)));
  const own = (table, key) => Object.hasOwn(table, key) ? table[key] : null;
  $("types").append(el("tbody", {},
    report.types.map((type) => row(typeName(type), arms.map((arm) => own(arm.types, type)), report.comparisons.map((c) => own(c.types, type)))),
    row("all", arms.map((arm) => arm.total), report.comparisons.map((c) => c.total), true)));
}

/* ---- configuration ---- */
function flatten(value, prefix, into) {
  for (const [key, item] of Object.entries(value)) {
    const name = prefix ? `${prefix}.${key}` : key;
    if (item && typeof item === "object" && !Array.isArray(item) && Object.keys(item).length) flatten(item, name, into);
    else into.set(name, typeof item === "string" ? item : JSON.stringify(item));
  }
  return into;
}
function showSetup(id, pick) {
  const columns = arms.map((arm) => flatten(pick(arm), "", new Map()));
  const keys = [...new Set(columns.flatMap((column) => [...column.keys()]))];
  if (!keys.length) return void $(id).append(el("tbody", {}, el("tr", {}, el("td", {}, "not recorded"))));
  $(id).append(el("thead", {}, el("tr", {}, el("th", { scope: "col" }, ""), arms.map((arm) => el("th", { scope: "col" }, arm.name)))),
    el("tbody", {}, keys.map((key) => {
      const cells = columns.map((column) => column.has(key) ? column.get(key) : NONE);
      return el("tr", { class: new Set(cells).size > 1 ? "differs" : null }, el("th", { scope: "row" }, key), cells.map((cell) => el("td", {}, cell)));
    })));
}

/* ---- the list ---- */
const keyOf = (episode) => `${episode.task.environment}:${episode.task.id}`;
const byTask = new Map();
episodes.forEach((episode, index) => {
  if (!byTask.has(keyOf(episode))) byTask.set(keyOf(episode), []);
  byTask.get(keyOf(episode)).push(index);
});
const endedOf = (episode) => episode.ended || "terminated";
const OUTCOMES = {
  "": ["any", () => true],
  solved: ["solved", (e) => e.success === true],
  unsolved: ["not solved", (e) => e.success !== true],
  differs: ["arms disagree", (e) => new Set(byTask.get(keyOf(e)).map((i) => episodes[i].success === true)).size > 1],
  truncated: ["reached the step limit", (e) => endedOf(e) === "truncated"],
  gave_up: ["gave up", (e) => endedOf(e) === "gave_up"],
  error: ["broke off with an error", (e) => endedOf(e) === "error" || e.error],
  invalid: ["has invalid actions", (e) => (e.steps || []).some((step) => step.valid === false)],
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
const state = { shown: [], limit: LIST_PAGE, episode: -1, beside: -1, step: 0, started: false };

function applyFilters() {
  const form = $("filters").elements, arm = form.arm.value, type = form.type.value, text = form.text.value.trim().toLowerCase();
  const outcome = OUTCOMES[form.outcome.value][1];
  state.shown = episodes.map((_, index) => index).filter((index) => {
    const episode = episodes[index];
    return (arm === "" || episode.arm === Number(arm)) && (type === "" || `=${episode.task.type || ""}` === type) && outcome(episode)
      && (!text || haystack(index).includes(text));
  });
  state.limit = LIST_PAGE;
  showList();
  if (state.shown.length && !state.shown.includes(state.episode)) openEpisode(state.shown[0]);
}
function mark(episode) {
  if (episode.error || endedOf(episode) === "error") return ["!", "warn", "broke off"];
  return episode.success === true ? ["✓", "good", "solved"] : episode.success === false ? ["✗", "bad", "not solved"] : ["?", "warn", "outcome unknown"];
}
function showList() {
  $("count").textContent = `${state.shown.length} of ${episodes.length} episodes`;
  const rows = state.shown.slice(0, state.limit).map((index) => {
    const episode = episodes[index], [sign, tone, told] = mark(episode);
    const score = episode.score === null || episode.score === undefined ? "" : ` · score ${fixed(episode.score, 2)}`;
    return el("li", { role: "option", id: `episode-${index}`, "aria-selected": String(index === state.episode), onclick: () => openEpisode(index) },
      el("span", { class: `mark ${tone}`, role: "img", "aria-label": told, title: told }, sign),
      el("div", { class: "task" }, episode.task.instruction || episode.task.id),
      el("div", { class: "meta" }, el("span", { class: "swatch", color: armColor(episode.arm) }),
        `${arms[episode.arm].name} · ${(episode.steps || []).length} steps${score} · ${episode.task.id.length < 50 ? place(episode.task) : typeName(episode.task.type)}`));
  });
  $("list").replaceChildren(...(rows.length ? rows : [el("li", { class: "empty" }, "No episode fits these filters.")]));
  $("more").hidden = state.shown.length <= state.limit;
  if (state.shown.includes(state.episode)) $("list").setAttribute("aria-activedescendant", `episode-${state.episode}`);
  else $("list").removeAttribute("aria-activedescendant");
}
function moveEpisode(by) {
  const at = state.shown.indexOf(state.episode), next = state.shown[Math.min(Math.max(at + by, 0), state.shown.length - 1)];
  if (next === undefined || next === state.episode) return;
  if (state.shown.indexOf(next) >= state.limit) { state.limit += LIST_PAGE; showList(); }
  openEpisode(next);
}

/* ---- the reader ---- */
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
      const found = findRecalled(item.id), facts = [found ? found.task.id : "its text is not in this page", item.id, item.reason];
      box.append(el("div", { class: "recall" }, el("span", { class: "score", title: "score" }, fixed(item.score, 3)), el("div", {},
        found ? el("button", { class: "link", type: "button", onclick: () => openRecalled(item, found) }, clip(found.task.instruction || found.task.id, 140)) : null,
        el("div", {}, facts.filter(Boolean).join("  ·  ")))));
    }
  };
  box.addEventListener("toggle", draw);
  draw();
  return box;
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
    el("div", { class: "chips" }, chips, recallDetails(episode, index),
      step.response && step.response !== step.action ? el("details", {}, el("summary", {}, "the model's whole turn"), longText(step.response, "")) : null));
}
function endCard(episode) {
  const [sign, tone, told] = mark(episode);
  return el("div", { class: "step end" }, el("span", { class: `number mark ${tone}`, "aria-hidden": "true" }, sign),
    longText(episode.final_observation || "", "observation"),
    el("div", { class: "chips" }, el("span", { class: `chip ${tone}` }, `${told}, ${endedOf(episode).replace("_", " ")}`)));
}
function headOf(episode, arm, titleId) {
  const [sign, tone, told] = mark(episode), steps = episode.steps || [], p = episode.provenance || {};
  const tokens = steps.reduce((sum, step) => sum + (step.usage ? (step.usage.prompt || 0) + (step.usage.completion || 0) : 0), 0);
  const facts = [`${steps.length} steps`, episode.score === null || episode.score === undefined ? "" : `score ${fixed(episode.score, 3)}`, `ended: ${endedOf(episode).replace("_", " ")}`,
    tokens ? `${fixed(tokens, 0)} tokens` : "", p.seconds ? `${fixed(p.seconds, 1)} s` : "", p.seed === undefined ? "" : `seed ${p.seed}`, p.created || ""];
  return el("div", { class: "head" },
    el("h3", { id: titleId || null }, episode.task.instruction || episode.task.id),
    el("div", { class: "meta" }, arm === undefined ? `${episode.source || "agent"}` : [el("span", { class: "swatch", color: armColor(arm) }), arms[arm].name],
      ` · ${place(episode.task)}`),
    el("div", { class: "outcome" }, el("span", { class: `mark ${tone}` }, `${sign} ${told}`), el("span", { class: "meta" }, "  ·  " + facts.filter(Boolean).join("  ·  "))),
    episode.error ? el("p", { class: "problem" }, `${episode.error.boundary}: ${episode.error.message}`) : null);
}
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
  const chosen = [state.episode, state.beside].filter((index) => index >= 0).map((index) => episodes[index]);
  const others = byTask.get(keyOf(chosen[0])).filter((index) => index !== state.episode);
  const select = el("select", { "aria-label": "Show beside", disabled: !others.length, onchange: (event) => openEpisode(state.episode, Number(event.target.value), state.step) },
    el("option", { value: -1 }, others.length ? "nothing" : "no other episode of this task"),
    others.map((index) => el("option", { value: index, selected: index === state.beside },
      `${arms[episodes[index].arm].name}: ${mark(episodes[index])[2]}, ${(episodes[index].steps || []).length} steps`)));
  const columns = el("div", { class: "columns" }, chosen.map((episode) => headOf(episode, episode.arm)));
  columns.style.setProperty("--n", String(chosen.length));
  const lengths = chosen.map((episode) => (episode.steps || []).length), last = Math.max(...lengths);
  let parted = chosen.length < 2;
  for (let i = 0; i <= last; i += 1) {
    if (!parted && i < last && (i >= Math.min(...lengths) || chosen[0].steps[i].action !== chosen[1].steps[i].action)) {
      columns.append(el("div", { class: "parting" }, "from here the two act differently"));
      parted = true;
    }
    chosen.forEach((episode, c) => columns.append(i < lengths[c] ? stepCard(episode, i) : i === lengths[c] ? endCard(episode) : el("div", {})));
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

/* ---- start ---- */
function fromAddress() {
  const found = /^#\/(\d+)(?:\/(\d+))?(?:\/(\d+))?$/.exec(location.hash);
  if (!found || Number(found[1]) >= episodes.length) return false;
  const beside = found[3] === undefined || Number(found[3]) >= episodes.length ? -1 : Number(found[3]);
  openEpisode(Number(found[1]), beside, Number(found[2] || 1) - 1);
  return true;
}
function start() {
  showResults();
  showSetup("config", (arm) => arm.config);
  showSetup("versions", (arm) => arm.versions);
  const form = $("filters");
  const options = (name, pairs) => form.elements[name].append(...pairs.map(([value, text]) => el("option", { value }, text)));
  options("arm", [["", "all"], ...arms.map((arm, index) => [String(index), arm.name])]);
  options("type", [["", "all"], ...report.types.map((type) => [`=${type}`, typeName(type)])]);
  options("outcome", Object.entries(OUTCOMES).filter(([key]) => key !== "differs" || arms.length > 1).map(([key, [text]]) => [key, text]));
  let timer = 0;
  form.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(applyFilters, 120); });
  form.addEventListener("submit", (event) => event.preventDefault());
  $("more").addEventListener("click", () => { state.limit += LIST_PAGE; showList(); });
  $("list").addEventListener("keydown", (event) => {
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    moveEpisode(by === Infinity ? state.shown.length : by === -Infinity ? -state.shown.length : by);
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || $("recalled").open || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (by && state.episode >= 0) {
      event.preventDefault();
      if (event.shiftKey) moveEpisode(by); else setStep(state.step + by, true);
    } else if (event.key === "/") { event.preventDefault(); form.elements.text.focus(); }
  });
  window.addEventListener("hashchange", fromAddress);
  const addressed = fromAddress();
  applyFilters();
  if (addressed) {
    if (state.episode >= state.limit) { state.limit = state.episode + 1; showList(); }
    revealRow();
    ($("reader").querySelector(".current") || $("reader")).scrollIntoView({ block: "center", behavior: "instant" });
  }
  state.started = true;
}
start();
