"use strict";
/* Everything of the data becomes text nodes and numbers: nothing is ever parsed as markup. */
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const canvas = $("canvas"), context = canvas.getContext("2d"), form = $("controls");
const SIZE = data.id.length, TAU = 2 * Math.PI, NEAR = 14;
const hidden = { type: new Set(), environment: new Set(), source: new Set(), outcome: new Set() };
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const view = { scale: 1, x: 0, y: 0 };
let picked = -1, hovered = -1, visible = [], due = 0;

function el(tag, props, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(props || {})) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "color") node.style.setProperty("--c", value);
    else if (value !== false) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}

/* Hues as far apart as they go, in three lightnesses when there are many. */
function colour(by, index) {
  if (by === "outcome") return css(["--good", "--bad", "--warn"][index]);
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const light = (dark ? [66, 76, 54] : [42, 56, 30])[index % 3];
  return `hsl(${(index * 137.508 + 210) % 360} ${dark ? 60 : 62}% ${light}%)`;
}

const named = (by) => data[by === "type" ? "types" : `${by}s`];
const coloured = () => form.elements.colour.value;

function legend(box, by, mark) {
  const counts = new Array(named(by).length).fill(0);
  data[by].forEach((index) => { counts[index] += 1; });
  box.replaceChildren(...named(by).map((name, index) => {
    if (!counts[index]) return "";
    const check = el("input", { type: "checkbox", checked: !hidden[by].has(index), onchange: (event) => {
      if (event.target.checked) hidden[by].delete(index); else hidden[by].add(index);
      select();
    } });
    const dot = mark ? el("span", { class: `dot ${name}` }) : el("span", { class: "dot", color: colour(by, index) });
    return el("label", { class: "entry" }, check, dot, el("span", { class: "name" }, name), el("span", { class: "n" }, counts[index].toLocaleString("en-US")));
  }));
}

function legends() {
  const by = coloured();
  legend($("outcomes"), "outcome", by !== "outcome");
  const other = by === "outcome" ? "type" : by;
  $("legend-title").textContent = { type: "Task type", environment: "Environment", source: "Source" }[other];
  legend($("legend"), other, false);
}

function select() {
  const text = form.elements.text.value.trim().toLowerCase();
  visible = [];
  for (let i = 0; i < SIZE; i += 1) {
    if (Object.keys(hidden).some((by) => hidden[by].has(data[by][i]))) continue;
    if (text && !data.instruction[i].toLowerCase().includes(text) && !data.id[i].includes(text)) continue;
    visible.push(i);
  }
  const of = data.about.of > SIZE ? ` (a sample of ${data.about.of.toLocaleString("en-US")})` : "";
  $("count").textContent = `${visible.length.toLocaleString("en-US")} of ${SIZE.toLocaleString("en-US")} trajectories${of}`;
  draw();
}

let wide = 0, high = 0, unit = 1;  // read once a frame: asking the page for each point costs more than drawing it
function measure() {
  wide = canvas.clientWidth; high = canvas.clientHeight;
  unit = Math.min(wide, high) * 0.92 * view.scale;
}
const place = (i) => [wide / 2 + (data.x[i] - middle[0]) * unit + view.x, high / 2 + (data.y[i] - middle[1]) * unit + view.y];
const span = (values) => { let low = Infinity, high = -Infinity; for (const v of values) { low = Math.min(low, v); high = Math.max(high, v); } return (low + high) / 2; };
const middle = [span(data.x), span(data.y)];
const radius = () => Math.max(1.6, Math.min(7, (SIZE > 4000 ? 2.2 : SIZE > 800 ? 3 : 5) * Math.sqrt(view.scale)));

function paint() {
  due = 0;
  measure();
  const ratio = devicePixelRatio || 1;
  if (canvas.width !== Math.round(wide * ratio) || canvas.height !== Math.round(high * ratio)) {
    canvas.width = Math.round(wide * ratio); canvas.height = Math.round(high * ratio);
  }
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, wide, high);
  const by = coloured(), r = radius(), groups = new Map();
  for (const i of visible) {  // one path for each colour and outcome: ten thousand points stay fluid
    const key = data[by][i] * 3 + data.outcome[i];
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(i);
  }
  context.globalAlpha = 0.8;
  for (const [key, members] of groups) {
    const outcome = key % 3, ink = colour(by, Math.floor(key / 3));
    context.beginPath();
    for (const i of members) {
      const [x, y] = place(i);
      if (x < -9 || y < -9 || x > wide + 9 || y > high + 9) continue;
      if (outcome === 2) context.rect(x - r, y - r, 2 * r, 2 * r);
      else { context.moveTo(x + r, y); context.arc(x, y, r, 0, TAU); }
    }
    context.fillStyle = context.strokeStyle = ink;
    context.lineWidth = Math.max(1, r / 2.4);
    if (outcome === 0) context.fill(); else context.stroke();
  }
  context.globalAlpha = 1;
  for (const i of [picked, hovered]) {
    if (i < 0) continue;
    const [x, y] = place(i);
    context.beginPath(); context.arc(x, y, r + 4, 0, TAU);
    context.strokeStyle = css("--ink"); context.lineWidth = 2; context.stroke();
  }
}
const draw = () => { if (!due) due = requestAnimationFrame(paint); };

