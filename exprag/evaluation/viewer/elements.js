/* Elements of the page. Everything of the data becomes text nodes and attributes: nothing is ever parsed as markup. */
export const $ = (id) => document.getElementById(id);

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
export const el = (tag, props, ...children) => fill(document.createElement(tag), props, children);
export const svg = (tag, props, ...children) => fill(document.createElementNS("http://www.w3.org/2000/svg", tag), props, children);

const LONG = 1500;

/* A paragraph that shows the beginning of a long text until it is asked for all of it. */
export function longText(text, kind) {
  const node = el("p", { class: `text ${kind}` });
  if (text.length <= LONG) { node.textContent = text; return node; }
  node.append(text.slice(0, LONG) + "… ", el("button", { class: "link", type: "button", onclick: () => { node.textContent = text; } },
    `show all ${text.length.toLocaleString("en-US")} characters`));
  return node;
}
