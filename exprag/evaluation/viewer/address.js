/* Deep links: #/EPISODE/STEP/BESIDE?arm=…&cause=… with ids of episodes, or their places in the list. Pure: no page is needed. */
import { store } from "./store.js";

export const FILTERS = ["arm", "type", "outcome", "cause", "text", "recalled"];

/* An episode by its id, else by its place; -1 for none. */
function findEpisode(word) {
  const index = store.byId.get(word);
  if (index !== undefined && index >= 0) return index;
  return /^\d+$/.test(word) && Number(word) < store.episodes.length ? Number(word) : -1;
}
const nameOf = (index) => store.byId.get(store.episodes[index].id) === index && !/^\d+$/.test(store.episodes[index].id)
  ? encodeURIComponent(store.episodes[index].id) : String(index);

function decoded(text) {
  try { return decodeURIComponent(text); } catch { return text; }
}

/* What an address asks for: { episode, step, beside, filters }, or null where it names no episode of this page. */
export function readAddress(hash) {
  const [path, query = ""] = hash.replace(/^#/, "").split("?");
  const filters = {};
  for (const [name, value] of new URLSearchParams(query)) if (FILTERS.includes(name)) filters[name] = value;
  const [, first = "", step = "1", other = ""] = path.split("/");
  const episode = path.startsWith("/") ? findEpisode(decoded(first)) : -1;
  if (episode < 0 && !Object.keys(filters).length) return null;
  return { episode, step: Math.max(0, (Number.parseInt(step, 10) || 1) - 1), beside: other ? findEpisode(decoded(other)) : -1, filters };
}

/* The address of an episode, a step, an episode beside it and the filters that are set. */
export function writeAddress({ episode, step, beside, filters }) {
  const query = new URLSearchParams(Object.entries(filters).filter(([name, value]) => FILTERS.includes(name) && value)).toString();
  const path = episode < 0 ? "/" : `/${nameOf(episode)}/${step + 1}${beside >= 0 ? `/${nameOf(beside)}` : ""}`;
  return `#${path}${query ? `?${query}` : ""}`;
}
