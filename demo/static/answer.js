// Tells drop.js of a new answer. On a narrow screen it is scrolled into view: the photo and the form are
// above it or below.
function shown() {
  if (!props.value) return;
  document.dispatchEvent(new Event("answer-shown"));
  if (!matchMedia("(max-width: 720px)").matches) return;
  const behavior = matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth";
  requestAnimationFrame(() => requestAnimationFrame(() => element.scrollIntoView({block: "start", behavior})));
}
watch("value", shown);
shown();                                      // the first answer arrives before this script runs
