// Runs the laws in workers and shows what came out. `globalThis.done` is then what tests/pages/laws.mjs reads. A panic ends a module, so
// the worker is replaced by another one after it, and laws that must panic come last.
const words = new URLSearchParams(location.search), only = words.get("only") ?? "", $ = (id) => document.getElementById(id);
const results = [], compiled = new Map(), complaints = new Set(), start = performance.now();
let waiting, all, places = "", skipped = [], known = [], buffers = 0;

const fresh = () => new Worker("worker.js", { type: "module" });

function show(doing) {
  const wrong = results.filter(({ wrong }) => wrong);
  $("state").textContent = `${results.length} of ${all} laws, ${wrong.length} broken${doing ? `; now ${doing}` : ""}. ${places}`;
  $("failures").textContent = [...wrong.map(({ name, wrong }) => `${name}: ${wrong}`), ...complaints].join("\n");
  $("kernels").replaceChildren(...known.map((kernel) => {
    const row = document.createElement("tr");
    row.append(...[kernel, compiled.has(kernel) ? `${compiled.get(kernel)} variants` : "not launched"].map((text) => Object.assign(document.createElement("td"), { textContent: text })));
    return row;
  }));
}

/** One worker after the other takes laws until none is left. */
function work() {
  return new Promise((done) => {
    let worker, now;
    const next = () => {
      now = waiting.shift();
      if (!now) { worker.postMessage({ ask: "end" }); return; }
      show(now.name);
      worker.postMessage({ ask: "run", law: now });
    };
    const begin = () => {
      worker = fresh();
      worker.onerror = (event) => heard({ wrong: `the worker failed: ${event.message}`, ended: true });
      worker.onmessage = ({ data }) => heard(data);
    };
    const heard = (data) => {
      for (const [kernel, count] of data.compiled ?? []) compiled.set(kernel, (compiled.get(kernel) ?? 0) + count);
      for (const complaint of data.complaints ?? []) complaints.add(complaint);
      if (data.places) places = data.places;
      if (data.over) { worker.terminate(); return done(); }
      if (data.ready) return next();
      results.push({ name: now.name, wrong: data.wrong, seconds: data.seconds });
      if (!data.ended) return next();
      worker.terminate();
      begin();
    };
    begin();
  });
}

const first = fresh();
first.onmessage = async ({ data }) => {
  if (!data.ready) return;
  first.terminate();
  [known, buffers] = [data.kernels, data.buffers];
  const laws = data.laws.map((law, place) => ({ ...law, place })).filter(({ name }) => name.includes(only));
  skipped = laws.filter(({ ignored }) => ignored);
  $("ignored").textContent = skipped.map(({ name, ignored }) => `${name}: ${ignored}`).join("\n");
  waiting = laws.filter(({ ignored }) => !ignored).sort((a, b) => Boolean(a.panics) - Boolean(b.panics));
  all = waiting.length;
  await Promise.all(Array.from({ length: Number(words.get("workers") ?? 1) }, work));
  show("");
  globalThis.done = { results, skipped, places, buffers, kernels: known, compiled: [...compiled], complaints: [...complaints], seconds: (performance.now() - start) / 1000 };
};
first.onerror = (event) => { globalThis.done = { error: event.message }; };
