/* The keyboard. */
import { $ } from "./elements.js";
import { moveEpisode, state } from "./list.js";
import { openPrompt, hasPrompts } from "./prompt_view.js";
import { goToParting, setStep, toggleBeside } from "./reader.js";
import { stepsOf, store } from "./store.js";

export function listenToKeys() {
  $("list").addEventListener("keydown", (event) => {
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -state.listed.length, End: state.listed.length }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    moveEpisode(by);
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    if (event.key === "/") { event.preventDefault(); $("filters").elements.text.focus(); return; }
    if (state.episode < 0) return;
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (by) {
      event.preventDefault();
      if (event.shiftKey) moveEpisode(by); else setStep(state.step + by, true);
    } else if (event.key === "p") {
      const episode = store.episodes[state.episode];
      if (hasPrompts(episode) && stepsOf(episode)[state.step]) openPrompt(episode, state.step);
    } else if (event.key === "b") toggleBeside();
    else if (event.key === "d") goToParting();
  });
}
