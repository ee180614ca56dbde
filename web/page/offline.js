// A service worker: the page works without a network once it is loaded. The network comes first, so that a new version is seen at
// once; what it answered is kept for the time without it. Nothing but the page's own files passes here.

const KEPT = "vae-page";
const FILES = [
  "./", "page.css", "lab.css", "dialogs.css", "icon.svg",
  "client.js", "coach.js", "controls.js", "dom.js", "drawing.js", "experiments.js", "fault.js", "follow.js", "gaussians.js", "how.js",
  "icons.js", "lab.js", "loss.js", "map.js", "marks.js", "network.js", "nudge.js", "page.js", "paint.js", "pictures.js", "reconstructions.js",
  "settings.js", "status.js", "worker.js", "engine/web.js", "engine/web_bg.wasm",
  "explore/", "explore/page.css", "explore/page.js", "explore/server.js", "explore/worker.js", "explore/handover.js",
];

// Those that the explanations refer to: sources.txt names them, too.
const SOURCES = [
  "web/page/lab.js", "web/page/drawing.js", "vae/core/src/predict/mod.rs", "vae/core/src/learn/autoencoder.rs",
  "vae/core/src/model/mod.rs", "vae/core/src/model/convolutional.rs", "vae/core/src/model/dense.rs", "vae/core/src/model/gaussian.rs",
  "vae/core/src/objective/mod.rs", "vae/core/src/objective/likelihood.rs", "vae/core/src/data/batches.rs", "vae/core/src/train/mod.rs",
  "nn/src/loss/kl.rs", "tensor/src/ops/optimizer.rs",
];

self.addEventListener("install", (event) => {
  self.skipWaiting();
  event.waitUntil(caches.open(KEPT).then((cache) => cache.addAll([...FILES, ...SOURCES.map((path) => `source/${path}.txt`)])));
});
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET" || new URL(request.url).origin !== location.origin) return;
  event.respondWith((async () => {
    try {
      const answer = await fetch(request);
      if (answer.ok) (await caches.open(KEPT)).put(request.url.split("?")[0], answer.clone());
      return answer;
    } catch (error) {
      const kept = await caches.match(request, { ignoreSearch: true });
      // A copy has no address of its own. A worker would take that of the kept file for its own, and lose what follows the "?".
      if (kept) return new Response(kept.body, kept);
      throw error;
    }
  })());
});
