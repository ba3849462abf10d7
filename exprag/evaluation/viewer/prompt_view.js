/* The prompt of a step as it was sent, in a window of its own. */
import { $, el } from "./elements.js";
import { promptAt } from "./prompt.js";
import { store } from "./store.js";

/* A message, its memory blocks and documents marked. */
function parts(text) {
  const cut = text.split(/(?=<(?:experience|document)[ >])|(?<=<\/(?:experience|document)>)/);
  return cut.map((part) => /^<(experience|document)[ >]/.test(part) ? el("span", { class: "memory" }, part) : part);
}

/* Whether there is anything to show or to explain for an episode's prompts. */
export const hasPrompts = (episode) => episode.arm !== undefined && Boolean(episode.prompt || store.prompts.notes[episode.arm]);

export function openPrompt(episode, step) {
  const dialog = $("prompt"), messages = promptAt(episode, step, store.prompts.texts), note = store.prompts.notes[episode.arm];
  const size = messages ? messages.reduce((sum, [, text]) => sum + text.length, 0) : 0;
  const usage = episode.steps[step].usage, tokens = usage && usage.prompt ? `, ${usage.prompt.toLocaleString("en-US")} tokens` : "";
  const facts = messages ? `${messages.length} messages, ${size.toLocaleString("en-US")} characters${tokens}` : "";
  dialog.replaceChildren(
    el("div", { class: "bar-top" }, el("h3", { id: "prompt-title" }, `The prompt of step ${step + 1}`), el("span", { class: "where" }, facts),
      el("button", { type: "button", onclick: () => dialog.close() }, "Close")),
    ...(note ? [el("p", { class: "hint" }, note)] : []),
    messages ? el("ol", { class: "messages" }, messages.map(([role, text]) =>
      el("li", { class: role }, el("div", { class: "role" }, role), el("p", { class: "text" }, parts(text)))))
      : el("p", { class: "problem" }, episode.prompt ? "It cannot be written again: the text of a trajectory that was recalled is not in this page."
        : "It cannot be written again."));
  dialog.showModal();
  dialog.scrollTop = 0;
}
