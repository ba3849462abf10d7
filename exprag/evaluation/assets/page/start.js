/* ---- the address of an episode, the keys, and the start ---- */
function fromAddress() {
  const address = /^#\/(\d+)(?:\/(\d+))?(?:\/(\d+))?$/.exec(location.hash);
  if (!address || Number(address[1]) >= episodes.length) return false;
  const beside = address[3] === undefined || Number(address[3]) >= episodes.length ? -1 : Number(address[3]);
  openEpisode(Number(address[1]), beside, Number(address[2] || 1) - 1);
  return true;
}
function start() {
  showResults();
  showSetups();
  const form = $("filters");
  const options = (name, pairs) => form.elements[name].append(...pairs.map(([value, text]) => el("option", { value }, text)));
  options("arm", [["", "all"], ...arms.map((arm, index) => [String(index), arm.name])]);
  options("type", [["", "all"], ...report.types.map((type) => [`=${type}`, typeName(type)])]);
  options("outcome", Object.entries(OUTCOMES).filter(([key]) => key !== "differs" || arms.length > 1).map(([key, [text]]) => [key, text]));
  let timer = 0;
  form.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(applyFilters, 120); });
  form.addEventListener("submit", (event) => event.preventDefault());
  $("more").addEventListener("click", () => { state.limit += LIST_PAGE; showList(); });
  $("list").addEventListener("keydown", (event) => {
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    moveEpisode(by === Infinity ? state.listed.length : by === -Infinity ? -state.listed.length : by);
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || $("recalled").open || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (by && state.episode >= 0) {
      event.preventDefault();
      if (event.shiftKey) moveEpisode(by); else setStep(state.step + by, true);
    } else if (event.key === "/") { event.preventDefault(); form.elements.text.focus(); }
  });
  window.addEventListener("hashchange", fromAddress);
  const addressed = fromAddress();
  applyFilters();
  if (addressed) {
    if (state.episode >= state.limit) { state.limit = state.episode + 1; showList(); }
    revealRow();
    ($("reader").querySelector(".current") || $("reader")).scrollIntoView({ block: "center", behavior: "instant" });
  }
  state.started = true;
}
start();
