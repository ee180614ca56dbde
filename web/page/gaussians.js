// The posterior of the image in the network, latent by latent: a Gaussian N(mu, sigma²) beside the prior N(0, 1), and how many nats
// of KL the latent carries over all images of the map. A latent whose Gaussian lies on the prior says nothing about the image.
import { fit, fixed, make, shade } from "./dom.js";

const REACH = 3.5; // half of the axis, in σ of the prior, unless a posterior lies further out
const IN_USE = 0.1; // nats: vae_core::predict::IN_USE

export function gaussians() {
  const canvas = make("canvas", { className: "gaussians", role: "img", "aria-label": "Posterior of each latent" });
  const caption = make("figcaption", {}, "μ, σ");
  const element = make("figure", { className: "stop posterior" }, canvas, caption);

  /** Few latents have room for curves, many for a line from mu − sigma to mu + sigma. */
  function show(mu, logvar, kl) {
    const number = mu.length, each = Math.max(9, Math.min(74, Math.floor(300 / number)));
    canvas.style.height = `${each * number}px`;
    const surface = fit(canvas);
    if (!surface) return;
    const far = mu.reduce((most, m, k) => Math.max(most, Math.abs(m) + Math.exp(logvar[k] / 2)), 0);
    const reach = Number.isFinite(far) ? REACH * 2 ** Math.max(0, Math.ceil(Math.log2(far / REACH))) : REACH;
    const { context, width } = surface, x = (z) => ((z + reach) / (2 * reach)) * width;
    for (let k = 0; k < number; k++) {
      const top = k * each, sigma = Math.exp(logvar[k] / 2), used = !kl?.length || kl[k] > IN_USE;
      context.globalAlpha = used ? 1 : 0.45;
      if (each >= 30) curves(context, x, top, each, mu[k], sigma, k, reach);
      else interval(context, x, top + each / 2, mu[k], sigma, each);
      context.globalAlpha = 1;
    }
    const inUse = kl?.length ? kl.filter((nats) => nats > IN_USE).length : number;
    caption.textContent = number > 4 ? `${inUse} of ${number} in use` : "μ and σ of z";
    caption.title = `A latent is in use if its KL, the mean over the images of the map, exceeds ${IN_USE} nat.`;
    const words = Array.from(mu.slice(0, 8), (m, k) => `z${k + 1}: mu ${fixed(m)}, sigma ${fixed(Math.exp(logvar[k] / 2))}`).join("; ");
    canvas.setAttribute("aria-label", `Posterior of each latent. ${words}`);
  }

  function curves(context, x, top, each, mu, sigma, k, reach) {
    const base = top + each - 18, height = each - 26;
    // A narrow Gaussian is much higher than the prior. Both are drawn to the same height; what counts is place and width.
    const curve = (m, s) => {
      context.beginPath();
      for (let at = -1; at <= 1; at += 0.015) context.lineTo(x(at * reach), base - height * Math.exp(-0.5 * ((at * reach - m) / Math.max(s, 0.012 * reach)) ** 2));
    };
    context.strokeStyle = shade("--soft");
    context.setLineDash([2, 3]);
    curve(0, 1);
    context.stroke();
    context.setLineDash([]);
    curve(mu, sigma);
    context.strokeStyle = context.fillStyle = shade("--latent");
    context.lineWidth = 2;
    context.stroke();
    context.globalAlpha *= 0.2;
    context.lineTo(x(reach), base);
    context.lineTo(x(-reach), base);
    context.fill();
    context.globalAlpha *= 5;
    context.lineWidth = 1;
    context.strokeStyle = shade("--rule");
    context.beginPath();
    context.moveTo(0, base + 0.5);
    context.lineTo(x(reach), base + 0.5);
    context.stroke();
    context.fillStyle = shade("--ink");
    context.font = "11px system-ui, sans-serif";
    context.textAlign = "center";
    context.fillText(`z${[...String(k + 1)].map((digit) => "₀₁₂₃₄₅₆₇₈₉"[digit]).join("")}  ${fixed(mu)} ± ${fixed(sigma)}`, x(0), base + 13);
  }

  function interval(context, x, y, mu, sigma, each) {
    context.strokeStyle = shade("--rule");
    context.lineWidth = Math.max(1, each - 4);
    context.beginPath();
    context.moveTo(x(-1), y);
    context.lineTo(x(1), y);
    context.stroke();
    context.strokeStyle = context.fillStyle = shade("--latent");
    context.lineWidth = 2;
    context.beginPath();
    context.moveTo(x(mu - sigma), y);
    context.lineTo(x(mu + sigma), y);
    context.stroke();
    context.beginPath();
    context.arc(x(mu), y, Math.min(3, each / 3), 0, 7);
    context.fill();
  }
  return { element, show };
}
