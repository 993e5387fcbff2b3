"use strict";
/* The book's formulas in JavaScript, with its equation numbers, one function for each of the Python
   functions of the same name; `tests/test_playground.py` holds them together. A picture is a Float64Array
   of 3 N N numbers in [-1, 1], colour by colour, row by row. CONSTANTS, from Python: the size N is the
   prior's. */

const N = CONSTANTS.size;
const P = N * N;
const C = 3;
const combine = (f, ...xs) => xs[0].map((_, i) => f(...xs.map((x) => x[i])));
const plus = (a, b) => combine((p, q) => p + q, a, b);
const minus = (a, b) => combine((p, q) => p - q, a, b);
const times = (a, b) => combine((p, q) => p * q, a, b);
const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
const zeros = (n) => new Float64Array(n);

/* ---- Operators, Eqs. 1b to 1d: A = U diag(s) V^T, every factor a function ---- */

function operator(s, U, Ut, V, Vt) {
  return {s, U, Ut, V, Vt, A: (x) => U(times(s, Vt(x))), adjoint: (y) => V(times(s, Ut(y)))};
}
const same = (y) => y;

function inpainting(seen) {
  // seen: N N numbers, 0 where hidden
  const index = [];
  for (let i = 0; i < C * P; i++) if (seen[i % P]) index.push(i);
  const V = (c) => {
    const x = zeros(C * P);
    index.forEach((at, i) => {
      x[at] = c[i];
    });
    return x;
  };
  return operator(zeros(index.length).fill(1), same, same, V, (x) => Float64Array.from(index, (i) => x[i]));
}

function superResolution(f) {
  const n = N / f;
  const block = zeros(C * P);
  for (let i = 0; i < C * P; i++) {
    const row = Math.floor((i % P) / N / f);
    const column = Math.floor((i % N) / f);
    block[i] = Math.floor(i / P) * n * n + row * n + column;
  }
  const Vt = (x) => {
    const c = zeros(C * n * n);
    x.forEach((value, i) => {
      c[block[i]] += value / f;
    });
    return c;
  };
  return operator(zeros(C * n * n).fill(1 / f), same, same, (c) => block.map((b) => c[b] / f), Vt);
}

function colorization() {
  const root = Math.sqrt(C);
  const V = (c) => zeros(C * P).map((_, i) => c[i % P] / root);
  const Vt = (x) => zeros(P).map((_, i) => (x[i] + x[P + i] + x[2 * P + i]) / root);
  return operator(zeros(P).fill(1 / root), same, same, V, Vt);
}

/* Eqs. 1e and 1g for a blur that is the same mirrored: its Fourier transform is real, so V is the Hartley
   basis and U is V with the transform's signs. */
function deblurring() {
  const std = N / 32;
  const reach = Math.ceil(3 * std);
  const weight = (p) => Math.exp((-p * p) / (2 * std * std));
  const frequency = zeros(N).map((_, w) => {
    let sum = 0;
    let all = 0;
    for (let p = -reach; p <= reach; p++) {
      sum += weight(p) * Math.cos((2 * Math.PI * w * p) / N);
      all += weight(p);
    }
    return sum / all;
  });
  const transform = zeros(C * P).map((_, i) => frequency[i % N] * frequency[Math.floor((i % P) / N)]);
  const sign = transform.map(Math.sign);
  const U = (c) => hartley(times(c, sign));
  const Ut = (y) => times(hartley(y), sign);
  return operator(transform.map(Math.abs), U, Ut, hartley, hartley);
}

/* M x or x M^T for every colour of a picture, M an N x N matrix. */
function rows(M, x) {
  const out = zeros(x.length);
  for (let c = 0; c < x.length; c += P)
    for (let i = 0; i < N; i++)
      for (let k = 0; k < N; k++) {
        const m = M[i * N + k];
        for (let j = 0; j < N; j++) out[c + i * N + j] += m * x[c + k * N + j];
      }
  return out;
}
function columns(x, M) {
  const out = zeros(x.length);
  for (let r = 0; r < x.length; r += N)
    for (let j = 0; j < N; j++) {
      let sum = 0;
      for (let k = 0; k < N; k++) sum += x[r + k] * M[j * N + k];
      out[r + j] = sum;
    }
  return out;
}
const square = (f) => zeros(P).map((_, i) => f(Math.floor(i / N), i % N));
const COS = square((i, j) => Math.cos((2 * Math.PI * i * j) / N) / Math.sqrt(N));
const SIN = square((i, j) => Math.sin((2 * Math.PI * i * j) / N) / Math.sqrt(N));

