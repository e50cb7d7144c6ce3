// Downloads a file that the server sent as the value; the server keeps no copy on disk.
watch("value", () => {
  const file = props.value;
  if (!file) return;
  const bytes = Uint8Array.from(atob(file.base64), letter => letter.charCodeAt(0));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([bytes], {type: "application/octet-stream"}));
  link.download = file.name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  element.querySelector("[role=status]").textContent = `Saved ${file.name}`;
});
