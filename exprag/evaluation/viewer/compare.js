/* Two episodes of one task, step by step. Pure: no page is needed. */

/* The first step in which two episodes differ, and in what: "see" (observation), "act" (action) or "end" (one of them has no such
   step); null where they are the same. */
export function partingOf(one, other) {
  const [first, second] = [one.steps || [], other.steps || []];
  for (let step = 0; step < Math.max(first.length, second.length); step += 1) {
    if (step >= first.length || step >= second.length) return { step, kind: "end" };
    if ((first[step].observation || "") !== (second[step].observation || "")) return { step, kind: "see" };
    if ((first[step].action || "") !== (second[step].action || "")) return { step, kind: "act" };
  }
  return null;
}

export const PARTING = {
  see: "here the two see different things",
  act: "from here the two act differently",
  end: "here one of the two has ended",
};
