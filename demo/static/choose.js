// Buttons with a data-index. The index is written into the value and not sent as event data:
// gradio repeats a postponed event with the data of the first one, but with the latest value.
element.addEventListener("click", event => {
  const button = event.target.closest("[data-index]");
  if (!button) return;
  props.value = {...props.value, index: Number(button.dataset.index)};
  trigger("select");
});
