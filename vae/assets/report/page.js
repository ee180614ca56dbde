// A line through the points that are nearest to the pointer, and their words. Without this a point still tells its own.
for (const figure of document.querySelectorAll("figure.chart")) {
  const svg = figure.querySelector("svg"), points = [...svg.querySelectorAll("circle")];
  if (!points.length) continue;
  const cross = document.createElementNS("http://www.w3.org/2000/svg", "path"), read = document.createElement("div");
  cross.setAttribute("class", "cross");
  read.className = "read";
  read.hidden = true;
  read.setAttribute("aria-hidden", "true");
  svg.append(cross);
  figure.append(read);
  const x = (point) => point.cx.baseVal.value;
  const clear = () => {
    cross.removeAttribute("d");
    read.hidden = true;
    for (const point of points) point.classList.remove("near");
  };
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect(), at = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
    const nearest = points.reduce((best, point) => (Math.abs(x(point) - at) < Math.abs(x(best) - at) ? point : best));
    clear();
    const near = points.filter((point) => x(point) === x(nearest));
    for (const point of near) point.classList.add("near");
    cross.setAttribute("d", `M${x(nearest)} 12V226`);
    read.textContent = near.slice(0, 12).map((point) => point.textContent).join("\n");
    read.hidden = false;
  });
  svg.addEventListener("pointerleave", clear);
}

// Figures are drawn as wide as the page. A figure that is wider has a button that shows it in full size, to be scrolled.
for (const figure of document.querySelectorAll("figure.picture")) {
  const svg = figure.querySelector("svg"), box = figure.querySelector(".scroll"), button = document.createElement("button");
  button.type = "button";
  button.className = "size";
  button.textContent = "Full size";
  button.setAttribute("aria-pressed", "false");
  button.addEventListener("click", () => button.setAttribute("aria-pressed", String(figure.classList.toggle("full"))));
  const fit = () => (button.hidden = svg.width.baseVal.value <= box.clientWidth);
  box.before(button);
  fit();
  addEventListener("resize", fit);
}

// The map of two latents: the slider chooses the epochs whose picture is shown.
for (const figure of document.querySelectorAll("figure.stills")) {
  const stills = [...figure.querySelectorAll("img")], slider = figure.querySelector("input"), told = figure.querySelector("output");
  slider.addEventListener("input", () => {
    stills.forEach((still, i) => (still.hidden = i !== Number(slider.value)));
    told.textContent = stills[slider.value].dataset.epoch;
    slider.setAttribute("aria-valuetext", `after ${told.textContent} epochs`);
  });
}
