// Buttons that carry the number of what they choose.
element.addEventListener("click", event => {
  const button = event.target.closest("[data-index]");
  if (button) trigger("select", {index: Number(button.dataset.index)});
});