function hartley(x) {
  // cas(a + b) = cos a cos b - sin a sin b + sin a cos b + cos a sin b
  const c = rows(COS, x);
  const s = rows(SIN, x);
  return plus(columns(plus(c, s), COS), columns(minus(c, s), SIN));
}

/* task -> the operator, for which `seen` says what is not hidden */
const OPERATORS = {
  inpaint: inpainting,
  sr4: () => superResolution(4),
  sr16: () => superResolution(16),
  colorize: colorization,
  deblur: deblurring,
};

/* Eq. 1a */
const measure = (A, x0, sigma, n) => combine((a, b) => a + sigma * b, A.A(x0), n);
/* Eq. 1c; directions with s below a hundredth of the largest stay empty. */
function pinv(A, y) {
  const least = 0.01 * Math.max(...A.s);
  return A.V(combine((c, s) => (s > least ? c / s : 0), A.Ut(y), A.s));
}

/* What a sampler is given of a picture x0, {y, A, sigma}; its noise is another than that of the chain. */
function given({task, seen, x0, sigma, seed}) {
  const A = OPERATORS[task](seen);
  return {A, sigma, y: measure(A, x0, sigma, normals(seed + 1e6)(A.s.length))};
}

/* ---- Schedule: S = {timestep, alpha_bar, r2, spectrum, ...} by k, of what Python writes ---- */

function scheduled({timestep, alpha_bar, r2, rings, turned, undecided, asks, wider}, ring) {
  const alpha = alpha_bar.map((a, k) => (k ? a / alpha_bar[k - 1] : 1));
  const spectrum = rings.map((byRing) => byRing && waves(byRing, ring));
  return {
    t: timestep.length - 1,
    timestep,
    alpha_bar,
    alpha,
    beta: alpha.map((a) => 1 - a),
    r2,
    turned,
    undecided,
    asks,
    wider,
    s: alpha_bar.map((a) => Math.sqrt((1 - a) / a)),
    spectrum,
  };
}

/* Eq. 2r: E[x_0 | x_k] from v, clipped to [-1, 1] as the prior was trained. */
function predicted_x0(S, k, v, x) {
  const a = Math.sqrt(S.alpha_bar[k]);
  const b = Math.sqrt(1 - S.alpha_bar[k]);
  return combine((x_i, v_i) => Math.max(-1, Math.min(1, a * x_i - b * v_i)), x, v);
}

/* Eq. 0b */
function ancestral(S, k, x, x0_hat, z) {
  const to = S.alpha_bar[k - 1];
  const left = 1 - S.alpha_bar[k];
  const p = (Math.sqrt(to) * S.beta[k]) / left;
  const q = (Math.sqrt(S.alpha[k]) * (1 - to)) / left;
  const r = Math.sqrt((S.beta[k] * (1 - to)) / left);
  return combine((h, x_i, z_i) => p * h + q * x_i + r * z_i, x0_hat, x, z);
}

/* Eq. 14d: to a picture x_0 given y, with the noise that x_k has beside the guess: part of it new, or all ("new"), or
   with the opposite sign ("turned", Eq. 14m). */
function renoised(S, k, x, x0_hat, mean, z, noise = "") {
  const to = S.alpha_bar[k - 1];
  const left = 1 - S.alpha_bar[k];
  const a = Math.sqrt(S.alpha_bar[k]);
  const some = ((1 - to) / left) * (1 - S.alpha_bar[k] / to);
  const variance = {new: 1 - to, turned: 0}[noise] ?? some;
  const kept = (noise === "turned" ? -1 : 1) * Math.sqrt(Math.max(0, 1 - to - variance));
  const eps = combine((x_i, h) => (x_i - a * h) / Math.sqrt(left), x, x0_hat);
  return combine((m, e, z_i) => Math.sqrt(to) * m + kept * e + Math.sqrt(variance) * z_i, mean, eps, z);
}

/* ---- The likelihood's pull ---- */

/* Eq. 3g's step without zeta: the gradient of ||y - A x0_hat(x_k)|| in x_k. vjp: async (x, timestep, u) ->
   J^T u, with J the Jacobian of v. Numbers that were clipped let nothing through. */
async function residual_gradient(S, k, x, v, x0_hat, y, A, vjp) {
  const a = Math.sqrt(S.alpha_bar[k]);
  const b = Math.sqrt(1 - S.alpha_bar[k]);
  const residual = minus(y, A.A(x0_hat));
  const norm = Math.sqrt(dot(residual, residual));
  const open = combine((x_i, v_i) => (Math.abs(a * x_i - b * v_i) <= 1 ? 1 : 0), x, v);
  const u = combine((g, o) => (-g * o) / norm, A.adjoint(residual), open);
  const back = await vjp(x, S.timestep[k], u);
  return combine((u_i, j) => a * u_i - b * j, u, back);
}

