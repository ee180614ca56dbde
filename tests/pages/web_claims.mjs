// The guided experiments of the page that trains: each is walked through, and what it claims is measured. See web.mjs.
import { more } from "./web_panels.mjs";

const spread = () => Number(document.querySelector(".plane").dataset.spread); // of the map's marks, in σ of the prior
const kl = () => Number(document.querySelector(".term.kl .number").textContent);
const inUse = (lab) => lab.last.kl.filter((nats) => nats > 0.1).length;

/** Every experiment, and its claims. */
export async function claims(tab) {
  const { page, expect, lab, until, shot } = tab;
  const begin = async (title) => {
    await page.locator("#experiments").click();
    await page.getByRole("button", { name: title }).click();
    await until((lab) => !lab.starting && lab.last && lab.last.steps < 300, title);
  };
  const next = async (steps) => {
    await page.locator(".coach").getByRole("button", { name: "Next" }).click();
    await until((lab) => !lab.starting && !lab.changing && lab.last, "the next step");
    await more(tab, steps);
  };
  const leave = () => page.locator(".coach").getByRole("button", { name: /Leave|Finish/ }).click();

  await begin("What does β do?");
  await more(tab, 300);
  const one = { kl: await lab(kl), spread: await lab(spread) };
  await next(150);
  const twenty = { kl: await lab(kl), spread: await lab(spread) };
  expect(twenty.kl < 0.3 * one.kl && twenty.spread < 0.7 * one.spread, `from β = 1 to 20: ${JSON.stringify([one, twenty])}`);
  await shot("beta");
  await next(300);
  const little = { kl: await lab(kl), spread: await lab(spread) };
  expect(little.kl > 1.5 * one.kl && little.spread > 1.5 * twenty.spread, `from β = 20 to 0.01: ${JSON.stringify([one, twenty, little])}`);
  await leave();

  await begin("Posterior collapse");
  await more(tab, 150);
  expect((await lab(kl)) < 0.05 && (await lab(spread)) < 0.2, `β = 100: KL ${await lab(kl)}, spread ${await lab(spread)}`);
  await next(300);
  expect((await lab(kl)) > 2, `after the collapse the KL is ${await lab(kl)}`);
  await next(300);
  const used = await lab(inUse);
  expect(used >= 1 && used <= 8, `β = 10: ${used} of 16 latents are in use`);
  await leave();

  await begin("Break it");
  await more(tab, 200);
  const right = await lab(spread);
  await page.locator(".coach").getByRole("button", { name: "Next" }).click();
  await until("(lab) => Number(document.querySelector('.plane').dataset.spread) > 1000", "a map that flees");
  await more(tab, 50);
  const total = await until((lab) => lab.last.losses.at(-3), "a frame with a step in it"); // on a slow machine some have none
  expect(total < -1e5, `with the wrong sign the total is ${total}`);
  expect(!(await page.locator(".fault").isVisible()), "the wrong sign says something");
  await next(100);
  expect((await lab(spread)) > 100 * right, `after the wrong sign the spread is ${await lab(spread)}`);
  await leave();

  await begin("Why does it blur?");
  await next(300);
  const costs = () => [...document.querySelectorAll(".term.reconstruction .number")].map((number) => Number(number.textContent));
  await page.waitForFunction(() => document.querySelectorAll(".lab")[1].lab.last?.steps > 300, null, { timeout: 90_000 });
  const [sixteen, two] = await lab(costs);
  expect(sixteen < two - 30, `16 latents cost ${sixteen} nats, two cost ${two}`);
  await next(20);
  await leave();

  await begin("Holes in the latent space");
  await more(tab, 300);
  const loose = await lab(spread);
  expect(loose > 2.5, `β = 0: the spread is ${loose}`);
  await next(5);
  await next(200);
  expect((await lab(spread)) < 0.8 * loose, `from β = 0 to 1 the spread goes from ${loose} to ${await lab(spread)}`);
  await leave();
  expect(!(await page.locator(".fault").first().isVisible()), "an experiment ends with a fault");
}
