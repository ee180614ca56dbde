// The canvas to draw on. It has the ground of the run's images. The server makes it as small as those and encodes it after each piece of
// a stroke.
let stroke = null; // the pointer that draws, and where it was
let empty = true;

const inked = () => $("drawing").getContext("2d", { willReadFrequently: true }); // after each piece of a stroke

function prepareDrawing() {
  const [channels] = about.shape;
  $("ink-label").hidden = channels === 1;
  $("ink").value = about.ground === "light" ? "#000000" : "#ffffff";
  clear();
}

function clear() {
  const context = inked(), { width, height } = $("drawing");
  context.fillStyle = about.ground === "light" ? "#fff" : "#000";
  context.fillRect(0, 0, width, height);
  empty = true;
  $("seen-figure").hidden = true;
}

/** Where an event is on the canvas, in its own pixels. */
function spot(event) {
  const canvas = $("drawing"), box = canvas.getBoundingClientRect();
  return [
    ((event.clientX - box.left - canvas.clientLeft) / canvas.clientWidth) * canvas.width,
    ((event.clientY - box.top - canvas.clientTop) / canvas.clientHeight) * canvas.height,
  ];
}

function line(from, to) {
  const context = inked();
  context.strokeStyle = $("ink").value;
  context.lineWidth = (Number($("pen").value) / 100) * $("drawing").width;
  context.lineCap = context.lineJoin = "round";
  context.beginPath();
  context.moveTo(...from);
  context.lineTo(...to);
  context.stroke();
  empty = false;
  encodeDrawing();
}

const encodeDrawing = oneAtATime(async () => {
  const blob = await new Promise((done) => $("drawing").toBlob(done));
  const code = await encode(blob, "whole=true");
  if (empty) return; // it was cleared meanwhile
  const [channels, height, width] = about.shape;
  $("seen").src = code.picture;
  $("seen-words").textContent = `As the model sees it: ${width} × ${height} pixels, ${channels === 1 ? "grey" : "in colour"}`;
  $("seen-figure").hidden = false;
  set(code.z);
  $("status").textContent = "The drawing is encoded.";
});

$("drawing").addEventListener("pointerdown", (event) => {
  if (stroke || event.button !== 0) return;
  event.preventDefault();
  $("drawing").setPointerCapture(event.pointerId);
  const at = spot(event);
  stroke = { pointer: event.pointerId, at };
  line(at, at);
});
$("drawing").addEventListener("pointermove", (event) => {
  if (stroke?.pointer !== event.pointerId) return;
  const all = event.getCoalescedEvents?.() ?? [];
  for (const part of all.length ? all : [event]) {
    const at = spot(part);
    line(stroke.at, at);
    stroke.at = at;
  }
});
for (const name of ["pointerup", "pointercancel"]) {
  $("drawing").addEventListener(name, (event) => {
    if (stroke?.pointer === event.pointerId) stroke = null;
  });
}
$("clear").addEventListener("click", () => {
  clear();
  $("status").textContent = "The drawing is cleared.";
});
