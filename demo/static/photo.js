// The photo of the answer. The browser shows the file that it sent: the server sends an image of formats alone
// that no browser shows, and of the examples.
let address = "";
function show() {
  URL.revokeObjectURL(address);
  const image = element.querySelector("img[data-run]");
  if (!image) return;
  const {run, index} = image.dataset, photos = document.querySelector(".drop").photos;
  const file = photos.get(run)?.[index];
  if (!file) return;
  for (const earlier of photos.keys()) {       // in the order of the uploads
    if (earlier === run) break;
    photos.delete(earlier);
  }
  image.src = address = URL.createObjectURL(file);
}
watch("value", show);
show();                                        // the first answer arrives before this script runs