/* Eq. 6 */
function dmps_score(S, k, x, y, A, sigma) {
  const root = Math.sqrt(S.alpha_bar[k]);
  const s2 = (1 - S.alpha_bar[k]) / S.alpha_bar[k];
  const residual = combine((u, s, v) => u - (s * v) / root, A.Ut(y), A.s, A.Vt(x));
  return A.V(combine((r, s) => (s > 0 ? ((s / (sigma ** 2 + s2 * s ** 2)) * r) / root : 0), residual, A.s));
}

/* The mean of Eq. 14d where the guess's error has one variance r2 along every wave. */
function centred_mean(x0_hat, y, A, sigma, r2) {
  const residual = combine((u, s, v) => u - s * v, A.Ut(y), A.s, A.Vt(x0_hat));
  const pull = A.V(combine((r, s) => ((r2 * s) / (sigma ** 2 + r2 * s ** 2)) * r, residual, A.s));
  return plus(x0_hat, pull);
}

/* Eqs. 14e and 14k: C = W diag(c) W^T, corrected so that C p = q for every answer [q, P q] that the network gave;
   s2 = s_k^2. */
function covariance(c, s2, answers) {
  const terms = [];
  const product = (x) =>
    terms.reduce(
      (Cx, {q, Cp, rho, weight}) => {
        const qx = dot(q, x);
        const a = rho * dot(Cp, x) - weight * qx;
        return Cx.map((v, i) => v - a * q[i] - rho * qx * Cp[i]);
      },
      W(times(c, Wt(x))),
    );
  for (const [q, Pq] of answers) {
    const p = combine((a, b) => a + b / s2, Pq, q);
    const Cp = product(p);
    const pq = dot(p, q);
    const pCp = dot(p, Cp);
    const rho = pq > 1e-3 * Math.max(pCp, Math.sqrt(dot(p, p) * dot(q, q))) ? 1 / pq : 0;
    terms.push({q, Cp, rho, weight: rho + rho ** 2 * pCp});
  }
  return {c, times: product};
}
/* Eq. 14f: the guess's error has this covariance; conjugate gradients, steered by the inverse if nothing were hidden
   where all singular values are one, else by that if all waves varied alike. */
function spectral_mean(x0_hat, y, A, sigma, cov, iterations) {
  return plus(x0_hat, cov.times(spectral_pull(x0_hat, y, A, sigma, cov, iterations)));
}
function spectral_pull(x0_hat, y, A, sigma, cov, iterations = 16) {
  const K = (u) => combine((a, b) => sigma ** 2 * a + b, u, A.A(cov.times(A.adjoint(u))));
  const s2 = A.s.every((s) => s === A.s[0]) ? A.s[0] ** 2 : 0;
  const alike = cov.c.reduce((sum, v) => sum + v, 0) / cov.c.length;
  const gain = A.s.map((s) => 1 / (sigma ** 2 + s ** 2 * alike));
  const near = (r) => {
    if (!s2) return A.U(times(gain, A.Ut(r)));
    const inverse = combine((a, b) => a / (s2 * b + sigma ** 2) / s2, Wt(A.adjoint(r)), cov.c);
    return A.A(W(inverse));
  };
  return A.adjoint(conjugate_gradients(K, minus(y, A.A(x0_hat)), s2 ? iterations : 8, near));
}
const ASKED = 0.03; // of x: how far apart the two guesses of Eq. 14i are made
const FARTHEST = 2; // that the covariance is stretched by
/* Eq. 14i: the guess moved along q = C p with the network's own covariance, by a second pass near x; and this as an
   answer [q, P q], P the precision of pictures. */
