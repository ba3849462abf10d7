/* Configuration and versions of the arms, side by side. */
import { $, el } from "./elements.js";
import { NONE } from "./format.js";
import { store } from "./store.js";

function flatten(value, prefix, into) {
  for (const [key, item] of Object.entries(value)) {
    const name = prefix ? `${prefix}.${key}` : key;
    if (item && typeof item === "object" && !Array.isArray(item) && Object.keys(item).length) flatten(item, name, into);
    else into.set(name, typeof item === "string" ? item : JSON.stringify(item));
  }
  return into;
}

/* A table with a row for each field and a column for each arm; rows in which the arms differ are marked. */
function showSetup(id, fieldsOf) {
  const arms = store.arms, columns = arms.map((arm) => flatten(fieldsOf(arm), "", new Map()));
  const keys = [...new Set(columns.flatMap((column) => [...column.keys()]))];
  if (!keys.length) return void $(id).append(el("tbody", {}, el("tr", {}, el("td", {}, "not recorded"))));
  $(id).append(el("thead", {}, el("tr", {}, el("th", { scope: "col" }, ""), arms.map((arm) => el("th", { scope: "col" }, arm.name)))),
    el("tbody", {}, keys.map((key) => {
      const cells = columns.map((column) => column.has(key) ? column.get(key) : NONE);
      return el("tr", { class: new Set(cells).size > 1 ? "differs" : "same" }, el("th", { scope: "row" }, key), cells.map((cell) => el("td", {}, cell)));
    })));
}

/* The configuration of an arm, and when its bank was asked, also where the configuration leaves that to the query strategy. */
const configOf = (arm) => arm.refresh === null ? arm.config : { ...arm.config, "refresh in force": arm.refresh };

export function showSetups() {
  showSetup("config", configOf);
  showSetup("versions", (arm) => arm.versions);
  $("only-differences").closest("label").hidden = store.arms.length < 2;
  $("only-differences").addEventListener("change", (event) => $("setup").classList.toggle("only-differences", event.target.checked));
}
