/* The results: comparisons, arms, and success by task type. */
import { $, el, svg } from "./elements.js";
import { NONE, fixed, percent, plus, range, typeName } from "./format.js";
import { armColor, store } from "./store.js";

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

export function showResults() {
  const { report, arms, episodes } = store;
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
      store.sentences[index].slice(0, 2).map((line) => el("p", {}, line))));
  });
  const head = ["Arm", "Episodes", "Success", "Score", "Steps", "Tokens", "Seconds", "Turns repaired", "Not understood", "In a loop", "Ended"];
  $("arms").append(el("thead", {}, el("tr", {}, head.map((text, i) => el("th", { scope: "col", class: i && i < head.length - 1 ? "n" : null }, text)))),
    el("tbody", {}, arms.map((arm, index) => {
      const m = arm.total, tokens = m.prompt_tokens === null ? null : m.prompt_tokens + m.completion_tokens;
      const turns = Math.round((m.steps || 0) * m.n);
      const ended = Object.entries(m.endings).map(([ending, n]) => `${n} ${ending.replace("_", " ")}`).join(", ");
      const errors = Object.entries(m.errors).map(([boundary, n]) => `${boundary} ${n}`).join(", ");
      return el("tr", {}, el("th", { scope: "row" }, el("span", { class: "swatch", color: armColor(index) }), arm.name),
        el("td", { class: "n" }, String(m.n)),
        el("td", { class: "n" }, percent(m.success), m.interval ? el("small", {}, `  ${(100 * m.interval.low).toFixed(0)}-${(100 * m.interval.high).toFixed(0)}`) : null),
        el("td", { class: "n" }, fixed(m.score, 3)), el("td", { class: "n" }, fixed(m.steps, 1)),
        el("td", { class: "n" }, fixed(tokens, 0)), el("td", { class: "n" }, fixed(m.seconds, 1)),
        countCell(m.repaired_turns, turns), countCell(m.invalid_actions, turns), countCell(m.loops, m.n),
        el("td", {}, ended || NONE, errors ? el("small", {}, ` (${errors})`) : null));
    })));
  arms.forEach((arm, index) => $("legend").append(el("span", { class: "swatch", color: armColor(index) }), arm.name));
  $("legend").append(".  Bars are success rates, lines their 95 % intervals.");
  showTypes();
  report.notes.forEach((note) => $("notes").append(el("li", {}, "Note. ", note)));
}

/* A count, and its share of the total where it is not none. */
function countCell(count, total) {
  return el("td", { class: "n" }, String(count), count ? el("small", {}, `  ${percent(count / total)}`) : null);
}

function bars(metrics, label) {
  const arms = store.arms, height = 13, parts = [];
  const summary = metrics.map((m, i) => `${arms[i].name} ${m && m.n ? `${m.solved} of ${m.n}` : "no episode"}`).join(", ");
  metrics.forEach((m, i) => {
    const y = i * height, color = armColor(i);
    parts.push(svg("rect", { class: "track", x: "0", width: "100%", y: y + 2, height: height - 4, rx: "2" }));
    if (!m || !m.n) return;
    parts.push(svg("rect", { class: "bar", color, x: "0", width: `${100 * m.success}%`, y: y + 2, height: height - 4, rx: "2" }));
    parts.push(svg("line", { class: "whisker", x1: `${100 * m.interval.low}%`, x2: `${100 * m.interval.high}%`, y1: y + height / 2, y2: y + height / 2 }));
    for (const end of [m.interval.low, m.interval.high])
      parts.push(svg("line", { class: "whisker", x1: `${100 * end}%`, x2: `${100 * end}%`, y1: y + 4, y2: y + height - 4 }));
  });
  return svg("svg", { role: "img", "aria-label": `${label}: ${summary}`, height: metrics.length * height }, parts);
}

function showTypes() {
  const { report, arms } = store;
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
  const entry = (table, key) => Object.hasOwn(table, key) ? table[key] : null;
  $("types").append(el("tbody", {},
    report.types.map((type) => row(typeName(type), arms.map((arm) => entry(arm.types, type)), report.comparisons.map((c) => entry(c.types, type)))),
    row("all", arms.map((arm) => arm.total), report.comparisons.map((c) => c.total), true)));
}
