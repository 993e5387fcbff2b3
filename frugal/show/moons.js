"use strict";
/* Page 05's samplers for points in the plane, with its equation numbers. The prior is a mixture of Gaussians,
   {weights, means, covariances}; a covariance is [a, b, d] for the matrix (a b; b d). */

const frugalMoons = (() => {
  /* What the mixture says at one noise level: for every component the inverse covariance of x_k, and Kalman's gain. */
  function level({weights, means, covariances}, alpha_bar) {
    const root = Math.sqrt(alpha_bar),
      free = 1 - alpha_bar;
    return weights.map((weight, j) => {
      const [a, b, d] = covariances[j],
        p = alpha_bar * a + free,
        q = alpha_bar * b,
        r = alpha_bar * d + free;
      const det = p * r - q * q,
        inverse = [r / det, -q / det, p / det];
      const gain = [
        // root C M^{-1}, row by row
        root * (a * inverse[0] + b * inverse[1]),
        root * (a * inverse[1] + b * inverse[2]),
        root * (b * inverse[0] + d * inverse[1]),
        root * (b * inverse[1] + d * inverse[2]),
      ];
      const left = [
        // C - root gain C: what x_k leaves open
        a - root * (gain[0] * a + gain[1] * b),
        b - root * (gain[0] * b + gain[1] * d),
        d - root * (gain[2] * b + gain[3] * d),
      ];
      return {log: Math.log(weight) - Math.log(det) / 2, mean: means[j], root, inverse, gain, left};
    });
  }

  /* The guess x0_hat at a point, and the first column of the covariance C_k of Eq. 5a. */
  function guess(components, [x, z]) {
    let highest = -Infinity;
    const found = components.map(({log, mean, root, inverse, gain, left}) => {
      const u = x - root * mean[0],
        w = z - root * mean[1];
      const score = log - (inverse[0] * u * u + 2 * inverse[1] * u * w + inverse[2] * w * w) / 2;
      highest = Math.max(highest, score);
      return {score, at: [mean[0] + gain[0] * u + gain[1] * w, mean[1] + gain[2] * u + gain[3] * w], left};
    });
    let total = 0,
      first = 0,
      second = 0,
      square = 0,
      product = 0;
    for (const {score, at, left} of found) {
      const weight = Math.exp(score - highest);
      total += weight;
      first += weight * at[0];
      second += weight * at[1];
      square += weight * (left[0] + at[0] * at[0]);
      product += weight * (left[1] + at[0] * at[1]);
    }
    const m = [first / total, second / total];
    return {x0_hat: m, column: [square / total - m[0] * m[0], product / total - m[0] * m[1]]};
  }

  /* Eq. 0b */
  function ancestral(S, k, x, x0_hat, z) {
    const to = S.alpha_bar[k - 1],
      left = 1 - S.alpha_bar[k],
      alpha = S.alpha_bar[k] / to,
      beta = 1 - alpha;
    const p = (Math.sqrt(to) * beta) / left,
      q = (Math.sqrt(alpha) * (1 - to)) / left,
      r = Math.sqrt((beta * (1 - to)) / left);
    return [0, 1].map((i) => p * x0_hat[i] + q * x[i] + r * z[i]);
  }

  /* Where points end: the last `last` steps by DMPS, Eqs. 4h and 5c, those before by DPS, Eqs. 3g and 5b. The first
     coordinate is measured, y = x^(1) + n. noise: (draw, point) -> two standard normal numbers; draw 0 begins. */
  function hybrid(mixture, S, {y, sigma, zeta, lam, last}, count, noise) {
    const points = Array.from({length: count}, (_, i) => noise(0, i)),
      t = S.alpha_bar.length - 1;
    for (let k = t; k >= 1; k--) {
      const a = S.alpha_bar[k],
        components = level(mixture, a),
        s2 = (1 - a) / a,
        alpha = a / S.alpha_bar[k - 1];
      points.forEach((x, i) => {
        const {x0_hat, column} = guess(components, x),
          next = ancestral(S, k, x, x0_hat, noise(t - k + 1, i));
        if (k > last) {
          const length = (zeta * Math.sign(y - x0_hat[0]) * Math.sqrt(a)) / (1 - a);
          points[i] = [next[0] + length * column[0], next[1] + length * column[1]];
        } else {
          const score = (y - x[0] / Math.sqrt(a)) / (sigma * sigma + s2) / Math.sqrt(a);
          points[i] = [next[0] + ((lam * (1 - alpha)) / Math.sqrt(alpha)) * score, next[1]];
        }
      });
    }
    return points;
  }

  /* The posterior's share of the upper moon, whose components are the first half. */
  function upper({weights, means, covariances}, y, sigma) {
    const mass = weights.map((weight, j) => {
      const v = covariances[j][0] + sigma * sigma;
      return (weight * Math.exp(-((y - means[j][0]) ** 2) / (2 * v))) / Math.sqrt(v);
    });
    const sum = (values) => values.reduce((a, b) => a + b, 0);
    return sum(mass.slice(0, mass.length / 2)) / sum(mass);
  }

  return {hybrid, upper};
})();
