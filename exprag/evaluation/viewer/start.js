/* The start of the page. */
import { $, el } from "./elements.js";
import { typeName } from "./format.js";
import { readAddress } from "./address.js";
import { OUTCOMES } from "./filters.js";
import { listenToKeys } from "./keys.js";
import { applyFilters, revealRow, setFilters, showList, showMore, state } from "./list.js";
import { showLosses } from "./losses.js";
import { keepAddress, openEpisode } from "./reader.js";
import { showResults } from "./results.js";
import { showSetups } from "./setup.js";
import { openRecalled } from "./step.js";
import { store, take } from "./store.js";
import { unpack } from "./unpack.js";

/* Apply the filters, and open the first episode that is listed where the one that was read is not. */
function refilter() {
  applyFilters();
  if (state.listed.length && !state.listed.includes(state.episode)) openEpisode(state.listed[0]);
  else keepAddress();
}
function show(filters) {
  setFilters(filters);
  refilter();
  $("episodes").scrollIntoView();
}
function followAddress() {
  const address = readAddress(location.hash);
  if (!address) return false;
  setFilters(address.filters);
  applyFilters();
  if (address.episode >= 0) {
    openEpisode(address.episode, address.beside, address.step);
    revealRow();
  } else refilter();
  return address.episode >= 0;
}
function fillForm() {
  const form = $("filters");
  const options = (name, pairs) => form.elements[name].append(...pairs.map(([value, text]) => el("option", { value }, text)));
  options("arm", [["", "all"], ...store.arms.map((arm, index) => [String(index), arm.name])]);
  options("type", [["", "all"], ...store.report.types.map((type) => [`=${type}`, typeName(type)])]);
  options("outcome", Object.entries(OUTCOMES).filter(([, [, , several]]) => !several || store.arms.length > 1).map(([key, [text]]) => [key, text]));
  const causes = new Set(store.episodes.map((episode) => episode.cause && episode.cause.name));
  options("cause", [["", "any"], ...Object.entries(store.causeNames).filter(([name]) => causes.has(name))]);
  let timer = 0;
  form.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(refilter, 120); });
  form.addEventListener("submit", (event) => event.preventDefault());
  $("more").addEventListener("click", showMore);
  $("recalled-filter").addEventListener("click", () => { state.recalled = ""; refilter(); });
}
/* Say that the run is still going, and load the page again unless somebody reads in a window of it. */
function stayLive() {
  if (!store.live) return;
  $("live").hidden = false;
  $("live").textContent = store.live.text;
  setInterval(() => { if (!document.querySelector("dialog[open]")) location.reload(); }, 1000 * store.live.seconds);
}
async function start() {
  take(await unpack($("data")));
  showResults();
  showLosses(show, openRecalled);
  showSetups();
  fillForm();
  listenToKeys();
  stayLive();
  state.open = openEpisode;
  window.addEventListener("hashchange", followAddress);
  const addressed = followAddress();
  if (!addressed && !location.hash.includes("?")) refilter();
  else showList();
  if (addressed) ($("reader").querySelector(".current") || $("reader")).scrollIntoView({ block: "center", behavior: "instant" });
  state.started = true;
  document.documentElement.dataset.ready = String(Math.ceil(performance.now())); // milliseconds from the start to all drawn
}
start();
