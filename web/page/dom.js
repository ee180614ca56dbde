// Small helpers for elements, canvases and work that must not run twice at once.

/** Creates an element. `properties` may hold `on: {click: …}`, `data: {…}` and attributes such as `aria-label`; what an element has as
 * a property is set as one. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (name === "on") Object.entries(value).forEach(([event, act]) => element.addEventListener(event, act));
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name in element && !name.includes("-")) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** A number with a sensible count of digits and a true minus sign. */
export function digits(x, count = 3) {
  if (!Number.isFinite(x)) return String(x);
  const size = Math.abs(x);
  const text = size !== 0 && (size >= 1e5 || size < 1e-3) ? x.toExponential(1) : String(Number(x.toPrecision(Math.max(count, size >= 1 ? Math.ceil(Math.log10(size + 1)) : 1))));
  return text.replace("-", "−").replace("e+", "e");
}

/** A number with a fixed count of decimals and a true minus sign. */
export const fixed = (x, decimals = 2) => (Math.abs(x) < 1e5 ? x.toFixed(decimals).replace("-", "−") : digits(x));

/** A whole number with separators. */
export const count = (n) => Math.round(n).toLocaleString("en");

/** Gives a canvas as many dots as its place on the screen has. Returns its context in CSS pixels with its width and height; null
 * while it is not on the screen. */
export function fit(canvas) {
  const width = canvas.clientWidth, height = canvas.clientHeight, dots = Math.min(3, devicePixelRatio || 1);
  if (!width || !height) return null;
  const [w, h] = [Math.round(width * dots), Math.round(height * dots)];
  if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
  const context = canvas.getContext("2d");
  context.setTransform(w / width, 0, 0, h / height, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height, dots };
}

/** Returns a function that runs `work` with its latest argument, one run at a time: calls during a run lead to one more run. So a
 * slider, a pen or a pointer never gets ahead of the model. */
export function latest(work) {
  let busy = false, waiting = null;
  return async (argument) => {
    waiting = [argument];
    if (busy) return;
    busy = true;
    while (waiting) {
      const [now] = waiting;
      waiting = null;
      try {
        await work(now);
      } catch {
        // An answer that a stopped worker owes; the failure itself is shown where the worker says it.
      }
    }
    busy = false;
  };
}

/** Saves bytes as a file of the visitor's. */
export function download(bytes, name) {
  const href = URL.createObjectURL(new Blob([bytes], { type: "application/octet-stream" }));
  make("a", { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), 10_000);
}

/** Whether the visitor asks for little movement. */
export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** The value of a colour or a length of the style sheet. */
export const shade = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
