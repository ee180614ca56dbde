// Watches a run in a browser: it is under way, its pictures come, and a page that is loaded again shows what it showed.
export async function watch(page, tell) {
  await page.waitForFunction(() => /1 of|2 of|3 of/.test(document.getElementById("epoch").textContent), null, { timeout: 60_000 });
  const drawn = () => {
    const images = [...document.querySelectorAll("#pictures:not([hidden]) img")];
    return images.length === 2 && images.every((image) => image.complete && image.naturalWidth > 300);
  };
  await page.waitForFunction(drawn, null, { timeout: 60_000 });
  const known = () => page.evaluate(() => ({
    points: document.querySelectorAll("#charts circle").length,
    lines: document.getElementById("log").textContent.split("\n").length,
    bars: document.querySelectorAll("#kl rect").length,
  }));
  const before = await known();
  await page.reload();
  await page.waitForFunction(drawn, null, { timeout: 10_000 });
  const after = await known();
  for (const key of ["points", "lines", "bars"]) {
    if (!(before[key] > 0 && after[key] >= before[key])) tell(`reloaded, it has ${after[key]} ${key}, and had ${before[key]}`);
  }
}
