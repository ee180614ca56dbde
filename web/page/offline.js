// A service worker: the page works without a network once it is loaded. The network comes first, so that a new version is seen at
// once; what it answered is kept for the time without it. Nothing but the page's own files passes here.

const KEPT = "vae-page";
const FILES = [
  "./", "page.css", "lab.css", "dialogs.css", "icon.svg",
  "client.js", "coach.js", "controls.js", "dom.js", "drawing.js", "experiments.js", "fault.js", "follow.js", "gaussians.js", "how.js",
  "icons.js", "lab.js", "loss.js", "map.js", "marks.js", "network.js", "page.js", "paint.js", "pictures.js", "reconstructions.js",
  "settings.js", "status.js", "worker.js", "engine/web.js", "engine/web_bg.wasm",
  "explore/", "explore/page.css", "explore/page.js", "explore/server.js", "explore/worker.js", "explore/handover.js",
];

self.addEventListener("install", (event) => {
  self.skipWaiting();
  event.waitUntil(caches.open(KEPT).then((cache) => cache.addAll(FILES)));
});
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET" || new URL(request.url).origin !== location.origin) return;
  event.respondWith((async () => {
    try {
      const answer = await fetch(request);
      if (answer.ok) (await caches.open(KEPT)).put(request, answer.clone());
      return answer;
    } catch (error) {
      const kept = await caches.match(request, { ignoreSearch: true });
      if (kept) return kept;
      throw error;
    }
  })());
});
