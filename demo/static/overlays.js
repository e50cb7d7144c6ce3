// The button beside a position that a camera wrote on the photo: it is the check box of "More clues".
element.addEventListener("click", event => {
  if (event.target.closest("[data-overlays]")) document.querySelector(".use-overlays input").click();
});
