// A line of the rubric adds its points and its text; pressing it again, or another line of its item, takes them away.
const lines = [...document.querySelectorAll(".line")];
const form = document.querySelector("form");

function press(line, pressed) {
  const was = line.getAttribute("aria-pressed") === "true";
  if (was === pressed) return;
  line.setAttribute("aria-pressed", pressed);
  const { points, comment } = form.elements;
  const change = pressed ? Number(line.dataset.points) : -Number(line.dataset.points);
  points.value = Math.min(Number(points.max), Math.max(0, Math.round((Number(points.value) + change) * 100) / 100));
  const others = comment.value.split("\n").filter((text) => text.trim() && text !== line.dataset.text);
  comment.value = (pressed ? [...others, line.dataset.text] : others).join("\n");
}

for (const line of lines) {
  if (form.elements.comment.value.split("\n").includes(line.dataset.text)) line.setAttribute("aria-pressed", true);
  line.addEventListener("click", () => {
    const pressed = line.getAttribute("aria-pressed") !== "true";
    for (const other of lines) if (other.dataset.item === line.dataset.item) press(other, false);
    press(line, pressed);
  });
}
document.addEventListener("keydown", (event) => {
  if (!form) return;
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  const typing = ["INPUT", "TEXTAREA"].includes(event.target.tagName) || event.ctrlKey || event.altKey || event.metaKey;
  if (!typing && /^[1-9]$/.test(event.key)) lines[event.key - 1]?.click();
});
