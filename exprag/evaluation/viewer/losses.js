/* Why episodes were lost, by arm, and which recalled trajectories stand out. */
import { $, el } from "./elements.js";
import { clip, percent } from "./format.js";
import { armColor, findRecalled, store } from "./store.js";

const ENDS = 4, OFTEN = 3;

/* `show` lists the episodes of a filter; `read` opens a recalled trajectory. */
export function showLosses(show, read) {
  const { losses, credit } = store.report;
  const names = Object.keys(store.causeNames).filter((name) => losses.some((arm) => Object.hasOwn(arm.episodes, name)));
  const count = (number, total, filter) => el("td", { class: "n" }, number
    ? [el("button", { class: "link", type: "button", onclick: () => show(filter) }, String(number)), el("small", {}, `  ${percent(number / total)}`)] : "0");
  $("causes").append(
    el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Cause"),
      losses.map((arm, index) => el("th", { scope: "col", class: "n" }, el("span", { class: "swatch", color: armColor(index) }), arm.arm)))),
    el("tbody", {}, names.map((name) => el("tr", {}, el("th", { scope: "row" }, store.causeNames[name]),
      losses.map((arm, index) => count((arm.episodes[name] || []).length, arm.lost, { arm: String(index), cause: name })))),
    el("tr", { class: "total" }, el("th", { scope: "row" }, names.length ? "all lost" : "nothing was lost"),
      losses.map((arm, index) => count(arm.lost, arm.lost, { arm: String(index), outcome: "unsolved" })))));
  $("credits").hidden = !credit.length;
  const rest = credit.length > standingOut(credit).length;
  $("all-credits").closest("label").hidden = !rest;
  $("all-credits").addEventListener("change", (event) => showCredit(event.target.checked ? credit : standingOut(credit), show, read));
  showCredit(standingOut(credit), show, read);
}

const difference = (item) => item.won / item.recalled - item.expected;

/* Those read often, furthest below and above what was expected; where nothing was read often, those read most. */
function standingOut(credit) {
  const often = credit.filter((item) => item.recalled >= OFTEN).sort((a, b) => difference(a) - difference(b));
  const ends = [...often.filter((item) => difference(item) < 0).slice(0, ENDS), ...often.filter((item) => difference(item) > 0).slice(-ENDS)];
  return ends.length ? ends : credit.slice(0, ENDS);
}
function verdict(item) {
  if (item.interval.low > item.expected) return ["helps", "good"];
  return item.interval.high < item.expected ? ["harms", "bad"] : ["unclear", ""];
}

function showCredit(items, show, read) {
  const head = ["Recalled trajectory", "Arm", "Episodes", "Won", "Lost", "Expected", "95 % of won", ""];
  $("credit").replaceChildren(
    el("thead", {}, el("tr", {}, head.map((text, i) => el("th", { scope: "col", class: i > 1 && i < 7 ? "n" : null }, text)))),
    el("tbody", {}, items.map((item) => {
      const trajectory = findRecalled(item.id), arm = store.arms.findIndex((each) => each.name === item.arm), [word, tone] = verdict(item);
      const list = (outcome, number) => el("td", { class: "n" },
        number ? el("button", { class: "link", type: "button", onclick: () => show({ arm: String(arm), outcome, recalled: item.id }) }, String(number)) : "0");
      return el("tr", {},
        el("th", { scope: "row" }, trajectory
          ? el("button", { class: "link", type: "button", onclick: () => read({ id: item.id }, trajectory) }, clip(trajectory.task.instruction || trajectory.task.id, 90))
          : item.id),
        el("td", {}, el("span", { class: "swatch", color: armColor(arm) }), item.arm),
        list("", item.recalled), list("solved", item.won), list("unsolved", item.lost), el("td", { class: "n" }, percent(item.expected)),
        el("td", { class: "n" }, `${percent(item.interval.low)} to ${percent(item.interval.high)}`), el("td", { class: tone }, word));
    })));
}
