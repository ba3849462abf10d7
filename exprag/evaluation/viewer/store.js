/* The data of the page, and what is looked up in it. Pure: no page is needed. */
export const store = {
  report: null, arms: [], episodes: [], sentences: [], recalled: {}, prompts: { texts: [], notes: [] }, causeNames: {}, live: null,
  byTask: new Map(), byId: new Map(), looping: new Set(), baseline: -1,
};

/* Take up the data that exprag/evaluation/page.py wrote. */
export function take(data) {
  Object.assign(store, {
    report: data.report, arms: data.report.arms, episodes: data.episodes, sentences: data.sentences, recalled: data.recalled,
    prompts: data.prompts, causeNames: data.causes, live: data.live,
    byTask: new Map(), byId: new Map(), looping: new Set(data.loops.map((index) => data.episodes[index])),
  });
  store.baseline = store.arms.findIndex((arm) => arm.name === store.report.baseline);
  store.episodes.forEach((episode, index) => {
    const key = keyOf(episode);
    if (!store.byTask.has(key)) store.byTask.set(key, []);
    store.byTask.get(key).push(index);
    store.byId.set(episode.id, store.byId.has(episode.id) ? -1 : index);
  });
  return store;
}

export const keyOf = (episode) => `${episode.task.environment}:${episode.task.id}`;
export const endedOf = (episode) => episode.ended || "terminated";
export const stepsOf = (episode) => episode.steps || [];

/* The other episodes of an episode's task, as places in the list: those of other arms first. */
export function othersOf(index) {
  const arm = store.episodes[index].arm;
  const others = store.byTask.get(keyOf(store.episodes[index])).filter((other) => other !== index);
  return [...others.filter((other) => store.episodes[other].arm !== arm), ...others.filter((other) => store.episodes[other].arm === arm)];
}

/* Sign, tone and word of an outcome. */
export function mark(episode) {
  if (episode.error || endedOf(episode) === "error") return ["!", "warn", "broke off"];
  if (episode.success === true) return ["✓", "good", "solved"];
  return episode.success === false ? ["✗", "bad", "not solved"] : ["?", "warn", "outcome unknown"];
}

/* Steps whose recalled list is that of the step before are stored without it. */
export function recalledAt(episode, index) {
  let at = index;
  while (at > 0 && episode.steps[at].same_recall) at -= 1;
  return (episode.steps[at] || {}).recalled || [];
}

/* A recalled trajectory: of a bank, else an episode of this page that has this id. */
export function findRecalled(id) {
  if (Object.hasOwn(store.recalled, id)) return store.recalled[id];
  return store.episodes[store.byId.get(id) ?? -1];
}

export function armColor(index) {
  if (index === store.baseline) return "var(--arm0)";
  const rank = index - (store.baseline >= 0 && store.baseline < index ? 1 : 0);
  return `var(--arm${1 + (rank % 5)})`;
}
