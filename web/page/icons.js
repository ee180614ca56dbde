// The icons of buttons. They are drawn here, so that the page needs no font and no further file.
const PATHS = {
  run: "M5 3.2v9.6L13 8z",
  pause: "M4 3h3v10H4zM9 3h3v10H9z",
  step: "M3 3.2v9.6L9.5 8zM11 3h2v10h-2z",
  restart: "M8 2.5a5.5 5.5 0 1 0 5.3 7h-1.7A3.9 3.9 0 1 1 8 4.1c1 0 1.9.4 2.6 1L8.8 7H14V1.8l-2.2 2.2A5.5 5.5 0 0 0 8 2.5z",
};

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg"), path = document.createElementNS(svg.namespaceURI, "path");
  for (const [key, value] of [["viewBox", "0 0 16 16"], ["class", "icon"], ["aria-hidden", "true"]]) svg.setAttribute(key, value);
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}
