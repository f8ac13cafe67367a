// The contact sheet: a click on × removes a photo, dragging one onto another moves it there, as a new order of places.

let dragged = null;
const places = () => [...element.querySelectorAll("li[data-place]")].map((cell) => Number(cell.dataset.place));
element.addEventListener("click", (event) => {
  const cell = event.target.closest("button")?.closest("li[data-place]");
  if (cell) trigger("input", { order: places().filter((place) => place !== Number(cell.dataset.place)) });
});
element.addEventListener("dragstart", (event) => { dragged = event.target.closest("li")?.dataset.place ?? null; });
element.addEventListener("dragover", (event) => event.preventDefault());
element.addEventListener("drop", (event) => {
  const input = document.querySelector("#many input[type=file]");
  if (event.dataTransfer.files.length && input) {  // more photos from outside
    event.preventDefault();
    input.files = event.dataTransfer.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  }
  const target = event.target.closest("li")?.dataset.place;
  if (dragged === null || target === undefined || dragged === target) return;
  event.preventDefault();
  const order = places().filter((place) => place !== Number(dragged));
  const before = Number(dragged) > Number(target);
  order.splice(order.indexOf(Number(target)) + (before ? 0 : 1), 0, Number(dragged));
  dragged = null;
  trigger("input", { order });
});
