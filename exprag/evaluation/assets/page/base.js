"use strict";
/* The page's script. Its parts, in this order, share one scope: base, results, setup, list, step, reader, start.

   Here: the data, and the helpers that make elements and write numbers. Everything of the data becomes text nodes and attributes:
   nothing is ever parsed as markup. */
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