async function asked_guess({S, v}, k, x, x0_hat, {y, A, sigma}, cov) {
  const p = spectral_pull(x0_hat, y, A, sigma, cov);
  const h = (ASKED * Math.sqrt(dot(x, x))) / Math.sqrt(dot(p, p) || Number.MIN_VALUE);
  const factor = (1 - S.alpha_bar[k]) / (h * Math.sqrt(S.alpha_bar[k]));
  const further = combine((a, b) => a + h * b, x, p);
  const near = await guess({S, v}, k, further);
  const q = combine((a, b) => (a - b) * factor, near, x0_hat);
  const Aq = A.A(q);
  const length = dot(minus(y, A.A(x0_hat)), Aq) / Math.max(dot(Aq, Aq), Number.MIN_VALUE);
  const moved = combine((a, b) => a + Math.min(Math.max(length, 0), FARTHEST) * b, x0_hat, q);
  return {moved, answer: [q, combine((a, b) => a - b / S.s[k] ** 2, p, q)]};
}
/* Eq. 14g: a draw around it, of tau times the width of x_0 given x_k and y; in the guess `wide`, along each wave. */
function spectral_draw(x0_hat, y, A, sigma, cov, tau, wide, noise) {
  const z = noise();
  const n = noise();
  const moved = W(combine((v, z_i, w) => w * Math.sqrt(v) * z_i, cov.c, z, wide));
  const noisy = y.map((v, i) => v + tau * sigma * n[i]);
  return spectral_mean(plus(x0_hat, moved), noisy, A, sigma, cov, 8);
}
const STRONGEST = 2;
/* Eq. 14j: the guess with the variance v that pictures have along each wave; c of it is open. */
function at_full_power(x0_hat, c, v) {
  const factor = (v_i, c_i) => Math.sqrt(v_i / Math.max(v_i - c_i, v_i / STRONGEST ** 2));
  return W(times(combine(factor, v, c), Wt(x0_hat)));
}
function conjugate_gradients(K, b, iterations, about) {
  let u = zeros(b.length);
  let residual = b;
  let z = about(b);
  let p = z;
  let now = dot(b, z);
  for (let i = 0; i < iterations; i++) {
    const Kp = K(p);
    const step = now / Math.max(dot(p, Kp), Number.MIN_VALUE);
    const before = now;
    u = combine((a, d) => a + step * d, u, p);
    residual = combine((a, d) => a - step * d, residual, Kp);
    z = about(residual);
    now = dot(residual, z);
    p = combine((a, d) => a + (now / Math.max(before, Number.MIN_VALUE)) * d, z, p);
  }
  return u;
}

/* Eq. 14e: cosine waves of light and of two colours */
const COSINES = square(
  (i, j) => Math.sqrt((i ? 2 : 1) / N) * Math.cos((Math.PI * i * (2 * j + 1)) / (2 * N)),
);
const COSINES_T = square((i, j) => COSINES[j * N + i]);
const COLOURS = [
  [1, 1, 1],
  [1, 0, -1],
  [1, -2, 1],
].map((row) => row.map((v) => v / Math.hypot(...row)));
function coloured(x, weight) {
  return zeros(C * P).map((_, i) => {
    const p = i % P;
    const c = Math.floor(i / P);
    return weight(c, 0) * x[p] + weight(c, 1) * x[P + p] + weight(c, 2) * x[2 * P + p];
  });
}
const Wt = (x) => coloured(columns(rows(COSINES, x), COSINES), (c, d) => COLOURS[c][d]);
const W = (c) => coloured(columns(rows(COSINES_T, c), COSINES_T), (d, e) => COLOURS[e][d]);

/* The variances by wave from those by ring of frequency, for light and each colour; ring: a hexadecimal
   digit a wave. */
const waves = (byRing, ring) =>
  zeros(C * P).map((_, i) => byRing[Math.floor(i / P)][parseInt(ring[i % P], 16)]);

/* ---- A method is a step: (k, x_k, noise, m) -> [x_{k-1}, x0_hat], made for a prior {S, v, vjp} and its step
   sizes. m: {y, A, sigma}; noise: () -> the next standard normal picture. Its `passes` at k count the network:
   forward, and once more where it is back-propagated or asked again. ---- */

const taking = (passes, step) => Object.assign(step, {passes});
const once = () => 1;
const twice = () => 2;
/* The network's guess x0_hat. */
const guess = async ({S, v}, k, x) => predicted_x0(S, k, await v(x, S.timestep[k]), x);

const dps = ({S, v, vjp}, zeta) =>
  taking(twice, async (k, x, noise, {y, A}) => {
    // Eq. 3g
    const out = await v(x, S.timestep[k]);
    const x0_hat = predicted_x0(S, k, out, x);
    const gradient = await residual_gradient(S, k, x, out, x0_hat, y, A, vjp);
    return [combine((a, g) => a - zeta * g, ancestral(S, k, x, x0_hat, noise()), gradient), x0_hat];
  });
const dmps = ({S, v}, lam) =>
  taking(once, async (k, x, noise, {y, A, sigma}) => {
    // Eq. 4h
    const x0_hat = await guess({S, v}, k, x);
    const score = dmps_score(S, k, x, y, A, sigma);
    const weight = (lam * S.beta[k]) / Math.sqrt(S.alpha[k]);
    return [combine((a, g) => a + weight * g, ancestral(S, k, x, x0_hat, noise()), score), x0_hat];
  });
