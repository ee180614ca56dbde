// Runs the laws in workers and shows what came out. `globalThis.done` is then what tests/pages/laws.mjs reads. A panic ends a module, so
// the worker is replaced by another one after it, and laws that must panic come last. A worker whose law takes too long is replaced, too.
const words = new URLSearchParams(location.search), only = words.get("only") ?? "", $ = (id) => document.getElementById(id);
const limit = Number(words.get("limit") ?? 600); // seconds for a law
const results = (globalThis.results = []), compiled = new Map(), complaints = new Set(), start = performance.now();
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

const moduleOf = ({ name }) => name.split("::").slice(0, 2).join("::"), busy = new Set();

/** The next law for a worker: one of the module of its last law, whose kernels it has compiled already, or of a module that no other
 * worker is busy with. Laws that must panic come last. */
function take(last) {
  if (last) busy.delete(moduleOf(last));
  const calm = waiting.filter(({ panics }) => panics === null), left = calm.length ? calm : waiting;
  const law = left.find((law) => last && moduleOf(law) === moduleOf(last)) ?? left.find((law) => !busy.has(moduleOf(law))) ?? left[0];
  if (!law) return undefined;
  waiting.splice(waiting.indexOf(law), 1);
  busy.add(moduleOf(law));
  return law;
}

/** One worker after the other takes laws until none is left. */
function work() {
  return new Promise((done) => {
    let worker, now, late;
    const next = () => {
      now = take(now);
      if (!now) { worker.postMessage({ ask: "end" }); return; }
      show(now.name);
      worker.postMessage({ ask: "run", law: now });
      late = setTimeout(() => heard({ wrong: `takes longer than ${limit} s`, ended: true, seconds: limit }), 1000 * limit);
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
      clearTimeout(late);
      const count = (data.compiled ?? []).reduce((sum, [, count]) => sum + count, 0);
      results.push({ name: now.name, wrong: data.wrong, seconds: data.seconds, compiled: count });
      if (!data.ended) return next();
      worker.onmessage = worker.onerror = null;
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
  waiting = laws.filter(({ ignored }) => !ignored);
  all = waiting.length;
  await Promise.all(Array.from({ length: Number(words.get("workers") ?? 1) }, work));
  show("");
  globalThis.done = { results, skipped, places, buffers, kernels: known, compiled: [...compiled], complaints: [...complaints], seconds: (performance.now() - start) / 1000 };
};
first.onerror = (event) => { globalThis.done = { error: event.message }; };
