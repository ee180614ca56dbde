// What the explorer's page asks, whether a server answers or a worker.

/** Keeps every request from now on. `all("/mosaic")` returns those whose path begins so, `clear()` forgets them, and `end()` stops. */
export async function listen(page) {
  await page.evaluate(() => {
    const before = globalThis.ask;
    Object.assign(globalThis, { asked: [], unheard: before });
    globalThis.ask = (path, options) => {
      asked.push({ path, body: typeof options?.body === "string" ? JSON.parse(options.body) : null });
      return before(path, options);
    };
  });
  return {
    all: (start) => page.evaluate((start) => asked.filter(({ path }) => path.startsWith(start)), start),
    clear: () => page.evaluate(() => { asked.length = 0; }),
    end: () => page.evaluate(() => { globalThis.ask = unheard; }),
  };
}
