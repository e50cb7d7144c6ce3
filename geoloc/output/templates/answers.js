// One or more answers, one at a time: places in a list, and the map of each answer.
function show(photo) {
  for (const id of ["name", "sentence", "best", "note"]) $(id).textContent = photo[id];
  $("list").replaceChildren();
  photo.places.forEach(listPlace);
  $("similar").hidden = !photo.similar.length;
  $("alike").textContent = `${photo.alike} The numbers are those on the map.`;
  $("known").replaceChildren();
  photo.similar.forEach(listSimilar);
  mapLegend(document, photo.map);
  map.show(photo.map);
}

function listPlace(place) {
  const button = make(make($("list"), "li", {}), "button", {type: "button"}, place.place);
  make(button, "small", {}, `${place.lat.toFixed(4)}, ${place.lon.toFixed(4)} · ${place.probability} within 25 km`);
  button.onclick = () => map.goTo(place.lat, place.lon);
}

function listSimilar(known) {                             // with the credit that its licence asks for
  const item = make($("known"), "li", {}), text = make(item, "div", {});
  if (known.thumbnail) item.prepend(Object.assign(new Image(), {src: known.thumbnail, alt: ""}));
  if (known.is_link) make(text, "a", {href: known.source, rel: "noopener noreferrer"}, known.name);
  else make(text, "span", {title: known.source}, known.name);
  make(text, "small", {}, known.credit);
}

data.photos.forEach((each, i) => make($("choose"), "option", {value: i}, each.name));
$("choose").hidden = data.photos.length < 2;
$("choose").onchange = event => show(data.photos[event.target.value]);
show(data.photos[0]);