const centred = ({S, v}) =>
  taking(once, async (k, x, noise, {y, A, sigma}) => {
    // Eq. 14b
    const x0_hat = await guess({S, v}, k, x);
    return [renoised(S, k, x, x0_hat, centred_mean(x0_hat, y, A, sigma, S.r2[k]), noise()), x0_hat];
  });
/* Turn, explore, ask, settle: the noise turned around the mean while s_k is above a level, all of it new while it is
   above another, then draws and Eq. 14d's noise, at the end the mean at full power; between two levels the network is
   asked twice, and later steps know its last answers. */
const KEPT = 3; // answers
const spectral = ({S, v}) => {
  const asked = (k) => k > 1 && S.s[k] >= S.asks[0] && S.s[k] <= S.asks[1];
  const passes = (k) => (asked(k) ? 2 : 1);
  const answers = []; // by k
  const open = (k) =>
    covariance(
      S.spectrum[k],
      S.s[k] ** 2,
      answers
        .slice(k + 1)
        .filter(Boolean)
        .slice(0, KEPT)
        .reverse(),
    );
  const by = (picture, kind) =>
    taking(passes, async (k, x, noise, m) => {
      let x0_hat = await guess({S, v}, k, x);
      if (asked(k)) {
        const said = await asked_guess({S, v}, k, x, x0_hat, m, open(k));
        x0_hat = said.moved;
        answers[k] = said.answer;
      }
      return [renoised(S, k, x, x0_hat, picture(k, x0_hat, m, noise), noise(), kind), x0_hat];
    });
  const mean = (k, x0_hat, {y, A, sigma}) => spectral_mean(x0_hat, y, A, sigma, open(k));
  const draw = (k, x0_hat, m, noise) => {
    if (k === 1) return mean(k, at_full_power(x0_hat, S.spectrum[1], S.spectrum[S.t]), m);
    const tau = 1 - (S.s[k - 1] / S.s[k]) ** 2; // Eq. 14h
    const along = (left, whole) => Math.sqrt(tau ** 2 + (S.wider * tau * left) / whole); // Eq. 14n
    const wide = combine(along, S.spectrum[k], S.spectrum[S.t]);
    return spectral_draw(x0_hat, m.y, m.A, m.sigma, open(k), tau, wide, noise);
  };
  const early = handover(by(mean, "turned"), by(mean, "new"), (k) => S.s[k] <= S.turned);
  return handover(early, by(draw), (k) => S.s[k] <= S.undecided);
};

/* The poster's idea (page 07): the step `early`, and `late` at every k for which `when(k)` holds. */
function handover(early, late, when) {
  const now = (k) => (when(k) ? late : early);
  const passes = (k) => now(k).passes(k);
  return taking(passes, (k, x, noise, m) => now(k)(k, x, noise, m));
}

/* name -> step maker */
const METHODS = {
  dps: (prior, {zeta}) => dps(prior, zeta),
  dmps: (prior, {lam}) => dmps(prior, lam),
  hybrid: (prior, {zeta, lam, switch: last}) =>
    handover(dps(prior, zeta), dmps(prior, lam), (k) => k <= last),
  centred: (prior) => centred(prior),
  spectral: (prior) => spectral(prior),
};

/* The one reverse loop: from pure noise, or from x at step k, to a picture. noise: () -> the next standard
   normal picture. Yields {k, x, x0_hat, passes} after every step: x_{k-1}, the guess made at k, and the
   passes so far. */
async function* walk(step, S, m, noise, x = noise(), k = S.t) {
  for (let passes = 0, x0_hat; k >= 1; k--) {
    [x, x0_hat] = await step(k, x, noise, m);
    passes += step.passes(k);
    yield {k, x, x0_hat, passes};
  }
}

/* pSNR in dB of pictures in [-1, 1]; between two guesses it is c_k of Eq. 6a. */
function psnr(a, b) {
  const d = minus(a, b);
  return 10 * Math.log10((4 * a.length) / dot(d, d));
}

/* A stream of standard normals from a seed: the uniforms of mulberry32, turned by Box and Muller's formula.
 */
function normals(seed) {
  let state = seed >>> 0;
  let spare = null;
  const uniform = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const normal = () => {
    if (spare !== null) {
      const kept = spare;
      spare = null;
      return kept;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
    const angle = 2 * Math.PI * uniform();
    spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  };
  return (n) => zeros(n).map(normal);
}
