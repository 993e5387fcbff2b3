/* The experiment's figure: 300 points from the same noise at every move of a slider. */
function frugalMoonsPage(figure, {hybrid, upper}, {mixture, schedule, outline}) {
  const COUNT = 300,
    WIDTH = 0.04,
    SIDE = 360,
    scale = (v) => ((v + 1.35) / 2.7) * SIDE;
  const KINDS = {
    // colour and shape, for those who do not see the one
    upper: ["#0072B2", "on the upper moon"],
    lower: ["#D55E00", "on the lower moon"],
    stuck: ["#CC79A7", "on a moon, far from y"],
    off: ["currentColor", "off the moons"],
  };
  const line = [...outline, ...outline.map(([a, b]) => [-a, -b])];
  let state = 1;
  const uniform = () => {
    // mulberry32
    state = (state + 0x6d2b79f5) | 0;
    let v = Math.imul(state ^ (state >>> 15), 1 | state);
    v = (v + Math.imul(v ^ (v >>> 7), 61 | v)) ^ v;
    return ((v ^ (v >>> 14)) >>> 0) / 4294967296;
  };
  const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  const draws = schedule.alpha_bar.map(() => Array.from({length: COUNT}, () => [normal(), normal()]));
  const inputs = [...figure.querySelectorAll("input")];

  function kind([a, b], {y, sigma}) {
    let nearest = 0,
      least = Infinity;
    line.forEach(([c, d], i) => {
      const r = Math.hypot(a - c, b - d);
      if (r < least) {
        least = r;
        nearest = i;
      }
    });
    if (least > 3 * WIDTH) return "off";
    if (Math.abs(a - y) > 4 * sigma) return "stuck";
    return nearest < outline.length ? "upper" : "lower";
  }
  function mark([a, b], name) {
    const x = scale(a).toFixed(1),
      z = (SIDE - scale(b)).toFixed(1),
      colour = KINDS[name][0];
    if (name === "upper") return `<circle cx="${x}" cy="${z}" r="3" fill="${colour}"/>`;
    if (name === "lower") return `<path d="M${x} ${z}m-3.5 3h7l-3.5-6z" fill="${colour}"/>`;
    if (name === "stuck") return `<path d="M${x} ${z}m-3-3h6v6h-6z" fill="${colour}"/>`;
    return `<path d="M${x} ${z}m-3-3l6 6m0-6l-6 6" stroke="${colour}" stroke-width="1.5"/>`;
  }
  function show() {
    const chosen = Object.fromEntries(inputs.map(({name, value}) => [name, Number(value)]));
    inputs.forEach((input) => {
      input.nextElementSibling.textContent = input.value;
    });
    const points = hybrid(mixture, schedule, {...chosen, lam: 1}, COUNT, (draw, i) => draws[draw][i]);
    const kinds = points.map((point) => kind(point, chosen));
    const share = (name) => `${Math.round((100 * kinds.filter((one) => one === name).length) / COUNT)} %`;
    const exact = Math.round(100 * upper(mixture, chosen.y, chosen.sigma));
    const at = scale(chosen.y).toFixed(1);
    const grey = line.map(
      ([a, b]) =>
        `<circle cx="${scale(a).toFixed(1)}" cy="${(SIDE - scale(b)).toFixed(1)}" r="1.2" fill="currentColor" opacity="0.5"/>`,
    );
    const told = `Upper moon ${share("upper")} (posterior ${exact} %), lower ${share("lower")} (${100 - exact} %), stuck ${share("stuck")}, off ${share("off")}.`;
    figure.querySelector(".frugal-plane").innerHTML =
      `<svg viewBox="0 45 ${SIDE} 270" role="img" aria-label="The plane with two moons, the line x(1) = y, and where ${COUNT} points land. ${told}">${grey.join("")}<path d="M${at} 0V${SIDE}" stroke="currentColor" stroke-dasharray="5 4"/>${points.map((point, i) => mark(point, kinds[i])).join("")}</svg>`;
    figure.querySelector(".frugal-told").textContent = told;
  }
  inputs.forEach((input) => {
    input.oninput = show;
  });
  show();
}