function nearest(x, y) {
  let best = -1, least = NEAR * NEAR;
  for (const i of visible) {
    const [px, py] = place(i), far = (px - x) ** 2 + (py - y) ** 2;
    if (far < least) { least = far; best = i; }
  }
  return best;
}

function factsOf(i) {
  const outcome = data.outcomes[data.outcome[i]], tone = ["good", "bad", "warn"][data.outcome[i]];
  const steps = `${data.n_steps[i]} steps`;
  const where = [named("environment")[data.environment[i]], named("type")[data.type[i]], named("source")[data.source[i]]];
  return [
    el("div", {}, data.instruction[i] || "(no instruction)"),
    el("div", {}, el("b", { class: tone }, outcome), ` · ${steps} · ${where.join(" · ")}`),
    el("div", { class: "id" }, data.id[i]),
  ];
}

function hover(event) {
  const box = canvas.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
  const point = nearest(x, y), tip = $("tip");
  tip.hidden = point < 0;
  if (point >= 0) {
    tip.replaceChildren(...factsOf(point));
    tip.style.left = `${Math.max(0, Math.min(x + 14, box.width - tip.offsetWidth - 8))}px`;
    tip.style.top = `${Math.max(0, Math.min(y + 14, box.height - tip.offsetHeight - 8))}px`;
  }
  if (point !== hovered) { hovered = point; draw(); }
}

let from = null, moved = false;
canvas.addEventListener("pointerdown", (event) => { from = [event.clientX, event.clientY]; moved = false; canvas.setPointerCapture(event.pointerId); });
canvas.addEventListener("pointermove", (event) => {
  if (!from) { hover(event); return; }
  const [dx, dy] = [event.clientX - from[0], event.clientY - from[1]];
  if (!moved && Math.hypot(dx, dy) < 4) return;
  moved = true; from = [event.clientX, event.clientY];
  view.x += dx; view.y += dy;
  canvas.classList.add("moving"); $("tip").hidden = true; draw();
});
canvas.addEventListener("pointerup", (event) => {
  if (!moved) {
    const box = canvas.getBoundingClientRect();
    picked = nearest(event.clientX - box.left, event.clientY - box.top);
    $("picked").replaceChildren(...(picked < 0 ? [] : factsOf(picked)));
    draw();
  }
  from = null; canvas.classList.remove("moving");
});
canvas.addEventListener("pointerleave", () => { hovered = -1; $("tip").hidden = true; draw(); });
canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  const box = canvas.getBoundingClientRect(), factor = Math.exp(-event.deltaY * 0.0015);
  const scale = Math.max(0.5, Math.min(200, view.scale * factor)), ratio = scale / view.scale;
  const x = event.clientX - box.left - box.width / 2, y = event.clientY - box.top - box.height / 2;
  view.x = x - (x - view.x) * ratio; view.y = y - (y - view.y) * ratio; view.scale = scale;
  draw();
}, { passive: false });
addEventListener("keydown", (event) => {
  if (event.key === "0" && event.target === document.body) { Object.assign(view, { scale: 1, x: 0, y: 0 }); draw(); }
});
addEventListener("resize", draw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { legends(); draw(); });
form.addEventListener("submit", (event) => event.preventDefault());
form.elements.colour.addEventListener("change", () => { legends(); select(); });
form.elements.text.addEventListener("input", select);
const listed = () => (coloured() === "outcome" ? "type" : coloured());
$("all").addEventListener("click", () => { hidden[listed()].clear(); legends(); select(); });
$("none").addEventListener("click", () => { named(listed()).forEach((_, index) => hidden[listed()].add(index)); legends(); select(); });

const about = data.about, how = { tsne: "t-SNE", pca: "principal components" }[about.method];
$("about").textContent = `${about.bank}, version ${about.version} · keys of ${about.strategy} by ${about.encoder} · ${how}: near means alike, directions mean nothing`;
if (data.types.length < 2 && data.environments.length > 1) form.elements.colour.value = "environment";
legends();
select();
