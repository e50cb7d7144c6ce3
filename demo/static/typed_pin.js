// A gradio event in the browser: the value of the game's map with a pin at the typed coordinates.
(lat, lon, map) => {
  const number = text => text?.trim() ? Number(text.trim().replace("−", "-").replace(",", ".")) : NaN;
  const at = {lat: number(lat), lon: number(lon)};
  if (!map?.open) return map;
  const valid = Math.abs(at.lat) <= 90 && Math.abs(at.lon) <= 180;
  return {...map, pins: valid ? [{...at, kind: "yours", title: "your guess", label: ""}] : []};
}
