// What went wrong, in one line, and the ways on. A worker that has stopped leaves its last pictures on the screen.
import { make } from "./dom.js";

export function fault(lab) {
  const line = make("p", { className: "line" }), ways = make("div", { className: "ways" });
  const element = make("div", { className: "fault", role: "alert", hidden: true }, line, ways);
  const button = (name, act) => make("button", { type: "button", on: { click: act } }, name);
  let fades, waysOn = null; // the buttons that begin anew, as long as training has stopped
  function say(text, kind, ...buttons) {
    clearTimeout(fades);
    line.textContent = text;
    element.dataset.kind = kind;
    ways.replaceChildren(...buttons);
    element.hidden = false;
  }
  const clear = () => {
    clearTimeout(fades);
    waysOn = null;
    element.hidden = true;
    lab.element.classList.remove("stopped");
  };
  return {
    element,
    clear,
    /** Training has stopped. `device` is the one that it ran on. */
    show(text, device) {
      const again = button("Begin anew", () => lab.restart(lab.settings.device));
      const onCpu = button("Begin anew on the CPU", () => lab.restart("cpu"));
      const defaults = button("Begin anew with the page's own settings", () => lab.resetSettings());
      waysOn = [again, ...(device === "cpu" ? [] : [onCpu]), defaults];
      say(text, "stopped", ...waysOn);
      lab.element.classList.add("stopped");
    },
    /** Something was refused, and training goes on; or, if `good`, something was done. */
    note(text, good = false) {
      if (waysOn) return say(text, "stopped", ...waysOn);
      say(text, good ? "done" : "refused", button("Close", clear));
      if (good) fades = setTimeout(clear, 12_000);
    },
  };
}
