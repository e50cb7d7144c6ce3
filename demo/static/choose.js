// Buttons with a data-index inside this component. The index becomes its value, not event data:
// gradio repeats a postponed event with the data of the first one, but with the latest value.
element.addEventListener("click", event => {
  const button = event.target.closest("[data-index]");
  if (!button) return;
  props.value = Number(button.dataset.index);
  trigger("select");
});
