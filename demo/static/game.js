// The map of the game: a guess by a click, or by keyboard with Enter in the middle of the map. Its value is
// {open, and what planet_map.js shows}.
const box = element.querySelector(".game-map"), files = new URL(box.dataset.files, document.baseURI).href;
let starting = null, wasOpen = null;          // only one start at a time; a failed one may be repeated

async function start() {
  const {planetMap} = await import(files + "planet_map.js");
  const planet = await planetMap(box.querySelector(".planet"), {
    label: "World map. Click to place your guess. Arrow keys move the map, plus and minus zoom, Enter places the guess in the centre."});
  planet.onPlace = at => {
    if (!props.value?.open) return;
    props.value = {...props.value, pins: [{...at, kind: "yours", title: "your guess", label: ""}]};   // see choose.js
    changed();
    trigger("select");
  };
  box.querySelector(".planet").planet = planet;
  return planet;
}

async function changed() {
  try {
    const planet = await (starting ??= start()), {open, pins = []} = props.value;
    planet.show(props.value, open && wasOpen && pins.length > 0);   // a guess does not move the map
    wasOpen = open;
  } catch {
    starting = null;
    setTimeout(changed, 2000);
  }
}
watch("value", changed);
if (props.value) changed();                   // the first round arrives before this script runs
