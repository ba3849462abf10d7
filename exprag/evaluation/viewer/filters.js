/* Which episodes are listed. Pure: no page is needed. */
import { endedOf, keyOf, recalledAt, stepsOf, store } from "./store.js";

const solvedElsewhere = (episode, solved) => store.byTask.get(keyOf(episode)).some((index) => {
  const other = store.episodes[index];
  return other.arm !== episode.arm && (other.success === true) === solved;
});

/* Outcomes by name: words, the test, and whether it takes several arms. */
export const OUTCOMES = {
  "": ["any", () => true],
  solved: ["solved", (e) => e.success === true],
  unsolved: ["not solved", (e) => e.success !== true],
  differs: ["arms disagree", (e) => solvedElsewhere(e, e.success !== true), true],
  lost_alone: ["lost here, won by another arm", (e) => e.success !== true && solvedElsewhere(e, true), true],
  won_alone: ["won here, lost by another arm", (e) => e.success === true && solvedElsewhere(e, false), true],
  truncated: ["reached the step limit", (e) => endedOf(e) === "truncated"],
  gave_up: ["gave up", (e) => endedOf(e) === "gave_up"],
  error: ["broke off with an error", (e) => endedOf(e) === "error" || Boolean(e.error)],
  invalid: ["has actions that were not understood", (e) => stepsOf(e).some((step) => step.valid === false)],
  repaired: ["has repaired turns", (e) => stepsOf(e).some((step) => step.note)],
  loop: ["went round in a loop", (e) => store.looping.has(e)],
};

const haystacks = new Map();
function haystack(episode) {
  if (!haystacks.has(episode)) {
    const { task, id, final_observation: end = "" } = episode;
    const parts = [task.instruction, task.id, task.type, id, end];
    for (const step of stepsOf(episode)) parts.push(step.observation, step.action, step.thought);
    haystacks.set(episode, parts.filter(Boolean).join("\n").toLowerCase());
  }
  return haystacks.get(episode);
}

/* Whether a trajectory was in context at some step. */
export const hasRecalled = (episode, id) => stepsOf(episode).some((_, index) => recalledAt(episode, index).some((item) => item.id === id));

/* The places of the episodes that fit: arm (a place, or ""), type ("=" and its name), outcome, cause, text, recalled (an id). */
export function select({ arm = "", type = "", outcome = "", cause = "", text = "", recalled = "" }) {
  const fits = (OUTCOMES[outcome] || OUTCOMES[""])[1], words = text.trim().toLowerCase();
  return store.episodes.map((_, index) => index).filter((index) => {
    const episode = store.episodes[index];
    return (arm === "" || episode.arm === Number(arm)) && (type === "" || `=${episode.task.type || ""}` === type) && fits(episode)
      && (cause === "" || (episode.cause && episode.cause.name === cause))
      && (recalled === "" || hasRecalled(episode, recalled)) && (words === "" || haystack(episode).includes(words));
  });
}
