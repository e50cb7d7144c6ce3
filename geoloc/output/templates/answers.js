// One or more answers, one at a time: places in a list, pins, regions and the 80 % circle.
const OPACITY = {0.5: .34, 0.8: .2, 0.95: .14};            // of the regions, which lie in each other

function show(photo) {
  for (const id of ["name", "sentence", "best", "note"]) $(id).textContent = photo[id];
  for (const id of ["cells", "pins", "list"]) $(id).replaceChildren();
  drawSurroundings(photo);
  for (const [level, cells] of Object.entries(photo.region))
    make($("cells"), "path", {d: cells, "fill-opacity": OPACITY[level]});
  photo.pins.forEach(listPlace);
  drawPins(photo);
  home = photo.window;
  goHome();
}

function drawSurroundings(photo) {                         // detailed borders on a sea that hides the coarse ones
  const [left, top, right, bottom] = photo.around;
  $("sea").setAttribute("d", photo.detail && `M${left},${top}H${right}V${bottom}H${left}Z`);
  $("detail").setAttribute("d", photo.detail);
  $("circle").setAttribute("d", photo.circle);
}

function listPlace(place) {
  const button = make(make($("list"), "li", {}), "button", {type: "button"}, place.place);
  make(button, "small", {}, `${place.where} · ${place.probability} within 25 km`);
  button.onclick = () => goTo(place.at);
}

function drawPins(photo) {
  if (photo.file) pin("file", photo.file, "", "position in the file");
  $("says").hidden = !photo.file;
  [...photo.pins.entries()].reverse().forEach(([i, place]) =>     // the answer last: on top
    pin(i || photo.best ? "other" : "first", place.at, i + 1, `${place.place}: ${place.probability} within 25 km`));
  if (photo.best) pin("first", photo.answer, "", photo.best);
}

data.photos.forEach((each, i) => make($("choose"), "option", {value: i}, each.name));
$("choose").hidden = data.photos.length < 2;
$("choose").onchange = event => show(data.photos[event.target.value]);
show(data.photos[0]);
