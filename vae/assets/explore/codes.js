// Codes: the z of test images and of a person's own pictures, which can be kept, interpolated and blended.
const MOST = 40; // kept codes
const kept = [];
let offered = []; // files on the other ground than the run's images, and their codes

/** Keeps a code with a picture, a weight and a sign. */
function keep(code, words, src) {
  if (kept.length === MOST) throw new Error(`At most ${MOST} codes can be kept. Remove one first.`);
  const one = { z: [...code], words, src, weight: 1, negate: false };
  kept.push(one);
  list();
  return one;
}

function list() {
  const named = (element, words) => (element.setAttribute("aria-label", words), element);
  $("kept").replaceChildren(...kept.map((one, i) => {
    const weight = named(make("input", { type: "number", step: 0.1, value: one.weight }), `weight of ${one.words}`);
    weight.addEventListener("input", () => { one.weight = Number(weight.value) || 0; blend(); });
    const negate = named(make("input", { type: "checkbox", checked: one.negate }), `negate ${one.words}`);
    negate.addEventListener("change", () => { one.negate = negate.checked; blend(); });
    const show = named(make("button", { type: "button", textContent: "Show" }), `Show ${one.words}`);
    show.addEventListener("click", () => set(one.z));
    const drop = named(make("button", { type: "button", textContent: "✕" }), `Remove ${one.words}`);
    drop.addEventListener("click", () => {
      kept.splice(i, 1);
      list();
      ($("kept").querySelector("button") ?? $("keep")).focus();
    });
    return make("li", {},
      make("strong", { textContent: `${i + 1}. ${one.words}` }),
      make("img", { src: one.src, alt: one.words }),
      make("label", {}, "weight", weight), make("label", {}, "negate", negate),
      make("div", { className: "row" }, show, drop));
  }));
  $("none").hidden = kept.length > 0;
  $("moves").hidden = kept.length < 2;
  for (const [id, otherwise] of [["from", kept.length - 2], ["to", kept.length - 1]]) {
    $(id).replaceChildren(...kept.map((one, i) => make("option", { value: i, textContent: `${i + 1}. ${one.words}` })));
    $(id).value = Math.max(otherwise, 0);
  }
  $("move").value = 0;
}

/** z = Σ weight · (±1) · z. */
function blend() {
  set(z.map((_, d) => kept.reduce((sum, one) => sum + one.weight * (one.negate ? -1 : 1) * one.z[d], 0)));
}

function move() {
  const [a, b] = [kept[$("from").value], kept[$("to").value]], t = Number($("move").value);
  set(z.map((_, d) => (1 - t) * a.z[d] + t * b.z[d]));
}

/** Encodes the bytes of a picture; `how` are parts of the query. */
async function encode(body, ...how) {
  return (await ask(`/picture?${[`label=${told()}`, ...how].join("&")}`, { method: "POST", body })).json();
}

async function encodeTest(place) {
  $("place").value = place;
  const code = await (await ask(`/image?place=${place}`)).json();
  if (about.told) $("told").value = code.label;
  keep(code.z, `test ${place}, ${className(code.label)}`, code.picture);
  set(code.z);
  $("status").textContent = `Test image ${place} (${className(code.label)}) is encoded and kept.`;
}

async function encodeFiles(files) {
  offered = [];
  offer();
  const wrong = [];
  for (const file of files) {
    try {
      if (file.size > 10e6) throw new Error("it is larger than 10 MB");
      const code = await encode(file), one = keep(code.z, file.name.slice(0, 40), code.picture);
      if (code.other_ground) offered.push({ file, one });
      set(code.z);
      $("status").textContent = `${file.name} is encoded and kept.`;
      offer();
    } catch (error) {
      wrong.push(`${file.name}: ${error.message}`);
    }
  }
  if (wrong.length) throw new Error(wrong.join("; "));
}

/** Tells which pictures have another ground than the run's images, and shows the button that inverts them. */
function offer() {
  $("offer").hidden = !offered.length;
  const [ours, theirs] = about.ground === "dark" ? ["dark", "light"] : ["light", "dark"];
  const who = offered.map(({ file }) => file.name).join(", ");
  $("offer-words").textContent = offered.length
    ? `The border of ${who} is ${theirs}. The images of this run have a ${ours} ground, so the model may make no sense of it.` : "";
}

async function invert() {
  const files = offered;
  offered = [];
  for (const { file, one } of files) {
    const code = await encode(file, "inverted=true"), words = `${file.name.slice(0, 40)}, inverted`;
    if (kept.includes(one)) Object.assign(one, { z: code.z, words, src: code.picture });
    else keep(code.z, words, code.picture);
    list();
    set(code.z);
    $("status").textContent = `${file.name} is inverted, encoded and kept.`;
  }
  offer();
  $("file").focus();
}

$("from").addEventListener("change", move);
$("to").addEventListener("change", move);
$("move").addEventListener("input", move);
$("blend").addEventListener("click", blend);
$("keep").addEventListener("click", () => act(async () => {
  keep(z, `kept z ${kept.length + 1}`, $("shown").toDataURL());
  $("status").textContent = "This z is kept.";
}));
$("test").addEventListener("submit", (event) => {
  event.preventDefault();
  act(() => encodeTest(Math.trunc(Number($("place").value)) || 0));
});
$("any").addEventListener("click", () => act(() => encodeTest(Math.floor(Math.random() * about.images))));
$("file").addEventListener("change", () => act(async () => {
  const files = [...$("file").files];
  $("file").value = ""; // so that the same file, once it is mended, is a change again
  await encodeFiles(files);
}));
$("invert").addEventListener("click", () => act(invert));
for (const [name, over] of [["dragover", true], ["dragleave", false], ["drop", false]]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", over);
    if (name === "drop") act(() => encodeFiles([...event.dataTransfer.files]));
  });
}
