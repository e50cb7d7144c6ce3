// The task or the result of a round of the game. On a narrow screen, where the button that was pressed is far below
// them, they are scrolled into view.
function shown() {
  if (!props.value || !matchMedia("(max-width: 720px)").matches) return;
  const behavior = matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth";
  requestAnimationFrame(() => requestAnimationFrame(() => element.scrollIntoView({block: "start", behavior})));
}
watch("value", shown);
shown();                                      // the first round arrives before this script runs
