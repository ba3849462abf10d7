/* The prompt of a step, read back from what exprag/evaluation/prompt_pool.py wrote down. Pure: no page is needed. */

/* The last entry of [step, …] that holds at a step, or undefined. */
function inForce(entries, step) {
  let last;
  for (const entry of entries || []) if (entry[0] <= step) last = entry;
  return last;
}

/* The messages of the prompt of a step as [role, text], or null where it is not known. `texts` is the pool of all texts. */
export function promptAt(episode, step, texts) {
  const prompt = episode.prompt, steps = episode.steps || [];
  if (!prompt || !steps[step]) return null;
  const join = (numbers) => numbers.map((number) => texts[number]).join("");
  const system = inForce(prompt.system, step);
  if (system && system[1] === null) return null;
  const users = new Map();
  for (const [since, place, numbers] of prompt.users || []) if (since <= step) users.set(place, numbers);
  const turns = prompt.turns || {};
  const messages = [["system", system ? join(system[1]) : ""]];
  for (let place = (inForce(prompt.first, step) || [0, 0])[1]; place <= step; place += 1) {
    const numbers = users.get(place), { observation = "", action = "", response } = steps[place];
    messages.push(["user", numbers ? join(numbers) : observation]);
    if (place < step) messages.push(["assistant", turns[place] ? join(turns[place]) : response ?? action]);
  }
  return messages;
}
